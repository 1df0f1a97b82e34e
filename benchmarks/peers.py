"""Time and memory of one step of a loss, beside the packages that have the same loss.

    OMP_NUM_THREADS=1 python benchmarks/peers.py [--json FILE]

Value and gradient are compared first. Then both take turns in one process, each first every other time; what counts is
the time that the processor worked for them, and of it the median of the ratios of neighbouring measurements, so that it
holds on a machine that does other work. Memory is that of a step in a process of its own. A package that fails at one
size, as one does that asks for more memory than `losses.MOST`, is not tried at the next.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from losses import DIMENSIONS, LARGE, MOST, PEERS, SEED, TEMPERATURE, implementation, measure_apart
from machine import setting

NAMES, SIZES = ("nt_xent", "supcon", "info_nce"), (256, 512, 1024, 2048, 4096, 8192)
FEWEST, MOST_REPEATS, SECONDS = 5, 50, 5.0  # repeats, and how long they go on


def measure(name: str, points: int, by: str) -> dict[str, Any]:
    """Median milliseconds of a step of cl_explore and of a peer, and the median ratio of the peer's to ours."""
    generator = torch.Generator().manual_seed(SEED)
    samples = points if name == "info_nce" else points // 2
    z = torch.randn(samples, 2, DIMENSIONS, generator=generator, requires_grad=True)
    labels = torch.arange(samples) % 10
    functions = [implementation(name, "cl_explore"), implementation(name, by)]

    def step(which: int) -> tuple[float, torch.Tensor, torch.Tensor]:
        z.grad = None
        start = time.thread_time_ns()
        loss = functions[which](z, labels)
        loss.backward()
        return (time.thread_time_ns() - start) / 1e6, loss.detach(), z.grad

    (_, *ours), (_, *theirs) = step(0), step(1)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    torch.empty(LARGE)  # as in any training, so that the allocator keeps what is freed: its pages come in no step anew
    times: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(times) < FEWEST or (len(times) < MOST_REPEATS and time.perf_counter() - start < SECONDS):
        order = (0, 1) if len(times) % 2 else (1, 0)
        taken = {which: step(which)[0] for which in order}
        times.append((taken[0], taken[1]))
    ratios = [b / a for a, b in times]
    return {
        "milliseconds": statistics.median(a for a, _ in times),
        "of_the_peer": statistics.median(b for _, b in times),
        "ratio": statistics.median(ratios),
        "ratios": [min(ratios), max(ratios)],
        "repeats": len(times),
    }


def compare(name: str, by: str) -> list[dict[str, Any]]:
    """A row for each size, up to the first at which the peer fails."""
    rows: list[dict[str, Any]] = []
    for points in SIZES:
        row = {"loss": name, "points": points, "by": by}
        case = (name, points, points)
        own, peer = measure_apart(case, "cl_explore", 1), measure_apart(case, by, 1)
        row["extra_mib"] = own["extra_mib"]
        if "failed" in peer:
            print(f"| {name} | {points:,} | {by} | failed: {peer['failed'][:90]} | | |", flush=True)
            return [*rows, {**row, **peer}]
        row |= {"extra_mib_of_the_peer": peer["extra_mib"], **measure(name, points, by)}
        rows.append(row)
        print(line(row), flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    """A row of the table, as it stands in docs/comparison.md too."""
    times = f"{row['milliseconds']:,.1f} ms | {row['of_the_peer']:,.1f} ms | {row['ratio']:,.1f}"
    memory = f"{row['extra_mib']:,.0f} MiB | {row['extra_mib_of_the_peer']:,.0f} MiB"
    return f"| {row['loss']} | {row['points']:,} | {row['by']} | {times} | {memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    print("| loss | N | package | cl_explore | package | ratio | extra memory | of the package |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    results, versions = [], {}
    for name in NAMES:
        for by, (module, has) in PEERS.items():
            if name in has and importlib.util.find_spec(module):
                versions[by] = importlib.metadata.version(by)
                results += compare(name, by)
    if options.json:
        chosen = {"seed": SEED, "dimensions": DIMENSIONS, "temperature": TEMPERATURE, "most_bytes": MOST}
        found = {**setting(), **chosen, "versions": versions, "results": results}
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
