"""Bring your own: data sets and loaders written for torch, read once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset
from tqdm.auto import tqdm

from cl_explore.data.arrays import from_arrays
from cl_explore.data.dataset import Dataset
from cl_explore.data.modality import Modality
from cl_explore.given import numbers
from cl_explore.takes import takes


@takes
def from_torch(
    source: TorchDataset[Any] | DataLoader[Any],
    *,
    label: str | None = "label",
    kind: str | Modality | dict[str, Any] | None = None,
    name: str = "torch data",
    class_names: Sequence[str] | None = None,
    progress: bool = True,
) -> Dataset:
    """The data set of all samples of a torch Dataset (with or without a length) or DataLoader, in the order they come.

    source: its items, or the batches of a loader, are tensors or arrays of one shape and type: x alone, (x, label), or
        dictionaries, whose entries become the parts of x by name (a single one x itself).
    label: the entry of dictionaries that holds the labels; None if there is none.
    kind, class_names: as for `from_arrays`, which says what x and labels may be.
    progress: whether a bar shows how far it is.

    It is read once, whole, into memory, where it takes twice the size of the samples for a moment. What a transform
    draws at random is drawn once: leave that to a method's `augment`. Raises TypeError or ValueError naming the item
    that does not fit.

    >>> from torch.utils.data import TensorDataset
    >>> from_torch(TensorDataset(torch.eye(3), torch.tensor([0, 1, 0])), progress=False).labels
    tensor([0, 1, 0])
    """
    batched = isinstance(source, DataLoader) and source.batch_sampler is not None
    called = "batch" if batched else "item"
    parts: dict[str, list[Tensor]] = {}
    labels: list[Any] = []
    labelled = False
    for place, item in enumerate(_items(source, called, progress)):
        where = f"{called} {place} of source"
        given, given_labels = _split(item, label, where)
        found = {part: _rows(x, where, part, batched) for part, x in given.items()}
        if place == 0:
            parts, labelled = {part: [] for part in found}, bool(given_labels)
        if found.keys() != parts.keys() or labelled != bool(given_labels):
            raise ValueError(f"{where} must have entries and label as the first has, got {type(item).__name__} without")
        for part, rows in found.items():
            first = parts[part][0] if parts[part] else rows
            if rows.shape[1:] != first.shape[1:] or rows.dtype != first.dtype:
                one, other = (f"{tuple(x.shape[1:])} of {x.dtype}" for x in (first, rows))
                raise ValueError(f"{where} must be {one} as {_called(part)}, like the first, got {other}")
            parts[part].append(rows)
        for some in given_labels:
            plain = some.tolist() if isinstance(some, Tensor | np.ndarray) else some
            labels.extend(plain if batched else [plain])
    if not parts:
        raise ValueError("source must give at least one item, got none")
    x = {part: torch.cat(rows) for part, rows in parts.items()}
    whole = next(iter(x.values())) if len(x) == 1 else x
    return from_arrays(whole, labels if labelled else None, kind=kind, name=name, class_names=class_names)


def _items(source: Any, called: str, progress: bool) -> Iterator[Any]:
    """What the source gives, under a bar; its own errors say where they happened."""
    items, total = source, None
    if not isinstance(source, DataLoader | IterableDataset):
        if not hasattr(source, "__len__"):
            raise TypeError(f"source must have a length or be an IterableDataset, got {type(source).__name__}")
        total = len(source)
        items = (source[row] for row in range(total))
    count = 0
    try:
        for item in tqdm(items, total=total, desc="reading", unit=called, disable=not progress):
            yield item
            count += 1
    except Exception as error:
        error.add_note(f"this happened while {called} {count} of source was made")
        raise


def _split(item: Any, label: str | None, where: str) -> tuple[dict[str, Any], list[Any]]:
    """The parts of x by name, "" for x itself, and the label (of a batch the labels) if there is one."""
    if isinstance(item, Mapping):
        if label is not None and label not in item:
            entries = ", ".join(map(str, item))
            raise ValueError(f"label must be an entry of {where}, one of {entries}, or None for none; got {label!r}")
        return {part: x for part, x in item.items() if part != label}, [] if label is None else [item[label]]
    if isinstance(item, tuple | list):
        if len(item) not in (1, 2):
            need = f"{where} must be x, (x, label) or a dictionary"
            raise TypeError(f'{need}, got {len(item)} things: name them, as in {{"image": a, "text": b, "label": c}}')
        return {"": item[0]}, list(item[1:])
    return {"": item}, []


def _rows(x: Any, where: str, part: str, batched: bool) -> Tensor:
    if not isinstance(x, Tensor | np.ndarray):
        pictures = ", of a picture by torchvision.transforms.PILToTensor()" if hasattr(x, "getbands") else ""
        need = f"{where} must hold a tensor as {_called(part)}, got {type(x).__name__}"
        raise TypeError(f"{need}: let the source make one of it{pictures}")
    return numbers(x if batched else x[None], where)


def _called(part: str) -> str:
    return f"{part!r}" if part else "x"
