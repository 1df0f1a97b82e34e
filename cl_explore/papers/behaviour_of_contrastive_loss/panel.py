"""DilemmaPanel: which negatives count, and what that makes of uniformity and tolerance."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import geometry, losses, views
from cl_explore.losses import Knob
from cl_explore.plots.layouts import layout
from cl_explore.plots.style import class_look
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.knobs import of
from cl_explore.widgets.linear_encoder import NOISE, gaussians, linear_encoders
from cl_explore.widgets.mark import Dash, Mark
from cl_explore.widgets.marks import Bars, Line, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

TEMPERATURES = (0.07, 0.2, 0.5, 1.0, 3.0)
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
CLASSES, PER_CLASS = 8, 12  # of the samples of training, and of the 96 unseen ones
STEPS, LR = 60, 0.02
NAMES = ("the anchor’s class", "another class")
NEAREST, OTHERS = "#8638D2", "#797186"


class Spread(NamedTuple):
    """Where trainings put two views of unseen samples: z (T, n, 2, 16), and the −uniformity and tolerance of the first
    views, (T,) each."""

    z: Tensor
    uniformity: NDArray[np.float64]
    tolerance: NDArray[np.float64]


class Trainings(NamedTuple):
    """Trainings at each of TEMPERATURES with the nearest negatives only, and with all of them, and one with the simple
    loss on the nearest, which has no temperature. labels: (n,), of the unseen samples."""

    near: Spread
    whole: Spread
    simple: Spread
    labels: Tensor


def trainings(alpha: float, noise: float) -> Trainings:
    """A linear encoder on Gaussian classes, from equal weights on equal batches: 60 steps of Adam with each loss."""
    seen, unseen = gaussians(CLASSES, PER_CLASS)
    pairs, adam = views.VectorViews(noise=noise)(unseen.x, Generator().manual_seed(1)), partial(torch.optim.Adam, lr=LR)

    def spread(*learn: Callable[[Tensor], Tensor]) -> Spread:
        encoders = [linear_encoders(seen.x, loss, adam, noise=noise, shots=[STEPS])[0] for loss in learn]
        z = torch.stack([F.normalize(pairs @ encoder, dim=2) for encoder in encoders])
        measured = [(-geometry.uniformity(x).item(), geometry.tolerance(x, unseen.labels).item()) for x in z[:, :, 0]]
        return Spread(z, *np.array(measured).T)

    near = spread(*(partial(losses.hard_truncated, temperature=tau, alpha=alpha) for tau in TEMPERATURES))
    whole = spread(*(partial(losses.nt_xent, temperature=tau) for tau in TEMPERATURES))
    return Trainings(near, whole, spread(partial(losses.hard_simple, alpha=alpha)), unseen.labels)


def penalties(z: Tensor, temperature: float, alpha: float) -> Tensor:
    """The share of each anchor's push that each point gets, (N, N) of unit vectors z (n, 2, D), N = 2 n: rows of sum 1.

    That of `losses.hard_truncated`: points of the anchor's own sample and negatives below its threshold get none
    (2012.09740, equations 5 and 9).
    """
    x, sample = z.flatten(0, 1), torch.arange(2 * len(z)) // 2
    cosine, threshold = x @ x.T, losses.hard_truncated.parts(z, alpha=alpha)["threshold"]
    counts = (cosine >= threshold[:, None] - 1e-6) & (sample[:, None] != sample)
    return (cosine / temperature).masked_fill(~counts, -torch.inf).softmax(1)


def dilemma_picture(state: State, made: Trainings) -> Picture:
    """What the knobs `alpha`, `temperature`, `noise` and `anchor` make of the trainings."""
    alpha, tau, now, labels = state["alpha"], state["temperature"], 2 * state["anchor"], made.labels
    place = TEMPERATURES.index(tau)
    z = made.near.z[place]
    shares, of_point = penalties(z, tau, alpha), labels.repeat_interleave(2)
    own = float((shares * (of_point[:, None] == of_point)).sum(1).mean())
    cosine = z.flatten(0, 1) @ z.flatten(0, 1)[now]
    cosine[now : now + 2] = -torch.inf
    order = cosine.argsort(descending=True)[:-2]
    weight, other, kept = shares[now, order], (of_point[order] != of_point[now]).int(), int((shares[now] > 0).sum())
    colours, markers = zip(*map(class_look, range(CLASSES)), strict=True)
    bars = Chart(
        [
            Bars(np.arange(len(order)) + 0.5, weight, colour=(colours[of_point[now]], OTHERS), group=other, name=NAMES,
                 hover="{kind}\ncosine {cosine}\nshare {share}",
                 fields={"kind": [NAMES[kind] for kind in other], "cosine": cosine[order], "share": weight}),
            Rule(x=kept, colour=NEAREST, dash="dotted", width=1.5, label="those that count"),
        ],
        "Share of the anchor’s push on each negative",
        Axis(f"{len(order)} negatives, nearest first", (0, len(order)), ticks=()),
        Axis(range=(0, min(1.0, ceiling(float(weight.max())))), grid=True), height=170,
    )  # fmt: skip
    trade: list[Mark] = []
    said: dict[str, Any] = {"hover": "τ = {tau}", "fields": {"tau": TEMPERATURES}}
    courses: tuple[tuple[str, Spread, str, Dash, str], ...] = (
        ("all negatives", made.whole, OTHERS, "dashed", "o"),
        (f"nearest {alpha:.0%}", made.near, NEAREST, "solid", "D"),
    )
    for name, of_all, colour, dash, marker in courses:
        x, y = of_all.uniformity, of_all.tolerance
        trade += [
            Line(x, y, colour=colour, dash=dash, width=1.5),
            Points(x, y, colour=colour, marker=marker, size=4, name=name, **said),
            Points(x[place : place + 1], y[place : place + 1], colour=colour, marker=marker, size=8),
        ]
    trade += [
        Text(made.whole.uniformity[2:], made.whole.tolerance[2:], [f"{tau:g}" for tau in TEMPERATURES[2:]],
             colour="muted", size=11, anchor="left", dx=8, dy=-8),
        Points(made.simple.uniformity, made.simple.tolerance, colour="ink", marker="*", size=9, hollow=True,
               name="simple loss, without τ"),
    ]  # fmt: skip
    dilemma = Chart(
        trade, "The dilemma: evenly spread, or classes together", Axis("−uniformity", (1.5, 3.6)),
        Axis("tolerance", (0, 1), grid=True), height=230, note="Numbers: the temperature τ.",
    )  # fmt: skip
    points = layout(made.near.z[:, :, 0], "pca").points[place]
    limits = Axis(range=(-1.1, 1.1))
    world = Chart(
        [
            Points(*points.T, group=labels, colour=colours, marker=markers, size=5, alpha=0.85, pick="anchor",
                   hover="sample {sample}, class {class}", fields={"sample": np.arange(len(labels)), "class": labels}),
            Points(*points[now // 2 : now // 2 + 1].T, colour="ink", size=10, hollow=True, name="the anchor"),
        ],
        f"Unseen samples after training at τ = {tau:g}", limits, limits, equal=True, bare=True, height=430,
        note="Click a sample to make it the anchor.",
    )  # fmt: skip
    return Picture(
        "Only near negatives: as even when warm as when cold",
        "Map of unseen samples; bars of the share of the push that each negative of one anchor gets; tolerance over "
        "−uniformity at five temperatures, with all negatives and with the nearest only.",
        [[world, [bars, dilemma]]],
        [
            ("negatives that count", f"{kept} of {len(order)}"),
            ("push on the own class", f"{own:.0%}"),
            ("−uniformity", f"{made.near.uniformity[place]:.2f}"),
            ("tolerance", f"{made.near.tolerance[place]:.2f}"),
            ("with all negatives", f"{made.whole.uniformity[place]:.2f} and {made.whole.tolerance[place]:.2f}"),
        ],
    )


class DilemmaPanel(KnobPanel):
    """Choose what share of the negatives counts, turn the temperature, and see classes spread or stay together.

    A small temperature and a small share do the same: only near negatives push, and most of these are of the anchor's
    own class. So the samples spread evenly, and classes fall apart: the uniformity-tolerance dilemma of 2012.09740. A
    linear encoder is trained on Gaussian classes at five temperatures, with the nearest negatives and with all.

    alpha: the share that counts, one of SHARES.
    temperature: one of TEMPERATURES.
    noise: of the views, 0.15 to 1.5.
    Raises: ValueError for another number.
    """

    @takes
    def __init__(self, alpha: float = 0.1, temperature: float = 1.0, noise: float = 0.15) -> None:
        hard = losses.hard_truncated
        knobs = {
            "alpha": stepper("alpha", SHARES, alpha, "share that counts α", of(hard, "alpha").help),
            "temperature": stepper(
                "temperature", TEMPERATURES, temperature, "temperature τ", of(hard, "temperature").help
            ),
            "noise": dial(NOISE, noise, "noise of the views", 0.1),
            "anchor": counter(Knob("anchor", 0, CLASSES * PER_CLASS - 1, help="whose negatives are shown"), 0),
        }
        super().__init__(
            knobs, dilemma_picture, experiment=trainings, decides=("alpha", "noise"),
            sweeps={"alpha": SHARES, "temperature": TEMPERATURES},
        )  # fmt: skip


PANEL = DilemmaPanel
