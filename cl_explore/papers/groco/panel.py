"""SortPanel: GroCo's soft sort of one anchor's scores, and what it asks of each."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import losses
from cl_explore.given import Array, numbers
from cl_explore.losses import Knob
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial
from cl_explore.widgets.knobs import of
from cl_explore.widgets.marks import Bars, Edges, Heat, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

NEGATIVE, POSITIVE = "#0072B2", "#009E73"
KINDS = ("negative", "positive")
LIMIT = 0.99  # of a score: at cosine 1 the points of `with_cosines` would not move with their scores


def with_cosines(negatives: Tensor, positives: Tensor) -> Tensor:
    """Unit vectors z (K + 1, M + 1, 2) whose first, z[0, 0], has these cosines to the first views of the other K
    samples and to the M other views of its own; differentiable in both.

    >>> z = with_cosines(torch.tensor([0.6]), torch.tensor([0.8, 0.0]))
    >>> (z[1, 0] @ z[0, 0]).item(), (z[0, 1:] @ z[0, 0]).tolist()
    (0.6000000238418579, [0.800000011920929, 0.0])
    """

    def at(cosine: Tensor) -> Tensor:
        return torch.stack([cosine, (1 - cosine.square()).sqrt()], dim=-1)

    anchor = torch.cat([at(torch.ones_like(positives[:1])), at(positives)])
    return torch.cat([anchor[None], at(negatives)[:, None].expand(-1, len(anchor), -1)])


class Sorted(NamedTuple):
    """A soft sort of n scores: K negatives ascending, then the positives ascending.

    knobs: which knob holds each score.
    permutation: (n, n), row by row the share of each input at each rank.
    pull: (n,), minus the gradient of the anchor's loss.
    readout: labels and values.
    """

    knobs: list[str]
    negatives: int
    scores: Tensor
    ranked: Tensor
    permutation: Tensor
    pull: Tensor
    readout: list[tuple[str, str]]


def soft_sorted(state: State) -> Sorted:
    """What `steepness` makes of the scores, the knobs whose names begin with n (negatives) and p (positives)."""
    found = {
        kind: sorted((value, name) for name, value in state.items() if name[0] == kind and name[1:].isdigit())
        for kind in "np"
    }
    steepness, count = state["steepness"], len(found["n"])
    negatives, positives = (
        torch.tensor([value for value, _ in found[kind]], dtype=torch.float64).requires_grad_() for kind in "np"
    )
    parts = losses.groco.parts(
        with_cosines(negatives, positives), hardest=count, steepness=steepness, key_grad="live"
    )  # fmt: skip
    slopes = torch.autograd.grad(parts["loss"][0], (negatives, positives))
    x = torch.cat([negatives, positives]).detach()
    ranked, permutation = losses.soft_sort(x, steepness)
    return Sorted(
        [name for kind in "np" for _, name in found[kind]], count, x, ranked, permutation, -torch.cat(slopes),
        [
            ("negatives above a positive", f"{parts['misordered'][0]:.1f}"),
            ("expected in the positives’ ranks", f"{parts['misplaced'][0]:.2f}"),
            ("loss", f"{parts['loss'][0]:.3f}"),
            ("share of the push on the hardest negative", f"{float(slopes[0][-1] / slopes[0].sum()):.0%}"),
        ],
    )  # fmt: skip


def sort_picture(state: State) -> Picture:
    """The soft sort of `soft_sorted` as ribbons, as a matrix, and what the loss makes of it."""
    at = soft_sorted(state)
    count, kinds = len(at.scores), (np.arange(len(at.scores)) >= at.negatives).astype(int)
    names = [f"{'np'[kind]}{1 + place - kind * at.negatives}" for place, kind in enumerate(kinds)]
    looks: dict[str, Any] = {"colour": (NEGATIVE, POSITIVE), "group": kinds}
    chance, middles = at.permutation[:, at.negatives :].sum(1), np.arange(count) + 0.5
    fields = {"kind": [KINDS[kind] for kind in kinds], "score": at.scores, "chance": chance, "force": at.pull}
    hover = "{kind}, cosine {score}\nchance of a positive’s rank {chance}\nforce {force}"
    from_to = np.stack(np.divmod(np.arange(count * count), count), axis=1)
    widths = np.where(at.permutation < 0.02, 0, 13 * at.permutation).ravel()
    ends = np.repeat([0.05, 0.8], count), np.concatenate([at.scores, at.ranked])
    ribbons = [
        Edges(*ends, from_to[own] + [0, count], colour=colour, width=widths[own], curved=True, alpha=0.5)
        for colour, own in ((looks["colour"][kind], kinds[from_to[:, 0]] == kind) for kind in (0, 1))
    ]
    flow = Chart(
        [
            *ribbons,
            Points(ends[0][:count], at.scores, marker=("o", "s"), size=6, **looks, name=KINDS, hover=hover,
                   fields=fields, drag_y=at.knobs),
            Text(np.full(count, 0.83), spread_out(at.ranked.numpy(), 0.09), [f"rank {j + 1}" for j in range(count)],
                 anchor="left", size=11),
        ],
        "Score → rank after the sort", Axis(range=(0, 1), ticks=()), Axis("cosine with the anchor", (-1, 1), grid=True),
        height=330, note="Drag a score.",
    )  # fmt: skip
    by_input: dict[str, Any] = {"ticks": middles, "names": names}
    matrix = Chart(
        [Heat(at.permutation, text=True), Rule(x=at.negatives, dash="dashed", width=1.5)],
        "Share of each input at each rank", Axis("rank", ticks=middles, names=[str(j + 1) for j in range(count)],
        range=(0, count)), Axis(range=(count, 0), **by_input), equal=True, height=330,
        note="Right of the dashes: the positives’ ranks.",
    )  # fmt: skip
    most = ceiling(float(at.pull.abs().max()))
    bars: dict[str, Any] = looks | {"hover": hover, "fields": fields}
    across = Axis(range=(0, count), **by_input)
    chances = Chart([Bars(middles, chance, **bars)], "Chance of a positive’s rank", across,
                    Axis(range=(0, 1), grid=True), height=160)  # fmt: skip
    forces = Chart([Bars(middles, at.pull, **bars), Rule(y=0)], "Force on the score", across,
                   Axis(range=(-most, most), grid=True), height=160)  # fmt: skip
    return Picture(
        "GroCo: sort softly, and ask for the positives on top",
        "How much of each score lands at each rank of a soft sort, as ribbons and as a matrix; the chance of each to "
        "land among the positives' ranks; and the force of the loss on each score.",
        [[flow, matrix, [chances, forces]]],
        at.readout,
    )


def spread_out(values: NDArray[np.floating], gap: float) -> NDArray[np.floating]:
    """The values, lowered where one is nearer than `gap` below the next higher one.

    >>> spread_out(np.array([0.0, 0.95, 1.0]), 0.1).tolist()
    [0.0, 0.9, 1.0]
    """
    placed, free = values.copy(), np.inf
    for place in np.argsort(-values):
        placed[place] = free = min(values[place], free - gap)
    return placed


class SortPanel(KnobPanel):
    """GroCo's soft sort: drag the scores past each other and see who lands among the positives.

    Drag the scores of one anchor and the steepness of GroCo's sort; every score has a slider of its own.

    Ribbons and heat map: the soft permutation, how much of each input lands at each rank; bars: the chance of each to
    land among the positives' ranks, and the force of the loss on it. `negatives` and `positives` are cosines to the
    anchor, sequences, arrays or tensors, between -0.99 and 0.99, two to eight and one to four of them; ValueError
    otherwise.
    """

    @takes
    def __init__(
        self,
        negatives: Array = (-0.4, -0.1, 0.1, 0.3, 0.55),
        positives: Array = (0.45,),
        *,
        steepness: float = 8.0,
    ) -> None:
        negatives, positives = (
            numbers(given, name).detach().cpu() for name, given in (("negatives", negatives), ("positives", positives))
        )
        for name, given, least, most in (("negatives", negatives, 2, 8), ("positives", positives, 1, 4)):
            if given.ndim != 1 or not least <= len(given) <= most or not (given.abs() <= LIMIT).all():
                raise ValueError(
                    f"{name} must be {least} to {most} cosines between {-LIMIT} and {LIMIT}, "
                    f"got {tuple(given.tolist())}"
                )
        help_text = "cosine with the anchor"
        knobs = {"steepness": dial(of(losses.groco, "steepness"), float(steepness), "steepness β")}
        for kind, name, given in (("p", "positive", positives), ("n", "negative", negatives)):
            for place, score in enumerate(given):
                knob = Knob(f"{name} {place + 1} (cosine)", -LIMIT, LIMIT, help=help_text)
                knobs[f"{kind}{place + 1}"] = dial(knob, float(score), step=0.01)
        super().__init__(
            knobs, sort_picture,
            sweeps={"steepness": np.geomspace(0.5, 50, 11), "p1": np.linspace(-LIMIT, LIMIT, 13)},
        )  # fmt: skip


PANEL = SortPanel
