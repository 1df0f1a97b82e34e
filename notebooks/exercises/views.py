"""Exercises of the lesson views."""

import math

import torch

from cl_explore.app.exercises import Exercise

corrupted = Exercise(
    lambda rho, classes: rho * (1 - 1 / classes),
    lambda: [(0.3, 8), (0.6, 2), (1.0, 10)],
    {"a random error may hit the right class": lambda rho, classes: rho},
)


def _in_effect(q: torch.Tensor, gamma: float) -> torch.Tensor:
    w = (gamma * q).softmax(0)
    return w.sum() ** 2 / w.square().sum()


in_effect = Exercise(
    _in_effect,
    lambda: [(torch.tensor([0.9, 0.2, -0.3, 0.4]), 3.0), (torch.linspace(-1, 1, 20), 1.0), (torch.zeros(7), 5.0)],
    {
        "this is a share of the pairs: multiply by their number": lambda q, gamma: _in_effect(q, gamma) / len(q),
        "gamma is missing": lambda q, gamma: _in_effect(q, 1.0),
    },
)


level = Exercise(
    lambda share: 100 * (math.ceil(5 * share) - 1),
    lambda: [(0.05,), (0.2,), (0.35,), (0.79,), (1.0,)],
    {
        "the upper end of a part still belongs to it": lambda share: 100 * math.floor(5 * share),
        "the lowest level is 0, not 100": lambda share: 100 * math.ceil(5 * share),
    },
)
