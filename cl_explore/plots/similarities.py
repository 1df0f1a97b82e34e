"""Pictures of pairs: how alike positives and negatives are, and which negatives a temperature listens to."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cl_explore.given import Array, classes, floats
from cl_explore.plots.style import CLASS_COLOURS, MARKERS, RC, figure
from cl_explore.takes import Positive, takes

POSITIVE, NEGATIVE = CLASS_COLOURS[0], CLASS_COLOURS[1]
MOST_ROWS = 2000  # of a similarity matrix: 4 million pairs draw the same curve as more


@takes
@mpl.rc_context(RC)
def similarity_histogram(z: Array, labels: Array | None = None, *, title: str = "") -> Figure:
    """Cosine similarities of positive and of negative pairs, each as a density, with their means.

    Without labels, z must be (B, V, D) and the views of one sample are each other's positives; with labels (B,), z may
    be (B, V, D) or (B, D), and samples of one class are positives. Of more than 2,000 embeddings, 2,000 spread evenly
    over the samples are compared. Raises ValueError if there are no positives or no negatives or for wrong shapes,
    TypeError for wrong dtypes.
    """
    z = floats(z, "z", finite=True).detach()
    if z.ndim not in (2, 3) or (z.ndim == 2 and labels is None):
        raise ValueError(f"z must be (B, V, D), or (B, D) with labels, got shape {tuple(z.shape)}")
    z = z[:, None] if z.ndim == 2 else z
    if labels is None:
        group = torch.arange(len(z), device="cpu")
    else:
        (group,), _ = classes({"labels": labels}, {"z": len(z)})
    most = max(MOST_ROWS // z.shape[1], 1)
    chosen = torch.linspace(0, len(z) - 1, min(most, len(z))).round().long()
    group = group.cpu()[chosen].repeat_interleave(z.shape[1])
    unit = F.normalize(z[chosen.to(z.device)].flatten(0, 1), dim=1).cpu()
    upper = torch.ones(len(unit), len(unit), dtype=torch.bool).triu(1)
    similarity = (unit @ unit.T)[upper].numpy()
    positive = (group[:, None] == group)[upper].numpy()
    if positive.all() or not positive.any():
        raise ValueError(f"z must have positive and negative pairs, got {positive.sum()} of {len(positive)} positive")
    fig = figure(height=3.6)
    (ax,) = fig.axes
    bins = np.linspace(max(-1.0, float(similarity.min()) - 0.02), 1.0, 80).tolist()
    for values, colour, hatch, name in (
        (similarity[positive], POSITIVE, "", "positives"),
        (similarity[~positive], NEGATIVE, "////", "negatives"),
    ):
        mean = float(values.mean())
        ax.hist(
            values, bins, density=True, histtype="stepfilled", facecolor=(colour, 0.25), edgecolor=colour, hatch=hatch,
            label=f"{name}: {len(values):,} pairs, mean {mean:z.2f}",
        )  # fmt: skip
        ax.axvline(mean, color=colour, linestyle="--" if hatch else "-")
    ax.set(xlabel="cosine similarity", ylabel="density of pairs", title=title, yticks=[])
    ax.legend(loc="upper left")
    return fig


@takes
@mpl.rc_context(RC)
def negative_weights(similarity: Array, temperatures: Sequence[Positive] = (0.07, 0.2, 0.5, 1.0)) -> Figure:
    """How a softmax with different temperatures shares one anchor's gradient among its negatives.

    similarity: (M,) cosines between the anchor and its M negatives. Left, each negative's weight
    exp(s/τ) / Σ exp(s/τ), in multiples of an equal share; right, how much of the whole the hardest negatives hold. The
    legend gives exp(entropy), the number of negatives that count. Raises ValueError for another shape, M < 2 or a
    temperature that is not positive, TypeError unless similarities are floating point. Source: Wang & Liu 2021
    (2012.09740), Eq. 5.
    """
    s = floats(similarity, "similarity", finite=True).detach().cpu().double()
    if s.ndim != 1 or len(s) < 2:
        raise ValueError(f"similarity must be (M,) with at least 2 negatives, got shape {tuple(s.shape)}")
    if not temperatures:
        raise ValueError("temperatures must be positive and at least one, got none")
    s = s.sort(descending=True).values
    fig = figure(columns=2, height=4.4)
    left, right = fig.axes
    share = np.arange(1, len(s) + 1) / len(s)
    for place, temperature in enumerate(temperatures):
        weight = torch.softmax(s / temperature, 0)
        count = torch.special.entr(weight).sum().exp()
        colour, marker = CLASS_COLOURS[place % len(CLASS_COLOURS)], MARKERS[place % len(MARKERS)]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markevery": max(len(s) // 12, 1), "markersize": 5}
        left.plot(s, weight * len(s), label=f"τ = {temperature:g}: {count:.1f} of {len(s)} count", **look)
        right.plot(share, weight.cumsum(0), **look)
    left.axhline(1, color="#555555", linewidth=0.8, linestyle=":")
    left.set(yscale="log", ylim=(1e-3, None), xlabel="cosine similarity to the anchor")
    left.set(title="weight of a negative (1 = equal share)")
    right.plot((0, 1), (0, 1), color="#555555", linewidth=0.8, linestyle=":")
    right.set(xlabel="hardest negatives", title="their part of the push", ylim=(0, 1.02))
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
