"""Samples that code chooses: rows by number or as a mask, and one row."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cl_explore.given import Array, integers, numbers
from cl_explore.takes import takes

Rows = Array | Iterable[int]
"""Numbers (m,), an array, a tensor or any collection of them, or a mask over all rows."""


def chosen_rows(value: Rows | None, count: int) -> NDArray[np.int64]:
    """The rows (m,), ascending and each once, given by number or as a mask (count,); None is no row.

    Raises: TypeError for anything else, ValueError for a mask of another length or rows that are not there.
    """
    plain: Any = () if value is None else value
    if not hasattr(plain, "__array__") and isinstance(plain, Iterable) and not isinstance(plain, str):
        plain = list(plain)
    chosen = numbers(plain, "rows").cpu()
    if chosen.dtype == torch.bool:
        if chosen.shape != (count,):
            raise ValueError(f"rows as a mask must be ({count},), got shape {tuple(chosen.shape)}")
        return chosen.nonzero().squeeze(1).numpy()
    if chosen.ndim != 1:
        raise ValueError(f"rows must be numbers (m,) or a mask ({count},), got shape {tuple(chosen.shape)}")
    chosen = integers(chosen, "rows").unique() if len(chosen) else chosen.long()
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < count:
        raise ValueError(f"rows must be from 0 to {count - 1}, got {int(chosen[0])} to {int(chosen[-1])}")
    return chosen.numpy()


@takes
def row_of(sample: int, count: int) -> int:
    """The row itself; TypeError unless it is a whole number, ValueError unless it is from 0 to count - 1."""
    if not 0 <= sample < count:
        raise ValueError(f"sample must be from 0 to {count - 1}, got {sample}")
    return sample
