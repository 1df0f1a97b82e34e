"""Tables that hold a plane for every anchor, some anchors at a time, so that memory does not grow with their cube."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

TABLE = 2**22
"""Entries of the largest (anchors, N, N) table formed at once."""


def by_blocks(block: Callable[[slice], tuple[Tensor, ...]], anchors: int) -> tuple[Tensor, ...]:
    """What `block` says of each of N anchors, of as many at once as `TABLE` allows.

    block: from some anchors to numbers of each, one or more (n,), by way of a table (n, N, N). Where one block is not
        all, its table is made once more on the way back instead of being kept.
    """
    size = max(1, TABLE // anchors**2)
    if size >= anchors:
        return block(slice(None))
    blocks = (slice(start, start + size) for start in range(0, anchors, size))
    columns = zip(*(checkpoint(block, rows, use_reentrant=False) for rows in blocks), strict=True)
    return tuple(torch.cat(column) for column in columns)
