"""STL-10: larger photographs, few of them labelled and many not."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import unpacked
from cl_explore.data.published import Download, Layout, Published
from cl_explore.data.registry import dataset

COUNT = {"train": 5_000, "test": 8_000, "unlabelled": 100_000}
CLASS_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FILES = {
    "train": ("stl10_binary/train_X.bin", "stl10_binary/train_y.bin"),
    "test": ("stl10_binary/test_X.bin", "stl10_binary/test_y.bin"),
    "unlabelled": ("stl10_binary/unlabeled_X.bin",),
}
ARCHIVE = Download("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb")


@dataset
def stl10(split: str, download: bool = False, unlabelled: bool = False) -> Dataset:
    """Photographs (3, 96, 96), uint8: 5,000 train and 8,000 test of ten classes (Coates et al., AISTATS 2011).

    `unlabelled` gives the 100,000 images without labels instead (all -1; they also show other classes); these are the
    images to train on, so the split must be "train". Mapped into memory.
    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    if unlabelled and split != "train":
        raise ValueError(f"unlabelled images are for split 'train', got {split!r}")
    return STL10.load("unlabelled" if unlabelled else split, download)


def _read(folder: Path, part: str) -> Dataset:
    x = _images(folder / FILES[part][0], COUNT[part])
    labels = torch.full((len(x),), -1, device=x.device)
    if part != "unlabelled":
        file = folder / FILES[part][1]
        # the file counts from 1
        labels = torch.from_numpy(np.fromfile(file, np.uint8, count=len(x) + 1).astype(np.int64)) - 1
        if len(labels) != len(x) or labels.min() < 0 or labels.max() > 9:
            raise ValueError(f"{file} is damaged or half written: needed are {len(x)} bytes from 1 to 10")
    return Dataset("STL-10", x, labels, torch.arange(len(x), device=x.device), CLASS_NAMES)


def _read_archive(folder: Path, part: str) -> Dataset:
    members = tuple(file for files in FILES.values() for file in files)
    return _read(unpacked(folder / ARCHIVE.file, ARCHIVE.md5, members), part)


def _images(file: Path, count: int) -> Tensor:
    shape = (count, 3, 96, 96)
    if file.stat().st_size != np.prod(shape):
        raise ValueError(
            f"{file} is damaged or half written: needed are {np.prod(shape)} bytes, got {file.stat().st_size}; "
            "delete the file and get it again"
        )
    columns_first = np.memmap(file, np.uint8, mode="c", shape=shape)
    return torch.from_numpy(columns_first).transpose(2, 3)


STL10 = Published(
    "stl10",
    (Layout(_read, FILES), Layout(_read_archive, dict.fromkeys(FILES, (ARCHIVE.file,)))),
    folders=("", "stl10"),
    downloads=dict.fromkeys(FILES, (ARCHIVE,)),
    licence="see https://cs.stanford.edu/~acoates/stl10; cite Coates, Ng and Lee 2011",
)
