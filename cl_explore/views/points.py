"""Views of point clouds: turned, scaled and jittered, each cloud by itself."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.views.base import Views, normal, uniform


class PointParameters(NamedTuple):
    """What was drawn for clouds (N, P, D): an angle and a gain each, (N, 1), and noise (N, P, D) to be added."""

    angle: Tensor
    gain: Tensor
    noise: Tensor


@dataclass(frozen=True, kw_only=True)
class PointViews(Views[PointParameters]):
    """Views of point clouds (B, P, D) of D = 2 or 3 coordinates, in this order.

    rotate: largest angle in radians, either way, about the origin or the third axis, at most pi.
    scale: all coordinates are multiplied by a number uniform in 1 +- scale.
    jitter: standard deviation of Gaussian noise, in that of the cloud's coordinates.

    >>> PointViews()(torch.randn(4, 50, 3), torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 50, 3])
    """

    rotate: float = 0.2
    scale: float = 0.1
    jitter: float = 0.02

    def _apply(self, x: Tensor, parameters: PointParameters) -> Tensor:
        """Turn, scale and jitter the clouds x (N, P, D)."""
        angle, gain, noise = parameters
        sin, cos, (across, along) = angle.sin(), angle.cos(), x[..., :2].unbind(2)
        turned = torch.stack([cos * across - sin * along, sin * across + cos * along], dim=2)
        return torch.cat([turned, x[..., 2:]], dim=2) * gain[:, None] + noise

    def _draw(self, x: Tensor, generator: torch.Generator) -> PointParameters:
        way, size = 2 * uniform(generator, x, 2, len(x), 1) - 1
        noise = normal(generator, x)
        spread = x.std(dim=(1, 2), correction=0, keepdim=True)
        return PointParameters(
            min(self.strength * self.rotate, math.pi) * way,
            1 + self.strength * self.scale * size,
            self.strength * self.jitter * spread * noise,
        )

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[2] not in (2, 3):
            raise ValueError(f"x must have shape (B, P, 2) or (B, P, 3), got {tuple(x.shape)}")
