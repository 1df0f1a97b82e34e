"""The course of the loss, gathered on the device and read from there now and then."""

import math
import time
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from cl_explore.methods import Method
from cl_explore.train.health import spoiled


class Log:
    """One row per step. Numbers stay on the device until `read`, since each look at one would stop the device."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._start = self._read_at = time.perf_counter()
        self._rows: list[dict[str, Any]] = []
        self._unread: list[dict[str, Tensor]] = []
        self._mean = math.nan

    def add(
        self, step: int, epoch: int, lr: float, loss: Tensor, metrics: dict[str, Tensor], gradient: Tensor | None
    ) -> None:
        """gradient: its norm, which is looked at and not kept."""
        seconds = time.perf_counter() - self._start
        self._rows.append({"step": step, "epoch": epoch, "loss": math.nan, "lr": lr, "seconds": seconds})
        checked = {} if gradient is None else {"gradient": gradient}
        self._unread.append({"loss": loss.detach(), **metrics, **checked})

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
            gradient = row.pop("gradient", 0.0)
            for name, value in {"loss": row["loss"], "gradient": gradient}.items():
                if not math.isfinite(value):
                    raise spoiled(f"the {name} became {value}", self._method, row)
        self._unread.clear()
        self._read_at = time.perf_counter()
        self._mean = sum(row["loss"] for row in rows) / len(rows)
        return self._mean

    @property
    def last(self) -> dict[str, Any]:
        """The newest row."""
        return self._rows[-1] if self._rows else {"step": 0, "epoch": 0, "lr": math.nan}

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self._rows)

    def state_dict(self) -> dict[str, Any]:
        """What was read so far, as one tensor a column; a log that loads it goes on in time from there, too."""
        return {str(name): torch.tensor(column.to_numpy()) for name, column in self.frame().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        columns = {name: column.tolist() for name, column in state.items()}
        self._rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if self._rows:
            self._start = time.perf_counter() - self._rows[-1]["seconds"]
