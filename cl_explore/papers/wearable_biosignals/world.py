"""Segments of persons, generated and from a watch, their augmentations, and the networks that read them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.data.pulses import pulses
from cl_explore.names import unknown
from cl_explore.nn import SeriesNet, projection_head
from cl_explore.takes import Share
from cl_explore.views.base import Views, normal, uniform
from cl_explore.views.series import read_at

Parts = tuple[Dataset, Dataset]
"""To learn from and to test with, of different people; the factor `person` numbers those of a part from 0 on."""
PERSONS, UNSEEN, SEGMENTS, STEPS = 128, 96, 6, 96
KNOTS = 5  # of the curves that warp a segment
CUT, BEND, HUM, HURRY = 0.25, 0.25, 0.25, 0.25


class SignalParameters(NamedTuple):
    """What was drawn for series (N, C, T).

    hidden: (N, T) bool, set to 0. gain: (N, 1, T) to multiply by. noise: (N, C, T) to add. order: (N, C), which channel
    stands where. place: (N, T), from where each step is taken.
    """

    hidden: Tensor
    gain: Tensor
    noise: Tensor
    order: Tensor
    place: Tensor


@dataclass(frozen=True, kw_only=True)
class SignalViews(Views[SignalParameters]):
    """The five augmentations of the paper for series (B, C, T), each done to a view with a probability of its own.

    The probabilities are those reported for pulses seen by light (PPG); for ECG .8, .5, .5, 0 and .3. How far each goes
    is not known: the sizes are ours (a quarter of the length, of the height, of the channel's deviation, of the speed).

    time_warp: time runs faster here and slower there.
    magnitude_warp: the height follows a slow curve about 1.
    permute: channels change places.
    noise: Gaussian.
    cut_out: one stretch is 0.
    """

    time_warp: Share = 0.15
    magnitude_warp: Share = 0.25
    permute: Share = 0.25
    noise: Share = 0.25
    cut_out: Share = 0.4

    def _apply(self, x: Tensor, parameters: SignalParameters) -> Tensor:
        hidden, gain, noise, order, place = parameters
        x = read_at(x, place).gather(1, order[..., None].expand_as(x))
        return (x * gain + noise).masked_fill(hidden[:, None], 0)

    def _draw(self, x: Tensor, generator: Generator) -> SignalParameters:
        count, channels, length = x.shape
        share = (self.cut_out, self.magnitude_warp, self.noise, self.permute, self.time_warp)
        likely = torch.tensor(share, device=x.device, dtype=x.dtype) * min(self.strength, 1)
        cut, bent, noisy, mixed, warped = (uniform(generator, x, count, 5) < likely).unbind(1)
        time = torch.arange(length, device=x.device, dtype=x.dtype)

        hidden = round(min(self.strength * CUT, 1) * length)
        after = time - (uniform(generator, x, count, 1) * (length - hidden + 1)).floor()
        curves = F.interpolate(normal(generator, x.new_empty(count, 2, KNOTS)), length, mode="linear")
        gain = 1 + self.strength * BEND * curves[:, :1] * bent[:, None, None]
        speed = (self.strength * HURRY * curves[:, 1]).exp()
        place = speed.cumsum(1) - speed
        place = torch.where(warped[:, None], place * (length - 1) / place[:, -1:].clamp(min=1e-6), time)
        deviation = self.strength * HUM * x.std(2, correction=0, keepdim=True) * noisy[:, None, None]
        order = uniform(generator, x, count, channels).argsort(1)
        order = torch.where(mixed[:, None], order, torch.arange(channels, device=x.device))
        return SignalParameters((after >= 0) & (after < hidden) & cut[:, None], gain,
                                deviation * normal(generator, x), order, place)  # fmt: skip

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3:
            raise ValueError(f"x must have shape (B, C, T), got {tuple(x.shape)}")


def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """Three strided convolutions and a linear layer to 32 numbers, which probes read, and a head 32-64-16."""
    assert isinstance(train.x, Tensor)
    body = SeriesNet(train.x.shape[1], strides=(2, 2, 2), batch_norm=True, pool="both")
    return nn.Sequential(body, nn.Linear(body.out_features, 32)), projection_head(32, 64, 16)


def world(name: str, seed: int, persons: int = PERSONS) -> Parts:
    """A world by name, drawn by `seed`.

    name: "pulses", segments with nuisances of their own; "still", without any but noise; "watch", see `of_a_watch`
    persons: to learn from, of the first two
    Raises: ValueError for an unknown name, FileNotFoundError naming all places if the watch's recordings are missing
    """
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    return WORLDS[name](seed, persons)


def of_pulses(seed: int, persons: int) -> Parts:
    """Six segments (1, 96) of each of `persons` and of 96 unseen ones: 3 seconds each, of another hour."""
    generator = Generator().manual_seed(seed)
    train, test = (pulses(number, SEGMENTS, 1, generator, steps=STEPS) for number in (persons, UNSEEN))
    return train, test


def still(seed: int, persons: int) -> Parts:
    """As `of_pulses`, all at one heart rate, beginning with a beat and on a level: noise alone differs."""
    generator = Generator().manual_seed(seed)
    train, test = (pulses(number, SEGMENTS, 1, generator, steps=STEPS, rate=0.0, phase=0.0, wander=0.0)
                   for number in (persons, UNSEEN))  # fmt: skip
    return train, test


def of_a_watch(seed: int, persons: int = 0) -> Parts:
    """Windows of two seconds (6, 100) at shoulder exercises, of five people and of the five others; who, `seed` draws.

    Each channel has mean 0 and deviation 1 in the first part. Labels are the exercises. `persons` is not looked at.
    """
    held = (1 + torch.randperm(10, generator=Generator().manual_seed(seed))[:5]).sort().values
    train, test = (data.load("watch", split, held=held.tolist()) for split in ("train", "test"))
    assert isinstance(train.x, Tensor)
    mean, deviation = train.x.mean((0, 2))[:, None], train.x.std((0, 2))[:, None]

    def own(part: Dataset) -> Dataset:
        _, person = part.factors["subject"].unique(return_inverse=True)
        return replace(part, x=(part.x - mean) / deviation, factors={**part.factors, "person": person})

    return own(train), own(test)


WORLDS: dict[str, Callable[[int, int], Parts]] = {"pulses": of_pulses, "still": still, "watch": of_a_watch}
