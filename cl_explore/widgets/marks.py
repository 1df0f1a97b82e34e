"""The marks that charts are made of: points, lines, bars, cells and the rest, as data that draws nothing itself."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cl_explore.widgets.mark import Column, Dash, Mark, finite


@dataclass(frozen=True, eq=False)
class Points(Mark):
    """Markers at x, y (n,), or at x, y, z on a chart that turns.

    colour, marker: one, or several looks of which `group` (n,) chooses one for each point.
    size: radius in pixels.
    hollow: outlines only.
    drag_x, drag_y: for each point the knob that takes its x, its y when it is dragged; "" for a point that stays.
    pick: the knob that takes the place of the point that is clicked.
    lasso: the knob that takes the places of the points within a line that is drawn round them, with Shift where the
        chart turns; a click on nothing gives it an empty list.
    legend: the knob that takes the place of the name that is clicked in the legend.
    thumbnails: show point i with picture i of the panel's sheet.
    unit: (n, D) int8, 127ths of unit vectors, from which a page without a kernel finds the neighbours of the point that
        is clicked and the statistics of those within the line; `fields` hold "class", "sample" and "place".
    """

    x: Column
    y: Column
    z: Column | None = None
    _: KW_ONLY
    colour: str | Sequence[str] = "#0072B2"
    marker: str | Sequence[str] = "o"
    group: Any = None
    size: float = 4.4
    hollow: bool = False
    drag_x: Sequence[str] = ()
    drag_y: Sequence[str] = ()
    pick: str = ""
    lasso: str = ""
    legend: str = ""
    thumbnails: bool = False
    unit: NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        self._looks()
        markers = (self.marker,) if isinstance(self.marker, str) else tuple(self.marker)
        if len(markers) not in (1, len(self.colour)):
            raise ValueError(f"marker must be one or {len(self.colour)}, as many as colours, got {len(markers)}")
        self._set("marker", markers)
        super().__post_init__()
        for name, knobs in (("drag_x", self.drag_x), ("drag_y", self.drag_y)):
            if len(knobs) not in (0, len(self.x)):
                raise ValueError(f"{name} must name {len(self.x)} knobs, got {len(knobs)}")
        if self.unit is not None:
            if self.unit.dtype != np.int8 or self.unit.ndim != 2 or len(self.unit) != len(self.x):
                raise ValueError(f"unit must be int8 ({len(self.x)}, D), got {self.unit.dtype} {self.unit.shape}")
            self._set("unit", self.unit.ravel())


@dataclass(frozen=True, eq=False)
class Line(Mark):
    """A line through x, y (n,), or x, y, z on a chart that turns; NaN interrupts it."""

    x: Column
    y: Column
    z: Column | None = None
    _: KW_ONLY
    colour: str = "#0072B2"
    width: float = 2.0
    dash: Dash = "solid"


@dataclass(frozen=True, eq=False)
class Edges(Mark):
    """Lines between nodes at x, y (n,): edge k joins the nodes pairs[k], (m, 2).

    width: pixels, of all or (m,) of each; edges below 0.2 are left out, and on a chart that turns those behind.
    curved: from left to right in an S, as the ribbons of a flow.
    """

    x: Column
    y: Column
    pairs: Any
    z: Column | None = None
    _: KW_ONLY
    colour: str = "muted"
    width: Column = 1.0
    dash: Dash = "solid"
    curved: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = np.asarray(self.pairs, dtype=np.int64).reshape(-1, 2)
        if len(pairs) and not 0 <= pairs.min() <= pairs.max() < len(self.x):
            raise ValueError(f"pairs must be places of the {len(self.x)} nodes")
        if np.ndim(self.width) and len(self.width) != len(pairs):
            raise ValueError(f"width must be one number or {len(pairs)}, one an edge, got {len(self.width)}")
        self._set("pairs", pairs.ravel().astype(np.float32))


@dataclass(frozen=True, eq=False)
class Arrows(Mark):
    """Arrows from x, y (n,) by dx, dy, and on a chart that turns from z by dz."""

    x: Column
    y: Column
    dx: Column
    dy: Column
    z: Column | None = None
    dz: Column | None = None
    _: KW_ONLY
    colour: str = "ink"
    width: float = 1.2


@dataclass(frozen=True, eq=False)
class Bars(Mark):
    """Upright bars of `height` (n,), from 0, around x (n,).

    width: in units of x.
    colour: one, or several of which `group` (n,) chooses one for each bar.
    outline: bars that one sees through, with a rim.
    """

    x: Column
    height: Column
    _: KW_ONLY
    width: float = 0.82
    colour: str | Sequence[str] = "#0072B2"
    group: Any = None
    outline: bool = False

    def __post_init__(self) -> None:
        self._looks()
        super().__post_init__()

    def span(self, axis: Literal["x", "y"]) -> NDArray[np.float32]:
        """The edges of the bars, or their heights and 0."""
        if axis == "y":
            return np.append(self.height, np.float32(0))
        return np.concatenate([self.x - self.width / 2, self.x + self.width / 2])


@dataclass(frozen=True, eq=False)
class Heat(Mark):
    """Cells coloured by `values` (rows, columns) on viridis from `low` to `high`; cell i, j covers x j..j+1, y i..i+1.

    text: write the values into the cells, to two digits.
    """

    values: Any
    _: KW_ONLY
    low: float = 0.0
    high: float = 1.0
    text: bool = False
    columns: int = 0

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float32)
        if values.ndim != 2:
            raise ValueError(f"heat values must be (rows, columns), got shape {values.shape}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        self._set("values", values.ravel())
        self._set("columns", values.shape[1])
        super().__post_init__()

    def _items(self) -> dict[str, Any]:
        return {"values": self.values}

    def span(self, axis: Literal["x", "y"]) -> NDArray[np.float32]:
        """The edges of the outer cells."""
        return np.array([0, self.columns if axis == "x" else len(self.values) // self.columns], np.float32)


@dataclass(frozen=True, eq=False)
class Images(Mark):
    """Pictures, `pixels` uint8 (n, height, width) grey or (n, height, width, 3), centred at x, y (n,).

    side: width in units of x; pixels are square.
    shade: opacity of each (n,), on top of `alpha`.
    """

    pixels: Any
    x: Column
    y: Column
    _: KW_ONLY
    side: float = 0.9
    shade: Column | None = None
    tall: int = 0
    wide: int = 0

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3):
            raise ValueError(
                f"pixels must be uint8 (n, height, width) or (n, height, width, 3), got {pixels.dtype} {pixels.shape}"
            )
        super().__post_init__()
        if len(pixels) != len(self.x) or (self.shade is not None and len(self.shade) != len(self.x)):
            raise ValueError(f"images need {len(self.x)} pictures and shades, one for each x")
        self._set("pixels", pixels.ravel())
        self._set("tall", pixels.shape[1])
        self._set("wide", pixels.shape[2])

    def span(self, axis: Literal["x", "y"]) -> NDArray[np.float32]:
        """The edges of the pictures."""
        half = self.side / 2 * (1 if axis == "x" else self.tall / self.wide)
        return np.concatenate([super().span(axis) - half, super().span(axis) + half])


@dataclass(frozen=True, eq=False)
class Rule(Mark):
    """A straight line across the chart at one x or one y.

    label: text at its end.
    drag: the knob that takes its place when it is dragged.
    """

    _: KW_ONLY
    x: float | None = None
    y: float | None = None
    colour: str = "ink"
    width: float = 1.2
    dash: Dash = "solid"
    label: str = ""
    drag: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        axis = self._axis()
        self._set(axis, finite(getattr(self, axis), f"rule {axis}"))


@dataclass(frozen=True, eq=False)
class Band(Mark):
    """A shaded stripe across the chart from one x to another, or from one y to another."""

    _: KW_ONLY
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    colour: str = "muted"
    alpha: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        axis = self._axis()
        low, high = getattr(self, axis)
        self._set(axis, (finite(low, f"band {axis}"), finite(high, f"band {axis}")))

    def _items(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, eq=False)
class Text(Mark):
    """Texts at x, y (n,), `dx` to the right and `dy` down in pixels.

    anchor: where along the text its place is; vertically always its middle.
    """

    x: Column
    y: Column
    text: Sequence[str]
    z: Column | None = None
    _: KW_ONLY
    colour: str = "ink"
    size: float = 12.0
    bold: bool = False
    anchor: Literal["left", "center", "right"] = "center"
    dx: float = 0.0
    dy: float = 0.0

    def __post_init__(self) -> None:
        self._set("text", tuple(self.text) if not isinstance(self.text, str) else (self.text,))
        for axis in ("x", "y"):
            self._set(axis, np.atleast_1d(np.asarray(getattr(self, axis), np.float32)))
        super().__post_init__()


@dataclass(frozen=True, eq=False)
class Polygon(Mark):
    """A closed outline through x, y (n,), filled with `colour`; rim: its line, in pixels."""

    x: Column
    y: Column
    _: KW_ONLY
    colour: str = "#0072B2"
    alpha: float = 0.3
    rim: float = 0.0


def circle(radius: float = 1.0, *, colour: str = "muted", width: float = 1.0, dash: Dash = "solid") -> Line:
    """The circle of a radius around 0, 0."""
    angle = np.linspace(0, 2 * np.pi, 73)
    return Line(radius * np.cos(angle), radius * np.sin(angle), colour=colour, width=width, dash=dash)
