"""Images a second of the training loop, its cost over bare forward and backward passes, and where the time goes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import training
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity, profile
from training import now

from cl_explore import nn
from gpu_stages.case import Case, memory, seconds

SHOWN = 20  # operations of the profile that are kept
PLAIN = {"precision": "bf16-mixed"}


def cases(small: bool, device: str) -> list[Case]:
    shape, batch, steps, turns = ((3, 32, 32), 16, 2, 2) if small else ((3, 32, 32), 512, 10, 7)
    # networks, how to train, seconds; those that are goals first
    chosen: list[tuple[str, Callable[[], torch.nn.Module], dict[str, Any], float]] = [
        ("ResNet-18, compiled", nn.resnet18, training.FAST, 150),
        ("ResNet-50, compiled", nn.resnet50, training.FAST, 240),
        ("ResNet-18", nn.resnet18, PLAIN, 60),
        ("ResNet-50", nn.resnet50, PLAIN, 60),
    ]
    if small:
        chosen = [("ConvNet", lambda: nn.ConvNet(3, 4), training.FAST, 60)]
    networks = [
        (training.Case(title, encoder, batch, shape, training.SIMCLR, options), most)
        for title, encoder, options, most in chosen
    ]
    return [
        *(Case(each.title, most, partial(loop_and_profile, each, device, steps, turns)) for each, most in networks),
        Case("views", 90, partial(compiled_views, device, batch)),
    ]


def loop_and_profile(networks: training.Case, device: str, steps: int, turns: int) -> dict[str, Any]:
    """Seconds until the first two steps are done, from the build on; then rates, memory of a step, and the profile."""
    start = now(device)
    loop = training.begin(networks, device)
    going = iter(loop)
    next(going), next(going)
    found = {"first two steps": now(device) - start, **training.measure(loop, going, steps, turns)}
    found["extra MiB"] = memory(lambda: next(going), device)
    try:
        found["profile"] = profiled(lambda: next(going), device, steps)
    except RuntimeError as error:  # a machine may not let its counters be read
        found["profile"] = {"failed": str(error).splitlines()[0]}
    going.close()
    return found


def profiled(step: Callable[[], object], device: str, steps: int) -> dict[str, Any]:
    """Milliseconds a step of the operations that take most of the device and of the host, and how busy the device is.

    The rates of the loop were measured without the profile, which slows the host.
    """
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=activities) as seen:
        start = now(device)
        for _ in range(steps):
            step()
        whole = (now(device) - start) / steps * 1000

    def most(of: list[FunctionEventAvg], time: str) -> dict[str, float]:
        found = sorted(((getattr(each, time) / steps / 1000, each.key) for each in of), reverse=True)
        return {key[:120]: round(taken, 4) for taken, key in found[:SHOWN] if taken > 0}

    each_once = [each for each in seen.key_averages() if not each.is_user_annotation]
    kernels = [each for each in each_once if each.device_type != DeviceType.CPU]
    return {
        "step": whole,
        "device busy": sum(each.self_device_time_total for each in kernels) / steps / 1000,
        "device": most(kernels, "self_device_time_total"),
        "host": most(each_once, "self_cpu_time_total"),
    }


def compiled_views(device: str, batch: int) -> dict[str, Any]:
    """Seconds for two SimCLR views of a batch, drawn and made, with what is made plain and compiled."""
    x, augment = torch.rand(batch, 3, 32, 32, device=device), training.SIMCLR
    generator = torch.Generator(device).manual_seed(0)
    rows = x.repeat_interleave(2, dim=0)
    drawn = augment.parameters(rows, generator)
    compiled = torch.compile(augment.apply, dynamic=False)
    off = float((compiled(rows, drawn) - augment.apply(rows, drawn)).abs().max())
    return {
        "wrong": [f"compiled views are off by {off:.2g}"] if off > 1e-4 else [],
        "draw": seconds(lambda: augment.parameters(rows, generator), device),
        "plain": seconds(lambda: augment.apply(rows, drawn), device),
        "compiled": seconds(lambda: compiled(rows, drawn), device),
    }
