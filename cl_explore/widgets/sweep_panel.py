"""SweepPanel: one setting of a training, many runs, and a slider that moves between them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import HTML
from torch import Tensor

from cl_explore.data import Dataset
from cl_explore.takes import Count, takes
from cl_explore.train import Result, Run
from cl_explore.train import sweep as train_all
from cl_explore.widgets.chosen import Samples
from cl_explore.widgets.controls import WIDE
from cl_explore.widgets.panel import Panel
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.runs import Shown, sweep_picture, text_of
from cl_explore.widgets.shown import rows_of
from cl_explore.widgets.thumbnails import pixels, sprite_sheet
from cl_explore.widgets.wire import Slider, static_block


class SweepPanel(Panel):
    """Train once for every value of one setting, in the background; drag between the runs that are ready.

    `train` and `grid` are those of `cl_explore.train.sweep`, with one argument in the grid: `train(temperature=0.1)`
    calls `fit` and returns its Run, which the run store keeps, so that it is trained only once. `jobs` processes work
    at a time. Shown of each run is its last snapshot (labelled samples, the same ones in all runs); with the `dataset`
    that they come from, the pointer shows images and names. Runs that wait or have failed are said to. `value` is the
    slider, which code may set; `wait` returns when no run is left to come. Raises ValueError or TypeError for another
    grid.
    """

    @takes
    def __init__(
        self,
        train: Callable[..., Run],
        grid: Mapping[str, Sequence[Any]],
        dataset: Dataset | None = None,
        *,
        jobs: Count = 2,
    ) -> None:
        if len(grid) != 1:
            raise ValueError(f"grid must hold one argument of train, got {', '.join(grid) or 'none'}")
        ((self.knob, given),) = grid.items()
        # arrays and tensors hold numbers of their own kind, which no dictionary and no loss would know again
        values = [
            value.item() if isinstance(value, np.generic | Tensor) and not value.ndim else value for value in given
        ]
        if len(values) < 2 or len(set(values)) < len(values):
            raise ValueError(f"grid[{self.knob!r}] must hold at least 2 values, all different, got {values}")
        self._setting = self.knob.replace("_", " ")
        self._values, self._dataset = values, dataset
        self.shown: dict[Any, Shown] = {}
        self.errors: dict[Any, str] = {}
        self._samples: Samples | None = None
        self._lock = threading.Lock()  # runs arrive in another thread than moves of the slider: draw one by one
        self._closed, self._problem = False, ""
        self.value = ipywidgets.SelectionSlider(
            options=[(text_of(value), value) for value in values],
            description=self._setting, style=WIDE, layout={"width": "420px"},
            tooltip="which of the trained runs is shown",
        )  # fmt: skip
        super().__init__([self.value], {})
        self.value.observe(lambda _: self._draw(), "value")
        self._draw()
        work = (train, {self.knob: values}, jobs)
        self._thread = threading.Thread(target=self._sweep, args=work, daemon=True, name="sweep")
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until no run is left to come, or so many seconds; says whether none is left."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Begin no further runs, and take the panel off the page."""
        self._closed = True
        super().close()

    def _sweep(self, train: Callable[..., Run], grid: Mapping[str, Sequence[Any]], jobs: int) -> None:
        try:
            train_all(train, grid, jobs=jobs, progress=False, on_result=self._take)
        except Exception as error:  # nobody else hears of it in this thread
            if not self._closed:
                self._problem = f"{type(error).__name__}: {error}"
                self._draw()

    def _take(self, result: Result) -> None:
        if self._closed:
            raise RuntimeError("the panel is closed")
        value = result.point[self.knob]
        try:
            if result.run is None:
                raise ValueError(result.error)
            first = next(iter(self.shown.values()), None)
            self.shown[value] = Shown(result.run, first)
            if first is None:
                self._samples = self._described(self.shown[value])
        except ValueError as error:
            self.errors[value] = str(error)
        self._draw()

    def _described(self, first: Shown) -> Samples:
        """What is known of the samples, which are the same in all runs."""
        found, place = np.unique(first.labels.numpy(), return_inverse=True)
        classes = {label: f"class {label}" for label in found.tolist()}
        small = None
        if self._dataset is not None:
            classes = {label: self._dataset.class_names[label] for label in classes}
            seen = self._dataset.thumbnails(rows_of(first.index, self._dataset))
            small = None if seen is None else pixels(seen)
        if small is not None:
            self.canvas.sheet = sprite_sheet(small)
        return Samples(classes, place, first.index.numpy(), small)

    def _draw(self) -> None:
        with self._lock:
            if not self._closed:
                self.show(self._picture(self.value.value))

    def _picture(self, value: Any) -> Picture:
        about = (self._values, value, self.shown, self.errors, self._samples, self._problem)
        return sweep_picture(self._setting, *about)

    def static(self) -> HTML:
        """The runs that could be trained, with a slider over them, as one HTML block; waits until none is left to come.

        Raises ValueError, with the errors of all, if there are none.
        """
        self.wait()
        ready = [value for value in self._values if value in self.shown]
        if not ready:
            assert self.picture is not None
            raise ValueError(f"there is no run to show: {self.picture.status}")
        start = ready.index(self.value.value) if self.value.value in ready else 0
        slider = Slider(self._setting, [text_of(value) for value in ready], start, play=True)
        return static_block([self._picture(value) for value in ready], [slider], self.canvas.sheet)
