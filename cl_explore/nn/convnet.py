"""A convolutional encoder small enough to train on a laptop, of series, images or volumes."""

from itertools import pairwise
from typing import Annotated

from torch import Tensor, nn

from cl_explore.takes import Count, Range, takes

Depth = Annotated[int, Range(1, 16)]


class ConvNet(nn.Module):
    """Convolution blocks of doubling width, each halving every side, then the mean over positions.

    Maps images (N, in_channels, H, W) of any size to (N, out_features) with out_features = width * 2**(depth - 1);
    with dims=1 series (N, in_channels, T), with dims=3 volumes (N, in_channels, D, H, W).

    >>> ConvNet(in_channels=3, width=16).out_features
    64
    """

    @takes
    def __init__(self, in_channels: Count = 1, width: Count = 16, depth: Depth = 3, dims: int = 2) -> None:
        """width: channels of the first block; depth: number of blocks; dims: sides that a sample has.

        Raises ValueError if one of the first three is below 1, or dims is not 1, 2 or 3.
        """
        if dims not in (1, 2, 3):
            raise ValueError(f"dims must be 1, 2 or 3, got {dims}")
        super().__init__()
        channels = [in_channels, *(width * 2**block for block in range(depth))]
        convolution, norm, mean = (getattr(nn, f"{kind}{dims}d") for kind in ("Conv", "BatchNorm", "AdaptiveAvgPool"))
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                convolution(before, after, 3, stride=2, padding=1, bias=False),
                norm(after),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, mean(1), nn.Flatten())
        self.out_features = channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
