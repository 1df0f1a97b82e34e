"""Controls of single knobs, and the one thread that pictures are computed on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ipywidgets
import torch

from cl_explore.losses import Choice, Knob, Loss
from cl_explore.widgets.controls import WIDE, control


def dial(knob: Knob | Choice, value: Any, name: str = "", step: float | None = None) -> ipywidgets.Widget:
    """The control of a knob under another name, stopping every `step` (in log10 for a logarithmic knob)."""
    made = control(knob, value)
    made.description = name or made.description
    if step:
        made.step = step
    return made


def counter(knob: Knob, value: int, name: str = "", *, step: int = 1) -> ipywidgets.IntSlider:
    """A slider over the whole numbers of a knob's range, stopping every `step`; ValueError for a value outside it."""
    if not knob.low <= value <= knob.high:
        raise ValueError(f"{knob.name} must be between {knob.low} and {knob.high}, got {value}")
    return ipywidgets.IntSlider(
        value=value, min=round(knob.low), max=round(knob.high), step=step, description=name or knob.name,
        tooltip=knob.help, style=WIDE,
    )  # fmt: skip


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
