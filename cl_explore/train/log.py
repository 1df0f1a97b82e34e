"""The course of the loss, gathered on the device and read from there now and then."""

import math
import time
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from cl_explore.methods import Method
from cl_explore.train.health import spoiled

COLUMNS = ("step", "epoch", "loss", "lr", "seconds", "gradient")
"""Names that the history needs itself, the last one while it is written."""


class Log:
    """One row per step. Numbers stay on the device until `read`, since each look at one would stop the device."""

    def __init__(self, method: Method, patience: int = 1, logger: Any = None) -> None:
        """patience: for so many steps in a row the gradient may not be finite, less one: they were not taken.

        logger: also told of every number that is read, by `log_metrics(numbers, step)`.
        """
        if logger is not None and not callable(getattr(logger, "log_metrics", None)):
            raise TypeError(f"logger must have a method log_metrics(numbers, step), got {type(logger).__name__}")
        self._method, self._patience, self._left_out, self._logger = method, patience, 0, logger
        self._start = self._read_at = time.perf_counter()
        self._rows: list[dict[str, Any]] = []
        self._unread: list[dict[str, Tensor]] = []
        self._mean = math.nan

    def add(self, step: int, epoch: int, lr: float, loss: Tensor, metrics: dict[str, Tensor], gradient: Tensor) -> None:
        """gradient: its norm, looked at and not kept. ValueError or TypeError for metrics that do not fit in."""
        for name, value in metrics.items():
            if name in COLUMNS:
                raise ValueError(f"metrics must not be called {', '.join(COLUMNS)}, as the history is, got {name!r}")
            if not isinstance(value, Tensor) or value.ndim:
                found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"metric {name!r} must be a tensor of no dimension, got {found}")
        seconds = time.perf_counter() - self._start
        self._rows.append({"step": step, "epoch": epoch, "loss": math.nan, "lr": lr, "seconds": seconds})
        kept = {name: value.detach() for name, value in metrics.items()}
        self._unread.append({"loss": loss.detach(), **kept, "gradient": gradient})

    def waiting(self) -> float:
        """Seconds since the last reading."""
        return time.perf_counter() - self._read_at

    def read(self) -> float:
        """Fill in what was added since the last reading and return the mean loss of it, NaN before the first step.

        Raises FloatingPointError, naming the first step whose loss or gradient is not finite, and what to do.
        """
        if not self._unread:
            return self._mean
        numbers = iter(torch.stack([value for row in self._unread for value in row.values()]).tolist())
        rows = self._rows[-len(self._unread) :]
        for row, unread in zip(rows, self._unread, strict=True):
            row.update(zip(unread, numbers, strict=False))
            gradient = row.pop("gradient")
            if not math.isfinite(row["loss"]):
                raise spoiled(f"the loss became {row['loss']}", self._method, row)
            self._left_out = 0 if math.isfinite(gradient) else self._left_out + 1
            if self._left_out >= self._patience:
                often = f", for {self._left_out} steps in a row," if self._patience > 1 else ""
                raise spoiled(f"the gradient became {gradient}{often}", self._method, row)
            self.tell(row["step"], row)
        self._unread.clear()
        self._read_at = time.perf_counter()
        self._mean = sum(row["loss"] for row in rows) / len(rows)
        return self._mean

    def tell(self, step: int, numbers: dict[str, Any]) -> None:
        if self._logger is not None:
            self._logger.log_metrics({name: value for name, value in numbers.items() if name != "step"}, step)

    def mean(self, steps: int) -> float:
        """The mean loss of the last steps, which were read."""
        return sum(row["loss"] for row in self._rows[-steps:]) / steps

    def require_finite(self) -> None:
        """Read; FloatingPointError, too, for weights that are not finite and buffers that are NaN.

        Averages among the buffers may start at infinity.
        """
        self.read()
        learned = dict(self._method.named_parameters())
        for name, value in {**learned, **dict(self._method.named_buffers())}.items():
            if (~value.isfinite() if name in learned else value.isnan()).any():
                raise spoiled(f"{name} is no longer finite", self._method, self.last)

    @property
    def last(self) -> dict[str, Any]:
        """The newest row."""
        return self._rows[-1] if self._rows else {"step": 0, "epoch": 0, "lr": math.nan}

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self._rows)

    def state_dict(self) -> dict[str, Any]:
        """What was read so far, as one tensor a column; a log that loads it goes on in time from there, too."""
        return {str(name): torch.tensor(column.to_numpy(), device="cpu") for name, column in self.frame().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        columns = {name: column.tolist() for name, column in state.items()}
        self._rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if self._rows:
            self._start = time.perf_counter() - self._rows[-1]["seconds"]
