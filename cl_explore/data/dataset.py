"""The data set: tensors with labels, row numbers and known factors, and the batches cut from it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

Samples = Any
"""What is seen of N samples: a tensor (N, ...), or several in a dictionary, such as image and caption, of equal N.

Not declared as a union: code for one modality reads it as a tensor, code for several by name.
"""


def each(change: Callable[[Tensor], Tensor], x: Samples) -> Samples:
    """The samples with every tensor of theirs changed."""
    return {name: change(part) for name, part in x.items()} if isinstance(x, dict) else change(x)


class Batch(NamedTuple):
    """Rows of a data set.

    x: (B, ...), or by name: images in [0, 1] or vectors, float.
    labels, index: (B,), both int64.
    factors: the columns of the data set's factors, each (B,).
    """

    x: Samples
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a batch
    factors: Mapping[str, Tensor] = MappingProxyType({})

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor of it changed."""
        factors = {name: change(column) for name, column in self.factors.items()}
        return Batch(each(change, self.x), change(self.labels), change(self.index), factors)

    def as_numbers(self) -> "Batch":
        """The batch with bytes as float32 in [0, 1]."""
        return self._replace(x=each(lambda part: part / 255 if part.dtype == torch.uint8 else part, self.x))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set held in memory, on one device.

    x: images (N, C, H, W), uint8 or float32 in [0, 1], or vectors (N, F), float32; or several of these by name.
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
    x: Samples
    labels: Tensor
    index: Tensor
    class_names: tuple[str, ...]
    factors: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.x, dict) and not self.x:
            raise ValueError("x must be a tensor or a dictionary of at least one, got {}")
        for name, part in self._parts():
            if not isinstance(part, Tensor):
                raise TypeError(f"{name} must be a tensor, got {type(part).__name__}")
            _check(name, part)
        counts = {name: len(part) for name, part in self._parts()}
        if len(set(counts.values())) > 1:
            rows = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise ValueError(f"the tensors of x must have equally many rows, but {rows}")
        n = len(self)
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
        return len(next(iter(self._parts()))[1])

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def device(self) -> torch.device:
        """Where all its tensors are."""
        return self.labels.device

    @property
    def nbytes(self) -> int:
        """Bytes that x takes."""
        return sum(part.nbytes for _, part in self._parts())

    def rows(self, rows: Tensor) -> Batch:
        """The rows, given by number (B,) or as a mask (N,), as they are stored, on the data's device."""
        rows = rows.to(self.device)
        return Batch(self.x, self.labels, self.index, self.factors).each(lambda column: column[rows])

    def batch(self, rows: Tensor) -> Batch:
        """The rows (B,) as a batch on the data's device; bytes become float32 in [0, 1]."""
        return self.rows(rows).as_numbers()

    def subset(self, rows: Tensor) -> "Dataset":
        """The data set of these rows, given by number (M,) or as a mask (N,)."""
        return replace(self, **self.rows(rows)._asdict())

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on another device."""
        whole = Batch(self.x, self.labels, self.index, self.factors)
        return replace(self, **whole.each(lambda column: column.to(device))._asdict())

    def fingerprint(self) -> str:
        """A hash of all tensors, 16 hexadecimal digits: equal contents give equal fingerprints on any device."""
        digest = hashlib.sha256()
        for name, values in [*self._parts(), ("labels", self.labels), ("index", self.index), *self.factors.items()]:
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            for rows in values.split(4096):  # a large set need not fit into memory
                digest.update(rows.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def _parts(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors of x, by what errors call them."""
        if isinstance(self.x, dict):
            yield from ((f"x[{name!r}]", part) for name, part in self.x.items())
        else:
            yield "x", self.x


def _check(name: str, x: Tensor) -> None:
    if x.ndim not in (2, 4) or len(x) == 0:
        raise ValueError(f"{name} must have shape (N, F) or (N, C, H, W) with N >= 1, got {tuple(x.shape)}")
    if x.dtype == torch.float32:
        low, high = (bound.item() for bound in torch.aminmax(x))
        if x.ndim == 4 and not (low >= 0 and high <= 1):
            raise ValueError(f"{name} must be in [0, 1] for float images, got values in [{low:g}, {high:g}]")
        if not abs(high - low) < float("inf"):
            raise ValueError(f"{name} must be finite, got nan or inf")
    elif x.dtype != torch.uint8 or x.ndim != 4:
        raise ValueError(f"{name} must be float32, or uint8 for images, got {x.dtype} of {x.ndim} dimensions")
