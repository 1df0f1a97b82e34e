"""Images decoded once: kept as one uint8 array on the disk, mapped into memory, and whole or not there at all."""

import hashlib
import json
import math
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from cl_explore.data.pixels import pixels
from cl_explore.data.published import check_md5, writable
from cl_explore.disk import user_cache

FORM = 2
"""Counts the ways in which images were decoded: what was kept in another is not used."""
CHUNK = 512
"""Images decoded between two records of how far it got."""

Open = Callable[[], Image.Image]


class Pictures(NamedTuple):
    """Images somewhere.

    where: how errors call the place.
    source: a text that stays while the images there change.
    version: a text that changes whenever they do.
    marks: gives their names, each with a text that changes when this image does.
    read: yields each of some names with a function that opens the image, in the order that suits the source.
    """

    where: str
    source: str
    version: str
    marks: Callable[[], dict[str, str]]
    read: Callable[[Collection[str]], Iterator[tuple[str, Open]]]


class Kept(NamedTuple):
    """What a folder of the cache holds: images (N, C, H, W), their names and marks, and which rows are written."""

    images: np.ndarray
    marks: dict[str, str]
    written: np.ndarray


def decoded(pictures: Pictures, channels: int, size: int | None) -> tuple[Tensor, list[str]]:
    """The images (N, channels, H, W), uint8, mapped into memory, and their N names; decoded only the first time.

    size: None if all images have the same size; else the shorter side becomes `size` and the middle square is kept.
    An interrupted decoding goes on where it stopped, and of a source that changed only what is new is decoded; a second
    process waits for the first.

    Raises ValueError for an image that cannot be read or has another size than the first, OSError if the disk is full.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    about = f"{FORM}\0{pictures.source}\0{channels}x{size}".encode("utf-8", "surrogateescape")
    label = re.sub(r"[^A-Za-z0-9]+", "-", Path(pictures.where).name)[:40]
    source = f"{label}-{hashlib.sha256(about).hexdigest()[:16]}"
    folder = cache() / f"{source}-{pictures.version}"
    if (kept := _whole(folder)) is None:
        with FileLock(folder.parent / f"{source}.lock"):
            if (kept := _whole(folder)) is None:
                shutil.rmtree(folder, ignore_errors=True)  # damaged
                earlier = [path for path in folder.parent.glob(f"{source}-*") if path.is_dir()]
                _decode(pictures, part := Path(f"{folder}.part"), channels, size, earlier)
                part.rename(folder)  # here, since Windows renames nothing that is mapped into memory
                for path in earlier:
                    shutil.rmtree(path, ignore_errors=True)
                kept = _whole(folder)
    if kept is None:
        raise OSError(f"{folder} does not hold what was written: is the disk sound?")
    return torch.from_numpy(kept.images), list(kept.marks)


def unpacked(archive: Path, md5: str, members: tuple[str, ...]) -> Path:
    """A folder with these plain files of a published tar archive, whose MD5 is checked; unpacked only the first time.

    Nothing else is unpacked, whatever the archive holds. ValueError if it is not the published one.
    """
    folder = cache() / f"{archive.name.partition('.')[0]}-{md5[:16]}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            check_md5(archive, md5)
            part = Path(f"{folder}.part")
            shutil.rmtree(part, ignore_errors=True)
            with tarfile.open(archive) as tar:
                for entry in tqdm(tar, desc=f"unpacking {archive.name}", unit="file"):
                    if entry.isfile() and entry.name in members and (content := tar.extractfile(entry)) is not None:
                        (part / entry.name).parent.mkdir(parents=True, exist_ok=True)
                        with (part / entry.name).open("wb") as file:
                            shutil.copyfileobj(content, file, 2**20)
                            os.fsync(file.fileno())
            part.rename(folder)
    return folder


def cache() -> Path:
    """Where decoded images are kept: in $CL_EXPLORE_DATA unless it is read-only, else in the user's cache."""
    data = os.environ.get("CL_EXPLORE_DATA")
    root = Path(data) if data and writable(Path(data)) else user_cache()
    try:
        (root / "decoded").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionError(
            f"decoded images cannot be kept in {root} ({error.strerror}): name a folder that can be written in "
            "CL_EXPLORE_DATA or XDG_CACHE_HOME"
        ) from error
    return root / "decoded"


def _kept(folder: Path) -> Kept | None:
    """What is in a folder of the cache; None if there is none, or its parts do not fit each other."""
    try:
        digest, _, text = (folder / "marks.json").read_text(encoding="utf-8").partition("\n")
        marks: dict[str, str] = json.loads(text) if digest == hashlib.sha256(text.encode()).hexdigest() else {}
        images = np.lib.format.open_memmap(folder / "images.npy", mode="c")
        written = np.fromfile(folder / "written.bin", np.uint8)
    except Exception:  # a damaged file can raise anything
        return None
    fit = images.dtype == np.uint8 and images.ndim == 4 and images.flags.c_contiguous
    return Kept(images, marks, written) if fit and len(images) == len(marks) == len(written) else None


def _whole(folder: Path) -> Kept | None:
    kept = _kept(folder)
    return kept if kept is not None and kept.written.all() else None


def _decode(pictures: Pictures, part: Path, channels: int, size: int | None, earlier: list[Path]) -> None:
    """Fill the folder, with what earlier versions of it hold, else from the images."""
    marks = pictures.marks()
    if not marks:
        raise FileNotFoundError(f"{pictures.where} holds no images")
    row = {name: place for place, name in enumerate(marks)}
    found = [kept for path in earlier if (kept := _kept(path)) is not None]
    have = {
        name: image
        for kept in found
        for (name, mark), image, done in zip(kept.marks.items(), np.asarray(kept.images), kept.written, strict=True)
        if done and marks.get(name) == mark
    }
    lacking = [name for name in marks if name not in have]
    if lacking:
        name, opener = next(pictures.read(lacking))
        shape = _pixels(opener, name, channels, size).shape
    else:
        shape = next(iter(have.values())).shape
    own = _kept(part)
    if own is None or own.images.shape != (len(marks), *shape) or own.marks != marks:
        own = _begun(part, marks, shape, pictures.where)
    written, each = own.written, math.prod(shape)
    ready = [(name, image) for name, image in have.items() if image.shape == shape and not written[row[name]]]
    # plain writes, since a full disk kills a process that writes into a memory map
    with (
        (part / "images.npy").open("r+b") as out,
        (part / "written.bin").open("r+b") as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(
            total=len(marks), initial=int(written.sum()), desc=f"decoding {pictures.where}", unit="image", mininterval=1
        ) as bar,
    ):
        np.lib.format.read_magic(out)
        np.lib.format.read_array_header_1_0(out)
        start = out.tell()
        bar.update(int(written.sum()))

        def keep(images: Iterable[tuple[str, np.ndarray]]) -> None:
            places = []
            for name, image in images:
                if image.shape != shape:
                    raise ValueError(
                        f"images must have one size, got {shape[1:]} and {image.shape[1:]} ({name} in "
                        f"{pictures.where}): give the size that all should have, such as size=64"
                    )
                places.append(row[name])
                out.seek(start + row[name] * each)
                out.write(image.tobytes())
            out.flush()
            os.fsync(out.fileno())
            for place in places:
                progress.seek(place)
                progress.write(b"\1")
            progress.flush()
            os.fsync(progress.fileno())
            written[places] = 1
            bar.update(len(places))

        keep(ready)
        waiting = pictures.read([name for name in marks if not written[row[name]]])
        while chunk := list(islice(waiting, CHUNK)):
            names, openers = zip(*chunk, strict=True)
            decoding = pool.map(lambda opener, name: _pixels(opener, name, channels, size), openers, names)
            keep(zip(names, decoding, strict=True))
    if not written.all():
        missing = len(marks) - int(written.sum())
        raise ValueError(f"{pictures.where} changed while it was read: {missing} of {len(marks)} images are gone")


def _begun(part: Path, marks: dict[str, str], shape: tuple[int, ...], where: str) -> Kept:
    """A new folder of the cache in which no row is written."""
    shutil.rmtree(part, ignore_errors=True)
    need, room = len(marks) * math.prod(shape), shutil.disk_usage(part.parent).free
    if room < need:
        raise OSError(
            f"decoding {where} needs {need / 1e9:.1f} GB in {part.parent}, which has {room / 1e9:.1f} GB: name a "
            "larger folder in CL_EXPLORE_DATA, or choose a smaller size"
        )
    part.mkdir()
    text = json.dumps(marks)
    (part / "marks.json").write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")
    (part / "written.bin").write_bytes(bytes(len(marks)))
    with (part / "images.npy").open("wb") as out:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(marks), *shape)}
        np.lib.format.write_array_header_1_0(out, header)
        out.truncate(out.tell() + need)
    begun = _kept(part)
    assert begun is not None
    return begun


def _pixels(opener: Open, name: str, channels: int, size: int | None) -> np.ndarray:
    """The image as (channels, H, W), uint8."""
    try:
        with opener() as image:
            return pixels(image, channels, size)
    except Exception as error:  # a damaged image can raise anything
        raise ValueError(f"{name} cannot be read ({error}): delete this image or get it again") from error
