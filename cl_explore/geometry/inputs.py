"""What the measures ask of their arguments: embeddings and labels, checked and brought to tensors."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = Tensor | NDArray[Any]


def floats(x: Array, name: str) -> Tensor:
    """The tensor of a floating-point tensor or array of any shape, in float32, or float64 if it came so.

    Raises TypeError for anything else.
    """
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(np.array(x))  # the copy makes read-only and reversed arrays acceptable
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a tensor or array, got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}")
    return x.to(torch.promote_types(x.dtype, torch.float32))


def points(x: Array, name: str = "x", *, normalize: bool = False, finite: bool = True) -> Tensor:
    """Embeddings x (N, D) as a float32 or float64 tensor (N, D), rows scaled to unit length if `normalize`.

    Raises TypeError unless x is a floating-point tensor or array, and ValueError unless it has two axes, at least two
    rows and (where `finite`; the question makes a GPU wait) only finite numbers.
    """
    x = floats(x, name)
    if x.ndim != 2:
        raise ValueError(f"{name} must be (N, D), got shape {tuple(x.shape)}")
    if len(x) < 2:
        raise ValueError(f"{name} must hold at least 2 samples, got {len(x)}")
    if finite and not x.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity in {int((~x.isfinite()).any(1).sum())} rows")
    return F.normalize(x, dim=1) if normalize else x


def groups(labels: Array, x: Tensor) -> tuple[Tensor, Tensor]:
    """Class of each row of x (N, D) as a number from 0 to C-1 in ascending order of label (N,), and class sizes (C,).

    Raises TypeError unless labels are integers, and ValueError unless they are (N,) and not negative.
    """
    if isinstance(labels, np.ndarray):
        labels = torch.from_numpy(np.array(labels))
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor or array, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"labels must be ({len(x)},), one per row of x, got shape {tuple(labels.shape)}")
    values, group, sizes = labels.to(x.device, torch.int64).unique(return_inverse=True, return_counts=True)
    if values[0] < 0:
        raise ValueError(f"labels must be 0 or more, got {int(values[0])}; leave unlabelled rows out")
    return group, sizes
