"""CIFAR-10 and CIFAR-100: small photographs, from the original batches or from JPEG copies in class folders."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import unpacked
from cl_explore.data.folder import from_folder
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
NUMPY: dict[str, Any] = {"ndarray": np.ndarray, "dtype": np.dtype, "_reconstruct": np.empty(0).__reduce__()[0]}


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
    x, columns = _join([folder / file for file in CIFAR10_BATCHES[split]], split, b"labels")
    return Dataset("CIFAR-10", x, columns[b"labels"], torch.arange(len(x)), CIFAR10_CLASSES)


def _read_cifar100(folder: Path, split: str) -> Dataset:
    x, columns = _join([folder / file for file in CIFAR100_BATCHES[split]], split, b"fine_labels", b"coarse_labels")
    names = _unpickle(folder / CIFAR100_NAMES, [b"fine_label_names"])[b"fine_label_names"]
    class_names, factors = tuple(name.decode() for name in names), {"superclass": columns[b"coarse_labels"]}
    return Dataset("CIFAR-100", x, columns[b"fine_labels"], torch.arange(len(x)), class_names, factors)


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


def _join(files: list[Path], split: str, *columns: bytes) -> tuple[torch.Tensor, dict[bytes, torch.Tensor]]:
    batches = [_unpickle(file, [b"data", *columns]) for file in files]
    x = np.concatenate([batch[b"data"] for batch in batches])
    numbers = {name: torch.tensor([label for batch in batches for label in batch[name]]) for name in columns}
    if x.dtype != np.uint8 or x.shape != (COUNT[split], 3072) or any(len(n) != len(x) for n in numbers.values()):
        counts = ", ".join(str(len(n)) for n in numbers.values())
        raise ValueError(
            f"{files[0].parent} must hold {COUNT[split]} {split} images of 3072 bytes with labels, got {x.dtype} of "
            f"{x.shape} and {counts} labels: delete the folder and get it again"
        )
    return torch.from_numpy(x).view(-1, 3, 32, 32), numbers


class _OnlyArrays(pickle.Unpickler):
    """Unpickles lists, dicts, texts and numeric arrays, and refuses everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in NUMPY:
            return NUMPY[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file needs")


def _unpickle(file: Path, needed: list[bytes]) -> dict[bytes, Any]:
    try:
        with file.open("rb") as content:
            batch = _OnlyArrays(content, encoding="bytes").load()
        if not isinstance(batch, dict) or (lacking := set(needed) - batch.keys()):
            raise ValueError(f"it lacks {lacking if isinstance(batch, dict) else 'everything'}")
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{file} is damaged or not a CIFAR file ({error}): delete it and get it again") from error
    return batch


CIFAR10 = Published(
    "cifar10",
    (
        Layout(_read_cifar10, CIFAR10_BATCHES),
        Layout(_read_cifar10_archive, dict.fromkeys(COUNT, (CIFAR10_ARCHIVE.file,))),
        Layout(_read_jpeg, {split: (f"cifar10-jpeg-{split}.tar.xz",) for split in COUNT}),
    ),
    folders=("", "cifar10"),
    downloads=dict.fromkeys(COUNT, (CIFAR10_ARCHIVE,)),
)
CIFAR100 = Published(
    "cifar100",
    (
        Layout(_read_cifar100, {split: (*files, CIFAR100_NAMES) for split, files in CIFAR100_BATCHES.items()}),
        Layout(_read_cifar100_archive, dict.fromkeys(COUNT, (CIFAR100_ARCHIVE.file,))),
    ),
    folders=("", "cifar100"),
    downloads=dict.fromkeys(COUNT, (CIFAR100_ARCHIVE,)),
)
