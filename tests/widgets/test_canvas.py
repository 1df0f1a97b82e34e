import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from cl_explore.data import Dataset, load
from cl_explore.train import Run
from cl_explore.widgets import (
    EmbeddingPanel,
    SweepPanel,
    TrainingPanel,
)
from cl_explore.widgets.canvas import Canvas, Panel, Slider, block, drawing, source

OLD = ["embedding", "sweep", "training"]  # panels with a script of their own
LARGEST = 600_000  # bytes of a static panel


@pytest.fixture
def panels(make_run: Callable[..., Run], dataset: Dataset) -> dict[str, Panel]:
    sweep = SweepPanel(lambda seed: make_run(), {"seed": [0, 1]}, dataset, jobs=1)
    gaussians = load("gaussians", classes=2, latent=4, features=8, train_per_class=20)
    sweep.wait()
    return {
        "embedding": EmbeddingPanel(make_run(), dataset),
        "sweep": sweep,
        "training": TrainingPanel(gaussians, encoder="linear", epochs=2, batch_size=8),
    }


class Page(HTMLParser):
    """Collects tags, ids and scripts; complains about anything loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.open: list[str] = []
        self.script = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.script += data


def packed(script: str) -> dict:
    """The data handed to `still`."""
    return json.loads(re.search(r'still\(panel, document.getElementById\("[^"]+"\), (.*)\);\n', script).group(1))


def unpack(array: dict) -> np.ndarray:
    kind = {"Int8Array": "<i1", "Int16Array": "<i2", "Int32Array": "<i4"}[array["type"]]
    rows = np.frombuffer(base64.b64decode(array["data"]), kind).reshape(-1, array["length"]) * array["scale"]
    return rows[array["rows"]] if "rows" in array else rows


@pytest.mark.parametrize("name", OLD)
def test_static_panel_is_one_whole_small_block_of_html_without_network(panels: dict[str, Panel], name: str) -> None:
    panel = panels[name]
    text = panel.static().data
    assert len(text.encode()) < LARGEST
    page = Page(text)
    assert page.open == []
    assert not re.search(r"(https?:)?//[\w.]+\.\w+/|import\s*\(|fetch\(", page.script)
    assert drawing(name) in page.script  # the same functions that draw the live panel
    assert drawing(name) in panel.canvas._esm
    assert len(page.ids) == 1
    data = packed(page.script)
    assert len(data["frames"]) == np.prod([len(slider["stops"]) for slider in data["sliders"]])
    assert panel.scene["alt"]


def test_static_embedding_holds_all_snapshots(panels: dict[str, Panel]) -> None:
    panel = panels["embedding"]
    data = packed(Page(panel.static().data).script)
    points = unpack(data["arrays"]["points"])
    for place in range(4):
        panel.snapshot.value = place
        np.testing.assert_allclose(points[place], panel.frame["points"], atol=1e-3)
    np.testing.assert_array_equal(unpack(data["arrays"]["index"])[0], 100 + np.arange(30))  # exact
    colours = [text for text, _ in panel.colour.options]
    menu, training = data["sliders"]
    assert menu["stops"] == colours
    assert menu["menu"]
    assert len(training["stops"]) == 4
    packed_points = data["arrays"]["points"]
    assert packed_points["rows"] == [0, 1, 2, 3] * len(colours)  # kept once for all colours
    assert unpack(data["arrays"]["unit"]).shape == (4 * len(colours), 30 * 6)
    size = data["frames"][4 * colours.index("size")]
    assert size["colour"] == "size"
    np.testing.assert_array_equal(unpack(data["arrays"]["labels"])[0], np.arange(30) % 3)


def test_block_keeps_text_from_ending_its_script_and_counts_frames() -> None:
    scene = {"title": "</script><b>", "alt": '<i> & "'}
    page = Page(block("sweep", scene, [{"a": np.zeros(2)}] * 2, [Slider("s", ["0", "1"])]).data)
    assert page.open == []
    assert packed(page.script)["scene"] == scene
    with pytest.raises(ValueError, match="frames must hold one frame for each of the 3 combinations of stops, got 1"):
        block("sweep", scene, [{"a": np.zeros(2)}], [Slider("s", ["0", "1", "2"])])


def test_canvas_sends_arrays_as_float32_and_the_rest_as_it_is() -> None:
    canvas = Canvas("sweep")
    canvas.show(scene={"n": np.arange(3)}, frame={"x": np.array([0.5]), "title": "t", "none": None})
    np.testing.assert_array_equal(np.frombuffer(canvas.scene["n"], "<f4"), [0, 1, 2])
    assert canvas.frame == {"x": np.float32(0.5).tobytes(), "title": "t", "none": None}
    assert canvas._esm.endswith("export default { render: (context) => live(panel, context) };")
    assert ".clx" in canvas._css


@pytest.mark.parametrize("name", OLD)
def test_panels_display_without_a_page_and_as_html_when_asked(
    panels: dict[str, Panel], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panels[name]
    monkeypatch.delenv("CL_EXPLORE_STATIC", raising=False)
    data, _ = DisplayFormatter().format(panel)
    assert "application/vnd.jupyter.widget-view+json" in data
    monkeypatch.setenv("CL_EXPLORE_STATIC", "1")
    data, _ = DisplayFormatter().format(panel)
    assert "application/vnd.jupyter.widget-view+json" not in data
    assert data["text/html"].startswith("<div id=")
    assert data["text/plain"] == panel.scene["alt"]


def test_arrays_are_packed_exactly_in_as_few_bytes_as_hold_them() -> None:
    frames = [
        {"small": np.array([k, -3]), "large": np.array([300 * k]), "huge": np.array([10**6 * k])} for k in range(3)
    ]
    scene = {"alt": "", "title": ""}
    arrays = packed(Page(block("sweep", scene, frames, [Slider("s", ["0", "1", "2"])]).data).script)["arrays"]
    assert [arrays[name]["type"] for name in ("small", "large", "huge")] == ["Int8Array", "Int16Array", "Int32Array"]
    np.testing.assert_array_equal(unpack(arrays["huge"]), [[0], [10**6], [2 * 10**6]])


def test_canvas_sends_bytes_as_bytes() -> None:
    canvas = Canvas("sweep")
    canvas.show(frame={"mask": np.array([1, 0, 255], dtype=np.uint8)})
    assert canvas.frame == {"mask": {"uint8": b"\x01\x00\xff"}}


def test_pictures_are_accessible() -> None:
    mounted = source("mount.js")
    assert 'role="img"' in mounted
    assert "aria-label" in mounted
    assert 'aria-live="polite"' in mounted
