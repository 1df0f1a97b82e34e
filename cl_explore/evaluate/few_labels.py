"""The few-label probe: what a handful of labelled samples of each class are enough for."""

from typing import NamedTuple

import torch

from cl_explore.evaluate.features import checked
from cl_explore.evaluate.knn import knn_accuracy
from cl_explore.evaluate.linear import linear_accuracy
from cl_explore.given import Array
from cl_explore.takes import Count, Seed, takes


class FewLabels(NamedTuple):
    """Accuracies on the test samples, means over the draws.

    nearest: of the class of the nearest labelled sample
    logistic: of a logistic regression
    """

    nearest: float
    logistic: float


@takes
def few_label_accuracy(
    train_h: Array,
    train_labels: Array,
    test_h: Array,
    test_labels: Array,
    shots: Count,
    draws: Count = 3,
    seed: Seed = 0,
) -> FewLabels:
    """Accuracy with a few labelled training samples of each class.

    train_h, train_labels: (N, H) floating point and (N,) integers from 0 on, tensors or arrays
    test_h, test_labels: (M, H) and (M,), likewise
    shots: how many of each class
    draws: how often they are drawn anew
    Returns: the means over the draws of `knn_accuracy` with k = 1 and of `linear_accuracy`
    Raises: ValueError if a class has fewer training samples or shots or draws is below 1, and as the probes
    """
    train_h, train_labels, test_h, test_labels = checked(train_h, train_labels, test_h, test_labels)
    classes, sizes = train_labels.unique(return_counts=True)
    if sizes.min() < shots:
        rare = int(classes[sizes.argmin()])
        raise ValueError(
            f"train_labels must hold {shots} samples of each class, got {int(sizes.min())} of class {rare}"
        )
    scores = []
    for draw in range(draws):
        order = torch.randperm(len(train_h), generator=torch.Generator().manual_seed(draws * seed + draw))
        order = order.to(train_labels.device)
        rows = torch.cat([order[train_labels[order] == label][:shots] for label in classes])
        few = train_h[rows], train_labels[rows], test_h, test_labels
        scores.append((knn_accuracy(*few, k=1), linear_accuracy(*few)))
    return FewLabels(*(sum(column) / draws for column in zip(*scores, strict=True)))
