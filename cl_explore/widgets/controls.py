"""Here live the sliders and menus made from the knobs that a loss declares."""

import math
from typing import Any

import ipywidgets

from cl_explore.losses import Choice, Knob, Loss

WIDE = {"description_width": "initial"}


def control(knob: Knob | Choice, value: Any) -> ipywidgets.Widget:
    """The control of one knob, standing at `value`: a slider, logarithmic if the knob is, or a menu of a choice."""
    name = knob.name.replace("_", " ")
    if isinstance(knob, Choice):
        return ipywidgets.Dropdown(options=knob.options, value=value, description=name, tooltip=knob.help, style=WIDE)
    if knob.log:
        return ipywidgets.FloatLogSlider(
            value=value, min=math.log10(knob.low), max=math.log10(knob.high), step=0.01, description=name,
            readout_format=".3f", tooltip=knob.help, style=WIDE,
        )  # fmt: skip
    return ipywidgets.FloatSlider(
        value=value, min=knob.low, max=knob.high, step=(knob.high - knob.low) / 100, description=name,
        readout_format=".2f", tooltip=knob.help, style=WIDE,
    )  # fmt: skip


def controls(loss: Loss) -> dict[str, ipywidgets.Widget]:
    """A control for each knob of the loss, by the knob's name, standing at its default."""
    return {knob.name: control(knob, loss.defaults[knob.name]) for knob in loss.knobs}
