"""The picture of a training run: its loss, and the geometry of its embeddings on the way."""

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from cl_explore import geometry
from cl_explore.plots.style import CLASS_COLOURS, MARKERS, RC, figure
from cl_explore.takes import takes
from cl_explore.train import Run

PANELS = {
    "uniformity": "−uniformity",
    "tolerance": "tolerance",
    "within": "spread within classes",
    "between": "spread between classes",
    "effective_rank": "effective rank",
}
SPACES = {"z": "embedding z", "h": "representation h"}


def measures(snapshots: Tensor, labels: Tensor, steps: Tensor) -> pd.DataFrame:
    """`geometry.summary` of snapshots (S, n, D) with labels (n,), a row each, unlabelled samples left out."""
    known = labels >= 0
    rows = [geometry.summary(snapshot[known], labels[known]) for snapshot in snapshots]
    return pd.DataFrame(rows, index=pd.Index(steps.tolist(), name="step"))


@takes
@mpl.rc_context(RC)
def training(run: Run) -> Figure:
    """The loss of a run over its steps, and five measures of its snapshots, before and after the projection head.

    Raises ValueError if the run has no snapshots, or its snapshots fewer than 2 classes.
    """
    if not len(run.snapshots.steps):
        raise ValueError("run must have snapshots: train with fit(..., snapshots=12)")
    fig = figure(columns=3, rows=2, height=5.2)
    loss, *others = fig.axes
    loss.plot(run.history["step"], run.history["loss"], color="#b8b8b8", linewidth=0.8)
    smooth = run.history["loss"].rolling(max(len(run.history) // 25, 1), center=True, min_periods=1).mean()
    loss.plot(run.history["step"], smooth, color="black")
    loss.set_title("loss (thin: single steps)")
    for place, (space, name) in enumerate(SPACES.items()):
        table = measures(getattr(run.snapshots, space), run.snapshots.labels, run.snapshots.steps)
        table["uniformity"] *= -1
        for ax, (measure, title) in zip(others, PANELS.items(), strict=True):
            look: dict[str, Any] = {"color": CLASS_COLOURS[place], "marker": MARKERS[place], "markersize": 4}
            ax.plot(table.index, table[measure], label=name, linestyle=("-", "--")[place], **look)
            ax.set_title(title)
    for ax in fig.axes:
        ax.title.set_fontsize(10)
        ax.locator_params(nbins=5)
    for ax in fig.axes[3:]:
        ax.set_xlabel("step")
    fig.legend(*others[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
