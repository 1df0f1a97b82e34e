"""Time of one step of the losses on the small batches of a lesson, against the textbook and the bare arithmetic.

    OMP_NUM_THREADS=1 python benchmarks/small.py [--repeats N] [--json FILE]

All contenders take turns in one process, in changing order, and what counts is the time that the processor worked for
them, so that ratios hold on a machine that does other work: each is the median of the ratios of neighbouring
measurements. `bare` is the formula of the loss alone, on tensor knobs, with no checks: what a call costs more is its
overhead. `compiled` is the textbook under torch.compile.
"""

import argparse
import json
import random
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from losses import DIMENSIONS, SEED, TEMPERATURE, TEXTBOOK, Function, implementation
from machine import setting
from torch import Tensor

from cl_explore import losses

NAMES, SIZES = ("nt_xent", "supcon", "clip"), (32, 64, 128, 256, 512)


def bare(name: str) -> Function:
    loss, temperature = losses.get(name), torch.tensor(TEMPERATURE)

    def arithmetic(z: Tensor, labels: Tensor) -> Tensor:
        return losses.means(loss.__wrapped__(**loss.from_views(z, labels), temperature=temperature))["loss"]

    return arithmetic


def measure(name: str, points: int, repeats: int) -> dict[str, Any]:
    """Median microseconds of a step by each contender, and the median ratios of cl_explore's to theirs."""
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(SEED)
    samples = points if name == "clip" else points // 2
    z = torch.randn(samples, 2, DIMENSIONS, generator=generator, requires_grad=True)
    labels = torch.arange(samples) % 10
    functions = {"cl_explore": implementation(name, "cl_explore"), "bare": bare(name), "textbook": TEXTBOOK[name]}
    if any(shutil.which(each) for each in ("g++", "clang++")):
        functions["compiled"] = torch.compile(TEXTBOOK[name], dynamic=False)

    def step(function: Function) -> Callable[[], None]:
        def run() -> None:
            z.grad = None
            function(z, labels).backward()

        return run

    steps = {by: step(function) for by, function in functions.items()}
    for run in steps.values():
        for _ in range(20):
            run()
    times: dict[str, list[float]] = {by: [] for by in steps}
    order = random.Random(SEED)
    for _ in range(repeats):
        for by in order.sample(list(steps), len(steps)):  # whoever is first finds the caches full of another's numbers
            start = time.thread_time_ns()
            steps[by]()
            times[by].append((time.thread_time_ns() - start) / 1000)
    ours = times["cl_explore"]
    return {
        "loss": name,
        "points": points,
        "microseconds": {by: statistics.median(found) for by, found in times.items()},
        "ratio": {
            by: statistics.median(a / b for a, b in zip(ours, found, strict=True))
            for by, found in times.items()
            if by != "cl_explore"
        },
        "overhead": statistics.median(a - b for a, b in zip(ours, times["bare"], strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    results = []
    print("| loss | N | time | overhead | of the textbook | of the compiled |\n|---|---:|---:|---:|---:|---:|")
    for name in NAMES:
        for points in SIZES:
            found = measure(name, points, options.repeats)
            results.append(found)
            ratio, taken = found["ratio"], found["microseconds"]["cl_explore"]
            compiled = f"{ratio['compiled']:.2f}" if "compiled" in ratio else ""
            cells = f"{taken:,.0f} us | {found['overhead']:.0f} us | {ratio['textbook']:.2f} | {compiled}"
            print(f"| {name} | {points} | {cells} |", flush=True)
    if options.json:
        options.json.write_text(
            json.dumps({**setting(), "repeats": options.repeats, "results": results}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
