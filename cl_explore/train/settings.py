"""The settings of a run, checked before any work."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cl_explore.takes import Amount, Count, Number, Positive, Range, settle

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
Pair = Annotated[int, Range(2)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `fit` and `Loop` can be told about a run besides method and data; all of it is part of its configuration.

    Raises TypeError or ValueError that names the setting, what came and what is needed.
    """

    epochs: Count
    batch_size: Pair = 256
    lr: Positive = 2e-3
    weight_decay: Amount = 0.0
    optimizer: Literal["adam", "sgd", "lars"] = "adam"
    warmup_epochs: Amount = 0
    seed: Number = 0
    snapshots: Number = 12
    precision: Precision = "32-true"
    compile: bool = False
    sync_batchnorm: bool = False

    def __post_init__(self) -> None:
        settle(self)
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(
                f"warmup_epochs must be from 0 to less than epochs ({self.epochs}), got {self.warmup_epochs}"
            )
