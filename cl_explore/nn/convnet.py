"""A convolutional encoder small enough to train on a laptop."""

from itertools import pairwise

from torch import Tensor, nn


class ConvNet(nn.Module):
    """Convolution blocks of doubling width, each halving the image, then the mean over positions.

    Maps images (N, in_channels, H, W) of any size to (N, out_features) with out_features = width * 2**(depth - 1).

    >>> ConvNet(in_channels=3, width=16).out_features
    64
    """

    def __init__(self, in_channels: int = 1, width: int = 16, depth: int = 3) -> None:
        """width: channels of the first block; depth: number of blocks; ValueError if one of them is below 1."""
        for name, value in (("in_channels", in_channels), ("width", width), ("depth", depth)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        super().__init__()
        channels = [in_channels, *(width * 2**block for block in range(depth))]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_features = channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
