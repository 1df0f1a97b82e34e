"""Devices that move together or not: a simulator, an ankle with leg and trunk, and a watch of two instruments."""

import csv
import math
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from cl_explore import data
from cl_explore.data import Dataset, Published
from cl_explore.data.published import Layout

ACTIVITIES, STEPS, RATE = 6, 50, 20.0
CLOSENESS = (1.0, 0.85, 0.5, 0.2, 0.0)
"""Of each device of the simulator, the anchor first: how much of what it measures is the body's movement."""
NOISE = 0.4
AMPLITUDE = 0.85
LEARNERS, STRANGERS = 4, 2
FILE = "S06R02E0.csv"
PLACES = ("ankle", "leg", "trunk")
WINDOW, STRIDE = 64, 12


def simulator(seed: int, each: int = 150) -> tuple[Dataset, Dataset]:
    """Windows (3, 50) at 20 Hz of six activities, seen by five devices that are less and less part of the movement.

    An activity is three harmonics of 1 to 3.5 Hz in three axes, from a random phase on; people differ in its frequency
    (6 %) and strength (20 %). A device of closeness c measures c times that movement, turned, and (1 - c) times an
    oscillation of its own, 1 to 2.5 strong. Samples are series by the name of the device, the anchor's first; four
    people are to learn from, and two others to test with.

    each: windows of each person
    """
    generator = Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    people, harmonics = LEARNERS + STRANGERS, torch.arange(1, 4)[:, None]
    base = torch.linspace(1, 3.5, ACTIVITIES)
    shape = AMPLITUDE * uniform(0.2, 1, ACTIVITIES, 3, 3) / harmonics  # (activity, harmonic, axis)
    phase = uniform(0, 2 * math.pi, ACTIVITIES, 3, 3)
    tempo = 1 + 0.06 * torch.randn(people, generator=generator)
    gain = 1 + 0.2 * torch.randn(people, generator=generator)
    turns = torch.linalg.qr(torch.randn(len(CLOSENESS), 3, 3, generator=generator)).Q
    strength = uniform(1, 2.5, len(CLOSENESS))

    person = torch.arange(people).repeat_interleave(each)
    activity = torch.arange(ACTIVITIES).repeat(len(person) // ACTIVITIES + 1)[: len(person)]
    time, start = torch.arange(STEPS) / RATE, uniform(0, 1, len(person))
    beat = 2 * math.pi * ((base[activity] * tempo[person])[:, None] * time + start[:, None])  # (N, T)
    waves = (harmonics[:, :, None] * beat[:, None, None] + phase[activity][..., None]).sin()  # (N, harmonic, axis, T)
    moved = gain[person, None, None] * (shape[activity][..., None] * waves).sum(1)
    found = {}
    for number, close in enumerate(CLOSENESS):
        own = uniform(1, 3.5, len(person), 1, 1) * time + uniform(0, 1, len(person), 3, 1)
        other = strength[number] * (2 * math.pi * own).sin()
        noise = NOISE * torch.randn(moved.shape, generator=generator)
        found[f"device {number + 1}"] = close * (turns[number] @ moved) + (1 - close) * other + noise
    names = tuple(f"activity {number + 1}" for number in range(ACTIVITIES))
    factors = {"person": person}
    whole = Dataset("simulator", found, activity, torch.arange(len(person)), names, factors,
                    dict.fromkeys(found, "series"))  # fmt: skip
    known = person < LEARNERS
    return whole.subset(known), whole.subset(~known)


def one_device(devices: Dataset, name: str | None = None) -> Dataset:
    """The windows of one device alone, of the first if no name is given."""
    assert isinstance(devices.x, dict)
    own = devices.x[name or next(iter(devices.x))]
    parts = devices.labels, devices.index, devices.class_names, devices.factors
    return Dataset(devices.name, own, *parts, "series")


def ankle(seed: int) -> tuple[Dataset, Dataset]:
    """Ankle, leg and trunk of a walker, windows (3, 64) at 64 Hz, twelve steps apart, in the order of time.

    The first seven tenths are to learn from, and the rest, past the windows that reach across, to test with.
    Source: Baechlin et al. 2010, Daphnet freezing of gait, one recording of it, as it comes with the package aeon
    Raises: FileNotFoundError saying where it is to be had if it is missing, ValueError naming a damaged file
    """
    whole = DAPHNET.load("all")
    assert isinstance(whole.x, dict)
    count = len(whole)
    known = torch.arange(count) < round(0.7 * count)
    return whole.subset(known), whole.subset(torch.arange(count) >= round(0.7 * count) + WINDOW // STRIDE)


def watch(seed: int) -> tuple[Dataset, Dataset]:
    """Accelerometer and gyroscope of a watch as two devices, windows (3, 100), each recording standardised.

    The seed draws the three people who are to test with.
    Raises: as `data.load`
    """
    held = (1 + torch.randperm(10, generator=Generator().manual_seed(seed))[:3]).tolist()
    train, test = (_instruments(data.load("watch", split, held=held)) for split in ("train", "test"))
    return train, test


def _instruments(windows: Dataset) -> Dataset:
    assert isinstance(windows.x, Tensor)
    x, recording = windows.x.clone(), windows.factors["recording"]
    for number in recording.unique():
        own = x[recording == number]
        x[recording == number] = (own - own.mean((0, 2), keepdim=True)) / own.std((0, 2), keepdim=True)
    parts = {"accelerometer": x[:, :3].contiguous(), "gyroscope": x[:, 3:].contiguous()}
    return Dataset("watch", parts, windows.labels, windows.index, windows.class_names, windows.factors,
                   dict.fromkeys(parts, "series"))  # fmt: skip


def _read(folder: Path, split: str) -> Dataset:
    """The recording's windows by the place of the device; ValueError names a file of another form."""
    axes = [f"{place}_{axis}" for place in PLACES for axis in ("horiz_fwd", "vert", "horiz_lateral")]
    with (folder / FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        measured = np.array([[float(row[axis]) for axis in axes] for row in rows], np.float32) / 1000  # mg
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / FILE} must have numbers in columns {', '.join(axes)} ({error})") from error
    if len(measured) < 20 * WINDOW or not np.isfinite(measured).all():
        raise ValueError(
            f"{folder / FILE} must have at least {20 * WINDOW} rows of finite numbers, got {len(measured)}"
        )
    x = torch.from_numpy(measured).unfold(0, WINDOW, STRIDE).unflatten(1, (len(PLACES), 3))
    parts = {place: x[:, number].contiguous() for number, place in enumerate(PLACES)}
    index = torch.arange(len(x))
    return Dataset("Daphnet", parts, torch.zeros_like(index), index, ("walking",), kind=dict.fromkeys(parts, "series"))


DAPHNET = Published(
    "Daphnet",
    (Layout(_read, {"all": (FILE,)}),),
    folders=("aeon/datasets/data/Daphnet_S06R02E0", "daphnet"),
    advice="pip install --no-deps --target DATA_FOLDER aeon==1.6.0 (6 MB), which has it in aeon/datasets/data",
    licence="BSD-3, that of the package; none is stated for the recording: cite Baechlin et al. 2010",
)
