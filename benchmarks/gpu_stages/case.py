"""What a stage is made of, and how a device is watched while it works: seconds, memory, waits of the host."""

import statistics
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from losses import peak
from training import now

OWN = Path(__file__).parents[2] / "cl_explore"
WAIT = "synchronizing"  # what the warnings of `torch.cuda.set_sync_debug_mode` have in common


class Case(NamedTuple):
    """One thing to be found out: its name, the seconds it may take, and what finds it out as a record for JSON.

    What a record lists under "wrong" is not as it must be.
    """

    name: str
    seconds: float
    run: Callable[[], dict[str, Any]]


def seconds(call: Callable[[], object], device: str) -> float:
    """The median of five measurements, each of as many calls as take a tenth of a second together.

    On a CPU, where only the way is tried out, far fewer.
    """
    at_least = 0.1 if device == "cuda" else 0.001
    call()
    start = now(device)
    call()
    often = max(1, round(at_least / max(now(device) - start, 1e-6)))

    def measured() -> float:
        start = now(device)
        for _ in range(often):
            call()
        return (now(device) - start) / often

    return statistics.median(measured() for _ in range(5))


def memory(call: Callable[[], object], device: str) -> float:
    """MiB that a call holds at its peak beyond what was held before."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    call()
    return peak() - before


def waits(call: Callable[[], object], device: str) -> dict[str, int]:
    """How often the host waits for the device within a call, by the line of this project that makes it wait."""
    found: Counter[str] = Counter()

    def heard(message: Warning | str, category: type[Warning], file: str, line: int, *_: object) -> None:
        if WAIT not in str(message):
            return
        own = [each for each in traceback.extract_stack() if Path(each.filename).is_relative_to(OWN)]
        path, number = (own[-1].filename, own[-1].lineno) if own else (file, line)
        found[f"{path.removeprefix(f'{OWN.parent}/')}:{number}"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = heard
        _watch("warn", device)
        try:
            call()
        finally:
            _watch("default", device)
    return dict(found)


def _watch(mode: str, device: str) -> None:
    if device == "cuda":
        torch.cuda.set_sync_debug_mode(mode)
