"""EmbeddingPanel: look at embeddings, of a run through its training, or the reader's own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore.data import Dataset
from cl_explore.plots.layouts import LAYOUTS, Layout, turned
from cl_explore.takes import takes
from cl_explore.widgets.chosen import Chosen, beside, sentence
from cl_explore.widgets.looks import Colours, class_colours, value_colours
from cl_explore.widgets.maps import atlas, scale
from cl_explore.widgets.neighbourhood import describe, nearest
from cl_explore.widgets.panel import Panel, row
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.selection import Rows, chosen_rows, row_of
from cl_explore.widgets.shown import NEAR, SHARED, shown
from cl_explore.widgets.space import Space
from cl_explore.widgets.thumbnails import sprite_sheet
from cl_explore.widgets.wire import Slider, static_block

BY_CLASS, ALL = "", -2  # choices of the menus; a menu whose value is None shows nothing as chosen
PREDICTION, PURITY, DISTANCE = "prediction (kNN)", "purity of kNN", "distance to centroid"
STATIC_BYTES = 400_000  # of the vectors that a page without a kernel finds neighbours in


class EmbeddingPanel(Panel):
    """A map of embeddings: look at samples, their neighbours, and any group of them; of a run, through its training.

    Hover shows a sample, a click its nearest neighbours by cosine in all dimensions, and a line drawn round points
    (with Shift, where dragging turns the map) or a click on a class the statistics of that selection; Enter and Escape
    choose and let go of the sample that the arrow keys lead to. `choose` and `select` do the same from code, and
    `selection` says which samples are selected.

    source: a run with snapshots, through which a slider scrubs; or vectors of your own (N, D), in any form that
        `data.read_vectors` reads: an array, a tensor, a data frame, the path of a file. Of more than 5,000 every
        second, third, ... is drawn.
    dataset: where the run's samples come from: the pointer then shows images and names, and colours its factors.
    labels, images, texts: of vectors of your own, as for `data.read_vectors`.
    other: vectors of your own of the same samples, of another network, likewise: their map stands beside, what is
        chosen on one shows on both, and colours may say how many neighbours a sample has in both.
    values: what else colours may say: for each name (n,), one number a sample, or (S, n), one a sample and snapshot.
    layout: "pca", fitted on the last snapshot, "umap", which takes long the first time and is kept in the run store, or
        "raw", the first `dims` (2 or 3) dimensions.

    Colours say the class, the vote of 20 neighbours, their share of the own class, the distance to the class centroid,
    or one of the values. The controls `snapshot`, `colour`, `space`, `layout_menu`, `dims` and `highlight` may be set
    from code. Raises ValueError if the run has no snapshots, a sample is not in the data set, an array has another
    shape or is not finite, or the layout is unknown; and what `data.read_vectors` raises.
    """

    @takes
    def __init__(
        self,
        source: Any,
        dataset: Dataset | None = None,
        values: Mapping[str, ArrayLike | Tensor] | None = None,
        layout: str = "pca",
        dims: int = 2,
        *,
        labels: Any = None,
        images: Any = None,
        texts: Any = None,
        other: Any = None,
    ) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
        if dims not in (2, 3):
            raise ValueError(f"dims must be 2 or 3, got {dims}")
        made = shown(source, dataset, values, {"labels": labels, "images": images, "texts": texts}, other)
        self._what, self._steps, self._spaces, self._titles, self._labels, self._samples, self._values = made[:7]
        self._others, classes, small = made.others, self._samples.classes, self._samples.pictures
        self._ready: set[tuple[str, str, int]] = set()
        self._point: int | None = None
        self._selection: NDArray[np.int64] | None = None

        last = max(0, len(self._steps) - 1)
        self.snapshot = ipywidgets.SelectionSlider(
            options=[(f"step {step}", place) for place, step in enumerate(self._steps or [0])], value=last,
            description="training", tooltip="which snapshot of the training is shown",
        )  # fmt: skip
        play = ipywidgets.Play(value=last, max=last, interval=400)
        # In the page: what the kernel says of the one may come late, and would move back a slider being dragged.
        self._hidden = [ipywidgets.jslink((play, "value"), (self.snapshot, "index"))]
        third: dict[str, Any] = {"layout": {"width": "280px"}}
        space = next(iter(self._spaces.values()))
        computed = [PREDICTION, PURITY, DISTANCE] if space.several else []
        colours = [("class", BY_CLASS), *((name, name) for name in (*computed, *self._values))]
        self.colour = ipywidgets.Dropdown(
            options=colours, description="colour by", tooltip="what the colours say", **third
        )
        self.space = ipywidgets.Dropdown(
            options=[(text, name) for name, text in self._titles.items()], description="space", **third
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
        super().__init__([row(play, self.snapshot), looks] if self._steps else [looks], {})
        if small is not None:
            self.canvas.sheet = sprite_sheet(small)
        self.snapshot.observe(lambda _: self._move(), "value")
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

    @property
    def selection(self) -> NDArray[np.int64]:
        """The selected samples, their rows in the vectors or the data set (m,), ascending; none, if none is."""
        rows = np.empty(0, np.int64) if self._selection is None else self._samples.number[self._selection]
        return np.sort(rows)

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

    def _layouts(self) -> list[Layout]:
        """The map, and that of the other embedding, turned to lie as the first does."""
        other = self._others.get(self.space.value)
        first, *more = (
            space.map(self.layout_menu.value, self.dims.value) for space in (self._space, other) if space is not None
        )
        if more and more[0].points.shape == first.points.shape:
            return [first, Layout(turned(more[0].points[0], first.points[0])[None], ("",) * self.dims.value)]
        return [first, *more]

    def _picture(self, place: int, colour: str, *, still: bool = False) -> Picture:
        """The picture of a snapshot; a `still` one shows what may be chosen without a kernel."""
        colours, space, samples = self._colours(colour, place), self._space, self._samples
        most = STATIC_BYTES // (max(1, len(self._steps)) * len(self._labels))
        unit = space.rounded(place, most) if still else None
        chosen = Chosen() if still else self._chosen(space.unit[place])
        layouts, units = self._layouts(), (unit, None)
        maps = [atlas(*each, place, samples, colours, chosen, unit) for each, unit in zip(layouts, units, strict=False)]
        side = [beside(samples, chosen, maps[0].turns)]
        if self._others:
            titles = ("source", "other, turned to lie as source does")
            maps = [replace(chart, title=title, width=1.2) for chart, title in zip(maps, titles, strict=True)]
        shared = []
        if SHARED in self._values:
            shared.append(("neighbours shared", f"{self._values[SHARED].mean() / NEAR:.0%}"))
        when = f"{self._what} at a chosen step" if self._steps else self._what
        step = [("step", f"{self._steps[place]} of {self._steps[-1]}")] if self._steps else []
        return Picture(
            f"{self._what}: {self._titles[self.space.value]}",
            f"Map of {when}, coloured by {colours.title}; axes {', '.join(layouts[0].axes)}.",
            [[*maps, [scale(colours), *side] if colours.scale else side]],
            [*step, *space.measures(place), *shared],
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
        places, colours = range(max(1, len(self._steps))), [name for _, name in self.colour.options]
        frames = [self._picture(place, name, still=True) for name in colours for place in places]
        sliders = [
            Slider("colour", [text for text, _ in self.colour.options], colours.index(self.colour.value), menu=True),
        ]
        if self._steps:
            sliders.append(Slider("training", [f"step {step}" for step in self._steps], self.snapshot.value, play=True))
        return static_block(frames, sliders, self.canvas.sheet)
