"""The optimisers to choose from, and how the learning rate moves."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from cl_explore.train.lars import LARS

Optimizers = Callable[[Sequence[nn.Parameter]], Optimizer] | Literal["adam", "sgd", "lars"]
Schedule = Callable[[int, int], float] | Literal["cosine"]


def factor(schedule: Schedule, step: int, total: int, warmup: int) -> float:
    """The factor on the learning rate for step 0 .. total-1; ValueError if an own schedule gives no finite number."""
    if not callable(schedule):
        return cosine(step, total, warmup)
    found = float(schedule(step, total))
    if not math.isfinite(found):
        raise ValueError(f"schedule must give a finite number, got {found} for step {step} of {total}")
    return found


def cosine(step: int, total: int, warmup: int = 0) -> float:
    """Factor on the learning rate for step 0 .. total-1: linear rise over `warmup` steps, then half a cosine to 0.

    >>> [round(cosine(step, total=6, warmup=2), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def constant(step: int, total: int) -> float:
    """The learning rate stays as it is: a schedule of one's own, as plain Adam in papers has it."""
    return 1.0


def make_optimizer(
    chosen: Optimizers, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, fused: bool
) -> Optimizer:
    """AdamW for "adam" (at weight_decay 0 the same as Adam); SGD with momentum 0.9 for "sgd"; LARS for "lars".

    A function of the parameters makes an optimiser of its own; TypeError if it gives anything else.
    """
    if callable(chosen):
        made = chosen(list(parameters))
        if not isinstance(made, Optimizer):
            raise TypeError(f"optimizer must give a torch.optim.Optimizer, got {type(made).__name__}")
        return made
    if chosen == "adam":
        return AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
    if chosen == "sgd":
        return SGD(parameters, lr=lr, momentum=0.9, weight_decay=weight_decay, fused=fused)
    return LARS(parameters, lr=lr, weight_decay=weight_decay)
