import json
import os
import threading
from functools import partial
from pathlib import Path

import pytest
import torch

from cl_explore import data, losses, nn, train
from cl_explore.methods import JointEmbedding, Method, Step
from cl_explore.train import imports, store
from cl_explore.views import VectorViews


def build(seed=0, noise=0.1, loss="nt_xent", augment=None, **knobs):
    torch.manual_seed(seed)
    augment = augment or VectorViews(noise=noise)
    return JointEmbedding(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), loss, augment, **knobs)


def toy(shift=0.0):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 6, generator=generator) + shift
    return data.Dataset("toy", x, torch.arange(40) % 2, torch.arange(40), ("a", "b"))


def fit(folder, method=None, dataset=None, **options):
    settings = {"epochs": 2, "batch_size": 16, "progress": False, "store": folder, "device": "cpu"}
    return train.fit(method or build(), dataset or toy(), **settings | options)


def test_a_second_call_loads_the_whole_run_into_the_method_given(tmp_path, capsys):
    first = fit(tmp_path)
    fresh = build()
    second = fit(tmp_path, fresh, progress=True)
    assert (first.cached, second.cached) == (False, True)
    assert first.path == second.path == tmp_path / first.path.name
    assert second.method is fresh
    assert not fresh.training
    for name, value in first.method.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    assert second.history.equals(first.history)
    assert second.history.dtypes.equals(first.history.dtypes)
    for name, value in vars(first.snapshots).items():
        assert torch.equal(getattr(second.snapshots, name), value)
    assert second.config == first.config
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"run {first.path.name} loaded from the store" in said


def test_configuration_is_readable_json_and_survives_it(tmp_path):
    run = fit(tmp_path, lr=0.1 + 0.2, epochs=3)
    assert json.loads(json.dumps(run.config)) == run.config
    assert (run.config["epochs"], run.config["lr"], run.config["dataset"]["name"]) == (3, 0.1 + 0.2, "toy")
    assert "nt_xent(temperature=0.5)" in run.config["method"]


CHANGES = {
    "weights": {"method": lambda: build(seed=1)},
    "knob": {"method": lambda: build(temperature=0.4)},
    "views": {"method": lambda: build(noise=0.2)},
    "loss": {"method": lambda: build(loss="dcl")},
    "data": {"dataset": lambda: toy(shift=1e-3)},
    "snapshot_data": {"snapshot_data": lambda: toy(shift=1.0)},
    "seed": {"seed": 1},
    "epochs": {"epochs": 3},
    "batch_size": {"batch_size": 17},
    "lr": {"lr": 1e-3},
    "optimizer": {"optimizer": "sgd"},
    "weight_decay": {"weight_decay": 1e-4},
    "warmup_epochs": {"warmup_epochs": 1},
    "snapshots": {"snapshots": 3},
    "precision": {"precision": "bf16-mixed"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_configuration_is_another_run(tmp_path, change):
    fit(tmp_path)
    changed = fit(tmp_path, **{name: value() if callable(value) else value for name, value in CHANGES[change].items()})
    assert not changed.cached
    assert len(list(tmp_path.iterdir())) == 2


def test_a_change_of_source_or_torch_is_another_run(tmp_path, monkeypatch):
    fit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "0.0")
        assert not fit(tmp_path).cached
    monkeypatch.setattr(imports, "behind", lambda modules: {})
    assert not fit(tmp_path).cached


GAIN = 0.1


def gain():
    return GAIN


def by_global(x, generator, n_views):
    return x[:, None] + gain() * torch.randn(len(x), n_views, 6, generator=generator)


def by_closure(amount):
    return lambda x, generator, n_views: x[:, None] + amount * torch.randn(len(x), n_views, 6, generator=generator)


def by_argument(x, generator, n_views, amount=0.1):
    return by_closure(amount)(x, generator, n_views)


class ByAttribute:
    def __init__(self, amount):
        self.amount = amount

    def __call__(self, x, generator, n_views):
        return by_closure(self.amount)(x, generator, n_views)


class ByPart:
    def __init__(self, part):
        self.part = part

    def __call__(self, x, generator, n_views):
        return self.part(x, generator, n_views)


def with_forward(forward):
    method = build()
    method.encoder.__class__ = type("Own", (nn.MLP,), {"forward": forward, "__module__": __name__})
    return method


def test_own_code_is_part_of_the_configuration(tmp_path, monkeypatch):
    doubled, plain = lambda self, x: 2 * self.layers(x), lambda self, x: 1 * self.layers(x)
    ways = {
        "global": lambda: build(augment=by_global),
        "closure .1": lambda: build(augment=by_closure(0.1)),
        "closure .2": lambda: build(augment=by_closure(0.2)),
        "attribute .1": lambda: build(augment=ByAttribute(0.1)),
        "attribute .2": lambda: build(augment=ByAttribute(0.2)),
        "method .1": lambda: build(augment=ByAttribute(0.1).__call__),
        "method .2": lambda: build(augment=ByAttribute(0.2).__call__),
        "nested .1": lambda: build(augment=ByPart(ByAttribute(0.1))),
        "nested .2": lambda: build(augment=ByPart(ByAttribute(0.2))),
        "partial .1": lambda: build(augment=partial(by_argument, amount=0.1)),
        "partial .2": lambda: build(augment=partial(by_argument, amount=0.2)),
        "partial global": lambda: build(augment=partial(by_global)),
        "forward": lambda: with_forward(plain),
        "other forward": lambda: with_forward(doubled),
    }
    assert not any(fit(tmp_path, way()).cached for way in ways.values())
    assert all(fit(tmp_path, way()).cached for way in ways.values())
    monkeypatch.setitem(globals(), "GAIN", 0.2)
    again = {name: fit(tmp_path, way()).cached for name, way in ways.items()}
    assert [name for name, cached in again.items() if not cached] == ["global", "partial global"]


class Averaged(Method):
    """An own method around one of the library's modules with state, which no repr tells of."""

    def __init__(self, **knobs):
        torch.manual_seed(0)
        super().__init__(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), VectorViews())
        self.criterion = losses.ISogCLR(40, **knobs)

    def step(self, batch, generator):
        views = self.augment(batch.x, generator, 2)
        z = self.project(self(views.flatten(0, 1))).unflatten(0, views.shape[:2])
        return Step(self.criterion(z, batch.index), {})


def test_knobs_of_a_module_with_state_are_part_of_the_configuration(tmp_path):
    ways = ({"rho": 0.2}, {"rho": 0.8}, {"rho": 0.2, "eta": 0.3})
    runs = [fit(tmp_path, Averaged(**knobs)) for knobs in ways]
    assert [run.cached for run in runs] == [False, False, False]
    for run, knobs in zip(runs, ways, strict=True):
        again = fit(tmp_path, Averaged(**knobs))
        assert again.cached
        assert again.history.equals(run.history)


def test_a_frozen_encoder_is_not_handed_out_as_a_trained_one(tmp_path):
    frozen, trained = build(), build()
    frozen.encoder.requires_grad_(False)
    before = [weight.clone() for weight in trained.encoder.parameters()]
    fit(tmp_path, frozen)
    assert not fit(tmp_path, trained).cached
    assert any(not torch.equal(*pair) for pair in zip(before, trained.encoder.parameters(), strict=True))


def test_the_mode_a_method_comes_in_is_no_part_of_the_configuration(tmp_path):
    fit(tmp_path, build().eval())
    assert fit(tmp_path, build()).cached


def test_a_run_found_says_so_without_progress_too(tmp_path, caplog, capsys):
    caplog.set_level("INFO", "cl_explore")
    path = fit(tmp_path).path
    assert caplog.messages == []
    assert fit(tmp_path).cached
    (said,) = caplog.records
    assert (said.name, said.levelname) == ("cl_explore", "INFO")
    assert said.getMessage().startswith(f"run {path.name} loaded from the store")
    assert capsys.readouterr().out == ""


def locked():
    method = build()
    method.encoder.lock = threading.Lock()
    return method


def test_a_run_that_cannot_be_told_apart_is_trained_anew_and_says_why(tmp_path, caplog, capsys):
    for _ in range(2):
        run = fit(tmp_path, locked())
        assert (run.cached, run.path) == (False, None)
    assert list(tmp_path.iterdir()) == []
    (first, second) = caplog.records
    assert first.levelname == "WARNING"
    assert "not kept in the store, since method._modules.encoder.lock (lock)" in first.getMessage()
    assert first.getMessage() == second.getMessage()
    fit(tmp_path, locked(), progress=True)
    assert capsys.readouterr().out.strip() == first.getMessage()
    fit(False, locked())
    assert len(caplog.records) == 2


def test_the_body_of_an_own_loss_is_part_of_the_configuration(tmp_path):
    def declare(body):
        body.__name__ = body.__qualname__ = "mine"
        return losses.Loss(
            body,
            title="",
            paper="",
            family="",
            formula="",
            knobs=(),
            min_samples=2,
            min_views=2,
            max_views=None,
            raw=False,
        )

    def pull(z):
        return (z[:, 0] - z[:, 1]).square().sum(-1).repeat_interleave(2)

    def push(z):
        return -(z[:, 0] - z[:, 1]).square().sum(-1).repeat_interleave(2)

    assert not fit(tmp_path, build(loss=declare(pull))).cached
    assert not fit(tmp_path, build(loss=declare(push))).cached
    assert fit(tmp_path, build(loss=declare(push))).cached


def test_store_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path / "runs"))
    assert fit(True).path.parent == tmp_path / "runs"
    monkeypatch.delenv("CL_EXPLORE_RUNS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fit(True).path.parent == tmp_path / "cache" / "cl_explore" / "runs"
    assert fit(False).path is None


def truncate(path):
    content = (path / "run.pt").read_bytes()
    (path / "run.pt").write_bytes(content[: len(content) // 2])


def flip(path):
    content = bytearray((path / "run.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "run.pt").write_bytes(content)


def foreign(path):
    for file in path.iterdir():
        file.unlink()
    (path / "notes.txt").write_text("not a run")


def swap(path):
    record = json.loads((path / "run.json").read_text())
    record["config"]["seed"] = 9
    (path / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize("damage", [truncate, flip, foreign, swap, lambda path: (path / "history.json").unlink()])
def test_a_damaged_run_is_named_and_changes_nothing(tmp_path, damage):
    path = fit(tmp_path).path
    damage(path)
    method = build()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    with pytest.raises(ValueError, match=rf"{path}.*delete this folder"):
        fit(tmp_path, method)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_a_failed_write_leaves_no_trace_and_the_trained_run(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    method = build()
    with pytest.warns(UserWarning, match="could not be kept.*No space left"):
        run = fit(tmp_path, method)
    assert run.path is None
    assert len(run.history) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_whole_or_absent_at_every_moment(tmp_path, monkeypatch):
    move, seen = Path.replace, []

    def watched(self, target):
        if self.is_dir():  # and no checkpoint
            seen.append(sorted(file.name for file in self.iterdir()))
            assert not target.exists()
        return move(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    path = fit(tmp_path).path
    assert seen == [["epochs.json", "history.json", "method.pickle", "run.json", "run.pt"]]
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_another_process_kept_meanwhile_stays(tmp_path):
    run = fit(tmp_path)
    kept = (run.path / "run.pt").stat().st_ino
    assert store.save(run.path, run).path == run.path
    assert (run.path / "run.pt").stat().st_ino == kept
    assert list(tmp_path.iterdir()) == [run.path]


def test_an_unusable_store_is_named_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(PermissionError, match=r"cannot be made.*CL_EXPLORE_RUNS"):
        fit(tmp_path / "file" / "runs")
    fit(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert fit(tmp_path).cached
    with pytest.raises(PermissionError, match=r"cannot be written to.*store=False"):
        fit(tmp_path, seed=1)
