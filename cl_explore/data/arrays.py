"""Bring your own: arrays and tensors that become a data set in one line."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from cl_explore.data.batch import Samples
from cl_explore.data.dataset import Dataset
from cl_explore.data.modality import recognise


def from_arrays(
    x: Tensor | ArrayLike | dict[str, Any],
    labels: Tensor | ArrayLike | None = None,
    *,
    kind: Any = None,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """The data set of your own samples: NumPy arrays, tensors or lists of equal shapes, several in a dictionary.

    x: vectors (N, F), any numbers; or images, uint8 or floating point in [0, 1], as (N, C, H, W), (N, H, W, C) or
        (N, H, W) with C = 1 or 3 (channels first if both could be meant; floats (N, H, W) with kind="image").
    kind: of other samples, as for `Dataset`: their shape is that of their kind.
    labels: (N,) whole numbers from 0, -1 for unlabelled, or texts; None if there are none.
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
    given = np.asarray(np.full(count, -1) if labels is None else labels)
    if given.shape != (count,) or given.dtype.kind not in "iuU":
        need = f"labels must be {count} whole numbers or texts, one for each row of x"
        raise ValueError(f"{need}; got shape {given.shape} of {given.dtype}")
    if given.dtype.kind == "U":
        classes = sorted(set(given.tolist())) if class_names is None else list(class_names)
        if strange := set(given.tolist()) - set(classes):
            raise ValueError(f"class_names must hold every label, but {sorted(strange)[0]!r} is missing")
        given = np.array([classes.index(text) for text in given.tolist()])
    else:
        classes = [str(c) for c in range(int(given.max()) + 1)] if class_names is None else list(class_names)
    numbers, index = torch.from_numpy(given.astype(np.int64)), torch.arange(count)
    return Dataset(name, values, numbers.to(first.device), index.to(first.device), tuple(classes), kind=kind)


def _samples(x: Tensor | ArrayLike, kind: Any) -> Tensor:
    """Samples as a `Dataset` stores them."""
    values = x.detach() if isinstance(x, Tensor) else torch.from_numpy(_numeric(x))
    if kind in (None, "vector") and values.ndim == 2:
        return values.float()
    if kind == "image" or (kind is None and (values.ndim == 4 or (values.ndim == 3 and values.dtype == torch.uint8))):
        return _images(values)
    if values.is_floating_point():
        return values.float()
    return values.long() if kind == "tokens" else values


def _numeric(x: ArrayLike) -> np.ndarray:
    array = np.array(x)  # a copy: the caller may go on writing into theirs
    if array.dtype.kind not in "biuf":
        raise TypeError(f"x must be numbers of equal shapes, got {array.dtype} of shape {array.shape}")
    return array


def _images(x: Tensor) -> Tensor:
    """Images of any accepted layout and type as (N, C, H, W), uint8 or float32."""
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.permute(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise ValueError(f"x must be images of 1 or 3 channels, (N, C, H, W) or (N, H, W, C), got {tuple(x.shape)}")
    if not x.is_floating_point() and x.dtype != torch.uint8:
        raise TypeError(f"x must be uint8, or floating point in [0, 1], for images; got {x.dtype}")
    return (x.float() if x.is_floating_point() else x).contiguous()
