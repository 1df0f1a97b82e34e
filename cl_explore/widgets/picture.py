"""A picture as data: rows of charts made of marks, with a title, read-outs and alt text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cl_explore.widgets.mark import Mark


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    label: what it shows, with its unit.
    range: (first, last), also in falling order; None fits the marks, with a margin.
    log: logarithmic.
    ticks: where it is marked; None chooses round numbers.
    names: texts at the ticks instead of their numbers.
    grid: lines across the chart at the ticks.
    """

    label: str = ""
    range: tuple[float, float] | None = None
    log: bool = False
    ticks: Sequence[float] | NDArray[np.floating] | None = None
    names: Sequence[str] = ()
    grid: bool = False

    def __post_init__(self) -> None:
        if self.ticks is not None:
            object.__setattr__(self, "ticks", tuple(float(tick) for tick in self.ticks))
        if self.range is not None:
            low, high = self.range
            if not (math.isfinite(low) and math.isfinite(high)) or low == high:
                raise ValueError(f"range must be two different finite numbers, got {self.range}")
            if self.log and min(low, high) <= 0:
                raise ValueError(f"range of a logarithmic axis must be positive, got {self.range}")
        if self.names and len(self.names) != len(self.ticks or ()):
            raise ValueError(f"names must be {len(self.ticks or ())}, one for each tick, got {len(self.names)}")

    def fitted(self, values: NDArray[np.floating]) -> "Axis":
        """The axis with a range: its own, or one that shows the values with a margin of 5 %."""
        if self.range is not None:
            return self
        known = values[np.isfinite(values) & (values > 0 if self.log else True)]
        if not len(known):
            return replace(self, range=(1.0, 10.0) if self.log else (0.0, 1.0))
        low, high = float(known.min()), float(known.max())
        if self.log:
            factor = (high / low) ** 0.05 if high > low else 1.5
            return replace(self, range=(low / factor, high * factor))
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        return replace(self, range=(low - margin, high + margin))


@dataclass(frozen=True, eq=False)
class Chart:
    """Marks on two axes, drawn in their order.

    title: above the chart, as HTML text that wraps; so do the legend, made of the names of marks, and the `note` below.
    width: share of its row.
    height: pixels of the chart without title, legend and note; with `equal`, at most.
    equal: a unit is equally long on both axes.
    bare: without axes.
    turns: marks with z are a scene that the reader turns by dragging or with arrow keys; z points at the reader.
    """

    marks: Sequence[Mark]
    title: str = ""
    x: Axis = Axis()
    y: Axis = Axis(grid=True)
    width: float = 1.0
    height: int = 260
    equal: bool = False
    bare: bool = False
    turns: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(mark, Mark) for mark in self.marks):
            raise TypeError("marks must be marks such as Points or Line")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"width and height must be positive, got {self.width} and {self.height}")

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """Both axes with their ranges."""
        x, y = (np.concatenate([np.empty(0), *(mark.span(name) for mark in self.marks)]) for name in ("x", "y"))
        return self.x.fitted(x), self.y.fitted(y)


Row = Sequence[Chart | Sequence[Chart]]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a panel shows.

    title: one line above the charts.
    alt: what is to be seen, for those who do not see it.
    rows: charts side by side, each a chart or a sequence of charts that stand in one column; a row wraps where the page
        is narrow.
    readout: pairs of a label and its value as text.
    status: a sentence about what is going on or went wrong.
    """

    title: str
    alt: str
    rows: Sequence[Row]
    readout: Sequence[tuple[str, str]] = ()
    status: str = ""

    def __post_init__(self) -> None:
        for text in ("title", "alt"):
            if not getattr(self, text):
                raise ValueError(f"{text} must say something")
        if not self.rows or not all(len(column) for row in self.columns for column in row):
            raise ValueError("rows must hold at least one row of charts, and no empty one")

    @property
    def columns(self) -> list[list[list[Chart]]]:
        """Rows of columns of charts."""
        return [[[item] if isinstance(item, Chart) else list(item) for item in row] for row in self.rows]

    @property
    def charts(self) -> list[Chart]:
        """All charts, row by row."""
        return [chart for row in self.columns for column in row for chart in column]

    def figure(self) -> Figure:
        """The picture drawn by matplotlib, for where nothing moves."""
        from cl_explore.widgets.still import draw  # the renderer knows the picture, not the other way round

        return draw(self)


def ceiling(value: float) -> float:
    """The next of 1, 2, 5, 10, ... at any scale: an axis that ends there stands still while values move below it.

    >>> ceiling(0.13), ceiling(0.2), ceiling(31)
    (0.2, 0.2, 50.0)
    """
    power = 10.0 ** math.floor(math.log10(max(value, 1e-12)))
    return next(float(f"{step * power:.12g}") for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))
