"""MNIST and Fashion-MNIST: digits and clothes, read from the original idx files wherever these already are."""

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.published import Download, Layout, Published
from cl_explore.data.registry import dataset

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # PyTorch's mirror; the authors' page is closed
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # as published by Zalando; it has no https
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLOTHES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
COUNT = {"train": 60_000, "test": 10_000}


@dataset
def mnist(split: str, download: bool = False) -> Dataset:
    """70,000 handwritten digits (1, 28, 28), uint8: 60,000 train, 10,000 test (LeCun et al., 1998).

    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    return MNIST.load(split, download)


@dataset
def fashion_mnist(split: str, download: bool = False) -> Dataset:
    """70,000 images (1, 28, 28) of ten kinds of clothing, uint8: 60,000 train, 10,000 test (Xiao et al., 1708.07747).

    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    return FASHION_MNIST.load(split, download)


def read_idx(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The uint8 tensor of an idx file, gzipped or not; ValueError if it is damaged or holds another shape."""
    # two zero bytes, 8 for uint8, the number of dimensions; then each dimension as a big-endian int32
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    size = len(header) + math.prod(shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(size + 1)  # no more, whatever a packed file may unpack to
        found = f"{len(content)} bytes that start with {content[: len(header)].hex(' ')}"
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        content, found = b"", str(error)
    if len(content) != size or not content.startswith(header):
        raise ValueError(
            f"{path} is damaged or half written: needed are {size} unpacked bytes that start with {header.hex(' ')}, "
            f"got {found}; delete the file and get it again"
        )
    return torch.from_numpy(np.frombuffer(bytearray(content), np.uint8, offset=len(header)).reshape(shape))


def _reader(name: str, class_names: tuple[str, ...], suffix: str) -> Callable[[Path, str], Dataset]:
    def read(folder: Path, split: str) -> Dataset:
        images, labels = (folder / file.removesuffix(suffix) for file in FILES[split])
        x, y = read_idx(images, (COUNT[split], 28, 28)), read_idx(labels, (COUNT[split],))
        return Dataset(name, x[:, None], y.long(), torch.arange(len(y), device=y.device), class_names)

    return read


def _layouts(name: str, class_names: tuple[str, ...]) -> tuple[Layout, ...]:
    bare = {split: tuple(file.removesuffix(".gz") for file in files) for split, files in FILES.items()}
    return Layout(_reader(name, class_names, ""), FILES), Layout(_reader(name, class_names, ".gz"), bare)


def _downloads(url: str, *md5: str) -> dict[str, tuple[Download, ...]]:
    checked = iter(md5)
    return {split: tuple(Download(url + file, next(checked)) for file in files) for split, files in FILES.items()}


MNIST = Published(
    "mnist",
    _layouts("MNIST", tuple("0123456789")),
    folders=("mnist", "MNIST/raw"),
    downloads=_downloads(
        MNIST_URL,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    licence="see the source, http://yann.lecun.com/exdb/mnist; cite LeCun et al. 1998",
)
FASHION_MNIST = Published(
    "fashion_mnist",
    _layouts("fashion_mnist", CLOTHES),
    folders=("fashion_mnist", "FashionMNIST/raw"),
    downloads=_downloads(
        FASHION_URL,
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    elsewhere=(DEBIAN,),
    advice="install Debian's package: apt install dataset-fashion-mnist",
    licence="MIT",
)
