"""Images in class folders, as files or in an archive: any such collection becomes a data set."""

import unicodedata
from collections.abc import Collection, Sequence
from itertools import takewhile
from os import PathLike
from pathlib import Path

import torch

from cl_explore.data.archives import pictures_in, shown
from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import decoded
from cl_explore.takes import Count, takes


@takes
def from_folder(
    path: str | PathLike[str],
    *,
    size: Count | None = None,
    channels: Count = 3,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    inside: str = "",
) -> Dataset:
    """The images in class folders, `path/CLASS/.../*.jpg` or `.png`, as uint8 (N, channels, H, W), sorted by path.

    path: a folder, or a tar (gzip, bzip2, xz) or zip of one, which is read without unpacking it as if it were. Folders
        that all images of an archive share do not count as classes, if there are any below. Images outside class
        folders are unlabelled (-1); names with a dot at their front, and what systems leave among files, are left out.
    size: the side of the images (shorter side resized, middle square kept); None if they have one size already.
    channels: 3 for colour, 1 for grey. class_names: the folders in the order of their labels, sorted by default; hand
        the training part's to its test part, so that both count alike. inside: the folder below path to read.

    Images are turned upright; grey ones of 16 bits, and floats in [0, 1], are scaled to 8. They are decoded once, into
    a folder that later calls map into memory (see `data/README.md`). Raises FileNotFoundError if there is no image,
    OSError for a folder that cannot be read, ValueError for damaged images or archives, links to nothing, formats and
    ranges of values that are not read, folders not in class_names, and unequal sizes.
    """
    place = Path(path).expanduser().absolute()
    if not (place.is_dir() or place.is_file()):
        state = "is neither" if place.exists() else "does not exist"
        raise FileNotFoundError(f"path must be a folder or an archive of images, but {place} {state}")
    if place.is_dir() and inside and not (place / inside).is_dir():
        raise FileNotFoundError(f"inside must be a folder below path, but {place / inside} is none")
    images, names = decoded(pictures_in(place, inside), channels, size)
    folders = [file.split("/")[:-1] for file in names]
    given = [_composed(folder) for folder in class_names or ()]
    if place.is_file():
        folders = _beyond(folders, given)
    folders = [[_composed(part) for part in parts[:1]] for parts in folders]
    found = sorted({parts[0] for parts in folders if parts})
    classes = found if class_names is None else given
    if strange := sorted(set(found) - set(classes)):
        raise ValueError(
            f"class_names must hold every class folder of {place}, but {', '.join(strange[:5])} is missing"
        )
    if len(set(classes)) < len(classes):
        raise ValueError(f"class_names must differ, got {', '.join(classes)}")
    number = {folder: label for label, folder in enumerate(classes)}
    labels = torch.tensor([number[parts[0]] if parts else -1 for parts in folders], device="cpu")
    index = torch.arange(len(labels), device="cpu")
    return Dataset(name or shown(place.name), images, labels, index, tuple(class_names or classes))


def _beyond(folders: list[list[str]], classes: Collection[str]) -> list[list[str]]:
    """The folders of each image below those that all images share, up to one that is known as a class.

    The last that they share counts if all lie directly in it.
    """
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    shared = sum(1 for _ in takewhile(lambda level: _composed(level[0]) not in classes, levels))
    if shared and all(len(parts) == shared for parts in folders):
        shared -= 1
    return [parts[shared:] for parts in folders]


def _composed(folder: str) -> str:
    """The name of a class: accents are written in two ways, by two systems, that look the same."""
    return unicodedata.normalize("NFC", shown(folder))
