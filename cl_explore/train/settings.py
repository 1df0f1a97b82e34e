"""The settings of a run, checked before any work."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import pandas as pd

from cl_explore.takes import Amount, Count, Number, Positive, Range, settle
from cl_explore.train.run import Progress
from cl_explore.train.schedule import Optimizers, Schedule

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
Pair = Annotated[int, Range(2)]
RATE = 2e-3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `fit` and `Loop` can be told about a run besides method and data; all of it is part of its configuration.

    Raises TypeError or ValueError that names the setting, what came and what is needed.
    """

    epochs: Count
    batch_size: Pair = 256
    lr: Positive = RATE
    weight_decay: Amount = 0.0
    optimizer: Optimizers = "adam"
    schedule: Schedule = "cosine"
    warmup_epochs: Amount = 0
    seed: Number = 0
    snapshots: Number = 12
    precision: Precision = "32-true"
    compile: bool = False
    sync_batchnorm: bool = False
    until: Callable[[pd.DataFrame], object] | None = None
    on_step: Callable[[Progress], object] | None = None

    def __post_init__(self) -> None:
        settle(self)
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(
                f"warmup_epochs must be from 0 to less than epochs ({self.epochs}), got {self.warmup_epochs}"
            )
        if callable(self.schedule) and self.warmup_epochs:
            raise ValueError(f"warmup_epochs must be 0 beside a schedule of its own, got {self.warmup_epochs}")
        if callable(self.optimizer) and (self.lr, self.weight_decay) != (RATE, 0):
            raise ValueError("lr and weight_decay must be left out where optimizer is a function, which sets them")

    @property
    def functions(self) -> dict[str, Callable[..., object]]:
        """The settings that are functions, by name."""
        return {name: value for name, value in vars(self).items() if callable(value)}

    def plain(self) -> dict[str, Any]:
        """All settings by name; functions by their own names."""
        named = {name: getattr(value, "__qualname__", type(value).__name__) for name, value in self.functions.items()}
        return {field.name: getattr(self, field.name) for field in fields(self)} | named
