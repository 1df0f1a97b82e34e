"""Data sets: real ones, Gaussian classes, and the factor world, all as tensors with labels and row numbers.

>>> from cl_explore import data
>>> [name for name in data.names() if name not in data.PUBLISHED]
['digits', 'factor_world', 'factor_world_features', 'gaussians', 'hierarchical_gaussians']
"""

# ruff: noqa: E402

from cl_explore.needed import needed as _needed

_needed("cl_explore.data", PIL="pillow", tqdm="tqdm")

from cl_explore.data import (  # registers them
    cifar,
    digits,
    factor_world,
    gaussians,
    imagenet,
    kinds,
    mnist,
    raw,
    spoken_digits,
    stl10,
    usps,
    watch,
)
from cl_explore.data.arrays import from_arrays
from cl_explore.data.batch import Batch, Samples
from cl_explore.data.dataset import Dataset
from cl_explore.data.factor_views import FactorViews, factor_rows
from cl_explore.data.feature_world import FeatureWorld
from cl_explore.data.folder import from_folder
from cl_explore.data.frames import from_frame
from cl_explore.data.hugging_face import from_hugging_face
from cl_explore.data.loaders import from_torch
from cl_explore.data.long_tail import long_tail
from cl_explore.data.modality import KINDS, Modality
from cl_explore.data.own_vectors import Vectors, read_vectors
from cl_explore.data.published import Published
from cl_explore.data.pulses import pulses
from cl_explore.data.registry import load, names
from cl_explore.data.texts import from_texts
from cl_explore.takes import LINES

LINES[Dataset] = raw.line

PUBLISHED: dict[str, Published] = {
    published.name: published
    for published in (
        cifar.CIFAR10,
        cifar.CIFAR100,
        imagenet.IMAGENET,
        imagenet.IMAGENET100,
        imagenet.TINY_IMAGENET,
        mnist.FASHION_MNIST,
        mnist.MNIST,
        spoken_digits.SPOKEN_DIGITS,
        stl10.STL10,
        usps.USPS,
        watch.WATCH,
    )
}
"""Data sets that others publish, by the name that `load` knows; `find(split)` says where one is."""

__all__ = [
    "KINDS",
    "PUBLISHED",
    "Batch",
    "Dataset",
    "FactorViews",
    "FeatureWorld",
    "Modality",
    "Published",
    "Samples",
    "Vectors",
    "digits",
    "factor_rows",
    "factor_world",
    "from_arrays",
    "from_folder",
    "from_frame",
    "from_hugging_face",
    "from_texts",
    "from_torch",
    "gaussians",
    "kinds",
    "load",
    "long_tail",
    "names",
    "pulses",
    "read_vectors",
]
