"""What only a GPU can tell, in the quarter of an hour for which one is at hand: right, fast, and how soon good.

    python benchmarks/gpu.py [--stages NAME ...] [--cases PATTERN ...] [--budget SECONDS] [--data FOLDER] [--out FILE]
    python benchmarks/gpu.py --smoke --out FILE

Stages, in order of worth: `right` (losses, views, measures, probes and training against the CPU), `losses` (time,
memory and rate against the ceiling of matrix products), `loop` (images a second, and where the time goes) and
`speedruns` (seconds to a stated accuracy, each from a cold start). Each is made of cases, whose records are in the file
as soon as they are there: a run that is cut off keeps what it has. Cases that the file lacks come first, then those
that failed or were wrong; the others are not run again. A case starts only if the seconds it may take are left.
--cases takes only those whose name fits a pattern, as of file names.

It needs no installation and no network: a clone, PyTorch and the packages that training imports. --data names a folder
with CIFAR, as published or as sheets packed by `gpu_pack.py`. --smoke runs all of it on the CPU in miniature: its
numbers mean nothing, its errors do.
"""

import argparse
import gc
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STAGES = ("right", "losses", "loop", "speedruns")
COLD = {"speedruns"}  # every case in a process of its own
STARTING = 120  # seconds after which a process that has not come up is given up
Records = dict[str, Any]


class Worker:
    """A process that runs the cases it is asked for, one after the other: a case may take it along."""

    def __init__(self, smoke: bool, data: Path | None) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cl-explore-gpu-")
        scratch = Path(self.folder.name)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")])),
            "CL_EXPLORE_RUNS": str(scratch / "runs"),
            "TORCHINDUCTOR_CACHE_DIR": str(scratch / "compiled"),  # empty: what is compiled counts as cold
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS refuses to be deterministic
        }
        if data is not None:
            environment["CL_EXPLORE_DATA"] = str(data.absolute())
        if smoke:
            environment |= {"CUDA_VISIBLE_DEVICES": "", "TORCH_COMPILE_DISABLE": "1"}
        command = [sys.executable, __file__, "--worker", *(["--smoke"] if smoke else [])]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
        self.hello = self._answer(STARTING)

    def run(self, stage: str, name: str, seconds: float) -> Records:
        """The record of a case; one that says "failed" if the process ended or took longer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([stage, name]) + "\n")
        self.process.stdin.flush()
        return self._answer(seconds)

    def _answer(self, seconds: float) -> Records:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if ready and (line := self.process.stdout.readline()):
            return json.loads(line)
        if not ready:
            self.process.kill()
        self.close()
        why = f"the process ended with {self.process.returncode}" if ready else f"no answer within {seconds:.0f} s"
        return {"failed": [why]}

    def close(self) -> None:
        """End the process: asked to, and if it does not within a few seconds, by force."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def work(small: bool) -> None:
    """In the worker: say where it runs and what cases there are, then run those that are asked for."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints

    def say(record: Records) -> None:
        answers.write(json.dumps(rounded(record)) + "\n")
        answers.flush()

    import torch
    from machine import setting

    device = "cpu" if small else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        say({"failed": ["no GPU here that PyTorch can use: --smoke runs the same on the CPU, in miniature"]})
        return
    stages = {stage: importlib.import_module(f"gpu_stages.{stage}").cases(small, device) for stage in STAGES}
    costs = {stage: {case.name: case.seconds for case in cases} for stage, cases in stages.items()}
    say({"on": setting(device) | {"python": sys.version.split()[0]}, "cases": costs})
    runs = {(stage, case.name): case.run for stage, cases in stages.items() for case in cases}
    for line in sys.stdin:
        start = time.perf_counter()
        try:
            record = runs[tuple(json.loads(line))]()
        except Exception:
            record = {"failed": traceback.format_exc().splitlines()[-12:]}
        record = {"seconds": time.perf_counter() - start, **record}
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
        say(record)


def rounded(record: Any) -> Any:
    """The record with its numbers to five digits: no measurement has more."""
    if isinstance(record, dict):
        return {name: rounded(value) for name, value in record.items()}
    if isinstance(record, list | tuple):
        return [rounded(value) for value in record]
    return float(f"{record:.5g}") if isinstance(record, float) else record


def recorded(path: Path) -> Records:
    """What the file holds of earlier runs; ValueError if it is not one that this script wrote."""
    if not path.exists():
        return {"runs": [], "stages": {}}
    try:
        kept = json.loads(path.read_text())
        return {"runs": list(kept["runs"]), "stages": {name: dict(cases) for name, cases in kept["stages"].items()}}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"--out must be a file that this script wrote, {path} is not ({error!r})") from error


def keep(path: Path, kept: Records) -> None:
    """Write the file, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(kept, indent=1) + "\n")
    new.replace(path)


def order(
    cases: dict[str, dict[str, float]], kept: Records, stages: list[str], patterns: list[str]
) -> list[tuple[str, str]]:
    """(stage, case) of what is not recorded, in order of worth, then of what failed or was wrong."""
    every = [
        (stage, name)
        for stage in STAGES
        if stage in stages
        for name in cases[stage]
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    before = {(stage, name): record for stage, records in kept["stages"].items() for name, record in records.items()}
    again = [each for each in every if each in before and ("failed" in before[each] or before[each].get("wrong"))]
    return [each for each in every if each not in before] + again


def perform(kept: Records, options: argparse.Namespace) -> None:
    """Run what there is time for, and keep each record at once."""
    until = time.monotonic() + options.budget
    worker: Worker | None = Worker(options.smoke, options.data)
    assert worker is not None
    if "failed" in worker.hello:
        raise SystemExit(worker.hello["failed"][0])
    cases, on = worker.hello["cases"], worker.hello["on"]
    if on not in kept["runs"]:
        kept["runs"].append(on)
    for stage, name in order(cases, kept, options.stages, options.cases):
        if cases[stage][name] > until - time.monotonic():
            print(f"{stage}: {name}: left out, it may take {cases[stage][name]:.0f} s", flush=True)
            continue
        if worker is None:
            worker = Worker(options.smoke, options.data)
        record = {"run": kept["runs"].index(on), **worker.run(stage, name, cases[stage][name])}
        kept["stages"].setdefault(stage, {})[name] = record
        keep(options.out, kept)
        print(f"{stage}: {name}: {json.dumps(record)[:400]}", flush=True)
        if stage in COLD or worker.process.poll() is not None:
            worker.close()
            worker = None
    if worker is not None:
        worker.close()


def chosen(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for; it ends the program with a line that says what is wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", default=["*"], help="only those whose name fits")
    parser.add_argument("--budget", type=float, default=540, help="seconds for all of it, 540 by default")
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 or CIFAR-100; else where data.load looks")
    parser.add_argument("--out", type=Path, help="the file of records, benchmarks/gpu.json by default")
    parser.add_argument("--smoke", action="store_true", help="everything in miniature on the CPU")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.budget >= 0:
        parser.error(f"--budget must be at least 0 seconds, got {options.budget}")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data must be a folder, got {options.data}")
    if options.smoke and options.out is None and not options.worker:
        parser.error("--smoke needs an --out of its own: its numbers are none to keep")
    options.out = options.out or HERE / "gpu.json"
    if not options.out.parent.is_dir():
        parser.error(f"--out must be in a folder that exists, got {options.out}")
    return options


def main() -> None:
    options = chosen()
    if options.worker:
        work(options.smoke)
        return
    try:
        kept = recorded(options.out)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    perform(kept, options)


if __name__ == "__main__":
    main()
