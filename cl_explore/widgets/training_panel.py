"""TrainingPanel: train a network and turn the knobs of its loss while it learns."""

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import ipywidgets
from IPython.display import HTML

from cl_explore import data, losses
from cl_explore.data import Dataset
from cl_explore.losses import Knob, Loss
from cl_explore.takes import Seed, takes
from cl_explore.train import Run
from cl_explore.widgets.controls import control, controls, counter, dial, families, loss_menu
from cl_explore.widgets.interrupts import heed, ignore
from cl_explore.widgets.learning import training_picture
from cl_explore.widgets.live import ENCODERS, VIEWS, LiveTraining
from cl_explore.widgets.panel import Panel, free, row
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.wire import Slider, static_block

RECORDED = 160  # steps of the training that a page without a kernel shows
BATCHES = (32, 64, 128, 256, 512)
RATES = (1e-4, 1e-1)


class TrainingPanel(Panel):
    """Choose data, loss and encoder; start, pause, go on, and turn the knobs of the loss while it trains.

    Knobs of the loss and the strength of the views take effect at once; another data set, loss, encoder, batch size,
    learning rate or number of epochs begins anew. `data_set` is a name that `cl_explore.data.load` knows, or a Dataset;
    `start`, `pause`, `reset` and `stop` are the buttons, and `stop` gives the Run that was trained. Nothing of it goes
    into the run store, since a training whose settings change is not one that could be found again. Raises ValueError
    for an unknown data set, loss or encoder, or settings that do not go together.
    """

    _going: object | None = None  # the one training that may go on
    _status = ""

    @takes
    def __init__(
        self,
        data_set: str | Dataset = "digits",
        loss: str | Loss = "nt_xent",
        encoder: str = "MLP",
        *,
        epochs: int = 200,
        batch_size: int = 128,
        lr: float = 2e-3,
        seed: Seed = 0,
    ) -> None:
        # One thread that works while the kernel answers. Its turns are short and the state is whole between them; knobs
        # wait for the next turn, and an interrupt of the kernel, which only its main thread sees, cuts no step in two.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="training")
        self._lock = threading.RLock()  # JupyterLab handles two buttons, pressed shortly one after the other, at once
        if encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got {encoder!r}")
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        own = data_set if isinstance(data_set, Dataset) else data.load(data_set)
        self._seed, self._own, self._data = seed, own, own
        self.live: LiveTraining | None = None
        self.run: Run | None = None
        self.knobs: dict[str, ipywidgets.Widget] = {}
        third = {"layout": {"width": "280px"}}
        self.loss = loss_menu(2, losses.get(loss), **third)
        self.data = ipywidgets.Dropdown(
            options=list(dict.fromkeys([own.name, *data.names()])), description="data", **third
        )
        self.encoder = ipywidgets.Dropdown(options=list(ENCODERS), value=encoder, description="encoder", **third)
        self.batch_size = ipywidgets.Dropdown(
            options=sorted({*BATCHES, batch_size}),
            value=batch_size,
            description="batch",
            tooltip="samples a step",
            **third,
        )
        self.lr = dial(
            Knob("lr", *RATES, log=True, help="size of the optimiser's (Adam) steps at the beginning"),
            lr, "learning rate", 0.1, continuous_update=False,
        )  # fmt: skip
        seen = Knob("epochs", 1, max(500, epochs), help="times that all samples are seen")
        self.epochs = counter(seen, epochs, continuous_update=False)
        self.strength = control(Knob(VIEWS, 0.0, 2.0, help="how hard the views are distorted; 1 is as usual"), 1.0)
        icons = {"start": "play", "pause": "pause", "reset": "refresh", "stop": "stop"}
        self.buttons = {
            name: ipywidgets.Button(description=name, icon=icon, layout={"width": "90px"})
            for name, icon in icons.items()
        }
        self._knob_box = row()
        choices = row(self.data, self.loss, self.encoder)
        settings = row(self.batch_size, self.lr, self.epochs)
        super().__init__([choices, settings, self._knob_box, row(*self.buttons.values())], {})
        self.canvas.families = families(self.loss)
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: getattr(self, name)())
        for chosen in (self.encoder, self.batch_size, self.lr, self.epochs):
            chosen.observe(lambda _: self.reset(), "value")
        self.data.observe(lambda _: self._on_data(), "value")
        self.loss.observe(lambda _: self._on_loss(), "value")
        self.strength.observe(lambda _: self._turn(), "value")
        self._on_loss()
        if self.live is None:
            raise ValueError(self._problem)

    def start(self) -> None:
        """Train, or go on; once a training is over, begin anew. RuntimeError where no event loop runs."""
        with self._lock:
            if self._going is not None:
                return
            loop = asyncio.get_running_loop()
            if self.live is None or self.run is not None:
                self.reset()
            if self.live is not None:
                self._going = object()
                self._show_state("training")
                # kept, since the loop holds tasks only weakly
                self._task = loop.create_task(self._train(self._going, self.live))

    def pause(self) -> None:
        """Rest once the turn being worked has ended; `start` goes on from there."""
        with self._lock:
            if self._going is not None:
                self._going = None
                assert self.live is not None
                self._worker.submit(int).result()  # comes when the turn has ended
                self.picture = training_picture(self.live, self.live.looks[-1])
                self._show_state("paused")

    def reset(self) -> None:
        """Begin anew, with the settings as they stand, from the weights of the seed."""
        with self._lock:
            self._going = self.run = None
            self._show_state("a new training is being made ...")
            try:
                # in the worker, since the turn being worked must end first: both need the global random state
                self.live = self._worker.submit(self._build).result()
            except Exception as error:  # a loss being written may raise anything: say it where the reader looks
                self.live, self._problem = None, str(error)
                return self._show_state(f"not possible: {error}")
            self.show(training_picture(self.live, self.live.looks[-1]))
            self._show_state("ready")

    def stop(self) -> Run | None:
        """End the training and keep what it has made as `run`; the next `start` begins anew."""
        with self._lock:
            self._going = None
            if self.live is not None:
                self._finish(self.live)
            return self.run

    def close(self) -> None:
        """Rest, and take the panel off the page."""
        self._going = None
        if hasattr(self, "_worker"):  # not so where an argument was refused
            self._worker.shutdown(wait=False)
        super().close()

    def _build(self) -> LiveTraining:
        return LiveTraining(
            self._data, self.loss.value, self.encoder.value, strength=self.strength.value, seed=self._seed,
            knobs={name: knob.value for name, knob in self.knobs.items()},
            epochs=self.epochs.value, batch_size=self.batch_size.value, lr=self.lr.value,
        )  # fmt: skip

    async def _train(self, going: object, live: LiveTraining) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.call_soon_threadsafe(self.pause)

        try:
            while self._going is going and not live.over:
                self._in_main(heed, stop)
                look = await loop.run_in_executor(self._worker, live.work)
                with self._lock:
                    if self.live is live:
                        self._show(training_picture(live, look))
            with self._lock:
                if self._going is going:
                    self._going = None
                    self._finish(live)
        except Exception as error:  # from the loss, or FloatingPointError from the loop, which says what to do
            if self.live is live:
                self._going = None
                self._show_state(f"stopped: {error}")
        finally:
            self._in_main(ignore, stop)
            if self._going is going:  # an interrupt of the kernel: the worker ends its turn, the state is whole
                self.pause()

    def _finish(self, live: LiveTraining) -> None:
        try:
            self.run = self._worker.submit(live.run).result()
        except FloatingPointError as error:
            return self._show_state(f"stopped: {error}")
        self._show_state(f"ended at step {live.loop.step}; the run is panel.run, start begins again")

    def _show(self, picture: Picture) -> None:
        """Draw a picture with the sentence that stands below it."""
        self.show(replace(picture, status=self._status), int(self._going is not None))

    def _show_state(self, status: str) -> None:
        going, self._status = self._going is not None, status
        self.buttons["start"].disabled, self.buttons["pause"].disabled = going, not going
        if self.picture is not None:
            self._show(self.picture)

    def _turn(self) -> None:
        if self.live is not None and self.run is None:
            try:
                self.live.turn({name: knob.value for name, knob in self.knobs.items()}, self.strength.value)
            except Exception as error:  # a loss being written may raise anything
                self._show_state(f"not taken, training goes on as before: {error}")

    def _on_data(self) -> None:
        try:
            self._data = self._own if self.data.value == self._own.name else data.load(self.data.value)
        except Exception as error:  # files that are not there
            return self._show_state(f"{self.data.value} cannot be loaded: {error}")
        self.reset()

    def _on_loss(self) -> None:
        old, self.knobs = self.knobs, controls(self.loss.value)
        for knob in self.knobs.values():
            knob.observe(lambda _: self._turn(), "value")
        self._knob_box.children = (*self.knobs.values(), self.strength)
        for knob in old.values():
            free(knob)
        self.reset()

    def static(self) -> HTML:
        """The training so far, or one of RECORDED steps if it has not begun, with a slider over its steps."""
        live = self.live
        if live is None:
            raise ValueError(f"there is no training to show: {self._problem}")
        if len(live.looks) < 2:
            live = self._worker.submit(self._record).result()
        looks = list(live.looks)
        slider = Slider("step", [str(look.step) for look in looks], len(looks) - 1, play=True)
        return static_block([training_picture(live, look) for look in looks], [slider])

    def _record(self) -> LiveTraining:
        live = self._build()
        while live.loop.step < RECORDED and not live.over:
            live.work(math.inf, steps=4)
        return live
