"""EmbeddingPanel: scrub through the training of a run and look at its embeddings."""

from collections.abc import Mapping
from typing import Any

import ipywidgets
import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore import geometry
from cl_explore.data import Dataset
from cl_explore.plots.layouts import LAYOUTS, Layout
from cl_explore.plots.layouts import layout as map_to_plane
from cl_explore.plots.style import SEQUENTIAL, class_look
from cl_explore.train import Run
from cl_explore.widgets.canvas import Fields, Panel, Slider, block
from cl_explore.widgets.thumbnails import sprite_sheet

SHADES = 32  # steps of the colour scale
MOST_MEASURED = 2000  # samples of which the uniformity is measured: it takes all pairs
BY_CLASS, ALL = "", -2  # choices of the menus; a menu whose value is None shows nothing as chosen
SPACES = {"z": "embedding z, unit length", "h": "representation h"}


def rows_of(index: Tensor, dataset: Dataset) -> Tensor:
    """At which rows of the data set the samples numbered `index` (n,) are; ValueError if one is not there."""
    there, order = dataset.index.cpu().sort()
    place = torch.searchsorted(there, index).clamp(max=len(there) - 1)
    missing = index[there[place] != index]
    if len(missing):
        raise ValueError(
            f"dataset {dataset.name!r} must hold every sample of the run's snapshots, "
            f"but {len(missing)} are not in it, the first is index {int(missing[0])}"
        )
    return order[place]


def class_colours(labels: NDArray[np.int64], classes: Mapping[int, str]) -> dict[str, Any]:
    """Look of every point, `group` (n,), where the colour and marker say the class; unlabelled points, -1, are grey."""
    looks = [class_look(label) if label >= 0 else ("#9a9a9a", "o") for label in classes]
    return {
        "group": np.searchsorted(list(classes), labels),
        "looks": [{"colour": colour, "marker": marker} for colour, marker in looks],
        "names": list(classes.values()),
        "colour": "class",
        "values": None,
    }


def value_colours(name: str, values: NDArray[np.float64], low: float, high: float) -> dict[str, Any]:
    """Look of every point, `group` (n,), where the colour says the number `values` (n,) on a scale from low to high."""
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    shades = mpl.colormaps[SEQUENTIAL](np.linspace(0, 1, SHADES))
    return {
        "group": np.minimum((share * SHADES).astype(np.int64), SHADES - 1),
        "looks": [{"colour": to_hex(shade), "marker": "o"} for shade in shades],
        "names": [],
        "colour": name,
        "values": values,
        "scale": [low, high],
    }


class EmbeddingPanel(Panel):
    """A slider scrubs through the snapshots of a run; colour shows the class or any number, hover the sample.

    `dataset` is where the run's samples come from: with it the pointer shows images and names, and its factors can be
    coloured by. `values` adds numbers to colour by: for each name (n,), one a sample, or (S, n), one a sample and
    snapshot. `layout` is "pca", fitted on the last snapshot, or "umap", which takes long the first time and is kept in
    the run store; embeddings in two dimensions are shown as they are. The controls `snapshot`, `colour`, `space` and
    `highlight` may be set from code. Raises ValueError if the run has no snapshots, a sample is not in the data set, an
    array has another shape or is not finite, or the layout is unknown.
    """

    def __init__(
        self,
        run: Run,
        dataset: Dataset | None = None,
        values: Mapping[str, ArrayLike | Tensor] | None = None,
        layout: str = "pca",
    ) -> None:
        shots = run.snapshots
        count = len(shots.labels)
        if not len(shots.steps):
            raise ValueError("run has no snapshots: train with fit(..., snapshots=12)")
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
        self._kind = layout
        self._layouts: dict[str, Layout] = {}
        self._numbers: dict[tuple[str, int], list[list[str]]] = {}
        self._spaces = {"z": F.normalize(shots.z, dim=2), "h": shots.h}  # z as the losses see it
        self._labels, self._index, self._steps = shots.labels.numpy(), shots.index.numpy(), shots.steps.tolist()
        found = sorted(set(self._labels.tolist()))
        self._classes = {label: "unlabelled" if label < 0 else f"class {label}" for label in found}
        self._pictures: Fields = {}
        if dataset is not None:
            rows = rows_of(shots.index, dataset)
            self._classes |= {label: dataset.class_names[label] for label in found if label >= 0}
            factors = {name: value.cpu()[rows] for name, value in dataset.factors.items()}
            values = factors | dict(values or {})
            if dataset.x.ndim == 4:
                self._pictures = sprite_sheet(dataset.x[rows.to(dataset.x.device)].cpu())
        self._values = {name: _checked(name, value, len(shots.steps), count) for name, value in (values or {}).items()}
        last = len(self._steps) - 1
        self.snapshot = ipywidgets.SelectionSlider(
            options=[(f"step {step}", place) for place, step in enumerate(self._steps)], value=last,
            description="training", tooltip="which snapshot of the training is shown",
        )  # fmt: skip
        play = ipywidgets.Play(value=last, max=last, interval=400)
        ipywidgets.jslink((play, "value"), (self.snapshot, "index"))
        self.colour = ipywidgets.Dropdown(
            options=[("class", BY_CLASS), *zip(self._values, self._values, strict=True)], description="colour by"
        )
        self.space = ipywidgets.Dropdown(options=[(text, name) for name, text in SPACES.items()], description="space")
        self.highlight = ipywidgets.Dropdown(
            options=[("all classes", ALL), *((name, label) for label, name in self._classes.items())],
            description="show",
        )
        super().__init__("embedding", [play, self.snapshot, self.colour, self.space, self.highlight])
        self.snapshot.observe(lambda _: self.show(frame=self._frame(self.snapshot.value)), "value")
        for control in (self.colour, self.space, self.highlight):
            control.observe(lambda _: self._redraw(), "value")
        self._redraw()

    def _redraw(self) -> None:
        self.show(scene=self._scene(), frame=self._frame(self.snapshot.value))

    def _layout(self) -> Layout:
        space = self.space.value
        if space not in self._layouts:
            self._layouts[space] = map_to_plane(self._spaces[space], self._kind)
        return self._layouts[space]

    def _scene(self) -> dict[str, Any]:
        points, axes = self._layout()
        low, high = points.min((0, 1)), points.max((0, 1))
        pad = 0.04 * (high - low).max() + 1e-6
        return {
            "title": f"{points.shape[1]} samples through training: {SPACES[self.space.value]}",
            "alt": f"Map of {points.shape[1]} samples at a chosen step of training, coloured by {self.colour.label}; "
            f"axes {axes[0]} and {axes[1]}.",
            "axes": axes,
            "limits": [float(v) for v in (low[0] - pad, high[0] + pad, low[1] - pad, high[1] + pad)],
            "labels": np.searchsorted(list(self._classes), self._labels),
            "index": self._index,
            "classes": list(self._classes.values()),
            "highlight": -1 if self.highlight.value == ALL else list(self._classes).index(self.highlight.value),
            **(class_colours(self._labels, self._classes) if self.colour.value == BY_CLASS else {}),
            **self._pictures,
        }

    def _frame(self, place: int) -> dict[str, Any]:
        name, colours = self.colour.value, {}
        if name != BY_CLASS:
            values = self._values[name]
            colours = value_colours(name, values[place % len(values)], float(values.min()), float(values.max()))
        return {
            "points": self._layout().points[place].ravel(),
            "readout": [["step", f"{self._steps[place]} of {self._steps[-1]}"], *self._measures(place)],
            **colours,
        }

    def _measures(self, place: int) -> list[list[str]]:
        """Numbers of all dimensions, not of the map: uniformity, and the spread of classes where there are some."""
        key = (self.space.value, place)
        if key not in self._numbers:
            x = self._spaces[self.space.value][place]
            few = x[:: -(-len(x) // MOST_MEASURED)]
            self._numbers[key] = [["−uniformity", f"{-geometry.uniformity(few).item():.2f}"]]
            if len(self._classes) > 1 and self._labels.min() >= 0:
                spread = geometry.dispersion(x, self._labels)
                self._numbers[key].append(["within-class spread", f"{spread.within.item():.3f}"])
                self._numbers[key].append(["between-class spread", f"{spread.between.item():.3f}"])
        return self._numbers[key]

    def static(self) -> HTML:
        """The panel with its present colours and a slider over the snapshots, as one HTML block."""
        slider = Slider("training", [f"step {step}" for step in self._steps], self.snapshot.value, play=True)
        return block("embedding", self._scene(), [self._frame(place) for place in range(len(self._steps))], [slider])


def _checked(name: str, value: ArrayLike | Tensor, snapshots: int, count: int) -> NDArray[np.float64]:
    """The numbers as (1, n) or (S, n); ValueError unless they have one of these shapes, or (n,), and are finite."""
    numbers = torch.as_tensor(value).detach().cpu().numpy().astype(np.float64)
    if numbers.shape not in ((count,), (snapshots, count)):
        raise ValueError(f"values[{name!r}] must have shape ({count},) or ({snapshots}, {count}), got {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"values[{name!r}] must be finite, got NaN or infinity")
    return np.atleast_2d(numbers)
