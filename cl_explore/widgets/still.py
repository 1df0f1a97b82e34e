"""Pictures drawn by matplotlib, for where nothing moves: code hosts, printed pages, notebooks without a kernel."""

from collections.abc import Callable
from functools import singledispatch
from io import BytesIO
from textwrap import fill
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cl_explore.plots.style import DPI, FULL_WIDTH, RC, SEQUENTIAL
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import (
    Arrows,
    Band,
    Bars,
    Edges,
    Heat,
    Images,
    Line,
    Points,
    Polygon,
    Rule,
    Text,
)

if TYPE_CHECKING:
    from cl_explore.widgets.picture import Axis, Chart, Picture

THEME = {"ink": "#222222", "muted": "#5f5f5f", "grid": "#e6e6e6", "paper": "#ffffff"}
DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}
POINTS = 72 / DPI  # a pixel, in points
HEAD, SIDE = 34, 68  # pixels above and to the left of axes
LINE, LETTER = 15, 7.4  # pixels: the height of a line of the read-out, the width of a letter of a chart's title
NAME = 5.7  # pixels: the width of a letter of a name beside a tick
YAW, PITCH = 0.5, 0.4  # from where a scene is seen before anyone turns it


def png(picture: "Picture") -> bytes:
    """The picture as a PNG file."""
    file = BytesIO()
    with mpl.rc_context(RC):
        draw(picture).savefig(file, format="png")
    return file.getvalue()


def draw(picture: "Picture") -> Figure:
    """The picture as a figure of full width, laid out as in a wide page, the read-out below."""
    rows = picture.columns
    heights = [max(sum(chart.height + HEAD for chart in column) for column in row) for row in rows]
    cells = (f"{label} {value}".replace(" ", "\N{NO-BREAK SPACE}") for label, value in picture.readout)
    readout = _plain(fill("   ".join(cells), 120))
    wide, tall = FULL_WIDTH * DPI, sum(heights) + 70 + LINE * (1 + readout.count("\n"))
    figure = Figure(figsize=(FULL_WIDTH, tall / DPI), dpi=DPI, facecolor="white")
    figure.set_layout_engine("none")
    figure.text(8 / wide, 1 - 8 / tall, _plain(picture.title), fontsize=13, fontweight="bold", va="top")
    figure.text(8 / wide, 8 / tall, readout, fontsize=9, va="bottom")
    top = 36.0
    for row, height in zip(rows, heights, strict=True):
        shares = [max(chart.width for chart in column) for column in row]
        left = 0.0
        for column, share in zip(row, shares, strict=True):
            width, down = wide * share / sum(shares), top
            for chart in column:
                down += chart.height + HEAD
                foot = 8 if chart.bare else (6 if chart.x.ticks == () else 24) + (20 if chart.x.label else 0)
                side = 12 if chart.bare else max(SIDE, 14 + NAME * max(map(len, chart.y.names), default=0))
                place = (left + side, tall - down + foot, width - side - 14, chart.height - foot)
                axes = figure.add_axes((place[0] / wide, place[1] / tall, place[2] / wide, place[3] / tall))
                axes.set_title(
                    fill(_plain(chart.title), round(place[2] / LETTER)), fontsize=9.5, loc="left", fontweight="bold"
                )
                _chart(chart, axes)
            left += width
        top += height
    return figure


def _chart(chart: "Chart", axes: Axes) -> None:
    x, y = chart.axes
    for axis, scale, limit, label, ticks in (
        (x, axes.set_xscale, axes.set_xlim, axes.set_xlabel, axes.set_xticks),
        (y, axes.set_yscale, axes.set_ylim, axes.set_ylabel, axes.set_yticks),
    ):
        _axis(axis, scale, limit, label, ticks)
    axes.tick_params(labelsize=8)
    axes.grid(x.grid, axis="x")
    axes.grid(y.grid, axis="y")
    axes.spines["left"].set_visible(False)
    if chart.equal:
        axes.set_aspect("equal", adjustable="box", anchor="NW")
    if chart.bare:
        axes.set_axis_off()
    for mark in chart.marks:
        add(mark, axes)
    if entries := [entry for mark in chart.marks for entry in _entries(mark)]:
        axes.legend(handles=entries, fontsize=8, framealpha=0.8)


def _axis(axis: "Axis", scale: Callable, limit: Callable, label: Callable, ticks: Callable) -> None:
    assert axis.range is not None
    if axis.log:
        scale("log")
    if axis.ticks is not None:
        ticks(list(axis.ticks), [_plain(name) for name in axis.names] or [f"{tick:g}" for tick in axis.ticks])
        ticks([], minor=True)
    limit(*axis.range)
    label(_plain(axis.label), fontsize=9)


def _entries(mark: Mark) -> list[Any]:
    names = [_plain(name) for name in ([mark.name] if isinstance(mark.name, str) else mark.name)]
    if not any(names):
        return []
    if isinstance(mark, Points):
        return [
            Line2D([], [], ls="", marker=marker, color=colour, mfc="none" if mark.hollow else colour, label=name)
            for name, colour, marker in zip(names, *_looks(mark), strict=False)
        ]
    colours = getattr(mark, "colour", "ink")
    colours = [colours] if isinstance(colours, str) else list(colours)
    if isinstance(mark, Line | Edges | Rule):
        return [Line2D([], [], color=_colour(colours[0]), ls=DASHES[mark.dash], label=names[0])]
    shown = zip(names, colours, strict=False)
    return [Patch(color=_colour(colour), alpha=mark.alpha, label=name) for name, colour in shown]


def _plain(text: str) -> str:
    """The text as matplotlib draws it letter by letter, where a pair of dollars would set it as a formula."""
    return text.replace("$", r"\$")


def _colour(name: str) -> str:
    return THEME.get(name, name)


def _looks(mark: Points) -> tuple[list[str], list[str]]:
    colours = [_colour(colour) for colour in mark.colour]
    return colours, list(mark.marker) * (len(colours) if len(mark.marker) == 1 else 1)


def _flat(x: Any, y: Any, z: Any) -> tuple[Any, Any]:
    """Places on the picture of places in space, as the page shows them at first."""
    if z is None:
        return x, y
    a, c = x * np.cos(YAW) + z * np.sin(YAW), z * np.cos(YAW) - x * np.sin(YAW)
    return a, y * np.cos(PITCH) - c * np.sin(PITCH)


@singledispatch
def add(mark: Mark, axes: Axes) -> None:
    """Draw a mark into axes."""
    raise TypeError(f"no drawing for {type(mark).__name__}")


@add.register
def _(mark: Points, axes: Axes) -> None:
    x, y = _flat(mark.x, mark.y, mark.z)
    group = np.zeros(len(x), int) if mark.group is None else mark.group
    for look, (colour, marker) in enumerate(zip(*_looks(mark), strict=True)):
        own = group == look
        axes.plot(
            x[own], y[own], ls="", marker=marker, ms=2 * mark.size * POINTS, alpha=mark.alpha, mec=colour,
            mfc="none" if mark.hollow else colour, mew=1.2 if mark.hollow else 0, clip_on=False, zorder=3,
        )  # fmt: skip


@add.register
def _(mark: Line, axes: Axes) -> None:
    x, y = _flat(mark.x, mark.y, mark.z)
    axes.plot(x, y, color=_colour(mark.colour), lw=mark.width * POINTS, ls=DASHES[mark.dash], alpha=mark.alpha)


@add.register
def _(mark: Edges, axes: Axes) -> None:
    nodes = np.stack(_flat(mark.x, mark.y, mark.z), axis=1)
    pairs = mark.pairs.reshape(-1, 2).astype(int)
    widths = np.broadcast_to(mark.width, len(pairs)) * POINTS
    lines = nodes[pairs]  # (m, 2, 2)
    if mark.curved:
        share = np.linspace(0, 1, 24)[:, None]
        ease = np.concatenate([share, share**2 * (3 - 2 * share)], axis=1)
        lines = lines[:, :1] + ease * (lines[:, 1:] - lines[:, :1])
    style: dict[str, Any] = {
        "colors": _colour(mark.colour),
        "linestyles": DASHES[mark.dash],
        "alpha": mark.alpha,
        "zorder": 2,
    }
    axes.add_collection(LineCollection(list(lines), linewidths=widths, **style), autolim=False)


@add.register
def _(mark: Arrows, axes: Axes) -> None:
    x, y = _flat(mark.x, mark.y, mark.z)
    dx, dy = _flat(mark.dx, mark.dy, mark.dz)
    axes.quiver(
        x, y, dx, dy, angles="xy", scale_units="xy", scale=1, color=_colour(mark.colour), alpha=mark.alpha,
        width=0.004 * mark.width, zorder=3,
    )  # fmt: skip


@add.register
def _(mark: Bars, axes: Axes) -> None:
    colours = [_colour(colour) for colour in mark.colour]
    own = colours[0] if mark.group is None else [colours[look] for look in mark.group]
    rim: dict[str, Any] = {"edgecolor": own, "linewidth": 1.2} if mark.outline else {}
    axes.bar(mark.x, mark.height, mark.width, color=own, alpha=mark.alpha * (0.4 if mark.outline else 1), **rim)


@add.register
def _(mark: Heat, axes: Axes) -> None:
    cells = mark.values.reshape(-1, mark.columns)
    edges = (np.arange(cells.shape[1] + 1), np.arange(cells.shape[0] + 1))
    axes.pcolormesh(*edges, cells, cmap=SEQUENTIAL, vmin=mark.low, vmax=mark.high, alpha=mark.alpha)
    if mark.text:
        for (row, column), value in np.ndenumerate(cells):
            colour = "#222" if (value - mark.low) / (mark.high - mark.low) > 0.6 else "white"
            axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)


@add.register
def _(mark: Images, axes: Axes) -> None:
    pixels = mark.pixels.reshape(len(mark.x), mark.tall, mark.wide, -1)
    shades = np.ones(len(pixels)) if mark.shade is None else mark.shade
    w, h = mark.side / 2, mark.side / 2 * mark.tall / mark.wide
    limits = axes.get_xlim(), axes.get_ylim()
    up = limits[1][0] < limits[1][1]
    for picture, x, y, shade in zip(pixels, mark.x, mark.y, shades, strict=True):
        extent = (x - w, x + w, y - h, y + h) if up else (x - w, x + w, y + h, y - h)
        axes.imshow(
            picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=255, extent=extent,
            alpha=float(shade) * mark.alpha, aspect="auto", origin="upper",
        )  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1])


@add.register
def _(mark: Rule, axes: Axes) -> None:
    style: dict[str, Any] = {
        "color": _colour(mark.colour),
        "lw": mark.width * POINTS,
        "ls": DASHES[mark.dash],
        "alpha": mark.alpha,
    }
    if mark.x is not None:
        axes.axvline(mark.x, **style)
        axes.annotate(_plain(mark.label), (mark.x, 1), (3, -9), xycoords=("data", "axes fraction"),
                      textcoords="offset points", fontsize=8, color=style["color"])  # fmt: skip
    elif mark.y is not None:
        axes.axhline(mark.y, **style)
        axes.annotate(_plain(mark.label), (1, mark.y), (-2, 3), xycoords=("axes fraction", "data"),
                      textcoords="offset points", fontsize=8, color=style["color"], ha="right")  # fmt: skip


@add.register
def _(mark: Band, axes: Axes) -> None:
    across, ends = (axes.axvspan, mark.x) if mark.x is not None else (axes.axhspan, mark.y)
    assert ends is not None
    across(*ends, color=_colour(mark.colour), alpha=mark.alpha, lw=0)


@add.register
def _(mark: Text, axes: Axes) -> None:
    x, y = _flat(mark.x, mark.y, mark.z)
    for string, a, b in zip(mark.text, x, y, strict=True):
        axes.annotate(
            _plain(string), (a, b), (mark.dx * POINTS, -mark.dy * POINTS), textcoords="offset points",
            fontsize=mark.size * POINTS, color=_colour(mark.colour), ha=mark.anchor, va="center", alpha=mark.alpha,
            fontweight="bold" if mark.bold else None, annotation_clip=False,
        )  # fmt: skip


@add.register
def _(mark: Polygon, axes: Axes) -> None:
    colour = _colour(mark.colour)
    axes.fill(mark.x, mark.y, facecolor=colour, alpha=mark.alpha, lw=0)
    if mark.rim:
        axes.plot([*mark.x, mark.x[0]], [*mark.y, mark.y[0]], color=colour, lw=mark.rim * POINTS)
