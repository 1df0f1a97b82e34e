"""Background and target samples: all show something common, targets something salient as well."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.names import unknown

COMMON, SALIENT, FEATURES = 8, 4, 32
NOISE = 0.3
Parts = tuple[Dataset, Dataset]
"""To learn from and to test with. Labels: 0 background, 1 target, half of each; factors `common` and `salient`, classes
of which the second is -1 in background."""


def world(name: str, seed: int, *, samples: int | None = None, unseen: int = 1000) -> Parts:
    """A world by name, drawn by `seed`.

    name: "templates", "gratings" or "clothes"
    samples, unseen: of both parts, at most; None takes all there are, of templates 1200
    Raises: ValueError for an unknown name, FileNotFoundError naming all places if Fashion-MNIST is missing
    """
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    return WORLDS[name](seed, samples, unseen)


def templates(seed: int, samples: int | None = None, unseen: int = 1000) -> Parts:
    """Vectors (N, 32): the template of one of 8 common classes, of targets plus that of one of 4 salient ones.

    Templates are standard normal; each sample has noise of .3 on its common and on its salient part.
    """
    generator = Generator().manual_seed(seed)
    common, salient = (torch.randn(kinds, FEATURES, generator=generator) for kinds in (COMMON, SALIENT))

    def part(n: int) -> Dataset:
        what, extra = (torch.randint(kinds, (n,), generator=generator) for kinds in (COMMON, SALIENT))
        below, above = (
            table[kind] + NOISE * torch.randn(n, FEATURES, generator=generator)
            for table, kind in ((common, what), (salient, extra))
        )
        return _joined("templates", below, above, what, extra)

    return part(samples or 1200), part(unseen)


def gratings(seed: int, samples: int | None = None, unseen: int = 1000) -> Parts:
    """Scikit-learn's digits (1, 8, 8); behind those that are targets stands one of 4 gratings.

    The gratings have a period of four pixels and rise from 0 to 1 along one of 4 directions; digit and grating are
    averaged, so that the background's digits are half as bright as they came.
    """
    generator = Generator().manual_seed(seed)
    place = torch.arange(8.0)
    angle = torch.arange(SALIENT) * math.pi / SALIENT
    along = angle.cos()[:, None, None] * place + angle.sin()[:, None, None] * place[:, None]
    waves = 0.5 + 0.5 * (math.pi / 2 * along).sin()[:, None]

    def part(split: str, n: int | None) -> Dataset:
        digits = _some(data.load("digits", split), n, generator)
        extra = torch.randint(SALIENT, (len(digits),), generator=generator)
        return _joined("gratings", digits.x / 2, waves[extra] / 2, digits.labels, extra)

    return part("train", samples), part("test", unseen)


def clothes(seed: int, samples: int | None = None, unseen: int = 1000) -> Parts:
    """Fashion-MNIST (1, 28, 28); on targets lies a handwritten digit, the two averaged.

    The form of the authors' CIFAR-MNIST, with scikit-learn's digits, enlarged to 24 pixels in a rim of 2. Of the digits
    those of the training part are drawn for training, others for the test.
    """
    generator = Generator().manual_seed(seed)

    def part(split: str, n: int | None) -> Dataset:
        worn, digits = _some(data.load("fashion_mnist", split), n, generator), data.load("digits", split)
        drawn = torch.randint(len(digits), (len(worn),), generator=generator)
        ink = F.pad(F.interpolate(digits.x, size=(24, 24), mode="bilinear"), (2, 2, 2, 2))[drawn]
        return _joined("clothes", worn.x / 510, ink / 2, worn.labels, digits.labels[drawn])

    return part("train", samples), part("test", unseen)


def _some(source: Dataset, n: int | None, generator: Generator) -> Dataset:
    return source.subset(torch.randperm(len(source), generator=generator)[:n])


def _joined(name: str, below: Tensor, above: Tensor, common: Tensor, salient: Tensor) -> Dataset:
    """The first half as it is, the second with what lies above (N, ...) added."""
    target = (torch.arange(len(below)) >= len(below) // 2).long()
    x = below + above * target.view(-1, *[1] * (below.ndim - 1))
    factors = {"common": common, "salient": torch.where(target == 1, salient, -1)}
    return Dataset(name, x, target, torch.arange(len(x)), ("background", "target"), factors)


WORLDS: dict[str, Callable[[int, int | None, int], Parts]] = {
    "templates": templates,
    "gratings": gratings,
    "clothes": clothes,
}
