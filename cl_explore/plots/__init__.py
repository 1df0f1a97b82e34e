"""Static pictures in one house style: each function draws one figure from arrays or a run, `show` displays it."""

from cl_explore.plots.classes import centroid_similarity, dispersion
from cl_explore.plots.pictures import pictures
from cl_explore.plots.progress import training
from cl_explore.plots.scatters import filmstrip, scatter
from cl_explore.plots.similarities import negative_weights, similarity_histogram
from cl_explore.plots.spheres import circle, sphere, sphere_3d
from cl_explore.plots.style import figure, show, use

__all__ = [
    "centroid_similarity",
    "circle",
    "dispersion",
    "figure",
    "filmstrip",
    "negative_weights",
    "pictures",
    "scatter",
    "show",
    "similarity_histogram",
    "sphere",
    "sphere_3d",
    "training",
    "use",
]
