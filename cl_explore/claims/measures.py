"""What most rows hold."""

from torch.nn import functional as F

from cl_explore import evaluate, geometry
from cl_explore.data import Dataset
from cl_explore.methods import Method


def usual(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """Accuracies (kNN on h and on z, linear on h) and, of unit z, −uniformity, tolerance and effective rank."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    return {
        "kNN h": evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
        "kNN z": evaluate.knn_accuracy(seen.z, seen.labels, unseen.z, unseen.labels),
        "linear h": evaluate.linear_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
        "−uniformity": -geometry.uniformity(unseen.z).item(),
        "tolerance": geometry.tolerance(unseen.z, unseen.labels).item(),
        "effective rank": geometry.effective_rank(F.normalize(unseen.z, dim=1)).item(),
    }
