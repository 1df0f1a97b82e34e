"""Exercises of the lesson nearest_neighbour."""

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _agrees(z: Tensor, says: Tensor) -> Tensor:
    cosine = z @ z.T
    cosine.fill_diagonal_(-2)
    return (says[cosine.argmax(1)] == says).double().mean()


def _texts() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(60, 4, generator=generator, dtype=torch.float64)
    return [(z / z.norm(dim=1, keepdim=True), (z[:, 0] + z[:, 1] > 0).long())]


agrees = Exercise(
    _agrees,
    _texts,
    {
        "each text is its own nearest neighbour: leave it out": lambda z, says: (
            (says[(z @ z.T).argmax(1)] == says).double().mean()
        ),
        "you take the farthest text": lambda z, says: (says[(z @ z.T).argmin(1)] == says).double().mean(),
    },
)


def _scores() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [tuple(torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))]  # type: ignore[misc]


def _choice(texts: Tensor, labels: Tensor) -> Tensor:
    scores = texts @ labels.T
    return (scores.logsumexp(1) - scores.diagonal()).mean()


choice = Exercise(
    _choice,
    _scores,
    {
        "the texts choose among labels: you let labels choose among texts": lambda texts, labels: (
            (texts @ labels.T).logsumexp(0) - (texts @ labels.T).diagonal()
        ).mean(),
        "these are raw products, not cosines: do not normalise": lambda texts, labels: _choice(
            torch.nn.functional.normalize(texts, dim=1), torch.nn.functional.normalize(labels, dim=1)
        ),
        "that is the logarithm of the probability; the loss is minus that": lambda texts, labels: (
            -_choice(texts, labels)
        ),
    },
)


def _recall(query: Tensor, fragments: Tensor, holds: Tensor, k: int) -> Tensor:
    near = (query @ fragments.T).topk(k).indices
    return holds.T.gather(1, near).any(1).double().mean()


def _reads() -> list[tuple[Tensor, Tensor, Tensor, int]]:
    generator = torch.Generator().manual_seed(4)
    fragments, query = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (20, 30))
    holds = torch.rand(20, 30, generator=generator) < 0.1
    return [(query, fragments, holds, 3), (query, fragments, holds, 1)]


recall = Exercise(
    _recall,
    _reads,
    {
        "one right fragment among the k is enough: do not count them all": lambda query, fragments, holds, k: (
            holds.T.gather(1, (query @ fragments.T).topk(k).indices).double().mean()
        ),
        "it is the read that retrieves fragments, not the fragment reads": lambda query, fragments, holds, k: (
            holds.gather(1, (fragments @ query.T).topk(k).indices).any(1).double().mean()
        ),
    },
)
