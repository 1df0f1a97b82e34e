"""Images per second of the training loop and of its parts, against the bare forward and backward of the networks.

    python benchmarks/training.py [--quick] [--device cuda] [--json FILE]
    torchrun --nproc-per-node 8 benchmarks/training.py --device cuda

`bare` embeds views that are there already and takes the gradient back through encoder and head. Loop, parts and bare
are timed in turn, a few steps each, so that what else runs on the machine slows all of them. `cost` is the median over
turns of the loop's time divided by that of bare, less one: what all the rest of a step adds. `around` leaves out
augmentation, loss and optimiser too, which any implementation has to do: it is the loop's own.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from machine import setting
from torch import nn as torch_nn

from cl_explore import data, losses, methods, nn, train, views

SEED = 0
CLASSES = tuple("abcdefghij")


class Case(NamedTuple):
    """Networks, size of a batch and of its images (or features), and how to train."""

    title: str
    encoder: Callable[[], torch_nn.Module]
    batch_size: int
    shape: tuple[int, ...]
    augment: views.ImageViews
    options: dict[str, object] = {}  # noqa: RUF012 - never written to


SIMCLR = views.ImageViews.simclr()
ON_CPU = [
    Case("MLP, 8x8", lambda: nn.MLP([64, 128, 64]), 128, (1, 8, 8), views.ImageViews.weak()),
    Case("ConvNet, 28x28", lambda: nn.ConvNet(1, 32), 256, (1, 28, 28), views.ImageViews.weak()),
    Case("ResNet-18 of width 16, 32x32x3", lambda: nn.resnet18(width=16), 64, (3, 32, 32), SIMCLR),
]
FAST = {"precision": "bf16-mixed", "compile": True}
ON_GPU = [
    Case("ResNet-18, 32x32x3", nn.resnet18, 512, (3, 32, 32), SIMCLR, FAST),
    Case("ResNet-50, 32x32x3", nn.resnet50, 512, (3, 32, 32), SIMCLR, FAST),
]


def begin(case: Case, device: str) -> train.Loop:
    """A loop over noise that never ends, of which no step is taken yet."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randint(0, 256, (20 * case.batch_size, *case.shape), generator=generator, dtype=torch.uint8)
    labels = torch.arange(len(x)) % 10
    dataset = data.Dataset("noise", x, labels, torch.arange(len(x)), CLASSES)
    torch.manual_seed(SEED)
    encoder = case.encoder()
    head = nn.projection_head(encoder.out_features, 128, 128)
    method = methods.JointEmbedding(encoder, head, "nt_xent", case.augment)
    return train.Loop(
        method, dataset, epochs=10_000, batch_size=case.batch_size, snapshots=0, device=device, **case.options
    )


def measure(loop: train.Loop, going: Iterator[train.Progress], steps: int, turns: int) -> dict[str, float]:
    """Images per second, joined over all processes, of loop, bare and parts; and the two costs."""
    size = loop.settings.batch_size
    timed = {"loop": lambda: next(going), **parts(loop, loop.method, loop.dataset, size)}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(turns + 1):
        for name, call in timed.items():
            start = now(loop.fabric.device)
            for _ in range(steps):
                call()
            if turn:  # the first one warms up
                seconds[name].append((now(loop.fabric.device) - start) / steps)
    rest = [sum(each) for each in zip(*(seconds[name] for name in ("augmentation", "loss", "optimiser")), strict=True)]
    pairs = list(zip(seconds["loop"], seconds["bare"], rest, strict=True))
    rates = {name: size / statistics.median(times) for name, times in seconds.items()}
    return {
        **rates,
        "cost": statistics.median(whole / bare - 1 for whole, bare, _ in pairs),
        "around": statistics.median((whole - other) / bare - 1 for whole, bare, other in pairs),
    }


def parts(
    loop: train.Loop, method: methods.JointEmbedding, dataset: data.Dataset, batch_size: int
) -> dict[str, Callable[[], object]]:
    """What a step is made of, each on its own, of this process's share of the batch."""
    device, world = loop.fabric.device, loop.fabric.world_size
    generator = torch.Generator(device).manual_seed(SEED)
    rows = torch.arange(batch_size // world, device=device)
    batch = dataset.batch(rows)
    two = method.augment(batch.x, generator, 2).flatten(0, 1)
    joined = torch.randn(batch_size, 2, 128, generator=generator, device=device, requires_grad=True)
    gradient = torch.randn(len(two), 128, generator=generator, device=device)
    descent = torch.optim.AdamW(method.parameters(), lr=0.0, fused=True)

    def embed(x: torch.Tensor) -> torch.Tensor:
        return method.project(method(x))

    if loop.settings.compile:
        embed = torch.compile(embed, mode="reduce-overhead")  # as the loop does

    def bare() -> None:
        torch.compiler.cudagraph_mark_step_begin()
        method.zero_grad()
        with loop.fabric.autocast():
            z = embed(two)
        z.backward(gradient.to(z.dtype))

    return {
        "bare": bare,
        "data": lambda: dataset.batch(rows),
        "augmentation": lambda: method.augment(batch.x, generator, 2),
        "loss": lambda: losses.nt_xent(joined).backward(),
        "optimiser": descent.step,
    }


def now(device: torch.device | str) -> float:
    """The time, once the device has done all it was asked to do."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps and turns")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    steps, turns = (2, 2) if options.quick else (10, 15)
    results = []
    for case in ON_GPU if options.device == "cuda" else ON_CPU:
        loop = begin(case, options.device)
        going = iter(loop)
        next(going)
        found = measure(loop, going, steps, turns)
        going.close()
        results.append({"case": case.title, "batch_size": case.batch_size, **found})
    if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
        return
    names = ["loop", "bare", "data", "augmentation", "loss", "optimiser"]
    print(f"| case | batch | {' | '.join(names)} | cost | around |")
    print("|---|---:|" + "---:|" * (len(names) + 2))
    for row in results:
        rates = " | ".join(f"{row[name]:,.0f}" for name in names)
        print(f"| {row['case']} | {row['batch_size']} | {rates} | {row['cost']:.0%} | {row['around']:.0%} |")
    if options.json:
        world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        record = {**setting(options.device), "processes": world, "seed": SEED, "results": results}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
