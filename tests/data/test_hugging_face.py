"""Hugging Face: any data set with a column of images, by a stand-in, and by the package where it is installed."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cl_explore.data import from_hugging_face


class Feature:
    names = ("cat", "dog")


class StandIn:
    """What `from_hugging_face` uses of a `datasets.Dataset`."""

    column_names = ("image", "label", "text")
    features = {"image": None, "label": Feature(), "text": None}  # noqa: RUF012
    _fingerprint = "0123"

    def __len__(self) -> int:
        return 3

    def __getitem__(self, key: int | str) -> object:
        if isinstance(key, str):
            return {"label": [1, 0, 1], "text": ["a", "b", "c"]}[key]
        return {"image": Image.new("RGB", (6, 4), (10 * key, 0, 0)), "text": "a"}


@pytest.fixture
def cat_dog(nowhere: Path) -> StandIn:
    return StandIn()


def test_images_labels_and_names_are_taken_over(cat_dog: StandIn) -> None:
    dataset = from_hugging_face(cat_dog)
    assert dataset.x.shape == (3, 3, 4, 6)
    assert dataset.x[:, 0, 0, 0].tolist() == [0, 10, 20]
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.class_names == ("cat", "dog")
    assert from_hugging_face(cat_dog, label=None, size=4).labels.tolist() == [-1] * 3


def test_unfit_columns_are_named(cat_dog: StandIn) -> None:
    with pytest.raises(ValueError, match="image must be a column, one of image, label, text; got 'img'"):
        from_hugging_face(cat_dog, image="img")
    with pytest.raises(ValueError, match="label must be a column, one of image, label, text; got 'y'"):
        from_hugging_face(cat_dog, label="y")
    with pytest.raises(ValueError, match="label must be a column of class numbers, but 'text' holds 'a'"):
        from_hugging_face(cat_dog, label="text")
    with pytest.raises(ValueError, match="image must be a column of images, but 'text' holds str"):
        from_hugging_face(cat_dog, image="text")


class Changed(StandIn):
    """A set with other labels, and images in a column of another name, as they are kept."""

    _fingerprint = "4567"

    def __init__(self, labels: list[object], image: str = "image", images: list[object] | None = None) -> None:
        self.labels, self.image = labels, image
        self.images = images or [Image.new("RGB", (8, 8), (10 * row,) * 3) for row in range(3)]
        self.column_names, self.features = (image, "label"), {image: None, "label": None}

    def __getitem__(self, key: int | str) -> object:
        return self.labels if isinstance(key, str) else {self.image: self.images[key]}


def test_a_dictionary_of_splits_gives_the_one_that_is_asked_for(cat_dog: StandIn) -> None:
    splits = {"train": cat_dog, "test": Changed([1, 1, 1])}
    assert from_hugging_face(splits).labels.tolist() == [1, 0, 1]
    assert from_hugging_face(splits, "test").labels.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="unknown split 'tset'; did you mean 'test'"):
        from_hugging_face(splits, "tset")
    with pytest.raises(TypeError, match=r"source must be a name, a datasets.Dataset .* \(no stream\), got generator"):
        from_hugging_face(row for row in [{"image": 0}])


def test_rows_without_a_label_are_unlabelled(nowhere: Path) -> None:
    assert from_hugging_face(Changed([1, None, 0])).labels.tolist() == [1, -1, 0]
    assert from_hugging_face(Changed([None] * 3)).class_names == ()
    with pytest.raises(ValueError, match=r"class numbers, but 'label' holds 0.5.*class_encode_column\('label'\)"):
        from_hugging_face(Changed([1, None, 0.5]))


@pytest.mark.parametrize("column", ["left.png", "a/b", "..", "é\n"])
def test_a_column_of_any_name(nowhere: Path, column: str) -> None:
    for size in (4, 8):
        assert from_hugging_face(Changed([0, 0, 0], column), image=column, size=size).x.shape == (3, 3, size, size)


def test_images_are_opened_from_the_bytes_that_are_kept(nowhere: Path, picture: Callable[..., bytes]) -> None:
    (nowhere / "1.png").write_bytes(picture(20))
    kept = [{"bytes": picture(10), "path": None}, {"bytes": None, "path": str(nowhere / "1.png")}]
    kept += [{"bytes": picture(30), "path": "gone.png"}]
    assert from_hugging_face(Changed([0, 0, 0], images=kept)).x[:, 0, 0, 0].tolist() == [10, 20, 30]
    postscript = Changed([0, 0, 0], images=[*kept[:2], {"bytes": b"%!PS-Adobe-3.0 EPSF-3.0\n", "path": "2.png"}])
    postscript._fingerprint = "89ab"
    with pytest.raises(ValueError, match=r"row 2 cannot be read \(cannot identify image"):
        from_hugging_face(postscript)


def test_the_package_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'need the package datasets: pip install "cl_explore\[hub\]"'):
        from_hugging_face("mnist")


def test_the_package_itself(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(nowhere / "hub"))
    columns = {"img": [np.full((8, 8, 3), value, np.uint8) for value in (5, 250)], "y": [0, 1]}
    features = datasets.Features({"img": datasets.Image(), "y": datasets.ClassLabel(names=["dark", "light"])})
    held = datasets.Dataset.from_dict(columns, features=features)
    dataset = from_hugging_face(held, image="img", label="y")
    assert dataset.x.float().mean((1, 2, 3)).tolist() == [5, 250]
    assert dataset.class_names == ("dark", "light")
    held.to_parquet(nowhere / "held.parquet")
    fetched = from_hugging_face(
        "parquet", image="img", label="y", data_files=str(nowhere / "held.parquet"), cache_dir=str(nowhere / "hub")
    )
    assert fetched.fingerprint() == dataset.fingerprint()
    with pytest.raises(FileNotFoundError, match=r"is not in the cache.*download=True"):
        from_hugging_face("nobody/nothing", cache_dir=str(nowhere / "hub"))
