"""Data sets and loaders of torch become data sets of the house, and what does not fit is named by its place."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from cl_explore.data import from_torch

X = torch.arange(12.0).view(4, 3)
Y = torch.tensor([0, 1, -1, 0])
PICTURES = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Items(Dataset[Any]):
    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Any:
        return self.items[row]


class Stream(IterableDataset[Any]):
    def __init__(self, *items: Any) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


PAIRS = [*zip(X, Y, strict=True)]
NAMED = [{"picture": picture, "label": label.item()} for picture, label in zip(PICTURES, Y, strict=True)]


@pytest.mark.parametrize(
    ("source", "x", "labels"),
    [
        (TensorDataset(X), X, None),
        (TensorDataset(X, Y), X, Y),
        (Items(*X.numpy()), X, None),
        (Items(*((x, int(y)) for x, y in PAIRS)), X, Y),
        (Items(*((x, None if y < 0 else y) for x, y in PAIRS)), X, Y),
        (Stream(*X), X, None),
        (Stream(*PAIRS), X, Y),
        (DataLoader(TensorDataset(X), batch_size=3), X, None),
        (DataLoader(TensorDataset(X, Y), batch_size=3), X, Y),
        (DataLoader(TensorDataset(X, Y), batch_size=None), X, Y),
        (DataLoader(TensorDataset(X, Y), batch_sampler=[[0, 1], [2, 3]]), X, Y),
        (DataLoader(Stream(*PAIRS), batch_size=3), X, Y),
        (Items(*NAMED), PICTURES, Y),
        (DataLoader(Items(*NAMED), batch_size=3), PICTURES, Y),
    ],
)
def test_maps_streams_and_loaders(source: Any, x: Tensor, labels: Tensor | None) -> None:
    dataset = from_torch(source, progress=False)
    assert torch.equal(dataset.x, x)
    assert torch.equal(dataset.labels, torch.full((4,), -1) if labels is None else labels)
    assert dataset.index.tolist() == [0, 1, 2, 3]


def test_texts_as_labels_and_several_parts_by_name() -> None:
    items = [{"left": x, "right": np.zeros((2, 7)), "sort": sort} for x, sort in zip(X, "abba", strict=True)]
    for source in (Items(*items), DataLoader(Items(*items), batch_size=3)):
        dataset = from_torch(source, label="sort", kind={"right": "series"}, progress=False)
        assert {name: tuple(part.shape) for name, part in dataset.x.items()} == {"left": (4, 3), "right": (4, 2, 7)}
        assert (dataset.labels.tolist(), dataset.class_names) == ([0, 1, 1, 0], ("a", "b"))
    assert from_torch(Items(*({"x": x} for x in X)), label=None, progress=False).x.shape == (4, 3)


class Endless(Dataset[Any]):
    """Python would count its rows up for ever."""

    def __getitem__(self, row: int) -> Tensor:
        return X[0]


PICTURE = Image.new("RGB", (4, 4))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (Items(), ValueError, "source must give at least one item, got none"),
        (Endless(), TypeError, "source must have a length or be an IterableDataset, got Endless"),
        (Items(X[0], X[1, :2]), ValueError, r"item 1 of source must be \(3,\) of torch.float32 as x, .* got \(2,\)"),
        (Items(X[0], X[1].long()), ValueError, r"item 1 of source .* got \(3,\) of torch.int64"),
        (Items(*({"a": X[0, :n]} for n in (3, 3, 2))), ValueError, r"item 2 of source must be \(3,\) .* as 'a'"),
        (Items((X[0], 1), X[1]), ValueError, "item 1 of source must have entries and label as the first has"),
        (Items({"a": X[0]}, {"b": X[0]}), ValueError, "item 1 of source must have entries and label as the first has"),
        (Items((PICTURE, 1)), TypeError, "item 0 of source must hold a tensor as x, got Image.*PILToTensor"),
        (Items("a text"), TypeError, "item 0 of source must hold a tensor as x, got str"),
        (Items(None), TypeError, "item 0 of source must hold a tensor as x, got NoneType"),
        (Items(X[0], None), TypeError, "item 1 of source must hold a tensor as x, got NoneType"),
        (Items((X[0], X[1], 3)), TypeError, r"item 0 of source must be x, \(x, label\) or a dictionary, got 3 things"),
        (Items((X[0], 0.5)), ValueError, "labels must be 1 whole numbers or texts"),
        (DataLoader(Stream(X[0], X[1, :2]), 1), ValueError, r"batch 1 of source must be \(3,\) .* got \(2,\)"),
        (Items(X[0].to_sparse()), TypeError, "item 0 of source must be a dense tensor"),
    ],
)
def test_what_does_not_fit_is_named(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_torch(source, label=None, progress=False)


def test_a_missing_label_entry_names_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"label must be an entry of item 0 of source, one of x, y, or None .* 'label'"
    ):
        from_torch(Items({"x": X[0], "y": 1}), progress=False)


def test_errors_of_the_source_say_where_they_happened() -> None:
    class Broken(Items):
        def __getitem__(self, row: int) -> Any:
            return {0: X[0], 1: X[1]}[row]

    with pytest.raises(KeyError) as caught:
        from_torch(Broken(0, 1, 2), progress=False)
    assert caught.value.__notes__ == ["this happened while item 2 of source was made"]


def test_a_bar_shows_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from_torch(TensorDataset(X))
    assert "4/4" in capsys.readouterr().err
    from_torch(TensorDataset(X), progress=False)
    assert capsys.readouterr().err == ""
