"""Fashion-MNIST: real pictures of clothes, read from the original files wherever these already are."""

import gzip
import hashlib
import http.client
import math
import os
import struct
import urllib.request
import zlib
from pathlib import Path

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.registry import dataset

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # as published by Zalando; it has no https
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLONE = Path(__file__).resolve().parents[2]  # notebooks run one folder below it, where ./data would be another
CLASS_NAMES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FILES = {
    "train": {
        "train-images-idx3-ubyte.gz": (60_000, 28, 28),
        "train-labels-idx1-ubyte.gz": (60_000,),
    },
    "test": {
        "t10k-images-idx3-ubyte.gz": (10_000, 28, 28),
        "t10k-labels-idx1-ubyte.gz": (10_000,),
    },
}
# Of the unpacked contents: copies of the same data (Debian's, say) carry other gzip headers.
SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


@dataset
def fashion_mnist(split: str, download: bool = False) -> Dataset:
    """70,000 images (1, 28, 28) of ten kinds of clothing, uint8: 60,000 train, 10,000 test (Xiao et al., 1708.07747).

    Looked for in $CL_EXPLORE_DATA/fashion_mnist, in data/fashion_mnist of the working folder and of the clone, and in
    Debian's dataset-fashion-mnist. If it is nowhere, `download=True` fetches it (30 MB, checksums verified) into
    $CL_EXPLORE_DATA or data.

    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    files = FILES[split]
    places = [*own_places(), DEBIAN]
    folder = next((place for place in places if all((place / file).exists() for file in files)), None)
    if folder is None and download:
        folder = _writable(own_places())
        for file in files:
            _download(file, folder)
    if folder is None:
        looked = "\n".join(f"  {place}: {_missing(place, files)}" for place in places)
        raise FileNotFoundError(
            f"fashion_mnist ({split}) was not found; looked in\n{looked}\n"
            "Three ways to get it: install Debian's package (apt install dataset-fashion-mnist); put the four files of "
            f"{URL} into a folder fashion_mnist in ./data or $CL_EXPLORE_DATA; "
            "or allow the download: load('fashion_mnist', download=True)"
        )
    images, labels = (read_idx(folder / file, shape) for file, shape in files.items())
    return Dataset("fashion_mnist", images[:, None], labels.long(), torch.arange(len(labels)), CLASS_NAMES)


def own_places() -> list[Path]:
    """Where users keep their data; FileNotFoundError if $CL_EXPLORE_DATA is set but is no folder."""
    root = os.environ.get("CL_EXPLORE_DATA")
    if root and not Path(root).is_dir():
        raise FileNotFoundError(f"CL_EXPLORE_DATA is {root!r}, which is not a folder: create it or unset the variable")
    roots = [Path(root)] if root else []
    roots.append(Path("data").absolute())
    if (CLONE / "pyproject.toml").exists():
        roots.append(CLONE / "data")
    return [place / "fashion_mnist" for place in dict.fromkeys(roots)]


def read_idx(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The uint8 tensor of a gzipped idx file; ValueError if the file is damaged or holds another shape."""
    # two zero bytes, 8 for uint8, the number of dimensions; then each dimension as a big-endian int32
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    size = len(header) + math.prod(shape)
    try:
        content = gzip.decompress(path.read_bytes())
        found = f"{len(content)} bytes that start with {content[: len(header)].hex(' ')}"
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        content, found = b"", str(error)
    if len(content) != size or not content.startswith(header):
        raise ValueError(
            f"{path} is damaged or half written: needed are {size} gzipped bytes that start with {header.hex(' ')}, "
            f"got {found}; delete the file and get it again"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=len(header)).reshape(shape)


def _missing(place: Path, files: dict[str, tuple[int, ...]]) -> str:
    if not place.is_dir():
        return "no such folder"
    return f"without {' and '.join(file for file in files if not (place / file).exists())}"


def _writable(places: list[Path]) -> Path:
    for place in sorted(places, key=lambda place: not place.parent.is_dir()):  # rather into a data folder that is there
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    raise PermissionError(f"no folder to download into: {' and '.join(map(str, places))} cannot be written")


def _download(file: str, folder: Path) -> None:
    if (folder / file).exists():
        return
    try:
        with urllib.request.urlopen(URL + file, timeout=60) as response:
            packed = response.read()
    except (OSError, http.client.HTTPException) as error:  # the latter if the connection breaks off
        raise ConnectionError(f"{URL + file} could not be downloaded: {error}") from error
    try:
        found = hashlib.sha256(gzip.decompress(packed)).hexdigest()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        found = str(error)
    if found != SHA256[file]:
        raise ValueError(f"{URL + file} arrived damaged: its contents have sha256 {found}, needed is {SHA256[file]}")
    # written aside and renamed, so that no half-written file ever has the final name
    aside = folder / f"{file}.{os.getpid()}.part"
    try:
        aside.write_bytes(packed)
        aside.replace(folder / file)
    finally:
        aside.unlink(missing_ok=True)
