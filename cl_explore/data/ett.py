"""ETTh1: the loads and the oil temperature of an electricity transformer, two years hour by hour."""

import csv
from pathlib import Path

import numpy as np
import torch

from cl_explore.data.dataset import Dataset
from cl_explore.data.published import Layout, Published

FILE, HOURS = "ETTh1.csv", 17420
COLUMNS = ["date", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]


def _read(folder: Path, split: str) -> Dataset:
    """The hours (17420, 7) of ETTh1.csv from a Friday's midnight, the oil (°C) last."""
    with (folder / FILE).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    if head != COLUMNS:
        raise ValueError(f"{folder / FILE} must have columns {', '.join(COLUMNS)}, got {', '.join(head)}")
    if len(rows) != HOURS:
        raise ValueError(f"{folder / FILE} must have {HOURS} hours, got {len(rows)}: get it again")
    x = torch.from_numpy(np.array([row[1:] for row in rows]).astype(np.float32))
    return Dataset("ETTh1", x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)), ("hour",))


ETT = Published(
    "ETTh1",
    (Layout(_read, {"all": (FILE,)}),),
    ("timeseries", ""),
    advice="fetch ETT-small/ETTh1.csv from https://github.com/zhouhaoyi/ETDataset",
    licence="CC BY-ND 4.0; cite Zhou et al. 2021",
)
