"""The bench: equal starts for equal seeds, rows that are what they say, and a plan that can be used again."""

from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from cl_explore import evaluate, losses
from cl_explore.claims import bench
from cl_explore.claims.bench import Entry, baselines, compare, small, splits
from cl_explore.data import Dataset
from cl_explore.methods import JointEmbedding, Method

SETTINGS = {"epochs": 1, "batch_size": 128}


@pytest.fixture(autouse=True)
def _store(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path / "runs"))


def pictures(channels: int, size: int, count: int = 4) -> Dataset:
    x = torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))
    return Dataset("pictures", x, torch.zeros(count, dtype=torch.int64), torch.arange(count), ("one",))


def weights(method: Method) -> Tensor:
    return torch.cat([part.detach().flatten() for part in [*method.encoder.parameters(), *method.head.parameters()]])


class Noting(JointEmbedding):
    """A method that draws a number for itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.drawn = torch.rand(())


def test_methods_of_a_seed_start_from_equal_weights_and_leave_the_global_state() -> None:
    train = splits("digits", 200)[0]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = Entry("nt_xent", settings=SETTINGS).build(train, 1)
    another = Entry("cacr", settings=SETTINGS, form=Noting, n_views=3, tau_pos=2.0).build(train, 1)
    wider = Entry("cacr", settings=SETTINGS, form=Noting, networks=lambda train: small(train, 8)).build(train, 1)
    assert torch.rand(1) == expected
    assert torch.equal(weights(one), weights(another))
    assert not torch.equal(weights(one), weights(Entry("nt_xent", settings=SETTINGS).build(train, 2)))
    assert wider.drawn == another.drawn  # other networks, the same draws of the method's own
    assert (another.n_views, another.knobs["tau_pos"]) == (3, 2.0)


def test_networks_and_views_are_the_defaults_of_such_samples() -> None:
    dataset = pictures(3, 32)
    encoder, head = small(dataset, embedding=16)
    assert head(encoder(dataset.x)).shape == (4, 16)
    assert sum(part.numel() for part in encoder.parameters()) == 11_168_832
    assert Entry("nt_xent", settings=SETTINGS).build(dataset, 0).augment == dataset.modality.weak(dataset.x)
    digits = splits("digits", 200)[0]
    assert Entry("nt_xent", settings=SETTINGS).build(digits, 0).augment == digits.modality.weak(digits.x)


def test_a_cut_keeps_all_classes_and_is_always_the_same() -> None:
    train, test = splits("digits", samples=200)
    assert len(train) == len(test) == 200
    assert len(train.labels.unique()) == 10
    assert torch.equal(train.index, splits("digits", samples=200)[0].index)


def test_rows_hold_what_entries_say_and_the_measures_in_the_order_of_the_plan() -> None:
    train, test = splits("digits", 256)
    plan = {"b": Entry("nt_xent", settings=SETTINGS, about={"temperature": 0.5}), "a": Entry("dcl", settings=SETTINGS)}
    seen: list[tuple[int, int]] = []

    def measure(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
        seen.append((len(train), len(test)))
        assert not method.training
        return {"score": float(weights(method)[0])}

    rows, methods, runs = compare(plan, train, test.subset(torch.arange(100)), [measure], seed=0)
    assert seen == [(256, 100)] * 2
    assert [list(row) for row in rows] == [
        ["method", "temperature", "score", "seconds"],
        ["method", "score", "seconds"],
    ]
    assert [row["method"] for row in rows] == list(methods) == list(runs) == ["b", "a"]
    assert rows[0]["score"] == float(weights(methods["b"])[0])
    assert rows[0]["seconds"] == runs["b"].history["seconds"].iloc[-1] > 0
    assert runs["b"].method is methods["b"]
    table = bench.table({3: bench.Comparison(rows, methods, runs), 4: bench.Comparison(rows[:1], {}, {})})
    assert table[["seed", "method"]].to_numpy().tolist() == [[3, "b"], [3, "a"], [4, "b"]]
    assert isinstance(table, pd.DataFrame)


def test_the_usual_measures_of_the_pixels_and_of_an_untrained_encoder() -> None:
    train, test = splits("digits", 300)
    (pixels, untrained), methods, runs = compare(
        baselines(networks=lambda train: small(train, 16)), train, test, seed=0
    )
    assert runs == {}
    names = ["kNN h", "kNN z", "linear h", "−uniformity", "tolerance", "effective rank", "seconds"]
    assert list(pixels) == list(untrained) == ["method", *names]
    assert pixels["kNN h"] == pixels["kNN z"]
    assert pixels["kNN h"] == evaluate.knn_accuracy(train.x.flatten(1), train.labels, test.x.flatten(1), test.labels)
    assert 1 <= untrained["effective rank"] <= 16
    assert pixels["seconds"] == untrained["seconds"] == 0
    fresh = Entry("nt_xent", settings=SETTINGS, networks=lambda train: small(train, 16)).build(train, 0)
    assert torch.equal(weights(methods["untrained encoder"]).cpu(), weights(fresh))


def test_samples_of_several_parts_have_no_defaults() -> None:
    train = splits("digits", 20)[0]
    both = Dataset("both", {"a": train.x, "b": train.x}, train.labels, train.index, train.class_names)
    with pytest.raises(ValueError, match="networks and augment must be given for samples of parts: a, b"):
        Entry("nt_xent", settings=SETTINGS).build(both, 0)


def test_a_plan_can_be_used_again_and_comes_from_the_store() -> None:
    """Also one with a loss that keeps state, of which every training has a copy."""
    train, test = splits("digits", 128)
    size = int(train.index.max()) + 1
    plan = {"SogCLR": Entry(losses.SogCLR(size), settings={"epochs": 1, "batch_size": 64})}
    first = compare(plan, train, test, seed=0)
    again = compare(plan, train, test, seed=0)
    assert again.rows == first.rows
    assert again.runs["SogCLR"].cached
    assert not first.runs["SogCLR"].cached
    assert first.methods["SogCLR"].loss.log_mean.isfinite().sum() == 128
    assert plan["SogCLR"].loss.log_mean.isinf().all()  # type: ignore[union-attr]


def test_an_entry_may_be_trained_on_data_of_its_own() -> None:
    """Measures see the training part all the same."""
    train, test = splits("digits", 256)
    own = train.subset(torch.arange(128))
    plan = {"half": Entry("nt_xent", settings=SETTINGS, data=own), "all": Entry("nt_xent", settings=SETTINGS)}
    rows, _, runs = compare(plan, train, test, [lambda method, train, test: {"n": len(train)}], seed=0)
    assert [run.config["dataset"]["samples"] for run in runs.values()] == [128, 256]
    assert [row["n"] for row in rows] == [256, 256]
