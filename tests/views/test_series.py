"""Views of series: crop, scale, jitter and mask of the stated size."""

import pytest
import torch

from cl_explore.views import SeriesParameters, SeriesViews

NOTHING = SeriesViews(crop=0, scale=0, jitter=0, mask=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_crop_of_a_straight_line_is_its_part_stretched() -> None:
    x = torch.arange(11.0).expand(40, 2, 11)
    augment = SeriesViews(crop=0.6, scale=0, jitter=0)
    start, share = augment.parameters(x, seeded()).window.T
    views = augment(x, seeded(), 1)[:, 0]
    torch.testing.assert_close(views[:, 0, 0], 10 * start)
    torch.testing.assert_close(views[:, 1, -1], 10 * (start + share))
    torch.testing.assert_close(views.diff(dim=2), share[:, None, None].expand(40, 2, 10), atol=1e-5, rtol=0)
    assert share.min() < 0.45
    assert share.min() >= 0.4
    assert start.min() >= 0
    assert (start + share).max() <= 1 + 1e-6


def test_gain_is_drawn_for_each_channel_and_noise_in_standard_deviations_of_it() -> None:
    x = torch.randn(500, 2, 100, generator=seeded(1)) * torch.tensor([1.0, 50.0])[:, None]
    drawn = SeriesViews(scale=0.2, jitter=0.3).parameters(x, seeded())
    assert drawn.gain.shape == (500, 2, 1)
    assert 0.8 <= drawn.gain.min() < 0.81
    assert 1.19 < drawn.gain.max() <= 1.2
    assert drawn.gain.var(dim=1).min() >= 0
    torch.testing.assert_close(drawn.noise.std((0, 2)), torch.tensor([0.3, 15.0]), rtol=0.03, atol=0)


@pytest.mark.parametrize(("mask", "strength", "hidden"), [(0.25, 1.0, 5), (0.25, 2.0, 10), (0.6, 3.0, 20), (0, 1.0, 0)])
def test_one_stretch_is_masked_anywhere(mask: float, strength: float, hidden: int) -> None:
    masked = SeriesViews(mask=mask, strength=strength).parameters(torch.ones(300, 1, 20), seeded()).masked
    assert masked.sum(1).unique().tolist() == [hidden]
    assert (masked.int().diff(dim=1) > 0).sum(1).max() <= 1
    if hidden == 5:
        assert masked.any(0).all()


def test_apply_scales_then_adds_then_masks() -> None:
    drawn = SeriesParameters(None, torch.tensor([[[2.0]]]), torch.tensor([[[0.5, 0.5]]]), torch.tensor([[False, True]]))
    assert NOTHING.apply(torch.tensor([[[1.0, 3.0]]]), drawn).tolist() == [[[2.5, 0.0]]]


def test_a_single_step_is_left_whole() -> None:
    assert torch.equal(SeriesViews(crop=0.5, scale=0)(torch.ones(2, 1, 1), seeded()), torch.ones(2, 2, 1, 1))


def test_bad_settings_are_refused() -> None:
    for bad in ({"crop": 1.0}, {"mask": 1.1}):
        with pytest.raises(ValueError, match="crop must be below 1 and mask at most 1"):
            SeriesViews(**bad)
