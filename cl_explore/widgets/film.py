"""What SpherePanel shows of its points: the looks that stay, a picture, and the film of a whole descent."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cl_explore.losses import Knob, Loss
from cl_explore.plots.style import class_look
from cl_explore.widgets.descent import MEASURES, Points, measure, move, pull
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Arrows, Edges, Line, Rule, circle
from cl_explore.widgets.marks import Points as Dots
from cl_explore.widgets.picture import Axis, Chart, Picture

SPAN = 300  # steps that the curves look back
FILM = range(0, 201, 5)  # the steps shown where there is no kernel
RING = 0.1  # how much farther inside the circle each view stands: an aligned pair stands on one radius


class Looks(NamedTuple):
    """What does not change while points move.

    points: the looks of all points, as fields of `marks.Points`.
    reach: (n, 1), radius at which each point is drawn.
    pairs: (m, 2), points that are views of one sample.
    copied: rows of the points that stand for several samples.
    ground: the circles behind the points.
    """

    title: str
    alt: str
    note: str
    points: dict[str, Any]
    reach: NDArray[np.float32]
    pairs: NDArray[np.int64]
    copied: NDArray[np.int64]
    ground: list[Mark]


def looks(points: Points, loss: Loss, coloured: bool) -> Looks:
    """The looks of points that `loss` moves, by their classes if `coloured`."""
    samples, views, dim = points.z.shape
    sizes, place = points.labels.bincount().tolist(), np.arange(samples * views)
    copies = points.origin.bincount(minlength=samples).repeat_interleave(views).numpy()
    of_class = [class_look(label) for label in range(len(sizes))] if coloured else [("#4d6f8f", "o")]
    colours, markers = zip(*of_class, strict=True)
    labels = points.labels.repeat_interleave(views).numpy()
    fields = {"sample": place // views, "view": place % views + 1, "class": labels, "copies": copies - 1}
    surface = "circle" if dim == 2 else "sphere"
    shown: dict[str, Any] = {
        "colour": colours,
        "marker": markers,
        "group": labels * coloured,
        "size": 2.4 if len(place) > 1200 else 3.0 if len(place) > 500 else 4.2,
        "name": [f"class {label}: {size}" for label, size in enumerate(sizes)] if coloured else "",
        "hover": "sample {sample}, view {view}" + "\nclass {class}" * coloured
        + "\n{copies} exact copies" * bool((copies > 1).any()),
        "fields": {name: np.asarray(column, np.float32) for name, column in fields.items()},
    }  # fmt: skip
    starts = place[place % views < views - 1]
    outline = circle()
    great: dict[str, Any] = {"colour": "muted", "width": 1.0, "alpha": 0.5}
    none = np.zeros_like(outline.x)
    return Looks(
        f"{loss.title}: {samples} samples × {views} views on the {surface}",
        f"Points on a {surface}, {views} for each of {samples} samples, moved by the loss {loss.title}; beside it the "
        f"course of {', '.join(MEASURES)}.",
        "Outside view 1, inside view 2; a line joins them." if dim == 2 and views == 2
        else "Outside view 1, the others inside; lines join them." if dim == 2
        else "Drag, or use the arrow keys, to turn the sphere.",
        shown,
        (1 - RING * (dim == 2) * (place % views)).astype(np.float32)[:, None],
        np.stack([starts, starts + 1], axis=1),
        np.flatnonzero(copies > 1),
        [circle(1 - RING * view) for view in range(views)] if dim == 2
        else [outline, Line(outline.x, outline.y, none, **great), Line(outline.x, none, outline.y, **great),
              Line(none, outline.x, outline.y, **great)],
    )  # fmt: skip


def sphere_picture(
    points: Points,
    history: NDArray[np.floating],
    look: Looks,
    *,
    force: Tensor | None = None,
    now: int | None = None,
    batch: str = "",
) -> Picture:
    """Where the points are, and the course of what was measured.

    history: (steps, 6), rows of MEASURES; the points stand at the last row, or at row `now`, which is then marked.
    force: (B, V, D), shown as arrows, the longest a fifth of the radius.
    batch: which samples a step sees, for the read-out.
    """
    z = look.reach * points.z.flatten(0, 1).numpy()
    place: dict[str, Any] = dict(zip("xyz", np.ascontiguousarray(z.T), strict=False))
    fine = len(z) > 600
    marks: list[Mark] = [
        *look.ground,
        Edges(pairs=look.pairs, alpha=0.3 if fine else 0.6, **place),
        Dots(**place, **look.points),
    ]
    if len(look.copied):
        ring: dict[str, Any] = {axis: column[look.copied] for axis, column in place.items()}
        marks.append(Dots(**ring, colour="ink", size=look.points["size"] + 3, hollow=True))
    if force is not None:
        ends = (0.2 * force / force.norm(dim=2).max().clamp(min=1e-12)).flatten(0, 1).numpy().T
        marks.append(Arrows(**place, **dict(zip(("dx", "dy", "dz"), ends, strict=False))))
    limit = Axis(range=(-1.08, 1.08))
    ball = Chart(
        marks, x=limit, y=limit, width=1.5, height=480, equal=True, bare=True, turns=z.shape[1] == 3, note=look.note
    )
    steps = np.arange(len(history), dtype=np.float32)
    across = Axis(range=(0, max(len(steps) - 1, 1)), ticks=())
    here: list[Mark] = [] if now is None else [Rule(x=now, dash="dashed")]
    curves = [
        Chart([Line(steps, column, width=1.8), *here], name, across, _between(column), height=60)
        for name, column in zip(MEASURES, history.T, strict=True)
    ]
    numbers = zip(MEASURES, history[-1 if now is None else now], strict=True)
    readout = [("step", str(points.step)), *((name, f"{value:.3f}") for name, value in numbers)]
    return Picture(look.title, look.alt, [[ball, curves]], readout + [("batch", batch)] * bool(batch))


def _between(values: NDArray[np.floating]) -> Axis:
    """An axis marked at the ends of the values, at least a thousandth long, or rounding would fill the chart."""
    ends = float(values.min()), float(values.max())
    margin = max(0.08 * (ends[1] - ends[0]), 5e-4)
    names = [f"{end:.2f}".replace("-", "−") for end in ends]
    return Axis(range=(ends[0] - margin, ends[1] + margin), ticks=ends, names=names)


def stops(knob: Knob, current: float) -> list[float]:
    """Five values over the knob's range, the nearest one replaced by the current value."""
    spaced = (np.geomspace if knob.log else np.linspace)(knob.low, knob.high, 5)
    spaced[np.abs(np.log(spaced / current) if knob.log else spaced - current).argmin()] = current
    return [float(value) for value in spaced]


def film(points: Points, loss: Loss, knobs: dict[str, Any], lr: float, look: Looks, arrows: bool) -> list[Picture]:
    """The pictures of a descent at the steps of FILM; their curves show its whole course."""
    shots, history = [], []
    for step in range(FILM[-1] + 1):
        value, force = pull(points, loss, knobs)
        if step in FILM:
            history.append(measure(points, value))
            shots.append((points, force if arrows else None))
        points = move(points, force, lr)
    course = np.array(history)
    return [sphere_picture(at, course, look, force=force, now=now) for now, (at, force) in enumerate(shots)]
