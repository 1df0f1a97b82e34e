"""The long tail: a data set cut so that some classes are frequent and others rare."""

import torch

from cl_explore.data.dataset import Dataset
from cl_explore.takes import takes


@takes
def long_tail(dataset: Dataset, ratio: float, generator: torch.Generator) -> Dataset:
    """A subset with n_c = n_0 ratio^(-c/(C-1)) samples of class c: exponential imbalance (Cui et al., 1901.05555).

    `ratio` = n_0/n_(C-1) >= 1, and n_0 is the largest that every class can follow. Rows keep their order and index.
    Raises ValueError if a class would be left empty, or if the ratio, the number of classes or a label is unfit.

    >>> from cl_explore import data
    >>> cut = data.long_tail(data.load("gaussians"), ratio=10, generator=torch.Generator().manual_seed(0))
    >>> cut.labels.bincount().tolist()
    [200, 144, 104, 75, 54, 39, 28, 20]
    """
    if not ratio >= 1:
        raise ValueError(f"ratio must be at least 1, got {ratio}")
    if dataset.num_classes < 2:
        raise ValueError(f"dataset must have at least 2 classes, got {dataset.num_classes}")
    if dataset.labels.min() < 0:
        raise ValueError("dataset must be labelled throughout, got labels of -1")
    labels = dataset.labels.cpu()
    present = labels.bincount(minlength=dataset.num_classes)
    share = ratio ** (-torch.arange(dataset.num_classes, dtype=torch.float64) / (dataset.num_classes - 1))
    largest = (present / share).min()
    counts = (largest * share).round().long()
    if counts.min() < 1:
        raise ValueError(f"ratio must leave a sample in every class, got {ratio:g} for classes of {present.tolist()}")
    shuffled = torch.randperm(len(labels), generator=generator, device=generator.device).cpu()
    rows = torch.cat([shuffled[labels[shuffled] == c][:count] for c, count in enumerate(counts.tolist())])
    return dataset.subset(rows.sort().values)
