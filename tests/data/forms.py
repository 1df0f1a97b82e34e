"""Small data in every form of file that is read: FORMS makes each in a folder, and says how it is read."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import Form
from graded import clones
from signs import packages, sheets

from cl_explore import data
from cl_explore.data import cifar, decoded, emoji, imagenet, mnist, sentences, stl10
from cl_explore.data.published import Download
from cl_explore.plots import layouts

Picture = Callable[..., bytes]
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"


def loaded(*arguments: object) -> Callable[[], str]:
    return lambda: data.load(*arguments).fingerprint()


def pets(root: Path, picture: Picture) -> dict[str, bytes]:
    members = {
        f"{name}/{row}.png": picture(40 * row + add) for row in range(3) for add, name in ((0, "cat"), (9, "dog"))
    }
    for name, content in members.items():
        (root / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "pets" / name).write_bytes(content)
    return members


def image(suffix: str, kind: str, header: int) -> Callable[..., Form]:
    def build(own: Path, picture: Picture, _: pytest.MonkeyPatch) -> Form:
        pets(own, picture)
        file = own / f"pets/cat/9.{suffix}"
        file.write_bytes(picture(77, kind=kind))
        return Form(file, lambda: data.from_folder(own / "pets").fingerprint(), header, one=True)

    return build


def archive(kind: str) -> Callable[..., Form]:
    def build(own: Path, picture: Picture, _: pytest.MonkeyPatch) -> Form:
        members, file = pets(own, picture), own / f"pets.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
                for name, content in members.items():
                    out.writestr(name, content)
        else:
            packing = kind.partition(".")[2]
            with tarfile.open(file, f"w:{packing}" if packing else "w") as out:
                out.add(own / "pets", ".")
        return Form(file, lambda: data.from_folder(file).fingerprint(), 60)

    return build


def cifar_batch(rows: int, seed: int, **columns: int) -> bytes:
    """The pickle of a batch, its array written by hand as Python 2 did."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (rows, 3072), np.uint8).tobytes()

    def text(content: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(content)) + content

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    kind = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    state = b"(K\x01" + b"K" + bytes([rows]) + b"M\x00\x0c\x86" + kind + b"\x89" + text(pixels) + b"tb"
    lists = b"".join(
        text(name.encode()) + b"](" + b"".join(b"K" + bytes([n]) for n in generator.integers(0, classes, rows)) + b"e"
        for name, classes in columns.items()
    )
    return b"\x80\x02}(" + text(b"data") + array + state + lists + b"u."


def cifar_files(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in {"train": 10, "test": 2}.items():
        monkeypatch.setitem(cifar.COUNT, split, count)
    for folder in ("cifar-10-batches-py", "cifar-100-python"):
        (own / folder).mkdir()
    for seed, file in enumerate((*cifar.CIFAR10_BATCHES["train"], *cifar.CIFAR10_BATCHES["test"])):
        (own / file).write_bytes(cifar_batch(2, seed, labels=10))
    for rows, file in ((10, "train"), (2, "test")):
        (own / "cifar-100-python" / file).write_bytes(cifar_batch(rows, rows, fine_labels=100, coarse_labels=20))
    names = b"".join(b"T" + struct.pack("<I", len(name)) + name for name in (b"fine %d" % c for c in range(100)))
    meta = b"\x80\x02}T" + struct.pack("<I", 16) + b"fine_label_names](" + names + b"es."
    (own / cifar.CIFAR100_NAMES).write_bytes(meta)


def batches(name: str, file: str) -> Callable[..., Form]:
    def build(own: Path, _: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
        cifar_files(own, monkeypatch)
        return Form(own / file, loaded(name), 60)

    return build


def cifar_archive(own: Path, _: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
    cifar_files(own, monkeypatch)
    file = own / "cifar-10-python.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.add(own / "cifar-10-batches-py", "cifar-10-batches-py")
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    monkeypatch.setattr(cifar, "CIFAR10_ARCHIVE", Download(file.as_uri(), md5))
    (own / "cifar-10-batches-py").rename(own / "hidden")

    def read() -> str:
        try:
            return data.load("cifar10").fingerprint()
        finally:  # else the second time would not ask for the archive
            for folder in decoded.cache().glob("cifar-10-python-*"):
                if folder.is_dir():
                    folder.rename(own / f"unpacked-{len(list(own.iterdir()))}")

    return Form(file, read, 20)


def jpeg_copies(own: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
    monkeypatch.setitem(cifar.COUNT, "train", 10)
    file = own / "cifar10-jpeg-train.tar.xz"
    with tarfile.open(file, "w:xz") as tar:
        for row, name in enumerate(cifar.CIFAR10_CLASSES):
            entry, content = tarfile.TarInfo(f"train/{name}/{row}.jpg"), picture(20 * row, 32, 32, "jpeg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return Form(file, loaded("cifar10"), 20)


def digits(file: str, packed: bool) -> Callable[..., Form]:
    def build(own: Path, _: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
        monkeypatch.setitem(mnist.COUNT, "test", 5)
        for name, shape in zip(mnist.FILES["test"], ((5, 28, 28), (5,)), strict=True):
            content = (
                struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes([3]) * torch.Size(shape).numel()
            )
            place = own / "mnist" / (name if packed else name.removesuffix(".gz"))
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(gzip.compress(content, mtime=0) if packed else content)
        return Form(own / "mnist" / file, loaded("mnist", "test"), 16 if "images" in file else 8)

    return build


def birds(part: int) -> Callable[..., Form]:
    def build(own: Path, _: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
        monkeypatch.setitem(stl10.COUNT, "test", 3)
        (own / "stl10_binary").mkdir()
        (own / stl10.FILES["test"][0]).write_bytes(bytes(range(256)) * 324)
        (own / stl10.FILES["test"][1]).write_bytes(bytes([1, 10, 2]))
        return Form(own / stl10.FILES["test"][part], loaded("stl10", "test"))

    return build


def tiny(file: str) -> Callable[..., Form]:
    def build(own: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
        monkeypatch.setitem(imagenet.TINY_COUNT, "test", 2)
        root = own / imagenet.TINY
        (root / "val/images").mkdir(parents=True)
        for row in range(2):
            (root / f"val/images/val_{row}.JPEG").write_bytes(picture(50 * row, 64, 64, "jpeg"))
        (root / "val/val_annotations.txt").write_text("val_0.JPEG\tn02\t0\nval_1.JPEG\tn01\t0\n")
        (root / "wnids.txt").write_text("n02\nn01\n")
        (root / "words.txt").write_text("n01\tgoldfish\nn02\tbell pepper\n")
        return Form(root / file, loaded("tiny_imagenet", "test"))

    return build


def signs(build: Callable[[Path], Path], file: str, header: int = 8, one: bool = False) -> Callable[..., Form]:
    def built(own: Path, _: Picture, __: pytest.MonkeyPatch) -> Form:
        return Form(build(own) / file, lambda: emoji.EMOJI.load("all", size=4).fingerprint(), header, one)

    return built


def graded(published: data.Published, split: str, file: str, one: bool = False) -> Callable[..., Form]:
    def build(own: Path, _: Picture, __: pytest.MonkeyPatch) -> Form:
        clones(own)
        return Form(own / published.folders[0] / file, lambda: published.load(split).fingerprint(), 0, one)

    return build


def kept_images(file: str) -> Callable[..., Form]:
    def build(own: Path, picture: Picture, _: pytest.MonkeyPatch) -> Form:
        pets(own, picture)
        data.from_folder(own / "pets")
        return Form(
            next(decoded.cache().glob(f"pets-*/{file}")), lambda: data.from_folder(own / "pets").fingerprint(), 60
        )

    return build


def kept_map(own: Path, _: Picture, monkeypatch: pytest.MonkeyPatch) -> Form:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(own / "runs"))
    monkeypatch.setattr(layouts, "_umap_points", lambda shots, dims: shots[..., :dims].numpy())
    monkeypatch.setattr(layouts, "key", lambda **_: type("Key", (), {"parts": {"a": 1}}))
    shots = torch.arange(24.0).view(2, 4, 3)

    def read() -> str:
        return str(layouts.umap(shots).points.tolist())

    read()
    return Form(next((own / "runs").rglob("*.npy")), read, 60)


FORMS: dict[str, Callable[..., Form]] = {
    "a PNG": image("png", "png", 40),
    "a JPEG": image("jpg", "jpeg", 2),
    "a TIFF": image("tif", "tiff", 8),
    "a GIF": image("gif", "gif", 6),
    "a BMP": image("bmp", "bmp", 2),
    **{f"a {kind}": archive(kind) for kind in ("zip", "tar", "tar.gz", "tar.xz", "tar.bz2")},
    "a batch of CIFAR-10": batches("cifar10", "cifar-10-batches-py/data_batch_2"),
    "a batch of CIFAR-100": batches("cifar100", "cifar-100-python/train"),
    "the names of CIFAR-100": batches("cifar100", cifar.CIFAR100_NAMES),
    "the archive of CIFAR-10": cifar_archive,
    "CIFAR-10 as JPEG": jpeg_copies,
    **{f"MNIST's {name}": digits(name, True) for name in mnist.FILES["test"]},
    **{f"MNIST's {(name := packed.removesuffix('.gz'))}": digits(name, False) for packed in mnist.FILES["test"]},
    "STL-10's images": birds(0),
    "STL-10's labels": birds(1),
    **{
        f"Tiny-ImageNet's {file}": tiny(file)
        for file in ("wnids.txt", "words.txt", "val/val_annotations.txt", "val/images/val_0.JPEG")
    },
    "the list of emoji": signs(sheets, "emoji.jsonl"),
    "a sheet of emoji": signs(sheets, "noto.webp", 16),
    "the list of emoji in a package": signs(packages, emoji.PACKAGES[0]),
    "an emoji in a package": signs(packages, f"{emoji.PACKAGES[1]}/1f600.png", 40, one=True),
    "SICK's pairs": graded(sentences.SICK, "train", "SICK_train.txt"),
    "pairs of STS": graded(sentences.STS, "test", "2014/images.test.tsv", one=True),
    "captions of Multi30k": graded(sentences.MULTI30K, "train", "train.2.en.gz"),
    **{f"the kept {file}": kept_images(file) for file in ("images.npy", "marks.json", "written.bin")},
    "a kept map": kept_map,
}
