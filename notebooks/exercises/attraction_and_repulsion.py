"""Exercises of the lesson attraction_and_repulsion."""

import math

import torch
from torch import Tensor

from cl_explore.app.exercises import SIMILARITIES, Exercise


def _comparator(a: Tensor, b: Tensor, steepness: float) -> Tensor:
    stay = torch.atan(steepness * (b - a)) / math.pi + 0.5
    return torch.stack([stay * a + (1 - stay) * b, (1 - stay) * a + stay * b])


attraction = Exercise(
    lambda costs, tau: (tau * costs).softmax(0),
    lambda: [(torch.tensor([0.1, 0.5, 1.2]), 1.0), (torch.tensor([0.1, 0.5, 1.2]), 3.0)],
    {
        "that is repulsion: a far positive gets more weight, not less": lambda costs, tau: (-tau * costs).softmax(0),
        "here τ multiplies the distance": lambda costs, tau: (costs / tau).softmax(0),
    },
)

comparator = Exercise(
    _comparator,
    lambda: [(torch.tensor(0.6), torch.tensor(0.2), 10.0), (torch.tensor(0.1), torch.tensor(0.3), 2.0)],
    {
        "the smaller number must come first": lambda a, b, steepness: _comparator(b, a, -steepness),
        "the two keep their sum: mix both with the same share": lambda a, b, steepness: torch.stack(
            [torch.minimum(a, b), _comparator(a, b, steepness)[1]]
        ),
    },
)

above = Exercise(
    lambda positive, negatives: (negatives > positive).sum(),
    lambda: [(torch.tensor(0.45), SIMILARITIES), (torch.tensor(0.95), SIMILARITIES)],
    {
        "those are below: an inversion is a negative above the positive": lambda positive, negatives: (
            negatives < positive
        ).sum(),
        "that is a share: count them": lambda positive, negatives: (negatives > positive).double().mean(),
    },
)
