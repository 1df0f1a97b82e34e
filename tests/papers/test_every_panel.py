"""The panels of the papers: small without a kernel, changed by each of their controls, and freed when closed."""

import gc
import math
import time
import weakref
from collections.abc import Iterator

import ipywidgets
import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from static_pages import Page, packed, unpacked

from cl_explore import papers
from cl_explore.widgets.panel import KnobPanel

LARGEST = 600_000  # bytes of a static panel
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


def shown(panel: KnobPanel) -> tuple[str, bytes]:
    return panel.canvas.spec, panel.canvas.data


def is_one_small_block(panel: KnobPanel, stops: int) -> None:
    """Without the stops of knobs that take another experiment, each of which adds about as many frames."""
    text = panel.static().data
    assert len(text.encode()) + len(packed(text).encode()) * (stops - 1) < LARGEST
    assert Page(text).open == []
    frames, sliders = unpacked(text)
    assert len(frames) == np.prod([len(slider["stops"]) for slider in sliders])
    assert len({str(frame) for frame in frames}) > 1 or not sliders
    for knob in panel.knobs.values():
        assert knob.description
        assert knob.tooltip or isinstance(knob, ipywidgets.Dropdown)
    drags = [mark.drag for chart in panel.picture.charts for mark in chart.marks if getattr(mark, "drag", "")]
    assert set(drags) <= panel.knobs.keys()
    assert sum(map(len, shown(panel))) < 40_000  # what travels with every move of a slider


def changes_with_every_control(panel: KnobPanel) -> None:
    found = sorted(controls(panel), key=lambda control: hasattr(control, "index"))
    assert found  # menus last: what they choose may leave a slider nothing to do
    read = {str(panel.picture.readout)}
    for control in found:
        before, until = shown(panel), time.monotonic() + PATIENCE
        move(control)
        while shown(panel) == before or "being made" in panel.canvas.spec:
            assert time.monotonic() < until, f"nothing changed when {control.description!r} was moved"
            time.sleep(0.01)
        read.add(str(panel.picture.readout))
    assert len(read) > 1


@pytest.mark.parametrize("slug", [slug for slug in papers.slugs() if papers.has(slug, "panel")])
def test_every_panel_is_one_small_block_changes_with_every_control_and_is_freed(
    slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of one panel, as what it has made once it keeps."""
    monkeypatch.setenv("CL_EXPLORE_STATIC", "made")
    before = len(_instances)
    panel = papers.panel(slug)()
    is_one_small_block(panel, math.prod(len(panel._sweeps[name]) for name in panel._decides if name in panel._sweeps))
    changes_with_every_control(panel)
    alive = weakref.ref(panel)
    panel.close()
    del panel
    gc.collect()
    assert alive() is None
    assert len(_instances) == before
