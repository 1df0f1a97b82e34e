"""The checks that every probe makes of the frozen features and labels it is given."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

Features = Tensor | ArrayLike


def require_finite(name: str, rows: Tensor) -> None:
    """Raise `ValueError` if one of `rows` (N, ...), the argument or data called `name`, holds NaN or infinity."""
    if not rows.isfinite().all():
        bad = int((~rows.isfinite()).flatten(1).any(1).sum())
        raise ValueError(f"{name} must be finite, got {bad} of {len(rows)} rows with NaN or infinity")


def _part(name: str, h: Features, labels: Features) -> tuple[Tensor, Tensor]:
    h, labels = torch.as_tensor(h).detach(), torch.as_tensor(labels).detach()
    if h.ndim != 2 or h.shape[0] < 1 or h.shape[1] < 1:
        raise ValueError(f"{name}_h must have shape (N, H), got {tuple(h.shape)}")
    if not h.is_floating_point():
        raise TypeError(f"{name}_h must be floating point, got {h.dtype}")
    if labels.dtype.is_floating_point or labels.shape != h.shape[:1]:
        need = f"{name}_labels must be {len(h)} integers, one for each row of {name}_h"
        raise ValueError(f"{need}; got shape {tuple(labels.shape)} of {labels.dtype}")
    require_finite(f"{name}_h", h)
    if labels.min() < 0:
        raise ValueError(f"{name}_labels must be 0 or larger (drop unlabelled rows), got {int(labels.min())}")
    return h.to(torch.promote_types(h.dtype, torch.float32)), labels.to(h.device)


def checked(
    train_h: Features, train_labels: Features, test_h: Features, test_labels: Features
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four as tensors on the device of train_h, features in float32 or better.

    train_h, train_labels: (N, H) and (N,)
    test_h, test_labels: (M, H) and (M,)
    Raises: ValueError or TypeError naming what is unfit
    """
    train_h, train_labels = _part("train", train_h, train_labels)
    test_h, test_labels = _part("test", test_h, test_labels)
    if test_h.shape[1] != train_h.shape[1]:
        raise ValueError(f"test_h must have {train_h.shape[1]} features like train_h, got {test_h.shape[1]}")
    return train_h, train_labels, test_h.to(train_h), test_labels.to(train_h.device)
