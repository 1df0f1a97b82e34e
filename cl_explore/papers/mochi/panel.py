"""MixPanel: MoCHi's synthetic negatives around one query."""

from typing import NamedTuple

import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import losses
from cl_explore.losses import Knob, Mixes
from cl_explore.losses.mochi import mix_hard_negatives
from cl_explore.takes import takes
from cl_explore.widgets.controls import WIDE, counter, dial
from cl_explore.widgets.knobs import of
from cl_explore.widgets.marks import Bars, Edges, Points, Rule, Text, circle
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

QUEUE, MOST = 80, 48  # negatives in the queue, and mixes of either kind at most
BINS = 40
KEY, HARD, PAIR, WITH_QUERY = "#009E73", "#0072B2", "#D55E00", "#8638D2"
CLEARED = float(np.cos(np.deg2rad(25)))


def world(dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """A query (1, dim), its positive, and a queue (80, dim) spread over the circle or the sphere, seeded; as late in a
    training, when the loss has cleared the surroundings of a query, no negative is nearer than 25 degrees."""
    generator = Generator().manual_seed(1)
    query = torch.eye(dim)[1:2]
    key = F.normalize(query + torch.eye(dim)[:1] * 0.25, dim=1)
    spread = F.normalize(torch.randn(2 * QUEUE, dim, generator=generator), dim=1)
    return query, key, spread[spread @ query[0] < CLEARED][:QUEUE]


def recipe(hardest: int, pairs: int, queries: int, query_share: float) -> Mixes:
    """The first `pairs` and `queries` of always the same draws: turning up their number adds mixes and moves none."""
    generator = Generator().manual_seed(0)
    drawn = losses.draw_mixes(
        1, hardest=hardest, pairs=MOST, queries=MOST, query_share=query_share, generator=generator
    )
    return drawn._replace(
        pair_ranks=drawn.pair_ranks[..., :pairs],
        pair_shares=drawn.pair_shares[:, :pairs],
        query_ranks=drawn.query_ranks[:, :queries],
        query_shares=drawn.query_shares[:, :queries],
    )


def seen_from(query: Tensor, points: Tensor) -> Tensor:
    """Places (N, 2) of unit points (N, D): the circle as it is, the sphere as a disc with the query in the middle and
    the opposite point as its rim, equal areas staying equal: a point lies sin(angle / 2) from the middle."""
    if points.shape[1] == 2:
        return points
    reach = ((1 - points @ query[0]).clamp(min=0) / 2).sqrt()
    return F.normalize(points[:, [0, 2]], dim=1) * reach[:, None]


class Mixed(NamedTuple):
    """A query among its queue, and what was mixed of it; places are those of `seen_from`.

    query, key: (2,); queue: (80, 2); hard: (80,) bool, the pool that is mixed.
    made: (K, 2), mixes of two of the hardest, then `queries` mixes of one with the query.
    first, second: (K,) place of each parent in the queue, -1 for the query.
    cosines, hardness: (80,) and (K,), with the query.
    """

    query: Tensor
    key: Tensor
    queue: Tensor
    hard: Tensor
    made: Tensor
    first: Tensor
    second: Tensor
    queries: int
    cosines: Tensor
    hardness: Tensor
    positive: float
    readout: list[tuple[str, str]]


def mixed(state: State) -> Mixed:
    """What the knobs `hardest`, `pairs`, `queries`, `query_share`, `temperature` and `dim` make of the world."""
    query, key, queue = world(state["dim"])
    mixes = recipe(*(state[name] for name in ("hardest", "pairs", "queries", "query_share")))
    count = state["pairs"] + state["queries"]
    synthetic = mix_hard_negatives(query, queue, mixes) if count else None
    parts = losses.mochi.parts(query, key, queue, synthetic, temperature=state["temperature"])
    cosines = (queue @ query[0]).sort(descending=True)
    made = torch.zeros(0, state["dim"]) if synthetic is None else synthetic[0]
    near = cosines.indices
    hardness = made @ query[0]
    hard = torch.zeros(QUEUE, dtype=torch.bool)
    hard[near[: state["hardest"]]] = True
    best, positive = float(cosines.values[0]), float(parts["positive"][0])
    return Mixed(
        seen_from(query, query)[0],
        seen_from(query, key)[0],
        seen_from(query, queue),
        hard,
        seen_from(query, made),
        torch.cat([near[mixes.pair_ranks[0, 0]], near[mixes.query_ranks[0]]]),
        torch.cat([near[mixes.pair_ranks[1, 0]], torch.full((state["queries"],), -1)]),
        state["queries"],
        cosines.values,
        hardness,
        positive,
        [
            ("hardest real negative", f"{best:.3f}"),
            ("hardest synthetic", f"{float(parts['harder'][0]):.3f}" if count else "none"),
            ("harder than any real one", f"{int((hardness > best).sum())} of {count}"),
            ("nearer than the positive", f"{int((hardness > positive).sum())} of {count}"),
            ("loss, real negatives only", f"{float(parts['real'][0]):.2f}"),
            ("with the synthetic", f"{float(parts['loss'][0]):.2f}"),
        ],
    )


def histogram(cosines: Tensor) -> NDArray[np.int64]:
    """How many cosines lie in each of 40 equal bins from -1 to 1."""
    return np.histogram(cosines.numpy(), BINS, (-1, 1))[0]


def mix_picture(state: State) -> Picture:
    """The query's surroundings of `mixed`, lines from each mix to its parents, and how hard the negatives are."""
    at = mixed(state)
    pairs = len(at.made) - at.queries
    kinds = (torch.arange(len(at.made)) >= pairs).int().numpy()
    nodes = torch.cat([at.queue, at.query[None], at.made])  # parents, the query at place QUEUE, mixes behind
    parents = torch.stack([at.first, at.second.where(at.second >= 0, torch.tensor(QUEUE))], dim=1).numpy()
    own = QUEUE + 1 + np.arange(len(at.made))
    joins = [
        Edges(nodes[:, 0], nodes[:, 1], np.concatenate([np.stack([parents[kinds == kind, side], own[kinds == kind]], 1)
              for side in (0, 1)]), colour=colour, alpha=0.4)
        for kind, colour in ((0, PAIR), (1, WITH_QUERY))
    ]  # fmt: skip
    sphere = state["dim"] == 3
    rings = (30, 60, 90, 180) if sphere else (180,)
    radii = [float(np.sin(np.deg2rad(degrees) / 2)) for degrees in rings]
    named = [(radius, f"{degrees}°") for degrees, radius in zip(rings, radii, strict=True) if sphere]
    scene = Chart(
        [
            *(circle(radius, colour="muted" if radius == 1 else "grid") for radius in radii),
            *(Text([0.71 * radius], [-0.71 * radius], [name], colour="muted", size=11, anchor="left", dx=4, dy=8)
              for radius, name in named),
            *joins,
            Points(*at.queue.T, group=at.hard.int().numpy(), colour=("#9a9a9a", HARD), marker=("o", "o"),
                   name=("negatives in the queue", "the hardest of them"), hover="negative {number} of the queue",
                   fields={"number": np.arange(1, QUEUE + 1)}),
            Points(*at.made.T, group=kinds, colour=(PAIR, WITH_QUERY), marker=("^", "v"), size=5.2,
                   name=(f"{pairs} mixes of two of the hardest", f"{at.queries} mixes of one with the query"),
                   hover="{kind}", fields={"kind": [("mix of two negatives", "mix with the query")[k] for k in kinds]}),
            Points(*at.key[:, None], colour=KEY, marker="D", size=8, name="its positive"),
            Points(*at.query[:, None], colour="ink", marker="*", size=9, name="query"),
        ],
        "The sphere from the query: rings are angles" if sphere else "Points on the circle",
        Axis(range=(-1.08, 1.08)), Axis(range=(-1.08, 1.08)), width=1.1, height=430, equal=True, bare=True,
    )  # fmt: skip
    real, synthetic = histogram(at.cosines), histogram(at.hardness)
    centres = -1 + (np.arange(BINS) + 0.5) * 2 / BINS
    hardness = Chart(
        [
            Bars(centres, real, width=2 / BINS, colour=HARD, name="real"),
            Bars(centres, synthetic, width=2 / BINS, colour=PAIR, outline=True, name="synthetic"),
            Rule(x=at.positive, colour=KEY, width=1.5, dash="dashed", name="positive"),
            Rule(x=float(at.cosines[0]), colour=HARD, width=1.5, dash="dotted", name="hardest real"),
        ],
        "How hard the negatives are", Axis("cosine with the query", (-1, 1)),
        Axis("negatives", (0, max(5, ceiling(float(max(real.max(), synthetic.max()))))), grid=True), height=300,
    )  # fmt: skip
    return Picture(
        "MoCHi: new negatives, mixed from the hardest",
        "A query, its positive and 80 negatives, the hardest of them marked, and mixes of these with lines to their "
        "parents; beside them the histogram of the cosines of real and of synthetic negatives.",
        [[scene, hardness]],
        at.readout,
    )


class MixPanel(KnobPanel):
    """MoCHi mixes the hardest negatives with one another and with the query.

    On the circle, or on the sphere as seen from the query. Lines join a mix to its parents; the histogram compares real
    and synthetic negatives. The draws stay the same while knobs move.

    hardest: size of the pool the mixes are made from, 2 to 80.
    pairs, queries: mixes of two of the pool, and of one with the query, 0 to 48 each.
    dim: 2 for the circle, 3 for the sphere.
    Raises: ValueError for a number out of range.
    """

    @takes
    def __init__(self, hardest: int = 12, pairs: int = 16, queries: int = 8, *, dim: int = 3) -> None:
        if dim not in (2, 3):
            raise ValueError(f"dim must be 2 or 3, got {dim}")
        share = Knob("query_share", 0.0, 0.9, help="0 = copies of real negatives; 0.5 in the paper")
        knobs = {
            "hardest": counter(Knob("hardest", 2, QUEUE, help="pool the mixes are made from"), hardest,
                               "hardest negatives N"),
            "pairs": counter(Knob("pairs", 0, MOST, help="two of the hardest, mixed"), pairs, "pair mixes s"),
            "queries": counter(Knob("queries", 0, MOST, help="one of them, mixed with the query"), queries,
                               "query mixes s′"),
            "query_share": dial(share, 0.5, "largest share of the query", step=0.05),
            "temperature": dial(of(losses.mochi, "temperature"), 0.2, "temperature τ", step=0.05),
            "dim": ipywidgets.Dropdown(options={"circle": 2, "sphere": 3}, value=dim, description="on the", style=WIDE),
        }  # fmt: skip
        super().__init__(
            knobs, mix_picture,
            sweeps={"hardest": [2, 4, 8, 12, 20, 32, 48, 80], "query_share": np.linspace(0, 0.9, 10)},
        )  # fmt: skip


PANEL = MixPanel
