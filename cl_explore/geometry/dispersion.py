"""How classes lie: their means, the spread within and between them and the angles of their centroids."""

from dataclasses import dataclass

from torch import Tensor

from cl_explore.geometry.inputs import groups, points
from cl_explore.given import Array, floats
from cl_explore.losses.similarity import group_sums
from cl_explore.losses.unit import unit
from cl_explore.takes import takes


@dataclass(frozen=True, eq=False)
class Dispersion:
    """Class dispersion; see `dispersion`.

    within, between, ratio: 0-dim float64
    per_class: (C,) float64 in ascending order of label
    """

    within: Tensor
    between: Tensor
    ratio: Tensor
    per_class: Tensor


def class_means(x: Array, labels: Array) -> Tensor:
    """The mean of each class. Differentiable.

    x: (N,), (N, D) and so on, tensor or array, floating point
    labels: (N,) integers from 0 on
    Returns: (C, ...) in ascending order of label, of the classes that occur
    Raises: ValueError for a negative label or another shape of labels; TypeError for dtypes

    >>> import torch
    >>> class_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 7]))
    tensor([2., 5.])
    """
    x = floats(x, "x")
    return means_of_groups(x, *groups(labels, x))


def means_of_groups(x: Tensor, group: Tensor, sizes: Tensor) -> Tensor:
    """Means (C, ...) of x (N, ...), given the class number of each row, group (N,), and the class sizes (C,)."""
    return group_sums(x, group, len(sizes)) / sizes.view(-1, *(1 for _ in x.shape[1:]))


@takes
def dispersion(x: Array, labels: Array, *, normalize: bool = True) -> Dispersion:
    """The total variance split into the part within classes and the part between them. Differentiable.

    x: (N, D), tensor or array
    labels: (N,) integers from 0 on; μ_c is the centroid and n_c the size of class c, μ the mean of all samples
    Returns: `per_class` the mean of ‖x_i - μ_c‖² over the samples of c (0 for a class of one sample); `within` the
        mean of ‖x_i - μ_{y_i}‖² over all samples; `between` = Σ_c n_c/N ‖μ_c - μ‖²; `ratio` = within / between, small
        when classes are compact and apart; within + between is the mean of ‖x_i - μ‖²
    Raises: ValueError for another shape, fewer than 2 classes, a negative label or numbers that are not finite;
        TypeError for dtypes

    >>> import torch
    >>> d = dispersion(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, 1, 1]))
    >>> d.within.item(), d.between.item()
    (0.0, 0.5)
    """
    x = points(x, normalize=normalize).double()
    group, sizes = groups(labels, x)
    if len(sizes) < 2:
        raise ValueError(f"labels must name at least 2 classes, got {len(sizes)}")
    means = means_of_groups(x, group, sizes)
    squared = (x - means[group]).square().sum(1)
    within = squared.mean()
    between = (sizes.double() / len(x) * (means - x.mean(0)).square().sum(1)).sum()
    per_class = group_sums(squared, group, len(sizes)) / sizes
    return Dispersion(within, between, within / between, per_class)


@takes
def centroid_similarity(x: Array, labels: Array, *, normalize: bool = True) -> Tensor:
    """Cosines between the class centroids, not centred: which classes point the same way.

    x: (N, D), tensor or array
    labels: (N,) integers from 0 on
    Returns: (C, C) float64 in ascending order of label
    Raises: ValueError for another shape, a negative label or numbers that are not finite; TypeError for dtypes
    """
    x = points(x, normalize=normalize).double()
    means = unit(class_means(x, labels))
    return means @ means.T
