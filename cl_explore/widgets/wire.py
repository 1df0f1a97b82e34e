"""Pictures on their way to a page: text and one buffer for a live panel, one HTML block with all frames for a still."""

import base64
import html
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from IPython.display import HTML
from numpy.typing import NDArray

from cl_explore.widgets.mark import Mark
from cl_explore.widgets.picture import Chart, Picture

MODULES = (
    "paint.js",
    "marks.js",
    "chart.js",
    "view.js",
    "near.js",
    "page.js",
)  # each imports only from those before it
Keep = Callable[[NDArray[Any]], Any]
"""What stands in the text for an array."""
Share = Callable[[Any], Any]
"""What stands in the text for a part that pictures may have in common."""


@cache
def source(name: str) -> str:
    """The text of a file of `widgets/js`."""
    return (files("cl_explore.widgets") / "js" / name).read_text(encoding="utf-8")


@cache
def renderer() -> str:
    """The renderer's modules as one script without imports and exports."""
    joined = "\n".join(source(name).replace('"use strict";\n', "") for name in MODULES)
    return re.sub(r"^export ", "", re.sub(r"^import [^;]*;\n", "", joined, flags=re.M), flags=re.M)


def encoded(picture: Picture, keep: Keep, share: Share = lambda part: part) -> dict[str, Any]:
    """The picture as plain values."""
    rows = [[[share(_chart(chart, keep, share)) for chart in column] for column in row] for row in picture.columns]
    readout = [list(pair) for pair in picture.readout]
    texts = {"title": share(picture.title), "alt": share(picture.alt), "status": picture.status}
    return texts | {"rows": rows, "readout": readout}


def _chart(chart: Chart, keep: Keep, share: Share) -> dict[str, Any]:
    """The marks of a chart, and apart from them its look, which seldom changes."""
    x, y = chart.axes
    look = {own.name: getattr(chart, own.name) for own in fields(chart) if own.name != "marks"}
    look |= {"x": vars(x), "y": vars(y)}
    return {"look": share(look), "marks": [share(_mark(mark, keep, share)) for mark in chart.marks]}


def _mark(mark: Mark, keep: Keep, share: Share) -> dict[str, Any]:
    """The arrays of a mark, and apart from them its look, which seldom changes."""
    look: dict[str, Any] = {"kind": mark.kind}
    columns = {f"fields.{name}": column for name, column in mark.fields.items()}
    for name, value in vars(mark).items():
        if isinstance(value, np.ndarray):
            columns[name] = value
        elif name != "fields" and value is not None:
            look[name] = value
    kept = {name: keep(part) if isinstance(part, np.ndarray) else share(part) for name, part in columns.items()}
    return {"look": share(look), **kept}


def to_buffer(picture: Picture) -> tuple[str, bytes]:
    """The picture as JSON in which `{"$": [type, start, length]}` stands for a piece of the buffer beside it.

    Floats are float32 and start at multiples of four; bytes are uint8.
    """
    pieces: list[bytes] = []
    known: dict[int, dict[str, Any]] = {}  # by the identity of the array: marks have columns in common
    start = 0

    def keep(array: NDArray[Any]) -> dict[str, Any]:
        nonlocal start
        if id(array) in known:
            return known[id(array)]
        single = array.dtype == np.uint8
        piece = array.tobytes() if single else array.astype("<f4", copy=False).tobytes()
        pieces.append(piece + bytes(-len(piece) % 4))
        start += len(pieces[-1])
        return known.setdefault(id(array), {"$": ["u1" if single else "f4", start - len(pieces[-1]), array.size]})

    text = json.dumps(encoded(picture, keep), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text, b"".join(pieces)


@dataclass(frozen=True)
class Slider:
    """A slider of a page without a kernel.

    label: before it.
    stops: its places as text.
    start: the place where it stands.
    play: a button moves it.
    menu: it is a menu, for stops without an order.
    name: the knob it stands for, which a dragged mark may set, with the `values` of the stops.
    """

    label: str
    stops: Sequence[str]
    start: int = 0
    play: bool = False
    menu: bool = False
    name: str = ""
    values: Sequence[float] = ()


def static_block(frames: Sequence[Picture], sliders: Sequence[Slider], sheet: Mapping[str, Any] | None = None) -> HTML:
    """A panel that moves without a kernel: one HTML block with all frames, drawn by the same JavaScript.

    `frames` holds one picture for each combination of stops, the last slider turning fastest; `sheet` the small
    pictures that the pointer shows. Arrays, marks and charts
    that frames share are kept once; floats are rounded to 16 bits of their largest absolute value, whole numbers exact.
    Raises ValueError if the number of frames differs from the number of combinations.
    """
    needed = math.prod(len(slider.stops) for slider in sliders)
    if len(frames) != needed:
        raise ValueError(
            f"frames must hold one frame for each of the {needed} combinations of stops, got {len(frames)}"
        )
    shared: dict[str, int] = {}

    def share(part: Any) -> dict[str, int]:
        return {"$": shared.setdefault(_json(part), len(shared))}

    packed = [encoded(frame, lambda array: share(_rounded(array)), share) for frame in frames]
    data = {"frames": packed, "sliders": [vars(slider) for slider in sliders], "sheet": sheet or {}}
    # "<" in a string could end the script element or hide its end
    text = f'{_json(data)[:-1]},"shared":[{",".join(shared)}]}}'.replace("<", "\\u003c")
    root = f"clx-{uuid.uuid4().hex}"
    return HTML(
        f'<div id="{root}">{html.escape(frames[0].alt)} (The sliders of this picture need JavaScript.)</div>\n'
        f"<style>{source('picture.css')}</style>\n"
        f"<script>(() => {{\n{renderer()}\n"
        f'still(document.getElementById("{root}"), {text});\n}})();</script>'
    )


def _json(part: Any) -> str:
    return json.dumps(part, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _rounded(array: NDArray[Any]) -> dict[str, Any]:
    """The array in as few bytes as hold it; the lowest number of 16 bits stands for NaN."""
    if array.dtype == np.uint8:
        return {"type": "Uint8Array", "scale": 1, "data": base64.b64encode(array.tobytes()).decode()}
    values = array.astype(np.float64)
    known = np.isfinite(values)
    largest = float(np.abs(values[known]).max(initial=0))
    exact = bool(known.all()) and largest < 2**31 and bool((values == np.round(values)).all())
    bits = 16 if not exact else 8 if largest < 2**7 else 16 if largest < 2**15 else 32
    scale = 1.0 if exact else largest / 32767 or 1.0
    binary = np.where(known, np.round(np.where(known, values, 0) / scale), -(2 ** (bits - 1))).astype(f"<i{bits // 8}")
    return {
        "type": f"Int{bits}Array",
        "scale": float(f"{scale:.9g}"),
        "data": base64.b64encode(binary.tobytes()).decode(),
    }
