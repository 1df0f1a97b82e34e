"""Series of several sensors, cut into windows that each come with what is usual at that time of the week."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset
from cl_explore.data.ett import ETT
from cl_explore.data.published import Layout, Published
from cl_explore.names import unknown
from cl_explore.takes import Count, takes

DAY, WEEK = 24, 168  # hours
SENSORS, NOISE = 6, 0.04
FIVE_MINUTES, LOOP_STEPS, LOOP_SENSORS = 288, 2016, 207  # of a day; of a week; of Los-loop
SERIES = ("window", "anchor", "future", "usual", "known")


class Recording(NamedTuple):
    """What sensors say over time.

    series: (L, S), 0 where nothing is known if `gaps`.
    day, period: steps; after a period, a day or a week, the usual is expected again.
    graph: (S, S) weights between neighbours, 1 on the diagonal.
    train: the first steps, whole periods, which alone may be learned from and averaged.
    length: of a window, and of what is to be forecast.
    """

    name: str
    series: Tensor
    day: int
    period: int
    graph: Tensor
    train: int
    length: int
    gaps: bool = False


Parts = tuple[Dataset, Dataset]
"""To learn from and to test with. Samples are windows: of S sensors and T steps `window`, `anchor` (its history), the
`future` after it, what is `usual` then, and where the future is `known` (1, else 0), all (N, S, T); `time` (N, 4): sine
and cosine of the first forecast step in the day and in the period."""


def history(series: Tensor, period: int, *, gaps: bool = False) -> Tensor:
    """The mean (period, S) at each slot of the period of a series (L, S) that begins with one.

    gaps: zeros are no values; a slot without any takes its sensor's mean.
    Raises: ValueError for a series shorter than the period
    """
    if len(series) < period:
        raise ValueError(f"series must have at least one period of {period} steps, got {len(series)}")
    whole = series[: len(series) // period * period].unflatten(0, (-1, period))
    known = (whole != 0).to(series.dtype) if gaps else torch.ones_like(whole)
    count = known.sum(0)
    overall = (whole * known).sum((0, 1)) / known.sum((0, 1)).clamp(min=1)
    return torch.where(count > 0, (whole * known).sum(0) / count.clamp(min=1), overall)


def windows(recording: Recording, *, stride: Count = 1) -> Parts:
    """All windows that lie within the training part, and all within the rest; every `stride`-th of either.

    Series are standardised by each sensor's training part, and the anchor is the mean of training periods alone.
    """
    series, period, length = recording.series, recording.period, recording.length
    usual = history(series[: recording.train], period, gaps=recording.gaps)
    known = (series != 0).float() if recording.gaps else torch.ones_like(series)
    every = usual[torch.arange(len(series)) % period]
    mean, deviation = usual.mean(0), series[: recording.train].std(0)
    series, every = ((x - mean) / deviation for x in (torch.where(known > 0, series, every), every))

    def part(first: int, last: int) -> Dataset:
        start = torch.arange(first, last - 2 * length + 1, stride)
        past, after = (start[:, None] + torch.arange(length) + shift for shift in (0, length))
        cut = (series[past], every[past], series[after], every[after], known[after])
        phases = [2 * math.pi * (start + length) / over for over in (recording.day, period)]
        time = torch.stack([wave(phase) for phase in phases for wave in (torch.sin, torch.cos)], 1)
        x = dict(zip(SERIES, (each.transpose(1, 2).contiguous() for each in cut), strict=True)) | {"time": time.float()}
        kinds = {**dict.fromkeys(SERIES, "series"), "time": "vector"}
        none = torch.zeros(len(start), dtype=torch.int64)
        return Dataset(recording.name, x, none, start, ("window",), kind=kinds)

    return part(0, recording.train), part(recording.train, len(series))


@takes
def traffic(seed: int, weeks: Count = 14) -> Recording:
    """Made-up traffic of six sensors, hour by hour: two peaks a day, weekdays that differ, and incidents.

    An incident adds 0.5 to 1.2 at one sensor, fades over 8 to 20 hours, and reaches the next sensor, half as strong, an
    hour later. The last two of seven parts are to test with.
    """
    generator = Generator().manual_seed(seed)
    hour = torch.arange(weeks * WEEK)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    clock = (hour % DAY)[:, None]
    peaks = [(-(clock - uniform(at - 1, at + 1, SENSORS)).square() / 6).exp() * uniform(0.7, 1.3, SENSORS)
             for at in (8, 17)]  # fmt: skip
    weekday = torch.tensor([1.0, 1.05, 1.0, 1.1, 1.2, 0.6, 0.4]) * uniform(0.9, 1.1, 7)
    series = sum(peaks) * weekday[hour // DAY % 7][:, None]
    for sensor in range(SENSORS):
        for start in (torch.rand(len(hour), generator=generator) < 0.007).nonzero()[:, 0].tolist():
            duration = int(uniform(8, 21, 1))
            fading = uniform(0.5, 1.2, 1) * (-3 * torch.arange(duration) / duration).exp()
            for where, share, lag in ((sensor, 1.0, 0), ((sensor + 1) % SENSORS, 0.5, 1)):
                reached = series[start + lag : start + lag + duration, where]
                reached += share * fading[: len(reached)]
    series = series + NOISE * torch.randn(series.shape, generator=generator)
    ring = torch.eye(SENSORS)
    return Recording("traffic", series, DAY, WEEK, ring + ring.roll(1, 1) + ring.roll(-1, 1), weeks * 5 // 7 * WEEK, 8)


def transformer() -> Recording:
    """The six loads of ETTh1 and its oil temperature; seven tenths of its 103 weeks are to learn from.

    Source: Zhou et al. 2021
    Raises: FileNotFoundError naming all places if it is missing, ValueError if it is damaged
    """
    hours = ETT.load("all").x
    assert isinstance(hours, Tensor)
    return Recording("ETTh1", hours, DAY, WEEK, torch.ones(7, 7), 72 * WEEK, 12)


def loop() -> Recording:
    """Speeds at 207 places on the roads of Los Angeles, each five minutes of one week; five days are to learn from.

    A single week has no usual Monday: the anchor is the mean day.
    Source: Li et al. 2018 (METR-LA), the week that Zhao et al. 2020 (T-GCN) publish
    Raises: FileNotFoundError naming all places if it is missing, ValueError if it is damaged
    """
    x = LOOP.load("all").x
    assert isinstance(x, Tensor)
    series, graph = x.split([LOOP_STEPS, LOOP_SENSORS])
    return Recording("Los-loop", series, FIVE_MINUTES, FIVE_MINUTES, graph, 5 * FIVE_MINUTES, 12, gaps=True)


def _numbers(path: Path, shape: tuple[int, int], head: int) -> Tensor:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[head:]
    sizes = {len(row) for row in rows}
    if (len(rows), sizes) != (shape[0], {shape[1]}):
        raise ValueError(f"{path} must hold {shape[0]} rows of {shape[1]} numbers, got {len(rows)} of {sorted(sizes)}")
    return torch.from_numpy(np.array(rows).astype(np.float32))


def _read_loop(folder: Path, split: str) -> Dataset:
    """Speeds (2016, 207) in miles an hour, and below them the weights between the sensors (207, 207)."""
    speed, graph = LOOP_FILES
    x = torch.cat([
        _numbers(folder / speed, (LOOP_STEPS, LOOP_SENSORS), head=1),
        _numbers(folder / graph, (LOOP_SENSORS, LOOP_SENSORS), head=0),
    ])  # fmt: skip
    return Dataset("Los-loop", x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)), ("row",))


LOOP_FILES = ("los_speed.csv", "los_adj.csv")
LOOP = Published(
    "Los-loop",
    (Layout(_read_loop, {"all": LOOP_FILES}),),
    ("timeseries", "los-loop", ""),
    advice="fetch both from the folder data of https://github.com/lehaifeng/T-GCN",
    licence="none stated for the data; cite Li et al. 2018 and Zhao et al. 2020",
)
RECORDINGS: dict[str, Callable[[int, int], Recording]] = {
    "traffic": traffic,
    "ETTh1": lambda seed, weeks: transformer(),
    "Los-loop": lambda seed, weeks: loop(),
}


def recording(name: str, seed: int, weeks: int = 14) -> Recording:
    """A recording by name; `seed` draws the made-up one, of so many weeks. ValueError for an unknown name."""
    if name not in RECORDINGS:
        raise unknown("recording", name, RECORDINGS)
    return RECORDINGS[name](seed, weeks)
