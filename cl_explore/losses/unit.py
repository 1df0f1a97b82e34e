"""Vectors brought to unit length, and the derivative in one formula: autograd's own takes six temporaries more."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

LEAST = 1e-12
"""A row no longer than that is 0: it has no direction."""


def transformed() -> bool:
    """Whether a compiler, a transform of `torch.func` or a forward derivative is at work, which take plain formulas."""
    return (
        torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    )


def _shrunk(x: Tensor) -> tuple[Tensor, Tensor]:
    """x / m and m (..., 1), the largest entry of each row of x (..., D): squared, entries from 1e19 on are infinite.

    Of a row of entries below 1e-12, which counts as zeros, m is the largest number there is: its gradient becomes 0.
    """
    largest = F.threshold(x.abs().amax(-1, keepdim=True), LEAST, torch.finfo(x.dtype).max).detach()
    return x / largest, largest


def _ordinary(norm: Tensor) -> bool:
    """Whether no length is 0, infinite or NaN: known on a CPU alone, as a GPU would wait for the answer."""
    if norm.device.type != "cpu" or not norm.numel():
        return False
    shortest, longest = torch.aminmax(norm)
    return shortest.item() > LEAST and longest.item() < torch.inf


def unit_and_norm(x: Tensor) -> tuple[Tensor, Tensor]:
    """x / |x| and |x| (..., 1), along the last axis, to be differentiated by `to_raw`."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    if _ordinary(norm):
        return x / norm, norm
    shrunk, largest = _shrunk(x)
    norm = torch.linalg.vector_norm(shrunk, dim=-1, keepdim=True).clamp_(min=1)
    return shrunk.div_(norm), norm.mul_(largest)


def to_raw(gradient: Tensor, unit: Tensor, norm: Tensor) -> Tensor:
    """The gradient by x of what has this gradient by x / |x|."""
    along = (unit * gradient).sum(-1, keepdim=True)
    return torch.addcmul(gradient, unit, along, value=-1).div_(norm)


class _Unit(torch.autograd.Function):
    """`unit_and_norm`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        unit, norm = unit_and_norm(x)
        ctx.save_for_backward(unit, norm)
        ctx.set_materialize_grads(False)  # that of the length is 0 unless the derivative is itself differentiated
        return unit, norm

    @staticmethod
    def backward(ctx: Any, to_unit: Tensor | None, to_norm: Tensor | None) -> Tensor:
        unit, norm = ctx.saved_tensors
        found = torch.zeros_like(unit) if to_unit is None else to_raw(to_unit, unit, norm)
        return found if to_norm is None else found + unit * to_norm


def unit(x: Tensor) -> Tensor:
    """The rows of x (..., D) at unit length; 0 stays 0. Differentiable as often as wished, in both directions.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    if not transformed():
        return _Unit.apply(x)[0]
    x, _ = _shrunk(x)
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=1)
