"""Views of samples of any kind: as they are, or with noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cl_explore.views.base import normal


@dataclass(frozen=True)
class Noisy:
    """Views of samples of any shape to which Gaussian noise is added; without noise the samples as they are.

    noise: its standard deviation
    """

    noise: float = 0.0

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        views = x[:, None].expand(-1, n_views, *x.shape[1:])
        return views + self.noise * normal(generator, views) if self.noise else views
