"""Clusters of an embedding, and how well they agree with known classes."""

from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.geometry.inputs import points
from cl_explore.given import Array, classes
from cl_explore.takes import Seed, takes

MOST = 20_000
"""Samples that Ward's method takes: its memory grows with their square."""


class Agreement(NamedTuple):
    """How well clusters agree with classes; 1 is perfect.

    accuracy: share of samples in the cluster of their class, clusters and classes matched one to one as well as can be
    ari: adjusted Rand index, 0 by chance
    nmi: normalised mutual information
    homogeneity: 1 if no cluster holds two classes, however many clusters there are
    """

    accuracy: float
    ari: float
    nmi: float
    homogeneity: float


@takes
def agreement(found: Array, labels: Array) -> Agreement:
    """How well clusters agree with classes.

    found: (N,) integers from 0 on or texts, the cluster of each sample
    labels: (N,) likewise, its class
    Raises: ValueError for a negative one or unequal lengths, TypeError unless they are integers

    >>> agreement(torch.tensor([2, 2, 0, 0]), torch.tensor([0, 0, 1, 1])).accuracy
    1.0
    """
    # imported here because it takes a second, which embedding and training should not
    from scipy.optimize import linear_sum_assignment
    from sklearn import metrics

    (clusters,), _ = classes({"found": found})
    (known,), _ = classes({"labels": labels}, {"found": len(clusters)})
    pair = known.cpu().numpy(), clusters.cpu().numpy()
    table = metrics.cluster.contingency_matrix(*pair)
    matched = table[linear_sum_assignment(table, maximize=True)].sum() / len(known)
    scores = (metrics.adjusted_rand_score, metrics.normalized_mutual_info_score, metrics.homogeneity_score)
    return Agreement(float(matched), *(float(score(*pair)) for score in scores))


@takes
def ward(x: Array, *counts: int, normalize: bool = True) -> tuple[Tensor, ...]:
    """Ward's clusters, for each of `counts` as many, all cut from one tree: a finer clustering refines a coarser one.

    x: (N, D), tensor or array; brought to unit length unless `normalize` is False
    counts: how many clusters
    Returns: for each count the cluster of each sample, (N,) int64 from 0 on
    Raises: ValueError for more than MOST samples, a count outside 1 to N, another shape or numbers that are not finite

    >>> ward(torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]]), 2)[0]
    tensor([0, 0, 1])
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    x = points(x, normalize=normalize)
    if len(x) > MOST:
        raise ValueError(f"x must hold at most {MOST} samples for Ward's method, got {len(x)}: draw some of them")
    _require_counts("counts", counts, len(x))
    tree = linkage(x.detach().cpu().numpy(), "ward")
    return tuple(torch.from_numpy(fcluster(tree, count, "maxclust")).long() - 1 for count in counts)


@takes
def kmeans(x: Array, count: int, *, seed: Seed = 0, normalize: bool = True) -> Tensor:
    """The best of ten runs of k-means.

    x: (N, D), tensor or array; brought to unit length unless `normalize` is False
    count: how many clusters
    Returns: the cluster of each sample, (N,) int64 from 0 on
    Raises: ValueError for a count outside 1 to N, another shape or numbers that are not finite
    """
    from sklearn.cluster import KMeans

    x = points(x, normalize=normalize)
    _require_counts("count", (count,), len(x))
    found = KMeans(count, n_init=10, random_state=seed).fit_predict(x.detach().cpu().numpy())
    return torch.from_numpy(found).long()


def _require_counts(name: str, counts: tuple[int, ...], most: int) -> None:
    for count in counts:
        if not 1 <= count <= most:
            raise ValueError(f"{name} must be from 1 to the number of samples ({most}), got {count}")
