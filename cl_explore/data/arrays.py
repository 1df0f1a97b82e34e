"""Bring your own: arrays and tensors that become a data set in one line."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from cl_explore.data.dataset import Dataset


def from_arrays(
    x: Tensor | ArrayLike,
    labels: Tensor | ArrayLike | None = None,
    *,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """The data set of your own images or vectors, NumPy arrays, tensors or lists of equal shapes.

    x: vectors (N, F), any numbers; or images, uint8 or floating point in [0, 1], as (N, C, H, W), (N, H, W, C) or
        (N, H, W) with C = 1 or 3 (channels first if both could be meant).
    labels: (N,) whole numbers from 0, -1 for unlabelled, or texts; None if there are none.
    class_names: by default the numbers, or the texts in alphabetical order.

    Raises ValueError or TypeError for other shapes, types or ranges.

    >>> import numpy as np
    >>> dataset = from_arrays(np.zeros((4, 32, 32, 3), np.uint8), ["cat", "dog", "cat", "cat"])
    >>> dataset.x.shape, dataset.class_names, dataset.labels
    (torch.Size([4, 3, 32, 32]), ('cat', 'dog'), tensor([0, 1, 0, 0]))
    """
    values = x.detach() if isinstance(x, Tensor) else torch.from_numpy(_numeric(x))
    if values.ndim == 2:
        values = values.float()
    elif values.ndim in (3, 4):
        values = _images(values)
    else:
        raise ValueError(f"x must be vectors (N, F) or images (N, C, H, W), got shape {tuple(values.shape)}")
    count = len(values)
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
    numbers = torch.from_numpy(given.astype(np.int64)).to(values.device)
    return Dataset(name, values, numbers, torch.arange(count, device=values.device), tuple(classes))


def _numeric(x: ArrayLike) -> np.ndarray:
    array = np.array(x)  # a copy: the caller may go on writing into theirs
    if array.dtype.kind not in "biuf":
        raise TypeError(f"x must be numbers of equal shapes, got {array.dtype} of shape {array.shape}")
    return array


def _images(x: Tensor) -> Tensor:
    """Images of any accepted layout and type as (N, C, H, W), uint8 or float32."""
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.permute(0, 3, 1, 2)
    if x.shape[1] not in (1, 3):
        raise ValueError(f"x must be images of 1 or 3 channels, (N, C, H, W) or (N, H, W, C), got {tuple(x.shape)}")
    if not x.is_floating_point() and x.dtype != torch.uint8:
        raise TypeError(f"x must be uint8, or floating point in [0, 1], for images; got {x.dtype}")
    return (x.float() if x.is_floating_point() else x).contiguous()
