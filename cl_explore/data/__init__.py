"""Data sets: real ones, Gaussian classes, and the factor world, all as tensors with labels and row numbers.

>>> from cl_explore import data
>>> data.names()
['digits', 'factor_world', 'factor_world_features', 'fashion_mnist', 'gaussians', 'hierarchical_gaussians']
"""

from cl_explore.data import digits, factor_world, fashion_mnist, gaussians  # noqa: F401 - importing registers them
from cl_explore.data.dataset import Batch, Dataset
from cl_explore.data.feature_world import FeatureWorld
from cl_explore.data.long_tail import long_tail
from cl_explore.data.registry import load, names

__all__ = ["Batch", "Dataset", "FeatureWorld", "factor_world", "load", "long_tail", "names"]
