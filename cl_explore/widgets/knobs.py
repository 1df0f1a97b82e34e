"""Knobs as a loss declares them, with another range, and the one thread that pictures are computed on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from cl_explore.losses import Loss


def of(loss: Loss, name: str, **changes: Any) -> Any:
    """The knob or choice called `name` as the loss declares it, with another range where `changes` give one."""
    return replace(next(knob for knob in loss.knobs if knob.name == name), **changes)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: for so few numbers a second one only adds waiting, on a busy machine 100 ms of it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
