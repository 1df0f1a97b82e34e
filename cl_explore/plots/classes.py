"""Pictures of classes: how each spreads, and which point the same way."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from cl_explore import geometry
from cl_explore.geometry.inputs import points
from cl_explore.given import Array
from cl_explore.plots.scatters import class_name, class_numbers
from cl_explore.plots.style import CLASS_COLOURS, DIVERGING, RC, figure
from cl_explore.takes import takes

MOST_CELLS = 20


@takes
@mpl.rc_context(RC)
def dispersion(x: Array, labels: Array, *, class_names: Sequence[str] = (), title: str = "") -> Figure:
    """Bars for every class: how far its samples lie from its centroid, and its centroid from the centre of all.

    Both are mean squared distances on the unit sphere; lines mark their means over all samples, and the title gives
    their ratio, small where classes are compact and apart. x: (N, D), labels: (N,). Raises what `geometry.dispersion`
    raises.
    """
    spread = geometry.dispersion(x, labels)
    unit = points(x, normalize=True).detach().cpu().double()
    found_numbers, known = class_numbers(labels, "x", len(unit), class_names)
    numbers = torch.from_numpy(found_numbers)
    found = numbers.unique()
    centre = unit.mean(0)
    apart = torch.stack([(unit[numbers == label].mean(0) - centre).square().sum() for label in found])
    fig = figure(height=3.8)
    (ax,) = fig.axes
    place = np.arange(len(found))
    for values, mean, shift, colour, hatch, name in (
        (spread.per_class.detach().cpu().numpy(), spread.within.item(), -0.2, CLASS_COLOURS[0], "", "within the class"),
        (apart.numpy(), spread.between.item(), 0.2, CLASS_COLOURS[1], "////", "centroid to the centre of all"),
    ):
        ax.bar(place + shift, values, 0.38, facecolor=(colour, 0.35), edgecolor=colour, hatch=hatch, label=name)
        ax.axhline(mean, color=colour, linestyle="--" if hatch else "-", linewidth=1.2)
        ax.annotate(f"mean {mean:.2f}", (1, mean), xycoords=("axes fraction", "data"), xytext=(4, 0),
                    textcoords="offset points", va="center", color=colour, annotation_clip=False)  # fmt: skip
    names = [class_name(label, known) for label in found.tolist()]
    crowded = sum(map(len, names)) > 70
    ax.set_xticks(place, names, rotation=45 if crowded else 0, ha="right" if crowded else "center")
    ax.grid(visible=False, axis="x")
    ax.margins(x=0.02)
    ax.set(ylabel="mean squared distance")
    ax.set_title(f"{title}{': ' if title else ''}within / between = {spread.ratio.item():.2f}")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


@takes
@mpl.rc_context(RC)
def centroid_similarity(x: Array, labels: Array, *, class_names: Sequence[str] = (), title: str = "") -> Figure:
    """Cosines between class centroids as a heat map with its numbers: which classes point the same way.

    x: (N, D), labels: (N,). Raises ValueError for more than 20 classes, which no reader could read, and what
    `geometry.centroid_similarity` raises.
    """
    numbers, known = class_numbers(labels, "x", len(points(x)), class_names)
    found = np.unique(numbers).tolist()
    if len(found) > MOST_CELLS:
        raise ValueError(f"labels must name at most {MOST_CELLS} classes, got {len(found)}")
    cosines = geometry.centroid_similarity(x, labels).cpu().numpy()
    fig = figure(width="full" if len(found) > 5 else "half", height=1.2 + 0.36 * max(len(found), 6))
    (ax,) = fig.axes
    image = ax.imshow(cosines, cmap=DIVERGING, vmin=-1, vmax=1)
    for row, column in np.ndindex(*cosines.shape):
        value = cosines[row, column]
        shade = "white" if abs(value) > 0.75 else "black"
        ax.text(column, row, f"{value:+z.1f}", ha="center", va="center", fontsize=8, color=shade)
    names = [class_name(label, known) for label in found]
    ax.set_xticks(range(len(found)), names, rotation=45, ha="right")
    ax.set_yticks(range(len(found)), names)
    ax.grid(visible=False)
    ax.set_title(title)
    fig.colorbar(image, ax=ax, label="cosine of the centroids", shrink=0.8)
    return fig
