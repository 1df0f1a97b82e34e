"""Losses without negatives that keep the dimensions apart instead of the samples: Barlow Twins and VICReg."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Knob, Scalar


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
    centred = z - z.mean(0)
    cov = torch.einsum("bvj,bvk->vjk", centred, centred) / (len(z) - 1)
    of_dimension = cov.diagonal(dim1=1, dim2=2)
    parts = {
        "invariance": (z[:, 0] - z[:, 1]).square().mean(1).repeat_interleave(2),
        "variance": (gamma - (of_dimension + 1e-4).sqrt()).relu().mean().expand(2 * len(z)),
        "covariance": ((cov.square().sum() - of_dimension.square().sum()) / z.shape[2]).expand(2 * len(z)),
    }
    total = invariance * parts["invariance"] + variance * parts["variance"] + covariance * parts["covariance"]
    return {"loss": total} | parts
