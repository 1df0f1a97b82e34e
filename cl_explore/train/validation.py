"""What is measured after every epoch on samples held out."""

import torch

from cl_explore.data import Dataset
from cl_explore.evaluate import embed, knn_accuracy, linear_accuracy
from cl_explore.geometry import effective_rank, uniformity
from cl_explore.methods import Method
from cl_explore.train.feed import sample, settle


class Validation:
    """Probes of the method as it is, on `held_out`, judged by up to 5,000 samples of the training set."""

    def __init__(self, method: Method, dataset: Dataset, held_out: Dataset) -> None:
        """ValueError if the two data sets have other classes."""
        if held_out.class_names != dataset.class_names:
            raise ValueError(
                f"validation must have the {dataset.num_classes} classes of {dataset.name}, in their order, "
                f"got {held_out.num_classes} of {held_out.name}"
            )
        self.method, self.seen, self.held_out = method, sample(dataset, 5000), held_out

    def settle(self, device: torch.device) -> None:
        self.seen, self.held_out = settle(self.seen, device), settle(self.held_out, device)

    def measure(self) -> dict[str, float]:
        """By name: uniformity and effective rank (RankMe) of z; with labels also kNN and linear accuracy of h."""
        found = embed(self.method, self.held_out, argument="validation")
        row = {"uniformity": uniformity(found.z).item(), "effective_rank": effective_rank(found.z).item()}
        labels = self.seen.labels
        if self.held_out.labels.min() >= 0 and labels.min() >= 0 and labels.min() < labels.max():
            train = embed(self.method, self.seen)
            probed = (train.h, train.labels, found.h, found.labels)
            row |= {"knn": knn_accuracy(*probed, k=min(20, len(train.h))), "linear": linear_accuracy(*probed)}
        return row
