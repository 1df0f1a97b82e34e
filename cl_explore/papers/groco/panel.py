"""SortPanel: GroCo's soft sort of one anchor's scores, and what it asks of each."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.widgets.knobs import KnobPanel, State, dial, of

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


def sort_picture(state: State, _: None = None) -> dict[str, Any]:
    """What `steepness` and the scores, knobs whose names begin with n (negatives) and p (positives), make of the panel.

    Inputs are drawn in the order of GroCo, negatives ascending and then positives ascending; `permutation` (n, n) is
    row by row the share of each input at each rank, `pull` (n,) minus the gradient of the anchor's loss.
    """
    scores = {
        kind: sorted(value for name, value in state.items() if name[0] == kind and name[1:].isdigit()) for kind in "np"
    }
    steepness, count = state["steepness"], len(scores["n"])
    negatives, positives = (torch.tensor(scores[kind], dtype=torch.float64).requires_grad_() for kind in "np")
    parts = losses.groco.parts(
        with_cosines(negatives, positives), hardest=count, steepness=steepness, key_grad="live"
    )  # fmt: skip
    slopes = torch.autograd.grad(parts["loss"][0], (negatives, positives))
    x = torch.cat([negatives, positives]).detach()
    ranked, permutation = losses.soft_sort(x, steepness)
    return {
        "negatives": count,
        "scores": x.numpy(),
        "sorted": ranked.numpy(),
        "permutation": permutation.ravel().numpy(),
        "chance": permutation[:, count:].sum(1).numpy(),
        "pull": -torch.cat(slopes).numpy(),
        "readout": [
            ["negatives above a positive", f"{parts['misordered'][0]:.1f}"],
            ["expected in the positives’ ranks", f"{parts['misplaced'][0]:.2f}"],
            ["loss", f"{parts['loss'][0]:.3f}"],
            ["share of the push on the hardest negative", f"{_share_of_hardest(slopes[0]):.0%}"],
        ],
    }


def _share_of_hardest(slopes: Tensor) -> float:
    return float(slopes[-1] / slopes.sum())


class SortPanel(KnobPanel):
    """GroCo's soft sort: drag the scores past each other and see who lands among the positives.

    Drag the scores of one anchor and the steepness of GroCo's sort; every score has a slider of its own.

    Ribbons and heat map: the soft permutation, how much of each input lands at each rank; bars: the chance of each to
    land among the positives' ranks, and the force of the loss on it. `negatives` and `positives` are cosines to the
    anchor, between -0.99 and 0.99, two to eight and one to four of them; ValueError otherwise.
    """

    def __init__(
        self,
        negatives: tuple[float, ...] = (-0.4, -0.1, 0.1, 0.3, 0.55),
        positives: tuple[float, ...] = (0.45,),
        *,
        steepness: float = 8.0,
    ) -> None:
        for name, given, least, most in (("negatives", negatives, 2, 8), ("positives", positives, 1, 4)):
            if not least <= len(given) <= most or not all(abs(score) <= LIMIT for score in given):
                raise ValueError(
                    f"{name} must be {least} to {most} cosines between {-LIMIT} and {LIMIT}, got {tuple(given)}"
                )
        if not 0.5 <= steepness <= 50:
            raise ValueError(f"steepness must be between 0.5 and 50, got {steepness}")
        help_text = "cosine with the anchor"
        knobs = {"steepness": dial(of(losses.groco, "steepness"), float(steepness), "steepness β")}
        for kind, name, given in (("p", "positive", positives), ("n", "negative", negatives)):
            for place, score in enumerate(given):
                knob = Knob(f"{name} {place + 1} (cosine)", -LIMIT, LIMIT, help=help_text)
                knobs[f"{kind}{place + 1}"] = dial(knob, float(score), step=0.01)
        scene = {
            "title": "GroCo: sort softly, and ask for the positives on top",
            "alt": "How much of each score lands at each rank of a soft sort, as ribbons and as a matrix; the chance "
            "of each to land among the positives' ranks; and the force of the loss on each score.",
        }
        super().__init__(
            "sort", knobs, scene, sort_picture,
            sweeps={"steepness": np.geomspace(0.5, 50, 11), "p1": np.linspace(-LIMIT, LIMIT, 13)},
        )  # fmt: skip


PANEL = SortPanel
