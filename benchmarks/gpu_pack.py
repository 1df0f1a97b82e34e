"""CIFAR as a few JPEG sheets, for a machine that it must travel to through a narrow door.

    python benchmarks/gpu_pack.py cifar100 FOLDER

writes FOLDER/cifar100.tar (4:4:4, quality 95) and beside it cifar100.txt, a line that says how far the pixels are from
those read: it is quoted with every figure. In the archive are NAME/classes.csv (label, name) and NAME/SPLIT/CLASS.jpg
or CLASS-0.jpg, CLASS-1.jpg, ...: the images of a class row by row in a grid, whose last cells may be empty.
"""

import argparse
import csv
import io
import math
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cl_explore import data
from cl_explore.data.cifar import COUNT

SIDE = 32
QUALITY = 95
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
Pixels = NDArray[np.uint8]


def sheet(images: Pixels) -> Pixels:
    """Images (n, 32, 32, 3) in a grid as square as can be, its last cells black."""
    wide = math.ceil(math.sqrt(len(images)))
    high = math.ceil(len(images) / wide)
    grid = np.zeros((high * wide, SIDE, SIDE, 3), np.uint8)
    grid[: len(images)] = images
    return grid.reshape(high, wide, SIDE, SIDE, 3).swapaxes(1, 2).reshape(high * SIDE, wide * SIDE, 3)


def cells(content: bytes) -> Pixels:
    """The images (n, 32, 32, 3) of a sheet, empty cells too."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    high, wide = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    return pixels.reshape(high, SIDE, wide, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)


def jpeg(pixels: Pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return content.getvalue()


def pack(name: str, folder: Path) -> Path:
    """Write the sheets of both splits, and the line beside them; returns the archive."""
    path, squared, count = folder / f"{name}.tar", 0.0, 0
    with tarfile.open(path, "w") as archive:

        def add(member: str, content: bytes) -> None:
            entry = tarfile.TarInfo(f"{name}/{member}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        for split in COUNT:
            whole = data.load(name, split)
            images = whole.x.permute(0, 2, 3, 1).numpy()
            if split == "train":
                add("classes.csv", "".join(f"{row}\r\n" for row in ["label,name", *_rows(whole)]).encode())
            for label, kind in enumerate(whole.class_names):
                own = images[(whole.labels == label).numpy()]
                content = jpeg(sheet(own))
                squared += float(np.square(cells(content)[: len(own)].astype(float) - own).sum())
                count += own.size
                add(f"{split}/{kind}.jpg", content)
    psnr = 10 * math.log10(255**2 / (squared / count))
    line = f"JPEG 4:4:4, quality {QUALITY}, PSNR {psnr:.1f} dB"
    path.with_suffix(".txt").write_text(f"{line}{_before(name)}\n")
    return path


def _rows(whole: data.Dataset) -> list[str]:
    return [f"{label},{kind}" for label, kind in enumerate(whole.class_names)]


def _before(name: str) -> str:
    """Of pixels that were not the published ones already."""
    found = data.load(name, "test").name
    return "" if found == TITLES[name] else f" from {found}"


def load(name: str, split: str) -> data.Dataset:
    """CIFAR from sheets in $CL_EXPLORE_DATA if there are some, named by what was lost; else as `data.load` finds it.

    ValueError if the archive does not hold all images.
    """
    path = Path(os.environ.get("CL_EXPLORE_DATA", ".")) / f"{name}.tar"
    if not path.is_file():
        return data.load(name, split)
    with tarfile.open(path) as archive:
        files = {
            entry.name.removeprefix(f"{name}/"): content.read()
            for entry in archive
            if entry.isfile() and (content := archive.extractfile(entry)) is not None
        }
    kinds = [row[1] for row in list(csv.reader(files["classes.csv"].decode().splitlines()))[1:]]
    each = COUNT[split] // len(kinds)
    parts: list[Pixels] = []
    for kind in kinds:
        of_kind = re.compile(rf"{split}/{re.escape(kind)}(-(\d+))?\.jpg")
        sheets = sorted((int(match[2] or 0), match[0]) for match in map(of_kind.fullmatch, files) if match)
        own = [cells(files[member])[: each // len(sheets)] for _, member in sheets]
        if sum(map(len, own)) != each:
            raise ValueError(f"{path} must hold {each} {split} images of {kind}, got {sum(map(len, own))}")
        parts += own
    x = torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2).contiguous()
    lost = path.with_suffix(".txt")
    said = lost.read_text().strip() if lost.exists() else "JPEG, PSNR not stated"
    labels = torch.arange(len(kinds)).repeat_interleave(each)
    return data.Dataset(f"{TITLES[name]} ({said})", x, labels, torch.arange(len(x)), tuple(kinds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(TITLES))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    path = pack(options.name, options.folder)
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, {path.with_suffix('.txt').read_text().strip()}")


if __name__ == "__main__":
    main()
