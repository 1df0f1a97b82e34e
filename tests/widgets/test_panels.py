"""What every panel of the library keeps to, in a notebook and on a page without a kernel."""

import asyncio
import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from static_pages import Page, unpacked

from cl_explore.data import Dataset, load
from cl_explore.train import Run
from cl_explore.widgets import (
    EmbeddingPanel,
    LossComparePanel,
    SpherePanel,
    SweepPanel,
    TemperaturePanel,
    TrainingPanel,
)
from cl_explore.widgets.panel import Panel

LARGEST = 600_000  # bytes of a static panel


@pytest.fixture
def make(make_run: Callable[..., Run], dataset: Dataset) -> dict[str, Callable[[], Panel]]:
    gaussians = load("gaussians", classes=2, latent=4, features=8, train_per_class=20)
    return {
        "sphere": lambda: SpherePanel("alignment"),  # as large as any other loss, and quick
        "embedding": lambda: EmbeddingPanel(make_run(), dataset),
        "sweep": lambda: SweepPanel(lambda seed: make_run(), {"seed": [0, 1]}, dataset, jobs=1),
        "training": lambda: TrainingPanel(gaussians, encoder="linear", epochs=200, batch_size=8),
        "temperature": lambda: TemperaturePanel([0.1, 0.2], positive=0.5),
        "compare": lambda: LossComparePanel(samples=8, classes=2),
    }


@pytest.mark.parametrize("name", ["sphere", "embedding", "sweep", "training", "temperature", "compare"])
def test_a_panel_is_one_small_block_of_html_says_what_it_shows_and_is_freed(
    name: str, make: dict[str, Callable[[], Panel]]
) -> None:
    before = len(_instances)
    panel = make[name]()
    text = panel.static().data
    assert len(text.encode()) < LARGEST
    assert Page(text).open == []
    frames, sliders = unpacked(text)
    assert len(frames) == np.prod([len(slider["stops"]) for slider in sliders])
    assert frames[0]["alt"]
    assert panel.picture.alt
    alive = weakref.ref(panel)
    panel.close()
    del panel
    gc.collect()
    assert alive() is None
    assert len(_instances) == before


@pytest.mark.parametrize("name", ["sphere", "training"])
def test_a_panel_that_is_closed_while_it_moves_stops_and_is_freed(
    name: str, make: dict[str, Callable[[], Panel]]
) -> None:
    before = len(_instances)

    async def scene() -> weakref.ref:
        panel = make[name]()
        panel.start()
        await asyncio.sleep(0.1)
        task = panel._task
        panel.close()
        await task
        return weakref.ref(panel)

    alive = asyncio.run(scene())
    gc.collect()
    assert alive() is None
    assert len(_instances) == before
