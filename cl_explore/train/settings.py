"""The settings of a run, checked before any work."""

import math
from dataclasses import dataclass
from typing import Literal

from cl_explore.train.schedule import OPTIMIZERS

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `fit` and `Loop` can be told about a run besides method and data; all of it is part of its configuration.

    Raises TypeError or ValueError that names the setting, what came and what is needed.
    """

    epochs: int
    batch_size: int = 256
    lr: float = 2e-3
    weight_decay: float = 0.0
    optimizer: Literal["adam", "sgd", "lars"] = "adam"
    warmup_epochs: float = 0
    seed: int = 0
    snapshots: int = 12
    precision: Precision = "32-true"
    compile: bool = False
    sync_batchnorm: bool = False

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 2, "seed": 0, "snapshots": 0}.items():
            value = getattr(self, name)
            if not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr must be positive and finite, got {self.lr}")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise ValueError(f"weight_decay must be at least 0 and finite, got {self.weight_decay}")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(
                f"warmup_epochs must be from 0 to less than epochs ({self.epochs}), got {self.warmup_epochs}"
            )
        for name, options in {"optimizer": OPTIMIZERS, "precision": PRECISIONS}.items():
            if getattr(self, name) not in options:
                raise ValueError(f"{name} must be one of {', '.join(options)}, got {getattr(self, name)!r}")
        for name in ("compile", "sync_batchnorm"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name in ("lr", "weight_decay", "warmup_epochs"):
            object.__setattr__(self, name, float(getattr(self, name)))  # numpy's numbers would not fit a checkpoint
