"""Embeddings of one's own from arrays, tables and files, and what is refused before any work."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from cl_explore.data import read_vectors

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
NAMES = ["cat", "dog", "cat", "owl", "dog"]


def same(read) -> None:
    assert torch.equal(read.x, torch.from_numpy(X))


def test_every_form_gives_the_same_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", vectors=X, animal=np.array(NAMES), few=X[:, :2])
    save_file({"vectors": X}, tmp_path / "x.safetensors")
    frame = pd.DataFrame({"animal": NAMES, **{f"d{axis}": X[:, axis] for axis in range(3)}})
    frame.to_csv(tmp_path / "x.csv", index=False)
    lists = pd.DataFrame({"id": range(5), "animal": NAMES, "vector": list(X)})
    sources = [X, torch.from_numpy(X), frame, lists, *sorted(tmp_path.glob("x.*")), str(tmp_path / "x.csv")]
    for source in sources:
        named = "animal" if isinstance(source, pd.DataFrame) or str(source).endswith((".csv", ".npz")) else NAMES
        read = read_vectors(source, named)
        same(read)
        assert (read.class_names, read.labels.tolist()) == (("cat", "dog", "owl"), [0, 1, 0, 2, 1])
    same(read_vectors(X))
    assert read_vectors(X).labels.tolist() == [-1] * 5


def test_pictures_and_texts_come_along(tmp_path: Path) -> None:
    for place in range(5):
        Image.new("RGB", (64, 48), (40 * place, 0, 0)).save(tmp_path / f"{place}.png")
    frame = pd.DataFrame({"file": [str(tmp_path / f"{place}.png") for place in range(5)], "said": [*"abcd", None]})
    frame["vector"] = list(X)
    read = read_vectors(frame, images="file", texts="said")
    assert read.images.shape == (5, 3, 32, 32)
    assert read.images[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160]
    assert read.texts == ("a", "b", "c", "d", "")
    grey = read_vectors(X, images=np.full((5, 64, 64), 7, np.uint8))
    assert grey.images.shape == (5, 1, 64, 64)
    assert grey.images.unique().tolist() == [7]
    some = read.take(torch.tensor([3, 1]))
    assert (len(some), some.texts, some.images[:, 0, 0, 0].tolist()) == (2, ("d", "b"), [120, 40])


def damaged(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.write_bytes(b"not what it says")
    return path


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.safetensors", "x.parquet", "x.csv"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = damaged(tmp_path, name)
    with pytest.raises((ValueError, ModuleNotFoundError), match=rf"{re.escape(str(path))}|pyarrow|must have rows"):
        read_vectors(path)


def nan() -> np.ndarray:
    x = X.copy()
    x[3, 1] = np.nan
    return x


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ((nan(),), ValueError, "source must be finite, got 1 of 5 rows with NaN or infinity"),
        ((X[0],), ValueError, r"source must be \(N, D\), got shape \(3,\)"),
        ((np.ones((5, 3), int),), TypeError, "source must be floating point"),
        ((X, NAMES[:4]), ValueError, "labels must be 5 whole numbers or texts"),
        ((X, "animal"), ValueError, "labels must name a column of source, which has no names; got 'animal'"),
        (("nowhere.npy",), FileNotFoundError, "source must be a file, but there is none at nowhere.npy"),
        (
            ("x.pkl",),
            ValueError,
            r"source must be a file ending in .npy, .npz, .safetensors, .csv, .parquet, got 'x.pkl'",
        ),
        ((pd.DataFrame({"a": list("abc")}),), ValueError, "columns of numbers, or one column of lists of them, got a"),
        ((pd.DataFrame({"a": [[1.0], [1.0, 2.0]]}),), ValueError, r"vectors of one length in column 'a', got \[1, 2\]"),
    ],
)
def test_what_cannot_be_read_is_named(given: tuple, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        read_vectors(*given)


def test_pictures_and_texts_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="texts must be 5, one for each row of source, got 2"):
        read_vectors(X, texts=["a", "b"])
    with pytest.raises(FileNotFoundError, match=r"images must be paths of files, but there is none at .*nowhere.png"):
        read_vectors(X, images=[tmp_path / "nowhere.png"] * 5)
    with pytest.raises(ValueError, match=r"images must be readable, but .*broken.png is not"):
        read_vectors(X, images=[damaged(tmp_path, "broken.png")] * 5)
