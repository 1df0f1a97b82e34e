"""Samples that code chooses: rows by number or as a mask, and one row."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cl_explore.given import Array, places
from cl_explore.takes import takes

Rows = Array | Iterable[int]
"""Numbers (m,), an array, a tensor or any collection of them, or a mask over all rows."""


def chosen_rows(value: Rows | None, count: int) -> NDArray[np.int64]:
    """The rows (m,), ascending and each once, given by number or as a mask (count,); None is no row.

    Raises: TypeError for anything else, ValueError for a mask of another length or rows that are not there.
    """
    return places(() if value is None else value, count).cpu().unique().numpy()


@takes
def row_of(sample: int, count: int) -> int:
    """The row itself; TypeError unless it is a whole number, ValueError unless it is from 0 to count - 1."""
    if not 0 <= sample < count:
        raise ValueError(f"sample must be from 0 to {count - 1}, got {sample}")
    return sample
