"""Here lives what SpherePanel shows of its points: the scene, a frame, and the film of a whole descent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cl_explore.losses import Knob, Loss
from cl_explore.plots.style import class_look
from cl_explore.widgets.canvas import Fields
from cl_explore.widgets.descent import MEASURES, Points, measure, move, pull

SPAN = 300  # steps that the curves look back
FILM = range(0, 201, 5)  # the steps shown where there is no kernel


def sphere_scene(points: Points, loss: Loss, coloured: bool) -> dict[str, Any]:
    """What does not change while points move: texts, the look of every point, and which samples are copied."""
    samples, views, dim = points.z.shape
    copies = points.origin.bincount(minlength=samples)
    sizes = points.labels.bincount().tolist()
    looks = [class_look(label) for label in range(len(sizes))] if coloured else [("#4d6f8f", "o")]
    ground = "circle" if dim == 2 else "sphere"
    return {
        "title": f"{loss.title}: {samples} samples × {views} views on the {ground}",
        "alt": f"Points on a {ground}, {views} for each of {samples} samples, moved by the loss {loss.title}; "
        f"beside it the course of {', '.join(MEASURES)}.",
        "dim": dim,
        "views": views,
        "group": points.labels.repeat_interleave(views).numpy() * coloured,
        "copies": copies.repeat_interleave(views).numpy(),
        "looks": [{"colour": colour, "marker": marker} for colour, marker in looks],
        "names": [f"class {label}: {size}" for label, size in enumerate(sizes)] if coloured else [],
        "measures": MEASURES,
        "span": SPAN,
    }


def sphere_frame(
    points: Points, history: NDArray[np.float64], force: Tensor | None = None, span: int = SPAN
) -> dict[str, Any]:
    """Where the points are, the numbers measured so far, history (steps, 6) with at most `span` rows, and optionally
    the forces as arrows, the longest a fifth of the radius."""
    curves = np.zeros((len(MEASURES), span))
    curves[:, : len(history)] = history.T
    readout = [
        ["step", str(points.step)],
        *([name, f"{now:.3f}"] for name, now in zip(MEASURES, history[-1], strict=True)),
    ]
    frame = {
        "points": points.z.flatten().numpy(),
        "history": curves.ravel(),
        "recorded": len(history),
        "readout": readout,
    }
    if force is not None:
        frame["arrows"] = (0.2 * force / force.norm(dim=2).max().clamp(min=1e-12)).flatten().numpy()
    return frame


def stops(knob: Knob, current: float) -> list[float]:
    """Five values over the knob's range, the nearest one replaced by the current value."""
    spaced = (np.geomspace if knob.log else np.linspace)(knob.low, knob.high, 5)
    spaced[np.abs(np.log(spaced / current) if knob.log else spaced - current).argmin()] = current
    return [float(value) for value in spaced]


def film(points: Points, loss: Loss, knobs: dict[str, Any], lr: float, arrows: bool) -> list[Fields]:
    """The frames of a descent at the steps of FILM."""
    history: list[tuple[float, ...]] = []
    frames: list[Fields] = []
    for step in range(FILM[-1] + 1):
        value, force = pull(points, loss, knobs)
        if step in FILM:
            history.append(measure(points, value))
            frames.append(sphere_frame(points, np.array(history), force if arrows else None, span=len(FILM)))
        points = move(points, force, lr)
    return frames
