"""Residual networks (He et al., 1512.03385) with the stem used for 32x32 images."""

from collections.abc import Sequence

from torch import Tensor, nn

from cl_explore.takes import Count, takes


def _conv_norm(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(after)]


class Residual(nn.Module):
    """ReLU(body(x) + shortcut(x)); the shortcut is a 1x1 convolution where the shape changes, else the identity.

    The body is two 3x3 convolutions, or with bottleneck=True 1x1, 3x3 (which carries the stride), 1x1 to four times
    the channels. Maps (N, before, H, W) to (N, after, H/stride, W/stride), where after = channels or 4 * channels.
    """

    def __init__(self, before: int, channels: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        after = 4 * channels if bottleneck else channels
        if bottleneck:
            body = [
                *_conv_norm(before, channels, 1),
                nn.ReLU(inplace=True),
                *_conv_norm(channels, channels, 3, stride),
                nn.ReLU(inplace=True),
                *_conv_norm(channels, after, 1),
            ]
        else:
            body = [*_conv_norm(before, channels, 3, stride), nn.ReLU(inplace=True), *_conv_norm(channels, after, 3)]
        self.body = nn.Sequential(*body)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv_norm(before, after, 1, stride))
        # each block starts as its shortcut, which lets deep networks train with large steps (1706.02677, section 5.1)
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.shortcut(x)).relu_()


class ResNet(nn.Module):
    """A 3x3 stem without max-pool, four stages of residual blocks, then the mean over positions.

    Maps images (N, in_channels, H, W) to (N, out_features). No classifier: the representation is the output.
    """

    @takes
    def __init__(self, blocks: Sequence[Count], bottleneck: bool, in_channels: Count = 3, width: Count = 64) -> None:
        """blocks: number of blocks in each stage; width: channels of the stem and of the first stage."""
        super().__init__()
        if not 1 <= len(blocks) <= 8:
            raise ValueError(f"blocks must name the blocks of 1 to 8 stages, got {len(blocks)} stages")
        layers: list[nn.Module] = [*_conv_norm(in_channels, width, 3), nn.ReLU(inplace=True)]
        expansion, before = (4 if bottleneck else 1), width
        for stage, count in enumerate(blocks):
            channels = width * 2**stage
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(Residual(before, channels, stride, bottleneck))
                before = channels * expansion
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_features = before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@takes
def resnet18(in_channels: Count = 3, width: Count = 64) -> ResNet:
    """ResNet-18 for small images: 11,168,832 parameters and out_features 512 at the default width."""
    return ResNet([2, 2, 2, 2], bottleneck=False, in_channels=in_channels, width=width)


@takes
def resnet50(in_channels: Count = 3, width: Count = 64) -> ResNet:
    """ResNet-50 for small images: 23,500,352 parameters and out_features 2048 at the default width."""
    return ResNet([3, 4, 6, 3], bottleneck=True, in_channels=in_channels, width=width)
