import copy

import torch

from cl_explore import data, methods, nn, views
from cl_explore.methods.plain import take_epoch


def test_an_epoch_is_a_step_of_the_optimiser_on_each_batch_of_the_order() -> None:
    torch.manual_seed(0)
    head = nn.projection_head(8, 8, 4)
    method = methods.JointEmbedding(nn.MLP([6, 8]), head, "nt_xent", views.VectorViews(noise=0.1))
    by_hand = copy.deepcopy(method)
    seen = data.from_arrays(torch.randn(10, 6), torch.arange(10) % 2)

    def begin(one: methods.Method) -> tuple[torch.optim.Optimizer, torch.Generator]:
        return torch.optim.SGD(one.parameters(), 0.1), torch.Generator().manual_seed(1)

    take_epoch(method, seen, 4, *begin(method))
    optimizer, generator = begin(by_hand)
    order = by_hand.draw_order(seen, 4, generator)
    assert len(order) == 8
    for rows in (order[:4], order[4:]):
        optimizer.zero_grad()
        by_hand.step(seen.batch(rows), generator).loss.backward()
        optimizer.step()
    for one, other in zip(method.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(one, other)
