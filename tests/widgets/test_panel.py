import base64
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from io import BytesIO
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image
from static_pages import unpacked

from cl_explore.losses import Choice, Knob
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.marks import Points
from cl_explore.widgets.panel import WAITING, KnobPanel
from cl_explore.widgets.picture import Chart, Picture

VIEW = "application/vnd.jupyter.widget-view+json"


def shown(state: dict[str, Any], made: Any = None) -> Picture:
    readout = [("a", str(state["a"])), ("made", str(made))]
    return Picture("t", "a picture", [[Chart([Points([state["a"]], [state["b"]])])]], readout)


def panel_of(experiment: Callable[..., Any] | None = None) -> KnobPanel:
    return KnobPanel(
        {
            "a": counter(Knob("a", 0, 9), 2),
            "b": dial(Knob("b", 0.0, 1.0), 0.25),
            "c": dial(Choice("c", ("x", "y")), "x"),
        },
        shown,
        sweeps={"a": range(0, 9, 3), "b": np.linspace(0, 1, 3)},
        experiment=experiment,
        decides=("a",) if experiment else (),
    )


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> Callable[[KnobPanel], list[tuple[dict, dict]]]:
    """What a cell that ends with a panel shows: data and metadata of its outputs."""
    outputs: list[tuple[dict, dict]] = []

    def display(data: dict, *, raw: bool, metadata: dict | None = None) -> None:
        assert raw
        text = {kind: base64.b64encode(part).decode() if kind == "image/png" else part for kind, part in data.items()}
        outputs.append((text, metadata or {}))

    monkeypatch.setattr("cl_explore.widgets.panel.display", display)

    def of(panel: KnobPanel) -> list[tuple[dict, dict]]:
        outputs.clear()
        panel._ipython_display_()
        return outputs

    return of


def made(panel: KnobPanel) -> str:
    return dict(panel.picture.readout)["made"]


def test_a_moved_knob_is_drawn() -> None:
    panel = panel_of()
    assert panel.state() == {"a": 2, "b": 0.25, "c": "x"}
    panel.knobs["b"].value = 0.5
    assert panel.picture.charts[0].marks[0].y == 0.5
    assert np.float32(0.5).tobytes() in panel.canvas.data


def test_a_mark_that_is_dragged_sets_its_knob_within_its_stops() -> None:
    panel = panel_of()
    panel.canvas.moved = {"knobs": {"a": 4.4, "b": -3.0}, "count": 1}
    assert (panel.knobs["a"].value, panel.knobs["b"].value) == (4, 0.0)
    assert panel.picture.charts[0].marks[0].x == 4


def test_an_experiment_is_made_in_the_background_for_the_newest_setting_and_kept() -> None:
    asked, go = [], threading.Event()

    def experiment(a: int) -> int:
        asked.append(a)
        assert a == 2 or go.wait(10)
        return 10 * a

    panel = panel_of(experiment)
    assert made(panel) == "20"
    for value in (3, 4, 5):
        panel.knobs["a"].value = value
        assert panel.picture.charts[0].marks[0].x == value  # at once, while the last result stands
        assert made(panel) == "20"
        assert panel.picture.status == WAITING.format(f"{panel.knobs['a'].description} {value}")
    go.set()
    panel.wait()
    assert made(panel) == "50"
    assert panel.picture.status == ""
    assert asked == [2, 3, 5]  # 4 was overtaken
    panel.knobs["a"].value = 3
    assert made(panel) == "30"
    assert asked == [2, 3, 5]


def test_an_experiment_that_fails_is_said_and_the_panel_lives_on() -> None:
    def experiment(a: int) -> int:
        if a == 3:
            raise ValueError("three is too many")
        return a

    panel = panel_of(experiment)
    panel.knobs["a"].value = 3
    panel.wait()
    assert panel.picture.status == "not computed: three is too many"
    panel.knobs["a"].value = 4
    panel.wait()
    assert made(panel) == "4"


def test_a_page_without_a_kernel_steps_through_the_sweeps_from_where_the_knobs_stand() -> None:
    frames, (first, second) = unpacked(panel_of(lambda a: 10 * a).static().data)
    assert (first["stops"], first["start"]) == (["0", "2", "6"], 1)  # 3 gave way to the present 2
    assert (second["stops"], second["start"]) == (["0.25", "0.5", "1"], 0)
    assert (second["name"], second["values"]) == ("b", [0.25, 0.5, 1.0])  # what a dragged mark may set
    assert [dict(frame["readout"])["made"] for frame in frames] == [str(10 * a) for a in (0, 2, 6) for _ in range(3)]
    menu = {"c": dial(Choice("c", ("x", "y", "z")), "y")}
    of_menu = KnobPanel(menu, lambda state: shown({"a": 0, "b": 0}, state["c"]), sweeps={"c": ("x", "y", "z")})
    (third,) = unpacked(of_menu.static().data)[1]
    assert (third["stops"], third["start"], third["menu"]) == (["x", "y", "z"], 1, True)


def test_pages_that_nobody_reads_hold_what_needs_no_further_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_STATIC", "made")
    asked = []
    frames, (slider,) = unpacked(panel_of(lambda a: asked.append(a) or a).static().data)
    assert (len(frames), slider["name"], asked) == (3, "b", [2])


def test_a_closed_panel_is_free() -> None:
    before = len(_instances)
    panels = [panel_of(lambda a: a) for _ in range(3)]
    alive = [weakref.ref(panel) for panel in panels]
    assert len(_instances) > before
    for panel in panels:
        panel.close()
    del panel, panels
    gc.collect()
    assert [each() for each in alive] == [None] * 3
    assert len(_instances) == before


def test_a_page_without_the_widget_shows_the_still_picture(
    monkeypatch: pytest.MonkeyPatch, displayed: Callable
) -> None:
    monkeypatch.delenv("CL_EXPLORE_STATIC", raising=False)
    (still, metadata), (live, _) = displayed(panel_of())
    assert still["text/plain"] == "a picture"
    assert metadata["image/png"] == {"alt": "a picture"}
    assert Image.open(BytesIO(base64.b64decode(still["image/png"]))).width == 864
    outputs = [new_output("display_data", data=still, metadata=metadata), new_output("display_data", data=live)]
    cell = new_code_cell(outputs=outputs)
    for template in ("lab", "classic"):  # whose page carries the alt text too
        page, _ = HTMLExporter(template_name=template).from_notebook_node(new_notebook(cells=[cell]))
        assert still["image/png"][:200] in page.replace("\n", "")
        assert live[VIEW]["model_id"] not in page
    assert 'alt="a picture"' in page


def test_a_panel_is_html_when_asked(monkeypatch: pytest.MonkeyPatch, displayed: Callable) -> None:
    monkeypatch.setenv("CL_EXPLORE_STATIC", "all")
    ((data, metadata),) = displayed(panel_of())
    assert VIEW not in data
    assert metadata["image/png"] == {"alt": data["text/plain"]}, "the picture stays where code hosts drop scripts"
    assert data["text/html"].startswith("<div id=")


def test_panels_name_their_widget_manager_in_colab(monkeypatch: pytest.MonkeyPatch, displayed: Callable) -> None:
    """Colab's own part is played here: it knows where its manager of third-party widgets was installed from."""
    output = ModuleType("google.colab.output")
    output.enable_custom_widget_manager = lambda: None  # type: ignore[attr-defined]
    output._widgets = SimpleNamespace(_installed_url="https://widgets")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    _, (_, metadata) = displayed(panel_of())
    assert metadata[VIEW] == {"colab": {"custom_widget_manager": {"url": "https://widgets"}}}


def test_a_panel_that_is_closed_begins_no_other_experiment() -> None:
    asked, go = [], threading.Event()

    def experiment(a: int) -> int:
        asked.append(a)
        assert a == 2 or go.wait(10)
        return a

    panel = panel_of(experiment)
    panel.knobs["a"].value = 3
    panel.knobs["a"].value = 4
    worker = panel._worker
    panel.close()
    go.set()
    worker.join(10)
    assert asked == [2, 3]
