"""Here lives the panel whose picture is a function of its knobs, and that makes its experiments in the background."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import Any

import ipywidgets
import torch
from IPython.display import HTML

from cl_explore.losses import Choice, Knob, Loss
from cl_explore.widgets.canvas import Fields, Panel, Slider, block
from cl_explore.widgets.controls import WIDE, control

State = dict[str, Any]
WAITING = "The experiment is being made again; until then its last result is shown."


def dial(knob: Knob | Choice, value: Any, name: str = "", step: float | None = None) -> ipywidgets.Widget:
    """The control of a knob under another name, stopping every `step` (in log10 for a logarithmic knob)."""
    made = control(knob, value)
    made.description = name or made.description
    if step:
        made.step = step
    return made


def counter(knob: Knob, value: int, name: str = "", *, step: int = 1) -> ipywidgets.IntSlider:
    """A slider over the whole numbers of a knob's range, stopping every `step`; ValueError for a value outside it."""
    if not knob.low <= value <= knob.high:
        raise ValueError(f"{knob.name} must be between {knob.low} and {knob.high}, got {value}")
    return ipywidgets.IntSlider(
        value=value, min=round(knob.low), max=round(knob.high), step=step, description=name or knob.name,
        tooltip=knob.help, style=WIDE,
    )  # fmt: skip


def of(loss: Loss, name: str, **changes: Any) -> Any:
    """The knob or choice called `name` as the loss declares it, with another range where `changes` give one."""
    return replace(next(knob for knob in loss.knobs if knob.name == name), **changes)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: for so few numbers a second one only adds waiting, on a busy machine 100 ms of it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class KnobPanel(Panel):
    """A panel that redraws `picture(state, result)` when a knob moves; `state` holds the values of all knobs.

    `experiment`, if there is one, is called with the knobs named in `decides` and may take a second: the panel makes it
    in a thread, shows the last result until then and says so, and keeps every result it has made; only the newest
    setting is computed when several wait. `sweeps` says which knobs move on a page without a kernel, and where they
    stop. The controls are in `knobs`: setting their `value` from code draws too.
    """

    def __init__(
        self,
        name: str,
        knobs: Mapping[str, ipywidgets.Widget],
        scene: Fields,
        picture: Callable[[State, Any], Fields],
        *,
        sweeps: Mapping[str, Iterable[float]],
        experiment: Callable[..., Any] | None = None,
        decides: Sequence[str] = (),
    ) -> None:
        super().__init__(name, list(knobs.values()))
        self.knobs = dict(knobs)
        self._picture, self._experiment, self._decides, self._sweeps = picture, experiment, decides, sweeps
        self._results: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.RLock()  # the experiment draws from its thread, and JupyterLab's messages from another
        self._worker: threading.Thread | None = None
        for knob in self.knobs.values():
            knob.layout.width = "350px"
            knob.observe(self._on_knob, "value")
        self._shown = self._made(self.state())
        self.show(scene=scene, frame=self._frame(self.state(), self._shown))

    def state(self) -> State:
        """Where the knobs stand."""
        return {name: knob.value for name, knob in self.knobs.items()}

    def wait(self) -> None:
        """Return once the experiment of the present knobs is made and shown."""
        while True:
            with self._lock:
                worker = self._worker
            if worker is None:
                return
            worker.join()

    def _key(self, state: State) -> tuple[Any, ...]:
        return tuple(round(v, 9) if isinstance(v, float) else v for v in (state[name] for name in self._decides))

    def _made(self, state: State) -> Any:
        """The result of the experiment of a state, made now unless it is known."""
        key = self._key(state)
        if self._experiment and key not in self._results:
            with one_thread():
                self._results[key] = self._experiment(**dict(zip(self._decides, key, strict=True)))
        return self._results.get(key)

    def _frame(self, state: State, result: Any) -> Fields:
        with one_thread():
            return self._picture(state, result)

    def _on_knob(self, _: Any = None) -> None:
        with self._lock:
            state = self.state()
            known = not self._experiment or self._key(state) in self._results
            if known:
                self._shown = self._results.get(self._key(state))
            frame = self._frame(state, self._shown)
            self.show(frame=frame if known else {**frame, "status": WAITING})
            if not known and self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True)
                self._worker.start()

    def _work(self) -> None:
        state, failed = self.state(), None
        try:
            self._made(state)
        except Exception as error:  # said where the reader looks: nobody sees what a thread raises
            failed = error
        with self._lock:
            self._worker = None
            if failed and self._key(self.state()) == self._key(state):
                self.show(frame={**self.frame, "status": f"not computed: {failed}"})
            else:
                self._on_knob()  # which makes another experiment if a knob has moved meanwhile

    def static(self) -> HTML:
        """The panel with a slider for each knob of its sweep, the others as they stand, as one HTML block."""
        state = self.state()
        stops = {name: _with(list(values), state[name]) for name, values in self._sweeps.items()}
        states = [state | dict(zip(stops, values, strict=True)) for values in product(*stops.values())]
        sliders = [
            Slider(self.knobs[name].description, [f"{value:.3g}" for value in values], values.index(state[name]))
            for name, values in stops.items()
        ]
        return block(self._name, self.scene, [self._frame(now, self._made(now)) for now in states], sliders)


def _with(values: list[float], current: float) -> list[float]:
    """The values with the nearest one replaced by the current one."""
    nearest = min(range(len(values)), key=lambda place: abs(values[place] - current))
    return [*values[:nearest], current, *values[nearest + 1 :]]
