"""Numbers about chosen samples of an embedding: their neighbours, the vote of these, and a selection."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import geometry
from cl_explore.evaluate import knn

VOTERS = 2000  # samples that may vote, so that ten thousand cost a fraction of a second


class Vote(NamedTuple):
    """What the nearest labelled samples say of each of n samples: the class, and their share of the own class."""

    prediction: NDArray[np.int64]
    purity: NDArray[np.float32]


@torch.no_grad()
def vote(x: Tensor, labels: Tensor, k: int = 20) -> Vote:
    """The class that the k nearest other samples vote for, as in `evaluate.knn_accuracy`, and the share of those k in
    the sample's own class.

    x (n, D), unit length; labels (n,), -1 for unlabelled samples, which do not vote. Of more than VOTERS labelled ones
    every second, third, ... votes. Raises ValueError for fewer than 2 voters.
    """
    voters = (labels >= 0).nonzero().squeeze(1)
    voters = voters[:: -(-len(voters) // VOTERS) or 1]
    if len(voters) < 2:
        raise ValueError(f"labels must name the class of at least 2 samples, got {len(voters)}")
    k = min(k, len(voters) - 1)
    column = torch.full((len(x),), -1).index_put((voters,), torch.arange(len(voters)))
    said = knn.vote(x, x[voters], labels[voters], k, own=column)
    return Vote(said.classes.numpy(), (said.near == labels[:, None]).float().mean(1).numpy())


def centroid_distance(x: Tensor, labels: Tensor) -> NDArray[np.float32]:
    """Distance of each sample to the mean of its class (n,); x (n, D), labels (n,) from 0 on."""
    means = geometry.class_means(x, labels)
    return (x - means[labels.unique(return_inverse=True)[1]]).norm(dim=1).numpy()


def nearest(x: Tensor, row: int, count: int = 6) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and cosines of the `count` samples nearest to sample `row`, nearest first; x (n, D), unit length."""
    found = geometry.nearest(x[row, None], x, min(count, len(x) - 1), own=torch.tensor([row]))
    return found.rows[0].numpy(), found.products[0].numpy()


def describe(x: Tensor, group: NDArray[np.int64], groups: int, rows: NDArray[np.int64]) -> dict[str, Any]:
    """The statistics of the samples `rows`: how many, their groups, and how close they lie on the sphere.

    x (n, D), unit length; group (n,) from 0 to groups - 1. `counts` (groups,): samples of each group; `dispersion`:
    mean squared distance to the selection's mean; `similarity`: mean cosine of two different samples (None for one).

    >>> two = describe(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 0]), 2, np.array([0, 1]))
    >>> two["counts"].tolist(), two["dispersion"], two["similarity"]
    ([1, 1], 0.5, 0.0)
    """
    n = len(rows)
    square = float(x[rows].double().mean(0).square().sum())
    return {
        "count": n,
        "counts": np.bincount(group[rows], minlength=groups),
        "dispersion": max(0.0, 1 - square),  # rounding may leave a little less
        "similarity": (n * square - 1) / (n - 1) if n > 1 else None,
    }
