"""The joined batch, where several processes train one method together and each embeds its own part."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from cl_explore.takes import takes

_shares: ContextVar[list[int] | None] = ContextVar("shares", default=None)


@contextmanager
def shared_out(sizes: list[int]) -> Iterator[None]:
    """Inside, every process is known to have so many samples, by rank: to ask for them stops the device each time."""
    before = _shares.set(sizes)
    try:
        yield
    finally:
        _shares.reset(before)


@takes
def gather(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The rows of all processes, in the order of their ranks; in a single process the tensors as they are.

    tensors: each (b, ...) with one row for each of this process's b samples, such as z (b, V, D), labels (b,) and
    index (b,); every process hands over as many tensors, b may differ. Each becomes (B, ...) with B the sum of all b.

    Floating point tensors carry a gradient. Every process is to compute the same loss of the joined rows, so its own
    rows' gradient needs no message; it is multiplied by the number of processes, since `DistributedDataParallel` then
    takes the mean over them: weights get the gradient of one process on the joined batch, and parameters and state of
    the loss itself stay equal everywhere.

    >>> gather(torch.ones(3, 2, 4), torch.arange(3))[1]
    tensor([0, 1, 2])
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return tensors
    sizes = _shares.get()
    if sizes is None or len(tensors[0]) != sizes[dist.get_rank()]:
        own = torch.tensor([len(tensors[0])], device=tensors[0].device)
        counts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(counts, own)
        sizes = torch.cat(counts).tolist()
    return tuple(_Joined.apply(x, sizes) if x.is_floating_point() else _join(x, sizes) for x in tensors)


def _join(x: Tensor, sizes: list[int]) -> Tensor:
    """x (b, ...) of every process, padded to the longest on the way: collectives want equal shapes."""
    padded = x.new_zeros(max(sizes), *x.shape[1:])
    padded[: len(x)] = x
    every = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(every, padded)
    return torch.cat([rows[:size] for rows, size in zip(every, sizes, strict=True)])


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: list[int]) -> Tensor:
        end = list(accumulate(sizes))[dist.get_rank()]
        ctx.own, ctx.world = slice(end - len(x), end), len(sizes)
        return _join(x, sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.own] * ctx.world, None
