"""Exercises of the lesson clusters_for_labels."""

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise

false_negatives = Exercise(
    lambda samples, classes: (samples / classes - 1) / (samples - 1),
    lambda: [(100, 10), (12, 3)],
    {
        "the anchor is no other sample, neither in its class nor in the batch: leave it out of both": (
            lambda samples, classes: 1 / classes
        ),
        "the anchor is in its class too: its class holds one other less": lambda samples, classes: (
            samples / classes / (samples - 1)
        ),
        "count the others of its own class, not those of the other classes": lambda samples, classes: (
            (samples - samples / classes) / (samples - 1)
        ),
    },
)


def _steps() -> list[tuple[Tensor, int]]:
    joined = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]], dtype=torch.float64)
    return [(joined / joined.sum(1, keepdim=True), 3), (joined / joined.sum(1, keepdim=True), 1)]


def _sum(step: Tensor, longest: int) -> Tensor:
    return torch.stack([torch.linalg.matrix_power(step, length) for length in range(1, longest + 1)]).sum(0)


influence = Exercise(
    _sum,
    _steps,
    {
        "that is the last power alone: add those before it": lambda step, longest: torch.linalg.matrix_power(
            step, longest
        ),
        "the first walk has one step: power 0, a node with itself alone, does not count": lambda step, longest: (
            _sum(step, longest) - torch.linalg.matrix_power(step, longest) + torch.eye(len(step), dtype=step.dtype)
        ),
        "take powers of the matrix (`@`), not of its entries": lambda step, longest: sum(
            step**length for length in range(1, longest + 1)
        ),
    },
)


def _similarity() -> list[tuple[Tensor, int, int, float]]:
    s = torch.tensor([[0.9, 0.8, 0.1], [0.85, 0.1, 0.2]], dtype=torch.float64)
    return [(s, 0, 1, 0.1), (s, 1, 2, 0.3)]


def _shares(similarity: Tensor, i: int, j: int, temperature: float) -> tuple[Tensor, Tensor]:
    logits = similarity / temperature
    return logits.softmax(1)[i, j], logits.softmax(0)[i, j]


def _trust(similarity: Tensor, i: int, j: int, temperature: float) -> Tensor:
    row, column = _shares(similarity, i, j, temperature)
    return (row * column).sqrt()


trust = Exercise(
    _trust,
    _similarity,
    {
        "the geometric mean of two numbers is the root of their product": lambda *given: _trust(*given) ** 2,
        "that is the arithmetic mean; take the geometric one": lambda *given: sum(_shares(*given)) / 2,
        "ask both sides: yours is the share in the row alone": lambda *given: _shares(*given)[0],
        "ask both sides: yours is the share in the column alone": lambda *given: _shares(*given)[1],
        "divide by the temperature first": lambda similarity, i, j, temperature: _trust(similarity, i, j, 1.0),
    },
)
