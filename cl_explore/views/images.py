"""Views of images: crop, flip, colour, blur and noise, each drawn for every view by itself."""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.views.base import Views, normal, uniform


class Colour(NamedTuple):
    """Colour steps drawn for N images, each (N,): factors (1 = unchanged), hue in turns, grey as bool."""

    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    grey: Tensor


class ImageParameters(NamedTuple):
    """What was drawn for images (N, C, H, W); None for a step that is switched off.

    box: (N, 4), left, top, right and bottom of the crop as fractions of the image.
    flip: (N,) bool, mirrored left to right.
    blur: (N,) standard deviation of the blur in pixels, 0 = none.
    noise: (N, C, H, W), to be added.
    """

    box: Tensor | None = None
    flip: Tensor | None = None
    colour: Colour | None = None
    blur: Tensor | None = None
    noise: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class ImageViews(Views[ImageParameters]):
    """Views of images (B, C, H, W) in [0, 1] or bytes, C = 1 or 3; a step whose setting is left at its default is off.

    The steps, in this order (SimCLR: Chen et al. 2020, 2002.05709, appendix A):
    crop_area, crop_ratio: a box of at least this share of the area, uniform up to 1, and of an aspect ratio between
        1/crop_ratio and crop_ratio, log-uniform, as far as it fits; resized to the image's size (bilinear).
    flip: probability of a left-right flip.
    jitter, brightness, contrast, saturation, hue: with probability `jitter` all four, factors uniform in 1 +- the
        setting, hue turned by up to this share of the circle (a YIQ rotation); one channel has no saturation or hue.
    grey: probability of dropping all colour.
    blur, blur_probability: a 3x3 Gaussian of standard deviation up to `blur` pixels.
    noise: standard deviation of Gaussian noise. At last everything is clamped to [0, 1].

    Input outside [0, 1] raises ValueError on the CPU; on accelerators it is not looked at, as that would stall them.

    >>> augment = ImageViews.simclr(strength=0.5)
    >>> augment(torch.rand(4, 3, 32, 32), torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 3, 32, 32])
    """

    stored, bounds = torch.uint8, (0, 1)
    crop_area: float = 1.0
    crop_ratio: float = 1.0
    flip: float = 0.0
    jitter: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    blur_probability: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.crop_area <= 1:
            raise ValueError(f"crop_area must be in (0, 1], got {self.crop_area}")
        if self.crop_ratio < 1:
            raise ValueError(f"crop_ratio must be at least 1, got {self.crop_ratio}")
        for name in ("flip", "jitter", "grey", "blur_probability"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} is a probability and must be at most 1, got {getattr(self, name)}")

    @classmethod
    def weak(cls, strength: float = 1.0) -> Self:
        """Intensity +-10 % and noise .1: weak enough for images of 8x8 pixels at small temperatures."""
        return cls(brightness=0.1, noise=0.1, strength=strength)

    @classmethod
    def simclr(cls, strength: float = 1.0) -> Self:
        """The views of SimCLR as used for images of 32x32 pixels, with a 3x3 blur."""
        return cls(
            crop_area=0.2, crop_ratio=4 / 3, flip=0.5,
            jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2,
            blur=2.0, blur_probability=0.5, strength=strength,
        )  # fmt: skip

    def _apply(self, x: Tensor, parameters: ImageParameters) -> Tensor:
        """Make the views (N, C, H, W) of x that the parameters describe; these alone decide, not the settings."""
        box, flip, colour, blur, noise = parameters
        if box is not None:
            x = _crop(x, box, flip)
        elif flip is not None:
            x = torch.where(flip[:, None, None, None], x.flip(-1), x)
        if colour is not None:
            x = _recolour(x, colour)
        if blur is not None:
            x = _blur(x, blur)
        if noise is not None:
            x = x + noise
        return x.clamp(0, 1)

    def _draw(self, x: Tensor, generator: torch.Generator) -> ImageParameters:
        # all are drawn, used or not, so that switching one step off leaves the draws of the others as they were
        drawn = uniform(generator, x, 13, len(x))
        area, ratio, left, top, flip, jitter, brightness, contrast, saturation, hue, grey, blurred, blur = drawn
        size, chance = self.strength, min(self.strength, 1.0)
        parameters = ImageParameters()
        if size * (1 - self.crop_area) > 0:
            parameters = parameters._replace(box=self._box(area, ratio, left, top))
        if chance * self.flip > 0:
            parameters = parameters._replace(flip=flip < chance * self.flip)
        if size * max(self.brightness, self.contrast, self.saturation, self.hue, self.grey) > 0:
            amount = size * (jitter < chance * self.jitter).to(x)
            colour = Colour(
                brightness=(1 + amount * self.brightness * (2 * brightness - 1)).clamp(min=0),
                contrast=(1 + amount * self.contrast * (2 * contrast - 1)).clamp(min=0),
                saturation=(1 + amount * self.saturation * (2 * saturation - 1)).clamp(min=0),
                hue=amount * self.hue * (2 * hue - 1),
                grey=grey < chance * self.grey,
            )
            parameters = parameters._replace(colour=colour)
        if size * self.blur * self.blur_probability > 0:
            sigma = torch.where(blurred < chance * self.blur_probability, size * self.blur * blur, 0)
            parameters = parameters._replace(blur=sigma)
        if size * self.noise > 0:
            parameters = parameters._replace(noise=size * self.noise * normal(generator, x))
        return parameters

    def _box(self, area: Tensor, ratio: Tensor, left: Tensor, top: Tensor) -> Tensor:
        """Boxes (N, 4) from uniform numbers (N,); strength is an exponent here, so that any of it leaves a box."""
        smallest = self.crop_area**self.strength
        area = smallest + (1 - smallest) * area
        # half the logarithm of the aspect ratio, limited where the box would not fit into the image
        fits = -0.5 * area.log()
        stretch = (self.strength * math.log(self.crop_ratio) * (ratio - 0.5)).clamp(-fits, fits)
        width, height = ((area.sqrt() * way.exp()).clamp(max=1) for way in (stretch, -stretch))
        left, top = left * (1 - width), top * (1 - height)
        return torch.stack([left, top, left + width, top + height], dim=1)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] not in (1, 3) or x.numel() == 0:
            raise ValueError(f"x must have shape (B, 1, H, W) or (B, 3, H, W) with B >= 1, got {tuple(x.shape)}")


def _crop(x: Tensor, box: Tensor, flip: Tensor | None) -> Tensor:
    """The boxes (N, 4) of the images, resized to the images' size: crop and flip are one sampling grid."""
    left, top, right, bottom = (2 * box - 1)[:, :, None].unbind(1)  # grid_sample's image spans [-1, 1]
    if flip is not None:
        left, right = torch.where(flip[:, None], right, left), torch.where(flip[:, None], left, right)
    height, width = x.shape[2:]
    grid = x.new_empty(len(x), height, width, 2)
    grid[..., 0] = torch.lerp(left, right, _centres(width, x))[:, None, :]
    grid[..., 1] = torch.lerp(top, bottom, _centres(height, x))[:, :, None]
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _centres(pixels: int, x: Tensor) -> Tensor:
    """Where the centres of a row of pixels lie in it, from 0 to 1: (pixels,), like x in device and type."""
    return (torch.arange(pixels, device=x.device, dtype=x.dtype) + 0.5) / pixels


def _recolour(x: Tensor, colour: Colour) -> Tensor:
    """Brightness, contrast about the image's mean grey, then hue, saturation and grey, as one affine map of colours."""
    brightness, contrast, saturation, hue, grey = colour
    if x.shape[1] == 1:
        mean, mix = x.mean(dim=(1, 2, 3)), x.new_ones(len(x), 1, 1)
    else:
        grey_part, colour_part, quarter_turn = _colour_maps(x.device, x.dtype)
        mean = x.mean(dim=(2, 3)) @ grey_part[0]
        chroma = torch.where(grey, 0, saturation)[:, None, None]
        angle = 2 * math.pi * hue[:, None, None]
        mix = grey_part + chroma * (angle.cos() * colour_part + angle.sin() * quarter_turn)
    # grey stays grey under mix, so that contrast can be taken before or after it
    mix = (brightness * contrast)[:, None, None] * mix
    offset = (brightness * (1 - contrast) * mean)[:, None, None]
    return torch.bmm(mix, x.flatten(2)).add_(offset).view_as(x)


@cache
def _colour_maps(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices (3, 3) on RGB: to the grey part, to the rest, and to the rest with its hue turned by a quarter."""
    luma = [0.299, 0.587, 0.114]
    yiq = np.array([luma, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    turn = np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]])
    grey, quarter_turn = np.array([luma] * 3), np.linalg.inv(yiq) @ turn @ yiq
    maps = (torch.from_numpy(part).to(device, dtype) for part in (grey, np.eye(3) - grey, quarter_turn))
    return next(maps), next(maps), next(maps)


def _blur(x: Tensor, sigma: Tensor) -> Tensor:
    """A 3x3 Gaussian of standard deviation sigma (N,) pixels, by sums of shifted images; the border is repeated."""
    neighbour = torch.exp(-0.5 / sigma.square())
    weight = (neighbour / (1 + 2 * neighbour))[:, None, None, None]
    for dim in (3, 2):
        last = x.shape[dim] - 1
        around = torch.empty_like(x)  # the sum of both neighbours, in place: new memory would cost more than the sums
        around.narrow(dim, 1, last).copy_(x.narrow(dim, 0, last))
        around.narrow(dim, 0, 1).copy_(x.narrow(dim, 0, 1))
        around.narrow(dim, 0, last).add_(x.narrow(dim, 1, last))
        around.narrow(dim, last, 1).add_(x.narrow(dim, last, 1))
        x = around.sub_(x, alpha=2).mul_(weight).add_(x)
    return x
