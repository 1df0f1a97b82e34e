"""Exercises of the lesson a_temperature_for_everyone."""

import math

import torch
from torch import Tensor

from cl_explore.app.exercises import SIMILARITIES, Exercise


def _entropy(similarities: Tensor, temperature: float) -> Tensor:
    return torch.special.entr((similarities / temperature).softmax(0)).sum()


carried = Exercise(
    lambda similarities, temperature: math.log(len(similarities)) - _entropy(similarities, temperature),
    lambda: [(SIMILARITIES, 0.1), (SIMILARITIES, 1.0)],
    {
        "that is the entropy: the divergence from equal weights is log K minus it": _entropy,
        "equal weights are 1/K: divide p by that inside the logarithm": lambda similarities, temperature: (
            -_entropy(similarities, temperature)
        ),
    },
)

remembered = Exercise(
    lambda before, now, gamma: (1 - gamma) * before + gamma * now,
    lambda: [(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0]), 0.9)],
    {
        "gamma is the weight of the batch, not of the memory": lambda before, now, gamma: (
            gamma * before + (1 - gamma) * now
        ),
    },
)

on_a_share = Exercise(
    lambda share: -math.log(share),
    lambda: [(0.5,), (0.1,)],
    {
        "nats are never negative: equal weights carry 0, anything else more": lambda share: math.log(share),
        "nats, not bits: take the natural logarithm": lambda share: -math.log2(share),
    },
)
