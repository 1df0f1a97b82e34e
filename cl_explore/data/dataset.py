"""The data set: tensors with labels, row numbers and known factors, and the batches cut from it."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Rows of a data set: `x` (B, C, H, W) in [0, 1] or (B, F), `labels` (B,) and `index` (B,), both int64."""

    x: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a batch


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set held in memory, on one device.

    x: images (N, C, H, W), uint8 or float32 in [0, 1], or vectors (N, F), float32.
    labels: (N,) int64, below `len(class_names)`; -1 means unlabelled.
    index: (N,) int64, the row in the source that the split was cut from; a subset keeps it.
    factors: further numbers or classes known of each sample, each (N,).

    Raises ValueError if shapes, types or ranges differ from these.

    >>> import torch
    >>> three = Dataset("three", torch.eye(3), torch.tensor([0, 1, 0]), torch.arange(3), ("even", "odd"))
    >>> three.subset(three.labels == 0).index
    tensor([0, 2])
    """

    name: str
    x: Tensor
    labels: Tensor
    index: Tensor
    class_names: tuple[str, ...]
    factors: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.x)
        if self.x.ndim not in (2, 4) or n == 0:
            raise ValueError(f"x must have shape (N, F) or (N, C, H, W) with N >= 1, got {tuple(self.x.shape)}")
        if self.x.dtype == torch.float32:
            low, high = (bound.item() for bound in torch.aminmax(self.x))
            if self.x.ndim == 4 and not (low >= 0 and high <= 1):
                raise ValueError(f"x must be in [0, 1] for float images, got values in [{low:g}, {high:g}]")
            if not abs(high - low) < float("inf"):
                raise ValueError("x must be finite, got nan or inf")
        elif self.x.dtype != torch.uint8 or self.x.ndim != 4:
            raise ValueError(f"x must be float32, or uint8 for images, got {self.x.dtype} of {self.x.ndim} dimensions")
        for name, column in {"labels": self.labels, "index": self.index, **self.factors}.items():
            if column.shape != (n,):
                raise ValueError(f"{name} must have shape ({n},) as x has {n} rows, got {tuple(column.shape)}")
        for name, column in {"labels": self.labels, "index": self.index}.items():
            if column.dtype != torch.int64:
                raise ValueError(f"{name} must be int64, got {column.dtype}")
        if self.labels.min() < -1 or self.labels.max() >= len(self.class_names):
            raise ValueError(
                f"labels must be in [-1, {len(self.class_names)}) as there are {len(self.class_names)} class names, "
                f"got {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def batch(self, rows: Tensor) -> Batch:
        """The rows (B,) as a batch on the data's device; uint8 images become float32 in [0, 1]."""
        rows = rows.to(self.x.device)
        x = self.x[rows]
        return Batch(x / 255 if x.dtype == torch.uint8 else x, self.labels[rows], self.index[rows])

    def subset(self, rows: Tensor) -> "Dataset":
        """The data set of these rows, given by number (M,) or as a mask (N,)."""
        rows = rows.to(self.x.device)
        return replace(
            self,
            x=self.x[rows],
            labels=self.labels[rows],
            index=self.index[rows],
            factors={name: values[rows] for name, values in self.factors.items()},
        )

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on another device."""
        return replace(
            self,
            x=self.x.to(device),
            labels=self.labels.to(device),
            index=self.index.to(device),
            factors={name: values.to(device) for name, values in self.factors.items()},
        )

    def fingerprint(self) -> str:
        """A hash of all tensors, 16 hexadecimal digits: equal contents give equal fingerprints on any device."""
        digest = hashlib.sha256()
        for name, values in {"x": self.x, "labels": self.labels, "index": self.index, **self.factors}.items():
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            for rows in values.split(4096):  # a large set need not fit into memory
                digest.update(rows.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]
