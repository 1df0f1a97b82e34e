"""Exercises of the lesson what_an_agent_needs."""

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _alike(positions: Tensor) -> Tensor:
    return (positions[:, None] == positions).sum(1).double()


floor = Exercise(
    lambda positions: _alike(positions).log().mean(),
    lambda: [(torch.tensor([0, 0, 1, 2, 3]),), (torch.tensor([0, 1, 2, 3]),), (torch.tensor([0, 0, 0, 0, 1, 1]),)],
    {
        "that is the floor where the action is not known: log B": lambda positions: (
            torch.tensor(len(positions)).double().log()
        ),
        "log(B/C) is right where all positions are equally frequent; count": lambda positions: (
            (len(positions) / torch.tensor(len(positions.unique()))).double().log()
        ),
        "the mean of logarithms, not the logarithm of the mean": lambda positions: _alike(positions).mean().log(),
    },
)

counted = Exercise(
    lambda visits, gamma, ridge: gamma / (ridge + visits).sqrt(),
    lambda: [(torch.tensor([0.0, 1.0, 8.0, 99.0]), 2.0, 0.3), (torch.tensor([[2.0, 5.0]]), 0.5, 1.0)],
    {
        "that falls too fast: it is the root of the visits by which we divide": lambda visits, gamma, ridge: (
            gamma / (ridge + visits)
        ),
        "the ridge stands under the root, too": lambda visits, gamma, ridge: gamma / (ridge + visits.sqrt()),
        "that grows with the visits: the bonus is for what is seldom seen": lambda visits, gamma, ridge: (
            gamma * (ridge + visits).sqrt()
        ),
    },
)

observed = Exercise(
    lambda f: f / (1 + f),
    lambda: [(torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64),)],
    {
        "that is the chance that it was drawn": lambda f: 1 / (1 + f),
        "f is no logit: it is already a ratio of two chances": lambda f: f.sigmoid(),
        "a ratio may be above 1, a chance may not": lambda f: f,
    },
)
