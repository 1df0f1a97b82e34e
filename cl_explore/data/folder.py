"""Images in class folders, as files or in an archive: any such collection becomes a data set."""

import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import takewhile
from lzma import LZMAError
from pathlib import Path, PurePosixPath

import torch
from PIL import Image

from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import Open, Pictures, decoded

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
BROKEN = (EOFError, LZMAError, OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error)


def from_folder(
    path: str | Path,
    *,
    size: int | None = None,
    channels: int = 3,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    inside: str = "",
) -> Dataset:
    """The images in class folders, `path/CLASS/.../*.jpg` or `.png`, as uint8 (N, channels, H, W), sorted by path.

    path: a folder, or a tar (gzip, bzip2, xz) or zip of one, whose images are read without unpacking it. Folders that
        all images of an archive share do not count as classes. Images outside class folders are unlabelled (-1).
    size: the side of the images (shorter side resized, middle square kept); None if they have one size already.
    channels: 3 for colour, 1 for grey. class_names: the folders in the order of their labels, sorted by default; hand
        the training part's to its test part, so that both count alike. inside: the part of an archive to read.

    Decoded once into a folder that later calls map into memory (see `data/README.md`). Raises FileNotFoundError if
    there is no image, ValueError for damaged images or archives, folders not in class_names, and unequal sizes.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise FileNotFoundError(f"path must be a folder or an archive of images, but {path} does not exist")
    images, names = decoded(pictures_in(path, inside), channels, size)
    folders = [file.split("/")[:-1] for file in names]
    if path.is_file():
        shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False)))
        folders = [parts[shared:] for parts in folders]
    found = sorted({parts[0] for parts in folders if parts})
    classes = list(found if class_names is None else class_names)
    if strange := sorted(set(found) - set(classes)):
        raise ValueError(f"class_names must hold every class folder of {path}, but {', '.join(strange[:5])} is missing")
    number = {folder: label for label, folder in enumerate(classes)}
    labels = torch.tensor([number[parts[0]] if parts else -1 for parts in folders])
    return Dataset(name or path.name, images, labels, torch.arange(len(labels)), tuple(classes))


def pictures_in(path: Path, inside: str = "") -> Pictures:
    """The images of a folder, a tar or a zip archive, below `inside`, named by their paths with forward slashes."""
    listing, read = _kind(path)

    def names() -> list[str]:
        with _whole(path):
            below = (PurePosixPath(name) for name in listing(path) if name.startswith(inside))
            # names with a leading dot are the notes that some systems leave beside each file
            return sorted(str(n) for n in below if n.suffix.lower() in SUFFIXES and not n.name.startswith("."))

    def contents(wanted: list[str]) -> Iterator[tuple[int, Open]]:
        with _whole(path):
            yield from read(path, {name: row for row, name in enumerate(wanted)})

    return Pictures(str(path), _fingerprint(path, inside), names, contents)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turns the many errors of damaged archives into one."""
    try:
        yield
    except BROKEN as error:
        if path.is_dir():
            raise
        raise ValueError(f"{path} is damaged or half written ({error}): get it again") from error


def _kind(path: Path) -> tuple[Callable[[Path], Iterator[str]], Callable[..., Iterator[tuple[int, Open]]]]:
    if path.is_dir():
        return _list_folder, _read_folder
    return (_list_zip, _read_zip) if zipfile.is_zipfile(path) else (_list_tar, _read_tar)


def _list_folder(path: Path) -> Iterator[str]:
    for folder, _, files in os.walk(path, followlinks=True):
        within = Path(folder).relative_to(path)
        yield from ((within / file).as_posix() for file in files)


def _read_folder(path: Path, rows: dict[str, int]) -> Iterator[tuple[int, Open]]:
    for name, row in rows.items():
        yield row, partial(Image.open, path / name)


def _list_tar(path: Path) -> Iterator[str]:
    with tarfile.open(path) as tar:
        yield from (entry.name for entry in tar if entry.isfile())


def _read_tar(path: Path, rows: dict[str, int]) -> Iterator[tuple[int, Open]]:
    with tarfile.open(path) as tar:
        for entry in tar:
            if entry.isfile() and entry.name in rows and (content := tar.extractfile(entry)) is not None:
                yield rows[entry.name], partial(Image.open, BytesIO(content.read()))


def _list_zip(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        yield from archive.namelist()


def _read_zip(path: Path, rows: dict[str, int]) -> Iterator[tuple[int, Open]]:
    with zipfile.ZipFile(path) as archive:
        for name, row in rows.items():
            yield row, partial(Image.open, BytesIO(archive.read(name)))


def _fingerprint(path: Path, inside: str) -> str:
    """16 hexadecimal digits that change with any file's name, size or time of change."""
    digest = hashlib.sha256(inside.encode())
    for name in sorted(_list_folder(path)) if path.is_dir() else [""]:
        about = os.stat(path / name)
        digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return f"{path.name.partition('.')[0]}-{digest.hexdigest()[:16]}"
