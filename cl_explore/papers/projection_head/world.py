"""Features of known strength that views lose, digits with a code that views share, and photographs of two levels."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.views import HardViews

FEATURES, LOST = 16, 8
"""How many features there are, and which one the label is: of middle strength."""
NOISE = 0.2
PIXELS, BITS = 64, 10
PICTURE = HardViews(erased=0, noise=0.1)


class World(NamedTuple):
    """clean: what views are drawn of. train, test: what is probed."""

    clean: Dataset
    train: Dataset
    test: Dataset


@dataclass(frozen=True)
class LosingViews:
    """Views of features (B, F): each is kept with its own probability, else erased, and noise is drawn anew.

    keep: (F,), by feature.
    noise: standard deviation, in every direction.
    """

    keep: tuple[float, ...]
    noise: float = NOISE

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        """Views (B, V, F)."""
        shape, device = (len(x), n_views, x.shape[1]), generator.device
        kept = torch.rand(shape, generator=generator, device=device) < torch.tensor(self.keep, device=device)
        noise = torch.randn(shape, generator=generator, device=device)
        return x[:, None] * kept.to(x) + self.noise * noise.to(x)


def features(seed: int, samples: int = 2000, unseen: int = 2000) -> World:
    """Sixteen features +-strength, from 1.5 down to 0.5 in equal steps, labelled by the sign of number LOST.

    Each direction of what is probed has noise of NOISE. Features lie along the axes: layers that start orthogonal do
    not know that. Where the labelled feature stands among the sixteen is a reconstruction.
    """
    generator = torch.Generator().manual_seed(seed)

    def part(name: str, n: int) -> tuple[Dataset, Dataset]:
        signs = torch.randint(2, (n, FEATURES), generator=generator)
        clean = (2 * signs - 1) * torch.linspace(1.5, 0.5, FEATURES)
        noisy = clean + NOISE * torch.randn(n, FEATURES, generator=generator)
        labels, index = signs[:, LOST], torch.arange(n)
        return tuple(Dataset(f"features ({name})", x, labels, index, ("-", "+")) for x in (clean, noisy))  # type: ignore[return-value]

    clean, train = part("train", samples)
    return World(clean, train, part("test", unseen)[1])


@dataclass(frozen=True)
class SharedCode:
    """Views of a digit with a code (B, 64 + 10): the picture is moved, dimmed and disturbed, the code stays.

    erased: with this probability a view shows no digit at all.
    """

    erased: float = 0.0

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        """Views (B, V, 74)."""
        seen = PICTURE(x[:, :PIXELS].reshape(-1, 1, 8, 8), generator, n_views).flatten(2)
        gone = torch.rand(seen.shape[:2], generator=generator, device=generator.device).to(seen) < self.erased
        code = x[:, None, PIXELS:].expand(-1, n_views, -1)
        return torch.cat([seen.masked_fill(gone[..., None], 0), code], dim=2)


def coded_digits(seed: int, samples: int | None = 1200) -> tuple[Dataset, Dataset]:
    """Digits as rows of 64 numbers, each with ten random bits +-1 behind, which say nothing of it."""
    generator = torch.Generator().manual_seed(seed)

    def part(split: str) -> Dataset:
        digits = data.load("digits", split)
        digits = digits.subset(torch.randperm(len(digits), generator=generator)[:samples])
        code = 2 * torch.randint(2, (len(digits), BITS), generator=generator) - 1
        x = torch.cat([digits.x.flatten(1), code.to(digits.x)], dim=1)
        return Dataset("digits with a code", x, digits.labels, digits.index, digits.class_names)

    return part("train"), part("test")


def superclasses(seed: int, name: str = "cifar100", *, groups: int = 5, each: int = 40) -> tuple[Dataset, Dataset]:
    """Photographs labelled by superclass, with the class within as their factor `class`.

    name: a data set with a factor `superclass`, such as CIFAR-100; FileNotFoundError says where it is to be had.
    groups: superclasses, drawn by `seed`. each: photographs of a class to train with; the test part is whole.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = data.load(name, "train")
    if "superclass" not in whole.factors:
        raise ValueError(f"name must be of a data set with the factor superclass, got {name!r}")
    known = whole.factors["superclass"].unique()
    chosen = known[torch.randperm(len(known), generator=generator)[:groups]].sort().values

    def part(found: Dataset, each: int) -> Dataset:
        order = torch.randperm(len(found), generator=generator)
        order = order[torch.isin(found.factors["superclass"][order], chosen)]
        kinds = found.labels[order]
        within = (
            F.one_hot(kinds, found.num_classes).cumsum(0).gather(1, kinds[:, None])[:, 0]
        )  # how manieth of its class
        few = found.subset(order[within <= each])
        fine = torch.unique(few.labels, return_inverse=True)[1]
        names = tuple(f"superclass {group}" for group in chosen.tolist())
        labels = torch.searchsorted(chosen, few.factors["superclass"])
        return Dataset(found.name, few.x, labels, few.index, names, {"class": fine})

    unseen = data.load(name, "test")
    return part(whole, each), part(unseen, len(unseen))
