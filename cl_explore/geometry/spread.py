"""Points on the unit hypersphere: alignment, uniformity and tolerance (differentiable)."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cl_explore.geometry.distances import distance_factors
from cl_explore.geometry.inputs import groups, points
from cl_explore.given import Array, floats
from cl_explore.losses.unit import unit
from cl_explore.takes import Positive, takes

TILE = 1024  # pairs are visited in square blocks of at most this side: 4 MiB of float32


@takes
def alignment(z: Array, alpha: Positive = 2.0, *, normalize: bool = True) -> Tensor:
    """Mean distance, to the power `alpha`, between two views of the same sample.

    z: (B, V, D) with V >= 2, tensor or array; the mean runs over samples and their V(V-1)/2 pairs of views
    Returns: 0-dim float64, for unit vectors between 0 (views coincide) and 2**alpha; NaN if z holds NaN
    Source: Wang & Isola 2020 (2005.10242), L_align
    Raises: ValueError for another shape or alpha <= 0; TypeError unless z is floating point

    >>> z = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # one sample, two orthogonal views
    >>> round(alignment(z).item(), 6)
    2.0
    """
    z = floats(z, "z")
    if z.ndim != 3 or z.shape[0] < 1 or z.shape[1] < 2 or z.shape[2] < 1:
        raise ValueError(f"z must be (B, V, D) with at least 1 sample and 2 views, got shape {tuple(z.shape)}")
    if normalize:
        z = unit(z)
    first, second = torch.triu_indices(z.shape[1], z.shape[1], offset=1, device=z.device)
    return (z[:, first] - z[:, second]).norm(dim=2).double().pow(alpha).mean()


@takes
def uniformity(x: Array, t: Positive = 2.0, *, normalize: bool = True) -> Tensor:
    """Log of the mean Gaussian potential exp(-t ‖x_i - x_j‖²) over distinct pairs: lower is more uniform.

    x: (N, D), tensor or array
    Returns: 0-dim float64: 0 if all points coincide, -2t if they are orthonormal, which is about the floor for many
        points in many dimensions; NaN if x holds NaN
    Source: Wang & Isola 2020 (2005.10242), L_uniform; Eq. 10 of 2012.09740, whose tables print it with the opposite
        sign
    Raises: ValueError for another shape, N < 2 or t <= 0; TypeError unless x is floating point
    Note: memory is linear in N, with gradients too.

    >>> round(uniformity(torch.eye(8)).item(), 6)
    -4.0
    """
    x = points(x, normalize=normalize, finite=False)
    log_sum: Tensor = _LogPotential.apply(x, t)
    return log_sum - math.log(len(x) * (len(x) - 1))


class _LogPotential(torch.autograd.Function):
    """log Σ_{i≠j} exp(-t ‖x_i - x_j‖²) of x (N, D) and its gradient, each block of pairs computed anew when needed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, t: float) -> Tensor:
        logs = []
        for rows, cols, exponent in _blocks(x, t):
            top = exponent.amax()
            log_sum = exponent.sub_(top).exp_().sum(1).double().sum().log() + top
            logs.append(log_sum if rows is cols else log_sum + math.log(2))  # off the diagonal a pair counts both ways
        total = torch.stack(logs).logsumexp(0)
        ctx.save_for_backward(x, total)
        ctx.t = t
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        x, total = ctx.saved_tensors
        pull = torch.zeros_like(x)  # Σ_j p_ij (x_j - x_i), p_ij the share of a pair in the sum
        for rows, cols, exponent in _blocks(x, ctx.t):
            share = exponent.sub_(total).exp_()
            pull[rows].addmm_(share, x[cols]).sub_(share.sum(1)[:, None] * x[rows])
            if rows is not cols:
                pull[cols].addmm_(share.T, x[rows]).sub_(share.sum(0)[:, None] * x[cols])
        return (4 * ctx.t * grad_output).to(x.dtype) * pull, None


def _blocks(x: Tensor, t: float) -> Iterator[tuple[slice, slice, Tensor]]:
    """Exponents -t ‖x_i - x_j‖² in square blocks of the upper triangle: rows, columns and numbers, in a shared buffer.

    The rows and columns of a block on the diagonal are the same object; its self-pairs are -inf.
    """
    left, right = distance_factors(x)
    left *= 2 * t
    count = math.ceil(len(x) / TILE)
    edges = [i * len(x) // count for i in range(count + 1)]
    parts = [slice(*edge) for edge in pairwise(edges)]
    buffer = x.new_empty(min(len(x), TILE) ** 2)
    for i, rows in enumerate(parts):
        for cols in parts[i:]:
            n, m = rows.stop - rows.start, cols.stop - cols.start
            exponent = torch.mm(left[rows], right[cols].T, out=buffer[: n * m].view(n, m))
            if rows is cols:
                exponent.diagonal().fill_(-math.inf)
            yield rows, cols, exponent


@takes
def tolerance(
    x: Array,
    labels: Array,
    *,
    reading: Literal["conditional", "literal"] = "conditional",
    normalize: bool = True,
) -> Tensor:
    """Mean cosine between two samples of the same class: 1 if each class is a single point.

    x: (N, D), tensor or array
    labels: (N,) integers from 0 on
    reading: "conditional" averages over all pairs of distinct samples of one class, so that large classes weigh more
        and a class of one sample does not count; "literal" is the equation as printed, which averages cosine times
        [same class] over all pairs and is bounded by the share of same-class pairs
    Returns: 0-dim float64; NaN if x holds NaN
    Source: Wang & Liu 2021 (2012.09740), Eq. 11; the values of their Table 1 exceed the bound of "literal"
    Raises: ValueError for another shape, N < 2, a negative label, an unknown reading or (conditional) if no class has
        two samples; TypeError for dtypes
    """
    x = points(x, normalize=normalize, finite=False).double()
    group, sizes = groups(labels, x)
    pairs = int((sizes * (sizes - 1)).sum()) if reading == "conditional" else len(x) * (len(x) - 1)
    if pairs == 0:
        raise ValueError(f"labels must give some class at least 2 samples, got {len(x)} classes of one sample each")
    sums = x.new_zeros(len(sizes), x.shape[1]).index_add(0, group, x)
    return (sums.square().sum() - x.square().sum()) / pairs
