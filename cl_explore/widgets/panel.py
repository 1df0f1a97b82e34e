"""Panels: controls above a picture that is a function of them, live in a notebook and still where no kernel runs."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import anywidget
import ipywidgets
import traitlets
from IPython.display import HTML, display

from cl_explore.widgets.knobs import one_thread
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.still import png
from cl_explore.widgets.wire import Slider, renderer, source, static_block, to_buffer

State = dict[str, Any]
"""Where the knobs stand, by their names."""
WAITING = "The experiment is being made again for {}; until then its last result is shown."


class Canvas(anywidget.AnyWidget):
    """A picture in the page of a live notebook.

    spec, data: the picture as text and buffer.
    tick: the number of a frame of an animation, which the page answers with `{"drawn": tick}`; 0 where nothing moves.
    moved: the knobs that the reader has set on the picture, with their values, and the how-manieth time it is.
    sheet: the small pictures that the pointer shows, see `thumbnails.sprite_sheet`.
    families: under what the page shows each option of the panel's menus that has a heading, by the option's text.
    """

    _esm = f"{renderer()}\nexport default {{ render: live }};"
    _css = source("picture.css")
    spec = traitlets.Unicode().tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)
    tick = traitlets.Int(0).tag(sync=True)
    moved = traitlets.Dict().tag(sync=True)
    sheet = traitlets.Dict().tag(sync=True)
    families = traitlets.Dict().tag(sync=True)

    def show(self, picture: Picture, tick: int = 0) -> None:
        """Draw a picture."""
        with self.hold_sync():
            self.spec, self.data = to_buffer(picture)
            self.tick = tick


def row(*controls: ipywidgets.Widget) -> ipywidgets.Box:
    """Controls side by side, in more lines where the page is narrow."""
    return ipywidgets.Box(controls, layout={"flex_flow": "row wrap", "width": "100%", "max_width": "900px"})


class Panel(ipywidgets.VBox):
    """Controls above a picture.

    A subclass calls `show` with what its controls make, and writes `static`; `picture` is what is shown now. Marks that
    are dragged or clicked set the `knobs` they name.
    """

    _hidden: Sequence[ipywidgets.Widget] = ()  # what the panel has made besides what it shows, freed with it

    def __init__(self, controls: Sequence[ipywidgets.Widget], knobs: Mapping[str, ipywidgets.Widget]) -> None:
        self.canvas = Canvas()
        self.picture: Picture | None = None
        self.knobs = dict(knobs)
        self._main: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):  # outside a notebook
            self._main = asyncio.get_running_loop()
        super().__init__([row(*controls), self.canvas])
        self.add_class("clx-panel")
        self.canvas.observe(self._on_moved, "moved")

    def show(self, picture: Picture, tick: int = 0) -> None:
        """Draw a picture; `tick` numbers the frames of an animation."""
        self.picture = picture
        self.canvas.show(picture, tick)

    def static(self) -> HTML:
        """The panel as one HTML block that needs neither a kernel nor a network."""
        raise NotImplementedError

    def close(self) -> None:
        """Take the panel off the page and free all that it holds."""
        for widget in (*self._hidden, self):
            free(widget)

    def take(self, name: str, value: Any) -> None:
        """Set a knob to the value that the reader has given it on the picture, or to the nearest it can have."""
        knob = self.knobs[name]
        if isinstance(knob, ipywidgets.SelectionSlider):
            value = min((stop for _, stop in knob.options), key=lambda stop: abs(stop - value))
        elif isinstance(knob, ipywidgets.FloatLogSlider):
            value = min(max(value, knob.base**knob.min), knob.base**knob.max)
        elif hasattr(knob, "min"):
            steps = round((min(max(value, knob.min), knob.max) - knob.min) / knob.step)
            value = min(knob.min + steps * knob.step, knob.max)
        knob.value = value

    def _in_main(self, call: Callable[[Callable[[], None]], None], stop: Callable[[], None]) -> None:
        """Have the main thread call it, which alone may handle interrupts: JupyterLab's messages come in another."""
        if self._main is not None and self._main.is_running():
            self._main.call_soon_threadsafe(call, stop)

    def _on_moved(self, change: Any) -> None:
        for name, value in change["new"]["knobs"].items():
            self.take(name, value)

    def _ipython_display_(self) -> None:
        assert self.picture is not None
        alt = self.picture.alt
        still, about = {"image/png": png(self.picture), "text/plain": alt}, {"image/png": {"alt": alt}}
        if "CL_EXPLORE_STATIC" in os.environ:
            display(still | {"text/html": self.static().data}, raw=True, metadata=about)
            return
        # First the still picture, which the page hides once the panel is drawn: code hosts, nbconvert and a notebook
        # that is opened again have nothing else to show.
        display(still, raw=True, metadata=about)
        # In Colab the canvas knows which widget manager must be fetched to show it; the box around it does not.
        _, metadata = self.canvas._repr_mimebundle_() or ({}, {})
        display((self._repr_mimebundle_() or {}) | {"text/plain": ""}, raw=True, metadata=metadata)


def free(widget: ipywidgets.Widget) -> None:
    """Close a widget and all that it is made of."""
    for part in list(_parts(widget)):
        part.unobserve_all()
        ipywidgets.Widget.close(part)


def _parts(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """The widget and all that it is made of, down to layouts and styles."""
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, ipywidgets.Widget):
                yield from _parts(part)
    yield widget


class KnobPanel(Panel):
    """A panel that shows `picture(state)`, where `state` holds the values of the knobs.

    knobs: controls by name, as `dial`, `counter` and `menu` make them; setting their `value` from code draws too.
    picture: a function of the state; with an experiment `picture(state, made)`, where `made` is its result.
    sweeps: which knobs move on a page without a kernel, and where they stop.
    experiment: called with the knobs named in `decides`; it may take a second. The panel makes it in a thread, shows
        the last result until then and says so, and keeps every result; of several that wait only the newest is made.
    """

    def __init__(
        self,
        knobs: Mapping[str, ipywidgets.Widget],
        picture: Callable[..., Picture],
        *,
        sweeps: Mapping[str, Iterable[Any]],
        experiment: Callable[..., Any] | None = None,
        decides: Sequence[str] = (),
    ) -> None:
        super().__init__(list(knobs.values()), knobs)
        self._draw, self._experiment, self._decides, self._sweeps = picture, experiment, decides, sweeps
        self._results: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.RLock()  # the experiment draws from its thread, and JupyterLab's messages from another
        self._worker: threading.Thread | None = None
        self._shown = self._made(self.state())
        self.show(self._picture(self.state(), self._shown))
        for knob in self.knobs.values():
            knob.layout.width = "350px"
            knob.observe(self._on_knob, "value")

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

    def static(self) -> HTML:
        """The panel with a slider for each knob of its sweep, the others as they stand, as one HTML block."""
        state = self.state()
        # For a page that nobody reads no experiment is made, and only the other knobs move on it.
        still = self._decides if os.environ.get("CL_EXPLORE_STATIC") == "made" else ()
        sweeps = {name: list(values) for name, values in self._sweeps.items() if name not in still}
        stops = {name: with_current(values, state[name]) for name, values in sweeps.items()}
        states = [state | dict(zip(stops, values, strict=True)) for values in product(*stops.values())]
        sliders = [
            Slider(
                label=self.knobs[name].description,
                stops=[value if isinstance(value, str) else f"{value:.3g}" for value in values],
                start=values.index(state[name]),
                menu=isinstance(values[0], str),
                name=name,
                values=[] if isinstance(values[0], str) else [float(value) for value in values],
            )
            for name, values in stops.items()
        ]
        return static_block([self._picture(now, self._made(now)) for now in states], sliders)

    def _key(self, state: State) -> tuple[Any, ...]:
        return tuple(round(v, 9) if isinstance(v, float) else v for v in (state[name] for name in self._decides))

    def _made(self, state: State) -> Any:
        """The result of the experiment of a state, made now unless it is known."""
        key = self._key(state)
        if self._experiment and key not in self._results:
            with one_thread():
                self._results[key] = self._experiment(**dict(zip(self._decides, key, strict=True)))
        return self._results.get(key)

    def _picture(self, state: State, made: Any) -> Picture:
        with one_thread():
            return self._draw(state, made) if self._experiment else self._draw(state)

    def _on_knob(self, _: Any = None) -> None:
        with self._lock:
            state = self.state()
            known = not self._experiment or self._key(state) in self._results
            if known:
                self._shown = self._results.get(self._key(state))
            picture = self._picture(state, self._shown)
            self.show(picture if known else replace(picture, status=self._waiting(state)))
            if not known and self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True)
                self._worker.start()

    def _waiting(self, state: State) -> str:
        """What is awaited, by name: so the page answers each move, even one that leaves the picture as it is."""
        said = {self.knobs[name].description: state[name] for name in self._decides}
        return WAITING.format(", ".join(f"{k} {v if isinstance(v, str) else f'{v:.3g}'}" for k, v in said.items()))

    def _work(self) -> None:
        state, failed = self.state(), None
        try:
            self._made(state)
        except Exception as error:  # said where the reader looks: nobody sees what a thread raises
            failed = error
        with self._lock:
            self._worker = None
            if self.canvas.comm is None:  # closed
                return
            if failed and self._key(self.state()) == self._key(state):
                assert self.picture is not None
                self.show(replace(self.picture, status=f"not computed: {failed}"))
            else:
                self._on_knob()  # which makes another experiment if a knob has moved meanwhile


def with_current(values: list[Any], current: Any) -> list[Any]:
    """The values with the current one among them, instead of the nearest if they are numbers."""
    if current in values:
        return values
    nearest = min(range(len(values)), key=lambda place: abs(values[place] - current))
    return [*values[:nearest], current, *values[nearest + 1 :]]
