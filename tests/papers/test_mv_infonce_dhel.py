import numpy as np
import pytest
import torch

from cl_explore import losses
from cl_explore.papers.mv_infonce_dhel import panel as module
from cl_explore.papers.mv_infonce_dhel.panel import (
    COUNTS,
    SHOWN,
    ViewsPanel,
    compared,
    digits,
    effect,
    embed_after,
    gradient_noise,
    make_views,
)
from cl_explore.views import ImageViews
from cl_explore.widgets.marks import Line


def test_all_losses_of_many_views_are_compared_with_the_pairwise_one() -> None:
    names = [loss.name for loss in compared()]
    assert names[0] == "nt_xent"
    assert {"mv_infonce", "mv_dhel"} <= set(names)


def test_the_views_shown_grow_with_strength_from_the_same_draws() -> None:
    images = digits()[:3]
    torch.testing.assert_close(make_views(images, 0.0, 2), images[:, None].expand(-1, 2, -1, -1, -1))
    weak, strong = (make_views(images, strength, 8) for strength in (1.0, 3.0))
    torch.testing.assert_close(weak, make_views(images, 1.0, 8))
    distance = [(made - images[:, None]).square().mean() for made in (weak, strong)]
    assert 2 < distance[1] / distance[0] < 9


def test_more_views_steady_the_gradient_and_equal_views_leave_no_noise() -> None:
    loss, images = losses.get("nt_xent"), digits()[:32]
    few, many = (gradient_noise(loss, count, images, ImageViews.weak(2.0), 0.5) for count in (2, 8))
    assert many < 0.7 * few  # one over the root of four would be 0.5
    assert gradient_noise(loss, 2, images, ImageViews.weak(0.0), 0.5) < 1e-5


def test_mv_dhel_fills_more_directions_than_pairwise_nt_xent_with_strong_views() -> None:
    rank = {}
    for name in ("nt_xent", "mv_dhel"):
        z = embed_after(losses.get(name), 4, digits(), ImageViews.weak(3.0), 0.5)
        torch.testing.assert_close(z.norm(dim=1), torch.ones(192))
        rank[name] = module.geometry.effective_rank(z)
    assert rank["mv_dhel"] > rank["nt_xent"] + 1.5


def test_picture_holds_images_curves_and_the_spectrum_of_the_chosen_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 2)
    monkeypatch.setattr(module, "DRAWS", 2)
    panel = ViewsPanel(views=6, strength=1.0)
    made = effect(1.0, 0.5)
    assert made.rank.shape == made.noise.shape == (len(compared()), len(COUNTS))
    np.testing.assert_allclose(made.spectrum.sum(2), 1)
    np.testing.assert_allclose(np.exp(-(made.spectrum * np.log(made.spectrum)).sum(2)), made.rank)
    np.testing.assert_allclose(spectra(panel), made.spectrum[:, 2], rtol=1e-5)
    (images,) = panel.picture.charts[0].marks
    pixels = images.pixels.reshape(SHOWN, 9, 64)
    np.testing.assert_array_equal(pixels[:, 0], (255 * digits()[:SHOWN]).round().flatten(1))
    panel.knobs["views"].value = 2
    np.testing.assert_allclose(spectra(panel), made.spectrum[:, 0], rtol=1e-5)
    assert panel.picture.status == ""  # nothing was made anew


def spectra(panel: ViewsPanel) -> np.ndarray:
    """The singular values drawn, one row for each loss."""
    return np.stack([mark.y for mark in panel.picture.charts[1].marks if isinstance(mark, Line)])


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="views must be one of 2, 4, 6, 8, got 3"):
        ViewsPanel(views=3)
    with pytest.raises(ValueError, match=r"strength must be between 0\.5 and 5\.0, got 0"):
        ViewsPanel(strength=0)
