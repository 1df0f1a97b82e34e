"""Functions handed to `sweep` are written inside the tests: workers cannot import this file."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch

from cl_explore import train

GRID = {"loss": ["nt_xent", "varcon"], "seed": range(2)}


def trainer(store):
    def fit_toy(loss, seed, **knobs):
        from cl_explore import data, methods, nn, train, views

        labels = torch.arange(50) % 3
        x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
        toy = data.Dataset("toy", x, labels, torch.arange(50), tuple("abc"))
        torch.manual_seed(seed)
        augment = views.VectorViews(noise=0.1)
        method = methods.JointEmbedding(nn.MLP([6, 16, 8]), nn.projection_head(8, 8, 4), loss, augment, **knobs)
        settings = {"epochs": 2, "batch_size": 16, "seed": seed, "store": store, "progress": False, "device": "cpu"}
        return train.fit(method, toy, **settings)

    return fit_toy


def same(first, second):
    weights = (run.method.state_dict() for run in (first, second))
    return (
        all(torch.equal(a, b) for a, b in zip(*(each.values() for each in weights), strict=True))
        and first.history.drop(columns="seconds").equals(second.history.drop(columns="seconds"))
        and torch.equal(first.snapshots.z, second.snapshots.z)
    )


def test_a_sweep_is_the_runs_one_after_the_other_in_the_order_of_the_grid(tmp_path):
    found = train.sweep(trainer(tmp_path), GRID, progress=False)
    table = found.table
    assert table[["loss", "seed", "error"]].to_dict("list") == {
        "loss": ["nt_xent", "nt_xent", "varcon", "varcon"],
        "seed": [0, 1, 0, 1],
        "error": [None] * 4,
    }
    for row, run in zip(table.itertuples(), found.runs, strict=True):
        assert row.final_loss == pytest.approx(run.history["loss"][run.history["epoch"] == 2].mean())
        assert row.seconds == run.history["seconds"].iloc[-1]
    for result, run in zip(found.results, found.runs, strict=True):
        assert result.run is run
        assert same(run, trainer(False)(**result.point))
    assert not same(found.runs[0], found.runs[1])


def test_a_second_sweep_trains_only_what_is_missing(tmp_path):
    seen = []
    first = train.sweep(trainer(tmp_path), GRID, progress=False, on_result=seen.append)
    assert [run.cached for run in first.runs] == [False] * 4
    assert sorted(result.run.path.name for result in seen) == sorted(path.name for path in tmp_path.iterdir())
    wider = train.sweep(trainer(tmp_path), {**GRID, "seed": range(3)}, progress=False)
    assert [run.cached for run in wider.runs] == [True, True, False] * 2
    again = train.sweep(trainer(tmp_path), GRID, jobs=1, progress=False)
    assert [run.cached for run in again.runs] == [True] * 4  # the key of a run is the same in every process
    assert all(same(a, b) for a, b in zip(first.runs, again.runs, strict=True))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_point_is_reported_and_the_others_finish(tmp_path, capsys, jobs):
    seen = []
    grid = {"loss": ["nt_xnet", "nt_xent"], "seed": [0, 1]}
    found = train.sweep(trainer(tmp_path), grid, jobs=jobs, on_result=seen.append)
    assert [run is None for run in found.runs] == [True, True, False, False]
    assert found.table["error"][0].startswith("ValueError: unknown loss 'nt_xnet'; did you mean 'nt_xent'")
    assert found.table["error"].tolist()[2:] == [None, None]
    assert sorted(str(result.point) for result in seen) == sorted(str(result.point) for result in found.results)
    assert "{'loss': 'nt_xnet', 'seed': 1} failed: ValueError: unknown loss" in capsys.readouterr().out


def test_what_is_no_run_is_an_error_of_its_point():
    found = train.sweep(lambda seed: seed, {"seed": [3, 4]}, progress=False)
    assert found.table["error"].tolist() == ["TypeError: train must return a Run, got int"] * 2


def test_jobs_share_the_cores(monkeypatch):
    monkeypatch.setattr(sys.modules["cl_explore.train.sweep"], "cpu_count", lambda: 3)
    before = torch.get_num_threads()
    torch.set_num_threads(64)
    try:
        train.sweep(lambda seed: seed, {"seed": [0]}, jobs=1, progress=False)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_function_that_cannot_be_sent_is_refused():
    lock = threading.Lock()
    with pytest.raises(TypeError, match="train, its arguments or its run cannot be sent to another process"):
        train.sweep(lambda seed: lock, {"seed": [0, 1]}, progress=False)


BAD = {
    "no grid": ({}, {}, ValueError, "grid must map at least one argument of train to its values, got {}"),
    "a list": ([1], {}, TypeError, "grid must be a map, got list"),
    "text": ({"loss": "nt_xent", "seed": [0]}, {}, TypeError, r"grid\['loss'\] must be a sequence .* got 'nt_xent'"),
    "a number": ({"loss": ["nt_xent"], "seed": 3}, {}, TypeError, r"grid\['seed'\] must be a sequence .* got 3"),
    "nothing": ({"loss": ["nt_xent"], "seed": []}, {}, ValueError, r"grid\['seed'\] must hold at least one value"),
    "error": ({"error": [1]}, {}, ValueError, "must not name an argument 'error'"),
    "missing": ({"loss": ["nt_xent"]}, {}, TypeError, "cannot be called with loss: missing .* 'seed'"),
    "jobs": (GRID, {"jobs": 0}, ValueError, "jobs must be at least 1, got 0"),
    "engine": (GRID, {"engine": "dask"}, ValueError, 'engine must be "joblib" or "ray", got .dask.'),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named_before_any_run(name):
    grid, options, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        train.sweep(trainer(False), grid, **options)
    with pytest.raises(TypeError, match="train must be a function, got 3"):
        train.sweep(3, GRID)


def test_ray_is_asked_for_by_name_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r'needs Ray: pip install "cl_explore\[cluster\]"'):
        train.sweep(trainer(False), GRID, engine="ray", progress=False)


def test_a_sweep_on_a_local_ray_cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    def fit_or_die(loss, seed):
        if loss == "dcl":
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(loss, seed)

    inner = trainer(tmp_path)
    try:
        found = train.sweep(fit_or_die, {"loss": ["nt_xnet", "dcl", "nt_xent"], "seed": [0]}, engine="ray")
        again = train.sweep(inner, {"loss": ["nt_xent", "supcon"], "seed": [0]}, engine="ray", progress=False)
    finally:
        ray.shutdown()
    assert [run is None for run in found.runs] == [True, True, False]
    assert [error.partition(":")[0] for error in found.table["error"][:2]] == ["ValueError", "WorkerCrashedError"]
    assert same(found.runs[2], trainer(False)("nt_xent", 0))
    assert [run.cached for run in again.runs] == [True, False]


def test_a_process_that_dies_fails_its_own_point_only(tmp_path):
    inner = trainer(tmp_path)

    def fit_or_die(loss, seed):
        if loss == "dcl":
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(loss, seed)

    found = train.sweep(fit_or_die, {"loss": ["nt_xent", "varcon", "dcl"], "seed": [0]}, progress=False)
    assert [run is None for run in found.runs] == [False, False, True]
    assert found.table["error"][2].startswith("TerminatedWorkerError: ")


def test_an_interrupt_stops_the_workers_and_keeps_what_is_finished(tmp_path):
    script = """
        import os, pathlib, sys, time
        from cl_explore import train

        def slow(seed):
            pathlib.Path(sys.argv[1], str(os.getpid())).touch()
            time.sleep(seed)
            raise RuntimeError("done")

        if __name__ == "__main__":
            train.sweep(slow, {"seed": [0, 600, 601]}, on_result=lambda result: print(result.point, flush=True))
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    workers = tmp_path / "workers"
    workers.mkdir()
    command = [sys.executable, str(tmp_path / "script.py"), str(workers)]
    sweeping = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert sweeping.stdout.readline().startswith("{'seed': 0}")
    while len(list(workers.iterdir())) < 2:
        time.sleep(0.05)
    os.killpg(sweeping.pid, signal.SIGINT)  # as the terminal does: to the workers too
    _, errors = sweeping.communicate(timeout=20)
    assert sweeping.returncode not in (0, None)
    assert "KeyboardInterrupt" in errors
    deadline = time.monotonic() + 10
    alive = [int(path.name) for path in workers.iterdir()]
    while alive and time.monotonic() < deadline:
        alive = [process for process in alive if os.path.exists(f"/proc/{process}")]
        time.sleep(0.05)
    assert not alive


OWN = """
import sys
import torch
from cl_explore import data, losses, methods, nn, train, views

SCALE = float(sys.argv[2])

knobs = [losses.Knob("temperature", 0.1, 1.0)]

@losses.loss(title="Mine", paper="own", family="own", formula="x", knobs=knobs, min_views=2)
def mine(z, *, temperature=0.5):
    return SCALE * losses.nt_xent.parts(z, temperature=temperature)["loss"]

def fit(temperature, loss=mine):
    torch.manual_seed(0)
    parts = nn.MLP([6, 8]), nn.projection_head(8, 8, 4)
    method = methods.JointEmbedding(*parts, loss, views.VectorViews(), temperature=temperature)
    toy = data.from_arrays(torch.ones(20, 6).cumsum(0))
    return train.fit(method, toy, epochs=1, batch_size=10, progress=False, store=sys.argv[1], device="cpu")

grid = {"temperature": [0.2, 0.5]}
for jobs in (1, 2, 2):
    by_object = train.sweep(fit, grid, jobs=jobs, progress=False)
    by_name = train.sweep(lambda **point: fit(**point, loss="mine"), grid, jobs=jobs, progress=False)
    for run in (*by_object.runs, *by_name.runs):
        print(run.cached, run.history["loss"].iloc[-1])
    SCALE = 2 * SCALE
    assert losses.catalogue["mine"] is mine
"""


def test_a_loss_of_ones_own_is_swept_in_other_processes_as_it_is_now(tmp_path):
    (tmp_path / "script.py").write_text(OWN, encoding="utf-8")
    line = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "store"), "1"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = [float(row.split()[1]) for row in done.stdout.splitlines()]
    expected = [scale * found[place] for scale in (1, 2, 4) for place in (0, 1, 0, 1)]
    torch.testing.assert_close(found, expected, rtol=0.2, atol=0)  # a scaled loss trains a little otherwise
    again = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert {row.split()[0] for row in again.stdout.splitlines()} == {"True"}, "runs of other processes are found"
