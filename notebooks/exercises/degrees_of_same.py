"""Exercises of the lesson degrees_of_same."""

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _best(questions: int, scale: float) -> Tensor:
    own = (scale * torch.arange(4.0)).exp()
    return own[-1] / (own.sum() + 4 * (questions - 1))


best = Exercise(
    _best,
    lambda: [(8, 1.0), (64, 1.0), (64, 2.0)],
    {
        "the texts of the other questions are in the softmax too, each at level 0": lambda questions, scale: _best(
            1, scale
        ),
        "exp(0) is 1, not 0: a text of level 0 has a share as well": lambda questions, scale: (
            (scale * torch.tensor(3.0)).exp() / (scale * torch.arange(1.0, 4)).exp().sum()
        ),
        "every other question brings four texts, not one": lambda questions, scale: (
            (scale * torch.tensor(3.0)).exp() / ((scale * torch.arange(4.0)).exp().sum() + questions - 1)
        ),
        "the scale multiplies the levels before the exponential": lambda questions, scale: (
            _best(questions, 1.0) * scale
        ),
    },
)


def _order(scores: Tensor, levels: Tensor) -> Tensor:
    higher = levels[:, None] > levels
    return (scores[:, None] > scores)[higher].double().mean()


order = Exercise(
    _order,
    lambda: [(torch.tensor([0.9, 0.2, 0.5, 0.6, 0.1]), torch.tensor([3, 2, 1, 0, 0]))],
    {
        "pairs of one level have no order to be right about: leave them out": lambda scores, levels: (
            ((scores[:, None] > scores) & (levels[:, None] > levels)).double().sum()
            / (len(levels) * (len(levels) - 1) / 2)
        ),
        "count each pair once: yours has all pairs in both orders below": lambda scores, levels: (
            ((scores[:, None] > scores) & (levels[:, None] > levels)).double().mean()
        ),
        "a pair is right if the score of the *higher* level is larger": lambda scores, levels: (
            1 - _order(scores, levels)
        ),
    },
)


def _mixed(low: float, wanted: float, high: float) -> float:
    return (high - wanted) / (high - low)


mixed = Exercise(
    _mixed,
    lambda: [(9.0, 12.0, 18.0), (0.0, 1.0, 2.0), (3.0, 7.0, 8.0)],
    {
        "that is the share of the upper one: where the wanted age is near the lower one, its share is large": (
            lambda low, wanted, high: (wanted - low) / (high - low)
        ),
        "a half each gives the middle, not the wanted age": lambda low, wanted, high: 0.5,
    },
)
