"""What people have where a data set is needed, and the line that makes one of it."""

import os
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from cl_explore.data.registry import names


def line(given: Any) -> str:
    """What to write in place of `given`, to have a data set of it; "" where nothing is known that would."""
    if isinstance(given, TorchDataset | DataLoader):
        return "data.from_torch(...)"
    if isinstance(given, str) and given in names():
        return f"data.load({given!r})"
    if isinstance(given, str | os.PathLike):
        return "data.from_folder(...) for a folder or an archive of images"
    if hasattr(given, "column_names") and hasattr(given, "features"):
        return 'data.from_hugging_face(..., image="column", label="column")'
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        return 'data.from_frame(..., features=["column", ...], label="column")'
    if isinstance(given, dict):
        return 'data.from_arrays({"name": x, ...}, labels, kind={"name": "series", ...})'
    if isinstance(given, list | tuple) or (hasattr(given, "__array__") and getattr(given, "ndim", False)):
        texts = not isinstance(given, Tensor) and len(given) and isinstance(next(iter(given)), str)
        return "data.from_texts(texts, tokenizer, labels)" if texts else "data.from_arrays(x, labels)"
    return ""
