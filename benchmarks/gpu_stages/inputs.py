"""A valid value of every argument of every loss, made of views and labels: for the GPU and for the tests of losses."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses import Choice, Knob, Loss
from cl_explore.losses.arguments import ROLES

Inputs = dict[str, Tensor]


def _classes(labels: Tensor) -> int:
    return max(int(labels.max()) + 1, 2)


def _scores(z: Tensor, labels: Tensor) -> Tensor:
    unit = F.normalize(z.float(), dim=-1).to(z.dtype)
    return unit[:, 0] @ unit[: _classes(labels), 0].T


def _even(low: float, high: float, *shape: int) -> Tensor:
    return torch.linspace(low, high, math.prod(shape)).view(shape)


VALUES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    # argument: its value for views z (B, V, D), V >= 2, and labels y (B,): all degenerate where the views do
    "z": lambda z, y: z,
    "labels": lambda z, y: y,
    "index": lambda z, y: torch.arange(len(z)),
    "targets": lambda z, y: y.to(z.dtype),
    "logits": _scores,
    "log_mean": lambda z, y: torch.tensor([-math.inf, -50.0, 3.0, 2000.0]).repeat(len(z))[: len(z)].to(z.dtype),
    "salient": lambda z, y: z.clamp(-10, 10).roll(1, -1),
    "rehearsal": lambda z, y: (torch.arange(len(z)) % 3 < 2).long(),
    "shares": lambda z, y: _even(0.01, 0.99, z.shape[:2].numel(), z.shape[:2].numel()).to(z.dtype),
    "weights": lambda z, y: _even(0.01, 0.5, len(z), len(z)).to(z.dtype),
    "prediction": lambda z, y: z.roll(1, -1),
    "teacher": lambda z, y: z.roll(1, -1),
    "positives": lambda z, y: z.roll(2, -1),
    "query": lambda z, y: z[:, 0],
    "key": lambda z, y: z[:, 1],
    "negatives": lambda z, y: z[:, 0].roll(3, -1),
    "negative_weights": lambda z, y: _even(0.5, 2.0, len(z)).to(z.dtype),
    "synthetic": lambda z, y: z.roll(1, 0),
    "candidates": lambda z, y: z.roll(1, -1),
    "present": lambda z, y: (torch.arange(len(z)) % 3 < 2).long(),
    "group": lambda z, y: torch.arange(len(z)) // 3,
    "passages": lambda z, y: z.roll(1, -1),
    "relevance": lambda z, y: torch.arange(z.shape[:2].numel()).view(z.shape[:2]) % 4,
    "context": lambda z, y: z[:, 0],
    "critic": lambda z, y: _even(-1, 1, z.shape[2], z.shape[2]).to(z.dtype),
    "queue": lambda z, y: z[:, 0].roll(1, -1),
    "queue_labels": lambda z, y: y,
    "memory": lambda z, y: z.roll(2, -1),
    "prototypes": lambda z, y: z[: _classes(y), 0].roll(1, -1),
    "concentration": lambda z, y: torch.linspace(0.5, 1.5, _classes(y)).to(z.dtype),
    "counts": lambda z, y: torch.arange(1, _classes(y) + 1),
}


def letters(name: str, value: Tensor) -> list[str]:
    """What each axis of the value of an argument is."""
    return next(shape.split() for shape in ROLES[name].shapes if len(shape.split()) == value.ndim)


def given(loss: Loss, z: Tensor, labels: Tensor, optional: bool = True) -> Inputs:
    """A valid value of every argument of a loss, or of those it needs, for views z (B, V, D) and labels (B,)."""
    made = {name: VALUES[name](z, labels) for name in (loss.arguments if optional else loss.needs)}
    if loss.max_views == 1:
        made |= {name: value[:, :1] for name, value in made.items() if letters(name, value)[:2] == ["B", "V"]}
    return made


def inputs(loss: Loss, samples: int, dtype: torch.dtype, classes: int = 2, dimensions: int = 16) -> Inputs:
    """All arguments of a loss for so many samples of two views (or as many as it takes), on the CPU."""
    z = torch.randn(samples, 2, dimensions, generator=torch.Generator().manual_seed(0)).to(dtype)
    return given(loss, z, torch.arange(samples) % classes)


def options(loss: Loss) -> list[dict[str, Any]]:
    """Each option but the first of each switch, and both ends of each slider but the temperature's."""
    switches = [{knob.name: each} for knob in loss.knobs if isinstance(knob, Choice) for each in knob.options[1:]]
    numbers = [knob for knob in loss.knobs if isinstance(knob, Knob) and knob.name != "temperature"]
    return switches + [{knob.name: value} for knob in numbers for value in (knob.low, knob.high)]


def temperatures(loss: Loss, values: tuple[float, ...]) -> list[dict[str, float]]:
    """Knobs that set the temperature of a loss that has one, or none at all."""
    if "temperature" not in loss.defaults:
        return [{}]
    follows = {"epsilon"} & loss.defaults.keys()  # must stay below the temperature
    return [{"temperature": value} | dict.fromkeys(follows, value / 2) for value in values]


def sharpness(loss: Loss, knobs: dict[str, Any]) -> float:
    """How large the logits of a loss get: sums of them in float32 are good to so many units in the last place."""
    numbers = [abs(value) for value in (loss.defaults | knobs).values() if not isinstance(value, str)]
    heat = knobs.get("temperature", loss.defaults.get("temperature", 1.0))
    return max(1.0, 1 / heat, *numbers) * (40 if loss.raw else 1)
