"""What TrainingPanel shows: the samples on the sphere while a network learns, and the course of what was measured."""

from typing import Any

import numpy as np

from cl_explore.widgets.chosen import Samples
from cl_explore.widgets.live import LiveTraining, Look
from cl_explore.widgets.looks import class_colours
from cl_explore.widgets.maps import disc, dots
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Line, Points, Rule, Text
from cl_explore.widgets.picture import Axis, Chart, Picture

TURN = "#A33B00"
NAMED = 3  # turns of knobs that are named, the last ones
SHORTEST = 20  # steps that the curves show at least


def training_picture(live: LiveTraining, look: Look) -> Picture:
    """The shown samples at one look, and what was measured until then, over the whole training so far."""
    labels = live.shown.labels.numpy()
    found, place = np.unique(labels, return_inverse=True)
    names = live.shown.class_names
    classes = {label: "unlabelled" if label < 0 else names[label] for label in found.tolist()}
    samples = Samples(classes, place, live.shown.index.cpu().numpy())
    numbers = [(name, f"{value:.3f}") for name, value in zip(live.measures, look.numbers, strict=True)]
    loss, steps = live.method.loss, np.array([step for step, *_ in live.curve], np.float32)
    curves = [
        _curve(live, name, row, steps, np.array([measured[row + 1] for measured in live.curve]), look)
        for row, name in enumerate(live.measures)
    ]
    return Picture(
        f"{loss.title} on {live.shown.name.replace('_', ' ')}",
        f"Map of {len(labels)} embedded samples while a network trains with {loss.title}; beside it the course of "
        f"{', '.join(live.measures)}.",
        [[disc([dots(look.points, samples, class_colours(labels, classes))], len(classes)), curves]],
        [("step", f"{look.step} of {live.loop.total}"), *numbers],
    )


def _curve(live: LiveTraining, name: str, row: int, steps: Any, values: Any, look: Look) -> Chart:
    """One measure over the steps up to a look, with the moments at which a knob was turned; its axes fit the whole."""
    end, seen = max(float(steps[-1]), SHORTEST), steps <= look.step
    low, high = float(values.min()), float(values.max())
    least = 0.02 * max(abs(high), 0.05)
    margin = 0.08 * (high - low) if high - low >= least else least / 2
    turns = [turn for turn in live.turns if turn.step <= look.step]
    marks: list[Mark] = [
        *(Rule(x=turn.step, colour=TURN, dash="dashed") for turn in turns),
        Line(steps[seen], values[seen]),
        Points(steps[seen][-1:], values[seen][-1:]),
    ]
    for line, turn in enumerate(reversed(turns[-NAMED:])):
        if row == 0:
            late = turn.step > end / 2
            label = f"{turn.name} → {turn.value}"
            side: dict[str, Any] = {"dx": -5, "anchor": "right"} if late else {"dx": 5, "anchor": "left"}
            marks.append(
                Text([turn.step], [high + margin], label, colour=TURN, size=11, bold=True, dy=8 + 14 * line, **side)
            )
    across = Axis("step", (0, end)) if name == live.measures[-1] else Axis(range=(0, end), ticks=())
    up = Axis(range=(low - margin, high + margin), grid=True)
    return Chart(marks, name, across, up, height=85 + 35 * bool(across.label))
