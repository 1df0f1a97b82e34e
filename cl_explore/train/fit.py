"""Training from the first step to the last, and what makes it safe: the store of runs, checkpoints, interrupts."""

import logging
import signal
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.takes import Amount, Count, Number, Positive, takes
from cl_explore.train import store as runs
from cl_explore.train.checkpoints import Checkpoints
from cl_explore.train.interrupt import held_back
from cl_explore.train.loop import Loop
from cl_explore.train.ranks import MEETING, from_all, of_first
from cl_explore.train.run import Progress, Run
from cl_explore.train.schedule import Optimizers, Schedule
from cl_explore.train.settings import RATE, Pair, Precision


@takes
def fit(
    method: Method,
    dataset: Dataset,
    *,
    epochs: Count,
    batch_size: Pair = 256,
    lr: Positive = RATE,
    weight_decay: Amount = 0.0,
    optimizer: Optimizers = "adam",
    schedule: Schedule = "cosine",
    warmup_epochs: Amount = 0,
    seed: Number = 0,
    snapshots: Number = 12,
    snapshot_data: Dataset | None = None,
    validation: Dataset | None = None,
    until: Callable[[pd.DataFrame], object] | None = None,
    on_step: Callable[[Progress], object] | None = None,
    logger: Any = None,
    device: str | torch.device = "auto",
    precision: Precision = "32-true",
    compile: bool = False,
    sync_batchnorm: bool = False,
    store: bool | str | Path = True,
    checkpoint_seconds: Amount = 30,
    progress: bool = True,
) -> Run:
    """Train `method` on `dataset` and return the run; a run that is in the store is loaded instead, and says so.

    The data set lives on the device (if it takes more than half of a GPU's free memory, batches are sent there one
    ahead) and is shuffled anew each epoch (the last incomplete batch is left out), unless the method draws another
    order. The learning rate rises linearly over `warmup_epochs` and falls to 0 along half a cosine. `seed` decides
    order, views and dropout, without touching the global random state; initial weights are the method's own (call
    `torch.manual_seed` before building it, else no two runs are the same run). On the CPU, equal seeds give
    bit-identical weights. On a GPU they give equal batches, views and dropout, but the last bits of sums differ from
    run to run (convolutions are chosen by their speed; index_add, cumsum, scatter and the gradient of gathers add in no
    fixed order) and grow with the steps. Under torch.use_deterministic_algorithms(True) all of these are fixed and
    slower; what torch has no such form of raises RuntimeError. Torch's default type and device play no part.

    `snapshots` times (see `snapshot_steps`) `snapshot_data` is embedded: by default up to 1000 samples of `dataset`,
    the same for every seed; if they have collapsed, a `CollapseWarning` says so once. device: "auto", "cpu", "cuda",
    "cuda:1", "mps". compile: let `torch.compile` speed up encoder and head in its steps. store: True
    (CL_EXPLORE_RUNS, else the user's cache), a folder, or False. A stored run is recognised by everything that decides
    it (see `key`): all state of the method, its views and loss, the data, all settings, the code behind them and the
    versions of packages. Where that cannot be told for certain, the run is trained anew, not kept, and says why. With
    progress=False the same lines come as records of the logger "cl_explore".

    After every epoch the method is measured on `validation`, if that is given: uniformity and effective rank of z,
    kNN and linear accuracy of h by up to 5,000 training samples; see `Run.epochs`. `until(epochs)` is asked then, with
    that table as it is so far (without `validation` it has the mean loss alone), and ends the run where it says True.
    `on_step` is called with the `Progress` of every step: it may look at anything, or turn the method's knobs. logger:
    anything with `log_metrics(numbers, step)`, such as the loggers of Lightning Fabric for CSV files, TensorBoard or
    W&B; it gets loss, learning rate and metrics of every step, some steps late, and what is measured. A run that comes
    from the store calls neither. optimizer, besides the names: a function of the list of parameters that gives an
    optimiser, with learning rates of its own. schedule, besides "cosine": a function of step (from 0) and total that
    gives the factor on the learning rate. Functions are part of what decides a run, with all that they read.

    Every `checkpoint_seconds`, and when it is interrupted or asked to end (SIGTERM), the whole state is kept in the
    store: the same call on a method built anew goes on from there, wherever it was stopped, and on the CPU ends in the
    same bits. What a method keeps outside parameters, persistent buffers and knobs is not restored. Without a store
    there are no checkpoints.

    Started by `torchrun` or `fabric run`, all processes train one method: `batch_size` is that of the joined batch, of
    which each embeds its share, and the loss is that of the joined batch. Each draws the views of its own share, from
    a generator seeded by `seed` and its rank. Batch norm sees one share, and the first process's running statistics
    are kept, unless `sync_batchnorm` joins them (GPUs only). The first process alone reads and writes the store, takes
    snapshots and shows progress; every process gets the run.

    `method` is trained in place and comes back in evaluation mode on the device that trained it. Raises ValueError or
    TypeError for unusable settings, PermissionError for an unusable store, FloatingPointError when the loss or a
    gradient stops being finite, and KeyboardInterrupt, once the step is whole, when interrupted.
    """
    loop = Loop(
        method,
        dataset,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        optimizer=optimizer,
        schedule=schedule,
        warmup_epochs=warmup_epochs,
        seed=seed,
        snapshots=snapshots,
        snapshot_data=snapshot_data,
        validation=validation,
        until=until,
        on_step=on_step,
        logger=logger,
        device=str(device),
        precision=precision,
        compile=compile,
        sync_batchnorm=sync_batchnorm,
    )
    fabric, first = loop.fabric, loop.fabric.is_global_zero
    progress = progress and first
    path = fabric.broadcast(runs.folder(store, loop.config) if first else None)
    if path is not None and fabric.broadcast(loop.unsure) is not None:
        if first:
            _say(f"trained anew and not kept in the store, since {loop.unsure}", progress, logging.WARNING)
        path = None
    if path is None:
        _finish(loop, None, progress)
        return of_first(fabric, method, loop.run())
    checkpoints = Checkpoints(path.with_suffix(".part"), loop.config, checkpoint_seconds)
    if fabric.broadcast(path.exists()):
        run = of_first(fabric, method, runs.load(path, loop.config, method) if first else None)
        method.eval()
        if first:
            checkpoints.clear()  # of a process that was killed on the last metre
            seconds = run.history["seconds"].iloc[-1]
            _say(
                f"run {path.name} loaded from the store ({seconds:.1f} s when trained; store=False trains anew)",
                progress,
            )
        return run
    if (state := fabric.broadcast(checkpoints.read() if first else None)) is not None:
        loop.load_state_dict(state)
        if first:
            _say(f"run {path.name} goes on after step {loop.step} of {loop.total}, where it was stopped", progress)
    _finish(loop, checkpoints, progress)
    run = loop.run()
    if first:
        try:
            run = runs.save(path, run)
            checkpoints.clear()
        except OSError as error:
            warnings.warn(f"the run is trained but could not be kept in {path.parent}: {error}", stacklevel=3)
    return of_first(fabric, method, run)


def _say(line: str, progress: bool, level: int = logging.INFO) -> None:
    if progress:
        tqdm.write(line)
    else:
        logging.getLogger("cl_explore").log(level, line)


def _finish(loop: Loop, checkpoints: Checkpoints | None, progress: bool) -> None:
    """Take the steps that are left, keeping a checkpoint now and then and when interrupted."""
    bar = tqdm(total=loop.total, initial=loop.step, unit="step", disable=not progress)
    with bar, held_back() as interrupted, closing(iter(loop)) as steps:
        try:
            for at in steps:
                if loop.log.waiting() > 1 or at.step % loop.per_epoch == 0:
                    bar.set_postfix(
                        epoch=f"{at.epoch}/{loop.settings.epochs}", loss=f"{loop.log.read():.3f}", refresh=False
                    )
                    bar.update(at.step - bar.n)
                if loop.fabric.world_size > 1 and at.step % MEETING and at.step < at.total:
                    continue
                asked = from_all(loop.fabric, (interrupted(), checkpoints is not None and checkpoints.due()))
                stop, due = max(each[0] for each in asked), asked[0][1]
                if checkpoints is not None and (stop or due):
                    _keep(checkpoints, loop)
                if stop:
                    stopped = f"after step {at.step} of {at.total}. {_way_on(checkpoints)}"
                    if interrupted() == signal.SIGTERM:  # which ends the process before anyone sees the exception
                        _say(f"stopped {stopped}", progress, logging.WARNING)
                    raise KeyboardInterrupt(stopped)
        except FloatingPointError as error:
            last = checkpoints.newest() if checkpoints is not None else None
            raise FloatingPointError(f"{error}. Last good checkpoint: {last or 'none'}") from None


def _keep(checkpoints: Checkpoints, loop: Loop) -> None:
    state = loop.state_dict()
    try:
        if loop.fabric.is_global_zero:
            checkpoints.write(state)
    except OSError as error:
        last = checkpoints.newest()
        warnings.warn(
            f"no checkpoint can be kept in {checkpoints.folder} ({error.strerror}). Training goes on and tries again; "
            f"last good checkpoint: {last or 'none'}",
            stacklevel=5,
        )
    loop.fabric.barrier()  # a process that ends while the first one writes would take it along


def _way_on(checkpoints: Checkpoints | None) -> str:
    last = checkpoints.newest() if checkpoints is not None else None
    if last is None:
        return "Nothing is kept of this run"
    return f"To go on, build the method anew and make the same call: it starts from {last}"
