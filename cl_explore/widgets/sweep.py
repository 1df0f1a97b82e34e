"""SweepPanel: one setting of a training, many runs, and a slider that moves between them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import torch.nn.functional as F
from IPython.display import HTML
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import geometry
from cl_explore.data import Dataset
from cl_explore.plots.layouts import layout, turned
from cl_explore.train import Result, Run
from cl_explore.train import sweep as train_all
from cl_explore.widgets.canvas import Panel, Slider, block
from cl_explore.widgets.controls import WIDE
from cl_explore.widgets.embedding import rows_of
from cl_explore.widgets.looks import class_colours
from cl_explore.widgets.neighbourhood import vote
from cl_explore.widgets.thumbnails import sprite_sheet

MEASURES = ("kNN accuracy", "−uniformity", "tolerance", "dispersion")


def measure(z: Tensor, labels: Tensor) -> tuple[float, ...]:
    """The numbers of MEASURES for unit vectors z (n, D) with labels (n,).

    The share of samples whose 20 nearest others vote for their class, −uniformity, the mean cosine of samples of a
    class, and the variance within classes over that between them. Raises ValueError for fewer than two classes.
    """
    right = float(np.mean(vote(z, labels).prediction == labels.numpy()))
    spread = geometry.dispersion(z, labels).ratio.item()
    return right, -geometry.uniformity(z).item(), geometry.tolerance(z, labels).item(), spread


def positions(values: Sequence[Any]) -> list[float]:
    """Where values stand on an axis from 0 to 1: by their logarithm if they are spread wide, else evenly by rank.

    >>> positions([0.01, 0.1, 1.0]), positions(["a", "b", "c"])
    ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
    """
    numeric = all(isinstance(value, int | float) for value in values)
    if numeric and min(values) > 0 and max(values) >= 8 * min(values):
        values = np.log(values).tolist()
    elif not numeric:
        values = range(len(values))
    low, high = min(values), max(values)
    return [round((value - low) / (high - low), 4) for value in values]


class Shown:
    """A finished run as the panel draws it: a map (n, 2) of its last snapshot and the numbers of MEASURES."""

    def __init__(self, run: Run, onto: "Shown | None") -> None:
        """`onto`: a run of the same samples whose map this one is turned to; ValueError if they are not the same."""
        shots = run.snapshots
        if not len(shots.steps):
            raise ValueError("the run has no snapshots: train with fit(..., snapshots=1) or more")
        known = shots.labels >= 0
        self.labels, self.index = shots.labels[known], shots.index[known]
        if onto is not None and self.index.tolist() != onto.index.tolist():
            raise ValueError("the run's snapshots show other samples than those of the runs before")
        z = F.normalize(shots.z[-1][known], dim=1)
        self.numbers = measure(z, self.labels)
        points = layout(z[None], "pca").points[0]
        self.points: NDArray[np.floating] = points if onto is None else turned(points, onto.points)


def text_of(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def sweep_scene(
    name: str, values: Sequence[Any], shown: Mapping[Any, Shown], errors: Mapping[Any, str]
) -> dict[str, Any]:
    """What does not change with the slider: the numbers of all runs over the setting, and which wait or have failed."""
    coming = len(values) - len(shown) - len(errors)
    count = f"{len(values)} runs over {name}" + (f", {coming} still to come" if coming else "")
    failed = [f"{name} {text_of(value)} failed: {error}" for value, error in errors.items()]
    return {
        "title": count,
        "alt": f"Map of the samples as one of {count} embeds them; beside it {', '.join(MEASURES)} over {name}.",
        "dim": 2,
        "limits": [-1.0, 1.0, -1.0, 1.0],  # the sphere as it is, so that one sees how much of it is filled
        "name": name,
        "stops": [text_of(value) for value in values],
        "at": positions(values),
        "states": ["ready" if value in shown else "failed" if value in errors else "waiting" for value in values],
        "measures": MEASURES,
        "curves": [
            [shown[value].numbers[row] if value in shown else None for value in values] for row in range(len(MEASURES))
        ],
        "failed": failed,
    }


def sweep_frame(
    name: str, values: Sequence[Any], value: Any, shown: Mapping[Any, Shown], errors: Mapping[Any, str]
) -> dict[str, Any]:
    """The run of one value: its map and numbers, or why there is none yet."""
    frame = {"chosen": list(values).index(value)}
    if value in shown:
        numbers = zip(MEASURES, shown[value].numbers, strict=True)
        readout = [[name, text_of(value)], *([measure, f"{number:.3f}"] for measure, number in numbers)]
        return frame | {"points": shown[value].points.ravel(), "readout": readout}
    state = "failed" if value in errors else "waiting"
    return frame | {"points": np.zeros(0), "readout": [[name, text_of(value)], ["this run", state]]}


class SweepPanel(Panel):
    """Train once for every value of one setting, in the background; drag between the runs that are ready.

    `train` and `grid` are those of `cl_explore.train.sweep`, with one argument in the grid: `train(temperature=0.1)`
    calls `fit` and returns its Run, which the run store keeps, so that it is trained only once. `jobs` processes work
    at a time. Shown of each run is its last snapshot (labelled samples, the same ones in all runs); with the `dataset`
    that they come from, the pointer shows images and names. Runs that wait or have failed are said to. `value` is the
    slider, which code may set; `wait` returns when no run is left to come. Raises ValueError or TypeError for another
    grid.
    """

    def __init__(
        self,
        train: Callable[..., Run],
        grid: Mapping[str, Sequence[Any]],
        dataset: Dataset | None = None,
        *,
        jobs: int = 2,
    ) -> None:
        if len(grid) != 1:
            raise ValueError(f"grid must hold one argument of train, got {', '.join(grid) or 'none'}")
        ((self.knob, values),) = grid.items()
        if len(values) < 2 or len(set(values)) < len(values):
            raise ValueError(f"grid[{self.knob!r}] must hold at least 2 values, all different, got {list(values)}")
        self._setting = self.knob.replace("_", " ")
        self._values, self._dataset = list(values), dataset
        self.shown: dict[Any, Shown] = {}
        self.errors: dict[Any, str] = {}
        self._fixed: dict[str, Any] = {}
        self._lock = threading.Lock()  # runs arrive in another thread than moves of the slider: draw one by one
        self._closed, self._problem = False, ""
        self.value = ipywidgets.SelectionSlider(
            options=[(text_of(value), value) for value in values],
            description=self._setting, style=WIDE, layout={"width": "420px"},
            tooltip="which of the trained runs is shown",
        )  # fmt: skip
        super().__init__("sweep", [self.value])
        self.value.observe(lambda _: self._draw(new_scene=False), "value")
        self._draw()
        self._thread = threading.Thread(target=self._sweep, args=(train, grid, jobs), daemon=True, name="sweep")
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
                self._fixed = self._samples(self.shown[value])
        except ValueError as error:
            self.errors[value] = str(error)
        self._draw()

    def _samples(self, first: Shown) -> dict[str, Any]:
        """What is known of the samples, which are the same in all runs."""
        labels = first.labels.numpy()
        classes = {label: f"class {label}" for label in sorted(set(labels.tolist()))}
        pictures: dict[str, Any] = {}
        if self._dataset is not None:
            classes = {label: self._dataset.class_names[label] for label in classes}
            seen = self._dataset.thumbnails(rows_of(first.index, self._dataset))
            pictures = {} if seen is None else sprite_sheet(seen)
        return {**class_colours(labels, classes), "index": first.index.numpy(), **pictures}

    def _draw(self, new_scene: bool = True) -> None:
        with self._lock:
            scene = (
                sweep_scene(self._setting, self._values, self.shown, self.errors) | self._fixed if new_scene else None
            )
            self.show(scene=scene, frame=self._frame(self.value.value))

    def _frame(self, value: Any) -> dict[str, Any]:
        return sweep_frame(self._setting, self._values, value, self.shown, self.errors) | {"status": self._problem}

    def static(self) -> HTML:
        """The runs that could be trained, with a slider over them, as one HTML block; waits until none is left to come.

        Raises ValueError, with the errors of all, if there are none.
        """
        self.wait()
        ready = [value for value in self._values if value in self.shown]
        if not ready:
            raise ValueError(f"there is no run to show: {self._problem or '; '.join(self.scene['failed'])}")
        start = ready.index(self.value.value) if self.value.value in ready else 0
        slider = Slider(self._setting, [text_of(value) for value in ready], start, play=True)
        scene = sweep_scene(self._setting, self._values, self.shown, self.errors) | self._fixed
        return block("sweep", scene, [self._frame(value) for value in ready], [slider])
