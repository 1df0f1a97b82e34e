"""The runs of a sweep as a picture: one of them as a map, all of them as numbers over the setting."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import geometry
from cl_explore.plots.layouts import layout, turned
from cl_explore.train import Run
from cl_explore.widgets.chosen import Samples
from cl_explore.widgets.looks import class_colours
from cl_explore.widgets.maps import disc, dots
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Line, Points, Rule, Text
from cl_explore.widgets.neighbourhood import vote
from cl_explore.widgets.picture import Axis, Chart, Picture

MEASURES = ("kNN accuracy", "−uniformity", "tolerance", "dispersion")
CHOSEN = "#D55E00"
MISSING = {"failed": ("this run failed", "the reason is below"),
           "waiting": ("this run is still to come", "it appears here as soon as it is trained")}  # fmt: skip


def measure(z: Tensor, labels: Tensor) -> tuple[float, ...]:
    """The numbers of MEASURES for unit vectors z (n, D) with labels (n,).

    The share of samples whose 20 nearest others vote for their class, −uniformity, the mean cosine of samples of a
    class, and the variance within classes over that between them. Raises ValueError for fewer than two classes.
    """
    right = float(np.mean(vote(z, labels).prediction == labels.numpy()))
    spread = geometry.dispersion(z, labels).ratio.item()
    return right, -geometry.uniformity(z).item(), geometry.tolerance(z, labels).item(), spread


def positions(values: Sequence[Any]) -> list[float]:
    """Where values stand on an axis from 0 to 1: by their logarithm if they are spread wide, else evenly by rank.

    >>> positions([0.01, 0.1, 1.0]), positions(["a", "b", "c"])
    ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
    """
    numeric = all(isinstance(value, int | float) for value in values)
    if numeric and min(values) > 0 and max(values) >= 8 * min(values):
        values = np.log(values).tolist()
    elif not numeric:
        values = range(len(values))
    low, high = min(values), max(values)
    return [round((value - low) / (high - low), 4) for value in values]


class Shown:
    """A finished run as the panel draws it: a map (n, 2) of its last snapshot and the numbers of MEASURES."""

    def __init__(self, run: Run, onto: "Shown | None") -> None:
        """`onto`: a run of the same samples whose map this one is turned to; ValueError if they are not the same."""
        shots = run.snapshots
        if not len(shots.steps):
            raise ValueError("the run has no snapshots: train with fit(..., snapshots=1) or more")
        known = shots.labels >= 0
        self.labels, self.index = shots.labels[known], shots.index[known]
        if onto is not None and self.index.tolist() != onto.index.tolist():
            raise ValueError("the run's snapshots show other samples than those of the runs before")
        z = F.normalize(shots.z[-1][known], dim=1)
        self.numbers = measure(z, self.labels)
        points = layout(z[None], "pca").points[0]
        self.points: NDArray[np.floating] = points if onto is None else turned(points, onto.points)


def text_of(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def sweep_picture(
    name: str,
    values: Sequence[Any],
    value: Any,
    shown: Mapping[Any, Shown],
    errors: Mapping[Any, str],
    samples: Samples | None = None,
    problem: str = "",
) -> Picture:
    """The run of one value, beside it the numbers of all runs over the setting, and which wait or have failed.

    samples: those of the runs, as soon as there is one.
    problem: why the sweep could not go on.
    """
    coming = len(values) - len(shown) - len(errors)
    count = f"{len(values)} runs over {name}" + (f", {coming} still to come" if coming else "")
    failed = [f"{name} {text_of(one)} failed: {error}" for one, error in errors.items()]
    state = "ready" if value in shown else "failed" if value in errors else "waiting"
    readout = [(name, text_of(value))]
    marks: list[Mark] = []
    if state != "ready":
        readout.append(("this run", state))
        marks.append(Text([0, 0], [0.08, -0.08], MISSING[state]))
    elif samples is not None:
        numbers = zip(MEASURES, shown[value].numbers, strict=True)
        readout += [(measure, f"{number:.3f}") for measure, number in numbers]
        colours = class_colours(shown[value].labels.numpy(), samples.classes)
        marks.append(dots(shown[value].points, samples, colours))
    curves = [
        _curve(measure, name, values, value, {one: shown[one].numbers[row] for one in values if one in shown}, errors)
        for row, measure in enumerate(MEASURES)
    ]
    return Picture(
        count,
        f"Map of the samples as one of {count} embeds them; beside it {', '.join(MEASURES)} over {name}.",
        [[disc(marks, 0 if samples is None else len(samples.classes)), curves]],
        readout,
        "; ".join(filter(None, [problem, *failed])),
    )


def _curve(
    measure: str, name: str, values: Sequence[Any], value: Any, known: Mapping[Any, float], errors: Mapping[Any, str]
) -> Chart:
    """One measure of the runs that are `known`; the others stand at the foot, hollow if they are still to come."""
    at, ready, numbers = dict(zip(values, positions(values), strict=True)), list(known), list(known.values())
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    pad = max(0.12 * (high - low), 1e-3)
    marks: list[Mark] = [
        Rule(x=at[value], colour=CHOSEN, dash="dashed"),
        Line([at[one] for one in ready], numbers),
        Points([at[one] for one in ready], numbers, size=3.5, hover=f"{name} {{at}}: {{said}}",
               fields={"at": [text_of(one) for one in ready], "said": numbers}),
    ]  # fmt: skip
    for rest, look in (
        ([one for one in values if one in errors], {"colour": "ink", "marker": "X"}),
        ([one for one in values if one not in errors and one not in known], {"colour": "muted", "hollow": True}),
    ):
        marks.append(Points([at[one] for one in rest], [low - pad for _ in rest], size=4.0, **look))
    if value in known:
        marks.append(Points([at[value]], [known[value]], colour=CHOSEN, marker="D", size=6))
    across = Axis(name, (-0.04, 1.04), ticks=list(at.values()), names=[text_of(one) for one in values])
    if measure != MEASURES[-1]:
        across = Axis(range=across.range, ticks=())
    up = Axis(range=(low - pad, high + pad), grid=True)
    return Chart(marks, measure, across, up, height=85 + 35 * bool(across.label))
