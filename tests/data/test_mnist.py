"""MNIST and Fashion-MNIST: idx files, packed or not, checked, and clear when damaged."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cl_explore import data
from cl_explore.data import mnist
from cl_explore.data.published import Download

IMAGES, LABELS = mnist.FILES["test"]


def idx(shape: tuple[int, ...], fill: int = 0) -> bytes:
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes([fill]) * torch.Size(shape).numel()
    return gzip.compress(content, compresslevel=1)


@pytest.fixture
def five(own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `mnist` with five test images of value 7 and class 3."""
    monkeypatch.setitem(mnist.COUNT, "test", 5)
    monkeypatch.setattr(mnist, "FASHION_MNIST", replace(mnist.FASHION_MNIST, elsewhere=(own / "debian",)))
    (own / "mnist").mkdir()
    (own / "mnist" / IMAGES).write_bytes(idx((5, 28, 28), 7))
    (own / "mnist" / LABELS).write_bytes(idx((5,), 3))
    return own / "mnist"


@pytest.mark.skipif(not mnist.DEBIAN.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_clothes(nowhere: Path) -> None:
    test = data.load("fashion_mnist", "test")
    assert test.x.shape == (10_000, 1, 28, 28)
    assert test.x.dtype == torch.uint8
    assert test.labels.bincount().tolist() == [1000] * 10
    assert test.class_names[test.labels[0]] == "ankle boot"
    assert test.fingerprint() == "ddeceebf7bd925bb", "these are the published pixels and labels"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("fashion_mnist", "fashion_mnist"),
        ("fashion_mnist", "FashionMNIST/raw"),
        ("fashion_mnist", "debian"),
    ],
)
def test_found_in_all_usual_folders_packed_or_not(five: Path, name: str, place: str) -> None:
    folder = five.parent / place
    folder.parent.mkdir(exist_ok=True)
    if folder != five:
        five.rename(folder)
    packed = data.load(name, "test")
    assert packed.x.shape == (5, 1, 28, 28)
    assert packed.x.unique().tolist() == [7]
    assert packed.labels.tolist() == [3] * 5
    for file in (IMAGES, LABELS):
        (folder / file.removesuffix(".gz")).write_bytes(gzip.decompress((folder / file).read_bytes()))
        (folder / file).unlink()
    assert data.load(name, "test").fingerprint() == packed.fingerprint()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (idx((5, 28, 28))[:-20], "Compressed file ended"),
        (b"<html>not found</html>", "Not a gzipped file"),
        (b"", "got 0 bytes"),
        (idx((4, 28, 28)), "got 3152 bytes that start with 00 00 08 03 00 00 00 04"),
        (gzip.compress(gzip.decompress(idx((5, 28, 28)))[:-1]), "got 3935 bytes that start with 00 00 08 03"),
        (idx((3000, 28, 28)), "got 3937 bytes that start with 00 00 08 03 00 00 0b b8"),
        (idx((5,)), "got 13 bytes that start with 00 00 08 01"),
    ],
    ids=["truncated", "a web page", "empty", "other count", "a byte missing", "a bomb", "other file"],
)
def test_damaged_files_are_named(five: Path, content: bytes, found: str) -> None:
    (five / IMAGES).write_bytes(content)
    with pytest.raises(ValueError, match=f"{IMAGES} is damaged or half written: needed are 3936 unpacked.*{found}"):
        data.load("mnist", "test")


def test_downloads_fetch_the_files_of_the_split_only(
    five: Path, publisher: tuple[Path, str], nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = list(five.iterdir())
    for file in files:
        file.rename(publisher[0] / file.name)
    offers = tuple(
        Download(publisher[1] + file, hashlib.md5((publisher[0] / file).read_bytes()).hexdigest())
        for file in (IMAGES, LABELS)
    )
    monkeypatch.setattr(mnist, "MNIST", replace(mnist.MNIST, downloads={"test": offers}))
    with pytest.raises(FileNotFoundError, match="download=True"):
        data.load("mnist", "test")
    assert data.load("mnist", "test", download=True).labels.tolist() == [3] * 5
    assert sorted(file.name for file in five.iterdir()) == sorted([IMAGES, LABELS])


def test_the_published_checksums_belong_to_the_files() -> None:
    for published in (mnist.MNIST, mnist.FASHION_MNIST):
        offers = [offer for split in ("train", "test") for offer in published.downloads[split]]
        assert [offer.file for offer in offers] == [*mnist.FILES["train"], *mnist.FILES["test"]]
        assert len({offer.md5 for offer in offers}) == 4
