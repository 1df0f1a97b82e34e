"""What COMET is tried on: pulses of persons in recordings, and the watch that ten people wore."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Generator, Tensor

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.names import unknown

Parts = tuple[Dataset, Dataset]
HELD = (6, 7, 8, 9, 10)
"""Who of the ten with a watch is in the test part."""


def pulses(seed: int, persons: int = 80, steps: int = 32, phase: float = 0.0) -> Parts:
    """Three recordings of three segments each, (1, steps) at 32 Hz; three fifths of the persons are for training.

    phase: the share of a beat within which recordings begin; 0: all begin at the same place, as after alignment.
    """
    whole = data.pulses(
        persons, 3, 3, Generator().manual_seed(seed),
        steps=steps, rate=0.0, phase=phase, wander=0.3, hum=0.3, jitter=0.02, noise=0.1,
    )  # fmt: skip
    seen = whole.factors["person"] < persons * 3 // 5
    return whole.subset(seen), whole.subset(~seen)


def watch(seed: int, persons: int = 10, steps: int = 64, phase: float = 0.0) -> Parts:
    """Six windows (6, steps) of each recording of an exercise, evenly spaced; recordings have mean 0 and deviation 1.

    The first five people are for training; seed, persons and phase have no part in it.
    """
    train, test = (_of_recordings(data.load("watch", split, length=steps, held=HELD)) for split in ("train", "test"))
    return train, test


def _of_recordings(found: Dataset, windows: int = 6) -> Dataset:
    _, recording = found.factors["recording"].unique(return_inverse=True)
    members = [(recording == own).nonzero()[:, 0] for own in range(int(recording.max()) + 1)]
    x = found.x.clone()
    for rows in members:
        spread, mean = torch.std_mean(x[rows], (0, 2), correction=0)
        x[rows] = (x[rows] - mean[:, None]) / spread.clamp(min=1e-6)[:, None]
    kept = torch.cat([rows[_evenly(len(rows), windows)] for rows in members])
    factors = {"person": found.factors["subject"], "recording": recording}
    return replace(found, x=x, factors=factors).subset(kept)


def _evenly(count: int, wanted: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, wanted)).long()


WORLDS: dict[str, Callable[..., Parts]] = {"pulses": pulses, "watch": watch}


def world(name: str, seed: int, **options: float) -> Parts:
    """The train and test part, of different people; ValueError for another name."""
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    return WORLDS[name](seed, **options)
