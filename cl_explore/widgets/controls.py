"""Sliders and menus of knobs: they stand where they were told to, or refuse."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ipywidgets
from traitlets import validate

from cl_explore import losses
from cl_explore.losses import Choice, Knob, Loss

WIDE = {"description_width": "initial"}


def _within(slider: Any, value: float, low: float, high: float) -> float:
    """The value, at most rounded into the range; ValueError outside it, where ipywidgets would clamp it silently."""
    if not low - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high):
        raise ValueError(f"{slider.description} must be between {low:.6g} and {high:.6g}, got {value}")
    return min(max(value, low), high)


class FloatSlider(ipywidgets.FloatSlider):
    """A slider that refuses what it cannot show."""

    @validate("value")
    def _validate_value(self, proposal: Any) -> float:
        return _within(self, proposal["value"], self.min, self.max)


class FloatLogSlider(ipywidgets.FloatLogSlider):
    """A logarithmic slider that refuses what it cannot show."""

    @validate("value")
    def _validate_value(self, proposal: Any) -> float:
        return _within(self, proposal["value"], self.base**self.min, self.base**self.max)


class IntSlider(ipywidgets.IntSlider):
    """A slider over whole numbers that refuses what it cannot show."""

    @validate("value")
    def _validate_value(self, proposal: Any) -> int:
        return int(_within(self, proposal["value"], self.min, self.max))


def _exponents(low: float, high: float) -> tuple[float, float]:
    """Powers of ten that reach both ends of a range: rounding would cut them off."""
    first, last = math.log10(low), math.log10(high)
    while 10.0**first > low:
        first = math.nextafter(first, -math.inf)
    while 10.0**last < high:
        last = math.nextafter(last, math.inf)
    return first, last


def _checked(knob: Knob, value: Any) -> None:
    if not knob.low <= value <= knob.high:
        raise ValueError(f"{knob.name} must be between {knob.low} and {knob.high}, got {value}")


def control(knob: Knob | Choice, value: Any) -> ipywidgets.Widget:
    """The control of one knob, standing at `value`: a slider, logarithmic if the knob is, or a menu of a choice.

    Raises ValueError for a value outside the slider.
    """
    name = knob.name.replace("_", " ")
    if isinstance(knob, Choice):
        return ipywidgets.Dropdown(options=knob.options, value=value, description=name, tooltip=knob.help, style=WIDE)
    _checked(knob, value)
    look: dict[str, Any] = {"value": float(value), "description": name, "tooltip": knob.help, "style": WIDE}
    if knob.log:
        low, high = _exponents(knob.low, knob.high)
        return FloatLogSlider(min=low, max=high, step=0.01, readout_format=".3g", **look)
    return FloatSlider(min=knob.low, max=knob.high, step=(knob.high - knob.low) / 100, readout_format=".3g", **look)


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


def dial(knob: Knob | Choice, value: Any, name: str = "", step: float | None = None, **look: Any) -> ipywidgets.Widget:
    """The control of a knob under another name, stopping every `step` (in log10 for a logarithmic knob).

    A value between two stops is kept as it is. `look` are further traits of the control.
    """
    made = control(knob, value)
    made.description = name or made.description
    if step:
        made.step = step
    for trait, value_of_trait in look.items():
        setattr(made, trait, value_of_trait)
    return made


def counter(knob: Knob, value: int, name: str = "", **look: Any) -> IntSlider:
    """A slider over the whole numbers of a knob's range; ValueError for a value outside it or between two of them."""
    _checked(knob, value)
    if value != int(value):
        raise ValueError(f"{knob.name} must be a whole number, got {value}")
    return IntSlider(
        value=int(value), min=round(knob.low), max=round(knob.high), description=name or knob.name,
        tooltip=knob.help, style=WIDE, **look,
    )  # fmt: skip


def loss_menu(views: int, chosen: Loss, *others: Loss, **look: Any) -> ipywidgets.Dropdown:
    """A menu of the losses that can be computed from `views` views and labels alone, families together.

    It stands at `chosen`; `chosen` and `others` need not be of the catalogue. `look` are further traits of the menu.
    Raises: ValueError for one of them that needs more than views and labels.
    """
    for loss in (chosen, *others):
        if not loss.fits(views):
            raise ValueError(f"loss {loss.name} cannot be computed from {views} views and their labels alone")
    fitting = {loss.title: loss for loss in (*losses.catalogue.values(), chosen, *others) if loss.fits(views)}
    order = list(dict.fromkeys(loss.family for loss in fitting.values()))
    options = dict(sorted(fitting.items(), key=lambda option: order.index(option[1].family)))
    return ipywidgets.Dropdown(options=options, value=chosen, description="loss", **look)


def families(menu: ipywidgets.Dropdown) -> dict[str, str]:
    """The family of each loss of a menu, by its title."""
    return {title: loss.family for title, loss in menu.options.items()}


def stepper(name: str, stops: Sequence[Any], value: Any, label: str = "", help: str = "") -> Any:
    """A slider that stops only where something is known; ValueError for a value between two stops."""
    if value not in stops:
        raise ValueError(f"{name} must be one of {', '.join(f'{stop:.4g}' for stop in stops)}, got {value}")
    return ipywidgets.SelectionSlider(
        options=[(f"{stop:.4g}", stop) for stop in stops], value=value, description=label or name, tooltip=help,
        style=WIDE,
    )  # fmt: skip
