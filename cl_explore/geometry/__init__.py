"""Measures of a set of embeddings: how it fills the sphere, its classes, directions and neighbours.

Functions of tensors or NumPy arrays; scalars come as 0-dim float64 tensors on the input's device, and alignment and
uniformity never make a GPU wait. `normalize=True` puts points on the unit sphere first, where contrastive losses see
them; the spectral measures and neural collapse take points as they come.
"""

from cl_explore.geometry.collapse import NeuralCollapse, neural_collapse
from cl_explore.geometry.dispersion import Dispersion, centroid_similarity, class_means, dispersion
from cl_explore.geometry.neighbours import (
    Hubness,
    KNNGraph,
    Nearest,
    hubness,
    knn_graph,
    knn_overlap,
    near_duplicates,
    nearest,
    outlier_scores,
    shared_neighbours,
)
from cl_explore.geometry.spectrum import alpha_req, effective_rank, participation_ratio, spectrum
from cl_explore.geometry.spread import alignment, tolerance, uniformity
from cl_explore.geometry.summary import summary

__all__ = [
    "Dispersion",
    "Hubness",
    "KNNGraph",
    "Nearest",
    "NeuralCollapse",
    "alignment",
    "alpha_req",
    "centroid_similarity",
    "class_means",
    "dispersion",
    "effective_rank",
    "hubness",
    "knn_graph",
    "knn_overlap",
    "near_duplicates",
    "nearest",
    "neural_collapse",
    "outlier_scores",
    "participation_ratio",
    "shared_neighbours",
    "spectrum",
    "summary",
    "tolerance",
    "uniformity",
]
