"""Pictures of embeddings as points in the plane, coloured and marked by class."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cl_explore.geometry.inputs import points
from cl_explore.given import Array, classes
from cl_explore.plots.layouts import layout as map_to_plane
from cl_explore.plots.style import RC, class_look, figure
from cl_explore.takes import takes
from cl_explore.train import Snapshots

MOST_IN_LEGEND = 20


def class_numbers(
    labels: Array | None, of: str, count: int, class_names: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels (N,) of the rows of the argument `of` as numbers, all 0 if there are none, and the names of classes.

    Raises ValueError or TypeError unless they are integers, -1 for unlabelled, or texts, one for each row.
    """
    if labels is None:
        return np.zeros(count, dtype=np.int64), tuple(class_names)
    (numbers,), names = classes({"labels": labels}, {of: count}, names=class_names or None, least=-1)
    return numbers.cpu().numpy(), names


def class_name(label: int, class_names: Sequence[str]) -> str:
    """What a legend calls a class; -1 is "unlabelled"."""
    if label < 0:
        return "unlabelled"
    return class_names[label] if label < len(class_names) else f"class {label}"


def look_of(label: int) -> tuple[str, str]:
    """Colour and marker of a class; unlabelled points, -1, are small and grey."""
    return class_look(label) if label >= 0 else ("#9a9a9a", ".")


def draw_classes(ax: Axes, xy: NDArray[np.floating], labels: NDArray[np.int64], scale: float = 1.0) -> None:
    """Points xy (N, 2) with the colour and marker of their class, the smaller the more there are."""
    size = scale * float(np.clip(16_000 / max(len(xy), 1), 10, 30))
    for label in np.unique(labels).tolist():
        colour, marker = look_of(label)
        x, y = xy[labels == label].T
        ax.scatter(x, y, s=size, c=colour, marker=marker, alpha=0.8, linewidths=0)


def add_legend(fig: Figure, labels: NDArray[np.int64], class_names: Sequence[str]) -> None:
    """The classes, right of all panels; nothing if there is one class, or too many to list."""
    found = np.unique(labels).tolist()
    if 1 < len(found) <= MOST_IN_LEGEND:
        looks = [(look_of(label), class_name(label, class_names)) for label in found]
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle="", markersize=7, label=name)
            for (colour, marker), name in looks
        ]
        fig.legend(handles=handles, loc="outside right center", handletextpad=0.1)


@takes
@mpl.rc_context(RC)
def scatter(
    x: Array, labels: Array | None = None, *, class_names: Sequence[str] = (), layout: str = "auto", title: str = ""
) -> Figure:
    """Embeddings x (N, D) as points in the plane, coloured and marked by class, labels (N,).

    Two dimensions are drawn as they are; more are mapped by `layout`: "pca" ("auto" is the same), whose axes say what
    share of the variance they show, or "umap", by cosine distance, which takes some 20 seconds the first time and is
    kept in the run store. Raises ValueError or TypeError for wrong shapes, dtypes, infinite points or another layout.
    """
    x = points(x).detach().cpu()
    numbers, names = class_numbers(labels, "x", len(x), class_names)
    mapped, axes = map_to_plane(x[None], layout)
    fig = figure(height=5.4)
    (ax,) = fig.axes
    draw_classes(ax, mapped[0], numbers)
    ax.set(xlabel=axes[0], ylabel=axes[1], title=title)
    ax.set_aspect("equal", adjustable="datalim")
    add_legend(fig, numbers, names)
    return fig


@takes
@mpl.rc_context(RC)
def filmstrip(
    snapshots: Snapshots, *, moments: int = 4, class_names: Sequence[str] = (), layout: str = "auto"
) -> Figure:
    """The same samples at several moments of training, first and last among them, all in the map of the last.

    It draws the embeddings z of a run's snapshots on the unit sphere, as the losses see them. Raises ValueError for
    fewer than 2 moments, a run with fewer than 2 snapshots, or another layout than `scatter` knows.
    """
    taken = len(snapshots.steps)
    if moments < 2 or taken < 2:
        raise ValueError(f"a filmstrip needs at least 2 moments and 2 snapshots, got {moments} and {taken}")
    z = torch.nn.functional.normalize(snapshots.z, dim=2)
    mapped, axes = map_to_plane(z, layout)
    chosen = sorted({round(place) for place in np.linspace(0, taken - 1, min(moments, taken)).tolist()})
    labels = snapshots.labels.numpy()
    low, high = mapped[chosen].min((0, 1)), mapped[chosen].max((0, 1))
    pad = 0.05 * float((high - low).max())
    fig = figure(columns=len(chosen), height=2.9)
    for ax, place in zip(fig.axes, chosen, strict=True):
        draw_classes(ax, mapped[place], labels, scale=0.4)
        ax.set_title(f"step {int(snapshots.steps[place])}")
        ax.set(xlim=(low[0] - pad, high[0] + pad), ylim=(low[1] - pad, high[1] + pad))
        ax.set(xticks=[], yticks=[], aspect="equal", xlabel=axes[0].partition(" (")[0])
    fig.axes[0].set_ylabel(axes[1].partition(" (")[0])
    add_legend(fig, labels, class_names)
    return fig
