"""ImageNet and its smaller relatives: folders of photographs named by WordNet numbers."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch

from cl_explore.data.archives import class_folders, pictures_in
from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import decoded
from cl_explore.data.folder import from_folder
from cl_explore.data.published import Download, Layout, Published, check_md5
from cl_explore.data.registry import dataset

TINY = "tiny-imagenet-200"
TINY_COUNT = {"train": 100_000, "test": 10_000}
TINY_ARCHIVE = Download("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de")
BY_LICENCE = "register at https://image-net.org and put the archives' class folders there, train/WNID and val/WNID"


@dataset
def tiny_imagenet(split: str, download: bool = False) -> Dataset:
    """Photographs (3, 64, 64) of 200 classes, uint8: 100,000 train, 10,000 test (Le & Yang, Stanford CS231n, 2015).

    "test" is the published validation part: the published test part has no labels. Read from the folder or the zip.
    Raises FileNotFoundError naming all places if it is missing, ValueError naming the file if one is damaged.
    """
    return TINY_IMAGENET.load(split, download)


@dataset
def imagenet100(split: str, size: int = 224) -> Dataset:
    """The photographs of 100 classes of ImageNet that the folder imagenet100 holds, as for `imagenet`.

    Which 100 is yours to choose; the usual list is that of Tian et al. (1906.05849). Links to the folders will do.
    """
    return IMAGENET100.load(split, size=size)


@dataset
def imagenet(split: str, size: int = 224) -> Dataset:
    """Photographs (3, size, size) of 1000 classes, uint8: 1,281,167 train, 50,000 test (Russakovsky et al., 1409.0575).

    "test" is the validation part (ILSVRC 2012). The shorter side is resized to `size` and the middle square kept, once:
    what is decoded needs 3 size^2 bytes an image, 193 GB at 224 and 35 GB at 96, and is mapped into memory.
    Raises FileNotFoundError naming all places if it is missing, ValueError for images outside class folders, another
    number of classes, or a damaged image.
    """
    return IMAGENET.load(split, size=size)


def _read_tiny(root: Path, split: str, inside: str = "") -> Dataset:
    """root: the folder, or an archive that holds it as the folder `inside`."""
    wnids = _text(root, f"{inside}wnids.txt").split()
    words = dict(line.split("\t", 1) for line in _text(root, f"{inside}words.txt").splitlines())
    part = f"{inside}{'train' if split == 'train' else 'val'}/"
    source = pictures_in(root, part) if inside else pictures_in(root / part)
    x, names = decoded(source, channels=3, size=None)
    if split == "train":  # train/WNID/images/WNID_0.JPEG
        classes = [PurePosixPath(name).parts[-3] for name in names]
    else:
        lines = _text(root, f"{part}val_annotations.txt").splitlines()
        class_of = dict(line.split("\t")[:2] for line in lines)
        classes = [class_of[PurePosixPath(name).name] for name in names]
    if x.shape != (TINY_COUNT[split], 3, 64, 64):
        raise ValueError(f"{root} must hold {TINY_COUNT[split]} {split} images of (3, 64, 64), got {tuple(x.shape)}")
    number = {wnid: label for label, wnid in enumerate(sorted(wnids))}
    class_names = tuple(words[wnid].partition(",")[0] for wnid in number)
    labels = torch.tensor([number[wnid] for wnid in classes], device=x.device)
    return Dataset("Tiny-ImageNet", x, labels, torch.arange(len(x), device=x.device), class_names)


def _read_tiny_archive(folder: Path, split: str) -> Dataset:
    archive = folder / TINY_ARCHIVE.file
    check_md5(archive, TINY_ARCHIVE.md5)
    return _read_tiny(archive, split, f"{TINY}/")


def _text(root: Path, name: str) -> str:
    if root.is_dir():
        return (root / name).read_text(encoding="utf-8")
    with zipfile.ZipFile(root) as archive:
        return archive.read(name).decode()


def _read_classes(title: str, count: int) -> Callable[..., Dataset]:
    def read(folder: Path, split: str, size: int) -> Dataset:
        parts = {"train": folder / "train", "test": folder / "val"}
        classes = {name: class_folders(part) for name, part in parts.items() if part.is_dir()}
        if len(classes[split]) != count or any(names != classes[split] for names in classes.values()):
            found = ", ".join(f"{len(names)} in {parts[name]}" for name, names in classes.items())
            raise ValueError(f"{title} needs the same {count} class folders in train and val, got {found}")
        images = from_folder(parts[split], size=size, class_names=classes[split])
        if images.labels.min() < 0:
            raise ValueError(f"{parts[split]} holds images outside class folders: move them into theirs")
        return replace(images, name=title)

    return read


TERMS = "ImageNet's terms of access, see https://image-net.org: for research and education, not for commerce"
FOLDERS = {"train": ("train",), "test": ("val",)}
TINY_IMAGENET = Published(
    "tiny_imagenet",
    (
        Layout(
            lambda folder, split: _read_tiny(folder / TINY, split),
            {split: tuple(f"{TINY}/{file}" for file in ("wnids.txt", "words.txt", part)) for split, part in
             {"train": "train", "test": "val/val_annotations.txt"}.items()},
        ),
        Layout(_read_tiny_archive, dict.fromkeys(TINY_COUNT, (TINY_ARCHIVE.file,))),
    ),
    folders=("", "tiny_imagenet"),
    downloads=dict.fromkeys(TINY_COUNT, (TINY_ARCHIVE,)),
    licence=TERMS,
)  # fmt: skip
IMAGENET = Published(
    "imagenet",
    (Layout(_read_classes("ImageNet", 1000), FOLDERS),),
    folders=("imagenet",),
    advice=BY_LICENCE,
    licence=TERMS,
)
IMAGENET100 = Published(
    "imagenet100",
    (Layout(_read_classes("ImageNet-100", 100), FOLDERS),),
    folders=("imagenet100",),
    advice=BY_LICENCE,
    licence=TERMS,
)
