"""MixPanel: MoCHi's synthetic negatives around one query."""

from typing import Any

import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from cl_explore import losses
from cl_explore.losses import Knob, Mixes
from cl_explore.losses.mochi import mix_hard_negatives
from cl_explore.widgets.controls import WIDE
from cl_explore.widgets.knobs import KnobPanel, State, counter, dial, of

QUEUE, MOST = 80, 48  # negatives in the queue, and mixes of either kind at most
BINS = 40
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


def mix_picture(state: State, _: None = None) -> dict[str, Any]:
    """What the knobs `hardest`, `pairs`, `queries`, `query_share`, `temperature` and `dim` make of the panel."""
    query, key, queue = world(state["dim"])
    mixes = recipe(*(state[name] for name in ("hardest", "pairs", "queries", "query_share")))
    count = state["pairs"] + state["queries"]
    synthetic = mix_hard_negatives(query, queue, mixes) if count else None
    parts = losses.mochi.parts(query, key, queue, synthetic, temperature=state["temperature"])
    cosines = (queue @ query[0]).sort(descending=True)
    made = torch.zeros(0, state["dim"]) if synthetic is None else synthetic[0]
    near = cosines.indices
    first = torch.cat([near[mixes.pair_ranks[0, 0]], near[mixes.query_ranks[0]]])
    second = torch.cat([near[mixes.pair_ranks[1, 0]], torch.full((state["queries"],), -1)])  # -1: the query
    hardness = made @ query[0]
    hard = torch.zeros(QUEUE, dtype=torch.int64)
    hard[near[: state["hardest"]]] = 1
    count_of = [np.histogram(x.numpy(), BINS, (-1, 1))[0] for x in (cosines.values, hardness)]
    best, positive = float(cosines.values[0]), float(parts["positive"][0])
    return {
        "dim": state["dim"],
        "query": seen_from(query, query)[0].tolist(),
        "key": seen_from(query, key)[0].tolist(),
        "queue": seen_from(query, queue).ravel().numpy(),
        "hard": hard.numpy(),
        # padded to one length, as a page without a kernel needs it
        "made": _padded(seen_from(query, made).ravel(), 4 * MOST).numpy(),
        "first": _padded(first, 2 * MOST).numpy(),
        "second": _padded(second, 2 * MOST).numpy(),
        "pairs": state["pairs"],
        "queries": state["queries"],
        "real": count_of[0],
        "synthetic": count_of[1],
        "best": best,
        "positive": positive,
        "readout": [
            ["hardest real negative", f"{best:.3f}"],
            ["hardest synthetic", f"{float(parts['harder'][0]):.3f}" if count else "none"],
            ["harder than any real one", f"{int((hardness > best).sum())} of {count}"],
            ["nearer than the positive", f"{int((hardness > positive).sum())} of {count}"],
            ["loss, real negatives only", f"{float(parts['real'][0]):.2f}"],
            ["with the synthetic", f"{float(parts['loss'][0]):.2f}"],
        ],
    }


def _padded(x: Tensor, length: int) -> Tensor:
    return torch.cat([x, x.new_zeros(length - len(x))])


class MixPanel(KnobPanel):
    """MoCHi mixes the hardest negatives with one another and with the query.

    MoCHi(hardest, pairs, queries): mix the hardest negatives of a query among themselves and with the query.

    On the circle, or on the sphere as seen from the query. Lines join a mix to its parents; the histogram compares real
    and synthetic negatives. The draws stay the same while knobs move. Raises ValueError for a number out of range.
    """

    def __init__(self, hardest: int = 12, pairs: int = 16, queries: int = 8, *, dim: int = 3) -> None:
        for name, value, least, most in (
            ("hardest", hardest, 2, QUEUE), ("pairs", pairs, 0, MOST), ("queries", queries, 0, MOST), ("dim", dim, 2, 3)
        ):  # fmt: skip
            if not least <= value <= most:
                raise ValueError(f"{name} must be between {least} and {most}, got {value}")
        knobs = {
            "hardest": counter(Knob("hardest negatives N", 2, QUEUE, help="pool the mixes are made from"), hardest),
            "pairs": counter(Knob("pair mixes s", 0, MOST, help="two of the hardest, mixed"), pairs),
            "queries": counter(Knob("query mixes s′", 0, MOST, help="one of them, mixed with the query"), queries),
            "query_share": dial(
                Knob("largest share of the query", 0.0, 0.9, help="0 = copies of real negatives; 0.5 in the paper"),
                0.5, step=0.05,
            ),
            "temperature": dial(of(losses.mochi, "temperature"), 0.2, "temperature τ", step=0.05),
            "dim": ipywidgets.Dropdown(options={"circle": 2, "sphere": 3}, value=dim, description="on the", style=WIDE),
        }  # fmt: skip
        scene = {
            "title": "MoCHi: new negatives, mixed from the hardest",
            "alt": "A query, its positive and 80 negatives, the hardest of them marked, and mixes of these with lines "
            "to their parents; beside them the histogram of the cosines of real and of synthetic negatives.",
        }
        super().__init__(
            "mix", knobs, scene, mix_picture,
            sweeps={"hardest": [2, 4, 8, 12, 20, 32, 48, 80], "query_share": np.linspace(0, 0.9, 10)},
        )  # fmt: skip


PANEL = MixPanel
