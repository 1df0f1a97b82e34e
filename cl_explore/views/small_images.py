"""Views of small pictures that are hard to tell from those of others."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.views.base import Views, normal, uniform


class HardParameters(NamedTuple):
    """What was drawn for pictures (N, C, H, W).

    row, column: (N, H) and (N, W) int64, where each row and column of pixels comes from.
    black: (N, H, W) bool, the pixels shifted in or erased.
    gain: (N, 1, 1, 1), multiplies the picture.
    noise: (N, C, H, W), to be added.
    """

    row: Tensor
    column: Tensor
    black: Tensor
    gain: Tensor
    noise: Tensor


@dataclass(frozen=True, kw_only=True)
class HardViews(Views[HardParameters]):
    """Views of small pictures (B, C, H, W) in [0, 1] or bytes, in this order; strength scales each, in whole pixels.

    shift: pixels by which the picture moves at most, each way.
    erased: side in pixels of a square set to black.
    intensity: the picture is multiplied by a number uniform in 1 +- intensity.
    noise: standard deviation of Gaussian noise. At last everything is clamped to [0, 1].

    Input outside [0, 1] raises ValueError on the CPU; on accelerators it is not looked at, as that would stall them.

    >>> HardViews()(torch.rand(4, 1, 8, 8), torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 1, 8, 8])
    """

    stored, bounds = torch.uint8, (0, 1)
    shift: int = 1
    erased: int = 3
    intensity: float = 0.4
    noise: float = 0.15

    def _apply(self, x: Tensor, parameters: HardParameters) -> Tensor:
        """Shift, erase, multiply and disturb the pictures x (N, C, H, W)."""
        row, column, black, gain, noise = parameters
        each = torch.arange(len(x), device=x.device)[:, None, None]
        moved = x.movedim(1, -1)[each, row[:, :, None], column[:, None, :]].movedim(-1, 1)
        return (moved.masked_fill(black[:, None], 0) * gain + noise).clamp(0, 1)

    def _draw(self, x: Tensor, generator: torch.Generator) -> HardParameters:
        count, _, height, width = x.shape
        line, place = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        side = min(round(self.strength * self.erased), height, width)
        reach = round(self.strength * self.shift)

        def below(limit: int) -> Tensor:
            return (uniform(generator, x, count) * limit).long().clamp(max=limit - 1)[:, None]

        row, column = below(2 * reach + 1) - reach + line, below(2 * reach + 1) - reach + place
        top, left = below(height - side + 1), below(width - side + 1)
        erased = ((line >= top) & (line < top + side))[:, :, None] & ((place >= left) & (place < left + side))[:, None]
        outside = ((row < 0) | (row >= height))[:, :, None] | ((column < 0) | (column >= width))[:, None]
        gain = (1 + self.strength * self.intensity * (2 * uniform(generator, x, count, 1, 1, 1) - 1)).clamp(min=0)
        noise = normal(generator, x)
        row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
        return HardParameters(row, column, erased | outside, gain, self.strength * self.noise * noise)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4:
            raise ValueError(f"x must have shape (B, C, H, W), got {tuple(x.shape)}")
