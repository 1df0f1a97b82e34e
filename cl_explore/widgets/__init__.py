"""Interactive panels: sliders above a canvas, live in a notebook and, by `.static()`, on a page without a kernel."""

from cl_explore.widgets.attraction import AttractionPanel
from cl_explore.widgets.compare import LossComparePanel
from cl_explore.widgets.embedding import EmbeddingPanel
from cl_explore.widgets.mix import MixPanel
from cl_explore.widgets.sort import SortPanel
from cl_explore.widgets.sphere import SpherePanel
from cl_explore.widgets.sweep import SweepPanel
from cl_explore.widgets.tau import TauPanel
from cl_explore.widgets.temperature import TemperaturePanel
from cl_explore.widgets.training import TrainingPanel
from cl_explore.widgets.varcon import VarConPanel
from cl_explore.widgets.views import ViewsPanel

__all__ = [
    "AttractionPanel",
    "EmbeddingPanel",
    "LossComparePanel",
    "MixPanel",
    "SortPanel",
    "SpherePanel",
    "SweepPanel",
    "TauPanel",
    "TemperaturePanel",
    "TrainingPanel",
    "VarConPanel",
    "ViewsPanel",
]
