"""The primitive most losses are made of, row log-sum-exps with pairs left out by rule, and its relatives."""

import math
from collections.abc import Collection
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses import stored, tiles
from cl_explore.losses.arguments import require, values_are_at_hand
from cl_explore.losses.tiles import Rule, Rules


def _dense_limit(device: torch.device) -> int:
    """Tables of at most so many pairs are stored: tiles gain little there, and a table can be differentiated twice.

    On a GPU tiles wait for the device, once for the lengths of the rows and once for the ranges of ids, which only a
    large table outweighs.
    """
    return 256 * 256 if device.type == "cpu" else 4096 * 4096


def stored_whole(a: Tensor, b: Tensor) -> bool:
    """Whether the table of the points of a (..., D) and those of b is small enough to be stored."""
    return a.shape[:-1].numel() * b.shape[:-1].numel() <= _dense_limit(a.device)


def _as_tensor(scale: Tensor | float, like: Tensor) -> Tensor:
    if isinstance(scale, Tensor):
        if scale.is_meta and not like.is_meta:
            raise ValueError("scale must hold numbers, got a tensor on the meta device")
        return scale.to(like)
    if not isinstance(scale, Real) or isinstance(scale, bool) or not math.isfinite(scale):
        raise TypeError(f"scale must be a finite number or a tensor, got {scale!r:.60}")
    return like.new_full((), float(scale))


def _is_rows(x: Tensor) -> bool:
    return isinstance(x, Tensor) and x.ndim == 2 and x.is_floating_point() and x.layout == torch.strided


def _require_ids(**given: tuple[Any, Tensor]) -> None:
    for name, (ids, rows) in given.items():
        if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise TypeError(f"{name} must be a tensor of integers, got {getattr(ids, 'dtype', type(ids).__name__)}")
        if ids.shape != rows.shape[:1] or ids.device != rows.device or ids.layout != torch.strided:
            raise ValueError(f"{name} must be integers ({len(rows)},) on {rows.device}, got {type(ids).__name__}")


RULES = ("self", "same", "other")


def row_lse(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    *,
    exclude: Collection[Rule] = (),
    a_ids: Tensor | None = None,
    b_ids: Tensor | None = None,
) -> Tensor:
    """For each row i of `a`, the log of the sum of exp(scale_i * a_i . b_j) over the rows j of `b` that no rule
    excludes.

    a (N, D), b (M, D), scale a number or (N,), a_ids (N,) and b_ids (M,) integers; returns (N,), -inf (and no gradient)
    where every j is excluded. Rules: "self" leaves out j = i, "same" the pairs whose ids are equal (the views of one
    sample, the members of one class), "other" those whose ids differ. Excluded pairs never enter the row maximum, so
    small temperatures stay exact. Beyond 256 x 256 pairs (on a GPU 4096 x 4096) the table is never stored: memory is
    linear in N and M, and the result can be differentiated once only. `a` and `b` being one tensor, with one scale for
    all, halves the work. Sums are float32 or better, whatever comes in.

    >>> row_lse(torch.eye(3), torch.eye(3), 10.0, exclude=["self"]).exp()
    tensor([2., 2., 2.])
    """
    if not (_is_rows(a) and _is_rows(b) and a.shape[1] == b.shape[1]):
        require(a=(a, "N D"), b=(b, "M D"))
    if not isinstance(exclude, list | tuple | set | frozenset) or not all(rule in RULES for rule in exclude):
        raise ValueError(f"exclude must hold rules of 'self', 'same' and 'other', got {exclude!r:.60}")
    if a_ids is not None or b_ids is not None:
        _require_ids(a_ids=(a_ids, a), b_ids=(b_ids, b))
    square = a is b and a_ids is b_ids
    if a.dtype != b.dtype or a.dtype in (torch.float16, torch.bfloat16):
        dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
        a, b = (a.to(dtype),) * 2 if a is b else (a.to(dtype), b.to(dtype))
    scale = _as_tensor(scale, a)
    if not stored_whole(a, b):
        if "other" not in exclude or a_ids is not b_ids or a_ids is None:
            return _in_tiles(a, b, scale, Rules.of(exclude, a_ids, b_ids), square)
        # With the members of each class side by side, few tiles hold a pair of one class; the others do not come.
        order = a_ids.argsort()
        ids = a_ids[order]
        a, b, scale = a[order], b[order], scale[order] if scale.ndim else scale
        return _in_tiles(a, b, scale, Rules.of(exclude, ids, ids), square)[order.argsort()]
    left_out = None
    if "same" in exclude or "other" in exclude:
        if a_ids is None or b_ids is None:
            raise ValueError("a_ids and b_ids must be given for the rules 'same' and 'other', got None")
        left_out = (a_ids[:, None] == b_ids) if "same" in exclude else (a_ids[:, None] != b_ids)
    return stored.rows(a, b, scale, "self" in exclude, left_out)


def _in_tiles(a: Tensor, b: Tensor, scale: Tensor, rules: Rules, square: bool) -> Tensor:
    """`row_lse` of a table that is not stored; `square`: b and its ids are a and its ids."""
    if square and scale.ndim == 0 and tiles.bounded(root := a * scale.sqrt(), root):
        return tiles.rows_of_square(root, rules)
    return tiles.rows(a * scale[..., None], b, rules)


def row_softplus(a: Tensor, b: Tensor) -> Tensor:
    """For each row i of `a`, the sum of log(1 + exp(a_i . b_j)) over the other rows j of `b`.

    a (N, D), b (M, D); returns (N,). Large tables as in `row_lse`: linear memory, differentiable once.
    """
    if not stored_whole(a, b):
        return tiles.softplus(a, b, Rules.of(["self"], None, None))
    return -F.logsigmoid(-(a @ b.T)).fill_diagonal_(0).sum(1)


def points(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The points (N, D) of z (B, V, D) and the label of each (N,), sample after sample."""
    return z.flatten(0, 1), labels.repeat_interleave(z.shape[1])


def point_weights(z: Tensor, weights: Tensor | None) -> Tensor:
    """How much each point of z (B, V, D) is a positive of each other one, (N, N), itself included.

    weights: (B, B), of the samples; None: each sample is its own positive alone
    Raises: ValueError if one is negative
    """
    if weights is None:
        weights = torch.eye(len(z), dtype=z.dtype, device=z.device)
    elif values_are_at_hand(weights) and not weights.min() >= 0:
        raise ValueError(f"weights must be 0 or larger, got {float(weights.min()):g}")
    return weights.to(z.dtype).repeat_interleave(z.shape[1], 0).repeat_interleave(z.shape[1], 1)


def samples(z: Tensor) -> Tensor:
    """The number (N,) of the sample of each point of z (B, V, D)."""
    return torch.arange(len(z), device=z.device).repeat_interleave(z.shape[1])


def other_samples(z: Tensor, scale: Tensor) -> Tensor:
    """For each point of z (B, V, D), the `row_lse` over the points of all other samples, (N,)."""
    x, sample = points(z, torch.arange(len(z), device=z.device))
    return row_lse(x, x, scale, exclude=["same"], a_ids=sample, b_ids=sample)


def own_views(z: Tensor, scale: Tensor) -> Tensor:
    """For each point of z (B, V, D), the `row_lse` over the other views of its sample, (N,)."""
    samples, views, _ = z.shape
    if views == 2:
        return scale * view_agreement(z, z)
    logits = z @ z.mT * scale.expand(samples * views).view(samples, views, 1)
    own = torch.eye(views, dtype=torch.bool, device=z.device)
    return logits.masked_fill(own, -torch.inf).logsumexp(2).flatten()


def group_sums(x: Tensor, group: Tensor, groups: int) -> Tensor:
    """The sum of the rows of each group: x (N, ...), group (N,) in [0, groups); returns (groups, ...).

    On CUDA the rows are added in an order of their own each time, unless `torch.use_deterministic_algorithms` is on.
    """
    return x.new_zeros(groups, *x.shape[1:]).index_add(0, group, x)


def class_members(labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each of the labels (N,), a number in [0, N) that its class alone has, and how many carry it, both (N,) int64.

    Linear in N but for a sort, with no N x N mask and no need to know the labels' range, hence no device
    synchronisation.
    """
    ordered = labels.sort().values
    group = torch.searchsorted(ordered, labels)  # where its class begins among the sorted labels
    return group, torch.searchsorted(ordered, labels, right=True) - group


def class_sums(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of `x`, the sum of the rows that carry its label, itself included, and how many they are.

    x (N, D), labels (N,) int64; returns (N, D) and (N,), of the dtype of x.
    """
    group, counts = class_members(labels)
    sums = group_sums(x, group, len(x))
    # `sums[group]` would be the same; its derivative is summed one entry at a time.
    return sums.index_select(0, group), counts.to(x.dtype)


def chosen_lse(logits: Tensor, chosen: Tensor) -> Tensor:
    """Row log-sum-exps (N,) of the chosen entries of logits (N, M); -inf, and no gradient, for a row without one."""
    some = chosen.any(1)
    # A row of -inf alone would make NaN inside the backward pass.
    filled = torch.where(chosen, logits, torch.where(some, -torch.inf, 0.0)[:, None])
    return torch.where(some, filled.logsumexp(1), -torch.inf)


def other_views(z: Tensor) -> Tensor:
    """For each view of each sample of z (B, V, D), the V - 1 other views, (B, V, V - 1, D)."""
    views = torch.arange(z.shape[1], device=z.device)
    return z[:, (views[:, None] + views[1:]) % len(views)]


def view_agreement(x: Tensor, z: Tensor) -> Tensor:
    """Mean cosine (N,) of each view of x (B, V, D) with the other views of the same sample in z (B, V, D), V >= 2."""
    views = z.shape[1]
    if views == 2:
        return (x * z.flip(1)).sum(2).flatten()
    return (x * (z.sum(1, keepdim=True) - z)).sum(2).flatten() / (views - 1)


def distances(x: Tensor, squared: bool) -> Tensor:
    """Distances (or their squares) between all rows of x (N, D), as (N, N); 0 with gradient 0 where two coincide.

    A square is the small difference of large numbers where points are near each other or far from the origin: they are
    centred and, on devices that know float64, multiplied in it. Differences of all pairs would be N^2 D numbers.
    """
    wide = x if x.device.type == "mps" else x.double()
    wide = wide - wide.detach().mean(0)
    products = wide @ wide.T
    norms = products.diagonal()
    square = (norms[:, None] + norms - 2 * products).clamp(min=0)
    # The root's derivative is infinite at 0: coinciding points get distance and gradient 0 instead. NaN stays NaN.
    found = square if squared else torch.where(square != 0, square, 1).sqrt() * (square != 0)
    return found.to(x.dtype)


def as_products(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a (N, D) and b (M, D) with one column more, so that a_i . b_j is -|a_i - b_j|^2 / 2 but for a constant of row i.

    What does not depend on j leaves every ratio of exponentials over j, so distances need no table of their own. Both
    are centred on b, which changes no distance: far from the origin a square would be all rounding.
    """
    centre = b.detach().mean(0)
    a, b = a - centre, b - centre
    return F.pad(a, (0, 1), value=1.0), torch.cat([b, -b.square().sum(1, keepdim=True) / 2], 1)
