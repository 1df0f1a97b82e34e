"""The optimisers to choose from, and how the learning rate moves."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from cl_explore.train.lars import LARS

OPTIMIZERS = ("adam", "sgd", "lars")


def cosine(step: int, total: int, warmup: int = 0) -> float:
    """Factor on the learning rate for step 0 .. total-1: linear rise over `warmup` steps, then half a cosine to 0.

    >>> [round(cosine(step, total=6, warmup=2), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, fused: bool
) -> Optimizer:
    """AdamW for "adam" (at weight_decay 0 the same as Adam); SGD with momentum 0.9 for "sgd"; LARS for "lars"."""
    if name == "adam":
        return AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
    if name == "sgd":
        return SGD(parameters, lr=lr, momentum=0.9, weight_decay=weight_decay, fused=fused)
    return LARS(parameters, lr=lr, weight_decay=weight_decay)
