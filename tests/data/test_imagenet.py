"""ImageNet's folders and Tiny-ImageNet's: labels by WordNet number, the same in both parts."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cl_explore import data
from cl_explore.data import imagenet
from cl_explore.data.published import Download

Picture = Callable[..., bytes]


@pytest.fixture
def tiny(own: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes, three training and two validation images; one is grey."""
    root = own / imagenet.TINY
    monkeypatch.setitem(imagenet.TINY_COUNT, "train", 3)
    monkeypatch.setitem(imagenet.TINY_COUNT, "test", 2)
    for name, value, mode in (
        ("n02/images/n02_0", 30, "RGB"),
        ("n01/images/n01_0", 10, "L"),
        ("n01/images/n01_1", 20, "RGB"),
    ):
        (root / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "train" / f"{name}.JPEG").write_bytes(picture(value, 64, 64, "jpeg", mode))
    (root / "val" / "images").mkdir(parents=True)
    for number, value in ((0, 50), (1, 40)):
        (root / "val" / "images" / f"val_{number}.JPEG").write_bytes(picture(value, 64, 64, "jpeg"))
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t63\t63\nval_1.JPEG\tn01\t0\t0\t63\t63\n")
    (root / "wnids.txt").write_text("n02\nn01\n")
    (root / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\tbell pepper\nn03\tnot in it\n")
    return root


def test_tiny_imagenet_from_the_folder_and_the_zip(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = data.load("tiny_imagenet"), data.load("tiny_imagenet", "test")
    assert train.class_names == ("goldfish", "bell pepper")
    assert train.x.shape == (3, 3, 64, 64)
    assert train.x[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert train.labels.tolist() == [0, 0, 1]
    assert test.x[:, 0, 0, 0].tolist() == [50, 40]
    assert test.labels.tolist() == [1, 0]
    archive = Path(shutil.make_archive(str(tiny.parent / imagenet.TINY), "zip", tiny.parent, imagenet.TINY))
    tiny.rename(tiny.parent / "hidden")
    with pytest.raises(ValueError, match=r"tiny-imagenet-200.zip is damaged or half written: its md5 is"):
        data.load("tiny_imagenet")
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(imagenet, "TINY_ARCHIVE", Download(imagenet.TINY_ARCHIVE.url, digest))
    assert data.load("tiny_imagenet").fingerprint() == train.fingerprint()
    assert data.load("tiny_imagenet", "test").fingerprint() == test.fingerprint()


def test_tiny_imagenet_must_be_whole(tiny: Path) -> None:
    (tiny / "train" / "n02" / "images" / "n02_0.JPEG").unlink()
    with pytest.raises(ValueError, match=r"tiny-imagenet-200 must hold 3 train images of \(3, 64, 64\), got \(2, 3"):
        data.load("tiny_imagenet")


@pytest.fixture
def hundred(own: Path, picture: Picture) -> Path:
    """ImageNet-100 with one image in each class of each part; sizes differ."""
    root = own / "imagenet100"
    for part in ("train", "val"):
        for number in range(100):
            folder = root / part / f"n{number:08}"
            folder.mkdir(parents=True)
            (folder / "a.JPEG").write_bytes(picture(number, 20 + number % 3, 16, "jpeg"))
    return root


def test_imagenet_100_has_one_label_for_each_folder(hundred: Path) -> None:
    train = data.load("imagenet100", size=12)
    assert (train.name, train.num_classes, train.class_names[7]) == ("ImageNet-100", 100, "n00000007")
    assert train.x.shape == (100, 3, 12, 12)
    assert train.x[:, 0, 5, 5].tolist() == train.labels.tolist() == list(range(100))
    assert data.load("imagenet100", "test", size=8).x.shape == (100, 3, 8, 8)


def test_classes_that_differ_between_parts_are_refused(hundred: Path) -> None:
    (hundred / "val" / "n00000003").rename(hundred / "val" / "n00000300")
    with pytest.raises(ValueError, match=r"ImageNet-100 needs the same 100 class folders in train and val, got 100 in"):
        data.load("imagenet100")
    shutil.rmtree(hundred / "val" / "n00000300")
    with pytest.raises(ValueError, match=r"100 in .*train, 99 in .*val"):
        data.load("imagenet100", "test")


def test_images_outside_class_folders_are_refused(hundred: Path, picture: Picture) -> None:
    (hundred / "val" / "ILSVRC2012_val_00000001.JPEG").write_bytes(picture(0))
    with pytest.raises(ValueError, match="val holds images outside class folders: move them into theirs"):
        data.load("imagenet100", "test", size=8)


def test_imagenet_is_never_downloaded(own: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"imagenet \(train\) was not found[\s\S]*register at https://image-net"
    ):
        data.load("imagenet")
    with pytest.raises(TypeError, match="'imagenet' has no option 'download'; it accepts: size"):
        data.load("imagenet", download=True)
