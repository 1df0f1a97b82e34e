"""Views of clouds: turned about the third axis, scaled and jittered."""

import math

import pytest
import torch

from cl_explore.views import PointParameters, PointViews


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_quarter_turn_by_hand() -> None:
    x = torch.tensor([[[1.0, 0.0, 3.0], [0.0, 2.0, 4.0]]])
    drawn = PointParameters(torch.tensor([[math.pi / 2]]), torch.tensor([[2.0]]), torch.zeros(1, 2, 3))
    expected = torch.tensor([[[0.0, 2.0, 6.0], [-4.0, 0.0, 8.0]]])
    torch.testing.assert_close(PointViews().apply(x, drawn), expected)
    torch.testing.assert_close(
        PointViews().apply(x[..., :2], drawn._replace(noise=torch.ones(1, 2, 2))), expected[..., :2] + 1
    )


def test_turning_keeps_distances() -> None:
    x = torch.randn(5, 30, 3, generator=seeded(1), dtype=torch.float64)
    turned = PointViews(rotate=3, scale=0, jitter=0)(x, seeded(), 1)[:, 0]
    torch.testing.assert_close(torch.cdist(turned, turned), torch.cdist(x, x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(turned[..., 2], x[..., 2])


def test_changes_have_the_stated_size() -> None:
    x = 10 * torch.randn(2000, 20, 2, generator=seeded(1))
    drawn = PointViews(rotate=0.5, scale=0.3, jitter=0.1).parameters(x, seeded())
    assert drawn.angle.abs().max().item() == pytest.approx(0.5, rel=0.01)
    assert (drawn.gain - 1).abs().max().item() == pytest.approx(0.3, rel=0.01)
    assert drawn.noise.std().item() == pytest.approx(1.0, rel=0.02)
    assert PointViews(rotate=9).parameters(x, seeded()).angle.abs().max() <= math.pi


def test_other_numbers_of_coordinates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(B, P, 2\) or \(B, P, 3\), got \(2, 5, 4\)"):
        PointViews()(torch.zeros(2, 5, 4), seeded())
