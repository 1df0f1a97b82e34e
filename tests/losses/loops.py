"""What the loops that prove the losses are written with: independent inputs, and the words of a formula."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

Inputs = dict[str, Tensor]
RAW: list[bool] = []
"""Not empty within `as_they_come`."""


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs(samples: int = 6, views: int = 2, seed: int = 0) -> Inputs:
    """Independent random values of every argument, for one batch; the last of three classes has one sample."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    labels = torch.arange(samples) % 2
    labels[-1] = 2
    return {
        "z": normal(samples, views, 4),
        "labels": labels,
        "targets": torch.tensor([1.0, 3.0, 1.0, 4.0, 2.5, 7.0, 4.0], dtype=torch.float64)[:samples],
        "logits": normal(samples, 3),
        "salient": normal(samples, views, 3),
        "rehearsal": (torch.arange(samples) < 4).long(),
        "shares": torch.rand(samples * views, samples * views, generator=generator, dtype=torch.float64),
        "weights": torch.eye(samples, dtype=torch.float64) + torch.arange(samples) % 2,
        "prediction": normal(samples, views, 4),
        "teacher": normal(samples, views, 4),
        "positives": normal(samples, views, 4),
        "query": normal(samples, 4),
        "key": normal(samples, 4),
        "negatives": normal(5, 4),
        "negative_weights": torch.linspace(0.25, 3, 5, dtype=torch.float64),
        "candidates": normal(samples, 3, 4),
        "passages": normal(samples, 3, 4),
        "relevance": torch.randint(0, 4, (samples, 3), generator=generator),
        "group": torch.tensor([0, 2, 0, 2, 2, 1, 1])[:samples],
        "context": normal(samples, 3),
        "critic": normal(3, 4),
        "queue": normal(5, 4),
        "queue_labels": torch.arange(5) % 3,
        "memory": normal(7, views, 4),
        "prototypes": normal(3, 4),
        "concentration": torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64),
        "counts": torch.tensor([50, 20, 5]),
    }


def unit(x: Tensor) -> Tensor:
    return x if RAW else x / x.norm(dim=-1, keepdim=True)


@contextmanager
def as_they_come() -> Iterator[None]:
    """Inside, the loops read embeddings of any length: `unit` changes nothing."""
    RAW.append(True)
    try:
        yield
    finally:
        RAW.pop()


def points(x: Inputs, name: str = "z", raw: bool = False) -> list[list[float]]:
    """The rows of an argument, sample by sample."""
    rows = x[name].flatten(0, -2)
    return (rows if raw else unit(rows)).tolist()


def repeated(x: Inputs, name: str = "labels") -> list[Any]:
    """A number of each sample, for each of its views."""
    return [value for value in x[name].tolist() for _ in range(x["z"].shape[1])]


def dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def square(a: list[float], b: list[float]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def log_sum(terms: list[float]) -> float:
    return math.log(sum(map(math.exp, terms)))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x)) if x < 30 else x


def cosine(a: Tensor, b: Tensor) -> float:
    return float(unit(a) @ unit(b))


def cosines(a: Tensor, b: Tensor) -> list[list[float]]:
    return [[cosine(row, other) for other in b] for row in a]


def e(a: Tensor, b: Tensor, tau: float = 0.2) -> float:
    return math.exp(cosine(a, b) / tau)


def anchors(z: Tensor) -> list[tuple[int, int]]:
    """Sample and view of each anchor."""
    return [(b, v) for b in range(z.shape[0]) for v in range(z.shape[1])]


def others(z: Tensor, sample: int) -> list[tuple[int, int]]:
    """Sample and view of the points of other samples."""
    return [(j, u) for j, u in anchors(z) if j != sample]


def each_anchor(z: Tensor, value: Callable[[int, int], float]) -> list[float]:
    return [value(b, v) for b, v in anchors(z)]


def simplex(corners: int) -> Tensor:
    """Unit vectors, every two of them as far apart as can be."""
    return unit(torch.eye(corners, dtype=torch.float64) - 1 / corners)


def one(*shape: int) -> Tensor:
    """Unit vectors that all coincide."""
    return unit(torch.ones(*shape, dtype=torch.float64))
