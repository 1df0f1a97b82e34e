"""The primitive most losses are made of, row log-sum-exps with pairs left out by rule, and its relatives."""

from collections.abc import Collection
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Rule = Literal["self", "same", "other"]


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
    small temperatures stay exact.

    >>> row_lse(torch.eye(3), torch.eye(3), 10.0, exclude=["self"]).exp()
    tensor([2., 2., 2.])
    """
    logits = a @ b.T * torch.as_tensor(scale, dtype=a.dtype, device=a.device)[..., None]
    out = torch.zeros_like(logits, dtype=torch.bool)
    if "self" in exclude:
        out.fill_diagonal_(True)
    if "same" in exclude or "other" in exclude:
        assert a_ids is not None
        assert b_ids is not None
        equal = a_ids[:, None] == b_ids
        out |= equal if "same" in exclude else ~equal
    return logits.masked_fill(out, -torch.inf).logsumexp(1)


def class_sums(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of `x`, the sum of the rows that carry its label, itself included, and how many they are.

    x (N, D), labels (N,) int64; returns (N, D) and (N,). Linear in N, with no N x N mask and no need to know the
    labels' range, hence no device synchronisation.
    """
    order = labels.argsort()
    starts = torch.cat([labels.new_zeros(1), (labels[order].diff() != 0).long()]).cumsum(0)
    group = torch.empty_like(starts).scatter_(0, order, starts)
    sums = torch.zeros_like(x).index_add(0, group, x)
    counts = torch.zeros_like(x[:, 0]).index_add(0, group, torch.ones_like(x[:, 0]))
    return sums[group], counts[group]


def distances(x: Tensor, squared: bool) -> Tensor:
    """Distances (or their squares) between all rows of x (N, D), as (N, N); 0 with gradient 0 where two coincide."""
    norms = x.square().sum(1)
    square = (norms[:, None] + norms - 2 * x @ x.T).clamp(min=0)
    # The root's derivative is infinite at 0: coinciding points get distance and gradient 0 instead.
    return square if squared else torch.where(square > 0, square, 1).sqrt() * (square > 0)


def as_products(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a (N, D) and b (M, D) with one column more, so that a_i . b_j is -|a_i - b_j|^2 / 2 but for a constant of row i.

    What does not depend on j leaves every ratio of exponentials over j, so distances need no table of their own.
    """
    return F.pad(a, (0, 1), value=1.0), torch.cat([b, -b.square().sum(1, keepdim=True) / 2], 1)
