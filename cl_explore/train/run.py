"""What training leaves behind: the settings, the course of the loss, and embeddings taken on the way."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from cl_explore.data import Dataset
from cl_explore.evaluate import embed
from cl_explore.methods import Method
from cl_explore.takes import Number, takes


class Progress(NamedTuple):
    """Where a run is after a step: `step` of `total`, `epoch` (both from 1), and what the step gave.

    `loss` and `metrics` are on the device: to look at one (`float(loss)`) stops the device until it is computed.
    """

    step: int
    total: int
    epoch: int
    loss: Tensor
    metrics: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Snapshots:
    """The same n samples embedded at S moments of training, all on the CPU.

    Row r of `h` and `z`, at every moment, is the sample with `labels[r]` and data-set row `index[r]`.
    """

    steps: Tensor  # (S,) int64, optimiser steps taken before each snapshot; 0 = untrained
    h: Tensor  # (S, n, H) float32, representations
    z: Tensor  # (S, n, D) float32, embeddings after the head, not normalised
    labels: Tensor  # (n,) int64
    index: Tensor  # (n,) int64


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training run.

    `config` holds every setting that made it. `history` has one row per optimiser step: `step` and `epoch` (from 1),
    `loss`, `lr`, `seconds` since the start, and the method's metrics. `method` is the trained method; `path` its
    folder in the store, if it is kept there; `cached` says that it was loaded from the store and not trained now.
    `epochs` has one row per epoch, if `fit` was asked to measure: `epoch`, `step`, mean `loss`, and what was measured.
    """

    config: dict[str, Any]
    history: pd.DataFrame
    snapshots: Snapshots
    method: Method
    path: Path | None = None
    cached: bool = False
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)

    def encoder(self) -> nn.Module:
        """The trained encoder, in evaluation mode: what is kept after training maps x to h (see `export`)."""
        return self.method.encoder.eval()


@takes
def snapshot_steps(total: Number, count: Number) -> list[int]:
    """At which of `total` steps to take `count` snapshots: first and last, denser early, when most changes.

    Spacing grows linearly (the k-th lies at total * (k / (count - 1))**2), so short runs may yield fewer.

    >>> snapshot_steps(100, 6)
    [0, 4, 16, 36, 64, 100]
    """
    if count == 0:
        return []
    if count == 1:
        return [total]
    count = min(count, 4 * total + 2)  # as many take every step
    return sorted({round(total * (k / (count - 1)) ** 2) for k in range(count)})


class Film:
    """Takes the snapshots of a run: `take(step)` embeds `dataset` as the method is now."""

    def __init__(self, method: Method, dataset: Dataset) -> None:
        self.method, self.dataset = method, dataset
        self.steps: list[int] = []
        self.h: list[Tensor] = []
        self.z: list[Tensor] = []

    def take(self, step: int) -> None:
        embedding = embed(self.method, self.dataset)
        self.steps.append(step)
        self.h.append(embedding.h)
        self.z.append(embedding.z)

    def develop(self) -> Snapshots:
        n = len(self.dataset)
        return Snapshots(
            torch.tensor(self.steps, dtype=torch.int64, device="cpu"),
            torch.stack(self.h) if self.h else torch.empty(0, n, 0, device="cpu"),
            torch.stack(self.z) if self.z else torch.empty(0, n, 0, device="cpu"),
            self.dataset.labels.cpu(),
            self.dataset.index.cpu(),
        )

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "h": self.h, "z": self.z}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.h, self.z = (list(state[name]) for name in ("steps", "h", "z"))
