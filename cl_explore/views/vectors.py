"""Views of vectors: noise and feature dropout."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.views.base import Views, normal, uniform


class VectorParameters(NamedTuple):
    """What was drawn for vectors (N, F): the noise to add, and which features to keep (bool), both (N, F)."""

    noise: Tensor
    keep: Tensor


@dataclass(frozen=True, kw_only=True)
class VectorViews(Views[VectorParameters]):
    """Views of vectors (B, F): Gaussian noise is added, then features are set to zero.

    noise: standard deviation of the noise.
    dropout: probability with which each feature of each view is set to zero, below 1.

    >>> augment = VectorViews(noise=0.15, dropout=0.1)
    >>> augment(torch.randn(4, 8), torch.Generator().manual_seed(0), n_views=3).shape
    torch.Size([4, 3, 8])
    """

    noise: float = 0.15
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength * self.dropout >= 1:
            raise ValueError(f"strength * dropout must be below 1, got {self.strength * self.dropout}")

    def _apply(self, x: Tensor, parameters: VectorParameters) -> Tensor:
        """Add the noise to x (N, F) and set the features that are not kept to zero."""
        return (x + parameters.noise) * parameters.keep

    def _draw(self, x: Tensor, generator: torch.Generator) -> VectorParameters:
        noise = self.strength * self.noise * normal(generator, x)
        return VectorParameters(noise, uniform(generator, x, *x.shape) >= self.strength * self.dropout)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2:
            raise ValueError(f"x must have shape (B, F), got {tuple(x.shape)}")
