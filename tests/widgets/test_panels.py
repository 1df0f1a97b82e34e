"""What every panel of the library keeps to, in a notebook and on a page without a kernel."""

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from static_pages import Page, unpacked

from cl_explore.data import Dataset, load
from cl_explore.train import Run
from cl_explore.widgets import EmbeddingPanel, SpherePanel, SweepPanel, TrainingPanel
from cl_explore.widgets.panel import Panel

LARGEST = 600_000  # bytes of a static panel


@pytest.fixture
def make(make_run: Callable[..., Run], dataset: Dataset) -> dict[str, Callable[[], Panel]]:
    gaussians = load("gaussians", classes=2, latent=4, features=8, train_per_class=20)
    return {
        "sphere": lambda: SpherePanel("alignment"),  # as large as any other loss, and quick
        "embedding": lambda: EmbeddingPanel(make_run(), dataset),
        "sweep": lambda: SweepPanel(lambda seed: make_run(), {"seed": [0, 1]}, dataset, jobs=1),
        "training": lambda: TrainingPanel(gaussians, encoder="linear", epochs=2, batch_size=8),
    }


@pytest.mark.parametrize("name", ["sphere", "embedding", "sweep", "training"])
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
