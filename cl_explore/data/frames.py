"""Bring your own: columns of a data frame."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cl_explore.data.arrays import from_arrays
from cl_explore.data.dataset import Dataset
from cl_explore.takes import takes


@takes
def from_frame(
    frame: Any,
    features: Sequence[str | int],
    label: str | int | None = None,
    *,
    name: str = "frame",
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """The data set of vectors whose numbers are columns of a pandas DataFrame, one row a sample.

    features: columns of numbers or truth values, in the order of the vectors.
    label: the column of labels: whole numbers from 0, or texts in alphabetical order or that of their categories;
        missing ones are unlabelled (-1). None if there is none.
    class_names: as for `from_arrays`.

    Columns of very different sizes are best brought to one first, as by `(frame - frame.mean()) / frame.std()`. Raises
    TypeError for columns of other things, ValueError naming column and row for missing or infinite numbers.
    """
    if not hasattr(frame, "iloc") or not hasattr(frame, "columns"):
        raise TypeError(f"frame must be a pandas DataFrame, got {type(frame).__name__}")
    columns = Counter(frame.columns)
    asked = [*(("features", column) for column in features), *([] if label is None else [("label", label)])]
    for argument, column in asked:
        if columns[column] != 1:
            known = ", ".join(map(repr, list(columns)[:20]))
            raise ValueError(f"{argument} must be in frame, once, which has {known}; got {column!r}")
    if not features or label in features:
        raise ValueError(f"features must be at least one column, and not the label, got {list(features)}")
    x = torch.from_numpy(np.stack([_numbers(frame, column) for column in features], axis=1))
    # a column of whole numbers that lacks some is of floats, until pandas looks at what it holds
    labels = None if label is None else frame[label].convert_dtypes()
    return from_arrays(x, labels, name=name, class_names=class_names)


def _numbers(frame: Any, column: str | int) -> NDArray[np.float32]:
    values = frame[column]
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"features must be columns of numbers, but {column!r} holds {values.dtype}: "
            f"pandas.to_numeric reads texts as numbers, pandas.get_dummies makes numbers of classes"
        )
    read: NDArray[np.float32] = values.to_numpy(dtype=np.float32, na_value=np.nan)
    if not (finite := np.isfinite(read)).all():
        row = int(finite.argmin())
        raise ValueError(
            f"features must be there and finite, but {column!r} holds {values.iloc[row]} in row {row} (index "
            f"{frame.index[row]}), and {(~finite).sum()} such in all: frame.dropna() leaves out rows that lack some"
        )
    return read
