"""CIFAR: every published form gives the same rows, and a pickle can never run code."""

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cl_explore import data
from cl_explore.data import cifar
from cl_explore.data.published import Download


class Python2(pickle._Pickler):
    """Pickles as Python 2 did for the published files: texts are bytes, and numpy has its old module."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_text(self, text: str | bytes) -> None:
        content = text.encode() if isinstance(text, str) else text
        self.write(b"T" + len(content).to_bytes(4, "little") + content)

    dispatch[str] = dispatch[bytes] = save_text


def pickled(content: object) -> bytes:
    file = io.BytesIO()
    Python2(file, protocol=2).dump(content)
    return file.getvalue().replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")


def batch(rows: int, seed: int, **labels: int) -> bytes:
    generator = np.random.default_rng(seed)
    columns = {name: generator.integers(0, classes, rows).tolist() for name, classes in labels.items()}
    return pickled({"data": generator.integers(0, 256, (rows, 3072), np.uint8), "batch_label": "one", **columns})


@pytest.fixture
def batches(own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 and CIFAR-100 in their folders, two images in each file."""
    for split, count in {"train": 10, "test": 2}.items():
        monkeypatch.setitem(cifar.COUNT, split, count)
    for folder in ("cifar-10-batches-py", "cifar-100-python"):
        (own / folder).mkdir()
    for seed, file in enumerate((*cifar.CIFAR10_BATCHES["train"], *cifar.CIFAR10_BATCHES["test"])):
        (own / file).write_bytes(batch(2, seed, labels=10))
    for rows, file in ((10, "train"), (2, "test")):
        (own / "cifar-100-python" / file).write_bytes(batch(rows, rows, fine_labels=100, coarse_labels=20))
    names = {"fine_label_names": [f"fine {c}" for c in range(100)], "coarse_label_names": []}
    (own / cifar.CIFAR100_NAMES).write_bytes(pickled(names))
    return own


def pack(root: Path, folder: str, archive: Path) -> Download:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / folder, folder)
    return Download(archive.as_uri(), hashlib.md5(archive.read_bytes()).hexdigest())


def test_the_rows_are_those_of_the_files(batches: Path) -> None:
    train = data.load("cifar10")
    assert (train.name, train.class_names[3]) == ("CIFAR-10", "cat")
    assert train.x.shape == (10, 3, 32, 32)
    generator = np.random.default_rng(1)  # of the second file
    assert train.labels[2:4].tolist() == generator.integers(0, 10, 2).tolist()
    pixels = generator.integers(0, 256, (2, 3072), np.uint8)
    assert train.x[3, 1, 0, 5] == pixels[1, 1024 + 5], "all red, then all green, then all blue, row by row"
    assert len(data.load("cifar10", "test")) == 2


def test_cifar_100_brings_its_superclasses(batches: Path) -> None:
    train = data.load("cifar100")
    assert (train.name, train.class_names[7], train.num_classes) == ("CIFAR-100", "fine 7", 100)
    assert train.factors["superclass"].shape == (10,)
    assert 0 <= train.factors["superclass"].min() <= train.factors["superclass"].max() < 20


@pytest.mark.parametrize(("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")])
def test_the_archive_and_the_download_read_like_the_folder(
    name: str,
    folder: str,
    batches: Path,
    publisher: tuple[Path, str],
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = data.load(name).fingerprint()
    file = f"cifar-{name[5:]}-python.tar.gz"
    archive = pack(batches, folder, publisher[0] / file)._replace(url=publisher[1] + file)
    monkeypatch.setattr(cifar, f"{name.upper()}_ARCHIVE", archive)
    offered = replace(getattr(cifar, name.upper()), downloads=dict.fromkeys(cifar.COUNT, (archive,)))
    monkeypatch.setattr(cifar, name.upper(), offered)
    (nowhere / "other").mkdir()
    monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "other"))
    with pytest.raises(FileNotFoundError, match=rf"{file}[\s\S]*download=True"):
        data.load(name)
    assert data.load(name, download=True).fingerprint() == wanted
    assert data.load(name).fingerprint() == wanted, "found again without a download"
    assert (nowhere / "other" / file).exists()


def test_an_archive_that_is_not_the_published_one_is_refused(batches: Path, nowhere: Path) -> None:
    pack(batches, "cifar-10-batches-py", nowhere / "cifar-10-python.tar.gz")
    for file in batches.rglob("*batch*"):
        if file.is_file():
            file.unlink()
    (nowhere / "cifar-10-python.tar.gz").rename(batches / "cifar-10-python.tar.gz")
    with pytest.raises(ValueError, match=r"tar.gz is damaged or half written: its md5 is .*c58f30108f718f92721"):
        data.load("cifar10")
    assert not list((batches / "decoded").glob("cifar-10-python-*/*"))


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (pickle.dumps(Malicious(), protocol=2), r"it asks for (posix|nt).system"),
        (pickle.dumps({"data": Malicious()}), "which no CIFAR file needs"),
        (pickle.dumps(np.fromfile), r"it asks for numpy\S*fromfile, which no CIFAR file needs"),
        (b"<html>not found</html>", r"\): delete it and get it again"),
        (b"", "Ran out of input"),
        (pickled([1, 2]), "lacks everything"),
        (pickled({"labels": [1, 2]}), "lacks .*data"),
    ],
    ids=["code", "code inside", "numpy code", "a web page", "empty", "a list", "no data"],
)
def test_pickles_of_anything_else_are_refused(batches: Path, content: bytes, found: str) -> None:
    (batches / "cifar-10-batches-py" / "data_batch_2").write_bytes(content)
    with pytest.raises(ValueError, match=rf"data_batch_2 is damaged or not a CIFAR file \(.*{found}"):
        data.load("cifar10")
    assert not Path("executed").exists()


class Crafted:
    """Pickles as an array of the given type, shape and contents, whatever NumPy would make of these."""

    def __init__(self, kind: str, shape: object, content: object) -> None:
        self.state = (1, shape, np.dtype(kind), False, content)

    def __reduce__(self) -> tuple[object, ...]:
        rebuild, arguments, _ = np.empty(0, np.uint8).__reduce__()
        return rebuild, arguments, self.state


@pytest.mark.parametrize(
    "array",
    [
        Crafted("O", (2, 3072), b"A" * 8 * 2 * 3072),
        Crafted("O", (2, 3072), [0] * 2 * 3072),
        Crafted("u1", (2, 3072), b"short"),
        Crafted("u1", (2**40, 3072), b"x" * 2 * 3072),
        Crafted("u1", (-1, 3072), b"x" * 5),
        Crafted("u1", (2, 32, 96), b"x" * 2 * 3072),
        Crafted("f4", (2, 3072), b"x" * 4 * 2 * 3072),
        [[0] * 3072] * 2,
        None,
    ],
    ids=["objects of bytes", "objects", "short", "long", "negative", "other axes", "floats", "lists", "nothing"],
)
def test_an_array_is_read_as_bytes_and_never_rebuilt(batches: Path, array: object) -> None:
    crafted = pickled({"data": array, "labels": [1, 2]})
    (batches / "cifar-10-batches-py" / "data_batch_2").write_bytes(crafted)
    with pytest.raises(ValueError, match=r"data_batch_2 (must hold data, an array of bytes|is damaged)"):
        data.load("cifar10")


@pytest.mark.parametrize(
    ("labels", "found"),
    [([1], "2 labels, got 1"), ([1, 2, 3], "2 labels, got 3"), ([1, 10], r"labels in \[0, 10\)"),
     ([1, -1], "labels in"),
     ([1, None], "labels in"), ([1, [2]], "labels in"), ([1, 2**70], "labels in"), ("12", "labels in")],
)  # fmt: skip
def test_labels_are_counted_in_each_file(batches: Path, labels: object, found: str) -> None:
    content = pickled({"data": np.zeros((2, 3072), np.uint8), "labels": labels})
    (batches / "cifar-10-batches-py" / "data_batch_2").write_bytes(content)
    with pytest.raises(ValueError, match=rf"data_batch_2 must hold {found}"):
        data.load("cifar10")


def test_a_pickle_cannot_ask_for_memory_that_it_does_not_fill(batches: Path) -> None:
    for content in (
        b"\x80\x02}r\xff\xff\xff\xff.",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.",
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.",
    ):
        (batches / "cifar-10-batches-py" / "data_batch_2").write_bytes(content)
        with pytest.raises(ValueError, match="data_batch_2 is damaged or not a CIFAR file"):
            data.load("cifar10")


def test_a_truncated_or_short_batch_is_refused(batches: Path) -> None:
    second = batches / "cifar-10-batches-py" / "data_batch_2"
    second.write_bytes(second.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"data_batch_2 is damaged or not a CIFAR file.*delete it and get it again"):
        data.load("cifar10")
    second.write_bytes(batch(1, 1, labels=10))
    with pytest.raises(ValueError, match=r"must hold 10 train images of 3072 bytes.*got uint8 of \(9, 3072\) and 9"):
        data.load("cifar10")


def jpeg_archive(folder: Path, split: str, count: int, picture: Callable[..., bytes]) -> None:
    with tarfile.open(folder / f"cifar10-jpeg-{split}.tar.xz", "w:xz") as tar:
        for row in reversed(range(count)):
            content = picture(20 * row, 32, 32, "jpeg")
            entry = tarfile.TarInfo(f"{split}/{cifar.CIFAR10_CLASSES[9 - row % 10]}/{row:04}.jpg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_jpeg_copies_say_so_and_originals_are_preferred(batches: Path, picture: Callable[..., bytes]) -> None:
    jpeg_archive(batches, "train", 10, picture)
    jpeg_archive(batches, "test", 2, picture)
    assert data.load("cifar10").name == "CIFAR-10"
    (batches / "cifar-10-batches-py").rename(batches / "hidden")
    train, test = data.load("cifar10"), data.load("cifar10", "test")
    assert train.name == test.name == "CIFAR-10 (JPEG)"
    assert train.class_names == cifar.CIFAR10_CLASSES
    assert train.labels.tolist() == list(range(10))
    assert train.x.float().mean((1, 2, 3)).round().tolist() == [20 * row for row in reversed(range(10))]
    assert test.labels.tolist() == [8, 9], "classes count as in the training part, though most are absent"
    jpeg_archive(batches, "test", 3, picture)
    with pytest.raises(ValueError, match=r"cifar10-jpeg-test.tar.xz must hold 2 images of \(3, 32, 32\).*got \(3, 3"):
        data.load("cifar10", "test")


@pytest.mark.skipif(not os.environ.get("CL_EXPLORE_DATA"), reason="no data folder is set")
def test_the_real_photographs() -> None:
    try:
        train, test = data.load("cifar10"), data.load("cifar10", "test")
    except FileNotFoundError:
        pytest.skip("CIFAR-10 is not in the data folders")
    assert train.labels.bincount().tolist() == [5000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    mean = torch.stack([test.x[:, channel].float().mean() for channel in range(3)]) / 255
    torch.testing.assert_close(mean, torch.tensor([0.4942, 0.4851, 0.4504]), atol=2e-3, rtol=0)
