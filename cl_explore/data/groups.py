"""Groups of samples, found instead of given, and their members in a drawn order."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset


def in_groups(dataset: Dataset, groups: Tensor) -> Dataset:
    """The data set with groups (N,) in place of its labels; those that occur are numbered from 0 on."""
    names, labels = groups.unique(return_inverse=True)
    return replace(dataset, labels=labels.to(dataset.device), class_names=tuple(map(str, names.tolist())))


class Ranked(NamedTuple):
    """Rows of a data set, group by group, and how many each group has; all int64, on the CPU.

    rows: (N,), first those of the first group.
    group: (N,), of each of them, from 0 on.
    rank: (N,), how many of its group stand before it.
    sizes: (G,).
    """

    rows: Tensor
    group: Tensor
    rank: Tensor
    sizes: Tensor


def ranked(groups: Tensor, generator: torch.Generator | None = None) -> Ranked:
    """The rows of groups (N,), shuffled within each; without a generator they keep their order.

    >>> ranked(torch.tensor([7, 5, 7, 7])).rows
    tensor([1, 0, 2, 3])
    """
    rows = torch.arange(len(groups))
    if generator is not None:
        rows = torch.randperm(len(groups), generator=generator, device="cpu")
    _, own, sizes = groups.cpu().unique(return_inverse=True, return_counts=True)
    rows = rows[own[rows].argsort(stable=True)]
    group = own[rows]
    return Ranked(rows, group, torch.arange(len(rows)) - (sizes.cumsum(0) - sizes)[group], sizes)
