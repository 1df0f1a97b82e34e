"""Hard views of small pictures: shifted, erased, scaled and disturbed by what is stated."""

import pytest
import torch

from cl_explore.views import HardViews


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_hard_views_shift_erase_and_scale() -> None:
    """On a picture of ones without noise: one gain, at most one row and one column shifted in, a black square."""
    x = torch.full((300, 1, 8, 8), 0.5)
    views = HardViews(noise=0.0)(x, seeded(), 2)
    assert views.shape == (300, 2, 1, 8, 8)
    flat = views.flatten(0, 1)[:, 0]
    gain = flat.amax((1, 2))
    assert 0.3 <= gain.min() < 0.32
    assert 0.68 < gain.max() <= 0.7
    assert torch.equal(flat.eq(0) | flat.eq(gain[:, None, None]), torch.ones_like(flat, dtype=torch.bool))
    inner = flat[:, 1:-1, 1:-1].eq(0).sum((1, 2))  # untouched by shifts
    assert inner.max() == 9
    assert inner.min() == 4  # the square in a corner
    shifted = flat[:, 0].eq(0).all(1).float().mean()
    assert 0.25 < shifted < 0.42  # a third of the views move down
    assert torch.equal(HardViews()(x, seeded(), 2), HardViews()(x, seeded(), 2))
    assert HardViews()(torch.rand(9, 1, 8, 8), seeded(), 1).aminmax().max <= 1


def test_the_draws_are_those_that_recorded_results_rest_on() -> None:
    x = torch.linspace(0, 1, 2 * 64).view(2, 1, 8, 8)
    expected = torch.tensor([[17.75771, 17.32298], [26.69058, 26.92401]])
    torch.testing.assert_close(HardViews()(x, seeded(), 2).sum((2, 3, 4)), expected, atol=1e-4, rtol=0)


def test_strength_scales_every_step() -> None:
    x = torch.full((200, 1, 8, 8), 0.5)
    weak = HardViews(strength=0.3).parameters(x, seeded())
    assert weak.black.sum((1, 2)).unique().tolist() == [1], "a square of one pixel, and no shift"
    assert (weak.gain - 1).abs().max() <= 0.12
    strong = HardViews(strength=2).parameters(x, seeded())
    assert strong.black.sum((1, 2)).min() >= 36
    assert strong.gain.min() < 0.25
    assert strong.noise.std() == pytest.approx(0.3, rel=0.02)


def test_squares_are_no_larger_than_the_picture() -> None:
    assert (HardViews(erased=9, noise=0)(torch.ones(2, 1, 4, 6), seeded(), 1)[..., 2:4] == 0).all()


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(B, C, H, W\), got \(2, 3\)"):
        HardViews()(torch.zeros(2, 3), seeded())
