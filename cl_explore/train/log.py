"""The course of the loss, gathered on the device and read from there now and then."""

import math
import time
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from cl_explore.methods import Method


class Log:
    """One row per step. Numbers stay on the device until `read`, since each look at one would stop the device."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._start = self._read_at = time.perf_counter()
        self._rows: list[dict[str, Any]] = []
        self._unread: list[dict[str, Tensor]] = []

    def add(self, step: int, epoch: int, lr: float, loss: Tensor, metrics: dict[str, Tensor]) -> None:
        seconds = time.perf_counter() - self._start
        self._rows.append({"step": step, "epoch": epoch, "loss": math.nan, "lr": lr, "seconds": seconds})
        self._unread.append({"loss": loss.detach(), **metrics})

    def waiting(self) -> float:
        """Seconds since the last reading."""
        return time.perf_counter() - self._read_at

    def read(self) -> float:
        """Fill in what was added since the last reading and return the mean loss of it.

        Raises FloatingPointError, naming the first step whose loss is not finite, and what to do.
        """
        numbers = iter(torch.stack([value for row in self._unread for value in row.values()]).tolist())
        rows = self._rows[-len(self._unread) :]
        for row, unread in zip(rows, self._unread, strict=True):
            row.update(zip(unread, numbers, strict=False))
            if not math.isfinite(row["loss"]):
                knobs = ", ".join(f"{name}={value}" for name, value in self._method.knobs.items()) or "none"
                raise FloatingPointError(
                    f"the loss became {row['loss']} at step {row['step']} (epoch {row['epoch']}, lr {row['lr']:.2g}, "
                    f"knobs: {knobs}). The weights are spoiled: build the method anew and try a smaller lr, a longer "
                    "warmup_epochs or a larger temperature, and check the views"
                )
        self._unread.clear()
        self._read_at = time.perf_counter()
        return sum(row["loss"] for row in rows) / len(rows)

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self._rows)
