"""Gaussian classes seen through a random projection and tanh: data whose class structure is known exactly."""

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.registry import dataset


@dataset
def gaussians(
    split: str,
    classes: int = 8,
    latent: int = 32,
    features: int = 64,
    mean_sd: float = 1.0,
    within_sd: float = 0.7,
    train_per_class: int = 200,
    test_per_class: int = 100,
    seed: int = 0,
) -> Dataset:
    """Vectors (N, features) of Gaussian classes; both splits of a seed share the classes.

    Class means have standard deviation `mean_sd` per latent dimension, points around them `within_sd`.
    Source: the controlled setting for uniformity and tolerance, after Wang & Liu 2021 (2012.09740).
    """
    _at_least_one(classes=classes, latent=latent, features=features)
    generator = torch.Generator().manual_seed(seed)
    means = mean_sd * torch.randn(classes, latent, generator=generator)
    x, labels = _points(split, means, within_sd, features, train_per_class, test_per_class, generator)
    return Dataset("gaussians", x, labels, torch.arange(len(x)), tuple(f"class {c}" for c in range(classes)))


@dataset
def hierarchical_gaussians(
    split: str,
    superclasses: int = 20,
    fine: int = 5,
    latent: int = 32,
    features: int = 64,
    super_sd: float = 0.8,
    fine_sd: float = 0.6,
    within_sd: float = 0.6,
    train_per_class: int = 13,
    test_per_class: int = 10,
    seed: int = 0,
) -> Dataset:
    """Vectors (N, features) of `superclasses` times `fine` Gaussian classes, with the factor `superclass`.

    A class mean is its superclass's mean (standard deviation `super_sd` per latent dimension) plus an offset of its
    own (`fine_sd`); both splits of a seed share the classes. Source: the controlled setting for VarCon (2506.07413).
    """
    _at_least_one(superclasses=superclasses, fine=fine, latent=latent, features=features)
    generator = torch.Generator().manual_seed(seed)
    super_means = super_sd * torch.randn(superclasses, 1, latent, generator=generator)
    means = super_means + fine_sd * torch.randn(superclasses, fine, latent, generator=generator)
    x, labels = _points(split, means.flatten(0, 1), within_sd, features, train_per_class, test_per_class, generator)
    class_names = tuple(f"class {s}.{c}" for s in range(superclasses) for c in range(fine))
    factors = {"superclass": labels // fine}
    return Dataset("hierarchical_gaussians", x, labels, torch.arange(len(x)), class_names, factors)


def _points(
    split: str,
    means: Tensor,
    within_sd: float,
    features: int,
    train_per_class: int,
    test_per_class: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Observations (N, features) of points around the means (C, latent), and their labels (N,), the classes in turn."""
    _at_least_one(train_per_class=train_per_class, test_per_class=test_per_class)
    classes, latent = means.shape
    projection = torch.randn(latent, features, generator=generator) / latent**0.5
    # the test points come first, so that they stay the same whatever the number of training points
    observed = {}
    for part, per_class in {"test": test_per_class, "train": train_per_class}.items():
        labels = torch.arange(classes).repeat(per_class)
        points = means[labels] + within_sd * torch.randn(len(labels), latent, generator=generator)
        observed[part] = torch.tanh(points @ projection), labels
    return observed[split]


def _at_least_one(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
