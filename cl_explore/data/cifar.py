"""CIFAR-10 and CIFAR-100: small photographs, from the original batches or from JPEG copies in class folders."""

from pathlib import Path

import numpy as np
import torch

from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import unpacked
from cl_explore.data.folder import from_folder
from cl_explore.data.pickles import byte_rows, unpickle
from cl_explore.data.published import Download, Layout, Published
from cl_explore.data.registry import dataset

COUNT = {"train": 50_000, "test": 10_000}
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR10_BATCHES = {
    "train": tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)),
    "test": ("cifar-10-batches-py/test_batch",),
}
CIFAR100_BATCHES = {"train": ("cifar-100-python/train",), "test": ("cifar-100-python/test",)}
CIFAR100_NAMES = "cifar-100-python/meta"
CIFAR10_ARCHIVE = Download(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"
)
CIFAR100_ARCHIVE = Download(
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"
)


@dataset
def cifar10(split: str, download: bool = False) -> Dataset:
    """60,000 photographs (3, 32, 32) of ten classes, uint8: 50,000 train, 10,000 test (Krizhevsky, 2009).

    Read from the batches for Python, unpacked or not, else from JPEG copies, `cifar10-jpeg-train.tar.xz`: these are
    lossy, so the data set is then called "CIFAR-10 (JPEG)" and not "CIFAR-10".

    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    return CIFAR10.load(split, download)


@dataset
def cifar100(split: str, download: bool = False) -> Dataset:
    """60,000 photographs (3, 32, 32) of 100 classes, uint8: 50,000 train, 10,000 test (Krizhevsky, 2009).

    The factor `superclass` (N,) is the published coarse label, 0 .. 19; each has five classes.
    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    return CIFAR100.load(split, download)


def _read_cifar10(folder: Path, split: str) -> Dataset:
    x, columns = _join([folder / file for file in CIFAR10_BATCHES[split]], split, labels=len(CIFAR10_CLASSES))
    return Dataset("CIFAR-10", x, columns["labels"], torch.arange(len(x), device=x.device), CIFAR10_CLASSES)


def _read_cifar100(folder: Path, split: str) -> Dataset:
    files = [folder / file for file in CIFAR100_BATCHES[split]]
    x, columns = _join(files, split, fine_labels=100, coarse_labels=20)
    names = unpickle(folder / CIFAR100_NAMES, ["fine_label_names"])["fine_label_names"]
    if not isinstance(names, list) or len(names) != 100 or not all(isinstance(name, bytes) for name in names):
        raise ValueError(f"{folder / CIFAR100_NAMES} must hold 100 names of classes: delete it and get it again")
    class_names = tuple(name.decode() for name in names)
    index, factors = torch.arange(len(x), device=x.device), {"superclass": columns["coarse_labels"]}
    return Dataset("CIFAR-100", x, columns["fine_labels"], index, class_names, factors)


def _read_jpeg(folder: Path, split: str) -> Dataset:
    archive = folder / f"cifar10-jpeg-{split}.tar.xz"
    images = from_folder(archive, class_names=CIFAR10_CLASSES, name="CIFAR-10 (JPEG)")
    if images.x.shape != (COUNT[split], 3, 32, 32) or images.labels.min() < 0:
        need = f"{COUNT[split]} images of (3, 32, 32) in class folders"
        raise ValueError(f"{archive} must hold {need}, got {tuple(images.x.shape)}: get it again")
    return images


def _read_cifar10_archive(folder: Path, split: str) -> Dataset:
    members = CIFAR10_BATCHES["train"] + CIFAR10_BATCHES["test"]
    return _read_cifar10(unpacked(folder / CIFAR10_ARCHIVE.file, CIFAR10_ARCHIVE.md5, members), split)


def _read_cifar100_archive(folder: Path, split: str) -> Dataset:
    members = (*CIFAR100_BATCHES["train"], *CIFAR100_BATCHES["test"], CIFAR100_NAMES)
    return _read_cifar100(unpacked(folder / CIFAR100_ARCHIVE.file, CIFAR100_ARCHIVE.md5, members), split)


def _join(files: list[Path], split: str, **columns: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The images (N, 3, 32, 32) of these files, and columns of labels (N,), by name with how many classes it has."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("data", *columns)}
    for file in files:
        batch = unpickle(file, list(parts))
        rows = byte_rows(batch["data"], file)
        parts["data"].append(rows)
        for name, classes in columns.items():
            numbers = batch[name]
            if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < classes for n in numbers):
                raise ValueError(f"{file} must hold {name} in [0, {classes}): delete it and get it again")
            if len(numbers) != len(rows):
                raise ValueError(f"{file} must hold {len(rows)} {name}, got {len(numbers)}: delete it and get it again")
            parts[name].append(np.array(numbers, np.int64))
    joined = {name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in parts.items()}
    x = joined.pop("data")
    if x.shape != (COUNT[split], 3072):
        raise ValueError(
            f"{files[0].parent} must hold {COUNT[split]} {split} images of 3072 bytes with labels, got uint8 of "
            f"{tuple(x.shape)} and {len(x)} labels: delete the folder and get it again"
        )
    return x.view(-1, 3, 32, 32), joined


NO_LICENCE = "none is stated; cite Krizhevsky 2009, Learning multiple layers of features from tiny images"
CIFAR10 = Published(
    "cifar10",
    (
        Layout(_read_cifar10, CIFAR10_BATCHES),
        Layout(_read_cifar10_archive, dict.fromkeys(COUNT, (CIFAR10_ARCHIVE.file,))),
        Layout(_read_jpeg, {split: (f"cifar10-jpeg-{split}.tar.xz",) for split in COUNT}),
    ),
    folders=("", "cifar10"),
    downloads=dict.fromkeys(COUNT, (CIFAR10_ARCHIVE,)),
    licence=NO_LICENCE,
)
CIFAR100 = Published(
    "cifar100",
    (
        Layout(_read_cifar100, {split: (*files, CIFAR100_NAMES) for split, files in CIFAR100_BATCHES.items()}),
        Layout(_read_cifar100_archive, dict.fromkeys(COUNT, (CIFAR100_ARCHIVE.file,))),
    ),
    folders=("", "cifar100"),
    downloads=dict.fromkeys(COUNT, (CIFAR100_ARCHIVE,)),
    licence=NO_LICENCE,
)
