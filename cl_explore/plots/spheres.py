"""Pictures of unit vectors: on the circle (two dimensions) and on the sphere (three)."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from cl_explore.geometry.inputs import points
from cl_explore.given import Array
from cl_explore.plots.scatters import add_legend, class_name, class_numbers, draw_classes, look_of
from cl_explore.plots.style import RC, figure
from cl_explore.takes import takes

ANGLE_BINS = 36
PLOTLY_MARKERS = ("circle", "square", "diamond", "cross", "x")  # those that plotly draws in three dimensions


def unit_vectors(z: Array, dimensions: int) -> NDArray[np.float64]:
    """z (N, D) scaled to unit length; ValueError unless D is `dimensions`."""
    x = points(z, "z")
    if x.shape[1] != dimensions:
        raise ValueError(f"z must be (N, {dimensions}), got shape {tuple(x.shape)}")
    return F.normalize(x.detach().cpu().double(), dim=1).numpy()


@takes
@mpl.rc_context(RC)
def circle(z: Array, labels: Array | None = None, *, class_names: Sequence[str] = (), title: str = "") -> Figure:
    """Embeddings z (N, 2), scaled to unit length, on the circle, and how many of them lie at each angle.

    The dotted line is perfect uniformity: as many at every angle. Coloured and marked by class, labels (N,). Raises
    ValueError or TypeError for wrong shapes, dtypes or infinite points.
    """
    unit = unit_vectors(z, 2)
    numbers, names = class_numbers(labels, "z", len(unit), class_names)
    found = np.unique(numbers).tolist()
    fig = figure(columns=2, height=3.8)
    left, right = fig.axes
    left.add_patch(Circle((0, 0), 1, fill=False, color="#555555", linewidth=0.8))
    draw_classes(left, unit, numbers)
    left.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", title=title)
    left.axis("off")
    angles = np.rad2deg(np.arctan2(unit[:, 1], unit[:, 0])) % 360
    right.hist(
        [angles[numbers == label] for label in found],
        np.linspace(0, 360, ANGLE_BINS + 1).tolist(),
        stacked=True,
        color=[look_of(label)[0] for label in found],
    )
    right.axhline(len(unit) / ANGLE_BINS, color="black", linestyle=":")
    right.set(xlabel="angle (degrees)", ylabel="points", xlim=(0, 360), xticks=range(0, 361, 90))
    add_legend(fig, numbers, names)
    return fig


@takes
@mpl.rc_context(RC)
def sphere(z: Array, labels: Array | None = None, *, class_names: Sequence[str] = (), title: str = "") -> Figure:
    """Embeddings z (N, 3), scaled to unit length, on the sphere: the half that faces the reader and the half behind.

    Both halves are seen from outside. Coloured and marked by class, labels (N,). Raises ValueError or TypeError for
    wrong shapes, dtypes or infinite points.
    """
    unit = unit_vectors(z, 3)
    numbers, names = class_numbers(labels, "z", len(unit), class_names)
    fig = figure(columns=2, height=4.4)
    for ax, side, name in zip(fig.axes, (1, -1), ("front", "back"), strict=True):
        draw_graticule(ax)
        seen = side * unit[:, 0] >= 0
        # the axis x points at the reader, y to the right and z up; from behind, left and right change places
        draw_classes(ax, (unit[:, 1:] * [side, 1])[seen], numbers[seen])
        ax.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
        ax.set_title(f"{name}: {seen.mean():.0%} of the points", loc="center")
        ax.axis("off")
    if title:
        fig.suptitle(title)
    add_legend(fig, numbers, names)
    return fig


def draw_graticule(ax: Axes) -> None:
    """A half sphere seen straight on: its outline, and circles of latitude and longitude every 30 degrees."""
    ax.add_patch(Circle((0, 0), 1, facecolor="#f6f6f6", edgecolor="#555555", linewidth=0.8, zorder=0))
    turn = np.linspace(-np.pi / 2, np.pi / 2, 60)
    for angle in np.deg2rad(np.arange(-60, 61, 30)):
        ax.plot(np.cos(angle) * np.sin(turn), np.full_like(turn, np.sin(angle)), color="#c8c8c8", lw=0.6, zorder=0)
        ax.plot(np.sin(angle) * np.cos(turn), np.sin(turn), color="#c8c8c8", lw=0.6, zorder=0)


@takes
def sphere_3d(z: Array, labels: Array | None = None, *, class_names: Sequence[str] = ()) -> "go.Figure":
    """Embeddings z (N, 3), scaled to unit length, on a sphere to turn and zoom; the pointer shows row and class.

    Needs a browser: put `sphere` beside it for paper and for readers who cannot see it. Raises as `sphere` does.
    """
    unit = unit_vectors(z, 3)
    numbers, names = class_numbers(labels, "z", len(unit), class_names)
    up, around = np.meshgrid(np.linspace(0, np.pi, 25), np.linspace(0, 2 * np.pi, 49))
    ball = go.Surface(
        x=0.98 * np.sin(up) * np.cos(around), y=0.98 * np.sin(up) * np.sin(around), z=0.98 * np.cos(up),
        colorscale=[[0, "#efefef"], [1, "#efefef"]], showscale=False, hoverinfo="skip",
        lighting={"ambient": 0.85, "diffuse": 0.15, "specular": 0},
    )  # fmt: skip
    fig = go.Figure(ball)
    for label in np.unique(numbers).tolist():
        rows = np.flatnonzero(numbers == label)
        name = class_name(label, names)
        fig.add_scatter3d(
            x=unit[rows, 0], y=unit[rows, 1], z=unit[rows, 2], mode="markers", name=name,
            marker={"size": 3.5, "color": look_of(label)[0], "symbol": PLOTLY_MARKERS[label % len(PLOTLY_MARKERS)]},
            customdata=rows, hovertemplate=f"row %{{customdata}}, {name}<extra></extra>",
        )  # fmt: skip
    hidden = {"visible": False}
    fig.update_scenes(
        xaxis=hidden, yaxis=hidden, zaxis=hidden, aspectmode="cube", camera_eye={"x": 1.3, "y": 0.7, "z": 0.6}
    )
    fig.update_layout(
        legend={"itemsizing": "constant", "y": 0.5},
        margin={"l": 0, "r": 0, "t": 0, "b": 0}, height=480, showlegend=len(fig.data) > 2,
    )  # fmt: skip
    return fig
