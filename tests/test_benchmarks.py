"""The benchmark for a GPU runs whole in miniature, keeps what it has, and goes on from there."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_explore import data
from cl_explore.losses.arguments import ROLES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ABSENT = ["IPython", "anywidget", "ipykernel", "ipywidgets", "jupyterlab", "jupytext", "nbconvert", "nbformat",
          "papermill", "plotly", "traitlets", "umap"]  # fmt: skip
"""What a machine with the usual scientific packages lacks of those that pyproject.toml asks for."""
WITHOUT = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(name + " is not installed here", name=name)

sys.meta_path.insert(0, Absent())
"""
STAGE = """
import os
import time
from gpu_stages.case import Case

def fails():
    raise ValueError("as it must")

def cases(small, device):
    return [
        Case("pid", 50, lambda: {"pid": os.getpid(), "number": 1 / 3}),
        Case("fails", 50, fails),
        Case("ends", 50, lambda: os._exit(3)),
        Case("hangs", 0.2, lambda: time.sleep(60)),
        Case("wrong", 50, lambda: {"wrong": ["all of it"]}),
        Case("last", 50, lambda: {"pid": os.getpid()}),
        Case("long", 5000, lambda: {}),
    ]
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The runner with stages of a few cases that do nothing much."""
    (tmp_path / "gpu_stages").mkdir()
    for name in ("gpu.py", "machine.py"):
        shutil.copy(BENCHMARKS / name, tmp_path)
    (tmp_path / "gpu_stages/case.py").write_text(
        "from collections import namedtuple\nCase = namedtuple('Case', 'name seconds run')"
    )
    (tmp_path / "gpu_stages/right.py").write_text(STAGE)
    for stage in ("losses", "loop"):
        (tmp_path / f"gpu_stages/{stage}.py").write_text("def cases(small, device):\n    return []")
    (tmp_path / "gpu_stages/speedruns.py").write_text(
        f"{STAGE}\nevery = cases\ncases = lambda *given: every(*given)[::5]"
    )
    return tmp_path / "gpu.py"


def run(script: Path, *arguments: object, path: Path | None = None) -> tuple[list[str], str]:
    """The lines that the smoke run prints, and what it says of errors."""
    command = [sys.executable, str(script), "--smoke", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, [path, BENCHMARKS.parent])))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.stdout.splitlines(), done.stderr


def test_all_of_it_runs_with_the_packages_of_a_bare_machine(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    out = tmp_path / "gpu.json"
    lines, said = run(BENCHMARKS / "gpu.py", "--budget", 6000, "--out", out, path=tmp_path)
    assert "Traceback" not in said, said
    stages = json.loads(out.read_text())["stages"]
    assert [*stages] == ["right", "losses", "loop", "speedruns"], said
    records = {f"{stage}: {name}": record for stage, found in stages.items() for name, record in found.items()}
    assert len(lines) == len(records)
    assert {name: record["failed"] for name, record in records.items() if "failed" in record} == {}
    assert {name: record["wrong"] for name, record in records.items() if record.get("wrong")} == {}
    assert all(record["run"] == 0 and record["seconds"] >= 0 for record in records.values())
    for record in stages["speedruns"].values():
        assert record["data"] == "factor_world"
        assert 3 <= record["epochs"] <= 6
        assert record["first_step"] < record["training"]
    assert run(BENCHMARKS / "gpu.py", "--out", out)[0] == []  # nothing is left to do


def test_each_record_is_kept_and_a_case_may_take_the_process_along(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept.json"
    lines, _ = run(small, "--stages", "right", "--out", out)
    kept = json.loads(out.read_text())
    found = kept["stages"]["right"]
    assert [*found] == ["pid", "fails", "ends", "hangs", "wrong", "last"]
    assert lines[-1] == "right: long: left out, it may take 5000 s"
    assert kept["runs"][0]["device"] == "cpu"
    assert found["pid"]["number"] == 0.33333
    assert found["fails"]["failed"][-1] == "ValueError: as it must"
    assert found["ends"]["failed"] == ["the process ended with 3"]
    assert found["hangs"]["failed"] == ["no answer within 0 s"]
    assert found["last"]["pid"] != found["pid"]["pid"]
    again, _ = run(small, "--stages", "right", "--budget", 0, "--out", out)
    assert [line.split(": ")[1] for line in again] == ["long", "fails", "ends", "hangs", "wrong"]


def test_speedruns_start_cold(small: Path, tmp_path: Path) -> None:
    run(small, "--stages", "speedruns", "--out", tmp_path / "kept.json")
    found = json.loads((tmp_path / "kept.json").read_text())["stages"]["speedruns"]
    assert found["pid"]["pid"] != found["last"]["pid"]


def test_a_run_that_is_killed_keeps_what_it_has_and_the_next_goes_on(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept.json"
    command = [sys.executable, str(small), "--smoke", "--stages", "right", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cut_off:
        assert cut_off.stdout is not None
        first = cut_off.stdout.readline()
        cut_off.send_signal(signal.SIGKILL)
    assert first.startswith("right: pid")
    assert "pid" in json.loads(out.read_text())["stages"]["right"]
    lines, _ = run(small, "--stages", "right", "--budget", 0, "--out", out)
    todo = [line.split(": ")[1] for line in lines]
    assert "pid" not in todo
    assert "last" in todo


def test_without_time_nothing_starts(small: Path, tmp_path: Path) -> None:
    lines, _ = run(small, "--budget", 0, "--out", tmp_path / "kept.json")
    assert len(lines) == 9
    assert all("left out" in line for line in lines)
    assert not (tmp_path / "kept.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stages", "wrong"], "invalid choice: 'wrong'"),
        (["--budget", "-1"], "--budget must be at least 0 seconds, got -1.0"),
        (["--budget", "nan"], "--budget must be at least 0 seconds, got nan"),
        (["--data", "/nowhere"], "--data must be a folder, got /nowhere"),
        (["--out", "/nowhere/gpu.json"], "--out must be in a folder that exists, got /nowhere/gpu.json"),
        (["--smoke"], "--smoke needs an --out of its own"),
    ],
)
def test_refused(arguments: list[str], message: str, bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench("gpu").chosen(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"runs": []}', '{"runs": [], "stages": {"right": 3}}'])
def test_a_file_of_others_is_refused_and_stays(content: str, bench: Any, tmp_path: Path) -> None:
    out = tmp_path / "other.json"
    out.write_text(content)
    with pytest.raises(ValueError, match="--out must be a file that this script wrote"):
        bench("gpu").recorded(out)
    assert out.read_text() == content


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(small), "--out", str(tmp_path / "kept.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no GPU here" in done.stderr


def test_every_argument_of_a_loss_has_a_value(bench: Any) -> None:
    assert bench("gpu_stages.inputs").VALUES.keys() == ROLES.keys()


def test_waits_are_counted_where_the_project_makes_them(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What CUDA would do is played: it warns, and the line of this project nearest to the warning is named."""
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    case = bench("gpu_stages.case")
    monkeypatch.setattr(case, "OWN", Path(__file__).parent)

    def call() -> None:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    found = case.waits(call, "cuda")
    assert modes == ["warn", "default"]
    assert [*found.values()] == [3]
    assert next(iter(found)).startswith("tests/test_benchmarks.py:")


def test_memory_of_a_gpu_is_its_peak_beyond_what_was_held(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"memory_allocated": 2**20, "max_memory_allocated": 5 * 2**20}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *device: None)
    case = bench("gpu_stages.case")
    assert case.memory(lambda: None, "cuda") == 4
    assert case.seconds(lambda: None, "cuda") >= 0


def test_sheets_bring_the_images_back_and_say_what_was_lost(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = bench("gpu_pack")
    monkeypatch.setattr(pack, "COUNT", {"train": 35, "test": 10})
    grey = torch.linspace(0, 1, 32)

    def small(name: str, split: str) -> data.Dataset:
        count = pack.COUNT[split]
        draw = torch.Generator().manual_seed(count)
        x = torch.rand(count, 3, 1, 1, generator=draw) * grey * grey[:, None] * 255
        labels = torch.arange(count) % 5
        return data.Dataset("CIFAR-10", x.byte(), labels, torch.arange(count), tuple("abcde"))

    monkeypatch.setattr(pack.data, "load", small)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    path = pack.pack("cifar10", tmp_path)
    for split in ("train", "test"):
        found, was = pack.load("cifar10", split), small("cifar10", split)
        order = was.labels.argsort(stable=True)
        assert torch.equal(found.labels, was.labels[order])
        assert (found.x.float() - was.x[order].float()).square().mean().sqrt() < 3
        assert found.class_names == was.class_names
        assert found.name.startswith("CIFAR-10 (JPEG 4:4:4, quality 95, PSNR ")
    path.with_suffix(".txt").unlink()
    assert pack.load("cifar10", "test").name == "CIFAR-10 (JPEG, PSNR not stated)"
    monkeypatch.setattr(pack, "COUNT", {"train": 35, "test": 400})
    with pytest.raises(ValueError, match="must hold 80 test images of a, got"):
        pack.load("cifar10", "test")
    path.unlink()
    assert pack.load("cifar10", "train").name == "CIFAR-10"


def test_what_labels_are_worth_is_counted_by_seed(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = bench("labels")
    kept = json.loads((BENCHMARKS / "labels.json").read_text())
    assert labels.table(kept["rows"]) in (BENCHMARKS / "README.md").read_text()
    monkeypatch.setattr(labels, "SHOTS", (1, 2))
    rows = labels.measure("factor_world", 0, 160, 1)
    names = ["raw pixels", "untrained encoder", "trained without labels"]
    assert [(row["representation"], row["shots"]) for row in rows] == [
        (name, shots) for name in names for shots in (1, 2)
    ]
    known = [[0.1, 0.3], [0.2, 0.5], [0.3, 0.4], [0.3, 0.1], [0.2, 0.2], [0.5, 0.3]]  # by name, then shots: two seeds
    rows = [row | {"seed": seed, "accuracy": known[at][seed]} for seed in (0, 1) for at, row in enumerate(rows)]
    assert labels.table(rows).splitlines()[2:] == [
        "| raw pixels | 20.0% | 35.0% |",
        "| untrained encoder | 35.0% | 20.0% |",
        "| trained without labels | 20.0% | 40.0% |",
        "| training leads on | 0 of 2 | 1 of 2 |",
    ]
