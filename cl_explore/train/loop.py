"""The training loop, one step of the optimiser at a time."""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from cl_explore.data import Batch, Dataset
from cl_explore.evaluate import embed, embed_views
from cl_explore.evaluate.embedding import MISFIT
from cl_explore.methods import Method
from cl_explore.methods.gather import shared_out
from cl_explore.takes import takes
from cl_explore.train.feed import batches, outline, sample, settle, sort
from cl_explore.train.health import LEFT_OUT, CollapseWatch, require_learners
from cl_explore.train.key import key
from cl_explore.train.log import Log
from cl_explore.train.randomness import OwnRandomness, fastest_convolutions
from cl_explore.train.ranks import from_all, make_fabric, synchronise_batch_norm
from cl_explore.train.run import Film, Progress, Run, snapshot_steps
from cl_explore.train.schedule import factor, make_optimizer
from cl_explore.train.settings import Settings
from cl_explore.train.validation import Validation


class Loop:
    """A run to be iterated over: each turn takes one step of the optimiser and gives a `Progress`.

    The iteration may be left at any step and taken up again, by the same loop or, through `state_dict`, by another one.
    Between steps the method is in training mode, when the iteration ends in evaluation mode; its knobs may be turned
    at any time. The global random state is as the caller left it.

    >>> from cl_explore import data, methods, nn, train, views
    >>> head = nn.projection_head(64, 32, 16)
    >>> method = methods.JointEmbedding(nn.MLP([64, 64]), head, "nt_xent", views.ImageViews.weak())
    >>> loop = train.Loop(method, data.load("digits"), epochs=1)
    >>> [progress.step for progress in loop]
    [1, 2, 3, 4, 5]
    """

    @takes
    def __init__(
        self,
        method: Method,
        dataset: Dataset,
        *,
        snapshot_data: Dataset | None = None,
        validation: Dataset | None = None,
        logger: Any = None,
        device: str | torch.device = "auto",
        **settings: Any,
    ) -> None:
        """As for `fit`, which says what the settings mean; ValueError or TypeError if one is unusable."""
        self.settings = chosen = Settings(**settings)
        if chosen.batch_size > len(dataset):
            raise ValueError(
                f"batch_size must be at most the {len(dataset)} samples of {dataset.name}, got {chosen.batch_size}"
            )
        require_learners(method)
        self.fabric = fabric = make_fabric(str(device), chosen.precision)
        if chosen.batch_size < fabric.world_size:
            raise ValueError(f"batch_size must be at least the {fabric.world_size} processes, got {chosen.batch_size}")
        self.method, self.dataset = method, dataset
        shown = sample(dataset, 1000) if snapshot_data is None else snapshot_data
        method.train()  # as for the first step, so that the mode it comes in plays no part
        parts = {"dataset": dataset, "snapshot_data": shown}
        if validation is not None:
            parts["validation"] = validation
        things: dict[str, Any] = {name: outline(part) for name, part in parts.items()} | chosen.functions
        found = key(__name__, method=method, **things)
        self.unsure = found.unsure  # why this run might be taken for another one; None if it cannot be
        self.config: dict[str, Any] = {
            "method": re.sub(r" at 0x[0-9a-f]+", "", repr(method)),
            **{
                name: {"name": part.name, "samples": len(part), "fingerprint": part.fingerprint()}
                for name, part in parts.items()
            },
            **chosen.plain(),
            "device": fabric.device.type,
            "world_size": fabric.world_size,
            **found.parts,
        }
        self._shares = [len(part) for part in torch.empty(chosen.batch_size).tensor_split(fabric.world_size)]
        self.step, self.per_epoch = 0, 0
        self.per_epoch = len(self._rows(torch.Generator())) // chosen.batch_size
        self.total, self._warmup = chosen.epochs * self.per_epoch, round(chosen.warmup_epochs * self.per_epoch)
        self._moments = set(snapshot_steps(self.total, chosen.snapshots))

        if fabric.device.type == "cuda" and sort(dataset) == "image":
            # the order in which a GPU's tensor cores convolve
            method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if chosen.sync_batchnorm:
            synchronise_batch_norm(method, fabric)
        fused = fabric.device.type in ("cpu", "cuda", "mps")
        descent = make_optimizer(chosen.optimizer, method.parameters(), chosen.lr, chosen.weight_decay, fused)
        self._rates = [group["lr"] for group in descent.param_groups]
        self._model, self._descent = fabric.setup(method, descent)
        self._model.mark_forward_method("step")
        networks = method.networks() if chosen.compile else []
        # CUDA graphs: a host that launches hundreds of kernels a step is slower than a large GPU
        mode = "default" if method.recomputes else "reduce-overhead"
        self._compiled = {network: torch.compile(network.forward, mode=mode) for network in networks}

        order = np.random.SeedSequence(chosen.seed).generate_state(1).item()
        # each process draws views and dropout of its own; those of rank 0 are the draws of a single process
        _, views, model = np.random.SeedSequence([chosen.seed, fabric.global_rank]).generate_state(3).tolist()
        self._order = torch.Generator().manual_seed(order)
        self._shuffle = self._order.get_state()  # of the epoch that the next step belongs to
        self._views = torch.Generator(fabric.device).manual_seed(views)
        self._randomness = OwnRandomness(fabric.device, model)
        # a scaler of gradients leaves out steps whose gradient overflows, and scales the next one down
        scaled = getattr(fabric.strategy.precision, "scaler", None) is not None
        self.log = Log(method, min(LEFT_OUT, self.total) if scaled else 1, logger if fabric.is_global_zero else None)
        self.film = Film(method, shown)
        self.validation = None if validation is None else Validation(method, dataset, validation)
        self._epochs: list[dict[str, Any]] = []
        self._enough = False
        self._watch = CollapseWatch(dataset.num_classes, self.total)

    def __iter__(self) -> Generator[Progress]:
        fabric, device, size = self.fabric, self.fabric.device, self.settings.batch_size
        self.dataset, self.film.dataset = settle(self.dataset, device), settle(self.film.dataset, device)
        if self.validation is not None:
            self.validation.settle(device)
        if self.step == 0:
            self._try()
            self._snapshot()
        self.method.train()
        try:
            while self.step < self.total and not self._enough:
                self._order.set_state(self._shuffle)
                rows = self._rows(self._order)[self.step % self.per_epoch * size :]  # of batches not yet seen
                own = rows.view(-1, size).tensor_split(fabric.world_size, dim=1)[fabric.global_rank]
                for batch in batches(self.dataset, own.flatten(), own.shape[1], device):
                    at = self._advance(batch)
                    if self.settings.on_step is not None:
                        self.settings.on_step(at)
                    yield at
        finally:
            self.method.eval()

    def _try(self) -> None:
        """Embed a batch of each data set, so that samples which the method cannot read are named before any step.

        Where no snapshots are asked for, samples may be such that only views of them can be read.
        """
        with self._randomness.lent(), torch.random.fork_rng(devices=[]):
            held_out = {} if self.validation is None else {"validation": self.validation.held_out}
            for name, dataset in {"dataset": self.dataset, "snapshot_data": self.film.dataset, **held_out}.items():
                rows = torch.arange(min(len(dataset), self.settings.batch_size), device=dataset.device)
                part = dataset.subset(rows)
                try:
                    embed(self.method, part, argument=name)
                except ValueError:
                    if self._moments or held_out or not self._reads_views(part):
                        raise

    def _reads_views(self, dataset: Dataset) -> bool:
        try:
            embed_views(self.method, dataset)
        except MISFIT:
            return False
        return True

    def _rows(self, generator: torch.Generator) -> Tensor:
        """An epoch's rows, whole batches, in the order that the method draws."""
        rows, size = self.method.draw_order(self.dataset, self.settings.batch_size, generator), self.settings.batch_size
        if len(rows) != size * (self.per_epoch or max(len(rows) // size, 1)):
            need = f"{self.per_epoch} whole batches" if self.per_epoch else "at least one batch, and whole ones,"
            raise ValueError(f"draw_order must give {need} of {size} rows for each epoch, got {len(rows)} rows")
        return rows

    def _advance(self, batch: Batch) -> Progress:
        part = factor(self.settings.schedule, self.step, self.total, self._warmup)
        for group, rate in zip(self._descent.param_groups, self._rates, strict=True):
            group["lr"] = rate * part
        with self._randomness.lent(), fastest_convolutions(self.fabric.device), self._compiled_networks():
            with self.fabric.autocast(), shared_out(self._shares):
                loss, metrics = self._model.step(batch, self._views)
            if not loss.requires_grad:
                raise ValueError("the loss must depend on a weight of the method that learns, got one of none")
            self.fabric.backward(loss)
            norm = self._gradient_norm()
            self._descent.step()
            self._descent.zero_grad()
            self.method.after_step()
        self.step += 1
        epoch = (self.step - 1) // self.per_epoch + 1
        self.log.add(self.step, epoch, self._rates[0] * part, loss, metrics, norm)
        if self.step % self.per_epoch == 0:
            self._shuffle = self._order.get_state()
            self._after(epoch)
        self._snapshot()
        return Progress(self.step, self.total, epoch, loss.detach(), metrics)

    @contextmanager
    def _compiled_networks(self) -> Iterator[None]:
        """For a step alone: other looks at the method are too few, of too many shapes, to compile for."""
        own = {network: vars(network).get("forward") for network in self._compiled}
        if self._compiled:
            torch.compiler.cudagraph_mark_step_begin()
        for network, forward in self._compiled.items():
            network.forward = forward
        try:
            yield
        finally:
            for network, usual in own.items():
                if usual is None:
                    del network.forward
                else:
                    network.forward = usual

    def _gradient_norm(self) -> Tensor:
        """Length of the gradient (scaled, with "16-mixed"), to see whether it is finite."""
        weights = (weight for group in self._descent.param_groups for weight in group["params"])
        return get_total_norm([weight.grad for weight in weights if weight.grad is not None])

    def _after(self, epoch: int) -> None:
        """Measure the epoch, as far as that is asked for, and see whether it is enough."""
        if self.validation is None and self.settings.until is None:
            return
        self.log.read()
        row = {"epoch": epoch, "step": self.step, "loss": self.log.mean(self.per_epoch)}
        if self.fabric.is_global_zero:
            if self.validation is not None:
                with self._randomness.lent():
                    row |= self.validation.measure()
                self.log.tell(self.step, row)
            self._epochs.append(row)
            self._enough = self.settings.until is not None and bool(self.settings.until(pd.DataFrame(self._epochs)))
        self._enough = self.fabric.broadcast(self._enough)

    def _snapshot(self) -> None:
        due = self.step in self._moments or (self._enough and self._moments)
        if not due or self.step in self.film.steps or not self.fabric.is_global_zero:
            return
        with self._randomness.lent():
            self.film.take(self.step)
        self._watch.look(self.film.z[-1], self.step)

    def read(self) -> pd.DataFrame:
        """The history up to here, as in `Run`; FloatingPointError if the loss or a gradient in it is not finite."""
        self.log.read()
        return self.log.frame()

    def run(self) -> Run:
        """The run up to here; FloatingPointError as for `state_dict`."""
        self.log.require_finite()
        epochs = pd.DataFrame(self._epochs)
        return Run(self.config, self.log.frame(), self.film.develop(), self.method, epochs=epochs)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on, and its record so far; tensors are not copied.

        A loop of the same configuration that loads it goes on exactly as this one would; several processes that train
        together ask for it together. Raises FloatingPointError if
        the loss, a gradient or the method's state is not finite (buffers may be infinite: averages start there).
        """
        self.log.require_finite()
        return {
            "step": self.step,
            "method": self.method.state_dict(),
            "knobs": {
                name: knob.item() if isinstance(knob, np.generic) else knob
                for name, knob in self.method.knobs.items()
                if not isinstance(knob, nn.Parameter)  # it is among the weights
            },
            "optimizer": self._descent.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "shuffle": self._shuffle,
            "generators": from_all(self.fabric, [self._views.get_state(), *self._randomness.states]),
            "log": self.log.state_dict(),
            "film": self.film.state_dict(),
            "epochs": self._epochs,
            "enough": self._enough,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where the loop was that gave this state."""
        self.step = state["step"]
        self.method.load_state_dict(state["method"])
        self.method.knobs.update(state["knobs"])
        self._descent.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self._shuffle = state["shuffle"]
        views, *self._randomness.states = state["generators"][self.fabric.global_rank]
        self._views.set_state(views)
        self.log.load_state_dict(state["log"])
        self.film.load_state_dict(state["film"])
        self._epochs, self._enough = list(state["epochs"]), state["enough"]
