"""Exercises of the lesson two_encoders."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.app.exercises import Exercise


def _sides() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    u, v = (torch.randn(30, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return [(u + 2, 3 * v - 1), (u, 4 * u)]


def _distance(u: Tensor, v: Tensor) -> Tensor:
    return (F.normalize(u, dim=1).mean(0) - F.normalize(v, dim=1).mean(0)).norm()


distance = Exercise(
    _distance,
    _sides,
    {
        "bring the vectors onto the sphere first": lambda u, v: (u.mean(0) - v.mean(0)).norm(),
        "the means themselves are not normalised: how far inside the sphere they lie is part of it": lambda u, v: (
            F.normalize(F.normalize(u, dim=1).mean(0), dim=0) - F.normalize(F.normalize(v, dim=1).mean(0), dim=0)
        ).norm(),
        "that is the mean distance within pairs: the gap is the distance between the means": lambda u, v: (
            (F.normalize(u, dim=1) - F.normalize(v, dim=1)).norm(dim=1).mean()
        ),
    },
)


def _sure(image: Tensor, prompt: Tensor, tau: float) -> Tensor:
    cosines = F.normalize(image, dim=1) @ F.normalize(prompt, dim=1).T
    return (cosines / tau).softmax(1).max(1).values


def _prompts() -> list[tuple[Tensor, Tensor, float]]:
    generator = torch.Generator().manual_seed(6)
    image, prompt = (2 * torch.randn(size, 5, generator=generator, dtype=torch.float64) for size in (12, 3))
    return [(image, prompt, 0.5)]


sure = Exercise(
    _sure,
    _prompts,
    {
        "images and prompts are not of unit length yet": lambda image, prompt, tau: (
            (image @ prompt.T / tau).softmax(1).max(1).values
        ),
        "that is how sure each class is of an image: the softmax runs over classes": lambda image, prompt, tau: (
            (F.normalize(image, dim=1) @ F.normalize(prompt, dim=1).T / tau).softmax(0).max(1).values
        ),
        "divide by the temperature": lambda image, prompt, tau: (
            (F.normalize(image, dim=1) @ F.normalize(prompt, dim=1).T).softmax(1).max(1).values
        ),
    },
)


def _bags() -> list[tuple[Tensor]]:
    return [(2 * torch.randn(6, 6, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64),)]


def _in_bag(scores: Tensor) -> Tensor:
    own = scores.diagonal(dim1=0, dim2=1).T.logsumexp(1)
    return scores.flatten(1).logsumexp(1) - own


in_bag = Exercise(
    _in_bag,
    _bags,
    {
        "the sum over the bag stands inside the logarithm: yours asks for every sentence": lambda scores: (
            scores.flatten(1).logsumexp(1) - scores.diagonal(dim1=0, dim2=1).T.mean(1)
        ),
        "the own bag is part of the sum below, too": lambda scores: (
            scores.masked_fill(torch.eye(len(scores), dtype=torch.bool)[..., None], -torch.inf).flatten(1).logsumexp(1)
            - scores.diagonal(dim1=0, dim2=1).T.logsumexp(1)
        ),
        "each clip is asked, not each bag: the sum below runs over all sentences of one clip's row": lambda scores: (
            scores.transpose(0, 1).flatten(1).logsumexp(1) - scores.diagonal(dim1=0, dim2=1).T.logsumexp(1)
        ),
    },
)
