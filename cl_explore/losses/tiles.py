"""Sums over all pairs of two sets of rows, tile by tile: the table of their products is never stored.

Forward keeps the inputs and one number a row; backward computes each tile again. The functions here can be
differentiated once: `create_graph=True` raises `RuntimeError`, and the transforms of `torch.func` do not pass.
Exponentials are powers of two, exp(x) = 2^(BITS x): on a CPU `exp2` takes a quarter of the time of `exp`, and the
factor comes with the product.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Rule = Literal["self", "same", "other"]
Tile = tuple[slice, slice, Tensor]

BITS = 1 / math.log(2)
"""Bits in a nat."""

KEPT = 6 * 1024 * 1024
"""Exponentials of the forward pass that are kept for the backward pass, instead of computing them again: at most so
many, or on a GPU, whose single tile holds more, `KEPT_TILES` tiles."""
KEPT_TILES = 4


def _side(a: Tensor, b: Tensor) -> int:
    """Rows and columns of a tile of the table of a and b: few enough for the cache of a CPU, many for a GPU.

    A small table takes smaller tiles, of which the upper triangle needs a smaller share.
    """
    return 4096 if a.device.type != "cpu" else 512 if max(len(a), len(b)) > 1024 else 256


@dataclass(frozen=True)
class Rules:
    """Which pairs are left out: see `row_lse`. Built for the tiles of one device."""

    exclude: Collection[Rule]
    a_ids: Tensor | None
    b_ids: Tensor | None
    a_ranges: list[list[int]]
    b_ranges: list[list[int]]

    @classmethod
    def of(cls, exclude: Collection[Rule], a_ids: Tensor | None, b_ids: Tensor | None) -> "Rules":
        """The rules `exclude`, with the range of the ids of every tile brought to the host at once."""
        if not {"same", "other"} & set(exclude):
            return cls(exclude, None, None, [], [])
        assert a_ids is not None
        assert b_ids is not None
        size = _side(a_ids, b_ids)
        parts = [*a_ids.split(size), *(() if a_ids is b_ids else b_ids.split(size))]
        ranges = torch.stack([torch.stack(part.aminmax()) for part in parts]).tolist()
        count = math.ceil(len(a_ids) / size)
        return cls(exclude, a_ids, b_ids, ranges[:count], ranges[:count] if a_ids is b_ids else ranges[count:])

    def may_match(self, i: slice, j: slice) -> bool:
        """Whether an id of rows i can equal one of rows j, judged by their ranges."""
        assert self.a_ids is not None
        assert self.b_ids is not None
        size = _side(self.a_ids, self.b_ids)
        low, high = self.a_ranges[i.start // size]
        lowest, highest = self.b_ranges[j.start // size]
        return lowest <= high and highest >= low

    def fill(self, tile: Tensor, i: slice, j: slice, value: float) -> None:
        """Put `value` where the pair of rows i and j is left out."""
        if "self" in self.exclude and i.start == j.start:
            tile.diagonal().fill_(value)
        if "other" in self.exclude or ("same" in self.exclude and self.may_match(i, j)):
            assert self.a_ids is not None
            assert self.b_ids is not None
            a, b = self.a_ids[i, None], self.b_ids[j]
            tile.masked_fill_(a == b if "same" in self.exclude else a != b, value)


def _places(a: Tensor, b: Tensor, rules: Rules, triangle: bool) -> Iterator[tuple[slice, slice]]:
    """The rows i and the columns j of each tile of the table of a and b, or of its upper triangle.

    Tiles of which every pair is left out do not come.
    """
    side = _side(a, b)
    for start in range(0, len(a), side):
        i = slice(start, min(start + side, len(a)))
        columns = (slice(k, min(k + side, len(b))) for k in range(start if triangle else 0, len(b), side))
        yield from ((i, j) for j in columns if "other" not in rules.exclude or rules.may_match(i, j))


def _room(a: Tensor, b: Tensor) -> Tensor:
    """What holds one tile of the table of a and b."""
    return a.new_empty(min(_side(a, b), len(a)) * min(_side(a, b), len(b)))


def _kept(a: Tensor, b: Tensor, rules: Rules, triangle: bool) -> int:
    """How many exponentials are kept: those of the first tiles for which there is room."""
    most, number = KEPT if a.device.type == "cpu" else KEPT_TILES * _side(a, b) ** 2, 0
    for i, j in _places(a, b, rules, triangle):
        size = (i.stop - i.start) * (j.stop - j.start)
        number += size if number + size <= most else 0
    return number


def _tiles(a: Tensor, b: Tensor, rules: Rules, factor: float = 1.0) -> Iterator[Tile]:
    """The rows i, the columns j and the products a_i . b_j, times `factor`, of each tile of the table.

    One buffer serves all tiles: fresh ones would fragment the allocator's memory.
    """
    buffer = _room(a, b)
    for i, j in _places(a, b, rules, triangle=False):
        tile = buffer[: (i.stop - i.start) * (j.stop - j.start)].view(i.stop - i.start, -1)
        yield i, j, tile.addmm_(a[i], b[j].T, beta=0, alpha=factor)


def _exponentials(
    a: Tensor, b: Tensor, rules: Rules, triangle: bool, kept: Tensor, recall: bool = False
) -> Iterator[Tile]:
    """As `_tiles`, of exp(a_i . b_j) and 0 where a pair is left out; as many as `kept` holds are computed once only.

    They are written to `kept` (K,) from its start, or, with `recall`, read from there.
    """
    buffer, offset = a.new_empty(0), 0
    for i, j in _places(a, b, rules, triangle):
        size = (i.stop - i.start) * (j.stop - j.start)
        keep = offset + size <= len(kept)
        if not keep and len(buffer) == 0:
            buffer = _room(a, b)
        tile = (kept[offset : offset + size] if keep else buffer[:size]).view(i.stop - i.start, -1)
        offset += size if keep else 0
        if not (keep and recall):
            tile.addmm_(a[i], b[j].T, beta=0, alpha=BITS).exp2_()
            rules.fill(tile, i, j, 0)
        yield i, j, tile


def _finite(lse: Tensor) -> Tensor:
    """`lse` with 0 where a sum is empty, so that 2^(-inf - lse) is 0 there and not undefined."""
    return lse.masked_fill(lse == -torch.inf, 0)


def _refuse_second_derivative() -> None:
    """Raise `RuntimeError` in a backward pass that is itself recorded: what it records would be silently incomplete."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a loss computed in tiles can be differentiated once only, got create_graph=True: take a smaller batch, "
            "whose table is stored"
        )


class _Rows(torch.autograd.Function):
    """Log-sum-exp of every row of the table, shifted by a running maximum: 4 products of tables in all.

    Products, maxima and what is saved are in bits.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rules: Rules) -> Tensor:
        highest, total = a.new_full((len(a),), -torch.inf), a.new_zeros(len(a))
        for i, j, tile in _tiles(a, b, rules, BITS):
            rules.fill(tile, i, j, -torch.inf)
            before = highest[i].clone()
            torch.maximum(before, tile.amax(1), out=highest[i])
            shift = _finite(highest[i])
            total[i] = total[i] * (before - shift).exp2() + tile.sub_(shift[:, None]).exp2_().sum(1)
        lse = highest + total.log2()
        ctx.save_for_backward(a, b, lse)
        ctx.rules = rules
        return lse / BITS

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        _refuse_second_derivative()
        a, b, lse = ctx.saved_tensors
        shift, to_b = _finite(lse), ctx.needs_input_grad[1]
        da, db = torch.zeros_like(a), torch.zeros_like(b) if to_b else None
        for i, j, tile in _tiles(a, b, ctx.rules, BITS):
            ctx.rules.fill(tile, i, j, -torch.inf)
            tile.sub_(shift[i, None]).exp2_().mul_(gradient[i, None])
            da[i].addmm_(tile, b[j])
            if db is not None:
                db[j].addmm_(tile.T, a[i])
        return da, db, None


class _RowsAndColumns(torch.autograd.Function):
    """Log-sum-exp of every row and every column, for products that are `bounded`: one table for both.

    With b None the table is a @ a.T, and its upper triangle serves for the lower one: 2 products of tables in all.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor | None, rules: Rules) -> tuple[Tensor, Tensor]:
        rows = a.new_zeros(len(a))
        columns = rows if b is None else b.new_zeros(len(b))
        other = a if b is None else b
        kept = a.new_empty(_kept(a, other, rules, b is None) if any(ctx.needs_input_grad) else 0)
        for i, j, tile in _exponentials(a, other, rules, b is None, kept):
            rows[i] += tile.sum(1)
            if b is not None or i != j:
                columns[j] += tile.sum(0)
        ctx.save_for_backward(a, b, rows, columns, kept)
        ctx.rules = rules
        return rows.log(), columns.log()

    @staticmethod
    def backward(ctx: Any, to_rows: Tensor, to_columns: Tensor) -> tuple[Tensor, Tensor | None, None]:
        _refuse_second_derivative()
        a, b, rows, columns, kept = ctx.saved_tensors
        by_row = torch.where(rows > 0, to_rows / rows, 0)
        by_column = by_row if b is None else torch.where(columns > 0, to_columns / columns, 0)
        da = torch.zeros_like(a)
        other, d_other = (a, da) if b is None else (b, torch.zeros_like(b))
        weight = a.new_empty(0)
        for i, j, tile in _exponentials(a, other, ctx.rules, b is None, kept, recall=True):
            torch.add(by_row[i, None], by_column[j], out=weight.resize_(tile.shape)).mul_(tile)
            da[i].addmm_(weight, other[j])
            if b is not None or i != j:
                d_other[j].addmm_(weight.T, a[i])
        return da, None if b is None else d_other, None


class _Softplus(torch.autograd.Function):
    """Sum of log(1 + exp) over every row of the table."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rules: Rules) -> Tensor:
        rows = a.new_zeros(len(a))
        for i, j, tile in _tiles(a, b, rules):
            rules.fill(tile, i, j, -torch.inf)
            rows[i] += tile.clamp(min=0).sum(1)
            rows[i] += tile.abs_().mul_(-BITS).exp2_().log1p_().sum(1)
        ctx.save_for_backward(a, b)
        ctx.rules = rules
        return rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        _refuse_second_derivative()
        a, b = ctx.saved_tensors
        da, db = torch.zeros_like(a), torch.zeros_like(b)
        for i, j, tile in _tiles(a, b, ctx.rules):
            ctx.rules.fill(tile, i, j, -torch.inf)
            tile.sigmoid_().mul_(gradient[i, None])
            da[i].addmm_(tile, b[j])
            db[j].addmm_(tile.T, a[i])
        return da, db, None


def rows(a: Tensor, b: Tensor, rules: Rules) -> Tensor:
    """log sum_j exp(a_i . b_j), as (N,), for a (N, D), b (M, D); exact for products of any size."""
    return _Rows.apply(a, b, rules)


def rows_of_square(a: Tensor, rules: Rules) -> Tensor:
    """log sum_j exp(a_i . a_j), as (N,), for a (N, D) that is `bounded` and rules that are symmetric."""
    return _RowsAndColumns.apply(a, None, rules)[0]


def rows_and_columns(a: Tensor, b: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """log sum_j exp(a_i . b_j), as (N,), and log sum_i exp(a_i . b_j), as (M,), for a (N, D), b (M, D) `bounded`."""
    return _RowsAndColumns.apply(a, b, rules)


def softplus(a: Tensor, b: Tensor, rules: Rules) -> Tensor:
    """sum_j log(1 + exp(a_i . b_j)), as (N,), for a (N, D), b (M, D)."""
    return _Softplus.apply(a, b, rules)


def bounded(a: Tensor, b: Tensor) -> bool:
    """Whether no product of a row of `a` and one of `b` is so large that its exponential, unshifted, loses anything.

    Not so where all are 0: what multiplies them, 0 or below, has no root.

    By Cauchy and Schwarz, at most |a| |b|: e^60, over a sum of such terms, still leaves float32 room for a gradient
    as small as e^-20 times it. Waits for the device once.
    """
    with torch.no_grad():
        longest = torch.linalg.vector_norm(a, dim=1).max()
        bound = longest * (longest if a is b else torch.linalg.vector_norm(b, dim=1).max())
        return bool((bound > 0) & (bound < (60 if a.dtype == torch.float32 else 600)))
