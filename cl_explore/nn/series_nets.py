"""Encoders of series: convolutions that end in one vector, and dilated ones that keep every step of time."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.takes import Count, Range, Share, takes


class SeriesNet(nn.Module):
    """Convolutions over time, each with ReLU, then the largest value or the mean of each channel over what is left.

    Maps series (N, in_channels, T) of any length to (N, out_features); "both" gives the largest values, then the means.

    >>> SeriesNet(6, [32, 64, 96], [24, 16, 8])(torch.randn(4, 6, 150)).shape
    torch.Size([4, 96])
    """

    @takes
    def __init__(
        self,
        in_channels: Count = 1,
        channels: Sequence[Count] = (16, 32, 48),
        kernels: Sequence[Count] = (9, 7, 5),
        strides: Sequence[Count] = (1, 1, 1),
        *,
        batch_norm: bool = False,
        dropout: Share = 0.0,
        pool: Literal["max", "mean", "both"] = "max",
    ) -> None:
        """channels, kernels, strides: of each layer; dropout follows each.

        Raises ValueError unless the three are equally long.
        """
        if not 0 < len(channels) == len(kernels) == len(strides):
            lengths = ", ".join(map(str, map(len, (channels, kernels, strides))))
            raise ValueError(f"channels, kernels and strides must have one number for each layer, got {lengths}")
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, kernel, stride in zip((in_channels, *channels), channels, kernels, strides, strict=False):
            layers.append(nn.Conv1d(before, after, kernel, stride, padding=kernel // 2, bias=not batch_norm))
            layers += [nn.BatchNorm1d(after)] * batch_norm + [nn.ReLU()] + [nn.Dropout(dropout)] * (dropout > 0)
        self.layers, self.pool = nn.Sequential(*layers), pool
        self.out_features = channels[-1] * (1 + (pool == "both"))

    def forward(self, x: Tensor) -> Tensor:
        steps = self.layers(x)
        ways = {"max": steps.amax, "mean": steps.mean}
        return torch.cat([way(2) for name, way in ways.items() if self.pool in (name, "both")], 1)

    def extra_repr(self) -> str:
        return f"pool={self.pool!r}"


class DilatedNet(nn.Module):
    """A code of every step: residual blocks of two convolutions each, the next block dilated twice as far.

    Maps series (N, in_channels, T) to codes (N, T, out_features). As in TS2Vec (Yue et al. 2021, 2106.10466) a linear
    layer comes first, after which `hidden` steps (N, T), bool, are set to 0, and dropout last.

    >>> DilatedNet(2, out_features=8)(torch.randn(4, 2, 50)).shape
    torch.Size([4, 50, 8])
    """

    @takes
    def __init__(
        self,
        in_channels: Count = 1,
        width: Count = 16,
        depth: Annotated[int, Range(1, 16)] = 3,
        out_features: Count = 16,
        dropout: Share = 0.1,
    ) -> None:
        """width: channels of all blocks but the last, which gives `out_features`; depth: blocks."""
        super().__init__()
        self.first, self.out_features = nn.Linear(in_channels, width), out_features
        ends = [width] * depth + [out_features]
        self.blocks = nn.Sequential(*(_Block(ends[i], ends[i + 1], 2**i) for i in range(depth)))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        steps = self.first(x.transpose(1, 2))
        if hidden is not None:
            steps = steps.masked_fill(hidden[..., None], 0)
        return self.dropout(self.blocks(steps.transpose(1, 2)).transpose(1, 2))


class _Block(nn.Module):
    def __init__(self, before: int, after: int, dilation: int) -> None:
        super().__init__()
        self.shortcut = nn.Identity() if before == after else nn.Conv1d(before, after, 1)
        self.one, self.two = (
            nn.Conv1d(start, after, 3, padding=dilation, dilation=dilation) for start in (before, after)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.two(F.gelu(self.one(F.gelu(x))))
