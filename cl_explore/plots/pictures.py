"""Small pictures side by side."""

from collections.abc import Sequence

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cl_explore.plots.style import RC, figure
from cl_explore.takes import takes


@mpl.rc_context(RC)
@takes
def pictures(images: Tensor, *, columns: Sequence[str] = (), rows: Sequence[str] = ()) -> Figure:
    """A grid of pictures.

    images: (R, C, K, h, w) with K = 1 or 3, bytes or in [0, 1]; what lies outside is cut off
    columns, rows: a word above each column and before each row, or none
    Raises: ValueError for another shape or another number of words
    """
    if images.is_meta or images.layout != torch.strided or images.is_complex() or images.dtype == torch.bool:
        raise TypeError(f"images must be dense, of bytes or floating point, got {images.dtype} on {images.device}")
    if images.ndim != 5 or images.numel() == 0 or images.shape[2] not in (1, 3):
        raise ValueError(f"images must be (R, C, 1 or 3, h, w), got {tuple(images.shape)}")
    down, across = images.shape[:2]
    for name, words, count in (("columns", columns, across), ("rows", rows, down)):
        if len(words) not in (0, count):
            raise ValueError(f"{name} must hold {count} words or none, got {len(words)}")
    shown = images / 255 if not images.is_floating_point() else images.clamp(0, 1)
    fig = figure("full", rows=down, columns=across, height=9.2 / across * down + 0.3)
    for axes, picture in zip(fig.axes, shown.flatten(0, 1).permute(0, 2, 3, 1), strict=True):
        axes.imshow(picture.squeeze(2), cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    for axes, word in zip(fig.axes, columns, strict=False):
        axes.set_title(word, fontsize=9)
    for axes, word in zip(fig.axes[::across], rows, strict=False):
        axes.set_ylabel(word, fontsize=9)
    return fig
