"""The nearest-neighbour probe: does the representation put samples of a class side by side?"""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from cl_explore.evaluate.features import checked
from cl_explore.geometry import nearest
from cl_explore.given import Array
from cl_explore.takes import Positive, takes


class Vote(NamedTuple):
    """What the nearest samples say of each of M samples.

    classes: (M,) int64, the class that wins
    near: (M, k) int64, the classes of those who vote, nearest first
    """

    classes: Tensor
    near: Tensor


def vote(
    x: Tensor, voters: Tensor, labels: Tensor, k: int, temperature: float = 0.07, own: Tensor | None = None
) -> Vote:
    """The vote of the k nearest voters, each weighing exp(cosine / temperature); see `knn_accuracy`.

    x, voters: (M, H) and (N, H), unit length
    labels: (N,) int64, the classes of the voters
    own: (M,) int64, the voter that is the sample itself and does not vote, -1 where there is none
    """
    classes, place = labels.unique(return_inverse=True)
    rows, cosine = nearest(x, voters, k, own)
    near = place[rows]
    # weights relative to the nearest neighbour: the vote is the same and nothing overflows
    weight = ((cosine - cosine[:, :1]) / temperature).exp()
    votes = weight.new_zeros(len(x), len(classes)).scatter_add_(1, near, weight)
    return Vote(classes[votes.argmax(1)], classes[near])


@takes
def knn_accuracy(
    train_h: Array,
    train_labels: Array,
    test_h: Array,
    test_labels: Array,
    k: int = 20,
    temperature: Positive = 0.07,
) -> float:
    """Share of test samples whose class wins the vote of their k nearest training samples, by cosine.

    train_h, train_labels: (N, H) floating point and (N,) integers from 0 on, tensors or arrays
    test_h, test_labels: (M, H) and (M,), likewise
    k: how many vote
    temperature: a neighbour's vote weighs exp(cosine / temperature)
    Source: Wu et al. 2018 (1805.01978), section 3.4
    Raises: ValueError for shapes or labels that do not fit, numbers that are not finite, k above N; TypeError for
        dtypes
    Note: computed in chunks, on the device of train_h.

    >>> import torch
    >>> knn_accuracy(torch.eye(2), [0, 1], torch.tensor([[1.0, 0.2], [0.9, 1.0]]), [0, 0], k=1)
    0.5
    """
    train_h, train_labels, test_h, test_labels = checked(train_h, train_labels, test_h, test_labels)
    if not 1 <= k <= len(train_h):
        raise ValueError(f"k must be from 1 to the number of training samples ({len(train_h)}), got {k}")
    won = vote(F.normalize(test_h, dim=1), F.normalize(train_h, dim=1), train_labels, k, temperature).classes
    return (won == test_labels).sum().item() / len(test_h)
