"""The training loop."""

import math
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from tqdm.auto import tqdm

from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.train import store as runs
from cl_explore.train.log import Log
from cl_explore.train.run import Film, Run, snapshot_steps
from cl_explore.train.schedule import cosine, make_optimizer

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


def fit(
    method: Method,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int = 256,
    lr: float = 2e-3,
    weight_decay: float = 0.0,
    optimizer: Literal["adam", "sgd"] = "adam",
    warmup_epochs: float = 0,
    seed: int = 0,
    snapshots: int = 12,
    snapshot_data: Dataset | None = None,
    device: str = "auto",
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true",
    store: bool | str | Path = True,
    progress: bool = True,
) -> Run:
    """Train `method` on `dataset` and return the run; a run that is in the store is loaded instead, and says so.

    The data set lives on the device and is shuffled anew each epoch; the last incomplete batch is left out. The
    learning rate rises linearly over `warmup_epochs` and falls to 0 along half a cosine. `seed` decides order, views
    and dropout, without touching the global random state; initial weights are the method's own (call
    `torch.manual_seed` before building it, else no two runs are the same run). On the CPU, equal seeds give
    bit-identical weights.

    `snapshots` times (see `snapshot_steps`) `snapshot_data` is embedded: by default up to 1000 samples of `dataset`,
    the same for every seed. device: "auto", "cpu", "cuda", "cuda:1", "mps". store: True (CL_EXPLORE_RUNS, else the
    user's cache), a folder, or False. A stored run is recognised by the method's repr, initial weights and own code
    (see `own_code`), the data, all settings, and the versions of package and torch.

    `method` is trained in place and comes back in evaluation mode on the device that trained it. Raises ValueError or
    TypeError for unusable settings, PermissionError for an unusable store, and FloatingPointError when the loss stops
    being finite.
    """
    _check(method, dataset, epochs, batch_size, lr, weight_decay, warmup_epochs, seed, snapshots, precision)
    fabric = _fabric(device, precision)
    fused = fabric.device.type in ("cpu", "cuda", "mps")
    descent = make_optimizer(optimizer, method.parameters(), lr, weight_decay, fused)
    shown = _sample(dataset) if snapshot_data is None else snapshot_data
    config = {
        **runs.describe_method(method),
        "dataset": {"name": dataset.name, "samples": len(dataset), "fingerprint": dataset.fingerprint()},
        "snapshot_data": {"name": shown.name, "samples": len(shown), "fingerprint": shown.fingerprint()},
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "weight_decay": weight_decay,
        "optimizer": optimizer,
        "warmup_epochs": warmup_epochs,
        "seed": seed,
        "snapshots": snapshots,
        "device": fabric.device.type,
        "precision": precision,
        "package_source": runs.package_source(),
        "torch": torch.__version__,
    }
    path = runs.folder(store, config)
    if path is not None and path.exists():
        run = runs.load(path, config, method)
        method.to(fabric.device).eval()
        if progress:
            seconds = run.history["seconds"].iloc[-1]
            tqdm.write(f"run {path.name} loaded from the store ({seconds:.1f} s when trained; store=False trains anew)")
        return run
    run = _train(fabric, method, dataset, shown, descent, config, progress)
    if path is None:
        return run
    try:
        return runs.save(path, run)
    except OSError as error:
        warnings.warn(f"the run is trained but could not be kept in {path.parent}: {error}", stacklevel=2)
        return run


def _train(
    fabric: Fabric,
    method: Method,
    dataset: Dataset,
    shown: Dataset,
    descent: torch.optim.Optimizer,
    config: dict[str, Any],
    progress: bool,
) -> Run:
    batch_size, epochs = config["batch_size"], config["epochs"]
    per_epoch = len(dataset) // batch_size
    total, warmup = epochs * per_epoch, round(config["warmup_epochs"] * per_epoch)
    moments = set(snapshot_steps(total, config["snapshots"]))

    model, descent = fabric.setup(method, descent)
    model.mark_forward_method("step")
    dataset, shown = dataset.to(fabric.device), shown.to(fabric.device)
    order_seed, views_seed, model_seed = np.random.SeedSequence(config["seed"]).generate_state(3).tolist()
    order = torch.Generator().manual_seed(order_seed)
    generator = torch.Generator(fabric.device).manual_seed(views_seed)
    log, film, step = Log(method), Film(method, shown), 0

    bar = tqdm(total=total, unit="step", disable=not progress)
    with bar, torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(model_seed)  # dropout inside the networks draws from the global generators
        if 0 in moments:
            film.take(0)
        method.train()
        try:
            for epoch in range(1, epochs + 1):
                shuffled = torch.randperm(len(dataset), generator=order).to(fabric.device)
                for rows in shuffled.split(batch_size)[:per_epoch]:
                    lr = config["lr"] * cosine(step, total, warmup)
                    for group in descent.param_groups:
                        group["lr"] = lr
                    with fabric.autocast():
                        loss, metrics = model.step(dataset.batch(rows), generator)
                    fabric.backward(loss)
                    descent.step()
                    descent.zero_grad()
                    method.after_step()
                    step += 1
                    log.add(step, epoch, lr, loss, metrics)
                    if step in moments:
                        film.take(step)
                    if log.waiting() > 1 or step % per_epoch == 0:
                        bar.set_postfix(epoch=f"{epoch}/{epochs}", loss=f"{log.read():.3f}", refresh=False)
                        bar.update(step - bar.n)
        finally:
            method.eval()
    return Run(config, log.frame(), film.develop(), method)


def _fabric(device: str, precision: Literal["32-true", "16-mixed", "bf16-mixed"]) -> Fabric:
    kind, _, number = device.partition(":")
    try:
        return Fabric(accelerator=kind, devices=[int(number)] if number else 1, precision=precision)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"device {device!r} with precision {precision!r} cannot be used here: {error}") from error


def _sample(dataset: Dataset, most: int = 1000) -> Dataset:
    """Up to `most` samples, the same for every seed: drawn, since data sets are often sorted by class."""
    rows = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:most]
    return dataset.subset(rows.sort().values)


def _check(
    method: Method,
    dataset: Dataset,
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    warmup_epochs: float,
    seed: int,
    snapshots: int,
    precision: str,
) -> None:
    if not isinstance(method, Method):
        raise TypeError(f"method must be a cl_explore.methods.Method, got {type(method).__name__}")
    if not isinstance(dataset, Dataset):
        raise TypeError(f"dataset must be a cl_explore.data.Dataset, got {type(dataset).__name__}")
    whole = {"epochs": (epochs, 1), "batch_size": (batch_size, 2), "seed": (seed, 0), "snapshots": (snapshots, 0)}
    for name, (value, least) in whole.items():
        if not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if batch_size > len(dataset):
        raise ValueError(f"batch_size must be at most the {len(dataset)} samples of {dataset.name}, got {batch_size}")
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f"lr must be positive and finite, got {lr}")
    if not (weight_decay >= 0 and math.isfinite(weight_decay)):
        raise ValueError(f"weight_decay must be at least 0 and finite, got {weight_decay}")
    if not 0 <= warmup_epochs < epochs:
        raise ValueError(f"warmup_epochs must be from 0 to less than epochs ({epochs}), got {warmup_epochs}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
