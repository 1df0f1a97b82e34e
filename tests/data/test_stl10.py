"""STL-10: columns first, classes from 1, and many images without labels."""

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cl_explore import data
from cl_explore.data import stl10
from cl_explore.data.published import Download


@pytest.fixture
def binary(own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images a part; in each, the pixel of row 2 and column 90 is bright."""
    pixels = np.zeros((3, 3, 96, 96), np.uint8)
    pixels[:, :, 90, 2] = 255  # the files go down the columns
    for part, (images, *labels) in stl10.FILES.items():
        monkeypatch.setitem(stl10.COUNT, part, 3)
        (own / images).parent.mkdir(exist_ok=True)
        (own / images).write_bytes(pixels.tobytes())
        for file in labels:
            (own / file).write_bytes(bytes([1, 10, 2]))
    return own / "stl10_binary"


def test_rows_columns_and_classes_are_turned_right(binary: Path) -> None:
    train = data.load("stl10")
    assert train.x.shape == (3, 3, 96, 96)
    assert (train.x[:, :, 2, 90] == 255).all()
    assert train.x.count_nonzero() == 9
    assert train.labels.tolist() == [0, 9, 1]
    assert train.class_names[9] == "truck"
    assert data.load("stl10", "test").fingerprint() == train.fingerprint()
    assert torch.equal(train.batch(torch.tensor([1])).x[0, 0].nonzero()[0], torch.tensor([2, 90]))


def test_unlabelled_images_are_for_training(binary: Path) -> None:
    assert data.load("stl10", unlabelled=True).labels.tolist() == [-1, -1, -1]
    with pytest.raises(ValueError, match="unlabelled images are for split 'train', got 'test'"):
        data.load("stl10", "test", unlabelled=True)


def test_the_archive_reads_like_the_folder(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = data.load("stl10").fingerprint()
    with tarfile.open(binary.parent / "stl10_binary.tar.gz", "w:gz") as tar:
        tar.add(binary, "stl10_binary")
    binary.rename(binary.parent / "hidden")
    with pytest.raises(ValueError, match="its md5 is"):
        data.load("stl10")
    digest = hashlib.md5((binary.parent / "stl10_binary.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(stl10, "ARCHIVE", Download(stl10.ARCHIVE.url, digest))
    assert data.load("stl10").fingerprint() == wanted
    assert len(data.load("stl10", unlabelled=True)) == 3


def test_half_written_files_are_refused(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (binary / "test_X.bin").write_bytes(bytes(1000))
    with pytest.raises(ValueError, match=r"test_X.bin is damaged or half written: needed are 82944 bytes, got 1000"):
        data.load("stl10", "test")
    (binary / "train_y.bin").write_bytes(bytes([1, 0, 2]))
    with pytest.raises(ValueError, match=r"train_y.bin is damaged or half written: needed are 3 bytes from 1 to 10"):
        data.load("stl10")
    (binary / "train_y.bin").unlink()
    monkeypatch.setattr(stl10, "STL10", replace(stl10.STL10, folders=("",)))
    with pytest.raises(FileNotFoundError, match=r"has stl10_binary/train_X.bin but not stl10_binary/train_y.bin"):
        data.load("stl10")
