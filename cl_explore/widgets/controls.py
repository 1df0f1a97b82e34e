"""The sliders and menus made from the knobs that a loss declares."""

import math
from dataclasses import replace
from typing import Any

import ipywidgets

from cl_explore.losses import Choice, Knob, Loss

WIDE = {"description_width": "initial"}


def control(knob: Knob | Choice, value: Any) -> ipywidgets.Widget:
    """The control of one knob, standing at `value`: a slider, logarithmic if the knob is, or a menu of a choice.

    Raises ValueError for a value outside the slider: it would be clamped.
    """
    name = knob.name.replace("_", " ")
    if isinstance(knob, Knob) and not knob.low <= value <= knob.high:
        raise ValueError(f"{knob.name} must be between {knob.low} and {knob.high}, got {value}")
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
    """A control for each knob of the loss, by the knob's name, standing at its default.

    A slider is as wide as its default needs: values outside the declared slider are legal.
    """

    def reaching(knob: Knob | Choice) -> Knob | Choice:
        if isinstance(knob, Choice):
            return knob
        default = loss.defaults[knob.name]
        return replace(knob, low=min(knob.low, default), high=max(knob.high, default))

    return {knob.name: control(reaching(knob), loss.defaults[knob.name]) for knob in loss.knobs}
