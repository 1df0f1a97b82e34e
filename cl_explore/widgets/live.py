"""A training that is looked at while it goes on: it works in short turns, and its knobs turn in between."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from cl_explore import geometry
from cl_explore.data import Dataset
from cl_explore.data.kinds import Image
from cl_explore.evaluate import embed
from cl_explore.losses import Loss
from cl_explore.methods import JointEmbedding
from cl_explore.nn import MLP, ConvNet, projection_head
from cl_explore.plots.layouts import layout, turned
from cl_explore.train import Loop, Run
from cl_explore.views import Views
from cl_explore.widgets.neighbourhood import vote

MEASURES = ("loss", "−uniformity", "tolerance", "kNN accuracy")
VIEWS = "view strength"
SHOWN = 400  # samples that are embedded at every look
LOOKS, CURVE = 60, 240  # kept of one training, with and without a map; then every second one is let go
ENCODERS: dict[str, Callable[[Dataset], Any]] = {
    "MLP": lambda dataset: MLP([dataset.x[0].numel(), 128, 64]),
    "wide MLP": lambda dataset: MLP([dataset.x[0].numel(), 512, 512, 128]),
    "linear": lambda dataset: MLP([dataset.x[0].numel(), 64]),
    "ConvNet": lambda dataset: ConvNet(dataset.x.shape[1], width=16),
}


class Look(NamedTuple):
    """A training at one moment: its step, one number for each of its measures, and a map (n, 2) of shown samples."""

    step: int
    numbers: tuple[float, ...]
    points: NDArray[np.float32]


class Turn(NamedTuple):
    """A knob that was turned while training: at which step, which one, and to what."""

    step: int
    name: str
    value: str


def legal(loss: Loss, knobs: dict[str, Any]) -> None:
    """Raise what the loss raises when its knobs do not go together, by computing it for a handful of points."""
    z = torch.randn(8, 2, 4, generator=torch.Generator().manual_seed(0))
    loss.on_views(z, torch.arange(8) % 4, torch.arange(8), **knobs)


class LiveTraining:
    """Trains an encoder (a name of ENCODERS) on `dataset`, `work` by `work`; between two of them its state is whole.

    `settings` are those of `train.Loop`. Equal seeds, and no knob turned, train the same.
    """

    def __init__(
        self,
        dataset: Dataset,
        loss: Loss,
        encoder: str,
        *,
        knobs: dict[str, Any],
        strength: float,
        seed: int,
        **settings: Any,
    ) -> None:
        if isinstance(dataset.x, dict):
            raise ValueError(f"dataset must have samples of one part, got {', '.join(dataset.x)} of {dataset.name}")
        if encoder == "ConvNet" and not isinstance(dataset.modality, Image):
            found = dataset.modality.name.removesuffix("s")
            raise ValueError(f"encoder 'ConvNet' needs images, got the {found}s of {dataset.name}")
        self._loss = loss
        legal(loss, knobs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            body = ENCODERS[encoder](dataset)
            head: nn.Module = projection_head(body.out_features, 64, 32)
        self.augment = dataset.modality.weak(dataset.x)
        self.method = JointEmbedding(body, head, loss, self._views(strength), **knobs)
        self.loop = Loop(self.method, dataset, seed=seed, **settings)
        rows = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:SHOWN]
        self.shown = dataset.subset(rows.sort().values)
        self._known = self.shown.labels >= 0
        self.measures = MEASURES if len(self.shown.labels[self._known].unique()) > 1 else MEASURES[:2]
        self.over = False
        self.turns: list[Turn] = []
        self.looks: list[Look] = []
        self.curve: list[tuple[float, ...]] = []  # step and numbers of more looks than are kept
        self._stand = {**self.method.knobs, VIEWS: strength}
        self._wanted: dict[str, Any] = {}
        batch = self.shown.batch(torch.arange(min(len(self.shown), self.loop.settings.batch_size)))
        with torch.no_grad():
            self._losses = [self.method.eval().step(batch, torch.Generator(batch.x.device).manual_seed(seed)).loss]
        self.look()

    def turn(self, knobs: dict[str, Any], strength: float) -> None:
        """Have knobs and views stand so from the next `work` on; raises what loss or views raise if they cannot."""
        legal(self._loss, self.method.knobs | knobs)
        self._views(strength)
        self._wanted = {**knobs, VIEWS: strength}

    def work(self, seconds: float = 0.06, steps: float = math.inf) -> Look:
        """Train for about so long or so many steps, at least one, and look; sets `over` at the end of the training.

        Seconds are those that the processor works: on a busy machine, looks would else take more of it than steps.
        """
        self._take_turns()
        end, last = time.thread_time() + seconds, self.loop.step + steps
        for progress in self.loop:
            self._losses.append(progress.loss)
            if time.thread_time() > end or progress.step >= last:
                break
        self.over = self.loop.step == self.loop.total
        return self.look()

    def look(self) -> Look:
        """Embed the shown samples and measure them; FloatingPointError if the loss is not finite."""
        if self.loop.step:
            self.loop.read()
        z, labels, known = F.normalize(embed(self.method, self.shown).z, dim=1), self.shown.labels, self._known
        numbers = [torch.stack(self._losses).mean().item() if self._losses else self.looks[-1].numbers[0]]
        self._losses = []
        numbers.append(-geometry.uniformity(z).item())
        if self.measures == MEASURES:
            right = vote(z, labels).prediction == labels.numpy()
            numbers += [geometry.tolerance(z[known], labels[known]).item(), float(right[known.numpy()].mean())]
        points = layout(z[None], "pca").points[0]
        if self.looks:
            points = turned(points, self.looks[-1].points).astype(np.float32)
        now = Look(self.loop.step, tuple(numbers), points)
        self.looks.append(now)
        self.curve.append((now.step, *numbers))
        if len(self.looks) > LOOKS:
            del self.looks[1:-1:2]
        if len(self.curve) > CURVE:
            del self.curve[1:-1:2]
        return now

    def run(self) -> Run:
        """What has been trained so far."""
        return self.loop.run()

    def _views(self, strength: float) -> Views[Any]:
        return replace(self.augment, strength=strength * self.augment.strength)

    def _take_turns(self) -> None:
        for name, value in self._wanted.items():
            if value == self._stand[name]:
                continue
            self._stand[name] = value
            if name == VIEWS:
                self.method.augment = self._views(value)
            else:
                self.method.knobs[name] = value
            if self.loop.step:
                self._record(name.replace("_", " "), value if isinstance(value, str) else f"{value:.3g}")

    def _record(self, name: str, value: str) -> None:
        turn, last = Turn(self.loop.step, name, value), self.turns[-1] if self.turns else None
        # a slider that is dragged makes many turns: the last one counts, from where the dragging began
        if last and last.name == name and turn.step - last.step < 0.04 * self.loop.total:
            turn = self.turns.pop()._replace(value=value)
        self.turns.append(turn)
