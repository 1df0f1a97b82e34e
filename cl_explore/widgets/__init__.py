"""Interactive panels: sliders above a canvas, live in a notebook and, by `.static()`, on a page without a kernel."""

from cl_explore.widgets.compare import LossComparePanel
from cl_explore.widgets.embedding import EmbeddingPanel
from cl_explore.widgets.sphere import SpherePanel
from cl_explore.widgets.sweep import SweepPanel
from cl_explore.widgets.temperature import TemperaturePanel
from cl_explore.widgets.training import TrainingPanel

__all__ = [
    "EmbeddingPanel",
    "LossComparePanel",
    "SpherePanel",
    "SweepPanel",
    "TemperaturePanel",
    "TrainingPanel",
]
