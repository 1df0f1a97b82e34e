"""MomentsPanel: persons whose moments attract each other and repel each other, on the circle."""

import math
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.losses import Choice, Knob
from cl_explore.nn import MLP
from cl_explore.papers.swift_fmri.method import local_contrast
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Heat, Line, Points, Rule, Text, circle
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

PERSONS, MOMENTS, TRAITS, NOISE = 5, 6, 6, 0.1
STEPS, EVERY, LR = 160, 5, 2e-2
INSTANCE, LOCAL = "#0072B2", "#D55E00"


class Course(NamedTuple):
    """A training of 30 clips.

    z: (5, 6, 2), unit vectors of the moments of each person in the order of their states.
    instance, local: (S,), both contrasts every five steps, means over anchors.
    """

    z: NDArray[np.float32]
    instance: NDArray[np.float32]
    local: NDArray[np.float32]


@cache
def clips() -> Tensor:
    """(5, 6, 7): six numbers that are the person's own, and the state of the moment, from -1 to 1."""
    generator = Generator().manual_seed(0)
    person = F.normalize(torch.randn(PERSONS, 1, TRAITS, generator=generator), dim=2).expand(-1, MOMENTS, -1)
    return torch.cat([person, torch.linspace(-1, 1, MOMENTS).view(1, -1, 1).expand(PERSONS, -1, -1)], 2)


def learn(weight: float, temperature: float, local: str) -> Course:
    """160 steps, seeded, on two moments of each person and three noisy augmentations of each."""
    generator, x = Generator().manual_seed(0), clips()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = MLP([TRAITS + 1, 48, 2], batch_norm=False)
    optimizer = torch.optim.Adam(network.parameters(), LR)
    course = []
    for step in range(STEPS + 1):
        two = torch.rand(PERSONS, MOMENTS, generator=generator).argsort(1)[:, :2]
        cut = x[torch.arange(PERSONS)[:, None], two][:, :, None].expand(-1, -1, 3, -1)
        views = cut + NOISE * torch.randn(cut.shape, generator=generator)
        z = network(views.flatten(0, 2)).view(PERSONS, 2, 3, 2)
        between = losses.nt_xent(z[:, :, 0], temperature=temperature)
        within = local_contrast(z[:, :, 1:], temperature=temperature)
        if step % EVERY == 0:
            course.append((between.item(), within.item()))
        optimizer.zero_grad()
        (between + weight * within * (PERSONS if local == "sum" else 1)).backward()
        optimizer.step()
    with torch.no_grad():
        placed = F.normalize(network(x.flatten(0, 1)), dim=1).view(PERSONS, MOMENTS, 2)
    instance, local_ = np.array(course, np.float32).T
    return Course(placed.numpy(), instance, local_)


def moments_picture(state: State, course: Course) -> Picture:
    """What a training makes of the panel."""
    ring = 1 - 0.13 * np.arange(PERSONS, dtype=np.float32)[:, None, None]
    x, y = np.moveaxis(course.z * ring, 2, 0)
    colours = CLASS_COLOURS[:PERSONS]
    rings: list[Mark] = [
        replace(circle(float(radius)), colour="muted", alpha=0.4, width=1.0) for radius in ring.ravel()
    ]
    arcs = [Line(x[who], y[who], colour=colours[who], width=1.6, alpha=0.6) for who in range(PERSONS)]
    dots = [
        Points(x[:, rank], y[:, rank], colour=colours, group=np.arange(PERSONS), size=2.6 + 0.9 * rank,
               name=[f"person {who + 1}" for who in range(PERSONS)] if rank == MOMENTS - 1 else "",
               hover="person {person}, state {state}",
               fields={"person": np.arange(1.0, PERSONS + 1), "state": np.full(PERSONS, 0.4 * rank - 1)})
        for rank in range(MOMENTS)
    ]  # fmt: skip
    plane = Chart(
        [*rings, *arcs, *dots], "Where the clips point", bare=True, equal=True, height=320,
        note="A ring for each person; only the direction counts. The larger a dot, the larger its state.",
    )  # fmt: skip
    flat = course.z.reshape(-1, 2)
    cosine = flat @ flat.T
    middles = [MOMENTS * (who + 0.5) for who in range(PERSONS)]
    names = [str(who + 1) for who in range(PERSONS)]
    table = Chart(
        [Heat(cosine, low=-1.0)], "Cosine of each two clips",
        Axis("person", (0, len(flat)), ticks=middles, names=names),
        Axis("person", (len(flat), 0), ticks=middles, names=names), height=320, width=0.85,
        note="Bright: alike. The blocks on the diagonal are persons.",
    )  # fmt: skip
    at = np.arange(len(course.instance)) * EVERY
    highest = 1.1 * max(float(course.instance.max()), float(course.local.max()), math.log(3))
    curves = Chart(
        [
            Rule(y=math.log(3), dash="dashed", width=1),
            Text([STEPS], [math.log(3)], "log 3: all clips of a person equal", size=11, anchor="right", dy=-7),
            Line(at, course.instance, colour=INSTANCE, name="IC: whose clip?"),
            Line(at, course.local, colour=LOCAL, name="LL: which moment?"),
        ],
        "Both contrasts", Axis("step", (0, STEPS)), Axis("nats", (0, highest), grid=True), height=200,
    )  # fmt: skip
    same = np.kron(np.eye(PERSONS), np.ones((MOMENTS, MOMENTS))).astype(bool)
    within = cosine[same & ~np.eye(len(flat), dtype=bool)].mean()
    nearest = np.where(np.eye(len(flat), dtype=bool), -np.inf, cosine).argmax(1) // MOMENTS
    return Picture(
        "SwiFT: moments of one person attract and repel each other",
        "Clips of five persons on rings, an arc for each: closed to a dot where IC is alone, open where LL has weight; "
        "their cosines, and the course of both contrasts.",
        [[plane, table], [curves]],
        [
            ("cosine of moments of one person", f"{within:.2f}"),
            ("of two persons", f"{cosine[~same].mean():.2f}"),
            ("nearest clip is of the same person", f"{(nearest == np.arange(len(flat)) // MOMENTS).mean():.0%}"),
            ("LL at the end, less log 3", f"{course.local[-5:].mean() - math.log(3):+.2f}"),
        ],
    )


class MomentsPanel(KnobPanel):
    """Weigh the contrast between moments of one person against that between persons, which pulls the other way.

    A small network is trained in the background (less than a second) on clips of five persons, which hold what is the
    person's own and the state of the moment. `weight` is that of the local contrast, 0 for the instance contrast alone;
    `local` says whether it is the mean over persons, or their sum, as the authors have it, which weighs it five times
    as much here. Raises ValueError for a weight outside 0 to 2, a temperature outside .02 to 1, or another `local`.
    """

    @takes
    def __init__(self, weight: float = 2.0, temperature: float = 0.1, local: str = "mean") -> None:
        if local not in ("mean", "sum"):
            raise ValueError(f"local must be 'mean' or 'sum', got {local!r}")
        knobs: dict[str, Any] = {
            "weight": dial(Knob("weight", 0, 2, help="of LL beside IC"), weight, "weight w of LL", step=0.1),
            "temperature": dial(Knob("temperature", 0.02, 1, log=True, help="of both contrasts"), temperature,
                                "temperature τ", step=0.1),
            "local": dial(Choice("local", ("mean", "sum"), help="of LL over persons"), local, "LL over persons"),
        }  # fmt: skip
        super().__init__(
            knobs, moments_picture, experiment=learn, decides=("weight", "temperature", "local"),
            sweeps={"weight": (0.0, 1.0, 2.0), "local": ("mean", "sum")},
        )  # fmt: skip


PANEL = MomentsPanel
