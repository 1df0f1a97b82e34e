"""Exercises of the lesson your_own_embeddings."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.app.exercises import Exercise


def _close(x: Tensor, distance: float) -> Tensor:
    return torch.cdist(x, x) < distance


def _vectors() -> list[tuple[Tensor, float]]:
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.1], [0.05, 1.0], [-1.0, 0.3]], dtype=torch.float64)
    return [(x, 0.1), (x, 0.02)]


duplicates = Exercise(
    lambda x, distance: _close(F.normalize(x, dim=1), distance).triu(diagonal=1),
    _vectors,
    {
        "bring the vectors to length 1 first": lambda x, distance: _close(x, distance).triu(diagonal=1),
        "a row is no duplicate of itself": lambda x, distance: _close(F.normalize(x, dim=1), distance).triu(),
        "each pair once: only where the column is larger than the row": lambda x, distance: _close(
            F.normalize(x, dim=1), distance
        ).fill_diagonal_(False),
    },
)


def _votes() -> list[tuple[Tensor, Tensor]]:
    near = torch.tensor([[0, 0, 1], [1, 1, 0], [2, 1, 0], [2, 2, 2], [0, 1, 1]])
    return [(near, torch.tensor([0, 0, 2, 1, 0]))]


def _counts(near: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return F.one_hot(near).sum(1), (near == labels[:, None]).sum(1)


def _suspected(near: Tensor, labels: Tensor) -> Tensor:
    votes, own = _counts(near, labels)
    return votes.max(1).values > own


def _with_ties(near: Tensor, labels: Tensor) -> Tensor:
    votes, own = _counts(near, labels)
    return votes.scatter(1, labels[:, None], -1).max(1).values >= own


suspected = Exercise(
    _suspected,
    _votes,
    {
        "a tie is no contradiction: another class needs more votes than the own label": _with_ties,
        "the nearest neighbour alone does not decide: count the votes of all": lambda near, labels: (
            near[:, 0] != labels
        ),
    },
)


def _lists() -> list[tuple[Tensor, Tensor]]:
    return [(torch.tensor([[1, 2, 3], [0, 2, 3]]), torch.tensor([[3, 1, 4], [5, 6, 7]]))]


overlap = Exercise(
    lambda first, second: (first[:, :, None] == second[:, None, :]).any(2).double().mean().item(),
    _lists,
    {
        "the order within a list does not matter: a neighbour may stand at another place": lambda first, second: (
            (first == second).double().mean().item()
        ),
        "divide by the length of one list, not by the number of different neighbours": lambda first, second: (
            sum(len({*a} & {*b}) / len({*a} | {*b}) for a, b in zip(first.tolist(), second.tolist(), strict=True))
            / len(first)
        ),
    },
)
