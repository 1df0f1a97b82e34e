"""Images decoded once: kept as one uint8 array on the disk, mapped into memory, and whole or not there at all."""

import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
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

from cl_explore.data.published import check_md5, writable

CHUNK = 512
"""Images decoded between two records of how far it got."""

Open = Callable[[], Image.Image]


class Pictures(NamedTuple):
    """Images somewhere: a text that changes whenever they do, their names, and a way to read them.

    `read(names)` yields (row in names, function that opens the image) for each, in the order that suits the source.
    """

    where: str
    fingerprint: str
    names: Callable[[], list[str]]
    read: Callable[[list[str]], Iterator[tuple[int, Open]]]


def decoded(pictures: Pictures, channels: int, size: int | None) -> tuple[Tensor, list[str]]:
    """The images (N, channels, H, W), uint8, mapped into memory, and their N names; decoded only the first time.

    size: None if all images have the same size; else the shorter side becomes `size` and the middle square is kept.
    An interrupted decoding goes on where it stopped; a second process waits for the first.

    Raises ValueError for an image that cannot be read or has another size than the first, OSError if the disk is full.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    folder = cache() / f"{pictures.fingerprint}-{channels}x{size or 'as-is'}"
    if not folder.exists():
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                _decode(pictures, folder, channels, size)
    images = np.load(folder / "images.npy", mmap_mode="c")
    return torch.from_numpy(images), json.loads((folder / "names.json").read_text())


def unpacked(archive: Path, md5: str, members: tuple[str, ...]) -> Path:
    """A folder with these plain files of a published tar archive, whose MD5 is checked; unpacked only the first time.

    Nothing else is unpacked, whatever the archive holds. ValueError if it is not the published one.
    """
    folder = cache() / f"{archive.name.partition('.')[0]}-{md5[:16]}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            check_md5(archive, md5)
            part = folder.with_suffix(".part")
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
    if data and writable(Path(data)):
        root = Path(data)
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cl_explore"
    try:
        (root / "decoded").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionError(
            f"decoded images cannot be kept in {root} ({error.strerror}): name a folder that can be written in "
            "CL_EXPLORE_DATA or XDG_CACHE_HOME"
        ) from error
    return root / "decoded"


def _decode(pictures: Pictures, folder: Path, channels: int, size: int | None) -> None:
    part = folder.with_suffix(".part")
    part.mkdir(exist_ok=True)
    names = pictures.names()
    if not names:
        raise FileNotFoundError(f"{pictures.where} holds no images")
    row, first = next(pictures.read(names))
    shape = _pixels(first, names[row], channels, size).shape
    each = int(np.prod(shape))
    record, file = part / "done.txt", part / "images.npy"
    done = int(record.read_text()) if record.exists() else 0
    if not done:
        room = shutil.disk_usage(part).free
        if room < len(names) * each:
            raise OSError(
                f"decoding {pictures.where} needs {len(names) * each / 1e9:.1f} GB in {folder.parent}, "
                f"which has {room / 1e9:.1f} GB: name a larger folder in CL_EXPLORE_DATA, or choose a smaller size"
            )
        with file.open("wb") as out:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(names), *shape)}
            np.lib.format.write_array_header_1_0(out, header)
    # plain writes, since a full disk kills a process that writes into a memory map
    with (
        file.open("r+b") as out,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(names), initial=done, desc=f"decoding {pictures.where}", unit="image", mininterval=1) as bar,
    ):
        np.lib.format.read_magic(out)
        np.lib.format.read_array_header_1_0(out)
        start = out.tell()
        waiting = islice(pictures.read(names), done, None)
        while chunk := list(islice(waiting, CHUNK)):
            rows, openers = zip(*chunk, strict=True)
            decoding = pool.map(lambda opener, row: _pixels(opener, names[row], channels, size), openers, rows)
            for row, image in zip(rows, decoding, strict=True):
                if image.shape != shape:
                    raise ValueError(
                        f"images must have one size, got {shape[1:]} and {image.shape[1:]} ({names[row]} in "
                        f"{pictures.where}): give the size that all should have, such as size=64"
                    )
                out.seek(start + row * each)
                out.write(image.tobytes())
            out.flush()
            os.fsync(out.fileno())
            done += len(chunk)
            record.with_suffix(".new").write_text(str(done))
            record.with_suffix(".new").replace(record)
            bar.update(len(chunk))
    if done != len(names):
        raise ValueError(f"{pictures.where} changed while it was read: {len(names)} images before, {done} after")
    (part / "names.json").write_text(json.dumps(names))
    record.unlink()
    part.rename(folder)


def _pixels(opener: Open, name: str, channels: int, size: int | None) -> np.ndarray:
    """The image as (channels, H, W), uint8."""
    try:
        with opener() as file:
            image = file.convert("RGB" if channels == 3 else "L")
    except Exception as error:  # a damaged image can raise anything
        raise ValueError(f"{name} cannot be read ({error}): delete this image or get it again") from error
    if size is not None and image.size != (size, size):
        width, height = image.size
        scale = size / min(width, height)
        shrunk = max(size, round(width * scale)), max(size, round(height * scale))
        image = image.resize(shrunk, Image.Resampling.BILINEAR)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image).reshape(image.height, image.width, channels).transpose(2, 0, 1)
