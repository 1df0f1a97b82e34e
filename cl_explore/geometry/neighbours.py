"""Nearest neighbours, and the measures of them: overlap of two neighbourhoods and hubness (no gradients)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.geometry.distances import distance_factors
from cl_explore.geometry.inputs import points
from cl_explore.given import Array, floats
from cl_explore.takes import takes

PAIRS = 2**22  # pairs held at once: 16 MiB of float32


class Nearest(NamedTuple):
    """The k nearest of each point, nearest first.

    rows: (N, k) int64, which they are
    products: (N, k), their inner products with the point
    """

    rows: Tensor
    products: Tensor


@takes
@torch.no_grad()
def nearest(x: Tensor, y: Tensor, k: int, own: Tensor | None = None) -> Nearest:
    """The k rows of y with the largest inner product with each row of x: of unit vectors, the nearest.

    x: (N, D)
    y: (M, D)
    own: (N,) int64, the row of y that is the same point and no neighbour, -1 where there is none; without it all count
    Raises: ValueError unless y has k rows, or k + 1 with `own`
    Note: memory is linear in N and M; ties are broken arbitrarily.

    >>> nearest(torch.eye(3), torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]), 1).rows.flatten()
    tensor([0, 1, 0])
    """
    x, y = floats(x, "x", "N D"), floats(y, "y", "N D")
    if x.shape[1] != y.shape[1] or x.dtype != y.dtype or not len(x):
        need = f"(M, {x.shape[1]}) of {x.dtype} like x, with rows in both"
        raise ValueError(f"y must be {need}, got {tuple(y.shape)} of {y.dtype}")
    if own is not None and (
        own.shape != x.shape[:1] or own.dtype != torch.int64 or own.is_sparse or own.device != x.device
    ):
        raise ValueError(f"own must be ({len(x)},) int64 on {x.device}, got {tuple(own.shape)} of {own.dtype}")
    if own is not None and not -1 <= own.min() <= own.max() < len(y):
        raise ValueError(f"own must be rows of y, below {len(y)}, or -1, got {own.min()} to {own.max()}")
    most = len(y) - (own is not None)
    if not 1 <= k <= most:
        raise ValueError(f"k must lie between 1 and {most} (a point has no more neighbours), got {k}")
    rows = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    products = x.new_empty(len(x), k)
    buffer = x.new_empty(min(len(x), math.ceil(PAIRS / len(y))), len(y))
    for start in range(0, len(x), len(buffer)):
        part = slice(start, start + len(buffer))
        block = torch.mm(x[part], y.T, out=buffer[: len(x[part])])
        if own is not None:
            left_out = own[part, None]
            block.scatter_(1, left_out.clamp(min=0), torch.where(left_out < 0, block[:, :1], -math.inf))
        products[part], rows[part] = block.topk(k, dim=1)
    return Nearest(rows, products)


@dataclass(frozen=True, eq=False)
class Hubness:
    """How unequally often points are near others.

    skewness: 0-dim float64, of the counts
    counts: (N,) int64, of how many other points each point is one of the k nearest
    """

    skewness: Tensor
    counts: Tensor


@takes
@torch.no_grad()
def knn_overlap(x: Array, y: Array, k: int, *, normalize: bool = True) -> Tensor:
    """Mean share of the k nearest neighbours that a point has in both of two embeddings of the same points.

    x: (N, D), tensor or array
    y: (N, E), likewise; row i of both is the same point
    normalize: neighbours go by cosine; if False, by Euclidean distance
    Returns: 0-dim float64: 1 for the same neighbourhoods, about k/(N-1) for unrelated ones
    Raises: ValueError for other shapes, unequal N, k outside 1 to N-1 or numbers that are not finite; TypeError for
        dtypes
    Note: a point is not its own neighbour; ties are broken arbitrarily; memory is linear in N.
    """
    x, y = points(x, normalize=normalize), points(y, "y", normalize=normalize)
    if len(x) != len(y):
        raise ValueError(f"x and y must hold the same points, got {len(x)} and {len(y)} rows")
    both = torch.cat((_nearest(x, k), _nearest(y, k).to(x.device)), 1).sort(1).values
    return (both[:, 1:] == both[:, :-1]).sum().double() / (k * len(x))


@takes
@torch.no_grad()
def hubness(x: Array, k: int, *, normalize: bool = True) -> Hubness:
    """How unequally often points are among the k nearest neighbours of others: a few hubs, many that are nobody's.

    x: (N, D), tensor or array; neighbours as in `knn_overlap`
    Returns: the counts, which sum to kN, and their third standardised moment (of the population), 0 if all are equal
    Source: Radovanović, Nanopoulos & Ivanović 2010 (JMLR 11), S_{N_k}
    Raises: ValueError for another shape, k outside 1 to N-1 or numbers that are not finite; TypeError for dtypes
    """
    x = points(x, normalize=normalize)
    counts = _nearest(x, k).flatten().bincount(minlength=len(x))
    deviation = counts.double() - k
    variance = deviation.square().mean()
    skewness = torch.where(variance > 0, deviation.pow(3).mean() / variance.pow(1.5), torch.zeros_like(variance))
    return Hubness(skewness, counts)


def _nearest(x: Tensor, k: int) -> Tensor:
    """Rows of the k nearest other points of each point of x (N, D), as (N, k) int64."""
    return nearest(*distance_factors(x), k, own=torch.arange(len(x), device=x.device)).rows
