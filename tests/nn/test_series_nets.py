import pytest
import torch

from cl_explore import nn


@pytest.mark.parametrize("pool", ["max", "mean", "both"])
def test_a_series_net_pools_what_its_convolutions_leave(pool: str) -> None:
    torch.manual_seed(0)
    net = nn.SeriesNet(2, [4, 6], [5, 3], [2, 1], batch_norm=True, pool=pool).eval()
    x = torch.randn(3, 2, 20)
    first, norm, _, second, norm_too, _ = net.layers
    steps = norm_too(second(norm(first(x)).relu())).relu()
    assert steps.shape == (3, 6, 10)
    expected = {"max": [steps.amax(2)], "mean": [steps.mean(2)], "both": [steps.amax(2), steps.mean(2)]}[pool]
    torch.testing.assert_close(net(x), torch.cat(expected, 1))
    assert net.out_features == net(x).shape[1]


def test_a_series_net_wants_one_number_for_each_layer() -> None:
    with pytest.raises(ValueError, match=r"channels, kernels and strides must have .* got 2, 3, 3"):
        nn.SeriesNet(1, [4, 4])


def test_a_dilated_net_sees_as_far_as_its_blocks_reach() -> None:
    torch.manual_seed(0)
    net = nn.DilatedNet(1, width=8, depth=3, out_features=5).eval()
    x = torch.randn(1, 1, 64, requires_grad=True)
    z = net(x)
    assert z.shape == (1, 64, net.out_features)
    (grad,) = torch.autograd.grad(z[0, 32].sum(), x)
    reached = grad[0, 0].nonzero()[:, 0]
    reach = 2 * (1 + 2 + 4)
    assert (reached.min(), reached.max()) == (32 - reach, 32 + reach)


def test_a_dilated_net_does_not_see_hidden_steps() -> None:
    net = nn.DilatedNet(2, depth=1).eval()
    x, hidden = torch.randn(2, 2, 10), torch.zeros(2, 10, dtype=torch.bool)
    hidden[0, 3:5] = True
    other = torch.where(hidden[:, None], torch.randn(2, 2, 10), x)
    torch.testing.assert_close(net(x, hidden), net(other, hidden))
    assert not torch.allclose(net(x), net(other))
    torch.testing.assert_close(net(x, ~hidden & hidden), net(x))
