"""Views of videos and volumes: what is drawn for a sample is done to each of its frames or slices alike."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cl_explore.views.images import ImageParameters, ImageViews


@dataclass(frozen=True, kw_only=True)
class VideoViews(ImageViews):
    """Views of videos (B, T, C, H, W) in [0, 1]: those of `ImageViews`, drawn once for all frames of a view.

    >>> VideoViews(crop_area=0.5, flip=0.5)(torch.rand(2, 5, 3, 8, 8), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 2, 5, 3, 8, 8])
    """

    def _apply(self, x: Tensor, parameters: ImageParameters) -> Tensor:
        """Make the views (N, T, C, H, W) of x that the parameters, of N images, describe."""
        return super()._apply(x.flatten(0, 1), _repeated(parameters, x.shape[1])).unflatten(0, x.shape[:2])

    def _draw(self, x: Tensor, generator: torch.Generator) -> ImageParameters:
        return super()._draw(x[:, 0], generator)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 5:
            raise ValueError(f"x must have shape (B, T, C, H, W), got {tuple(x.shape)}")
        super()._check(x.flatten(0, 1))


@dataclass(frozen=True, kw_only=True)
class VolumeViews(VideoViews):
    """Views of volumes (B, C, D, H, W) in [0, 1]: those of `VideoViews`, with each slice of each channel as a frame.

    Crop and flip are in the plane of H and W; noise and intensity are the same in all slices.
    """

    def _apply(self, x: Tensor, parameters: ImageParameters) -> Tensor:
        """Make the views (N, C, D, H, W) of x that the parameters, of N grey images, describe."""
        return super()._apply(_slices(x), parameters).view_as(x)

    def _draw(self, x: Tensor, generator: torch.Generator) -> ImageParameters:
        return super()._draw(_slices(x), generator)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 5:
            raise ValueError(f"x must have shape (B, C, D, H, W), got {tuple(x.shape)}")
        super()._check(_slices(x))


def _slices(x: Tensor) -> Tensor:
    """The volumes as grey videos (B, C * D, 1, H, W)."""
    return x.flatten(1, 2)[:, :, None]


def _repeated(drawn: Any, times: int) -> Any:
    """What was drawn for N images, for each of `times` frames of N videos."""
    if isinstance(drawn, Tensor):
        return drawn.repeat_interleave(times, dim=0)
    return drawn and type(drawn)(*(_repeated(part, times) for part in drawn))
