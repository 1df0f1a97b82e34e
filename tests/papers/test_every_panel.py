"""The panels of the papers: each control of each changes what is shown."""

import time
from collections.abc import Iterator

import ipywidgets
import pytest

from cl_explore import papers
from cl_explore.widgets.panel import Panel

PATIENCE = 20.0  # seconds within which a panel has made an experiment again


def controls(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """What the reader can set in a part of a panel."""
    for child in getattr(widget, "children", ()):
        yield from controls(child)
    settable = isinstance(widget, ipywidgets.ValueWidget | ipywidgets.Button) and not hasattr(widget, "placeholder")
    if settable and not widget.disabled and "none" not in (widget.layout.display, widget.layout.visibility):
        yield widget


def move(control: ipywidgets.Widget) -> None:
    """Press a button, tick a box, choose the neighbour of what is chosen, or go half of the way to the farther end."""
    if isinstance(control, ipywidgets.Button):
        control.click()
    elif isinstance(control, ipywidgets.Checkbox | ipywidgets.ToggleButton):
        control.value = not control.value
    elif hasattr(control, "index"):
        control.index = control.index - 1 if control.index else 1
    elif isinstance(control, ipywidgets.FloatLogSlider):
        low, high = control.base**control.min, control.base**control.max
        control.value = (control.value * (low if control.value > (low * high) ** 0.5 else high)) ** 0.5
    else:
        low, high = control.min, control.max
        control.value = type(control.value)((control.value + (low if 2 * control.value > low + high else high)) / 2)


def shown(panel: Panel) -> tuple[str, bytes]:
    return panel.canvas.spec, panel.canvas.data


@pytest.mark.parametrize("slug", [slug for slug in papers.slugs() if papers.has(slug, "panel")])
def test_every_control_changes_what_is_shown(slug: str) -> None:
    panel = papers.panel(slug)()
    found = sorted(controls(panel), key=lambda control: hasattr(control, "index"))
    assert found  # menus last: what they choose may leave a slider nothing to do
    for control in found:
        before, until = shown(panel), time.monotonic() + PATIENCE
        move(control)
        while shown(panel) == before or "being made" in panel.canvas.spec:
            assert time.monotonic() < until, f"nothing changed when {control.description!r} was moved"
            time.sleep(0.01)
    panel.close()
