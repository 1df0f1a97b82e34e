"""Exercises of the lesson losses_from_scratch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses
from cl_explore.app.exercises import LABELS, Exercise, points


def _one_way(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return losses.info_nce(query, key, temperature=temperature)


def _sum_of_both_ways(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return _one_way(query, key, temperature) + _one_way(key, query, temperature)


def _supcon_summed(x: Tensor, labels: Tensor, temperature: float) -> Tensor:
    x, itself = F.normalize(x, dim=1), torch.eye(len(labels), dtype=torch.bool)
    log_p = (x @ x.T / temperature).masked_fill(itself, -torch.inf).log_softmax(1)
    positive = (labels[:, None] == labels) & ~itself
    return -log_p.masked_fill(~positive, 0).sum(1).mean()


hinge = Exercise(
    lambda near, far, margin: (near - far + margin).clamp(min=0),
    lambda: [(torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.8, 0.4, 0.6]), 0.2)],
    {
        "a triplet that is already in order costs nothing: no value below zero": lambda near, far, margin: (
            near - far + margin
        ),
        "the margin makes the loss larger: add it": lambda near, far, margin: (near - far - margin).clamp(min=0),
        "near and far are swapped": lambda near, far, margin: (far - near + margin).clamp(min=0),
    },
)

two_ways = Exercise(
    lambda query, key, temperature: _sum_of_both_ways(query, key, temperature) / 2,
    lambda: [(points()[:, 0], points()[:, 1], 0.2)],
    {
        "that is one direction: keys look for their queries too": _one_way,
        "take the mean of the two directions, not the sum": _sum_of_both_ways,
    },
)

decoupled = Exercise(
    lambda z, temperature: losses.dcl(z, temperature=temperature),
    lambda: [(points(), 0.5), (points(3, seed=1), 0.1)],
    {
        "the positive is still in the denominator: that is NT-Xent": lambda z, temperature: losses.nt_xent(
            z, temperature=temperature
        ),
    },
)

supcon = Exercise(
    lambda x, labels, temperature: losses.supcon(x, labels, temperature=temperature),
    lambda: [(points(7)[:, 0], LABELS, 0.3)],
    {
        "you took the logarithm of the mean probability: take the mean of the log-probabilities": (
            lambda x, labels, temperature: losses.supcon_in(x, labels, temperature=temperature)
        ),
        "divide by the number of positives of each anchor": _supcon_summed,
    },
)
