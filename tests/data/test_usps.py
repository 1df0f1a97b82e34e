"""USPS: digits, their grey levels and parts as published, and damaged files named."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from damage import Form, complaints

from cl_explore import data
from cl_explore.data import usps


def write(file: Path, digits: tuple[int, ...], levels: int = 256) -> None:
    grey = " ".join(f"{level:.3f}" for level in np.linspace(-1, 1, levels))
    file.write_bytes(gzip.compress("".join(f"{digit}.0000 {grey}\n" for digit in digits).encode(), mtime=0))


def test_usps_is_read_as_published(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usps, "COUNT", {"train": 2, "test": 1})
    write(own / "zip.train.gz", (6, 5))
    write(own / "zip.test.gz", (9,))
    train, test = (data.load("usps", split) for split in ("train", "test"))
    assert (train.labels.tolist(), test.labels.tolist()) == ([6, 5], [9])
    assert train.x.shape == (2, 1, 16, 16)
    assert (train.x.min(), train.x.max()) == (0, 1)
    write(own / "zip.test.gz", (1,), levels=2)
    with pytest.raises(ValueError, match=r"zip\.test\.gz must have 257 numbers a line, got 3"):
        data.load("usps", "test")


def test_damaged_or_missing_files_are_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"(?s)zip\.train\.gz.*hastie"):
        data.load("usps")
    monkeypatch.setattr(usps, "COUNT", {"train": 3, "test": 3})
    file = own / "zip.train.gz"
    write(file, (6, 6, 6))
    assert complaints(Form(file, lambda: data.load("usps").fingerprint(), 4), own) == []
    write(file, (6, 6))
    with pytest.raises(ValueError, match=r"zip\.train\.gz must have 3 lines, got 2: get it again"):
        data.load("usps")
