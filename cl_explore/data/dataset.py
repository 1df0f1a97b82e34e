"""The data set: tensors with labels, row numbers and known factors."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from cl_explore.data.batch import Batch, Samples
from cl_explore.data.modality import recognise
from cl_explore.given import Array, places
from cl_explore.takes import settle, takes


def onto(column: Tensor, device: torch.device) -> Tensor:
    """A column on a device; one of Apple's GPUs, which have no float64, takes float32 instead."""
    if device.type == "mps" and column.dtype == torch.float64:
        column = column.float()
    return column.to(device, non_blocking=device.type == "cuda")  # to the CPU it would not be there yet


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set held in memory, on one device.

    x: vectors (N, F), images (N, C, H, W) or samples of another kind; or tensors of several kinds in a dictionary.
    labels: (N,) int64, below `len(class_names)`; -1 means unlabelled.
    index: (N,) int64, the row in the source that the split was cut from; a subset keeps it.
    factors: further numbers or classes known of each sample, each (N,).
    kind: of the samples, a name of `KINDS` or a `Modality`, in a dictionary if x is one; vectors (float32) and images
        (uint8 or float32) need none.
    edges: (2, E) int64, of a graph whose nodes are the samples: from row to row.
    modality: what is known of this kind of samples, in a dictionary if x is one; found, not given.

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
    kind: Any = None
    edges: Tensor | None = None
    modality: Any = field(init=False)

    def __post_init__(self) -> None:
        settle(self)
        if isinstance(self.x, Tensor) and self.x.layout != torch.strided:
            raise TypeError(f"x must be a dense tensor, got {self.x.layout}")
        object.__setattr__(self, "modality", recognise(self.x, self.kind))
        for name, values in self._tensors():
            if values.layout != torch.strided:
                raise TypeError(f"{name} must be a dense tensor, got {values.layout}")
        counts = {name: len(part) for name, part in self._parts()}
        if len(set(counts.values())) > 1:
            rows = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise ValueError(f"the tensors of x must have equally many rows, but {rows}")
        n = len(self)
        for name, column in {"labels": self.labels, "index": self.index, **self.factors}.items():
            if column.shape != (n,):
                raise ValueError(f"{name} must have shape ({n},) as x has {n} rows, got {tuple(column.shape)}")
        devices = {name: str(values.device) for name, values in self._tensors()}
        if len(set(devices.values())) > 1:
            places = ", ".join(f"{name} on {device}" for name, device in devices.items())
            raise ValueError(f"all tensors must be on one device, got {places}")
        for name, column in {"labels": self.labels, "index": self.index}.items():
            if column.dtype != torch.int64:
                raise ValueError(f"{name} must be int64, got {column.dtype}")
        if self.labels.min() < -1 or self.labels.max() >= len(self.class_names):
            raise ValueError(
                f"labels must be in [-1, {len(self.class_names)}) as there are {len(self.class_names)} class names, "
                f"got {self.labels.min()} to {self.labels.max()}"
            )
        if self.edges is not None:
            if self.edges.ndim != 2 or len(self.edges) != 2 or self.edges.dtype != torch.int64:
                raise ValueError(f"edges must be int64 (2, E), got {self.edges.dtype} of {tuple(self.edges.shape)}")
            if self.edges.numel() and not (self.edges.min() >= 0 and self.edges.max() < n):
                low, high = self.edges.aminmax()
                raise ValueError(f"edges must be rows of x, in [0, {n}), got {low} to {high}")

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

    def rows(self, rows: Array) -> Batch:
        """The rows, given by number (B,) or as a mask (N,), as they are stored, on the data's device.

        Raises TypeError or ValueError for anything else, and for rows that are not there.
        """
        rows = places(rows, len(self)).to(self.device)
        chosen = Batch(self.x, self.labels, self.index, self.factors).each(lambda column: column[rows])
        if self.edges is None:
            return chosen
        if rows.device.type == "cpu" and len(rows.unique()) < len(rows):
            raise ValueError("rows must be each once, since the samples are the nodes of a graph")
        place = torch.full((len(self),), -1, device=self.device)
        place[rows] = torch.arange(len(chosen.labels), device=self.device)
        edges = place[self.edges]
        return chosen._replace(edges=edges[:, (edges >= 0).all(dim=0)])

    @takes
    def batch(self, rows: Array, device: torch.device | None = None) -> Batch:
        """The rows (B,), given as for `rows`, as a batch ready for a network: bytes become float32 in [0, 1].

        device: another one than the data's, to which they travel as they are stored, to a GPU through pinned memory.
        """
        stored = self.rows(rows)
        if device is None or device == self.device:
            return stored.as_numbers()
        if device.type == "cuda" and self.device.type == "cpu":
            stored = stored.each(Tensor.pin_memory)
        return stored.each(lambda column: onto(column, device)).as_numbers()

    def subset(self, rows: Array) -> "Dataset":
        """The data set of these rows, given by number (M,) or as a mask (N,); ValueError for none."""
        chosen = self.rows(rows)
        if len(chosen.labels) == 0:
            raise ValueError(f"rows must choose at least one of the {len(self)} samples, got none")
        return replace(self, **chosen._asdict())

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on another device; TypeError or ValueError for what names none."""
        try:
            place = torch.device(device)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"device must be one that torch knows, got {device!r}: {error}") from None
        except TypeError:
            raise TypeError(f"device must be a text or a torch.device, got {type(device).__name__}") from None
        whole = Batch(self.x, self.labels, self.index, self.factors, self.edges)
        return replace(self, **whole.each(lambda column: onto(column, place))._asdict())

    def thumbnails(self, rows: Array) -> Tensor | None:
        """Small pictures (M, 1 or 3, h, w) of these rows, on the CPU; of the first part that can be seen, or None."""
        rows = places(rows, len(self))
        kinds = self.modality.values() if isinstance(self.x, dict) else [self.modality]
        chosen = (part[rows.to(part.device)].cpu() for _, part in self._parts())
        seen = (kind.thumbnails(part) for kind, part in zip(kinds, chosen, strict=True))
        return next((pictures for pictures in seen if pictures is not None), None)

    def fingerprint(self) -> str:
        """A hash of all tensors, 16 hexadecimal digits: equal contents give equal fingerprints on any device."""
        digest = hashlib.sha256()
        for name, values in self._tensors():
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

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All tensors, by name."""
        yield from self._parts()
        yield from {"labels": self.labels, "index": self.index, **self.factors}.items()
        if self.edges is not None:
            yield "edges", self.edges
