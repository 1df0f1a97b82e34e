"""Interactive panels: sliders above a canvas, live in a notebook and, by `.static()`, on a page without a kernel."""

from cl_explore.widgets.bets import bet, tally
from cl_explore.widgets.compare_panel import LossComparePanel
from cl_explore.widgets.embedding_panel import EmbeddingPanel
from cl_explore.widgets.redraw_panel import RedrawPanel
from cl_explore.widgets.sphere_panel import SpherePanel
from cl_explore.widgets.sweep_panel import SweepPanel
from cl_explore.widgets.temperature_panel import TemperaturePanel
from cl_explore.widgets.training_panel import TrainingPanel

__all__ = [
    "EmbeddingPanel",
    "LossComparePanel",
    "RedrawPanel",
    "SpherePanel",
    "SweepPanel",
    "TemperaturePanel",
    "TrainingPanel",
    "bet",
    "tally",
]
