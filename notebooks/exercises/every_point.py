"""Exercises of the lesson every_point."""

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _brighter(x: Tensor) -> Tensor:
    return x[:, :-1] > x[:, 1:]


brighter = Exercise(
    _brighter,
    lambda: [(torch.tensor([[0.1, 0.5, 0.2], [0.9, 0.9, 0.3]]),), (torch.arange(12.0).view(3, 4) % 5,)],
    {
        "that asks whether it is darker": lambda x: x[:, :-1] < x[:, 1:],
        "equal is not brighter": lambda x: x[:, :-1] >= x[:, 1:],
    },
)


def _means(x: Tensor, region: Tensor) -> Tensor:
    return torch.stack([x[region == number].mean(0) for number in region.unique()])


means = Exercise(
    _means,
    lambda: [
        (torch.arange(10.0).view(5, 2), torch.tensor([2, 0, 0, 2, 2])),
        (torch.eye(4), torch.tensor([0, 0, 5, 5])),
    ],
    {
        "those are sums: a region with many points would count more": lambda x, region: torch.stack(
            [x[region == number].sum(0) for number in region.unique()]
        ),
        "divide by the number of rows of the region, not by that of all rows": lambda x, region: torch.stack(
            [x[region == number].sum(0) / len(x) for number in region.unique()]
        ),
    },
)


def _own(labels: Tensor) -> Tensor:
    same = (labels[:, None] == labels).double()
    return (same.sum() - len(labels)) / (len(labels) * (len(labels) - 1))


own = Exercise(
    _own,
    lambda: [(torch.tensor([0, 0, 1]),), (torch.tensor([0, 0, 0, 1, 2]),), (torch.tensor([3, 1, 2]),)],
    {
        "nobody is a negative of itself": lambda labels: (labels[:, None] == labels).double().mean(),
        "an anchor has one negative fewer than there are samples": lambda labels: (
            ((labels[:, None] == labels).double().sum() - len(labels)) / len(labels) ** 2
        ),
    },
)
