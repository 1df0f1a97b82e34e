"""Losses without negatives that keep the dimensions apart instead of the samples: Barlow Twins, VICReg, SHAMISA."""

import torch
from torch import Tensor

from cl_explore.losses.arguments import require_anchor
from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import distances, point_weights


def _spread(x: Tensor, gamma: Scalar) -> tuple[Tensor, Tensor]:
    """What VICReg asks of groups of points x (n, G, D), each by itself: that dimensions vary, and independently.

    Returns [gamma - standard deviation]_+, the mean over dimensions and groups, and squared covariances divided by D,
    summed over groups.
    """
    centred = x - x.mean(0)
    cov = torch.einsum("bvj,bvk->vjk", centred, centred) / (len(x) - 1)
    of_dimension = cov.diagonal(dim1=1, dim2=2)
    hinge = (gamma - (of_dimension + 1e-4).sqrt()).relu().mean()
    return hinge, (cov.square().sum() - of_dimension.square().sum()) / x.shape[2]


@loss(
    title="Barlow Twins",
    paper="2103.03230",
    family="redundancy",
    formula=r"\sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2",
    knobs=[Knob("redundancy", 0.0, 0.1, minimum=0, help="weight of the correlations between different dimensions")],
    min_views=2,
    max_views=2,
    raw=True,
)
def barlow_twins(z: Tensor, *, redundancy: Scalar = 0.0051) -> Parts:
    """Barlow Twins: the cross-correlation matrix of the two views should be the identity.

    z: (B, 2, D), read raw, N = 2 B anchors
    Parts: `loss` (N,), `on_diagonal` (N,) and `off_diagonal` (N,) the two sums, `correlation` (D, D)
    Source: Zbontar et al. 2021, equation 1
    Collapsed: D, as every correlation is 0
    Perfect: 0, which takes more samples than dimensions
    Note: Each dimension of each view is standardised over the batch (biased variance plus 1e-5, as batch normalisation
        does), so shift and scale of a dimension play no part. One number of the whole batch, which every anchor
        carries. Opposite views: 4 D on the diagonal.

    >>> white = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[:, None].expand(4, 2, 2)
    >>> barlow_twins(100 * white) < 1e-3
    tensor(True)
    """
    centred = z - z.mean(0)
    unit = centred / (centred.square().mean(0) + 1e-5).sqrt()
    correlation = unit[:, 0].T @ unit[:, 1] / len(z)
    diagonal = correlation.diagonal()
    on = (1 - diagonal).square().sum()
    off = correlation.square().sum() - diagonal.square().sum()
    on, off = (side.expand(2 * len(z)) for side in (on, off))
    return {"loss": on + redundancy * off, "on_diagonal": on, "off_diagonal": off, "correlation": correlation}


@loss(
    title="VICReg",
    paper="2105.04906",
    family="redundancy",
    formula=r"\lambda \tfrac1D \| z_i - z_i' \|^2 + \mu \tfrac12 \sum_v \tfrac1D \sum_j [\gamma - \sigma_{vj}]_+"
    r" + \nu \sum_v \tfrac1D \sum_{j \ne k} \mathrm{Cov}_{vjk}^2",
    knobs=[
        Knob("invariance", 0.0, 50.0, minimum=0, help="weight of the distance between the views"),
        Knob("variance", 0.0, 50.0, minimum=0, help="weight of the hinge that keeps each dimension spread out"),
        Knob("covariance", 0.0, 10.0, minimum=0, help="weight of the covariances between dimensions"),
        Knob("gamma", 0.1, 2.0, log=True, help="standard deviation from which a dimension is left alone"),
    ],
    min_views=2,
    max_views=2,
    raw=True,
)
def vicreg(
    z: Tensor, *, invariance: Scalar = 25.0, variance: Scalar = 25.0, covariance: Scalar = 1.0, gamma: Scalar = 1.0
) -> Parts:
    """VICReg: views agree, every dimension varies, no two dimensions say the same.

    z: (B, 2, D), read raw, N = 2 B anchors
    Parts: each (N,): `loss`, and before weighting `invariance` (squared distance of the views divided by D, the
        sample's own), `variance` (hinge of the standard deviation, mean over dimensions and views) and `covariance`
        (squared covariances divided by D, summed over views), numbers of the whole batch
    Source: Bardes et al. 2022, equations 1 to 6, weighted as in the authors' code: the distance is divided by D, the
        variance averaged over the views
    Collapsed: variance [gamma - 0.01]_+, the rest 0
    Note: Unbiased variances; 1e-4 is added before the root.

    >>> vicreg(torch.ones(4, 2, 3), variance=1.0)
    tensor(0.9900)
    """
    hinge, redundancy = _spread(z, gamma)
    parts = {
        "invariance": (z[:, 0] - z[:, 1]).square().mean(1).repeat_interleave(2),
        "variance": hinge.expand(2 * len(z)),
        "covariance": redundancy.expand(2 * len(z)),
    }
    total = invariance * parts["invariance"] + variance * parts["variance"] + covariance * parts["covariance"]
    return {"loss": total} | parts


@loss(
    title="SHAMISA",
    paper="2603.13669",
    family="redundancy",
    formula=r"\lambda \Big( \tfrac1D \sum_j G_{ij} \| z_i - z_j \|^2 - \rho N \sum_{j \ne i} G_{ij}^2 \Big)"
    r" + \mu \tfrac1P \sum_p \tfrac1D \sum_c [1 - \sigma_{pc}]_+"
    r" + \nu \sum_p \tfrac1D \sum_{c \ne c'} \mathrm{Cov}_{pcc'}^2",
    knobs=[
        Knob("invariance", 0.0, 100.0, minimum=0, help="weight of the distances of points that the graph relates"),
        Knob("variance", 0.0, 50.0, minimum=0, help="weight of the hinge that keeps each dimension spread out"),
        Knob("covariance", 0.0, 100.0, minimum=0, help="weight of the covariances between dimensions"),
        Knob("regulariser", 0.0, 0.2, minimum=0, help="keeps relations that are learned from vanishing"),
        Choice("statistics", ("parts", "whole"), help="variances and covariances of views or halves, or of all points"),
    ],
    raw=True,
)
def shamisa(
    z: Tensor,
    weights: Tensor | None = None,
    *,
    invariance: Scalar = 88.37,
    variance: Scalar = 11.98,
    covariance: Scalar = 57.21,
    regulariser: Scalar = 0.034,
    statistics: str = "parts",
) -> Parts:
    """VICReg on a graph: points attract each other as much as the graph says they are the same.

    z: (B, V, D) or (B, D), read raw
    weights: (B, B), at least 0, how much sample j is the same as sample i; the mean of both directions counts. Without
        them only the views of each sample are related
    Parts: each (N,): `loss`, and before weighting `invariance` (squared distances to related points divided by D),
        `relations` (minus N times the squared weights, which `regulariser` multiplies, then `invariance`), and of the
        whole batch `variance` (mean over dimensions and parts) and `covariance` (sum over parts)
    Source: Naseri and Wang 2026, the authors' code; what builds its graphs is in the folder of the paper, with the
        loss of its anchors
    Collapsed: 0.99 variance, plus the relations
    Raises: `ValueError` if a weight is negative or none is positive, and for halves that are unequal or of one point
    Note: The parts are the views; a single view is cut into halves, in the order of its samples. Two views and no
        weights: VICReg, but for the constant of the regulariser. Rotations leave the invariance as it is, not the rest.

    >>> z = torch.randn(6, 2, 4)
    >>> both = {"invariance": 25.0, "variance": 25.0, "covariance": 1.0}
    >>> torch.allclose(shamisa(z, regulariser=0, **both), vicreg(z, **both))
    True
    """
    samples, views, dimensions = z.shape
    number = samples * views
    parts_of = 1 if statistics == "whole" else max(views, 2)
    if number % parts_of or number < 2 * parts_of:
        raise ValueError(f"z must hold an even number of samples, at least 4, to have two halves, got {samples}")
    graph = point_weights(z, weights)
    graph = ((graph + graph.T) / 2).masked_fill(torch.eye(number, dtype=torch.bool, device=z.device), 0)
    if weights is not None:
        require_anchor(graph.sum(1), "a positive", "weights")
    listed = z.transpose(0, 1).reshape(parts_of, -1, dimensions)
    hinge, redundancy = _spread(listed.transpose(0, 1), 1.0)
    parts = {
        "invariance": (graph * distances(z.flatten(0, 1), squared=True)).sum(1) / dimensions,
        "relations": -number * graph.square().sum(1),
        "variance": hinge.expand(number),
        "covariance": redundancy.expand(number),
    }
    total = invariance * (parts["invariance"] + regulariser * parts["relations"])
    return {"loss": total + variance * parts["variance"] + covariance * parts["covariance"]} | parts
