"""How often a value can be differentiated: what would be silently incomplete beyond that is refused."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def at_most(times: int, x: Tensor, what: str, *others: Tensor) -> Tensor:
    """x, of which a derivative of a higher order than `times`, 1 or more, raises RuntimeError that names `what`.

    others: what those derivatives depend on beside x
    Note: x as it is while torch.compile traces, which cannot follow what counts the derivatives.
    """
    if torch.compiler.is_compiling():
        return x
    kept: Tensor = _Counted.apply(x, times, what, x, *others)
    return kept


class _Counted(Function):
    """The first argument; each derivative is one of these again, which hangs on `origins` and has one order less."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, left: int, what: str, *origins: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.left, ctx.what, *origins = inputs
        ctx.save_for_backward(*origins)
        ctx.save_for_forward(*origins)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _next(ctx, gradient), *[None] * (2 + len(ctx.saved_tensors))

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *others: Any) -> Tensor:
        return _next(ctx, tangent)


def _next(ctx: Any, slope: Tensor) -> Tensor:
    if ctx.left == 0:
        raise RuntimeError(f"{ctx.what} cannot be differentiated that often: what would come is incomplete")
    following: Tensor = _Counted.apply(slope, ctx.left - 1, ctx.what, *ctx.saved_tensors)
    return following
