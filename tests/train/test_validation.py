"""What `fit` tells while it trains: measures after each epoch, an early end, every step, a logger."""

import csv
import math

import pytest
import torch
from lightning_fabric.loggers import CSVLogger

from cl_explore import data, train
from cl_explore.evaluate import embed, knn_accuracy, linear_accuracy
from cl_explore.geometry import effective_rank, uniformity
from cl_explore.methods import JointEmbedding
from cl_explore.views import VectorViews


def build(dropout=0.0):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(dropout))
    return JointEmbedding(encoder, torch.nn.Linear(8, 4), "nt_xent", VectorViews(noise=0.1))


def toy(n=50, seed=1, classes="abc"):
    labels = torch.arange(n) % len(classes)
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + labels[:, None]
    return data.Dataset(f"toy {seed}", x, labels, torch.arange(n), tuple(classes))


def fit(method=None, dataset=None, **options):
    settings = {"epochs": 4, "batch_size": 16, "store": False, "progress": False, "device": "cpu"}
    return train.fit(method or build(), dataset or toy(), **settings | options)


def weights(run):
    return torch.cat([weight.flatten() for weight in run.method.parameters()])


def test_after_each_epoch_the_method_is_measured_on_what_was_held_out():
    held_out = toy(30, seed=2)
    run = fit(build(dropout=0.5), validation=held_out)
    epochs = run.epochs
    assert epochs[["epoch", "step"]].to_dict("list") == {"epoch": [1, 2, 3, 4], "step": [3, 6, 9, 12]}
    assert epochs["loss"].tolist() == pytest.approx(run.history.groupby("epoch")["loss"].mean().tolist())
    seen, found = embed(run.method, toy()), embed(run.method, held_out)
    last = epochs.iloc[-1]
    assert last["knn"] == knn_accuracy(seen.h, seen.labels, found.h, found.labels)
    assert last["linear"] == linear_accuracy(seen.h, seen.labels, found.h, found.labels)
    assert last["uniformity"] == uniformity(found.z).item()
    assert last["effective_rank"] == effective_rank(found.z).item()
    assert torch.equal(weights(run), weights(fit(build(dropout=0.5)))), "to measure changes nothing of the training"


def test_without_labels_no_probe_is_asked():
    unlabelled = toy(30, seed=2)
    unlabelled = data.Dataset("none", unlabelled.x, torch.full((30,), -1), torch.arange(30), tuple("abc"))
    assert list(fit(validation=unlabelled).epochs) == ["epoch", "step", "loss", "uniformity", "effective_rank"]
    assert fit().epochs.empty


def test_until_ends_the_run_and_the_store_keeps_it_as_it_ended(tmp_path):
    def enough(epochs):
        return len(epochs) == 2

    run = fit(until=enough, store=tmp_path, snapshots=5)
    assert run.history["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert run.snapshots.steps[-1] == 6
    assert torch.equal(weights(run), weights(fit(until=lambda epochs: len(epochs) > 1)))
    again = fit(until=enough, store=tmp_path, snapshots=5)
    assert again.cached
    assert again.epochs.equals(run.epochs)
    assert not fit(until=lambda epochs: len(epochs) == 3, store=tmp_path, snapshots=5).cached


def test_measures_survive_an_interruption(tmp_path):
    whole = fit(validation=toy(30, seed=2))
    loop = train.Loop(build(), toy(), epochs=4, batch_size=16, device="cpu", validation=toy(30, seed=2))
    assert next(at for at in loop if at.step == 7)
    later = train.Loop(build(), toy(), epochs=4, batch_size=16, device="cpu", validation=toy(30, seed=2))
    later.load_state_dict(loop.state_dict())
    list(later)
    assert later.run().epochs.equals(whole.epochs)


def test_every_step_is_shown_and_what_it_does_decides_the_run(tmp_path):
    steps = []

    def cool(at):
        method.knobs["temperature"] = 1 / at.step

    method = build()
    cooled = fit(method, on_step=cool, store=tmp_path)
    fit(on_step=lambda at: steps.append((at.step, at.epoch, float(at.loss))))
    plain = fit(store=tmp_path)
    assert [step[:2] for step in steps] == list(zip(plain.history["step"], plain.history["epoch"], strict=True))
    assert [step[2] for step in steps] == pytest.approx(plain.history["loss"].tolist())
    assert not plain.cached
    assert not torch.equal(weights(cooled), weights(plain))


def test_a_fabric_logger_gets_every_step_and_every_epoch(tmp_path):
    logger = CSVLogger(tmp_path, flush_logs_every_n_steps=1)
    run = fit(logger=logger, validation=toy(30, seed=2))
    with (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = {int(row["step"]): float(row["loss"]) for row in rows if row["lr"]}
    assert steps == pytest.approx(dict(zip(run.history["step"], run.history["loss"], strict=True)))
    assert [float(row["knn"]) for row in rows if row["knn"]] == run.epochs["knn"].tolist()


def test_an_own_optimiser_and_schedule_are_used_and_decide_the_run(tmp_path):
    def slow_heads(parameters):
        *encoder, weight, bias = parameters
        return torch.optim.SGD([{"params": encoder, "lr": 0.2}, {"params": [weight, bias]}], lr=0.1, momentum=0.9)

    def steps_down(step, total):
        return 1 if step < total // 2 else 0.1

    run = fit(optimizer=slow_heads, schedule=steps_down, store=tmp_path)
    assert run.history["lr"].tolist() == pytest.approx([0.2] * 6 + [0.02] * 6)
    assert fit(optimizer=slow_heads, schedule=steps_down, store=tmp_path).cached
    named = fit(optimizer="sgd", lr=0.2, schedule=steps_down, store=tmp_path)
    assert not named.cached
    alike = fit(optimizer=lambda all: torch.optim.SGD(all, lr=0.2, momentum=0.9), schedule=steps_down)
    torch.testing.assert_close(weights(named), weights(alike))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"validation": toy(9, classes="ab")}, ValueError, "validation must have the 3 classes of toy 1"),
        ({"validation": toy().x}, TypeError, "validation must be a Dataset"),
        ({"until": 3}, TypeError, "until must be a function"),
        ({"on_step": "print"}, TypeError, "on_step must be a function"),
        ({"logger": print}, TypeError, "logger must have a method log_metrics"),
        ({"optimizer": "adamw"}, ValueError, "optimizer must be one of adam, sgd, lars"),
        ({"optimizer": lambda all: None}, TypeError, "optimizer must give a torch.optim.Optimizer, got NoneType"),
        ({"optimizer": torch.optim.SGD, "lr": 0.1}, ValueError, "lr and weight_decay must be left out"),
        ({"schedule": "linear"}, ValueError, 'schedule must be "cosine"'),
        (
            {"schedule": lambda step, total: math.nan},
            ValueError,
            "schedule must give a finite number, got nan for step 0",
        ),
        ({"schedule": lambda step, total: 1, "warmup_epochs": 1}, ValueError, "warmup_epochs must be 0 beside"),
    ],
)
def test_what_cannot_be_used_is_named(options, error, text):
    with pytest.raises(error, match=text):
        fit(**options)
