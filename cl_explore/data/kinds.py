"""The kinds of samples, and for each the small network and the views that are its defaults."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import views
from cl_explore.data.modality import Modality, known
from cl_explore.nn import MLP, BagOfTokens, ConvNet, Pooled, resnet18

LARGE = 28
"""Images of so many pixels a side are large enough for a ResNet and the views of SimCLR."""
TILE = 32
"""Pixels of a side of a thumbnail that is drawn."""


@known
class Vector(Modality):
    """Any numbers (N, F); also the features of the nodes of a graph, whose edges the data set holds."""

    name, axes = "vector", "N, F"

    def encoder(self, x: Tensor) -> nn.Module:
        return MLP([x.shape[1], 128, 64])

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.VectorViews(noise=0.15, dropout=0.0)

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.VectorViews(noise=0.15, dropout=0.1)


@known
class Image(Modality):
    """Pictures (N, C, H, W), bytes or floats in [0, 1]."""

    name, axes, dtypes, bounds = "image", "N, C, H, W", (torch.float32, torch.uint8), (0, 1)

    def encoder(self, x: Tensor) -> nn.Module:
        return resnet18(in_channels=x.shape[1]) if self._large(x) else MLP([x[0].numel(), 128, 64])

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.ImageViews.simclr() if self._large(x) else views.ImageViews.weak()

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.ImageViews.simclr() if self._large(x) else views.HardViews()

    def thumbnails(self, x: Tensor) -> Tensor:
        return _picture(x)

    def _large(self, x: Tensor) -> bool:
        return x.shape[3] >= LARGE


@known
class Series(Modality):
    """Series of C channels and T steps, (N, C, T)."""

    name, axes = "series", "N, C, T"

    def encoder(self, x: Tensor) -> nn.Module:
        return ConvNet(x.shape[1], width=16, depth=3, dims=1)

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.SeriesViews()

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.SeriesViews(crop=0.5, scale=0.4, jitter=0.3, mask=0.2)

    def thumbnails(self, x: Tensor) -> Tensor:
        """Each channel as a line, dark on white, from its sample's smallest number to the largest."""
        line = F.interpolate(x.float(), size=TILE, mode="linear")
        low, high = line.amin((1, 2), keepdim=True), line.amax((1, 2), keepdim=True)
        height = (high - line) / (high - low).clamp(min=1e-12) * (TILE - 1)
        away = (height[:, :, None] - torch.arange(TILE, device=x.device)[:, None]).abs()
        return away.clamp(max=1).amin(dim=1, keepdim=True)


@known
class Waveform(Series):
    """Sound of C channels and T samples, (N, C, T), floats or 16-bit integers that stand for [-1, 1]."""

    name, dtypes, bounds = "waveform", (torch.float32, torch.int16), (-1, 1)

    def encoder(self, x: Tensor) -> nn.Module:
        return ConvNet(x.shape[1], width=8, depth=5, dims=1)

    def thumbnails(self, x: Tensor) -> Tensor:
        """How loud it is over time, dark on white, about the middle."""
        loud = F.adaptive_max_pool1d(x.float().abs(), TILE).amax(dim=1)
        loud = loud / loud.amax(dim=1, keepdim=True).clamp(min=1e-12) * TILE / 2
        return ((torch.arange(TILE, device=x.device) - (TILE - 1) / 2).abs()[:, None] > loud[:, None]).float()[:, None]


@known
class Tokens(Modality):
    """Token numbers (N, L), int64: 0 fills rows up to L, at the end; 1 is the mask; words count from 2."""

    name, axes, dtypes = "tokens", "N, L", (torch.int64,)

    def check(self, x: Tensor, argument: str = "x") -> None:
        super().check(x, argument)
        if x.min() < 0:
            raise ValueError(f"{argument} must be at least 0 (padding) for tokens, got {x.min()}")

    def encoder(self, x: Tensor) -> nn.Module:
        return BagOfTokens(max(int(x.max()), views.MASK) + 1)

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.TokenViews(drop=0.1, mask=0.0)

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.TokenViews(drop=0.3, mask=0.3)


@known
class Points(Modality):
    """Clouds (N, P, D) of P points of D = 2 or 3 coordinates."""

    name, axes = "points", "N, P, D"

    def encoder(self, x: Tensor) -> nn.Module:
        return Pooled(MLP([x.shape[2], 64, 64]), "max")

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.PointViews()

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.PointViews(rotate=3.1, scale=0.3, jitter=0.1)

    def thumbnails(self, x: Tensor) -> Tensor:
        """The first two coordinates, dark on white."""
        flat = x[..., :2].float()
        low, high = flat.amin(dim=(1, 2), keepdim=True), flat.amax(dim=(1, 2), keepdim=True)
        across, down = ((flat - low) / (high - low).clamp(min=1e-12) * (TILE - 1)).round().long().unbind(2)
        picture = x.new_ones(len(x), TILE * TILE, dtype=torch.float32)
        return picture.scatter_(1, (TILE - 1 - down) * TILE + across, 0.0).view(-1, 1, TILE, TILE)


@known
class Video(Modality):
    """Videos (N, T, C, H, W) of T frames, bytes or floats in [0, 1]."""

    name, axes, dtypes, bounds = "video", "N, T, C, H, W", (torch.float32, torch.uint8), (0, 1)

    def encoder(self, x: Tensor) -> nn.Module:
        return Pooled(ConvNet(x.shape[2], width=16))

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.VideoViews.weak()

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.VideoViews(crop_area=0.5, flip=0.5, brightness=0.4, noise=0.1)

    def thumbnails(self, x: Tensor) -> Tensor:
        """The frame in the middle."""
        return _picture(x[:, x.shape[1] // 2])


@known
class Volume(Modality):
    """Volumes (N, C, D, H, W) of D slices, bytes or floats in [0, 1]."""

    name, axes, dtypes, bounds = "volume", "N, C, D, H, W", (torch.float32, torch.uint8), (0, 1)

    def encoder(self, x: Tensor) -> nn.Module:
        return ConvNet(x.shape[1], width=16, dims=3)

    def weak(self, x: Tensor) -> views.Views[Any]:
        return views.VolumeViews.weak()

    def hard(self, x: Tensor) -> views.Views[Any]:
        return views.VolumeViews(crop_area=0.5, flip=0.5, brightness=0.4, noise=0.1)

    def thumbnails(self, x: Tensor) -> Tensor:
        """The slice in the middle."""
        return _picture(x[:, :, x.shape[2] // 2])


def _picture(x: Tensor) -> Tensor:
    """Pictures (N, C, H, W) in colour or grey: the first channel of others."""
    return x if x.shape[1] in (1, 3) else x[:, :1]
