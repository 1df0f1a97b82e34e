"""SpherePanel: free points on a circle or a sphere, moving as a loss of the catalogue pulls them."""

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
import torch
from IPython.display import HTML
from torch import Generator

from cl_explore import losses
from cl_explore.losses import Knob, Loss
from cl_explore.takes import Seed, takes
from cl_explore.widgets.controls import WIDE, controls, dial, families, loss_menu
from cl_explore.widgets.descent import Batches, measure, move, pull, scatter
from cl_explore.widgets.film import FILM, SPAN, film, looks, sphere_picture, stops
from cl_explore.widgets.interrupts import heed, ignore
from cl_explore.widgets.knobs import one_thread
from cl_explore.widgets.panel import Panel, free, row
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.wire import Slider, static_block

FRAME_SECONDS = 1 / 34  # for thirty: of two frames that come within one of the page's, it draws one
AHEAD = 8  # frames that may be under way to the page
TURN_SECONDS = 0.01
MOST_POINTS = 2000
SAMPLES = (12, 24, 48, 96, 192, 500, 1000)
MOST_FILMED = 500  # points up to which a page without a kernel gets several films
PATIENCE = 200  # turns without an answer from the page after which the animation stops: about two seconds


class SpherePanel(Panel):
    """Watch a loss move points: choose it, turn its knobs, start, pause, step and reset.

    Each of `samples` samples has `views` free points on the circle (`dim=2`) or the sphere (`dim=3`), 2,000 in all at
    most, in `classes` classes, the largest `imbalance` times the smallest; a share of `duplicates` are exact copies of
    other samples. The points make steps of plain gradient descent of size `lr`. Where one step for all points would
    take too long to be watched, a step sees a batch of samples, drawn without replacement; the read-out says so.
    Everything may be changed at any time, from code as well: `panel.knobs["temperature"].value = 0.1`. Raises
    ValueError for an unknown loss, a dim other than 2 and 3, and numbers outside their ranges.
    """

    _moving: object | None = None  # the one animation that may go on

    @takes
    def __init__(
        self,
        loss: str | Loss = "nt_xent",
        *,
        dim: int = 2,
        samples: int = 96,
        views: int = 2,
        classes: int = 4,
        imbalance: float = 1.0,
        duplicates: float = 0.0,
        lr: float = 0.02,
        seed: Seed = 0,
    ) -> None:
        if dim not in (2, 3):
            raise ValueError(f"dim must be 2 (circle) or 3 (sphere), got {dim}")
        if views < 2:
            raise ValueError(f"views must be at least 2, got {views}")
        if not 4 <= samples <= MOST_POINTS // views:
            raise ValueError(f"samples must be 4 to {MOST_POINTS // views} ({MOST_POINTS} points), got {samples}")
        if not 2 <= classes <= samples // 2:
            raise ValueError(f"classes must be at least 2 and at most half the samples ({samples}), got {classes}")
        self._views, self._classes, self._seed = views, classes, seed
        self.loss = loss_menu(views, losses.get(loss))
        self.surface = ipywidgets.Dropdown(options={"circle": 2, "sphere": 3}, value=dim, description="on the")
        counts = {count for count in SAMPLES if 2 * classes <= count <= MOST_POINTS // views} | {samples}
        self.samples = ipywidgets.SelectionSlider(
            options=sorted(counts), value=samples, description="samples", tooltip=f"each has {views} points", style=WIDE
        )
        self.imbalance = dial(
            Knob("imbalance", 1, 100, log=True, help="size of the largest class over that of the smallest"), imbalance,
            step=0.05,
        )  # fmt: skip
        copies = Knob("duplicates", 0, 0.9, help="share of samples that are exact copies and stay with others")
        self.duplicates = dial(copies, duplicates, step=0.05, readout_format=".1%")
        reach = Knob("lr", 0.001, 1, log=True, help="how far a point moves for a unit of force, in radians")
        self.lr = dial(reach, lr, "step size", 0.05)
        self.labels = ipywidgets.Checkbox(value=True, description="classes", indent=False, layout={"width": "90px"})
        self.arrows = ipywidgets.Checkbox(value=False, description="arrows", indent=False, layout={"width": "90px"})
        self.buttons = {
            name: ipywidgets.Button(description=name, icon=icon, layout={"width": "90px"})
            for name, icon in {"start": "play", "pause": "pause", "step": "step-forward", "reset": "refresh"}.items()
        }
        self._knob_box = row()
        self._lock = threading.Lock()  # JupyterLab's messages arrive in another thread than the cells': draw one by one
        self._sent = self._seen = 0  # number of the last frame that was sent, and that the page has drawn
        self._history: deque[tuple[float, ...]] = deque(maxlen=SPAN)
        super().__init__(
            [
                row(self.loss, self.surface, self.samples),
                self._knob_box,
                row(self.imbalance, self.duplicates),
                row(*self.buttons.values(), self.labels, self.arrows),
            ],
            {},
        )
        self.canvas.families = families(self.loss)
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: getattr(self, name)())
        self.loss.observe(lambda _: self._on_loss(), "value")
        for control in (self.surface, self.samples, self.imbalance, self.duplicates):
            control.observe(lambda _: self.reset(), "value")
        self.labels.observe(lambda _: self._draw(new_looks=True), "value")
        self.arrows.observe(lambda _: self._draw(), "value")
        self.canvas.on_msg(self._on_message)
        self._take_knobs()
        self.reset()

    def reset(self) -> None:
        """Stop, and put the points back to where they began."""
        self.pause()
        generator = Generator().manual_seed(self._seed)
        with self._lock:
            self._start = self.points = scatter(
                self.samples.value, self._views, self.surface.value, self._classes, generator,
                imbalance=self.imbalance.value, duplicates=self.duplicates.value,
            )  # fmt: skip
            self._force = torch.zeros_like(self.points.z)
            self._batches, self._generator = Batches(self.samples.value, generator), generator
            self._history.clear()
        self._draw(new_looks=True)

    def step(self) -> None:
        """Make one step."""
        self._draw(steps=True)

    def start(self) -> None:
        """Keep stepping, about thirty times a second, until `pause`, an interrupt of the kernel, or until no page
        shows the panel any more.

        Raises RuntimeError where no event loop runs; a notebook has one.
        """
        if self._moving is None:
            loop = asyncio.get_running_loop()
            self._moving = object()
            self._task = loop.create_task(self._run(self._moving))  # kept: the loop itself holds tasks only weakly

    def pause(self) -> None:
        """Stop after the step being made."""
        if self._moving is not None:
            self._moving = None
            if self.picture is not None:
                self.show(self.picture)

    def close(self) -> None:
        """Stop, and take the panel off the page."""
        self.pause()
        super().close()

    async def _run(self, animation: object) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.call_soon_threadsafe(self.pause)

        self._seen, due = self._sent, loop.time()
        try:
            while self._moving is animation:
                self._in_main(heed, stop)
                self._sent += 1
                if not self._draw(steps=True) or not await self._watched():
                    return self.pause()
                due = max(due + FRAME_SECONDS, loop.time() - FRAME_SECONDS)  # a late frame delays the next ones little
                await asyncio.sleep(max(0.0, due - loop.time()))
        finally:
            self._in_main(ignore, stop)

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        self._seen = int(content["drawn"])

    async def _watched(self) -> bool:
        """Wait until the page has drawn all but the last few frames; False if nobody draws them."""
        for _ in range(PATIENCE):  # turns and not seconds, as a kernel kept busy by a cell is not a closed page
            if self._sent - self._seen < AHEAD:
                return True
            await asyncio.sleep(TURN_SECONDS)
        return False

    def _take_knobs(self) -> None:
        old, self.knobs = self.knobs, controls(self.loss.value)
        self._setting = (self.loss.value, self.knobs)  # at once, or a step in between would mix two losses
        for knob in self.knobs.values():
            knob.observe(lambda _: self._draw(), "value")
        self._knob_box.children = (*self.knobs.values(), self.lr)
        for knob in old.values():
            free(knob)
        self._history.clear()

    def _on_loss(self) -> None:
        self._take_knobs()
        self._batches = Batches(self.samples.value, self._generator)
        self._draw(new_looks=True)

    def _chosen(self) -> tuple[Loss, dict[str, Any]]:
        loss, knobs = self._setting
        return loss, {name: knob.value for name, knob in knobs.items()}

    def _draw(self, *, steps: bool = False, new_looks: bool = False) -> bool:
        """Measure and show the points, after one step if `steps`; False if the loss could not be computed."""
        with self._lock, one_thread():
            loss, knobs = self._chosen()
            try:
                points = move(self.points, self._force, self.lr.value) if steps else self.points
                began = time.perf_counter()
                value, force = pull(points, loss, knobs, self._batches.draw())
                self._batches.took(time.perf_counter() - began)
            except Exception as error:  # a loss being written may raise anything: say it where the reader looks
                if self.picture is None:
                    raise
                self.show(replace(self.picture, status=f"not computed: {error}"))
                return False
            if self._history and not steps:
                self._history.pop()
            self._history.append(measure(points, value))
            self.points, self._force = points, force
            if new_looks:
                self._looks = looks(points, loss, self.labels.value)
            some = self._batches.size < len(points.z)
            picture = sphere_picture(
                points, np.array(self._history), self._looks, force=force if self.arrows.value else None,
                batch=f"{self._batches.size} of {len(points.z)} samples" if some else "",
            )  # fmt: skip
            self.show(picture, self._sent if self._moving else 0)
            return True

    def static(self) -> HTML:
        """200 steps from the beginning, for five values of the loss's first sliding knob (more than 500 points: for the
        present one), as one HTML block."""
        loss, knobs = self._chosen()
        sweep = next((knob for knob in loss.knobs if isinstance(knob, Knob)), None)
        if self._start.z[..., 0].numel() > MOST_FILMED:
            sweep = None
        settings = [{**knobs, sweep.name: value} for value in stops(sweep, knobs[sweep.name])] if sweep else [knobs]
        look = looks(self._start, loss, self.labels.value)
        films: list[list[Picture]] = []
        shown: list[dict[str, Any]] = []
        for setting in settings:
            with suppress(ValueError):  # a stop may be illegal beside the other knobs
                with one_thread():
                    films.append(film(self._start, loss, setting, self.lr.value, look, self.arrows.value))
                shown.append(setting)
        if not films:
            raise ValueError(f"{loss.name} cannot be computed with {knobs}")
        sliders = [Slider("step", [str(step) for step in FILM], len(FILM) // 2, play=True)]
        if sweep:
            texts = [f"{setting[sweep.name]:.3g}" for setting in shown]
            sliders.insert(0, Slider(sweep.name.replace("_", " "), texts, shown.index(knobs) if knobs in shown else 0))
        return static_block([picture for film in films for picture in film], sliders)
