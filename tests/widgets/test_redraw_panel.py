"""RedrawPanel: what its ticks train, and what its picture and its page say of it."""

from collections.abc import Iterator

import pytest
import torch

from cl_explore.widgets import RedrawPanel, redraw_panel
from cl_explore.widgets.marks import Bars, Images
from cl_explore.widgets.redraw_panel import VARIED, pixels, world


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedrawPanel]:
    """The panel on a third of its pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CL_EXPLORE_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setattr(redraw_panel, "TRAIN", 750)
        patch.setattr(redraw_panel, "TEST", 200)
        for made in (world, pixels, redraw_panel.before):
            made.cache_clear()
        yield RedrawPanel(background=True, pose=False)
    for made in (world, pixels, redraw_panel.before):
        made.cache_clear()


def bars(panel: RedrawPanel) -> dict[str, list[float]]:
    """The heights of the bars by name."""
    assert panel.picture is not None
    marks = panel.picture.charts[-1].marks
    return {mark.name: mark.height.tolist() for mark in marks if isinstance(mark, Bars)}


def test_what_the_views_vary_is_forgotten(panel: RedrawPanel) -> None:
    """The hue of the background, after a training in whose views it differs, is at chance; before it was not."""
    read = bars(panel)
    assert list(read) == ["raw pixels", "untrained encoder", "trained on these views"]
    forgotten, before = read["trained on these views"][2], read["raw pixels"][2]
    assert forgotten < 0.25 < before
    assert pixels().accuracy["bhue"] == pytest.approx(before, abs=1e-6)


def test_another_tick_is_another_training(panel: RedrawPanel) -> None:
    panel.knobs["pose"].value = True
    assert panel.picture.status
    panel.wait()
    assert not panel.picture.status
    assert dict(panel.picture.readout)["the views vary"] == "pose and background"
    panel.knobs["pose"].value = False
    assert not panel.picture.status, "kept"


def test_neighbours_are_those_of_the_chosen_pictures(panel: RedrawPanel) -> None:
    panel.knobs["first"].value = 6
    by_pixels = next(mark for mark in panel.picture.charts[1].marks if isinstance(mark, Images))
    query, *_ = by_pixels.pixels.reshape(18, 16, 16, 3)
    assert torch.equal(torch.as_tensor(query.copy()).permute(2, 0, 1), world()[1].x[6])
    assert pixels().nearest(6)[0] == 6
    assert len(set(pixels().nearest(6))) == 6


def test_the_page_has_a_menu_of_recipes(panel: RedrawPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redraw_panel, "RECIPES", (("background", "pose"),))
    page = panel.static().data
    assert "background and pose" in page
    assert "the views vary" in page


def test_ticks_name_factors_of_the_world() -> None:
    assert {factor for factors in VARIED.values() for factor in factors} <= set(world()[0].factors)
    with pytest.raises(ValueError, match="first must be between 0 and 60, got 61"):
        RedrawPanel(first=61)
