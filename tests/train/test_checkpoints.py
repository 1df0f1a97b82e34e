"""What stops a run short of a kill: full disks, lost permissions, damaged checkpoints, interrupts."""

import errno
import io
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from cl_explore import data, nn, train
from cl_explore.methods import JointEmbedding, Step
from cl_explore.train.checkpoints import load_plain
from cl_explore.views import VectorViews

STEPS = 9
EVENTS = logging.getLogger("events")  # what happens on the way: a logger's name alone is part of a configuration


class Eventful(JointEmbedding):
    def step(self, batch, generator):
        loss, metrics = super().step(batch, generator)
        self.taken += 1
        return Step(loss * EVENTS.factor.get(self.taken, 1.0), metrics)

    def after_step(self):
        EVENTS.after.get(self.taken, lambda method: None)(self)


@pytest.fixture(autouse=True)
def _uneventful():
    EVENTS.after, EVENTS.factor = {}, {}


def build(**knobs):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(nn.MLP([6, 16, 8]), torch.nn.Dropout(0.2))
    method = Eventful(encoder, nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1), **knobs)
    method.taken = 0
    return method


def fit(store, method=None, **options):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(50) % 3
    toy = data.Dataset("toy", torch.randn(50, 6, generator=generator), labels, torch.arange(50), tuple("abc"))
    settings = {"epochs": 3, "batch_size": 16, "device": "cpu", "checkpoint_seconds": 0, "progress": False}
    return train.fit(method or build(), toy, store=store, **settings | options)


def same(run, other):
    ours, theirs = run.method.state_dict(), other.method.state_dict()
    return (
        all(torch.equal(ours[name], theirs[name]) for name in theirs)
        and run.history.drop(columns="seconds").equals(other.history.drop(columns="seconds"))
        and all(torch.equal(getattr(run.snapshots, name), value) for name, value in vars(other.snapshots).items())
    )


def interrupt(method):
    signal.raise_signal(signal.SIGINT)


def interrupted_at(store, step, **options):
    """The folder of checkpoints of a run that was interrupted in this step."""
    EVENTS.after = {step: interrupt}
    with pytest.raises(KeyboardInterrupt):
        fit(store, **options)
    EVENTS.after = {}
    (folder,) = store.iterdir()
    return folder


@pytest.fixture(scope="module")
def whole():
    EVENTS.after, EVENTS.factor = {}, {}
    return fit(False)


def test_an_interrupt_waits_for_the_step_and_keeps_it(tmp_path, whole, capsys):
    EVENTS.after = {5: interrupt}
    method = build()
    with pytest.raises(KeyboardInterrupt, match=r"after step 5 of 9.*build the method anew.*step-000000005") as stopped:
        fit(tmp_path, method, checkpoint_seconds=1000)
    assert stopped.value.__context__ is None
    assert not method.training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (folder,) = tmp_path.iterdir()
    assert folder.suffix == ".part"
    assert [file.name for file in folder.iterdir()] == ["step-000000005"]
    EVENTS.after = {}
    run = fit(tmp_path, progress=True)
    assert f"run {run.path.name} goes on after step 5 of 9" in capsys.readouterr().out
    assert same(run, whole)
    assert run.history["seconds"].is_monotonic_increasing
    assert list(tmp_path.iterdir()) == [run.path]


def test_without_a_store_an_interrupt_says_that_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    EVENTS.after = {5: interrupt}
    with pytest.raises(KeyboardInterrupt, match="Nothing is kept"):
        fit(False)
    assert list(tmp_path.iterdir()) == []


def test_a_second_interrupt_does_not_wait(tmp_path, whole):
    def twice(method):
        interrupt(method)
        interrupt(method)

    EVENTS.after = {5: twice}
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    EVENTS.after = {}
    (folder,) = tmp_path.iterdir()
    assert max(file.name for file in folder.iterdir()) == "step-000000004"
    assert same(fit(tmp_path), whole)


def test_interrupts_are_left_to_those_who_handle_them_and_other_threads_train(tmp_path, whole):
    heard, runs = [], []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        EVENTS.after = {5: interrupt}
        assert same(fit(False), whole)
        assert heard == [1]
    finally:
        signal.signal(signal.SIGINT, before)
    EVENTS.after = {}
    thread = threading.Thread(target=lambda: runs.append(fit(tmp_path)))
    thread.start()
    thread.join()
    assert same(runs[0], whole)


def test_checkpoints_are_written_now_and_then_and_the_newest_two_kept(tmp_path):
    seen = []

    def look(method):
        seen.append(sorted(file.name for folder in tmp_path.iterdir() for file in folder.iterdir()))

    EVENTS.after = dict.fromkeys(range(1, STEPS + 1), look)
    fit(tmp_path)
    assert seen[:3] == [[], ["step-000000001"], ["step-000000001", "step-000000002"]]
    assert seen[-1] == ["step-000000007", "step-000000008"]
    seen.clear()
    fit(tmp_path, seed=1, checkpoint_seconds=30)
    assert (
        seen == [["epochs.json", "history.json", "method.pickle", "run.json", "run.pt"]] * STEPS
    )  # those of the first run
    with pytest.raises(ValueError, match="checkpoint_seconds must be at least 0 and finite, got -1"):
        fit(tmp_path, checkpoint_seconds=-1)


def truncate(path, length):
    content = path.read_bytes()
    path.write_bytes(content[:length])


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    **{f"cut to {length}": lambda path, length=length: truncate(path, length) for length in (0, 1, 64, 65, 999, -1)},
    **{f"bit of byte {place}": lambda path, place=place: flip(path, place) for place in (3, 64, 2000, -1)},
    "text": lambda path: path.write_text("not a checkpoint"),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, whole, damage, capsys):
    folder = interrupted_at(tmp_path, 6)
    DAMAGES[damage](folder / "step-000000006")
    with pytest.warns(UserWarning, match=rf"{folder}/step-000000006 cannot be used .*going back before it"):
        run = fit(tmp_path, progress=True)
    assert "goes on after step 5 of 9" in capsys.readouterr().out
    assert same(run, whole)


def test_a_foreign_checkpoint_is_named_and_not_used(tmp_path, whole, capsys):
    other = interrupted_at(tmp_path / "other", 8, seed=1)
    folder = interrupted_at(tmp_path / "own", 6)
    shutil.copy(other / "step-000000008", folder)
    with pytest.warns(UserWarning, match=r"step-000000008 cannot be used \(it belongs to another configuration\)"):
        run = fit(tmp_path / "own", progress=True)
    assert "goes on after step 6 of 9" in capsys.readouterr().out
    assert same(run, whole)
    assert list((tmp_path / "own").iterdir()) == [run.path]


def test_an_unusable_checkpoint_does_not_count_among_those_kept(tmp_path):
    folder = interrupted_at(tmp_path, 6)
    (folder / "step-000000099").write_text("not a checkpoint")
    EVENTS.after = {2: interrupt}
    with pytest.warns(UserWarning, match="step-000000099"), pytest.raises(KeyboardInterrupt, match=r"step-000000008$"):
        fit(tmp_path)
    assert sorted(file.name for file in folder.glob("step-*")) == ["step-000000007", "step-000000008"]


def test_with_no_checkpoint_left_a_run_starts_anew(tmp_path, whole, capsys):
    for file in interrupted_at(tmp_path, 6).iterdir():
        truncate(file, 100)
    with pytest.warns(UserWarning, match="cannot be used") as warned:
        run = fit(tmp_path, progress=True)
    assert len(warned) == 2
    assert "goes on" not in capsys.readouterr().out
    assert same(run, whole)


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path, whole):
    folder = interrupted_at(tmp_path, 6)
    (folder / ".new-0123").write_bytes(b"half")
    EVENTS.after = {1: lambda method: seen.extend(folder.glob(".new-*"))}
    seen = []
    assert same(fit(tmp_path), whole)
    assert seen == []
    (stale := tmp_path / folder.name).mkdir()
    (stale / "step-000000009").write_bytes(b"of a process that was killed after it had stored the run")
    assert fit(tmp_path).cached
    assert not stale.exists()


@pytest.fixture
def small_disk():
    """A disk of 256 KiB of its own."""
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("only root can mount a small disk")
        yield Path(place)
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_spares_the_last_checkpoint_and_the_run_goes_on(small_disk, whole, capsys):
    def fill(method):
        with (small_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    EVENTS.after = {6: fill}
    with pytest.warns(UserWarning, match="No space left") as warned:
        assert same(fit(small_disk), whole)
    texts = [str(each.message) for each in warned]
    (folder,) = small_disk.glob("*.part")
    assert texts[0].startswith(f"no checkpoint can be kept in {folder} (No space left on device)")
    assert texts[0].endswith(f"last good checkpoint: {folder}/step-000000005")
    assert len(set(texts)) == 2  # Python shows equal ones once
    assert "the run is trained but could not be kept" in texts[-1]
    assert sorted(file.name for file in folder.iterdir()) == ["step-000000004", "step-000000005"]
    (small_disk / "filler").unlink()
    EVENTS.after = {}
    run = fit(small_disk, progress=True)
    assert "goes on after step 5 of 9" in capsys.readouterr().out
    assert same(run, whole)
    assert run.path is not None


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_spares_the_last_checkpoint(tmp_path, whole, monkeypatch, call, error):
    def broken(*_, **__):
        raise OSError(error, os.strerror(error))

    def breaks(method):
        monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), broken)

    EVENTS.after = {6: breaks}
    with pytest.warns(UserWarning, match=rf"no checkpoint can be kept .*{os.strerror(error)}.*step-000000005"):
        assert same(fit(tmp_path), whole)
    monkeypatch.undo()
    EVENTS.after = {}
    assert same(fit(tmp_path), whole)


def test_a_folder_that_may_no_longer_be_written_to_spares_the_last_checkpoint(whole):
    with tempfile.TemporaryDirectory() as place:
        store = Path(place)
        store.chmod(0o777)
        mighty = os.geteuid() == 0  # whom no permission stops
        if mighty:
            os.seteuid(65534)

        def close(method):
            next(store.iterdir()).chmod(0o500)

        EVENTS.after = {6: close}
        try:
            with pytest.warns(UserWarning, match="no checkpoint can be kept .*Permission denied.*step-000000005"):
                run = fit(store)
            assert same(run, whole)
        finally:
            if mighty:
                os.seteuid(0)


def test_a_gradient_that_is_not_finite_stops_the_run_and_is_never_kept(tmp_path):
    EVENTS.factor = {5: math.inf}  # inf * loss is inf; its gradient, too
    with pytest.raises(FloatingPointError, match=r"loss became inf at step 5 .*Last good checkpoint: .*step-000000004"):
        fit(tmp_path)

    def endless(method):
        method.head.layers[0].weight.register_hook(lambda gradient: gradient * math.inf)

    EVENTS.factor, EVENTS.after = {}, {2: endless}
    told = r"gradient became nan at step 3 \(epoch 1, lr .*knobs: temperature=0.4\).*Last good checkpoint: .*000000002$"
    with pytest.raises(FloatingPointError, match=told):
        fit(tmp_path / "gradient", build(temperature=0.4))

    def overflow(method):
        method.encoder[0].layers[0].weight.data.fill_(math.inf)

    EVENTS.after = {2: overflow}
    with pytest.raises(
        FloatingPointError, match=r"encoder.0.layers.0.weight is no longer finite at step 2.*000000001$"
    ):
        fit(tmp_path / "weights")
    for place in (tmp_path / "gradient", tmp_path / "weights"):
        for file in place.glob("*/step-*"):
            saved = torch.load(io.BytesIO(file.read_bytes()[64:]), weights_only=True)
            assert all(value.isfinite().all() for value in saved["state"]["method"].values())


def test_without_checkpoints_the_error_says_so():
    EVENTS.factor = {5: math.nan}
    with pytest.raises(FloatingPointError, match="Last good checkpoint: none"):
        fit(False)


def test_numbers_of_numpy_survive_a_checkpoint(tmp_path):
    settings = {"lr": np.float64(0.001), "weight_decay": np.float32(0.25), "warmup_epochs": np.float64(1)}
    whole = fit(False, build(temperature=np.float64(0.25)), **settings)
    EVENTS.after = {5: interrupt}
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, build(temperature=np.float64(0.25)), **settings)
    EVENTS.after = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = fit(tmp_path, build(temperature=np.float64(0.25)), **settings)
    assert same(run, whole)


def test_a_knob_turned_by_the_method_stays_turned(tmp_path):
    def colder(method):
        method.knobs["temperature"] /= 2

    EVENTS.after = {3: colder}
    whole = fit(False)
    EVENTS.after = {3: colder, 5: interrupt}
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    EVENTS.after = {}
    assert same(fit(tmp_path), whole)


def test_a_request_to_end_keeps_the_step_and_ends_the_process_all_the_same(tmp_path, whole):
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_checkpoints as here
here.EVENTS.after, here.EVENTS.factor = {{5: lambda method: os.kill(os.getpid(), signal.SIGTERM)}}, {{}}
here.fit({str(tmp_path)!r}, progress=True, checkpoint_seconds=1000)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGTERM, ended.stderr
    assert "stopped after step 5 of 9. To go on, build the method anew" in ended.stdout
    (folder,) = tmp_path.iterdir()
    assert [file.name for file in folder.iterdir()] == ["step-000000005"]
    before = signal.getsignal(signal.SIGTERM)
    assert same(fit(tmp_path), whole)
    assert signal.getsignal(signal.SIGTERM) is before


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch executed",)


def test_no_error_advises_to_run_what_a_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"method": Code()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="it holds more than tensors and plain values") as caught:
        load_plain(tmp_path / "run.pt")
    assert "set to `False`" not in "".join(traceback.format_exception(caught.value))
    assert not (tmp_path / "executed").exists()
