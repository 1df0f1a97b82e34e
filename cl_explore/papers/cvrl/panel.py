"""ClipPanel: two clips of a film as CVRL sees them, the path that a shape seems to take there, and how far apart."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore.data.factor_world import SHAPES, render, sample
from cl_explore.losses import Choice, Knob
from cl_explore.papers.cvrl.method import Clips, density
from cl_explore.papers.cvrl.study import clips
from cl_explore.papers.cvrl.world import FRAMES
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Bars, Images, Line, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

SIZE, STEP, CROWD = 20, 0.06, 300
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
INTERVALS = ("decreasing", "uniform", "increasing", "zero")
COLOURS = ("#0072B2", "#D55E00")
WAY = 0.08 * (torch.arange(FRAMES) - (FRAMES - 1) / 2)
"""Where the bar is in each frame, across and down."""


def film() -> Tensor:
    """A bar that turns while it moves from the upper left to the lower right: (1, 20, 3, 20, 20)."""
    f = sample(FRAMES, Generator().manual_seed(0), shape=SHAPES.index("bar"), style=0, bhue=0.6, hue=0.1, bright=0.9,
               scale=0.4, x=WAY, y=WAY, rot=0.4 * torch.arange(FRAMES))  # fmt: skip
    return render(f, SIZE)[None]


def seen(place: Tensor, box: Tensor) -> Tensor:
    """Where a picture shows what was at `place` (..., 2) before it was cropped to `box` (..., 4); -1 to 1 in both."""
    low, high = 2 * box[..., :2] - 1, 2 * box[..., 2:] - 1
    return 2 * (place - low) / (high - low) - 1


def own_motion(views: Clips) -> float:
    """The squared correlation of a shape's apparent steps with its own, over 300 clips of shapes that drift slowly."""
    generator = Generator().manual_seed(1)
    angle = 2 * torch.pi * torch.rand(CROWD, generator=generator)
    step = STEP * torch.stack([angle.cos(), angle.sin()], 1)[:, None]
    path = step * (torch.arange(views.frames) - views.frames / 2)[:, None]
    box = views.first.parameters(torch.zeros(CROWD, views.frames, 1, 4, 4), generator).box
    apparent = path if box is None else seen(path, box.unflatten(0, path.shape[:2]))
    moved = apparent.diff(dim=1)
    return float(torch.corrcoef(torch.stack([moved.flatten(), step.expand_as(moved).flatten()]))[0, 1] ** 2)


def clip_picture(state: State) -> Picture:
    """What the knobs `shared`, `strength`, `interval` and `power` make of the panel."""
    views = clips(state["shared"], interval=state["interval"], power=state["power"])
    views = replace(views, first=replace(views.first, strength=state["strength"]))
    generator, whole = Generator().manual_seed(5), film()
    count = views.frames
    begin = views.starts(1, FRAMES, generator)[0]
    rows = begin[:, None] + torch.arange(count)
    drawn = views.first.parameters(whole[0, rows], generator)
    shown = views.first.apply(whole[0, rows], drawn)
    place = WAY[rows][..., None].expand(-1, -1, 2)
    path = place if drawn.box is None else seen(place, drawn.box.unflatten(0, (2, count)))
    pixels = shown.flatten(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    column, line = np.tile(np.arange(count), 2) + 0.5, np.repeat([1.5, 0.5], count)
    strip = Chart(
        [
            Images(pixels, column, line, side=0.94),
            Text([-0.1, -0.1], [1.5, 0.5], [f"{s + 1} to {s + count}" for s in begin.tolist()], anchor="right"),
        ],
        "Two clips of one film, as the encoder sees them", Axis(range=(-1.1, count)), Axis(range=(0, 2)),
        width=1.3, height=170, equal=True, bare=True,
    )  # fmt: skip
    paths = Chart(
        [
            mark(*_flat(path[side]), colour=COLOURS[side], name=name)
            for side, called in enumerate(("upper clip", "lower clip"))
            for mark, name in ((Line, called), (Points, ""))
        ],
        "The way that the bar seems to take", Axis("across", (-1.6, 1.6)), Axis("down", (1.6, -1.6)),
        equal=True, height=230,
    )  # fmt: skip
    curve = np.array([own_motion(replace(views, first=replace(views.first, shared=share))) for share in SHARES])
    own = own_motion(views)
    motion = Chart(
        [
            Line(SHARES, curve, colour=COLOURS[0]),
            Rule(x=state["shared"], dash="dashed", drag="shared", label=f"{own:.0%}"),
        ],
        "Apparent motion that is the shape's own", Axis("share of frames changed as their clip is", (0, 1)),
        Axis("share of variance", (0, 1.02), grid=True), height=250,
    )  # fmt: skip
    gaps, room = _gaps(views)
    apart = np.arange(room) + 0.5
    marks: list[Mark] = [Bars(apart, gaps / gaps.sum(), colour="muted", width=0.9, name="2,000 draws")]
    if state["interval"] != "zero":
        share = torch.linspace(0, 1, 61, dtype=torch.float64)
        height = density(share, state["interval"], state["power"]) / room
        marks.append(Line(room * share, height, colour=COLOURS[1], name="density f(t)"))
    distances = Chart(
        marks, "How far apart two clips begin", Axis("frames", (0, room)), Axis("chance", grid=True), height=190,
    )  # fmt: skip
    return Picture(
        "CVRL: a clip is changed as a whole, and its partner is seldom far away",
        "Two strips of six frames; the ways that a bar seems to take in them, smooth or jagged; the share of apparent "
        "motion that is a shape's own, by share of frames; bars, how far apart clips begin.",
        [[[strip, motion], [paths, distances]]],
        [
            ("apparent motion that is its own", f"{own:.0%}"),
            ("frames apart, mean", f"{float((np.arange(room) * gaps).sum() / gaps.sum()):.1f}"),
            ("at most", f"{room - 1}"),
        ],
    )


def _flat(path: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = path.clamp(-1.6, 1.6).numpy().T
    return x, y


def _gaps(views: Clips) -> tuple[NDArray[np.int64], int]:
    """How many of 2,000 pairs begin so many frames apart, and how many distances there are."""
    room = FRAMES - (views.frames - 1) * views.stride
    starts = views.starts(2000, FRAMES, Generator().manual_seed(2))
    return np.bincount((starts[:, 0] - starts[:, 1]).abs().numpy(), minlength=room), room


class ClipPanel(KnobPanel):
    """Choose how much of a clip is changed alike and how far apart two clips begin, and see what is left of motion.

    `shared` is the share of frames that are changed as their clip is, the others are each changed by a draw of their
    own; `strength` multiplies all changes. Zoom makes apparent motion: how much of it is the shape's own is measured on
    300 slowly drifting shapes. `interval` and `power` say how far apart the clips begin. Raises ValueError for a share
    outside 0 to 1 or a power outside .25 to 8.
    """

    @takes
    def __init__(self, shared: float = 1.0, power: float = 1.0) -> None:
        knobs = {
            "shared": dial(Knob("shared", 0, 1, help="of frames that are changed as their clip is"), shared,
                           "changed as one", step=0.05),
            "strength": dial(Knob("strength", 0, 1, help="multiplies zoom and colour"), 1.0, "strength of changes",
                             step=0.05),
            "interval": dial(Choice("interval", INTERVALS, help="of gaps"),
                             "decreasing", "gaps"),
            "power": dial(Knob("power", 0.25, 8, log=True, help="how little near clips are preferred"), power,
                          "interval power p", step=0.1),
        }  # fmt: skip
        super().__init__(
            knobs, clip_picture,
            sweeps={"shared": (0.0, 0.75, 1.0), "strength": (0.3, 1.0), "power": (0.25, 1.0, 8.0)},
        )  # fmt: skip


PANEL = ClipPanel
