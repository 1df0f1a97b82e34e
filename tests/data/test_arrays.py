"""Bring your own arrays: every common layout, and clear words for the others."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from cl_explore.data import from_arrays

BYTES = torch.randint(0, 256, (5, 3, 6, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "x",
    [
        BYTES,
        BYTES.numpy(),
        BYTES.permute(0, 2, 3, 1),
        BYTES.permute(0, 2, 3, 1).numpy(),
        list(BYTES.permute(0, 2, 3, 1).numpy()),
    ],
    ids=["tensor", "array", "channels last", "array with channels last", "list of arrays"],
)
def test_images_in_any_layout(x: Tensor) -> None:
    dataset = from_arrays(x, [0, 1, 2, 1, 0], name="mine")
    assert torch.equal(dataset.x, BYTES)
    assert dataset.x.is_contiguous()
    assert (dataset.name, dataset.class_names) == ("mine", ("0", "1", "2"))
    assert dataset.index.tolist() == [0, 1, 2, 3, 4]


def test_grey_images_get_a_channel_and_floats_single_precision() -> None:
    assert from_arrays(BYTES[:, 0]).x.shape == (5, 1, 6, 4)
    floats = from_arrays(BYTES.double() / 255)
    assert floats.x.dtype == torch.float32
    assert floats.labels.tolist() == [-1] * 5
    assert floats.class_names == ()


def test_other_kinds_are_taken_by_their_name() -> None:
    assert from_arrays(np.zeros((3, 2, 9)), kind="series").x.dtype == torch.float32
    tokens = from_arrays([[5, 6, 0], [7, 0, 0]], kind="tokens")
    assert (tokens.x.dtype, tokens.modality.name) == (torch.int64, "tokens")
    assert from_arrays(np.zeros((3, 8, 8)), kind="image").x.shape == (3, 1, 8, 8)
    assert from_arrays(np.zeros((3, 1, 50), np.int16), kind="waveform").x.dtype == torch.int16


def test_several_arrays_by_name() -> None:
    both = from_arrays({"photo": BYTES.permute(0, 2, 3, 1), "words": np.full((5, 4), 3)}, kind={"words": "tokens"})
    assert torch.equal(both.x["photo"], BYTES)
    assert both.x["words"].dtype == torch.int64
    assert (len(both), {name: kind.name for name, kind in both.modality.items()}) == (
        5,
        {"photo": "image", "words": "tokens"},
    )


def test_channels_first_wins_if_both_could_be_meant() -> None:
    assert torch.equal(from_arrays(BYTES[..., :3]).x, BYTES[..., :3])


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float64, np.float32, bool])
def test_vectors_of_any_numbers(kind: type) -> None:
    x = np.arange(6).reshape(3, 2).astype(kind)
    assert torch.equal(from_arrays(x).x, torch.from_numpy(x).float())


def column(*parts: object) -> np.ndarray:
    """An array of objects, as a column of a data frame holds them."""
    objects = np.empty(len(parts), dtype=object)
    objects[:] = parts
    return objects


NUMBERS = np.array([[3, 1], [0, 2], [5, 4]])


@pytest.mark.parametrize(
    "x",
    [
        NUMBERS.astype(">f4"), NUMBERS.astype(">i8"), NUMBERS.astype(np.uint16), NUMBERS.astype(np.uint64),
        NUMBERS.astype(np.longdouble), NUMBERS.astype(object), NUMBERS[::-1][::-1], np.asfortranarray(NUMBERS),
        pd.DataFrame(NUMBERS), pd.DataFrame(NUMBERS, dtype="Int64"), column(*NUMBERS.astype(float)),
        list(map(pd.Series, NUMBERS)), torch.from_numpy(NUMBERS).bfloat16(),
    ],
)  # fmt: skip
def test_numbers_from_anywhere(x: object) -> None:
    assert from_arrays(x).x.tolist() == NUMBERS.tolist()


def test_images_from_anywhere() -> None:
    whole = BYTES.numpy()
    for x in (column(*whole), whole[::-1][::-1], list(BYTES)):
        assert torch.equal(from_arrays(x).x, BYTES)
    assert torch.equal(from_arrays((whole / 255).astype(">f8")).x, (BYTES.double() / 255).float())
    assert from_arrays(np.array([[[2, 300]]], ">i2"), kind="waveform").x.tolist() == [[[2, 300]]]


GRADES = pd.CategoricalDtype(["small", "middle", "large"])


@pytest.mark.parametrize(
    ("labels", "coded", "class_names"),
    [
        (np.array([2, 0, 1], ">i4"), [2, 0, 1], "012"), (np.array([1, 0, 2])[::-1], [2, 0, 1], "012"),
        (np.array([2, 0, 1], np.uint16), [2, 0, 1], "012"),
        (torch.tensor([2, 0, 1]).to(torch.uint16), [2, 0, 1], "012"),
        (column(2, 0, 1), [2, 0, 1], "012"), (pd.Series([2, 0, 1], index=[7, 8, 9]), [2, 0, 1], "012"),
        ([1, None, 0], [1, -1, 0], "01"), (pd.array([1, None, 0], dtype="Int64"), [1, -1, 0], "01"),
        ([True, False, True], [1, 0, 1], "01"), ([np.int8(1), 0, np.int64(1)], [1, 0, 1], "01"),
        (column("b", "a", "b"), [1, 0, 1], "ab"), (pd.Series(["b", "a", "b"]), [1, 0, 1], "ab"),
        (pd.Series(["b", None, "a"]), [1, -1, 0], "ab"), (["b", None, "a"], [1, -1, 0], "ab"),
        (np.array(["b", "a", "b"], np.dtypes.StringDType()), [1, 0, 1], "ab"),
        (np.array([b"b", b"a", b"b"]), [1, 0, 1], "ab"), ([b"b", b"a", b"b"], [1, 0, 1], "ab"),
        (pd.Series(["b", "a", "b"], dtype="category"), [1, 0, 1], "ab"),
        (pd.Series(["large", "small", None], dtype=GRADES), [2, 0, -1], ("small", "middle", "large")),
        (pd.Categorical(["large", "small", "large"], dtype=GRADES), [2, 0, 2], ("small", "middle", "large")),
        ([None] * 3, [-1, -1, -1], ""),
    ],
)  # fmt: skip
def test_labels_from_anywhere(labels: object, coded: list[int], class_names: str | tuple[str, ...]) -> None:
    read = from_arrays(np.zeros((3, 2)), labels)
    assert (read.labels.tolist(), read.class_names) == (coded, tuple(class_names))


def test_a_default_device_of_the_users_changes_nothing() -> None:
    with torch.device("meta"):
        assert from_arrays(np.zeros((3, 2)), ["b", "a", "b"]).labels.tolist() == [1, 0, 1]


def test_the_callers_array_and_the_data_set_are_apart() -> None:
    x = np.zeros((3, 2), np.float32)
    dataset = from_arrays(x)
    x += 1
    assert (dataset.x == 0).all()


def test_labels_may_be_texts_or_have_names_of_their_own() -> None:
    x = np.zeros((3, 2))
    assert from_arrays(x, ["b", "a", "b"]).labels.tolist() == [1, 0, 1]
    assert from_arrays(x, ["b", "a", "b"], class_names=["b", "a", "c"]).labels.tolist() == [0, 1, 0]
    assert from_arrays(x, torch.tensor([-1, 1, 0]), class_names=["no", "yes"]).class_names == ("no", "yes")
    assert from_arrays(x, np.array([4, 0, 4], np.uint8)).num_classes == 5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": np.zeros(3)}, ValueError, r"x must have shape \(N, F\) or \(N, C, H, W\), got \(3,\).*name their kind"),
        ({"x": np.zeros((3, 8, 8))}, ValueError, r"got \(3, 8, 8\); for other samples name their kind, one of series"),
        ({"kind": "serie"}, ValueError, "unknown kind 'serie'; did you mean 'series'"),
        ({"kind": "image"}, ValueError, r"images of 1 or 3 channels.*got \(3, 2\)"),
        ({"x": np.zeros((0, 3))}, ValueError, "N >= 1 for vector"),
        ({"x": {}}, ValueError, "x must be a tensor or a dictionary of at least one"),
        ({"x": np.zeros((3, 4, 8, 8))}, ValueError, r"images of 1 or 3 channels.*got \(3, 4, 8, 8\)"),
        ({"x": np.zeros((3, 3, 8, 8), int)}, TypeError, "x must be uint8, or floating point in .*got torch.int64"),
        ({"x": 255 * np.ones((3, 3, 8, 8))}, ValueError, r"x must be in \[0, 1\] for float images"),
        ({"x": ["a", "b"]}, TypeError, "x must be numbers of equal shapes, got <U1"),
        ({"labels": [0, 1]}, ValueError, r"labels must be 3 whole numbers or texts.*got shape \(2,\) of int64"),
        ({"labels": [0.5, 1, 2]}, ValueError, "labels must be 3 whole numbers or texts.*of float64"),
        ({"labels": [0, "a", 1]}, ValueError, "labels must be 3 whole numbers or texts.*all of one kind"),
        ({"labels": [0, float("nan"), 1]}, ValueError, "labels must be 3 whole numbers or texts.*float64"),
        ({"labels": [[0], [1, 2], 3]}, ValueError, "labels must be one for each row of x"),
        ({"labels": np.zeros((3, 1), int)}, ValueError, r"labels must be 3 whole numbers.*shape \(3, 1\)"),
        ({"labels": [0, 2**63, 1]}, ValueError, r"labels must number the classes from 0, .*np.unique"),
        ({"x": np.zeros((3, 3, 8, 8), np.uint16)}, TypeError, "got torch.uint16: give x / 65535 if"),
        ({"x": column([1], [1, 2], [3])}, ValueError, "x must be numbers or texts in rows of one length"),
        ({"x": np.ma.masked_array(np.zeros((3, 2)), True)}, ValueError, "x must be complete, got a masked array"),
        ({"labels": [0, 1, -2]}, ValueError, r"labels must be in \[-1, 2\)"),
        ({"labels": ["a", "b", "c"], "class_names": ["a", "b"]}, ValueError, "hold every label, but 'c' is missing"),
        ({"labels": [0, 1, 2], "class_names": ["a", "b"]}, ValueError, r"labels must be in \[-1, 2\) as there are 2"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_arrays(**{"x": np.zeros((3, 2)), **arguments})
