"""Dataset and Batch: shapes, devices, fingerprints, and the refusal of what would train quietly wrong."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from cl_explore.data import Batch, Dataset, load


def small(x: Tensor | None = None, **changes: object) -> Dataset:
    x = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) if x is None else x
    columns = {"labels": torch.tensor([0, 1, 2, 0, 1, -1]), "index": torch.arange(6) + 10}
    factors = {"size": torch.linspace(0, 1, 6)}
    return Dataset(
        **({"name": "small", "x": x, **columns, "class_names": ("a", "b", "c"), "factors": factors} | changes)
    )


def test_batch_turns_bytes_into_numbers_up_to_one() -> None:
    x = torch.randint(0, 256, (6, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    batch = small(x).batch(torch.tensor([3, 1]))
    assert batch.x.dtype == torch.float32
    torch.testing.assert_close(batch.x, torch.stack([x[3], x[1]]).float() / 255)
    assert batch.labels.tolist() == [0, 1]
    assert batch.index.tolist() == [13, 11]


@pytest.mark.parametrize("rows", [torch.tensor([4, 0]), torch.tensor([True, False, False, False, True, False])])
def test_subset_keeps_index_and_factors(rows: Tensor) -> None:
    cut = small().subset(rows)
    assert len(cut) == 2
    assert sorted(cut.index.tolist()) == [10, 14]
    assert torch.equal(cut.factors["size"], small().factors["size"][cut.index - 10])
    assert cut.num_classes == 3


def test_to_moves_everything() -> None:
    moved = small(torch.randint(0, 9, (6, 1, 2, 2), dtype=torch.uint8)).to("cpu")
    assert {moved.x.device.type, moved.labels.device.type, moved.factors["size"].device.type} == {"cpu"}


def test_fingerprint_follows_the_contents_only() -> None:
    assert small().fingerprint() == small().fingerprint()
    assert small(name="other").fingerprint() == small().fingerprint()
    x = small().x.clone()
    x[5, 2] += 1e-3
    others = [
        small(x),
        small(small().x.reshape(6, 3, 1, 1)),
        small(labels=torch.zeros(6, dtype=torch.int64)),
        small(index=torch.arange(6)),
        small(factors={}),
    ]
    assert len({small().fingerprint(), *(other.fingerprint() for other in others)}) == 6
    turned = small().x.T.contiguous().T
    assert small(turned).fingerprint() == small().fingerprint(), "memory order is no content"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(6)}, r"x must have shape \(N, F\) or \(N, C, H, W\)"),
        ({"x": torch.zeros(0, 3)}, "N >= 1"),
        ({"x": torch.zeros(6, 3, dtype=torch.float64)}, "x must be float32, or uint8 for images, got torch.float64"),
        ({"x": torch.zeros(6, 3, dtype=torch.uint8)}, "got torch.uint8 of 2 dimensions"),
        ({"x": torch.full((6, 1, 2, 2), 200.0)}, r"x must be in \[0, 1\] for float images, got values in \[200, 200\]"),
        ({"x": torch.full((6, 3), float("nan"))}, "x must be finite"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, r"labels must have shape \(6,\) as x has 6 rows, got \(5,\)"),
        ({"labels": torch.zeros(6)}, "labels must be int64, got torch.float32"),
        ({"labels": torch.full((6,), 3)}, r"labels must be in \[-1, 3\) as there are 3 class names, got 3 to 3"),
        ({"labels": torch.zeros(6, dtype=torch.int64, device="meta")}, "on one device, got x on cpu, labels on meta"),
        ({"factors": {"size": torch.zeros(6, 2)}}, r"size must have shape \(6,\)"),
    ],
)
def test_bad_contents_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(small(), **changes)


def two_sided(**changes: object) -> Dataset:
    """Six samples of a picture and a vector each."""
    seeded = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (6, 1, 2, 2), generator=seeded, dtype=torch.uint8)
    return small({"image": pictures, "numbers": torch.randn(6, 3, generator=seeded)}, **changes)


def test_several_tensors_by_name_are_cut_together() -> None:
    both, rows = two_sided(), torch.tensor([4, 0])
    assert len(both) == 6
    assert both.nbytes == 6 * (4 + 3 * 4)
    batch = both.batch(rows)
    assert torch.equal(batch.x["image"], both.x["image"][rows] / 255)
    assert torch.equal(batch.x["numbers"], both.x["numbers"][rows])
    cut = both.subset(torch.tensor([True, False, False, False, True, False])).to("cpu")
    assert torch.equal(cut.x["image"], both.x["image"][[0, 4]])
    assert cut.index.tolist() == [10, 14]


def test_a_batch_carries_the_factors_of_its_rows() -> None:
    batch = small().batch(torch.tensor([5, 0]))
    assert batch.factors["size"].tolist() == [1, 0]
    assert small(factors={}).batch(torch.tensor([5])).factors == {}
    halved = batch.each(lambda column: column[:1])
    assert (halved.labels.tolist(), halved.factors["size"].tolist(), halved.x.shape) == ([-1], [1], (1, 3))


def test_fingerprint_tells_every_named_tensor_and_name() -> None:
    both = two_sided()
    renamed = replace(both, x={"picture": both.x["image"], "numbers": both.x["numbers"]})
    changed = replace(both, x={**both.x, "numbers": both.x["numbers"] + 1})
    shadowed = replace(small(), factors={"x": small().factors["size"]})
    prints = [both, renamed, changed, small(), shadowed, replace(shadowed, x=small().x + 1)]
    assert len({dataset.fingerprint() for dataset in prints}) == len(prints)
    assert both.fingerprint() == two_sided().fingerprint()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({}, ValueError, "at least one"),
        ({"a": torch.zeros(6, 3), "b": torch.zeros(5, 3)}, ValueError, r"x\['a'\] has 6, x\['b'\] has 5"),
        ({"a": torch.zeros(6, 3), "b": torch.zeros(6)}, ValueError, r"x\['b'\] must have shape \(N, F\) or"),
        ({"a": [1.0]}, TypeError, r"x\['a'\] must be a tensor, got list"),
        ([[1.0]], TypeError, "x must be a tensor, got list"),
    ],
)
def test_bad_parts_are_named(x: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small(x)


def graph() -> Dataset:
    return small(edges=torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]]))


def test_a_batch_of_a_graph_holds_the_edges_between_its_nodes() -> None:
    assert torch.equal(graph().batch(torch.arange(6)).edges, graph().edges)
    assert graph().batch(torch.tensor([5, 0, 3])).edges.tolist() == [[0], [1]], "5 -> 0, by places in the batch"
    cut = graph().subset(torch.tensor([False, True, True, True, False, False])).to("cpu")
    assert cut.edges.tolist() == [[0, 1], [1, 2]]
    assert small().batch(torch.tensor([0])).edges is None
    assert graph().fingerprint() != small().fingerprint()


def test_edges_lead_from_row_to_row() -> None:
    for edges, message in (
        (torch.zeros(3, 2, dtype=torch.int64), r"edges must be int64 \(2, E\), got torch.int64 of \(3, 2\)"),
        (torch.zeros(2, 3), r"edges must be int64 \(2, E\), got torch.float32 of \(2, 3\)"),
        (torch.tensor([[0], [6]]), r"edges must be rows of x, in \[0, 6\), got 0 to 6"),
        (torch.tensor([[-1], [5]]), r"got -1 to 5"),
    ):
        with pytest.raises(ValueError, match=message):
            small(edges=edges)
    assert small(edges=torch.empty(2, 0, dtype=torch.int64)).batch(torch.tensor([1])).edges.shape == (2, 0)


def test_a_batch_can_be_copied_and_sent() -> None:
    plain = Batch(torch.zeros(2, 3), torch.zeros(2), torch.arange(2))
    assert plain.factors == {}
    assert torch.equal(pickle.loads(pickle.dumps(plain)).index, plain.index)
    assert copy.deepcopy(graph().batch(torch.arange(3))).edges.tolist() == [[0, 1], [1, 2]]


def test_rows_in_any_form_and_none_that_are_not_there() -> None:
    digits = load("digits").subset(torch.arange(6))
    mask = [True, False, True, False, False, False]
    forms = ([0, 2], (0, 2), np.array([0, 2], np.uint8), pd.Series([0, 2]), range(0, 3, 2), mask, np.array(mask))
    for rows in forms:
        assert torch.equal(digits.subset(rows).index, digits.index[[0, 2]]), rows
        assert torch.equal(digits.batch(rows).labels, digits.labels[[0, 2]])
    small = torch.tensor([1, 1, 0, 1, 0, 1], dtype=torch.uint8)  # which torch itself reads as a mask
    assert torch.equal(digits.subset(small).index, digits.index[small.long()])
    for rows, message in (([0, 6], "from 0 to 5"), ([-1], "from 0 to 5"), (mask[:5], r"as a mask must be \(6,\)")):
        with pytest.raises(ValueError, match=f"rows .*{message}"):
            digits.subset(rows)
    with pytest.raises(ValueError, match="rows must choose at least one of the 6 samples"):
        digits.subset(torch.zeros(6, dtype=torch.bool))


def test_a_node_of_a_graph_is_chosen_once() -> None:
    graph = Dataset("g", torch.eye(3), torch.zeros(3).long(), torch.arange(3), ("a",), edges=torch.tensor([[0], [2]]))
    assert graph.subset([2, 0]).edges.tolist() == [[1], [0]]
    with pytest.raises(ValueError, match="rows must be each once"):
        graph.subset([0, 0, 2])
