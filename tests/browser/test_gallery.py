"""The library's panels in a real JupyterLab, which have between them every kind of control and mark.

All of their controls, and then what only one panel can do.
"""

import re
import runpy
from pathlib import Path

import pytest
from hands import LATER, check_names, drag, label, look, settle, share, sliders, wait_for, work
from lab import Lab
from playwright.sync_api import Locator

PANELS = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "panels.py"))
NOTEBOOK, NAMES = "library", list(PANELS["examples"](PANELS["library"]()))


@pytest.mark.parametrize("name", NAMES)
def test_all_controls_of_the_panel_have_names_and_change_what_it_shows(
    lab: Lab, gallery: dict[str, Locator], screens: Path, name: str
) -> None:
    check_names(gallery[name])
    try:
        assert work(gallery[name], LATER.get(name, frozenset()))["sliders"] > 0
    finally:
        gallery[name].screenshot(path=screens / f"{name}-worked.png")
    assert lab.errors == [], "errors of the console"


def status(panel: Locator) -> str:
    """The sentence below the panel's picture."""
    return panel.locator(".clx-status").inner_text()


def readout(panel: Locator, name: str) -> str:
    """A number of the panel's read-out."""
    return panel.locator(".clx-readout span", has_text=name).locator("b").inner_text()


def slider(panel: Locator, name: str) -> Locator:
    """The slider of that name."""
    return next(handle for handle in sliders(panel) if label(handle) == name)


@pytest.mark.parametrize("name", ["SpherePanel", "TrainingPanel", "LossComparePanel"])
def test_a_menu_of_losses_has_a_heading_for_each_family(gallery: dict[str, Locator], name: str) -> None:
    menu = gallery[name].locator("select", has_text="NT-Xent").first
    groups = menu.locator("optgroup")
    labels = [group.get_attribute("label") for group in groups.all()]
    assert len(labels) == len(set(labels)) > 10
    assert {"InfoNCE", "supervised", "margin"} < set(labels)
    assert menu.locator("xpath=./option").count() == 0
    assert menu.evaluate("(menu) => menu.selectedOptions[0].parentElement.label") in labels


def test_a_slider_stays_where_it_is_let_go_and_playing_goes_on_from_there(gallery: dict[str, Locator]) -> None:
    panel = gallery["EmbeddingPanel"]
    panel.scroll_into_view_if_needed()
    settle(panel)  # the page may still move below the mouse
    handle = slider(panel, "training")
    for _ in range(3):
        drag(handle, 0.0)
        drag(handle, 1.0)
    settle(panel)
    assert share(handle) == 1
    drag(handle, 0.5)
    settle(panel)
    begun = share(handle)
    assert begun == pytest.approx(0.5, abs=0.1)
    play, stop, *_ = panel.locator(".widget-play button").all()
    play.click()
    wait_for(lambda: share(handle) > begun, "playing did not go on from where the slider stood")
    assert share(handle) < begun + 0.3
    stop.click()
    settle(panel)


def test_a_click_on_the_map_lists_neighbours_and_a_line_round_points_their_statistics(
    gallery: dict[str, Locator], screens: Path
) -> None:
    panel = gallery["EmbeddingPanel"]
    panel.scroll_into_view_if_needed()
    settle(panel)  # the page may still move below the mouse
    drag(slider(panel, "training"), 1.0)
    _, _, last = readout(panel, "step").split()
    wait_for(lambda: readout(panel, "step") == f"{last} of {last}", "the map did not follow the slider")
    settle(panel)
    box = panel.locator("canvas").first.bounding_box()
    assert box
    corners = [(0.62, 0.03), (0.96, 0.03), (0.96, 0.5), (0.72, 0.5), (0.62, 0.3)]  # round some of the points
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    mouse = panel.page.mouse
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=6)
    mouse.up()
    wait_for(lambda: "selected" in status(panel), "a line round points showed no statistics")
    assert re.match(
        r"\d+ samples selected, \d+ % of them class \d; dispersion [\d.]+, mean cosine 0.\d+", status(panel)
    )
    settle(panel)
    panel.screenshot(path=screens / "EmbeddingPanel-lasso.png")

    for x in range(20, 60, 2):  # along a line through the cloud, until a point lies under the pointer
        mouse.click(box["x"] + x / 100 * box["width"], box["y"] + 0.5 * box["height"])
        settle(panel)
        if "nearest in all dimensions" in status(panel):
            break
    assert re.match(
        r"Sample \d+, class \d: nearest in all dimensions are (class \d \([\d.]+\)(, |\.)){6}", status(panel)
    )
    mouse.move(2, 2)
    settle(panel)
    panel.screenshot(path=screens / "EmbeddingPanel.png")
    panel.locator("canvas").first.focus()
    panel.locator("canvas").first.press("Escape")
    wait_for(lambda: status(panel) == "", "Escape did not let go of the sample")


def test_a_training_is_started_paused_turned_and_goes_on_where_it_stood(
    gallery: dict[str, Locator], screens: Path
) -> None:
    panel = gallery["TrainingPanel"]
    panel.scroll_into_view_if_needed()
    settle(panel)

    def step() -> int:
        return int(readout(panel, "step").split()[0])

    def click(name: str) -> None:
        panel.locator("button", has_text=name).click()

    click("reset")
    wait_for(lambda: step() == 0, "reset did not begin anew")
    click("start")
    wait_for(lambda: step() > 60, "the training did not go on", 60)
    drag(slider(panel, "temperature"), 0.25)
    turned = step()
    wait_for(lambda: step() > turned + 60, "the training did not go on when its temperature was turned", 60)
    click("pause")
    wait_for(lambda: "paused" in status(panel), "the training was not paused")
    settle(panel)
    paused = step()
    panel.page.wait_for_timeout(300)
    assert step() == paused
    panel.screenshot(path=screens / "TrainingPanel.png")
    drag(slider(panel, "temperature"), 0.75)
    settle(panel)
    assert step() == paused
    click("start")
    wait_for(lambda: step() > paused, "the training did not go on where it stood")
    click("stop")
    wait_for(lambda: "ended at step" in status(panel), "the training did not stop")
    assert paused < step() < int(readout(panel, "step").split()[-1])


def test_the_slider_of_a_sweep_moves_between_its_finished_runs(gallery: dict[str, Locator]) -> None:
    panel = gallery["SweepPanel"]
    panel.scroll_into_view_if_needed()
    settle(panel)
    handle = slider(panel, "temperature")
    drag(handle, 0.0)
    seen, pixels = [], set()
    for place in range(4):
        if place:
            handle.press("ArrowRight")
        wait_for(lambda place=place: share(handle) == pytest.approx(place / 3), "the slider did not follow the key")
        pixels.add(settle(panel)["pixels"])
        seen.append((readout(panel, "temperature"), readout(panel, "tolerance")))
    assert [float(temperature) for temperature, _ in seen] == [0.07, 0.2, 0.5, 1.0]
    tolerances = [float(tolerance) for _, tolerance in seen]
    assert tolerances == sorted(tolerances)  # the hotter, the closer the samples of a class
    assert len(pixels) == 4
    assert look(panel)["texts"][0].startswith("4 runs over temperature")
