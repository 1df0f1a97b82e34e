"""USPS: handwritten digits from envelopes, read from the text files of The Elements of Statistical Learning."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

from cl_explore.data.dataset import Dataset
from cl_explore.data.published import Layout, Published
from cl_explore.data.registry import dataset

COUNT = {"train": 7291, "test": 2007}
FILES = {split: (f"zip.{split}.gz",) for split in COUNT}


@dataset
def usps(split: str) -> Dataset:
    """9,298 handwritten digits (1, 16, 16), float32 in [0, 1]: 7,291 train, 2,007 test.

    Source: Hull 1994, the files of Hastie, Tibshirani and Friedman; no licence is stated
    Raises: FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged
    """
    return USPS.load(split)


def _read(folder: Path, split: str) -> Dataset:
    """Lines of a digit and its 256 grey levels in [-1, 1]."""
    file = folder / FILES[split][0]
    try:
        table = torch.from_numpy(np.loadtxt(file, dtype=np.float32, ndmin=2))
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} is damaged, get it again: {error}") from error
    if table.shape[1] != 257:
        raise ValueError(f"{file} must have 257 numbers a line, got {table.shape[1]}: get it again")
    if len(table) != COUNT[split]:
        raise ValueError(f"{file} must have {COUNT[split]} lines, got {len(table)}: get it again")
    x = ((table[:, 1:] + 1) / 2).view(-1, 1, 16, 16)
    return Dataset("USPS", x, table[:, 0].long(), torch.arange(len(x)), tuple("0123456789"))


USPS = Published(
    "usps",
    (Layout(_read, FILES),),
    ("usps", ""),
    advice="fetch both from https://hastie.su.domains/ElemStatLearn/data.html (ZIP code)",
    licence="none is stated; cite Hull 1994",
)
