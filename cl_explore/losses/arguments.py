"""Checks of what a loss is given: one clear error for each kind of wrong tensor, raised before any work starts.

Values (label range, positive temperatures) are only looked at where that needs no device synchronisation: on the CPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

EMBEDDINGS = ("z", "query", "key", "negatives", "prototypes")
"""Names of the arguments that are L2-normalised along their last axis."""


def values_are_at_hand(*tensors: Tensor) -> bool:
    """Whether looking at the values of `tensors` costs no device synchronisation and no graph break."""
    return not torch.compiler.is_compiling() and all(tensor.device.type == "cpu" for tensor in tensors)


def require_anchor(counts: Tensor, need: str) -> None:
    """Raise `ValueError` when no anchor counts: `counts` (N,) bool, `need` what an anchor must have."""
    if values_are_at_hand(counts) and not counts.any():
        raise ValueError(f"labels leave nothing to compare: at least one anchor needs {need}, got none in this batch")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _z(z: Tensor, min_views: int, max_views: int | None) -> Tensor:
    if z.ndim == 2 and min_views == 1:
        z = z[:, None]
    if z.ndim != 3:
        needed = "(B, V, D)" if min_views > 1 else "(B, V, D) or (B, D)"
        raise ValueError(f"z must have shape {needed}: samples, views, dimensions; got {_shape(z)}")
    samples, views, dimensions = z.shape
    if samples < 2:
        raise ValueError(f"z must hold at least 2 samples to contrast, got {samples} (shape {_shape(z)})")
    if views < min_views or (max_views is not None and views > max_views):
        needed = f"exactly {min_views}" if min_views == max_views else f"at least {min_views}"
        raise ValueError(f"z must hold {needed} views of each sample (axis 1), got {views} (shape {_shape(z)})")
    if dimensions < 1:
        raise ValueError(f"z must have at least 1 dimension (axis 2), got shape {_shape(z)}")
    return z


def _ids(name: str, ids: Tensor, samples: int) -> Tensor:
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise TypeError(f"{name} must be integers (int64), got {ids.dtype}")
    if _shape(ids) != (samples,):
        raise ValueError(f"{name} must have shape ({samples},), one number for each sample; got {_shape(ids)}")
    if values_are_at_hand(ids) and ids.min() < 0:
        raise ValueError(f"{name} must be 0 or larger, got {int(ids.min())}")
    return ids.long()


def _rows(name: str, rows: Tensor, dimensions: int) -> Tensor:
    if rows.ndim != 2 or rows.shape[0] < 1:
        raise ValueError(f"{name} must have shape (N, D) with at least one row, got {_shape(rows)}")
    if rows.shape[1] != dimensions:
        raise ValueError(f"{name} must have as many dimensions as query ({dimensions}), got shape {_shape(rows)}")
    return rows


def _negatives(negatives: Tensor, query: Tensor) -> Tensor:
    count, dimensions = query.shape
    own = negatives.ndim == 3 and negatives.shape[0] == count
    if not (negatives.ndim == 2 or own) or negatives.shape[-1] != dimensions or negatives.shape[-2] < 1:
        raise ValueError(
            f"negatives must have shape (M, {dimensions}), shared by all queries, or ({count}, M, {dimensions}), "
            f"a list for each query; got {_shape(negatives)}"
        )
    return negatives


def prepare(given: dict[str, Tensor], *, normalize: bool, min_views: int, max_views: int | None) -> dict[str, Tensor]:
    """Check the tensor arguments of a loss and bring them to the form its formula reads.

    `given` maps argument names (of the notation of the house) to tensors. Embeddings come back in float32 or better
    and, with `normalize`, of unit length; `z` as (B, V, D); ids as int64. Raises `TypeError` for a wrong type or
    dtype and `ValueError` for a wrong shape, device or range.
    """
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    first, leading = next(iter(given.items()))
    for name, tensor in given.items():
        if tensor.device != leading.device:
            raise ValueError(f"{name} must be on {leading.device} like {first}, got {tensor.device}")
        if name in EMBEDDINGS and not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating point, got {tensor.dtype}")

    checks: dict[str, Callable[[Tensor], Tensor]] = {
        "z": lambda z: _z(z, min_views, max_views),
        "query": lambda query: _rows("query", query, query.shape[-1]),
        "key": lambda key: _rows("key", key, given["query"].shape[-1]),
        "negatives": lambda negatives: _negatives(negatives, given["query"]),
        "labels": lambda labels: _ids("labels", labels, len(leading)),
        "index": lambda index: _ids("index", index, len(leading)),
    }
    prepared = {name: checks[name](tensor) for name, tensor in given.items()}
    for name in prepared.keys() & set(EMBEDDINGS):
        x = prepared[name]
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        prepared[name] = F.normalize(x, dim=-1) if normalize else x
    return prepared
