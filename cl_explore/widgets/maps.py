"""Maps of embedded samples as charts, and the scale of their colours."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cl_explore.widgets.chosen import Chosen, Samples
from cl_explore.widgets.looks import NAMED, SHADES, Colours, short
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Edges, Heat, Line, Points, Text, circle
from cl_explore.widgets.picture import Axis, Chart

BARE: dict[str, Any] = {"equal": True, "bare": True}
NO_MARKS = Axis(ticks=())


def size_of(count: int) -> float:
    """Radius of a point where there are so many."""
    return 2.0 if count > 3000 else 3.4 if count > 600 else 4.4


def dots(points: NDArray[np.floating], samples: Samples, colours: Colours, **more: Any) -> Points:
    """The samples at points (n, 2) or (n, 3), with what the pointer says of them."""
    # contiguous columns, the same in all pictures that share the points
    place: dict[str, Any] = dict(zip("xyz", np.ascontiguousarray(points.T, dtype=np.float32), strict=False))
    hover = "{class}\nsample {sample}"
    fields = {"class": samples.called(np.arange(len(points))), "sample": samples.number}
    if samples.texts is not None:
        hover += "\n{text}"
        fields["text"] = [short(text) for text in samples.texts]
    if colours.title != "class":
        hover += f"\n{colours.title} {{said}}" if colours.scale else f"\n{colours.title}: {{said}}"
        fields["said"] = colours.said
    given = {"hover": hover, "fields": fields, "size": size_of(len(points)), "thumbnails": samples.pictures is not None}
    return Points(**place, **(colours.look | given | more))


def disc(marks: Sequence[Mark], classes: int) -> Chart:
    """Unit vectors seen along two directions: the outline of the sphere, so that one sees how much of it is filled."""
    limit = Axis(range=(-1.05, 1.05))
    note = "PC 1 and PC 2 of unit vectors; the circle has radius 1." + unnamed(classes)
    return Chart([circle(), *marks], x=limit, y=limit, width=1.4, height=470, note=note, **BARE)


def unnamed(classes: int) -> str:
    """What a note says where a legend leaves classes out."""
    return f" The legend names {NAMED} of {classes} classes." if classes > NAMED else ""


def atlas(
    snapshots: NDArray[np.floating],
    axes: Sequence[str],
    place: int,
    samples: Samples,
    colours: Colours,
    chosen: Chosen,
    unit: NDArray[np.int8] | None = None,
) -> Chart:
    """A map that the reader explores: one of the snapshots (S, n, 2), or (S, n, 3) on a chart that turns.

    Clicks and lines drawn round points are taken by `near`, `select` and `show`; `unit` serves pages without a kernel.
    """
    points, low, high = snapshots[place], snapshots.min((0, 1)), snapshots.max((0, 1))
    pad = 0.04 * (high - low).max() + 1e-6
    limits = np.stack([low - pad, high + pad])
    middle, span = limits.mean(0), float(np.ptp(limits, axis=0).max())
    if points.shape[1] == 3:
        points, limits = points - middle, limits - middle
    look, strong = colours.look, np.unique(np.r_[chosen.rows, chosen.near])
    hooks: dict[str, Any] = {"pick": "near", "lasso": "select", "unit": unit}
    if colours.title == "class":
        hooks["legend"] = "show"
    alpha = 0.4 if chosen.point is not None else 0.25 if len(chosen.rows) else 0.9
    cloud = dots(points, samples, colours, alpha=alpha, **hooks)
    if unit is not None:
        cloud = dots(points, samples, colours, alpha=alpha, **hooks, fields={**cloud.fields, "place": samples.place})
    marks: list[Mark] = [cloud]
    columns: dict[str, Any] = {"x": cloud.x, "y": cloud.y, "z": cloud.z}
    if chosen.point is not None:
        pairs = np.stack([np.full_like(chosen.near, chosen.point), chosen.near], axis=1)
        marks.append(Edges(**columns, pairs=pairs, colour="ink", width=1.2))
    for rows, size in ((strong, cloud.size if len(chosen.rows) else 6.0), (np.array([chosen.point]), 8.0)):
        if len(rows) and rows[0] is not None:
            at = {axis: column[rows.astype(int)] for axis, column in columns.items() if column is not None}
            marks.append(Points(**at, **look | {"group": look["group"][rows.astype(int)], "name": "", "size": size}))
    note = unnamed(len(samples.classes)).strip() if colours.scale is None else ""
    if points.shape[1] == 2:
        x, y = (Axis(name, tuple(limit), ticks=()) for name, limit in zip(axes, limits.T.tolist(), strict=True))
        return Chart(marks, x=x, y=y, width=1.9, height=480, equal=True, note=note)
    x, y = Axis(range=(-0.66 * span, 0.66 * span)), Axis(range=(-0.78 * span, 0.78 * span))
    note = f"Drag, or use the arrow keys, to turn the map. {note}".strip()
    return Chart([*_cube(limits, axes), *marks], x=x, y=y, width=1.9, height=480, note=note, turns=True, **BARE)


def _cube(limits: NDArray[np.floating], axes: Sequence[str]) -> list[Mark]:
    """The edges of a box with the names of its axes."""
    ends: list[NDArray[np.floating]] = []
    for bits, axis in product(product((0, 1), repeat=3), range(3)):
        if not bits[axis]:
            other = [1 if own == axis else bit for own, bit in enumerate(bits)]
            ends += [limits[[*corner], range(3)] for corner in (bits, other)] + [np.full(3, np.nan)]
    x, y, z = np.array(ends).T
    corners = np.array([limits[np.eye(3, dtype=int)[axis], range(3)] for axis in range(3)]).T
    return [
        Line(x, y, z, colour="grid", width=1),
        Text(corners[0], corners[1], axes, corners[2], colour="muted", size=11),
    ]


def scale(colours: Colours) -> Chart:
    """The colours of numbers from the lowest to the highest."""
    assert colours.scale is not None
    low, high = colours.scale
    names = [f"{value:.3g}".replace("-", "−") for value in (low, (low + high) / 2, high)]
    across = Axis(range=(0, SHADES), ticks=(0, SHADES / 2, SHADES), names=names)
    return Chart([Heat(np.linspace(0, 1, SHADES)[None])], colours.title, across, NO_MARKS, height=52)
