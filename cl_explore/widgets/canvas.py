"""Here lives what puts a picture on a page: the canvas fed by a kernel and the HTML block that needs none."""

import base64
import html
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython.display import HTML
from numpy.typing import NDArray

Fields = Mapping[str, Any]
"""What a picture is drawn from: NumPy arrays, which travel as binary, and plain values, which travel as JSON."""


MAPS = ("embedding", "sweep", "training")  # panels that draw embedded samples


@cache
def source(name: str) -> str:
    """The text of a file of `widgets/js`."""
    return (files("cl_explore.widgets") / "js" / name).read_text(encoding="utf-8")


def drawing(panel: str) -> str:
    """The JavaScript of a panel: the shared drawing and mounting functions and the panel's own file."""
    shared = ("draw.js", "mount.js", "map.js") if panel in MAPS else ("draw.js", "mount.js")
    return "\n".join(source(name) for name in (*shared, f"{panel}.js"))


class Canvas(anywidget.AnyWidget):
    """Title, picture and read-out of one panel in the page; `panel` names the JavaScript file that draws it.

    `scene` holds what changes rarely, `frame` what changes with every move of a slider: the picture is drawn from both.
    Arrays travel as float32, so whole numbers are exact up to 2^24; those of uint8 as they are.
    """

    _css = source("panel.css")
    scene = traitlets.Dict().tag(sync=True)
    frame = traitlets.Dict().tag(sync=True)

    def __init__(self, panel: str) -> None:
        self._esm = f"{drawing(panel)}\nexport default {{ render: (context) => live(panel, context) }};"
        super().__init__()

    def show(self, *, scene: Fields | None = None, frame: Fields | None = None) -> None:
        """Draw a new scene, a new frame, or both at once."""
        with self.hold_sync():
            if scene is not None:
                self.scene = _binary(scene)
            if frame is not None:
                self.frame = _binary(frame)


def _binary(fields: Fields) -> dict[str, Any]:
    return {name: _bytes(value) if isinstance(value, np.ndarray) else value for name, value in fields.items()}


def _bytes(array: NDArray[Any]) -> Any:
    return {"uint8": array.tobytes()} if array.dtype == np.uint8 else array.astype("<f4").tobytes()


@dataclass(frozen=True)
class Slider:
    """A slider of a page without a kernel: its stops as text, where it stands, and whether a button plays it.

    With `menu` it is a menu, for stops without an order.
    """

    label: str
    stops: Sequence[str]
    start: int = 0
    play: bool = False
    menu: bool = False


def row(*controls: ipywidgets.Widget) -> ipywidgets.Box:
    """Controls side by side, in more lines where the page is narrow."""
    return ipywidgets.Box(controls, layout={"flex_flow": "row wrap", "width": "100%", "max_width": "900px"})


class Panel(ipywidgets.VBox):
    """Controls above a canvas. A subclass computes `scene` and `frame` from the controls and writes `static`."""

    def __init__(self, name: str, controls: Sequence[ipywidgets.Widget]) -> None:
        self.canvas = Canvas(name)
        self.scene: Fields = {}
        self.frame: Fields = {}
        super().__init__([row(*controls), self.canvas])
        self.add_class("clx-panel")
        self._name = name

    def show(self, *, scene: Fields | None = None, frame: Fields | None = None) -> None:
        """Draw what changed; `scene` and `frame` keep the arrays that the picture shows."""
        self.scene, self.frame = scene or self.scene, frame or self.frame
        self.canvas.show(scene=scene, frame=frame)

    def static(self) -> HTML:
        """The panel as one HTML block that needs neither a kernel nor a network."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if os.environ.get("CL_EXPLORE_STATIC") == "1":
            return {"text/html": self.static().data, "text/plain": self.scene["alt"]}
        # In Colab the canvas knows which widget manager must be fetched to show it; the box around it does not.
        _, metadata = self.canvas._repr_mimebundle_(**kwargs) or ({}, {})
        return super()._repr_mimebundle_(**kwargs), metadata


def block(panel: str, scene: Fields, frames: Sequence[Fields], sliders: Sequence[Slider]) -> HTML:
    """A panel that moves without a kernel: one HTML block with all frames, drawn by the same JavaScript.

    `frames` holds one frame for each combination of stops, the last slider turning fastest; an array has the same
    length in all of them, and rows that frames share are kept once. Whole numbers are kept exact, other arrays in 16
    bits of their largest absolute value.
    Raises ValueError if the number of frames differs from the number of combinations.
    """
    needed = int(np.prod([len(slider.stops) for slider in sliders]))
    if len(frames) != needed:
        raise ValueError(
            f"frames must hold one frame for each of the {needed} combinations of stops, got {len(frames)}"
        )
    arrays = {name: _packed([value]) for name, value in scene.items() if isinstance(value, np.ndarray)}
    arrays |= {
        name: _packed([frame[name] for frame in frames])
        for name, value in frames[0].items()
        if isinstance(value, np.ndarray)
    }
    data = {
        "scene": _plain(scene),
        "frames": [_plain(frame) for frame in frames],
        "arrays": arrays,
        "sliders": [vars(slider) for slider in sliders],
    }
    root = f"clx-{uuid.uuid4().hex}"
    # "</" inside a string would end the script element
    packed = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    return HTML(
        f'<div id="{root}">{html.escape(scene["alt"])} (The sliders of this picture need JavaScript.)</div>\n'
        f"<style>{source('panel.css')}</style>\n"
        f"<script>(() => {{\n{drawing(panel)}\n"
        f'still(panel, document.getElementById("{root}"), {packed});\n}})();</script>'
    )


def _plain(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if not isinstance(value, np.ndarray)}


def _packed(rows: Sequence[NDArray[Any]]) -> dict[str, Any]:
    stack = np.stack([np.ravel(row) for row in rows])
    found: dict[bytes, int] = {}
    order = [found.setdefault(row.tobytes(), len(found)) for row in stack]
    shared = len(found) < len(stack)
    if shared:
        stack = stack[[order.index(place) for place in range(len(found))]]
    exact = np.issubdtype(stack.dtype, np.integer)
    scale = 1.0 if exact else float(np.abs(stack).max(initial=0)) / 32767 or 1.0
    largest = int(np.abs(stack.astype(np.int64)).max(initial=0)) if exact else 32767
    bits = 8 if largest < 2**7 else 16 if largest < 2**15 else 32
    binary = np.round(stack / scale).astype(f"<i{bits // 8}")
    packed = {"type": f"Int{bits}Array", "scale": scale, "length": stack.shape[1]}
    packed["data"] = base64.b64encode(binary.tobytes()).decode()
    return packed | ({"rows": order} if shared else {})
