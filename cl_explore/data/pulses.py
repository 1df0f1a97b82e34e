"""A world of pulses: persons with traits, whose recordings have a nuisance each, cut into segments."""

import math

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.takes import Amount, Count, Positive, Share, takes

TRAITS = {"notch": (0.45, 0.15), "delay": (0.38, 0.05), "width": (0.09, 0.025)}
"""Middle and reach of what a person's pulse has of its own: the height of its second peak, the share of a beat by
which that comes later, and the width of both peaks in beats."""
BEATS = 1.2  # a second


@takes
def pulses(
    persons: Count,
    recordings: Count,
    segments: Count,
    generator: torch.Generator,
    *,
    steps: Count = 96,
    sampling: Positive = 32.0,
    rate: Share = 0.25,
    phase: Share = 1.0,
    wander: Amount = 0.4,
    hum: Amount = 0.0,
    jitter: Amount = 0.0,
    noise: Amount = 0.15,
) -> Dataset:
    """Series (N, 1, steps) of N = persons x recordings x segments, in this order, with mean 0 and deviation 1 each.

    A beat is a Gaussian peak of height 1 and a second, lower one. What a person keeps are its three `TRAITS`; what a
    recording keeps are its heart rate, where in a beat it begins, a slow wave (0.1 to 0.4 Hz) and a fast one (5 to 9
    Hz), each of fixed phase; what differs from segment to segment are jitter and noise. With one segment each, a
    recording is a segment whose nuisance is its own.

    steps, sampling: points of a segment, and how many of them a second has.
    rate: recordings beat uniformly within 1 +- rate times 1.2 beats a second.
    phase: recordings begin uniformly within so large a share of a beat; 0: all are aligned, their first peak a quarter
        of a beat after the start.
    wander, hum: largest amplitude of a recording's slow and fast wave, which are drawn uniformly below it.
    jitter: standard deviation of a segment's shift in beats, and of its relative error of height.
    noise: standard deviation at each step.
    Labels are persons. Factors: `person`, `recording` (numbered through), the traits, each in [-1, 1] (the tanh of a
    standard normal number), and `rate` in beats a second.

    >>> world = pulses(4, 3, 2, torch.Generator().manual_seed(0), steps=32)
    >>> world.x.shape, world.factors["recording"][:7].tolist()
    (torch.Size([24, 1, 32]), [0, 0, 1, 1, 2, 2, 3])
    """
    whole = persons * recordings

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def each(of: Tensor) -> Tensor:
        """(N, 1) of what a person or a recording has."""
        return of.repeat_interleave(whole * segments // len(of))[:, None]

    traits = {name: torch.tanh(normal(persons)) for name in TRAITS}
    beats = BEATS * (1 + rate * (2 * uniform(whole) - 1))
    begins = phase * uniform(whole)
    time = torch.arange(steps) / sampling
    notch, delay, width = (each(middle + reach * traits[name]) for name, (middle, reach) in TRAITS.items())
    place = each(beats) * time + each(begins) + jitter * normal(whole * segments, 1)

    def peak(at: Tensor | float) -> Tensor:
        away = (place - at + 0.5) % 1 - 0.5  # to the nearest beat's
        return torch.exp(-((away / width) ** 2) / 2)

    x = peak(0.25) + notch * (1 + jitter * normal(whole * segments, 1)) * peak(0.25 + delay)
    for most, low, high in ((wander, 0.1, 0.4), (hum, 5.0, 9.0)):
        amplitude, turns, start = (each(uniform(whole)) for _ in range(3))
        x = x + most * amplitude * torch.sin(2 * math.pi * ((low + (high - low) * turns) * time + start))
    x = x + noise * normal(*x.shape)
    x = (x - x.mean(1, keepdim=True)) / x.std(1, correction=0, keepdim=True).clamp(min=1e-6)
    person = each(torch.arange(persons))[:, 0]
    factors = {"person": person, "recording": each(torch.arange(whole))[:, 0]}
    factors |= {name: each(trait)[:, 0] for name, trait in (*traits.items(), ("rate", beats))}
    names = tuple(f"person {number}" for number in range(persons))
    return Dataset("pulses", x[:, None], person, torch.arange(len(x)), names, factors, kind="series")
