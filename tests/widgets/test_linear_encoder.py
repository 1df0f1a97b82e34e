"""The linear encoder that panels train."""

from functools import partial

import torch

from cl_explore import losses
from cl_explore.widgets.linear_encoder import linear_encoders

X = torch.randn(24, 6, generator=torch.Generator().manual_seed(3))
SGD = partial(torch.optim.SGD, lr=0.1)


def test_a_training_passes_where_a_shorter_one_ends_and_begins_where_all_do() -> None:
    loss = partial(losses.nt_xent, temperature=0.2)
    long = linear_encoders(X, loss, SGD, noise=0.2, shots=range(0, 11, 5), batch=8)
    short = linear_encoders(X, loss, SGD, noise=0.2, shots=[0, 5], batch=8)
    assert long.shape == (3, 6, 16)
    torch.testing.assert_close(long[:2], short, rtol=0, atol=0)
    other = linear_encoders(X, losses.simple, SGD, noise=0.2, shots=[0])
    torch.testing.assert_close(other[0], long[0], rtol=0, atol=0)


def test_each_step_is_one_of_the_optimizer_on_the_whole_batch_or_on_a_drawn_one() -> None:
    sizes = []

    def pull(z: torch.Tensor) -> torch.Tensor:
        sizes.append(z.shape)
        return z.sum()

    encoders = linear_encoders(X, pull, SGD, noise=0.0, shots=[0, 1])
    assert sizes[0] == (24, 2, 16)
    assert (encoders[0] != encoders[1]).all()
    linear_encoders(X, pull, SGD, noise=0.0, shots=[1], batch=4)
    assert sizes[-1] == (4, 2, 16)
