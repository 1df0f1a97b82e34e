"""Log-sum-exps and cross-entropies of the rows of a table that is stored, and their derivatives in one formula each.

Autograd's own takes eight temporaries of the table's size, and for the table of one set of rows a product more. On the
small tables of a lesson what counts is the number of operations.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.unit import to_raw, transformed, unit, unit_and_norm


class _Rows(torch.autograd.Function):
    """Log-sum-exp (N,) and softmax (N, M) of the rows. With b None the table is that of a and a, under one scale."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor | None, scale: Tensor, own: bool, left_out: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        logits = (a * scale) @ (a if b is None else b).T
        _leave_out(logits, own, left_out)
        highest, share = logits.amax(1), logits.softmax(1)
        lse = highest - share.amax(1).log()
        if left_out is not None or len(logits.T) == 1:
            empty = highest == -torch.inf
            share.masked_fill_(empty[:, None], 0)
            lse.masked_fill_(empty, -torch.inf)
        ctx.save_for_backward(a, b, scale, share)
        ctx.set_materialize_grads(False)  # that of the softmax is 0 unless the derivative is itself differentiated
        return lse, share

    @staticmethod
    def backward(ctx: Any, to_lse: Tensor | None, to_share: Tensor | None) -> tuple[Tensor | None, ...]:
        a, b, scale, share = ctx.saved_tensors
        table = torch.zeros_like(share) if to_lse is None else share * to_lse[:, None]
        if to_share is not None:
            table = table + share * (to_share - (share * to_share).sum(1, keepdim=True))
        to_b, to_scale = None, None
        product = (table + table.T) @ a if b is None else table @ b
        if ctx.needs_input_grad[1]:
            to_b = table.T @ (a * scale)
        if ctx.needs_input_grad[2]:
            along = (a * product).sum(1, keepdim=True)
            to_scale = along if scale.ndim else along.sum() / (2 if b is None else 1)
        return product * scale, to_b, to_scale, None, None


def _leave_out(logits: Tensor, own: bool, left_out: Tensor | None) -> None:
    if own:
        logits.fill_diagonal_(-torch.inf)
    if left_out is not None:
        logits.masked_fill_(left_out, -torch.inf)


def rows(a: Tensor, b: Tensor, scale: Tensor, own: bool, left_out: Tensor | None) -> Tensor:
    """log sum_j exp(scale_i a_i . b_j), as (N,), over the pairs not left out; differentiable as often as wished.

    a (N, D), b (M, D), scale a tensor of no dimension or (N,); own: whether j = i is left out; left_out (N, M) bool.
    """
    square = a is b and scale.ndim == 0
    scale = scale[:, None] if scale.ndim else scale
    if transformed():
        logits = (a * scale) @ b.T
        _leave_out(logits, own, left_out)
        return logits.logsumexp(1)
    return _Rows.apply(a, None if square else b, scale, own, left_out)[0]


def _contrast(
    a: Tensor, b: Tensor | None, temperature: Tensor, share: Tensor, both: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The results of `contrast` where nothing is normalized, and the log-softmax of the rows (R, M)."""
    products = a @ (a if b is None else b).T
    table = torch.cat([products, products.T]) if both else products
    logits = table / (temperature[:, None] if temperature.ndim else temperature)
    if b is None:
        # Half the least number there is: no share of its logarithm is infinite.
        logits.fill_diagonal_(torch.finfo(a.dtype).min / 2)
    log_p = logits.log_softmax(1)
    if share.is_floating_point():
        return (share * log_p).sum(1).neg_(), (share * products).sum(1), log_p
    each = F.nll_loss(log_p, share, reduction="none")
    positive = F.nll_loss(products, share[: len(products)], reduction="none").neg_()
    return each.view(2, -1) if both else each, positive, log_p


def _weighted(share: Tensor, weight: Tensor, like: Tensor) -> Tensor:
    """The share of each row, times its weight (R, 1), as a table like `like` (R, M)."""
    if share.is_floating_point():
        return share * weight
    return torch.zeros_like(like).scatter_(1, share[:, None], weight)


def _plain(
    a: Tensor, b: Tensor | None, temperature: Tensor, share: Tensor, both: bool, normalize: bool
) -> tuple[Tensor, Tensor]:
    """`contrast` by formulas that autograd and every transform know."""
    a = a.flatten(0, -2)
    if normalize:
        a, b = unit(a), None if b is None else unit(b)
    return _contrast(a, b, temperature, share, both)[:2]


def _again(ctx: Any, gradients: tuple[Tensor | None, ...], *inputs: Any) -> tuple[Tensor | None, ...]:
    """What the backward pass of `_Contrast` returns, taken from `_plain` so that it can be differentiated itself."""
    # Of views: where an input depends on another one, that is no part of these derivatives.
    views = [x.view_as(x) if need else x for x, need in zip(inputs, ctx.needs_input_grad, strict=True)]
    results = _plain(*views)
    weights = [torch.zeros_like(y) if g is None else g for y, g in zip(results, gradients, strict=True)]
    wanted = [x for x, need in zip(views, ctx.needs_input_grad, strict=True) if need]
    found = iter(torch.autograd.grad(results, wanted, weights, create_graph=True))
    return tuple(next(found) if need else None for need in ctx.needs_input_grad)


class _Contrast(torch.autograd.Function):
    """`_plain`, with each pass in as few operations as can be."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor | None, temperature: Tensor, share: Tensor, both: bool, normalize: bool
    ) -> tuple[Tensor, Tensor]:
        x = a.flatten(0, -2) if b is None else torch.cat([a, b])
        x, norm = unit_and_norm(x) if normalize else (x, None)
        of_a, of_b = (x, None) if b is None else (x[: len(a)], x[len(a) :])
        each, positive, log_p = _contrast(of_a, of_b, temperature, share, both)
        ctx.save_for_backward(a, b, temperature, share, x, norm, log_p)
        ctx.both, ctx.normalize = both, normalize
        ctx.set_materialize_grads(False)
        return each, positive

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        a, b, temperature, share, x, norm, log_p = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _again(ctx, gradients, a, b, temperature, share, ctx.both, ctx.normalize)
        to_each, to_positive = gradients
        to_temperature = None
        if to_each is None:
            table = torch.zeros_like(log_p)
        else:
            weighted = _weighted(share, (to_each.flatten() / -temperature)[:, None], log_p)
            table = torch._log_softmax_backward_data(weighted, log_p, 1, log_p.dtype)
        if ctx.needs_input_grad[2]:
            along = (table * log_p).sum(1)  # as of the logits: what a row of them lacks meets a sum of 0
            to_temperature = -along if temperature.ndim else -along.sum()
        if ctx.both:
            there, back = table.chunk(2)
            table = there.add_(back.T)
        if to_positive is not None:
            table.add_(_weighted(share[: len(table)], to_positive[:, None], table))
        if b is None:
            found = (table + table.T) @ x
        else:
            of_a, of_b = x[: len(a)], x[len(a) :]
            to_a = table @ of_b if ctx.needs_input_grad[0] else torch.zeros_like(of_a)
            to_b = table.T @ of_a if ctx.needs_input_grad[1] else torch.zeros_like(of_b)
            found = torch.cat([to_a, to_b])
        if norm is not None:
            found = to_raw(found, x, norm)
        sides = (found.view(a.shape), None) if b is None else (found[: len(a)], found[len(a) :])
        return *sides, to_temperature, None, None, None


def contrast(
    a: Tensor, b: Tensor | None, temperature: Tensor, share: Tensor, both: bool = False, normalize: bool = False
) -> tuple[Tensor, Tensor]:
    """For each row i of `a`, -sum_j share_ij log softmax_j(a_i . b_j / temperature_i) and sum_j share_ij a_i . b_j.

    a (N, D), b (M, D), temperature of no dimension or (N,), share (N, M) without a gradient, or (N,) int64, the one j
    that has it all. With b None it is a, which may have more axes than two, and j = i is left out. With `both`, where
    N = M and the temperature has no dimension, the first result is (2, N), that of the rows of b among those of a in
    its second row, and share is (2N,), the same for both. With `normalize` the rows of a and b are brought to unit
    length first. Differentiable as often as wished.
    """
    function = _plain if transformed() else _Contrast.apply
    return function(a, b, temperature, share, both, normalize)
