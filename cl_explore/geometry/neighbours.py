"""Nearest neighbours, and what they tell: overlap, hubness, near-duplicates and outliers (no gradients)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.geometry.distances import distance_factors
from cl_explore.geometry.inputs import points
from cl_explore.given import Array, floats
from cl_explore.takes import Positive, takes

PAIRS = 2**22  # pairs held at once: 16 MiB of float32
TILE = 2048  # rows of y against which a block is held at once: blocks of few long rows would wait for memory
BLOCK = 4096  # points whose neighbours are found between two moves of a progress bar


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
    tiles = y.split(TILE)
    height = math.ceil(PAIRS / len(tiles[0]))
    for start in range(0, len(x), height):
        part = slice(start, start + height)
        found = []
        for first, tile in zip(range(0, len(y), TILE), tiles, strict=True):
            block = x[part] @ tile.T
            if own is not None:
                column = own[part, None] - first
                inside = column.clamp(0, len(tile) - 1)
                block.scatter_(1, inside, torch.where(inside == column, -math.inf, block.gather(1, inside)))
            best = block.topk(min(k, len(tile)), dim=1)
            found.append((best.values, best.indices + first))
        values, indices = (torch.cat(columns, 1) for columns in zip(*found, strict=True))
        products[part], chosen = values.topk(k, dim=1)
        rows[part] = indices.gather(1, chosen)
    return Nearest(rows, products)


class KNNGraph(NamedTuple):
    """The k nearest other points of each of N points, nearest first.

    rows: (N, k) int64, which they are
    distances: (N, k), how far; between unit vectors d, the cosine is 1 - d²/2
    """

    rows: Tensor
    distances: Tensor


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
def knn_graph(
    x: Array, k: int, *, normalize: bool = True, watch: Callable[[Sequence[int]], Iterable[int]] | None = None
) -> KNNGraph:
    """The k nearest other points of each point, from which hubs, duplicates, outliers and wrong labels are read.

    x: (N, D), tensor or array
    normalize: distances are between points brought to unit length, so that neighbours go by cosine; if False, between
        points as they come
    watch: what the blocks of points go through, such as `tqdm.tqdm` for a progress bar
    Raises: ValueError for another shape, k outside 1 to N-1 or numbers that are not finite; TypeError for dtypes
    Note: ties are broken arbitrarily; time grows with N²D, memory is linear in N.

    >>> knn_graph([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], 1).rows.flatten()
    tensor([1, 0, 1])
    """
    left, right = distance_factors(points(x, normalize=normalize))
    blocks, own = range(0, len(left), BLOCK), torch.arange(len(left), device=left.device)
    parts = (slice(start, start + BLOCK) for start in (blocks if watch is None else watch(blocks)))
    found = [nearest(left[part], right, k, own=own[part]) for part in parts]
    rows, products = (torch.cat(columns) for columns in zip(*found, strict=True))
    return KNNGraph(rows, (-2 * products).clamp(min=0).sqrt())


@takes
@torch.no_grad()
def shared_neighbours(x: Array, y: Array, k: int, *, normalize: bool = True) -> Tensor:
    """How many of its k nearest neighbours each point has in both of two embeddings of the same points.

    x: (N, D), tensor or array
    y: (N, E), likewise; row i of both is the same point
    normalize: neighbours go by cosine; if False, by Euclidean distance
    Returns: (N,) int64, 0 to k
    Raises: ValueError for other shapes, unequal N, k outside 1 to N-1 or numbers that are not finite; TypeError for
        dtypes
    Note: a point is not its own neighbour; ties are broken arbitrarily; memory is linear in N.
    """
    x, y = points(x, normalize=normalize), points(y, "y", normalize=normalize)
    if len(x) != len(y):
        raise ValueError(f"x and y must hold the same points, got {len(x)} and {len(y)} rows")
    of_x, of_y = (knn_graph(each, k, normalize=False).rows for each in (x, y))
    both = torch.cat((of_x, of_y.to(x.device)), 1).sort(1).values
    return (both[:, 1:] == both[:, :-1]).sum(1)


def knn_overlap(x: Array, y: Array, k: int, *, normalize: bool = True) -> Tensor:
    """Mean share of the k nearest neighbours that a point has in both of two embeddings of the same points.

    x, y, k, normalize: as for `shared_neighbours`
    Returns: 0-dim float64: 1 for the same neighbourhoods, about k/(N-1) for unrelated ones
    Raises: what `shared_neighbours` does
    """
    shared = shared_neighbours(x, y, k, normalize=normalize)
    return shared.sum().double() / (k * len(shared))


@takes
@torch.no_grad()
def hubness(graph: KNNGraph) -> Hubness:
    """How unequally often points are among the k nearest neighbours of others: a few hubs, many that are nobody's.

    Returns: the counts, which sum to kN, and their third standardised moment (of the population), 0 if all are equal
    Source: Radovanović, Nanopoulos & Ivanović 2010 (JMLR 11), S_{N_k}
    """
    n, k = graph.rows.shape
    counts = graph.rows.flatten().bincount(minlength=n)
    deviation = counts.double() - k
    variance = deviation.square().mean()
    skewness = torch.where(variance > 0, deviation.pow(3).mean() / variance.pow(1.5), torch.zeros_like(variance))
    return Hubness(skewness, counts)


@takes
@torch.no_grad()
def near_duplicates(graph: KNNGraph, distance: Positive = 0.1) -> list[Tensor]:
    """Groups of points that lie closer together than `distance`, or are chained by such, the largest first.

    distance: in the unit of the graph; of unit vectors 0.1 is a cosine of .995
    Returns: for each group its rows in ascending order, (n,) int64 with n >= 2

    >>> near_duplicates(knn_graph([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]], 1))
    [tensor([1, 2])]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, k = graph.rows.shape
    close = (graph.distances < distance).cpu()
    pairs = torch.arange(n).repeat_interleave(k).view(n, k)[close], graph.rows.cpu()[close]
    table = coo_array((close[close].numpy(), tuple(part.numpy() for part in pairs)), shape=(n, n))
    group = torch.from_numpy(connected_components(table, directed=False)[1]).long()
    sizes = group.bincount()
    found = (sizes >= 2).nonzero().flatten()
    order = group.argsort(stable=True)
    members = dict(zip(range(len(sizes)), order.split(sizes.tolist()), strict=True))
    return [members[int(one)] for one in found[sizes[found].argsort(descending=True, stable=True)]]


@takes
@torch.no_grad()
def outlier_scores(graph: KNNGraph) -> Tensor:
    """How far each point lies from its neighbours, compared with how far points usually lie from theirs.

    Returns: (N,) float64, the mean distance to the k nearest, less its median over all points, in units of 1.4826
        median absolute deviations (or thousandths of the median, if those are more): about a standard normal for points
        of one density, so that 5 is rare
    Source: Ramaswamy, Rastogi & Shim 2000 (distance to the k-th nearest); the mean of k, Angiulli & Pizzuti 2002
    """
    far = graph.distances.double().mean(1)
    deviation = far - far.median()
    unit = (1.4826 * deviation.abs().median()).clamp(min=1e-3 * far.median())
    return torch.where(deviation == 0, deviation, deviation / unit)  # where most are alike, any other is infinitely far
