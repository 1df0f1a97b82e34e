"""ListsPanel: levels and scores as shares of a batch, and what two losses say when queries change lists."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.losses.catalogue import TEMPERATURE
from cl_explore.losses.listwise import LABEL_SCALE
from cl_explore.papers.listwise_wasserstein.world import PASSAGES
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.marks import Bars, Heat, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

QUERIES = (4, 8, 16, 64)
SHOWN = 8  # queries of the maps
LEVELS = (3, 2, 1, 0)
TARGET, PREDICTION, WASSERSTEIN, KL = "#797186", "#0072B2", "#009E73", "#D55E00"


@cache
def cosines() -> Tensor:
    """Cosines (64, 64, 4) of queries and the passages of all lists: a retriever that mostly knows its levels."""
    drawn = torch.randn(
        QUERIES[-1], QUERIES[-1], PASSAGES, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    found = 0.12 * drawn
    found.diagonal().add_(torch.tensor([0.75, 0.55, 0.35, 0.1])[:, None])
    return found.clamp(-1, 1)


class Compared(NamedTuple):
    """Shares of scores P and of levels T (Q, 4 Q), and both losses."""

    prediction: Tensor
    target: Tensor
    wasserstein: float
    kl: float


def compared(queries: int, label_scale: float, temperature: float, shift: int) -> Compared:
    """What Q queries make of all passages, each as many places on from its own list as `shift` says."""
    scores = cosines()[:queries, :queries].flatten(1).roll(shift, 0)
    relevance = torch.tensor(LEVELS).expand(queries, -1)
    levels = torch.zeros(queries, queries, PASSAGES, dtype=torch.float64)
    levels.diagonal().copy_(label_scale * relevance.T)
    # scores become inner products with the coordinate axes
    axes = torch.eye(scores.shape[1], dtype=torch.float64).unflatten(0, (queries, PASSAGES))
    wasserstein, kl = (
        float(loss(scores, axes, relevance, temperature=temperature, label_scale=label_scale, normalize=False))
        for loss in (losses.listwise_wasserstein, losses.listwise_kl)
    )
    return Compared((scores / temperature).softmax(1), levels.flatten(1).softmax(1), wasserstein, kl)


def heat(shares: Tensor, title: str, note: str) -> Chart:
    """The shares of the first queries, over the passages of their lists."""
    shown = shares[:SHOWN, : SHOWN * PASSAGES]
    places = torch.arange(len(shown))
    return Chart(
        [Heat(shown.numpy(), high=float(shares.max()))],
        title,
        Axis("lists of passages", ticks=(PASSAGES * (places + 0.5)).tolist(), names=[str(int(n) + 1) for n in places]),
        Axis("query", (len(shown), 0), ticks=(places + 0.5).tolist(), names=[str(int(n) + 1) for n in places]),
        height=210, note=note,
    )  # fmt: skip


def bars(found: Compared) -> Chart:
    """Shares of the first query: its own list, and a passage of another one."""
    rows = [
        torch.cat([part[0, :PASSAGES], part[0, PASSAGES:].mean()[None]]) for part in (found.target, found.prediction)
    ]
    places = torch.arange(PASSAGES + 1)
    return Chart(
        [
            Bars(places - 0.2, rows[0], width=0.38, colour=TARGET, name="levels, T"),
            Bars(places + 0.2, rows[1], width=0.38, colour=PREDICTION, name="scores, P"),
        ],
        "Shares of query 1",
        Axis("level of the passage", ticks=places.tolist(), names=[*map(str, LEVELS), "other lists"]),
        Axis(range=(0, ceiling(float(torch.cat(rows).max()))), grid=True), height=210, note="Other lists: the mean.",
    )  # fmt: skip


def losses_chart(now: Compared, own: Compared, away: Compared) -> Chart:
    """Both losses as multiples of what they are where each query meets its own list; the axis ends beyond `away`."""
    ratios = [now.wasserstein / own.wasserstein, now.kl / own.kl]
    return Chart(
        [Bars([0, 1], ratios, colour=(WASSERSTEIN, KL), group=[0, 1], width=0.6), Rule(y=1.0, dash="dashed")],
        "Losses, where 1 is with own lists",
        Axis(ticks=[0, 1], names=["Wasserstein", "KL"]),
        Axis(range=(0, ceiling(away.kl / own.kl)), grid=True), height=210, note="Dashed: each query at its list.",
    )  # fmt: skip


def lists_picture(state: State) -> Picture:
    """What the knobs `queries`, `label_scale`, `temperature` and `shift` make of the panel."""
    own, away, now = (compared(**{**state, "shift": shift}) for shift in (0, 1, state["shift"]))
    whose = "each at its own list" if state["shift"] % state["queries"] == 0 else "all at another's list"
    return Picture(
        "List-wise training: a batch's scores against its levels, as two clouds",
        "Maps of the shares of levels and scores, query by list, bars of those of one query, and both losses: where "
        "queries change lists, Wasserstein's stays, KL's jumps.",
        [
            [
                heat(now.target, "Shares of the levels, T", "What is asked: bright is a large share."),
                heat(now.prediction, "Shares of the scores, P", "What a retriever gives."),
            ],
            [bars(now), losses_chart(now, own, away)],
        ],
        [
            ("queries", whose),
            ("Wasserstein", f"{now.wasserstein:.4f}"),
            ("KL", f"{now.kl:.3f}"),
            ("T of the best passage", f"{float(now.target.max()):.2f}"),
            ("passages in the batch", f"{now.target.shape[1]}"),
        ],
    )


class ListsPanel(KnobPanel):
    """Turn what a list-wise loss compares: the sharpness of levels and scores, and how many queries share a batch.

    A retriever scores the passages of all lists for every query; levels are 3, 2, 1 and 0 in the own list and 0 in
    others. With more queries the softmax of levels gets flat. Let queries move on to the list of another: KL compares
    row with row and jumps; Wasserstein's distance compares the two clouds of rows and is the same to the last digit.
    Raises ValueError for a value that a control cannot show.
    """

    @takes
    def __init__(self, queries: int = 8, label_scale: float = 1.0, temperature: float = 0.2, shift: int = 0) -> None:
        knobs = {
            "queries": stepper("queries", QUERIES, queries, "queries Q", "of a batch, with four passages each"),
            "label_scale": dial(LABEL_SCALE, label_scale, "label scale", step=0.01),
            "temperature": dial(TEMPERATURE, temperature, "temperature τ", step=0.05),
            "shift": counter(Knob("shift", 0, 7, help="queries move on to other lists"), shift, "lists moved on"),
        }  # fmt: skip
        super().__init__(
            knobs, lists_picture,
            sweeps={"queries": QUERIES, "label_scale": (0.5, 1.0, 3.0), "shift": (0, 1, 3)},
        )  # fmt: skip


PANEL = ListsPanel
