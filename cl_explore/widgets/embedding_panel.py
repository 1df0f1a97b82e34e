"""EmbeddingPanel: scrub through the training of a run and look at its embeddings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore.data import Dataset
from cl_explore.plots.layouts import LAYOUTS, Layout
from cl_explore.takes import takes
from cl_explore.train import Run
from cl_explore.widgets.chosen import Chosen, Samples, beside, sentence
from cl_explore.widgets.looks import Colours, class_colours, numbers, value_colours
from cl_explore.widgets.maps import atlas, scale
from cl_explore.widgets.neighbourhood import describe, nearest
from cl_explore.widgets.panel import Panel, row
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.selection import Rows, chosen_rows, row_of
from cl_explore.widgets.space import Space
from cl_explore.widgets.thumbnails import pixels, sprite_sheet
from cl_explore.widgets.wire import Slider, static_block

BY_CLASS, ALL = "", -2  # choices of the menus; a menu whose value is None shows nothing as chosen
PREDICTION, PURITY, DISTANCE = "prediction (kNN)", "purity of kNN", "distance to centroid"
SPACES = {"z": "embedding z, unit length", "h": "representation h"}
STATIC_BYTES = 400_000  # of the vectors that a page without a kernel finds neighbours in


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


class EmbeddingPanel(Panel):
    """A slider scrubs through the snapshots of a run; look at samples, their neighbours, and any group of them.

    Hover shows a sample, a click its nearest neighbours by cosine in all dimensions, and a line drawn round points
    (with Shift, where dragging turns the map) or a click on a class the statistics of that selection; Enter and Escape
    choose and let go of the sample that the arrow keys lead to. `choose` and `select` do the same from code.

    `dataset` is where the run's samples come from: with it the pointer shows images and names, and its factors can be
    coloured by. Colours say the class, the vote of 20 neighbours, their share of the own class, the distance to the
    class centroid, or any `values`: for each name (n,), one a sample, or (S, n), one a sample and snapshot. `layout` is
    "pca", fitted on the last snapshot, "umap", which takes long the first time and is kept in the run store, or "raw",
    the first `dims` (2 or 3) dimensions. The controls `snapshot`, `colour`, `space`, `layout_menu`, `dims` and
    `highlight` may be set from code. Raises ValueError if the run has no snapshots, a sample is not in the data set, an
    array has another shape or is not finite, or the layout is unknown.
    """

    @takes
    def __init__(
        self,
        run: Run,
        dataset: Dataset | None = None,
        values: Mapping[str, ArrayLike | Tensor] | None = None,
        layout: str = "pca",
        dims: int = 2,
    ) -> None:
        shots = run.snapshots
        count = len(shots.labels)
        if not len(shots.steps):
            raise ValueError("run has no snapshots: train with fit(..., snapshots=12)")
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
        if dims not in (2, 3):
            raise ValueError(f"dims must be 2 or 3, got {dims}")
        self._spaces = {  # z as the losses see it
            "z": Space(F.normalize(shots.z, dim=2), shots.labels),
            "h": Space(shots.h, shots.labels),
        }
        self._labels, self._steps = shots.labels, shots.steps.tolist()
        found = sorted(set(self._labels.tolist()))
        classes = {label: "unlabelled" if label < 0 else f"class {label}" for label in found}
        seen = None
        if dataset is not None:
            rows = rows_of(shots.index, dataset)
            classes |= {label: dataset.class_names[label] for label in found if label >= 0}
            values = {name: value.cpu()[rows] for name, value in dataset.factors.items()} | dict(values or {})
            seen = dataset.thumbnails(rows)
        self._values = {name: numbers(name, value, len(shots.steps), count) for name, value in (values or {}).items()}
        small = None if seen is None else pixels(seen)
        place = np.searchsorted(found, self._labels.numpy())
        self._samples = Samples(classes, place, shots.index.numpy(), small)
        self._ready: set[tuple[str, str, int]] = set()
        self._point: int | None = None
        self._selection: NDArray[np.int64] | None = None

        last = len(self._steps) - 1
        self.snapshot = ipywidgets.SelectionSlider(
            options=[(f"step {step}", place) for place, step in enumerate(self._steps)], value=last,
            description="training", tooltip="which snapshot of the training is shown",
        )  # fmt: skip
        play = ipywidgets.Play(value=last, max=last, interval=400)
        # One way in the page, as a link back would send a message of its own before each of the slider's.
        self._hidden = [ipywidgets.jsdlink((play, "value"), (self.snapshot, "index"))]
        self._play = play
        third: dict[str, Any] = {"layout": {"width": "280px"}}
        computed = [PREDICTION, PURITY, DISTANCE] if self._spaces["z"].several else []
        colours = [("class", BY_CLASS), *((name, name) for name in (*computed, *self._values))]
        self.colour = ipywidgets.Dropdown(
            options=colours, description="colour by", tooltip="what the colours say", **third
        )
        self.space = ipywidgets.Dropdown(
            options=[(text, name) for name, text in SPACES.items()], description="space", **third
        )
        self.layout_menu = ipywidgets.Dropdown(
            options={"PCA": "pca", "UMAP (slow at first)": "umap", "raw dimensions": "raw"},
            value="pca" if layout == "auto" else layout, description="map", tooltip="how dimensions are flattened",
            **third,
        )  # fmt: skip
        self.dims = ipywidgets.Dropdown(options={"flat": 2, "in depth": 3}, value=dims, description="drawn", **third)
        self.highlight = ipywidgets.Dropdown(
            options=[("all classes", ALL), *((name, label) for label, name in classes.items())],
            description="show", tooltip="select the samples of one class", **third,
        )  # fmt: skip
        looks = row(self.colour, self.highlight, self.space, self.layout_menu, self.dims)
        super().__init__([row(play, self.snapshot), looks], {})
        if small is not None:
            self.canvas.sheet = sprite_sheet(small)
        self.snapshot.observe(lambda _: self._on_snapshot(), "value")
        for control in (self.colour, self.space, self.layout_menu, self.dims):
            control.observe(lambda _: self._redraw(), "value")
        self.highlight.observe(lambda _: self._on_highlight(), "value")
        self._redraw()

    def choose(self, sample: int | None) -> None:
        """Show the nearest neighbours of the sample at this row of the snapshots; None lets go of it."""
        self._point = None if sample is None else row_of(sample, len(self._labels))
        self._selection = None
        self._move()

    def select(self, rows: Rows | None) -> None:
        """Show the statistics of the samples at these rows of the snapshots, numbers or a mask over all; None, or no
        row, lets go of them."""
        chosen = chosen_rows(rows, len(self._labels))
        self._point, self._selection = None, chosen if len(chosen) else None
        self._move()

    def _on_highlight(self) -> None:
        label = self.highlight.value
        self.select(None if label == ALL else self._labels == label)

    def take(self, name: str, value: Any) -> None:
        """Choose what the reader has clicked or drawn a line round."""
        if name == "near":
            self.choose(value)
        elif name == "select":
            self.select(value)
        else:  # a class in the legend, of which a second click lets go
            label = list(self._samples.classes)[value]
            self.highlight.value = ALL if self.highlight.value == label else label

    def _redraw(self) -> None:
        kind = (self.layout_menu.value, self.space.value, self.dims.value)
        if self.picture is not None and kind not in self._ready:
            self.show(replace(self.picture, status="the map is being computed ..."))
        self._ready.add(kind)
        self._move()

    def _on_snapshot(self) -> None:
        self._move()
        if not self._play.playing:
            self._play.value = self.snapshot.index

    def _move(self) -> None:
        try:
            picture = self._picture(self.snapshot.value, self.colour.value)
        except ValueError as error:  # a map that so few samples do not allow
            if self.picture is None:
                raise
            picture = replace(self.picture, status=f"not drawn: {error}")
        self.show(picture)

    @property
    def _space(self) -> Space:
        return self._spaces[self.space.value]

    def _layout(self) -> Layout:
        return self._space.map(self.layout_menu.value, self.dims.value)

    def _picture(self, place: int, colour: str, *, still: bool = False) -> Picture:
        """The picture of a snapshot; a `still` one shows what may be chosen without a kernel."""
        points, axes = self._layout()
        low, high = points.min((0, 1)), points.max((0, 1))
        pad = 0.04 * (high - low).max() + 1e-6
        colours, space, samples = self._colours(colour, place), self._space, self._samples
        most = STATIC_BYTES // (len(self._steps) * len(self._labels))
        unit = space.rounded(place, most) if still else None
        chosen = Chosen() if still else self._chosen(space.unit[place])
        limits = np.stack([low - pad, high + pad])
        chart = atlas(points[place], limits, axes, samples, colours, chosen, unit)
        side = [beside(samples, chosen, chart.turns)]
        return Picture(
            f"{len(samples.number)} samples through training: {SPACES[self.space.value]}",
            f"Map of {len(samples.number)} samples at a chosen step of training, coloured by {colours.title}; "
            f"axes {', '.join(axes)}.",
            [[chart, [scale(colours), *side] if colours.scale else side]],
            [("step", f"{self._steps[place]} of {self._steps[-1]}"), *space.measures(place)],
            sentence(samples, chosen),
        )

    def _chosen(self, x: Tensor) -> Chosen:
        """What the reader has chosen, among unit vectors x (n, D)."""
        if self._point is not None:
            return Chosen(self._point, *nearest(x, self._point))
        if self._selection is None:
            return Chosen()
        samples = self._samples
        about = describe(x, samples.place, len(samples.classes), self._selection)
        return Chosen(rows=self._selection, about=about)

    def _colours(self, name: str, place: int) -> Colours:
        if name == BY_CLASS:
            return class_colours(self._labels.numpy(), self._samples.classes)
        if name in self._values:
            values = self._values[name]
            return value_colours(name, values[place % len(values)], float(values.min()), float(values.max()))
        if name == PREDICTION:
            return class_colours(self._space.vote(place).prediction, self._samples.classes, PREDICTION)
        if name == PURITY:
            return value_colours(name, self._space.vote(place).purity, 0.0, 1.0)
        distances = self._space.distances()
        return value_colours(name, distances[place], 0.0, float(distances.max()))

    def static(self) -> HTML:
        """The panel as one HTML block, with a slider over the snapshots and a menu of all colours.

        Neighbours and statistics are computed by the page, from vectors rounded to 8 bits; if they are more than
        STATIC_BYTES, from their leading directions only.
        """
        places, colours = range(len(self._steps)), [name for _, name in self.colour.options]
        frames = [self._picture(place, name, still=True) for name in colours for place in places]
        sliders = [
            Slider("colour", [text for text, _ in self.colour.options], colours.index(self.colour.value), menu=True),
            Slider("training", [f"step {step}" for step in self._steps], self.snapshot.value, play=True),
        ]
        return static_block(frames, sliders, self.canvas.sheet)
