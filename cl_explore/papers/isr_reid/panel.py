"""MatchingPanel: who of two frames is paired with whom, how far each pair is trusted, and what that teaches."""

import string
from functools import cache
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.losses import Knob
from cl_explore.methods.plain import take_step
from cl_explore.papers.isr_reid.method import ISR, Association, ReliableContrast
from cl_explore.papers.isr_reid.world import PEOPLE, Street, networks
from cl_explore.takes import takes
from cl_explore.views.noisy import Noisy
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.mark import Dash
from cl_explore.widgets.marks import Bars, Edges, Images, Line, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

VIDEOS, BATCH, LR = 480, 16, 2e-3
STOPS = (0, 60, 120, 180, 240, 300)  # steps at which the encoder is looked at
POWERS = (0.0, 1.0, 2.0, 4.0, 8.0)
JUDGED = 120  # videos whose pairs are counted
SHOWN = 8  # videos to choose from
CROPS = 2 * PEOPLE
RIGHT, WRONG, NONE = "#0072B2", "#D55E00", "#797186"


class Course(NamedTuple):
    """What an encoder does at each of STOPS.

    rank: share of strangers found first. right, trusted: share of right pairs, plain and by weight.
    pairs: (S, SHOWN, 6), the place in the second frame of each partner. weight, true: likewise.
    """

    rank: list[float]
    right: list[float]
    trusted: list[float]
    pairs: NDArray[np.int64]
    weight: NDArray[np.float32]
    true: NDArray[np.bool_]


class Made(NamedTuple):
    """A training, and the same without weights and with true pairs."""

    own: Course
    alike: Course
    oracle: Course


@cache
def parts(leave: float) -> tuple[Dataset, Dataset]:
    """480 videos and 300 strangers."""
    street = Street(leave=leave)
    return street.videos(VIDEOS), street.strangers()


@cache
def course(leave: float, power: float, association: Association = "hungarian") -> Course:
    """300 steps of 16 videos each, pairs weighted by their similarity to a power, seeded."""
    seen, unseen = parts(leave)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder, head = networks(seen)
    method = ISR(encoder, head, ReliableContrast("similarity", power), Noisy(), association=association)
    matcher = ISR(encoder, head, method.loss, Noisy())
    optimizer, generator = torch.optim.Adam(method.parameters(), LR), Generator().manual_seed(0)
    judged = seen.subset(torch.arange(JUDGED * CROPS))
    epochs = (method.draw_order(seen, BATCH * CROPS, generator).split(BATCH * CROPS) for _ in count())
    batches = chain.from_iterable(epochs)
    rank, right, share = [], [], []
    shown: list[list[NDArray[Any]]] = [[], [], []]
    for step in range(STOPS[-1] + 1):
        if step in STOPS:
            query, gallery = evaluate.embed(method, unseen).z.chunk(2)
            z = evaluate.embed(method, judged).z
            (_, j), trusted, true = matcher.found(z, judged.labels, judged.factors)
            rank.append(evaluate.recall(query, gallery, 1))
            right.append(true.double().mean().item())
            share.append(((trusted.weight * true).sum() / trusted.weight.sum()).item())
            for kept, part in zip(shown, (j % PEOPLE, trusted.weight, true), strict=True):
                kept.append(part[: SHOWN * PEOPLE].view(SHOWN, PEOPLE).numpy())
        take_step(method, seen.batch(next(batches)), optimizer, generator)
    return Course(rank, right, share, *map(np.stack, shown))


def learned(leave: float, power: float) -> Made:
    """A training and what it stands beside."""
    return Made(course(leave, power), course(leave, 0.0), course(leave, 0.0, "oracle"))


def tiles(x: Tensor) -> NDArray[np.uint8]:
    """Crops (n, 32) as grey tiles (n, 4, 8)."""
    return ((x.view(-1, 4, 8) + 2) / 4 * 255).clamp(0, 255).byte().numpy()


def frames(leave: float, video: int, now: Course, place: int) -> Chart:
    """Both frames of a video and the pairs between them."""
    seen = parts(leave)[0]
    rows = slice(video * CROPS, (video + 1) * CROPS)
    first, second = seen.labels[rows].view(2, PEOPLE).tolist()
    name = dict(zip(first, string.ascii_uppercase, strict=False))
    x, y = np.tile(np.arange(PEOPLE), 2), np.repeat([1.0, 0.0], PEOPLE)
    ends = np.stack([np.arange(PEOPLE), PEOPLE + now.pairs[place, video]], 1)
    weight, true = now.weight[place, video], now.true[place, video]
    looks: tuple[tuple[NDArray[np.bool_], str, Dash, str], ...] = (
        (true, RIGHT, "solid", "one person"),
        (~true, WRONG, "dashed", "two people"),
    )
    edges = [
        Edges(x, 0.12 + 0.76 * y, ends[kind], width=0.6 + 7 * weight[kind], colour=colour, dash=dash, name=called)
        for kind, colour, dash, called in looks
    ]
    labels = [*(name[who] for who in first), *(name.get(who, "new") for who in second)]
    return Chart(
        [
            *edges,
            Images(tiles(seen.x[rows]), x, y, side=0.8),
            Text(x, np.where(y > 0.5, 1.15, -0.15), labels),
        ],
        "Who of frame t is who of t + δ? Thick: trusted",
        Axis(range=(-0.5, PEOPLE - 0.5)), Axis(range=(-0.22, 1.22)), bare=True, height=300,
        note="A tile: the 32 numbers seen of somebody. Letters: who it is, which nobody tells the method.",
    )  # fmt: skip


def matching_picture(state: State, made: Made) -> Picture:
    """What the knobs `leave`, `power`, `step` and `video` make of the panel."""
    place = min(range(len(STOPS)), key=lambda stop: abs(STOPS[stop] - state["step"]))
    own = made.own
    shares = Chart(
        [
            Bars([0, 1], [own.right[place], own.trusted[place]], colour=(NONE, RIGHT), group=[0, 1],
                 hover="{share}", fields={"share": np.array([own.right[place], own.trusted[place]])}),
            Rule(y=1 - state["leave"], dash="dashed", width=1),
        ],
        "Right pairs", Axis(ticks=(0, 1), names=("alike", "weighted"), range=(-0.6, 1.6)),
        Axis("share", (0, 1.05), grid=True), width=0.45, height=300,
        note="Dashed: who stayed, the most that all alike can reach.",
    )  # fmt: skip
    ranks = Chart(
        [
            Line(STOPS, made.oracle.rank, colour=NONE, dash="dotted", name="true pairs"),
            Line(STOPS, made.alike.rank, colour=WRONG, dash="dashed", name="γ = 0, no weights"),
            Line(STOPS, own.rank, colour=RIGHT, name=f"γ = {state['power']:g}"),
            Rule(x=STOPS[place], drag="step"),
        ],
        "Strangers found first, at another camera", Axis("steps", (0, STOPS[-1]), ticks=STOPS[::2]),
        Axis("rank-1", (0, 0.6), grid=True), width=0.75, height=300,
    )  # fmt: skip
    return Picture(
        "ISR: matching finds a partner for everybody, weights say whom to trust",
        "Two frames of six people as tiles, joined by pairs that matching found, thick where trusted, dashed where "
        "wrong; bars of the share of right pairs; and how many strangers are found over the steps.",
        [[frames(state["leave"], state["video"], own, place), shares, ranks]],
        [
            ("step", f"{STOPS[place]}"),
            ("pairs that are one person", f"{own.right[place]:.0%}"),
            ("of the weight", f"{own.trusted[place]:.0%}"),
            ("strangers found", f"{own.rank[place]:.0%}"),
            ("without weights", f"{made.alike.rank[place]:.0%}"),
            ("with true pairs", f"{made.oracle.rank[place]:.0%}"),
        ],
    )


class MatchingPanel(KnobPanel):
    """Let people leave between two frames, and turn how strictly pairs are trusted.

    Matching gives everybody of frame t a partner in frame t + δ, also those who have left. A pair's weight is the
    similarity of its crops to the power γ: 0 trusts all pairs alike. The encoder is trained in the background, beside
    one without weights and one with true pairs, which takes some seconds. Raises ValueError for a leave rate outside
    0 to .8, and for a power where the slider does not stop.
    """

    @takes
    def __init__(self, leave: float = 0.4, power: float = 4.0) -> None:
        knobs = {
            "leave": dial(Knob("leave", 0.0, 0.8, help="chance of each person to be gone"), leave, "leave rate",
                          step=0.2),
            "power": stepper("power", POWERS, power, "power γ", "of the weights; 0 = all pairs alike"),
            "step": stepper("step", STOPS, STOPS[-1], "step", "of the training; or move the line"),
            "video": counter(Knob("video", 0, SHOWN - 1, help="whose frames are shown"), 0),
        }  # fmt: skip
        super().__init__(
            knobs, matching_picture, experiment=learned, decides=("leave", "power"),
            sweeps={"leave": (0.0, 0.4, 0.8), "power": (0.0, 4.0), "step": (0, 120, 300)},
        )  # fmt: skip


PANEL = MatchingPanel
