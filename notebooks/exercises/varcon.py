"""Exercises of the lesson varcon."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.app.exercises import Exercise, points


def _target(tau2: Tensor, classes: int) -> Tensor:
    return 1 / (1 + (classes - 1) * (-1 / tau2).exp())


posterior = Exercise(
    lambda x, means, temperature: (x @ F.normalize(means, dim=1).T / temperature).softmax(1),
    lambda: [(F.normalize(points(7)[:, 0], dim=1), points(3)[:, 1] * 0.3, 0.5)],
    {
        "a class is a direction: give its mean length 1": lambda x, means, temperature: (
            x @ means.T / temperature
        ).softmax(1),
        "sum over the classes of a point, not over the points of a class": lambda x, means, temperature: (
            x @ F.normalize(means, dim=1).T / temperature
        ).softmax(0),
    },
)

target = Exercise(
    lambda confidence, classes, temperature, epsilon: _target(
        temperature - epsilon + 2 * epsilon * confidence, classes
    ),
    lambda: [(torch.tensor([0.1, 0.5, 0.9]), 100, 0.3, 0.1)],
    {
        "at a confidence of one half, tau2 is tau1": lambda confidence, classes, temperature, epsilon: _target(
            temperature + 2 * epsilon * confidence, classes
        ),
        "tau2 grows with confidence": lambda confidence, classes, temperature, epsilon: _target(
            temperature + epsilon - 2 * epsilon * confidence, classes
        ),
        "the own class is not among the others: C - 1": lambda confidence, classes, temperature, epsilon: _target(
            temperature - epsilon + 2 * epsilon * confidence, classes + 1
        ),
    },
)

at_rest = Exercise(
    lambda classes, temperature: (1 + _target(torch.tensor(temperature), classes)) / 2,
    lambda: [(100, 0.3), (1000, 0.1)],
    {
        "that is the target alone: the label pulls too": lambda classes, temperature: _target(
            torch.tensor(temperature), classes
        ),
    },
)
