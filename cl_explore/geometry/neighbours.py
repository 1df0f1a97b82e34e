"""Nearest neighbours, and the measures of them: overlap of two neighbourhoods and hubness (no gradients)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.geometry.distances import distance_factors
from cl_explore.geometry.inputs import Array, points

PAIRS = 2**22  # pairs held at once: 16 MiB of float32


class Nearest(NamedTuple):
    """The k nearest of each point, nearest first: their `rows` (N, k) int64 and their `products` (N, k)."""

    rows: Tensor
    products: Tensor


@torch.no_grad()
def nearest(x: Tensor, y: Tensor, k: int, own: Tensor | None = None) -> Nearest:
    """The k rows of y (M, D) with the largest inner product with each row of x (N, D): of unit vectors, the nearest.

    own (N,): the row of y that is the same point and no neighbour, -1 where there is none; without it all rows count.
    Memory is linear in N and M; ties are broken arbitrarily. Raises ValueError unless y has k rows (with `own`, k + 1).

    >>> nearest(torch.eye(3), torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]), 1).rows.flatten()
    tensor([0, 1, 0])
    """
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
    """Skewness of the k-occurrences (0-dim float64) and the k-occurrences themselves (N,) int64."""

    skewness: Tensor
    counts: Tensor


@torch.no_grad()
def knn_overlap(x: Array, y: Array, k: int, *, normalize: bool = True) -> Tensor:
    """Mean share of the k nearest neighbours that a point has in both of two embeddings of the same points.

    x: (N, D), y: (N, E), row i of both being the same point. Neighbours go by cosine, or by Euclidean distance with
    `normalize=False`; a point is not its own neighbour; ties are broken arbitrarily. Returns a 0-dim float64 tensor: 1
    for the same neighbourhoods, about k/(N-1) for unrelated ones. Memory is linear in N. Raises ValueError on other
    shapes, unequal N, k outside 1 ... N-1 or non-finite input, TypeError on a wrong dtype.
    """
    x, y = points(x, normalize=normalize), points(y, "y", normalize=normalize)
    if len(x) != len(y):
        raise ValueError(f"x and y must hold the same points, got {len(x)} and {len(y)} rows")
    both = torch.cat((_nearest(x, k), _nearest(y, k).to(x.device)), 1).sort(1).values
    return (both[:, 1:] == both[:, :-1]).sum().double() / (k * len(x))


@torch.no_grad()
def hubness(x: Array, k: int, *, normalize: bool = True) -> Hubness:
    """How unequally often points are among the k nearest neighbours of others: a few hubs, many that are nobody's.

    x: (N, D). `counts` (N,) says in how many of the other points' k nearest neighbours each point is (they sum to kN);
    `skewness` is the third standardised moment of the counts (population), 0 if all are equal. Neighbours as in
    `knn_overlap`. Raises ValueError on another shape, k outside 1 ... N-1 or non-finite x, TypeError on a wrong dtype.
    Source: Radovanović, Nanopoulos & Ivanović 2010 (JMLR 11), S_{N_k}.
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
