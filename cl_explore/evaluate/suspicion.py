"""Labels that the neighbourhood contradicts."""

from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.geometry import KNNGraph
from cl_explore.given import Array, classes
from cl_explore.takes import Positive, takes


class Suspicion(NamedTuple):
    """Samples whose label is probably wrong, the most suspicious first.

    rows: (S,) int64, which samples
    suggested: (S,) int64, the class that their neighbours have instead; of texts, its place in alphabetical order
    margins: (S,), by how much the neighbours prefer it, in shares of their vote
    """

    rows: Tensor
    suggested: Tensor
    margins: Tensor


@takes
@torch.no_grad()
def suspicious_labels(graph: KNNGraph, labels: Array, temperature: Positive = 0.07) -> Suspicion:
    """Samples whose neighbours vote for another class than their label.

    graph: of the N samples, from `geometry.knn_graph`
    labels: (N,) integers, -1 for samples without one, which neither vote nor are suspected; or texts
    temperature: a neighbour at cosine c votes with weight exp(c / temperature), as in `knn_accuracy`
    Source: Wilson 1972 (IEEE Transactions on Systems, Man, and Cybernetics 2): edited nearest neighbours
    Raises: ValueError or TypeError for other labels
    Note: where classes overlap, right labels are suspected too: those with a large margin are the likelier to be wrong.

    >>> from cl_explore.geometry import knn_graph
    >>> x = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [1.0, 0.3], [0.0, 1.0], [0.1, 1.0], [0.2, 1.0], [0.3, 1.0]]
    >>> suspicious_labels(knn_graph(x, 3), ["a", "b", "a", "a", "b", "b", "b", "b"]).rows
    tensor([1])
    """
    rows, distances = graph
    ((y,), _) = classes({"labels": labels}, {"graph": len(rows)}, least=-1)
    y = y.to(rows.device)
    near = y[rows]
    weight = (-distances.square() / (2 * temperature)).softmax(1) * ((near >= 0) & (y[:, None] >= 0))
    share = weight / weight.sum(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    of_class = (share[:, None, :] * (near[:, :, None] == near[:, None, :])).sum(2)  # (N, k), of each neighbour's
    best, place = of_class.max(1)
    margins = best - (share * (near == y[:, None])).sum(1)
    order = margins.argsort(descending=True, stable=True)
    found = order[(margins > 0)[order]]
    return Suspicion(found, near[found, place[found]], margins[found])
