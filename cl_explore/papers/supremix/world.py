"""Targets that are numbers: a place on a curve, how far diabetes has come, how warm a transformer's oil is."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset
from cl_explore.data.ett import ETT
from cl_explore.names import unknown

LEVELS = 40
"""Equal steps of the range of targets."""
WIDTH, NUISANCE, NOISE = 32, 8, 0.1
DAY, WEEK = 24, 168  # hours
Parts = tuple[Dataset, Dataset]
"""To learn from and to test with. Labels are levels 0 to 39, the factor `target` is the exact target in levels."""


def world(name: str, seed: int, *, samples: int | None = None, unseen: int = 1000) -> Parts:
    """A world by name, drawn by `seed`.

    name: "curve", "diabetes" or "oil"
    samples, unseen: of both parts, at most; None takes all there are, of the curve 300
    Raises: ValueError for an unknown name, FileNotFoundError naming all places if the transformer's file is missing
    """
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    return WORLDS[name](seed, samples, unseen)


def curve(seed: int, samples: int | None = None, unseen: int = 1000) -> Parts:
    """Vectors (N, 32) of points on a closed curve that is not quite closed, beside 8 strong directions of nuisance.

    Of the training part few targets are high: they are floor(40 u²), u uniform. Those of the test part are uniform.
    """
    generator = Generator().manual_seed(seed)
    mixed = torch.randn(4 + NUISANCE, WIDTH, generator=generator) / math.sqrt(4 + NUISANCE)

    def part(y: Tensor) -> Dataset:
        angle = 0.9 * 2 * math.pi * y / LEVELS
        place = torch.stack([angle.cos(), angle.sin(), (2 * angle).cos(), (2 * angle).sin()], 1)
        nuisance = 1.5 * torch.randn(len(y), NUISANCE, generator=generator)
        x = (torch.cat([place, nuisance], 1) @ mixed).tanh()
        return _numbered("curve", x + NOISE * torch.randn(x.shape, generator=generator), y)

    rare = (LEVELS * torch.rand(samples or 300, generator=generator).square()).floor()
    return part(rare), part(torch.randint(LEVELS, (unseen,), generator=generator).float())


def diabetes(seed: int, samples: int | None = None, unseen: int = 1000) -> Parts:
    """Ten measurements of 442 people, and how far their diabetes had come a year later; a quarter is to test with.

    Source: Efron et al. 2004, as it comes with scikit-learn
    """
    from sklearn.datasets import load_diabetes  # takes a second, which the curve should not

    x, target = (torch.from_numpy(part).float() for part in load_diabetes(return_X_y=True))
    order = torch.randperm(len(x), generator=Generator().manual_seed(seed))
    test, train = order.tensor_split([len(x) // 4])
    return _split("diabetes", x, target, train[:samples], test[:unseen])


def oil(seed: int, samples: int | None = None, unseen: int = 1000) -> Parts:
    """Six loads of a transformer in the last 24 hours (N, 144), and how warm its oil is now, from -4 to 46 °C.

    Every fifth week is to test with, and no day reaches into another week.
    Source: Zhou et al. 2021, ETTh1: two years, hour by hour
    Raises: FileNotFoundError naming all places if it is missing, ValueError if it is damaged
    """
    hours = ETT.load("all").x
    now = torch.arange(len(hours))
    now = now[now % WEEK >= DAY - 1]
    now = now[torch.randperm(len(now), generator=Generator().manual_seed(seed))]
    x = hours[now[:, None] - torch.arange(DAY), :-1].flatten(1)
    week = now // WEEK % 5
    train, test = (week != 4).nonzero()[:, 0], (week == 4).nonzero()[:, 0]
    return _split("oil", x, hours[now, -1], train[:samples], test[:unseen])


def _split(name: str, x: Tensor, target: Tensor, train: Tensor, test: Tensor) -> Parts:
    """Features standardised and targets divided into levels by the training part."""
    mean, deviation = x[train].mean(0), x[train].std(0)
    low, high = target[train].aminmax()
    x, target = (x - mean) / deviation, LEVELS * (target - low) / (high - low)
    return _numbered(name, x[train], target[train]), _numbered(name, x[test], target[test])


def _numbered(name: str, x: Tensor, target: Tensor) -> Dataset:
    levels = target.floor().clamp(0, LEVELS - 1).long()
    return Dataset(name, x, levels, torch.arange(len(x)), tuple(map(str, range(LEVELS))), {"target": target})


WORLDS: dict[str, Callable[[int, int | None, int], Parts]] = {"curve": curve, "diabetes": diabetes, "oil": oil}
