"""Prototypes whose distances mirror how far a sample is from what is usual for it."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar

EPS = 1e-6
"""Added to each coordinate of a difference before its length is taken, as torch's triplet loss does."""


def terms(z: Tensor, prototypes: Tensor, margin: Scalar, distance: str) -> tuple[Tensor, Tensor]:
    """`contrast` and `gap` (B,) of `deviation`, with gradients of z (B, 2, D), too."""
    near = prototypes[(z @ prototypes.mT).topk(2).indices]  # (B, 2, 2, D): of the sample and its anchor the best two
    away = z[:, :1] - near[:, 0]
    if distance == "l2":
        nearest, second = torch.linalg.vector_norm(away + EPS, dim=-1).unbind(1)
    else:
        nearest, second = away.square().sum(-1).unbind(1)
    asked, found = ((a - b).abs().sum(-1) for a, b in (z.unbind(1), near[:, :, 0].unbind(1)))
    return (nearest - second + margin).relu(), (asked - found).abs()


@loss(
    title="Deviation learning",
    paper="2510.04908",
    family="prototypes",
    min_samples=1,
    min_views=2,
    max_views=2,
    formula=r"\lambda_c \max(\|q - w_1\| - \|q - w_2\| + m, 0)"
    r" + \lambda_d \big| \|q - q'\|_1 - \|w_1 - w_1'\|_1 \big|",
    knobs=[
        Knob("margin", 0.0, 2.0, minimum=0, help="how much nearer the nearest prototype should be than the second"),
        Knob("contrast_weight", 0.0, 1.0, minimum=0, help="of the margin between the two nearest prototypes"),
        Knob("deviation_weight", 0.0, 3.0, minimum=0, help="of the gap between distances of prototypes and queries"),
        Choice("distance", ("l2", "l2_squared"), help="in the margin; squared as the text is said to have it"),
    ],
    raw=True,
)
def deviation(
    z: Tensor,
    prototypes: Tensor,
    *,
    margin: Scalar = 0.5,
    contrast_weight: Scalar = 0.01,
    deviation_weight: Scalar = 1.0,
    distance: str = "l2",
) -> Parts:
    """The nearest prototypes of a sample and of what is usual for it should be as far apart as the two are.

    z: (B, 2, D) queries of the sample as it is and of its anchor (its history), of any length, without gradient
    prototypes: (C, D) with C >= 2
    Parts: `loss` (B,), `contrast` (B,) of the sample's two nearest prototypes, `gap` (B,) of the L1 distances
    Source: Gao et al. 2025 (ST-SSDL) by the authors' code; the squared distance by secondary reports of the text
    Collapsed: contrast_weight margin
    Raises: `ValueError` for a single prototype
    Note: Nearest is the prototype of the largest inner product. Only prototypes get a gradient: what makes the queries
        is trained by whatever else reads the prototypes. The L1 distances grow with D.

    >>> queries = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    >>> deviation.parts(queries, torch.eye(2))["gap"]
    tensor([3.])
    """
    if len(prototypes) < 2:
        raise ValueError(f"prototypes must have at least 2 rows, a nearest and a second, got {len(prototypes)}")
    contrast, gap = terms(z.detach(), prototypes, margin, distance)
    return {"loss": contrast_weight * contrast + deviation_weight * gap, "contrast": contrast, "gap": gap}
