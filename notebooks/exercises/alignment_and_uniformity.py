"""Exercises of the lesson alignment_and_uniformity."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses
from cl_explore.app.exercises import Exercise, points


def _mean_over_others(values: Tensor, of_itself: float) -> Tensor:
    """The mean off the diagonal of a matrix that is `of_itself` everywhere on it."""
    count = len(values)
    return (values.sum() - count * of_itself) / (count * (count - 1))


alignment = Exercise(
    lambda z: losses.alignment(z, normalize=False),
    lambda: [(F.normalize(points(), dim=-1),)],
    {
        "the distance is squared": lambda z: losses.alignment(z, alpha=1.0, normalize=False),
        "add up the coordinates, then average over samples": lambda z: (z[:, 0] - z[:, 1]).square().mean(),
    },
)

uniformity = Exercise(
    lambda x: losses.uniformity(x, normalize=False),
    lambda: [(F.normalize(points(7)[:, 0], dim=1),)],
    {
        "leave out the pair of a point with itself": lambda x: (-2 * torch.cdist(x, x).square()).exp().mean().log(),
        "the distance is squared": lambda x: _mean_over_others((-2 * torch.cdist(x, x)).exp(), of_itself=1).log(),
        "the logarithm comes last, after the mean": lambda x: _mean_over_others(
            -2 * torch.cdist(x, x).square(), of_itself=0
        ),
    },
)

orthonormal = Exercise(
    lambda t: -2 * t,
    lambda: [(1.0,), (2.0,), (5.0,)],
    {
        "the squared distance of two orthogonal unit vectors is 2": lambda t: -t,
        "the distance is squared: (sqrt 2)^2 = 2": lambda t: -t * math.sqrt(2),
        "the logarithm undoes the exponential: the sign stays": lambda t: 2 * t,
    },
)
