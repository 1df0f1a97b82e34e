"""SCGC: the neighbours of a node in a graph are its positives, weighted by how much they influence it."""

import torch
from torch import Tensor

from cl_explore.losses.arguments import require_anchor
from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import point_weights

FLOOR = 1e-8
"""Added to a probability before its logarithm, as the authors do: no anchor costs more than 18.4."""


@loss(
    title="SCGC",
    paper="2204.12656",
    family="graph",
    formula=r"-\log\Big( \frac{\sum_j \gamma_{ij} e^{\tau s_{ij}}}{\sum_j e^{\tau s_{ij}}} + 10^{-8} \Big),"
    r"\quad s_{ij} = z_i \cdot z_j,\; s_{ii} = 0",
    knobs=[
        Knob("inv_temperature", 0.1, 10.0, log=True, help="multiplies cosines: large = the nearest count most"),
        Choice("self_pairs", ("zero", "drop"), help="whether a node meets itself, at cosine 0, or is left out"),
    ],
)
def scgc(
    z: Tensor, weights: Tensor | None = None, *, inv_temperature: Scalar = 0.25, self_pairs: str = "zero"
) -> Parts:
    """Contrast on a graph: the share of a node's neighbours in the softmax over all nodes is to be large.

    z: (B, V, D) or (B, D)
    weights: (B, B), at least 0, how much sample j is a positive of sample i; without them only each sample of itself
    Parts: `loss` (N,), `share` (N,) the weighted sum of the softmax, `anchor_weight` (N,) 0 for one without a positive
    Source: Kulatilleke et al. 2022, the authors' code, in which cosines are multiplied by tau and a node's cosine with
        itself is set to 0, not left out
    Collapsed: -log((w e^tau + w_ii) / ((B-1) e^tau + 1)) for one view, w the sum of the other weights; with "drop"
        -log(w/(B-1))
    Raises: `ValueError` if a weight is negative or no anchor has a positive
    Note: Weights are not made to sum to 1; where they sum to R the loss goes down to -log R. Weights of 1 for all pairs
        give 0 and no gradient. Without weights, "drop" is the NT-Xent loss at temperature 1 / inv_temperature.

    >>> from cl_explore.losses import nt_xent
    >>> z = torch.randn(6, 2, 4)
    >>> pairs = scgc(z, inv_temperature=5, self_pairs="drop")
    >>> torch.allclose(pairs, nt_xent(z, temperature=0.2), atol=1e-4)
    True
    """
    x, gamma = z.flatten(0, 1), point_weights(z, weights)
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    logits = (inv_temperature * (x @ x.T)).masked_fill(own, 0)
    if self_pairs == "drop":
        logits, gamma = logits.masked_fill(own, -torch.inf), gamma.masked_fill(own, 0)
    counts = gamma.sum(1) > 0
    require_anchor(counts, "a positive", "weights")
    share = (gamma * logits.softmax(1)).sum(1)
    return {"loss": -(share + FLOOR).log() * counts, "share": share, "anchor_weight": counts.to(x.dtype)}
