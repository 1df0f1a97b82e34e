"""The watch of seglearn: ten people at shoulder exercises, one recording of each arm and exercise, cut into windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from cl_explore.data.dataset import Dataset
from cl_explore.data.pickles import array, unpickle
from cl_explore.data.published import Layout, Published
from cl_explore.data.registry import dataset
from cl_explore.takes import Count, Range, takes

SUBJECTS = 10
SHORTEST = 947  # steps of a recording
FILE = "watch_dataset.npy"
CLASS_NAMES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
Length = Annotated[int, Range(1, SHORTEST)]


@dataset
@takes
def watch(split: str, length: Length = 100, step: Count | None = None, held: Sequence[Count] = (8, 9, 10)) -> Dataset:
    """Windows (6, length), float32 at 50 Hz, of 140 recordings of a smartwatch: ax ay az in g, then wx wy wz.

    Seven exercises with each arm of ten people, 244,102 steps in all: 2,369 windows of 100 steps, recording by
    recording in their order of time. No person is in both parts.

    step: from one window to the next of a recording; None for the length, so that none overlap.
    held: the people, 1 to 10, who are the test part.
    Factors: `subject` 1 to 10, `side` 0 left and 1 right, `recording` 0 to 139, `start` in steps.
    Source: Burns et al., Shoulder physiotherapy exercise recognition, arXiv 1802.01489; in the package seglearn
    Raises: FileNotFoundError saying where it is to be had if it is missing, ValueError naming a damaged file
    """
    if not held or len(set(held)) < len(held) or max(held) > SUBJECTS or len(held) >= SUBJECTS:
        raise ValueError(f"held must be some of the people 1 to {SUBJECTS}, each once and not all, got {held}")
    return WATCH.load(split, length=length, step=step or length, held=held)


def _read(folder: Path, split: str, length: int, step: int, held: Sequence[int]) -> Dataset:
    """Of a dictionary of arrays that NumPy saved; ValueError names a file of another form."""
    series, columns = _recordings(folder / FILE)
    cuts = [(n, at) for n, recorded in enumerate(series) for at in range(0, len(recorded) - length + 1, step)]
    recording, start = torch.tensor(cuts).unbind(1)
    tested = torch.from_numpy(np.isin(columns["subject"], held))[recording]
    rows = (tested == (split == "test")).nonzero()[:, 0]
    recording, start = recording[rows], start[rows]
    windows = [series[n][at : at + length].T for n, at in zip(recording.tolist(), start.tolist(), strict=True)]
    x = torch.from_numpy(np.stack(windows).astype(np.float32))
    labels, subject, side = (torch.from_numpy(columns[name][recording]) for name in ("y", "subject", "side"))
    factors = {"subject": subject, "side": side, "recording": recording, "start": start}
    return Dataset("watch", x, labels, rows, CLASS_NAMES, factors, "series")


def _recordings(file: Path) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """The recordings (T, 6), and of each the exercise y, the subject and the side, int64 (140,)."""
    held: dict[str, Any] = unpickle(file, ["X", "y", "subject", "side"], "seglearn")
    try:
        series = [array(recorded, "<f8") for recorded in held.pop("X")]
        columns = {name: array(column, "<i8", "<f8").astype(np.int64) for name, column in held.items()}
        whole = all(x.ndim == 2 and x.shape[1] == 6 and len(x) >= SHORTEST and np.isfinite(x).all() for x in series)
        limits = {"y": (0, len(CLASS_NAMES) - 1), "subject": (1, SUBJECTS), "side": (0, 1)}
        within = all(set(columns[name]) == set(range(low, high + 1)) for name, (low, high) in limits.items())
        if not (whole and within and all(column.shape == (len(series),) for column in columns.values())):
            raise ValueError("other shapes or numbers")
    except Exception as error:  # anything can be in these places
        raise ValueError(
            f"{file} must hold recordings X (T, 6), T >= {SHORTEST}, with y, subject and side of each ({error}): "
            "delete it and get it again"
        ) from error
    return series, columns


WATCH = Published(
    "watch",
    (Layout(_read, dict.fromkeys(("train", "test"), (FILE,))),),
    folders=("seglearn/data", "watch", ""),
    advice="pip install --no-deps --target DATA_FOLDER seglearn==1.2.5 (11 MB), which has it in seglearn/data",
    licence="BSD-3, that of the package; none is stated for the recordings: cite arXiv 1802.01489",
)
