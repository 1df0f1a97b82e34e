"""The two pictures that studies draw, a dot for each seed and a curve over a setting, and their files."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from cl_explore.plots.style import CLASS_COLOURS, MARKERS, RC, figure


@mpl.rc_context(RC)
def dots(rows: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """A panel for each metric, a line for each method: a dot for each seed and a bar at their mean.

    rows: one for each seed and method; a method without the metric has no dots in its panel.
    """
    methods = list(dict.fromkeys(rows["method"]))
    fig = figure(columns=len(metrics), height=1.1 + 0.34 * len(methods))
    for number, (ax, metric) in enumerate(zip(fig.axes, metrics, strict=True)):
        for place, method in enumerate(methods):
            values = rows.loc[rows["method"] == method, metric].dropna()
            ax.plot(values, [place] * len(values), "o", color=CLASS_COLOURS[0], alpha=0.45, markersize=6, mew=0)
            ax.plot(values.mean(), place, "|", color="black", markersize=15, mew=1.6)
        ax.set_yticks(range(len(methods)), methods if number == 0 else [""] * len(methods))
        ax.set_ylim(len(methods) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=4)
        ax.set_title(metric)
    return fig


@mpl.rc_context(RC)
def curves(rows: pd.DataFrame, metrics: Sequence[str], *, over: str, by: str, log: bool = False) -> Figure:
    """A panel for each metric, drawn over the column `over`; a curve through the means of each value of `by`.

    rows: one for each seed and method; those without a number in `over` are left out, those that stand alone in their
    `by` are a single mark. Faint marks are the seeds.
    """
    rows = rows.dropna(subset=[over])
    fig = figure(columns=len(metrics), height=3.4)
    for ax, metric in zip(fig.axes, metrics, strict=True):
        for place, (name, group) in enumerate(rows.groupby(by, sort=False)):
            colour, marker = CLASS_COLOURS[place], MARKERS[place]
            mean = group.groupby(over)[metric].mean()
            ax.plot(group[over], group[metric], marker, color=colour, alpha=0.35, markersize=5, mew=0)
            ax.plot(mean.index, mean, color=colour, marker=marker, markersize=6, label=str(name))
        if log:
            ax.set_xscale("log")
        values = sorted(set(rows[over]))
        ax.set_xticks(values, [f"{value:g}" for value in values])
        ax.minorticks_off()
        ax.set(title=metric, xlabel=over)
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def digest(rows: Sequence[dict[str, Any]]) -> str:
    """What a picture's file says of the rows it was drawn from, so that an outdated one can be told."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


@mpl.rc_context(RC)
def save(draw: Callable[[pd.DataFrame], Figure], rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw rows into a PNG file that carries their digest as its "Rows"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(pd.DataFrame(rows)).savefig(path, metadata={"Software": None, "Rows": digest(rows)})
