"""Exercises of the lesson embeddings_that_draw."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.app.exercises import Exercise


def _codes() -> list[tuple[Tensor, float]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(count, 4, generator=generator, dtype=torch.float64), 0.5) for count in (2, 9)]


def _others(z: Tensor, tau: float) -> Tensor:
    x = F.normalize(z, dim=1)
    own = torch.eye(len(x), dtype=torch.bool)
    return ((x @ x.T - 1) / tau).exp().masked_fill(own, 0).sum(1)


def _contrast(z: Tensor, tau: float) -> Tensor:
    return torch.log1p(_others(z, tau) / (len(z) - 1)).mean()


contrast = Exercise(
    _contrast,
    _codes,
    {
        "that is the sum over the others: divide it by how many they are": lambda z, tau: torch.log1p(
            _others(z, tau)
        ).mean(),
        "a code is none of the others: there are B - 1 of them": lambda z, tau: torch.log1p(
            _others(z, tau) / len(z)
        ).mean(),
        "the cosine does not know how long codes are: bring them to length 1": lambda z, tau: torch.log1p(
            ((z @ z.T - 1) / tau).exp().masked_fill(torch.eye(len(z), dtype=torch.bool), 0).sum(1) / (len(z) - 1)
        ).mean(),
    },
)


def _pictures() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    x, noise = (torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return [(x, x + 0.1 * noise), (x, noise)]


def _decibels(x: Tensor, made: Tensor) -> Tensor:
    return -10 * (made - x).square().mean().log10()


decibels = Exercise(
    _decibels,
    _pictures,
    {
        "a smaller error gives more decibels: there is a minus": lambda x, made: -_decibels(x, made),
        "it is the squared error that counts, with 10 before the logarithm": lambda x, made: (
            -10 * (made - x).abs().mean().log10()
        ),
        "the logarithm is that to base 10": lambda x, made: -10 * (made - x).square().mean().log(),
    },
)


def _apart(z: Tensor) -> Tensor:
    x = F.normalize(z, dim=1)
    return ((x @ x.T).sum() - len(x)) / (len(x) * (len(x) - 1))


apart = Exercise(
    _apart,
    lambda: [(z,) for z, _ in _codes()],
    {
        "a code with itself has cosine 1 and is no pair: leave the diagonal out": lambda z: F.cosine_similarity(
            z[:, None], z[None], dim=2
        ).mean(),
        "those are products, not cosines: bring codes to length 1": lambda z: (
            ((z @ z.T).sum() - (z * z).sum()) / (len(z) * (len(z) - 1))
        ),
    },
)
