"""Losses with a margin: negatives farther than a distance, or than the positives, are left alone."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.arguments import require_anchor
from cl_explore.losses.blocks import by_blocks
from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import distances, points


@loss(
    title="Contrastive margin",
    paper="Hadsell, Chopra & LeCun 2006",
    family="margin",
    formula=r"\tfrac12 \big( [y_i = y_j]\, D_{ij}^2 + [y_i \ne y_j]\, [\, m - D_{ij} \,]_+^2 \big)",
    knobs=[Knob("margin", 0.1, 2.0, minimum=0, help="distance from which a pair of different classes is left alone")],
)
def contrastive_margin(z: Tensor, labels: Tensor, *, margin: Scalar = 1.0) -> Tensor:
    """The loss of pairs: points of one class attract, points of two classes repel until they are `margin` apart.

    z: (B, V, D) or (B, D); N = B V points, each paired with the N - 1 others
    labels: (B,)
    Source: Hadsell, Chopra & LeCun 2006, equation 4, as the mean (not the sum) over pairs
    Collapsed: margin^2 / 2 times the share of pairs of two classes
    Perfect: 0

    >>> contrastive_margin(torch.eye(2), torch.tensor([0, 0]))
    tensor(1.0000)
    """
    x, y = points(z, labels)
    d = distances(x, squared=False)
    each = torch.where(y[:, None] == y, d, (margin - d).relu()).square() / 2
    others = ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    return (each * others).sum(1) / (len(x) - 1)


def _hinge_rows(distance: Tensor, positive: Tensor, negative: Tensor, margin: Tensor, semi_hard: bool) -> Parts:
    """Hinges of all triplets of each anchor, summed in O(N^2 log N).

    With the negatives of an anchor sorted, those within reach of a positive are a prefix (semi-hard: a stretch), and
    the sum over it is a difference of cumulative sums.
    """
    far = torch.where(negative, distance, torch.inf).sort(1).values
    below = F.pad(torch.where(far.isfinite(), far, 0).cumsum(1), (1, 0))
    reach = distance + margin
    last = torch.searchsorted(far.detach(), reach.detach().contiguous())
    first = torch.searchsorted(far.detach(), distance.detach().contiguous(), right=True) if semi_hard else 0 * last
    number = ((last - first) * positive).to(distance.dtype)
    total = number * reach - (below.gather(1, last) - below.gather(1, first)) * positive
    return {"total": total.sum(1), "active": number.sum(1)}


def _table_rows(distance: Tensor, positive: Tensor, negative: Tensor, margin: Tensor, soft: bool, swap: bool) -> Parts:
    """The same sums triplet by triplet, for hinges that do not sort: O(N^3) time, memory kept to blocks of anchors."""

    def block(rows: slice) -> tuple[Tensor, Tensor]:
        to_negative = distance[rows][:, None]
        if swap:
            to_negative = torch.minimum(to_negative, distance[None])
        valid = positive[rows][:, :, None] & negative[rows][:, None]
        violation = distance[rows][:, :, None] - to_negative + margin
        each = (F.softplus(violation) if soft else violation.relu()) * valid
        return each.sum((1, 2)), ((each > 0) & valid).sum((1, 2)).to(distance.dtype)

    total, active = by_blocks(block, len(distance))
    return {"total": total, "active": active}


@loss(
    title="Triplet",
    paper="1503.03832",
    family="margin",
    formula=r"[\, D_{ap} - D_{an} + m \,]_+",
    knobs=[
        Knob("margin", 0.0, 1.0, minimum=0, help="how much nearer than a negative a positive must be"),
        Choice("mining", ("all", "semi-hard", "hard"), help="which triplets of an anchor count"),
        Choice("distance", ("euclidean", "squared"), help="Euclidean distance or its square"),
        Choice("hinge", ("relu", "softplus"), help="hard or smooth hinge"),
        Choice("swap", ("off", "on"), help="measure the negative from the positive when that is nearer"),
        Choice("average", ("valid", "active"), help="mean over all mined triplets or over the violated ones"),
    ],
)
def triplet(
    z: Tensor,
    labels: Tensor,
    *,
    margin: Scalar = 0.2,
    mining: str = "all",
    distance: str = "euclidean",
    hinge: str = "relu",
    swap: str = "off",
    average: str = "valid",
) -> Parts:
    """Triplet margin loss over all, the semi-hard or the hardest triplets of each anchor.

    z: (B, V, D) or (B, D), N = B V points
    labels: (B,)
    Parts: `loss` (N,) the mean over the triplets of an anchor, `active` (N,) how many violate the margin,
        `anchor_weight` (N,) how many enter the mean, so that the loss is the mean over triplets
    Source: Schroff et al. 2015, equation 1 (squared distances there); Hermans et al. 1703.07737 ("hard", softplus)
    Collapsed: margin
    Perfect: 0
    Raises: `ValueError` if no anchor has both a positive and a negative, or if softplus or swap is asked of semi-hard
        triplets, or swap of hard ones
    Note: "all": every positive with every negative. "semi-hard": negatives farther than the positive yet inside the
        margin. "hard": farthest positive with nearest negative. With average="active" and nothing violated: 0.

    >>> triplet(torch.ones(4, 3), torch.tensor([0, 0, 1, 1]), margin=0.3)
    tensor(0.3000)
    """
    if mining != "all" and swap == "on":
        raise ValueError(f"swap must be 'off' unless mining is 'all', got swap 'on' with mining {mining!r}")
    if mining == "semi-hard" and hinge == "softplus":
        raise ValueError("hinge must be 'relu' when mining is 'semi-hard', got 'softplus'")
    x, y = points(z, labels)
    d = distances(x, distance == "squared")
    same = y[:, None] == y
    positive, negative = same & ~torch.eye(len(x), dtype=torch.bool, device=x.device), ~same
    pairs = positive.sum(1) * negative.sum(1)
    require_anchor(pairs > 0, "a positive (another point of its class) and a negative (a point of another class)")

    if mining == "hard":
        hardest = torch.where(positive, d, -torch.inf).amax(1) - torch.where(negative, d, torch.inf).amin(1)
        violation = torch.where(pairs > 0, hardest, 0) + margin
        total = (F.softplus(violation) if hinge == "softplus" else violation.relu()) * (pairs > 0)
        number, active = (pairs > 0).to(x.dtype), (total > 0).to(x.dtype)
    else:
        if hinge == "softplus" or swap == "on":
            rows = _table_rows(d, positive, negative, margin, hinge == "softplus", swap == "on")
        else:
            rows = _hinge_rows(d, positive, negative, margin, mining == "semi-hard")
        total, active = rows["total"], rows["active"]
        number = active if mining == "semi-hard" else pairs.to(x.dtype)
    counted = active if average == "active" else number
    return {"loss": total / counted.clamp(min=1), "active": active, "anchor_weight": counted}
