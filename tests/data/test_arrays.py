"""Bring your own arrays: every common layout, and clear words for the others."""

import numpy as np
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
        ({"labels": [0, 1, -2]}, ValueError, r"labels must be in \[-1, 2\)"),
        ({"labels": ["a", "b", "c"], "class_names": ["a", "b"]}, ValueError, "hold every label, but 'c' is missing"),
        ({"labels": [0, 1, 2], "class_names": ["a", "b"]}, ValueError, r"labels must be in \[-1, 2\) as there are 2"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_arrays(**{"x": np.zeros((3, 2)), **arguments})
