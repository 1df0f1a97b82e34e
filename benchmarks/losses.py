"""Time and memory of one step of the losses, against the textbook and peers, and the cost of the products alone.

    python benchmarks/losses.py [--quick] [--json FILE] [--plot FILE]

Every measurement runs in a process of its own, and the middle one of three (of five, for 512 points) counts. `floor`
is what three products of the table's size take, timed in turn with the loss: the textbook step forms the table once and
multiplies it twice. `textbook` stores the table; `compiled` is the same under torch.compile (where there is a C++
compiler). pytorch-metric-learning, lightly and open_clip are measured too where they are installed.
"""

import argparse
import functools
import importlib.util
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from machine import setting
from torch import Tensor

from cl_explore import losses

SEED = 0
DIMENSIONS = 128
TEMPERATURE = 0.1
TABLE = 8192  # rows of the largest table the floor stores: beyond, it is extrapolated
LARGE = 30 * 2**18  # numbers in a tensor of 30 MiB: glibc adapts to what is freed up to 32
MOST = 10 * 2**30  # bytes a process may ask for: a peer that wants more is reported as failed
CASES = [  # loss, points (of one side), columns of the table
    ("nt_xent", 512, 512),
    ("nt_xent", 2048, 2048),
    ("nt_xent", 8192, 8192),
    ("supcon", 512, 512),
    ("supcon", 2048, 2048),
    ("supcon", 8192, 8192),
    ("clip", 4096, 4096),
    ("siglip", 4096, 4096),
    ("varcon", 8192, 100),
    ("uniformity", 50_000, 50_000),
]
QUICK = [(name, min(points, 1024), min(columns, 1024)) for name, points, columns in CASES[1::3]]


Function = Callable[[Tensor, Tensor], Tensor]  # (z (B, V, D), labels (B,)) -> loss


def naive_nt_xent(z: Tensor, labels: Tensor) -> Tensor:
    x = F.normalize(z, dim=-1).flatten(0, 1)
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    logits = (x @ x.T / TEMPERATURE).masked_fill(own, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(x), device=x.device) ^ 1)


def naive_supcon(z: Tensor, labels: Tensor) -> Tensor:
    x, y = F.normalize(z, dim=-1).flatten(0, 1), labels.repeat_interleave(2)
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    log_p = (x @ x.T / TEMPERATURE).masked_fill(own, -torch.inf).log_softmax(1)
    positives = (y[:, None] == y) & ~own
    return -(log_p.masked_fill(~positives, 0).sum(1) / positives.sum(1)).mean()


def naive_clip(z: Tensor, labels: Tensor) -> Tensor:
    q, k = F.normalize(z[:, 0], dim=-1), F.normalize(z[:, 1], dim=-1)
    target = torch.arange(len(q), device=q.device)
    there, back = q @ k.T / TEMPERATURE, k @ q.T / TEMPERATURE
    return (F.cross_entropy(there, target) + F.cross_entropy(back, target)) / 2


def naive_siglip(z: Tensor, labels: Tensor) -> Tensor:
    q, k = F.normalize(z[:, 0], dim=-1), F.normalize(z[:, 1], dim=-1)
    sign = 2 * torch.eye(len(q), device=q.device) - 1
    return -F.logsigmoid(sign * (q @ k.T / TEMPERATURE - 10)).sum() / len(q)


def naive_varcon(z: Tensor, labels: Tensor) -> Tensor:
    x, y = F.normalize(z, dim=-1).flatten(0, 1), labels.repeat_interleave(2)
    one_hot = F.one_hot(y, int(y.max()) + 1).to(x.dtype)
    p = (x @ F.normalize(one_hot.T @ x.detach(), dim=1).T / TEMPERATURE).softmax(1)
    confidence = (p * one_hot).sum(1, keepdim=True)
    q = (one_hot / (TEMPERATURE - 0.02 + 0.04 * confidence)).softmax(1)
    return ((q * (q.log() - p.log())).sum(1, keepdim=True) - confidence.log()).mean()


def naive_uniformity(z: Tensor, labels: Tensor) -> Tensor:
    return torch.pdist(F.normalize(z[:, 0], dim=-1)).square().mul(-2).exp().mean().log()


def metric_learning_nt_xent() -> Function:
    from pytorch_metric_learning.losses import NTXentLoss

    loss = NTXentLoss(temperature=TEMPERATURE)
    return lambda z, labels: loss(z.flatten(0, 1), torch.arange(len(z)).repeat_interleave(2))


def metric_learning_supcon() -> Function:
    from pytorch_metric_learning.losses import SupConLoss

    loss = SupConLoss(temperature=TEMPERATURE)
    return lambda z, labels: loss(z.flatten(0, 1), labels.repeat_interleave(2))


def lightly_nt_xent() -> Function:
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(temperature=TEMPERATURE)
    return lambda z, labels: loss(z[:, 0], z[:, 1])


def sentence_transformers_info_nce() -> Function:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    loss = MultipleNegativesRankingLoss(None, scale=1 / TEMPERATURE)
    return lambda z, labels: loss.compute_loss_from_embeddings([z[:, 0], z[:, 1]], labels)


def open_clip() -> Function:
    from open_clip.loss import ClipLoss

    loss, scale = ClipLoss(), torch.tensor(1 / TEMPERATURE)
    return lambda z, labels: loss(F.normalize(z[:, 0], dim=-1), F.normalize(z[:, 1], dim=-1), scale)


TEXTBOOK: dict[str, Function] = {
    "nt_xent": naive_nt_xent,
    "supcon": naive_supcon,
    "clip": naive_clip,
    "siglip": naive_siglip,
    "varcon": naive_varcon,
    "uniformity": naive_uniformity,
}
PEERS: dict[str, tuple[str, dict[str, Callable[[], Function]]]] = {  # name: module, losses
    "pytorch-metric-learning": (
        "pytorch_metric_learning",
        {"nt_xent": metric_learning_nt_xent, "supcon": metric_learning_supcon},
    ),
    "lightly": ("lightly", {"nt_xent": lightly_nt_xent}),
    "sentence-transformers": ("sentence_transformers", {"info_nce": sentence_transformers_info_nce}),
    "open_clip": ("open_clip", {"clip": open_clip}),
}


def implementation(name: str, by: str) -> Function:
    if by == "cl_explore":
        knobs = {} if name == "uniformity" else {"temperature": TEMPERATURE}
        return functools.partial(losses.get(name).on_views, **knobs)
    if by in PEERS:
        resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
        return PEERS[by][1][name]()
    return torch.compile(TEXTBOOK[name]) if by == "compiled" else TEXTBOOK[name]


def contenders(name: str, points: int) -> list[str]:
    """Who is measured beside cl_explore: those that have the loss, are installed, and store a table that fits."""
    if points > TABLE:
        return []
    compiler = ["compiled"] if any(shutil.which(each) for each in ("g++", "clang++")) else []
    there = [by for by, (module, has) in PEERS.items() if name in has and importlib.util.find_spec(module)]
    return ["textbook", *compiler, *there]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def floor(rows: int, columns: int) -> Callable[[], None]:
    """Three products with a stored table (rows, columns): into it, and from it to either side."""
    a, b, table = torch.randn(rows, DIMENSIONS), torch.randn(columns, DIMENSIONS), torch.empty(rows, columns)
    to_a, to_b = torch.empty_like(a), torch.empty_like(b)

    def products() -> None:
        torch.mm(a, b.T, out=table)
        torch.mm(table, b, out=to_a)
        torch.mm(table.T, a, out=to_b)

    return products


def peak() -> float:
    """The most memory this process has held since it last reset the mark, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(name: str, points: int, columns: int, by: str, repeats: int) -> dict[str, float]:
    """Median seconds of forward and backward, their ratio to the floor, and memory beyond what was held before."""
    generator = torch.Generator().manual_seed(SEED)
    function = implementation(name, by)
    views = 1 if name == "uniformity" else 2
    samples = points if name in ("clip", "siglip", "info_nce", "uniformity") else points // 2

    def step(samples: int) -> Callable[[], None]:
        z = torch.randn(samples, views, DIMENSIONS, generator=generator, requires_grad=True)
        labels = torch.arange(samples) % (columns if name == "varcon" else 10)

        def run() -> None:
            z.grad = None
            function(z, labels).backward()

        return run

    step(200)()  # threads and libraries come up
    run, rows = step(samples), min(points, TABLE)
    if by == "compiled":
        run()
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    run()
    extra = peak() - before
    products = floor(rows, min(columns, TABLE))
    factor = points * columns / (rows * min(columns, TABLE))
    products()
    torch.empty(LARGE)  # as in any training, so that the allocator keeps what is freed: its pages come in no step anew
    pairs = [(seconds(run), seconds(products) * factor) for _ in range(repeats)]
    return {
        "seconds": statistics.median(loss for loss, _ in pairs),
        "floor": statistics.median(reference for _, reference in pairs),
        "ratio": statistics.median(loss / reference for loss, reference in pairs),
        "extra_mib": extra,
    }


def measure_apart(case: tuple[str, int, int], by: str, repeats: int) -> dict[str, Any]:
    """`measure` in a fresh process, whose memory no earlier case has touched; {"failed": why} if it fails."""
    name, points, columns = case
    command = [sys.executable, __file__, "--case", name, str(points), str(columns), by, str(repeats)]
    done = subprocess.run(command, check=by == "cl_explore", capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.splitlines() or ["killed"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--plot", type=Path, help="draw time and memory of NT-Xent against N to this file")
    parser.add_argument("--case", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, points, columns, by, repeats = options.case
        print(json.dumps(measure(name, int(points), int(columns), by, int(repeats))))
        return
    results = []
    print("| loss | N | by | time | ratio to floor | extra memory |")
    print("|---|---:|---|---:|---:|---:|")
    for case in QUICK if options.quick else CASES:
        name, points, columns = case
        size = f"{points:,}" if columns == points else f"{points:,} x {columns}"
        for by in ["cl_explore", *contenders(name, points)]:
            repeats = 1 if points > TABLE else 3 if options.quick else min(99, max(5, 2**26 // (points * columns)))
            processes = 1 if points > TABLE or options.quick else 5 if points <= 512 else 3
            runs = [measure_apart(case, by, repeats) for _ in range(processes)]
            found = sorted(runs, key=lambda run: run.get("ratio", math.inf))[len(runs) // 2]
            results.append({"loss": name, "points": points, "columns": columns, "by": by, **found})
            if "failed" in found:
                cells = f"failed: {found['failed'][:90]} | | "
            else:
                cells = f"{found['seconds'] * 1000:,.1f} ms | {found['ratio']:.2f} | {found['extra_mib']:.0f} MiB"
            print(f"| {name} | {size} | {by} | {cells} |", flush=True)
    if options.json:
        chosen = {"seed": SEED, "dimensions": DIMENSIONS, "temperature": TEMPERATURE}
        options.json.write_text(json.dumps({**setting(), **chosen, "results": results}, indent=2) + "\n")
    if options.plot:
        draw(results, options.plot)


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Time and memory of NT-Xent against the number of points, as a picture."""
    from cl_explore import plots  # here: the processes that measure memory shall not import it

    figure = plots.figure(columns=2)
    shown = [each for each in results if each["loss"] == "nt_xent" and "failed" not in each]
    for by in dict.fromkeys(each["by"] for each in shown):
        own = [each for each in shown if each["by"] == by]
        for axis, key, factor in ((figure.axes[0], "seconds", 1000), (figure.axes[1], "extra_mib", 1)):
            axis.plot([each["points"] for each in own], [each[key] * factor for each in own], marker="o", label=by)
    for axis, label in ((figure.axes[0], "time of a step (ms)"), (figure.axes[1], "extra memory (MiB)")):
        axis.set(xscale="log", yscale="log", xlabel="points N", ylabel=label)
        sizes = sorted({each["points"] for each in shown})
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
    figure.axes[0].legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
