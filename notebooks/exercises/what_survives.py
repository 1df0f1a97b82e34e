"""Exercises of the lesson what_survives."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _omega(strength: Tensor, keep: Tensor, noise: float) -> Tensor:
    return strength * keep / (strength**2 * keep + noise**2)


before_two = Exercise(
    lambda strength, keep, noise: strength * _omega(strength, keep, noise) ** (1 / 3),
    lambda: [(torch.tensor([2.0, 1.0, 0.3]), torch.tensor([0.2, 1.0, 0.6]), 0.2)],
    {
        "that is behind one layer of two: three layers share ω, so each takes its cube root": (
            lambda strength, keep, noise: strength * _omega(strength, keep, noise).sqrt()
        ),
        "that is behind all three layers: before the head only one of them has acted": (
            lambda strength, keep, noise: strength * _omega(strength, keep, noise)
        ),
        "two of the three layers are the head: the encoder is one": (
            lambda strength, keep, noise: strength * _omega(strength, keep, noise) ** (2 / 3)
        ),
        "that is what the encoder multiplies by: multiply the strength in the input": (
            lambda strength, keep, noise: _omega(strength, keep, noise) ** (1 / 3)
        ),
        "a view keeps the feature with probability keep, so two views share keep squared of its square": (
            lambda strength, keep, noise: (
                strength * (strength * keep.sqrt() / (strength**2 * keep + noise**2)) ** (1 / 3)
            )
        ),
    },
)


def _features() -> tuple[Tensor, Tensor]:
    """Cosines of eight rows after a ReLU, and their classes: the first row is hardest for none of its class."""
    x = F.normalize(torch.rand(8, 4, generator=torch.Generator().manual_seed(2)), dim=1)
    return x @ x.T, torch.tensor([0, 1, 0, 1, 2, 2, 0, 1])


def _positive(labels: Tensor) -> Tensor:
    return (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool)


hardest = Exercise(
    lambda cosine, labels: cosine.masked_fill(~_positive(labels), torch.inf).argmin(1),
    lambda: [_features()],
    {
        "a product with the mask leaves zeros, and zero is below all cosines here: this is the published mistake": (
            lambda cosine, labels: (cosine * _positive(labels)).argmin(1)
        ),
        "the hardest positive is the *least* similar one": lambda cosine, labels: cosine.masked_fill(
            ~_positive(labels), -torch.inf
        ).argmax(1),
        "a row is no positive of its own": lambda cosine, labels: cosine.masked_fill(
            labels[:, None] != labels, -torch.inf
        ).argmax(1),
        "only rows of the same class are positives": lambda cosine, labels: cosine.argmin(1),
    },
)

forgetting = Exercise(
    lambda accuracy: (accuracy[:-1, :-1].max(0).values - accuracy[-1, :-1]).mean(),
    lambda: [(torch.tensor([[0.9, 0, 0, 0], [0.7, 0.8, 0, 0], [0.75, 0.85, 0.9, 0], [0.5, 0.6, 0.7, 0.95]]),)],
    {
        "the last task has had no time to be forgotten: leave it out": lambda accuracy: (
            accuracy.max(0).values - accuracy[-1]
        ).mean(),
        "ask for the best that a task ever had, which may come after its own turn": lambda accuracy: (
            accuracy.diagonal()[:-1] - accuracy[-1, :-1]
        ).mean(),
        "forgetting is what is missing at the end: turn the sign": lambda accuracy: (
            accuracy[-1, :-1] - accuracy[:-1, :-1].max(0).values
        ).mean(),
        "take the mean over tasks, not their sum": lambda accuracy: (
            accuracy[:-1, :-1].max(0).values - accuracy[-1, :-1]
        ).sum(),
    },
)
