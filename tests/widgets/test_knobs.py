import json
import re
import threading
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.papers.cacr.panel import AttractionPanel
from cl_explore.papers.mochi.panel import MixPanel
from cl_explore.papers.mv_infonce_dhel import panel as views
from cl_explore.papers.mv_infonce_dhel.panel import ViewsPanel
from cl_explore.papers.varcon.panel import VarConPanel
from cl_explore.widgets.controls import controls
from cl_explore.widgets.knobs import WAITING, KnobPanel, counter, dial, of

LARGEST = 600_000  # bytes of a static panel
PANELS = {
    "varcon": VarConPanel,
    "attraction": AttractionPanel,
    "mix": MixPanel,
    "views": ViewsPanel,
}


def panel_of(experiment: Callable[..., Any] | None = None) -> KnobPanel:
    knobs = {"a": counter(Knob("a", 0, 9), 2), "b": dial(Knob("b", 0.0, 1.0), 0.25)}
    return KnobPanel(
        "varcon",
        knobs,
        {"title": "t", "alt": "a picture"},
        lambda state, result: {"x": np.array([state["a"], state["b"]]), "result": result, "readout": []},
        sweeps={"a": range(0, 9, 3), "b": np.linspace(0, 1, 3)},
        experiment=experiment,
        decides=("a",) if experiment else (),
    )


def packed(text: str) -> dict:
    return json.loads(re.search(r'still\(panel, document.getElementById\("[^"]+"\), (.*)\);\n', text)[1])


def test_a_knob_is_taken_from_the_catalogue_with_its_help_and_another_range() -> None:
    knob = of(losses.varcon, "temperature", low=0.1)
    assert (knob.low, knob.high, knob.log) == (0.1, 2.0, True)
    made = dial(knob, 0.5, "temperature τ₁", step=0.1)
    assert made.tooltip == knob.help
    assert (made.description, made.step, made.value) == ("temperature τ₁", 0.1, 0.5)


def test_a_control_outside_its_range_is_refused_and_a_loss_widens_its_own() -> None:
    with pytest.raises(ValueError, match=r"temperature must be between 0.1 and 2.0, got 0.05"):
        dial(of(losses.varcon, "temperature", low=0.1), 0.05)
    with pytest.raises(ValueError, match="a must be between 0 and 9, got 10"):
        counter(Knob("a", 0, 9), 10)

    @losses.loss(title="own", paper="", family="", formula="", knobs=[Knob("t", 0.1, 1.0, log=True)], min_views=2)
    def own(z: Tensor, *, t: float = 5.0) -> dict[str, Tensor]:
        return losses.nt_xent.parts(z, temperature=t)

    assert controls(own)["t"].value == pytest.approx(5.0)


def test_a_moved_knob_is_drawn() -> None:
    panel = panel_of()
    assert panel.state() == {"a": 2, "b": 0.25}
    panel.knobs["b"].value = 0.5
    np.testing.assert_array_equal(np.frombuffer(panel.canvas.frame["x"], "<f4"), [2, 0.5])


def test_an_experiment_is_made_in_the_background_for_the_newest_setting_and_kept() -> None:
    asked, go = [], threading.Event()

    def experiment(a: int) -> int:
        asked.append(a)
        assert a == 2 or go.wait(10)
        return 10 * a

    panel = panel_of(experiment)
    assert panel.frame["result"] == 20
    for value in (3, 4, 5):
        panel.knobs["a"].value = value
        assert panel.frame["x"][0] == value  # at once, while the last result stands
        assert panel.frame["result"] == 20
        assert panel.frame["status"] == WAITING
    go.set()
    panel.wait()
    assert panel.frame["result"] == 50
    assert "status" not in panel.frame
    assert asked == [2, 3, 5]  # 4 was overtaken
    panel.knobs["a"].value = 3
    assert panel.frame["result"] == 30
    assert asked == [2, 3, 5]


def test_an_experiment_that_fails_is_said_and_the_panel_lives_on() -> None:
    def experiment(a: int) -> int:
        if a == 3:
            raise ValueError("three is too many")
        return a

    panel = panel_of(experiment)
    panel.knobs["a"].value = 3
    panel.wait()
    assert panel.frame["status"] == "not computed: three is too many"
    panel.knobs["a"].value = 4
    panel.wait()
    assert panel.frame["result"] == 4


def test_a_page_without_a_kernel_steps_through_the_sweeps_from_where_the_knobs_stand() -> None:
    data = packed(panel_of(lambda a: 10 * a).static().data)
    first, second = data["sliders"]
    assert (first["stops"], first["start"]) == (["0", "2", "6"], 1)  # 3 gave way to the present 2
    assert (second["stops"], second["start"]) == (["0.25", "0.5", "1"], 0)
    assert [frame["result"] for frame in data["frames"]] == [0, 0, 0, 20, 20, 20, 60, 60, 60]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments as small as they can be."""
    monkeypatch.setattr(views, "STEPS", 2)
    monkeypatch.setattr(views, "DRAWS", 2)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", PANELS)
def test_every_panel_is_one_small_block_of_html_and_reads_out_what_it_shows(name: str) -> None:
    panel = PANELS[name]()
    text = panel.static().data
    assert len(text.encode()) < LARGEST
    assert not re.search(r"(https?:)?//[\w.]+\.\w+/|import\s*\(|fetch\(", text)
    data = packed(text)
    assert len(data["frames"]) == np.prod([len(slider["stops"]) for slider in data["sliders"]])
    assert len({json.dumps(frame["readout"]) for frame in data["frames"]}) > 1
    for knob in panel.knobs.values():
        assert knob.tooltip or knob.description == "on the"
    lengths = {key: value.size for key, value in panel.frame.items() if isinstance(value, np.ndarray)}
    assert {key: data["arrays"][key]["length"] for key in lengths} == lengths
    assert sum(lengths.values()) < 5000  # what travels with every move of a slider


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VarConPanel(temperature=0.05), "temperature must be between 0.1 and 1.0, got 0.05"),
        (lambda: VarConPanel(epsilon=0.1), "epsilon must be between 0.0 and 0.09, got 0.1"),
        (lambda: VarConPanel(classes=11), "classes must be between 3 and 10, got 11"),
        (lambda: AttractionPanel(tau_pos=-1), "tau_pos must be between 0 and 5, got -1"),
        (lambda: AttractionPanel(tau_neg=11), "tau_neg must be between 0 and 10, got 11"),
        (lambda: MixPanel(hardest=1), "hardest must be between 2 and 80, got 1"),
        (lambda: MixPanel(dim=4), "dim must be between 2 and 3, got 4"),
        (lambda: ViewsPanel(views=3), "views must be one of 2, 4, 6, 8, got 3"),
        (lambda: ViewsPanel(strength=0), "strength must be between 0.5 and 5, got 0"),
    ],
)
def test_bad_input_is_named(make: Callable[[], KnobPanel], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_knobs_of_a_panel_reach_every_corner_of_their_range() -> None:
    for kind, knobs in (
        (AttractionPanel, ("tau_pos", "tau_neg", "spread", "views")),
        (MixPanel, ("hardest", "pairs", "queries")),
    ):
        panel = kind()
        for ends in product(*((panel.knobs[name].min, panel.knobs[name].max) for name in knobs)):
            for name, value in zip(knobs, ends, strict=True):
                panel.knobs[name].value = value
            assert all(np.isfinite(value).all() for value in panel.frame.values() if isinstance(value, np.ndarray))
