"""Two clips of a video as CVRL draws them: seldom far apart, and each augmented as a whole.

The loss is NT-Xent. The authors' code returns the sum of its two directions, twice that mean.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from cl_explore.nn import ConvNet
from cl_explore.takes import Count, Positive, Share, settle, takes
from cl_explore.views import ImageViews, VideoViews
from cl_explore.views.base import uniform
from cl_explore.views.images import ImageParameters

Interval = Literal["decreasing", "uniform", "increasing", "zero"]


@takes
def cdf(share: Tensor, interval: Interval = "decreasing", power: Positive = 1.0) -> Tensor:
    """The chance that two clips begin no farther apart than this share of the largest distance M.

    share: numbers from 0 to 1, t / M
    interval, power: see `quantile`
    Source: `sample_ssl_sequence` of the authors' code: F(t) = -(t/M)^(p+1) / p + (t/M) (p+1) / p
    """
    if interval == "zero":
        return torch.ones_like(share)
    if interval == "uniform":
        return share
    if interval == "increasing":
        return 1 - cdf(1 - share, "decreasing", power)
    return ((power + 1) * share - share ** (power + 1)) / power


@takes
def density(share: Tensor, interval: Interval = "decreasing", power: Positive = 1.0) -> Tensor:
    """The derivative of `cdf`, M f(t): (p+1)/p (1 - (t/M)^p) where near clips are preferred.

    Raises: ValueError for the interval "zero", which has none
    """
    if interval == "zero":
        raise ValueError("interval 'zero' has no density: all clips begin together")
    if interval == "uniform":
        return torch.ones_like(share)
    far = share if interval == "decreasing" else 1 - share
    return (power + 1) / power * (1 - far**power)


@takes
def quantile(u: Tensor, interval: Interval = "decreasing", power: Positive = 1.0) -> Tensor:
    """How far apart two clips begin, as a share of the largest distance, for uniform numbers u.

    u: numbers from 0 to 1
    interval: "decreasing", near clips are preferred, the more the smaller `power` is: at 1 their density falls to 0 on
        a straight line, and without end it is "uniform"; "increasing" prefers far ones in its mirror image; "zero" is
        one moment twice
    Note: the inverse of `cdf`, by bisection; for power 1 it is 1 - sqrt(1 - u).
    """
    if interval == "zero":
        return torch.zeros_like(u)
    if interval == "uniform":
        return u
    if interval == "increasing":
        return 1 - quantile(1 - u, "decreasing", power)
    low, high = torch.zeros_like(u), torch.ones_like(u)
    for _ in range(54):  # as many as the digits of a double
        middle = (low + high) / 2
        above = cdf(middle, "decreasing", power) > u
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return low


@dataclass(frozen=True, kw_only=True)
class ClipViews(VideoViews):
    """Views of clips (B, T, C, H, W): what `VideoViews` draws once, for a share of the frames only.

    shared: the chance of each frame to be changed as its clip is; others are changed as a picture of their own would
        be. 1 is CVRL, 0 is SimCLR frame by frame.
    Note: colour steps have one fixed order, where the authors shuffle them, for the clip as a whole.
    """

    shared: Share = 1.0

    def _apply(self, x: Tensor, parameters: ImageParameters) -> Tensor:
        """Make the views of x that the parameters, of N * T frames, describe."""
        return ImageViews._apply(self, x.flatten(0, 1), parameters).unflatten(0, x.shape[:2])

    def _draw(self, x: Tensor, generator: Generator) -> ImageParameters:
        clips, frames = super()._draw(x, generator), ImageViews._draw(self, x.flatten(0, 1), generator)
        return _either(uniform(generator, x, len(x) * x.shape[1]) < self.shared, clips, frames)


def _either(together: Tensor, clips: Any, frames: Any) -> Any:
    """What is done to each frame: what was drawn for its clip where `together` (N * T,) says so, else its own."""
    if isinstance(frames, Tensor):
        of_clip = clips.repeat_interleave(len(frames) // len(clips), 0)
        return of_clip.where(together.view(-1, *[1] * (frames.ndim - 1)), frames)
    return frames and type(frames)(*(_either(together, *parts) for parts in zip(clips, frames, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Two clips of each video (B, T, C, H, W), in random order: views (B, 2, frames, C, H, W).

    frames, stride: of a clip, and from one of its frames to the next.
    interval, power: how far apart they begin, see `quantile`, rounded down to a frame.
    first, second: how each is augmented; solarise: the chance of the second clip to have all above .5 inverted.
    """

    frames: Count = 6
    stride: Count = 1
    interval: Interval = "decreasing"
    power: Positive = 1.0
    first: ClipViews = field(default_factory=ClipViews)
    second: ClipViews = field(default_factory=ClipViews)
    solarise: Share = 0.0

    def __post_init__(self) -> None:
        settle(self)

    def starts(self, videos: int, length: int, generator: Generator) -> Tensor:
        """Where the clips of videos of `length` frames begin: (videos, 2), int64.

        Raises: ValueError for videos shorter than a clip (the authors' code repeats them)
        """
        room = length - (self.frames - 1) * self.stride
        if room < 1:
            raise ValueError(f"x must be videos of {length - room + 1} frames or more, as a clip is, got {length}")
        far, first, order = torch.rand(3, videos, generator=generator, device=generator.device, dtype=torch.float64)
        gap = (room * quantile(far, self.interval, self.power)).long().clamp(max=room - 1)
        begin = (first * (room - gap)).long()
        later = torch.stack([begin, begin + gap], 1)
        return torch.where((order < 0.5)[:, None], later, later.flip(1))

    def __call__(self, x: Tensor, generator: Generator, n_views: int = 2) -> Tensor:
        """Both clips of each video; ValueError for another number of views."""
        if n_views != 2:
            raise ValueError(f"n_views must be 2, for CVRL compares two clips of a video, got {n_views}")
        starts = self.starts(len(x), x.shape[1], generator).to(x.device)
        steps = self.stride * torch.arange(self.frames, device=x.device)
        one, two = x[torch.arange(len(x), device=x.device)[:, None, None], starts[..., None] + steps].unbind(1)
        views = torch.cat([self.first(one, generator, 1), self.second(two, generator, 1)], 1)
        if self.solarise:
            inverted = uniform(generator, views, len(x)) < self.solarise
            last = views[:, 1]
            views[:, 1] = torch.where(inverted.view(-1, 1, 1, 1, 1) & (last >= 0.5), 1 - last, last)
        return views

    @classmethod
    def paper(cls) -> "Clips":
        """Those of the authors: 16 frames, every other one, the first always blurred, the second seldom.

        Note: the blur is one of 3x3 pixels here, where the authors' grows with the picture.
        """
        common: dict[str, Any] = {
            "crop_area": 0.3, "crop_ratio": 2.0, "flip": 0.5, "jitter": 0.8, "brightness": 0.8, "contrast": 0.8,
            "saturation": 0.8, "hue": 0.2, "grey": 0.2, "blur": 2.0,
        }  # fmt: skip
        first, second = (ClipViews(**common, blur_probability=chance) for chance in (1.0, 0.1))
        return cls(frames=16, stride=2, first=first, second=second, solarise=0.2)


class FilmNet(nn.Module):
    """Convolutions over time, height and width: videos (N, T, C, H, W) to (N, out_features)."""

    @takes
    def __init__(self, in_channels: Count = 3, width: Count = 12) -> None:
        """width: channels of the first of three blocks, each of which halves time, height and width."""
        super().__init__()
        self.layers = ConvNet(in_channels, width, dims=3)
        self.out_features = self.layers.out_features

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.transpose(1, 2))
