"""The four measures of neural collapse, NC1 to NC4 (no gradients)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cl_explore.geometry.dispersion import means_of_groups
from cl_explore.geometry.inputs import groups, points
from cl_explore.given import Array, floats
from cl_explore.losses.unit import unit


@dataclass(frozen=True, eq=False)
class NeuralCollapse:
    """NC1 to NC4 as 0-dim float64, all but `nc4` 0 at full collapse; nc3 and nc4 are None without a classifier.

    nc1: variability within classes over that between them
    nc2_equinorm: coefficient of variation of the norms of the class means
    nc2_equiangular: standard deviation of the cosines between them
    nc2_max_angle: mean distance of those cosines from -1/(C-1)
    nc3: distance of the classifier from the class means
    nc4: share of samples for which the classifier names the class of the nearest mean, 1 at full collapse
    """

    nc1: Tensor
    nc2_equinorm: Tensor
    nc2_equiangular: Tensor
    nc2_max_angle: Tensor
    nc3: Tensor | None
    nc4: Tensor | None


@torch.no_grad()
def neural_collapse(x: Array, labels: Array, weights: Array | None = None, bias: Array | None = None) -> NeuralCollapse:
    """How far embeddings, and a linear classifier on them, have collapsed to a simplex.

    x: (N, D), not normalised; tensor or array
    labels: (N,) integers from 0 on
    weights, bias: (C, D) and (C,), as in `nn.Linear`, rows in ascending order of label
    Returns: with μ_c the class means, μ their mean, m_c = μ_c - μ, S_W the mean over classes of the covariance within
        and S_B that of m_c m_cᵀ: nc1 = tr(S_W pinv(S_B)) / C (NaN if all class means coincide); nc2_equinorm = std
        ‖m_c‖ / mean ‖m_c‖; nc2_equiangular = std cos(m_c, m_c') and nc2_max_angle = mean |cos(m_c, m_c') + 1/(C-1)|
        over c ≠ c' (both std of the population); nc3 = ‖W/‖W‖ - M/‖M‖‖² in Frobenius norms, M (C, D) of rows m_c; nc4
        = share of samples with argmax_c (w_c·x + b_c) = argmin_c ‖x - μ_c‖
    Source: Papyan, Han & Donoho 2020 (2008.08186); here every class weighs the same, which is their definition when
        classes are equally large and keeps the simplex at zero when they are not
    Raises: ValueError for another shape, fewer than 2 classes, a class of one sample (it has no spread), a negative
        label, numbers that are not finite or a bias without weights; TypeError for dtypes
    """
    x = points(x).double()
    group, sizes = groups(labels, x)
    classes = len(sizes)
    if classes < 2:
        raise ValueError(f"labels must name at least 2 classes, got {classes}")
    if sizes.min() < 2:
        raise ValueError(f"labels must give every class at least 2 samples, got {int((sizes < 2).sum())} with one")
    if weights is None and bias is not None:
        raise ValueError("bias needs weights, got a bias alone")

    means = means_of_groups(x, group, sizes)
    centred = means - means.mean(0)
    norms = centred.norm(dim=1)
    directions = unit(centred)
    first, second = torch.triu_indices(classes, classes, offset=1, device=x.device)
    cosines = (directions[first] * directions[second]).sum(1)
    nc3, nc4 = None, None
    if weights is not None:
        w = _fitting(weights, "weights", centred)
        nc3 = (w / w.norm() - centred / centred.norm()).square().sum()
        b = torch.zeros_like(norms) if bias is None else _fitting(bias, "bias", norms)
        nearest = (x @ means.T - means.square().sum(1) / 2).argmax(1)
        nc4 = ((x @ w.T + b).argmax(1) == nearest).double().mean()
    return NeuralCollapse(
        nc1=_variability(x - means[group], centred, 1 / (classes * sizes[group].double())),
        nc2_equinorm=norms.std(correction=0) / norms.mean(),
        nc2_equiangular=cosines.std(correction=0),
        nc2_max_angle=(cosines + 1 / (classes - 1)).abs().mean(),
        nc3=nc3,
        nc4=nc4,
    )


def _variability(residuals: Tensor, centred: Tensor, sample_weight: Tensor) -> Tensor:
    """NC1 of residuals (N, D) and centred class means (C, D): along each singular direction of the means, the variance
    within over the squared singular value. This equals the trace with the pseudo-inverse and forms no D×D matrix."""
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    rounding = singular[0] * max(centred.shape) * torch.finfo(singular.dtype).eps
    rank = min(len(centred) - 1, int((singular > rounding).sum()))  # centred means span at most C-1 directions
    if rank == 0:
        return singular.new_tensor(torch.nan)
    variance = sample_weight @ (residuals @ directions[:rank].T).square()
    return (variance / singular[:rank].square()).sum()


def _fitting(value: Array, name: str, like: Tensor) -> Tensor:
    """The classifier's weights or bias as a float64 tensor with the shape and device of `like`."""
    value = floats(value, name).to(like)
    if value.shape != like.shape:
        raise ValueError(f"{name} must be {tuple(like.shape)}, got shape {tuple(value.shape)}")
    if not value.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return value
