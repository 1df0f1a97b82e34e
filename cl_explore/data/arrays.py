"""Bring your own: arrays and tensors that become a data set in one line."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from cl_explore.data.batch import Samples
from cl_explore.data.dataset import Dataset
from cl_explore.data.modality import Modality, recognise
from cl_explore.given import classes, declared, numbers
from cl_explore.takes import takes

MANY = 1_000_000
"""More classes than that are numbers of something else."""


@takes
def from_arrays(
    x: Tensor | ArrayLike | dict[str, Any],
    labels: Tensor | ArrayLike | None = None,
    *,
    kind: str | Modality | dict[str, Any] | None = None,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """The data set of your own samples: NumPy arrays, tensors or lists of equal shapes, several in a dictionary.

    x: vectors (N, F), any numbers; or images, uint8 or floating point in [0, 1], as (N, C, H, W), (N, H, W, C) or
        (N, H, W) with C = 1 or 3 (channels first if both could be meant; floats (N, H, W) with kind="image").
    kind: of other samples, as for `Dataset`: their shape is that of their kind.
    labels: (N,) whole numbers from 0, -1 for unlabelled, or texts, as `numbered` reads them; None if there are none.
    class_names: by default the numbers, or the texts in alphabetical order.

    Raises ValueError or TypeError for other shapes, types or ranges.

    >>> import numpy as np
    >>> dataset = from_arrays(np.zeros((4, 32, 32, 3), np.uint8), ["cat", "dog", "cat", "cat"])
    >>> dataset.x.shape, dataset.class_names, dataset.labels
    (torch.Size([4, 3, 32, 32]), ('cat', 'dog'), tensor([0, 1, 0, 0]))
    """
    if isinstance(x, dict):
        kinds = kind if isinstance(kind, dict) else {}
        values: Samples = {part: _samples(given, kinds.get(part)) for part, given in x.items()}
    else:
        values = _samples(x, kind)
    recognise(values, kind)
    first = next(iter(values.values())) if isinstance(values, dict) else values
    count = len(first)
    coded, names = numbered(labels, count, class_names)
    index = torch.arange(count, device=first.device)
    return Dataset(name, values, coded.to(first.device), index, names, kind=kind)


def numbered(labels: Any, count: int, class_names: Sequence[str] | None = None) -> tuple[Tensor, tuple[str, ...]]:
    """Labels (count,) as int64, -1 for each that is missing, and the names of their classes.

    labels: whole numbers, truth values or texts, in anything that NumPy reads, such as a column of a data frame, which
        may lack some; None if there are none.
    class_names: by default the numbers; of texts the categories that the column declares, else those found, sorted.
    Raises: ValueError for other labels, or one that class_names lacks
    """
    array, values = _labels([None] * count if labels is None else labels)
    texts = any(isinstance(value, str) for value in values)
    given = [None if _missing(value, texts) else value for value in values]
    kind = str if texts else int | np.integer
    if array.shape != (count,) or not all(value is None or isinstance(value, kind) for value in given):
        need = f"labels must be {count} whole numbers or texts, one for each row of x, all of one kind"
        raise ValueError(f"{need}; got shape {array.shape} of {array.dtype}")
    known = [value for value in given if value is not None]
    if not texts and known and max(known) >= MANY:
        count_them = "np.unique(labels, return_inverse=True)[1] numbers those that there are"
        raise ValueError(f"labels must number the classes from 0, fewer than {MANY}, got {max(known)}: {count_them}")
    if class_names is None:
        class_names = declared(labels) if texts else [str(number) for number in range(max(known, default=-1) + 1)]
    coded = torch.full((count,), -1, device="cpu")
    if not known:
        return coded, tuple(class_names or ())
    (places,), names = classes({"labels": known}, names=class_names, least=-math.inf)
    coded[[value is not None for value in given]] = places
    return coded, names


def _labels(labels: Any) -> tuple[np.ndarray, list[Any]]:
    """Labels as an array, and each as it was given: in an array, a number beside texts would be one."""
    if isinstance(labels, Tensor) and labels.is_meta:
        raise ValueError("labels must hold values, got a tensor on the meta device")
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu().numpy()
    try:
        array = np.asarray(labels)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"labels must be one for each row of x; {error}") from error
    if array.dtype.kind == "S":
        array = labels = np.char.decode(array, "utf-8")
    plain = isinstance(labels, np.ndarray) or array.dtype.kind in "iu"
    values = (array if plain else np.asarray(labels, dtype=object)).ravel().tolist()
    return array, [int(value) if isinstance(value, np.bool | bool) else value for value in values]


def _missing(value: object, text: bool) -> bool:
    """Whether it is what data frames have where nothing is known; among numbers, NaN is a number of another kind."""
    return value is None or type(value).__name__ == "NAType" or (text and value != value)


def _samples(x: Any, kind: Any) -> Tensor:
    """Samples as a `Dataset` stores them."""
    if getattr(getattr(x, "dtype", None), "kind", None) == "O":
        x = x.tolist()  # perhaps of arrays, as in a column of a data frame
    values = numbers(x, "x").detach()
    if kind in (None, "vector") and values.ndim == 2:
        return values.float()
    if kind == "image" or (kind is None and (values.ndim == 4 or (values.ndim == 3 and values.dtype == torch.uint8))):
        return images(values)
    if values.is_floating_point():
        return values.float()
    return values.long() if kind == "tokens" else values


def images(x: Tensor) -> Tensor:
    """Images of any accepted layout and type as (N, C, H, W), uint8 or float32."""
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.permute(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise ValueError(f"x must be images of 1 or 3 channels, (N, C, H, W) or (N, H, W, C), got {tuple(x.shape)}")
    if not x.is_floating_point() and x.dtype != torch.uint8:
        scaled = "give x / 65535 if they use all 16 bits"
        raise TypeError(f"x must be uint8, or floating point in [0, 1], for images; got {x.dtype}: {scaled}")
    return (x.float() if x.is_floating_point() else x).contiguous()
