"""Exercises of the lesson a_moment_ago."""

import math

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _numbers() -> list[tuple[Tensor, float]]:
    return [(torch.tensor([0.04, 0.25, 0.81]), 15.0), (torch.tensor([0.5]), 1.0)]


far = Exercise(
    lambda xi, longest: longest * xi.sqrt(),
    _numbers,
    {
        "that prefers near clips, as in section 1: this is its mirror image": lambda xi, longest: (
            longest * (1 - (1 - xi).sqrt())
        ),
        "that is the chance to be no farther than a share of the longest distance: turn it round": lambda xi, longest: (
            longest * xi.square()
        ),
        "that makes all distances alike": lambda xi, longest: longest * xi,
        "multiply by the longest distance": lambda xi, longest: xi.sqrt(),
    },
)


def _rule(usual: Tensor, last: float, fading: float, first: int = 1) -> Tensor:
    return usual + last * fading ** torch.arange(first, first + len(usual))


by_rule = Exercise(
    _rule,
    lambda: [(torch.tensor([1.0, 2.0, 0.5]), 0.8, 0.5), (torch.zeros(4), -2.0, 0.8)],
    {
        "an hour has gone by until the first of them: less is left already": lambda usual, last, fading: _rule(
            usual, last, fading, 0
        ),
        "the deviation fades hour by hour; yours stays": lambda usual, last, fading: usual + last * fading,
        "the deviation is on top of the usual: add it": lambda usual, last, fading: _rule(
            torch.zeros_like(usual), last, fading
        ),
    },
)

price = Exercise(
    lambda moments: math.log(2 * moments - 1),
    lambda: [(3,), (6,)],
    {
        "a clip is not compared with itself": lambda moments: math.log(2 * moments),
        "each moment is there twice": lambda moments: math.log(moments),
        "each moment is there twice: that leaves out one of every moment": lambda moments: math.log(moments - 1),
        "the positive is in the softmax too": lambda moments: math.log(2 * moments - 2),
    },
)
