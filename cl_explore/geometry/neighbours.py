"""Here live the measures of nearest neighbours: overlap of two neighbourhoods and hubness (no gradients)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cl_explore.geometry.inputs import Array, points
from cl_explore.geometry.pairs import distance_factors

PAIRS = 2**22  # pairs held at once: 16 MiB of float32


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
    if not 1 <= k < len(x):
        raise ValueError(f"k must lie between 1 and {len(x) - 1} (a point has no more neighbours), got {k}")
    left, right = distance_factors(x)
    found = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    buffer = x.new_empty(min(len(x), math.ceil(PAIRS / len(x))), len(x))
    for start in range(0, len(x), len(buffer)):
        block = left[start : start + len(buffer)]
        closeness = torch.mm(block, right.T, out=buffer[: len(block)])
        closeness.diagonal(start).fill_(-math.inf)
        found[start : start + len(block)] = closeness.topk(k, dim=1).indices
    return found
