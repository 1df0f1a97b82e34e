"""Exercises of the lesson many_views."""

import math

import torch
from torch import Tensor

from cl_explore import geometry, losses
from cl_explore.app.exercises import Exercise, points


def _entropy_of_shares(values: Tensor) -> Tensor:
    return torch.special.entr(values / values.sum()).sum()


pairs = Exercise(
    lambda views: views * (views - 1) // 2,
    lambda: [(2,), (8,)],
    {"each pair is counted twice, once from each side": lambda views: views * (views - 1)},
)

effective_rank = Exercise(
    lambda x: geometry.effective_rank(x),
    lambda: [(points(20, 1)[:, 0],)],
    {
        "singular values, not their squares": lambda x: _entropy_of_shares(torch.linalg.svdvals(x).square()).exp(),
        "that is the entropy: take its exponential": lambda x: _entropy_of_shares(torch.linalg.svdvals(x)),
    },
)

all_equal = Exercise(
    lambda samples, views, temperature: losses.mv_dhel(torch.ones(samples, views, 3), temperature=temperature),
    lambda: [(8, 2, 0.5), (16, 4, 0.5)],
    {
        "add up one energy for each view": lambda samples, views, temperature: (
            math.log(samples - 1) - math.log(views * (views - 1) / 2)
        ),
        "a point is not its own negative: B - 1, not B": lambda samples, views, temperature: (
            views * math.log(samples) + (views - 1) / temperature - math.log(views * (views - 1) / 2)
        ),
    },
)
