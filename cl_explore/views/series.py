"""Views of series and waveforms: crop, scale, jitter and mask, each drawn for every view by itself."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.views.base import Views, normal, uniform


class SeriesParameters(NamedTuple):
    """What was drawn for series (N, C, T).

    window: (N, 2), start and length of the crop as shares of the series; None if it is switched off.
    gain, noise: (N, C, 1) to multiply each channel by, and (N, C, T) to add.
    masked: (N, T) bool, the stretch that is set to 0.
    """

    window: Tensor | None
    gain: Tensor
    noise: Tensor
    masked: Tensor


def read_at(x: Tensor, place: Tensor) -> Tensor:
    """Series (N, C, T) at the places (N, T) from 0 to T - 1, between two steps along a line."""
    last = x.shape[2] - 1
    before = place.long().clamp(max=last)
    after = (before + 1).clamp(max=last)
    left, right = (x.gather(2, rows[:, None].expand_as(x)) for rows in (before, after))
    return left.lerp(right, (place - before)[:, None].to(x.dtype))


@dataclass(frozen=True, kw_only=True)
class SeriesViews(Views[SeriesParameters]):
    """Views of series (B, C, T), or of 16-bit sound, in this order.

    crop: most of the length that is cut away, below 1; what is left is stretched to T again (linear).
    scale: each channel is multiplied by a number uniform in 1 +- scale.
    jitter: standard deviation of Gaussian noise, in those of the sample's channel.
    mask: share of the length that is set to 0, as one stretch.

    >>> augment = SeriesViews(crop=0.5, mask=0.1)
    >>> augment(torch.randn(4, 3, 100), torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 3, 100])
    """

    stored = torch.int16
    crop: float = 0.0
    scale: float = 0.1
    jitter: float = 0.1
    mask: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop >= 1 or self.mask > 1:
            raise ValueError(f"crop must be below 1 and mask at most 1, got {self.crop} and {self.mask}")

    def _apply(self, x: Tensor, parameters: SeriesParameters) -> Tensor:
        """Make the views (N, C, T) of x that the parameters describe."""
        window, gain, noise, masked = parameters
        if window is not None:
            last = x.shape[2] - 1
            start, length = window[:, :1], window[:, 1:]
            x = read_at(x, last * (start + length * torch.linspace(0, 1, last + 1, device=x.device, dtype=x.dtype)))
        return (x * gain + noise).masked_fill(masked[:, None], 0)

    def _draw(self, x: Tensor, generator: torch.Generator) -> SeriesParameters:
        count, channels, length = x.shape
        drawn = uniform(generator, x, count, 3 + channels)
        shortest = (1 - self.crop) ** self.strength
        share = shortest + (1 - shortest) * drawn[:, 0]
        window = torch.stack([drawn[:, 1] * (1 - share), share], dim=1)
        gain = 1 + self.strength * self.scale * (2 * drawn[:, 3:, None] - 1)
        noise = self.strength * self.jitter * x.std(dim=2, correction=0, keepdim=True) * normal(generator, x)
        hidden = round(min(self.strength * self.mask, 1) * length)
        after = torch.arange(length, device=x.device) - (drawn[:, 2:3] * (length - hidden + 1)).long()
        masked = (after >= 0) & (after < hidden)
        return SeriesParameters(window if shortest < 1 else None, gain, noise, masked)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3:
            raise ValueError(f"x must have shape (B, C, T), got {tuple(x.shape)}")
