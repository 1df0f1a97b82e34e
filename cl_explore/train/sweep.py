"""Many runs: every combination of a grid of settings, in processes of this machine or on a cluster."""

import inspect
import itertools
import pickle
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from tqdm.auto import tqdm

from cl_explore import losses
from cl_explore.takes import Count, takes
from cl_explore.train.run import Run

Train = Callable[..., Run]
Outcome = tuple[int, Run | None, str | None]
"""The place of a point in the grid, its run, or else its error."""
Outcomes = Generator[Outcome, None, None]


@dataclass(frozen=True, eq=False)
class Result:
    """One point of a grid, as arguments by name: its run, or the error that came instead, as "type: message"."""

    point: dict[str, Any]
    run: Run | None
    error: str | None


@dataclass(frozen=True, eq=False)
class Sweep:
    """What became of every point of a grid, in its order."""

    results: list[Result]

    @property
    def runs(self) -> list[Run | None]:
        """One run for each point; None where it failed."""
        return [result.run for result in self.results]

    @property
    def table(self) -> pd.DataFrame:
        """A row for each point: a column for each argument of the grid, and what its run ended with.

        That is the mean over the last epoch of the loss and of each metric, what was measured after it on held-out
        samples, all called "final_...", and `seconds`; `error` is None where there is a run.
        """
        errors = pd.Series([result.error for result in self.results], dtype=object)  # as text, None would become NaN
        return pd.DataFrame([result.point | _ending(result.run) for result in self.results]).assign(error=errors)


@takes
def sweep(
    train: Train,
    grid: Mapping[str, Any],
    *,
    jobs: Count = 2,
    engine: Literal["joblib", "ray"] = "joblib",
    progress: bool = True,
    on_result: Callable[[Result], object] | None = None,
) -> Sweep:
    """Call `train(**point)` for every combination of the values in `grid`, `jobs` at a time, and return all runs.

    `train` builds a method from the arguments, calls `fit` (with progress=False) and returns its Run; it may be
    defined in a notebook, and so may its losses. Runs are kept by the store of `fit`: a second sweep only trains what
    is missing. A point that fails is reported with its error, and the others go on. An interrupt stops the workers;
    what has finished is in the store. `on_result` is called here, with each Result as it comes.

    "joblib": processes of this machine, which share its cores; jobs=1 works in this process. "ray": a Ray cluster,
    that of the environment variable RAY_ADDRESS, else one on this machine; cores and GPUs are shared out among `jobs`.
    All its machines need the package and one run store (CL_EXPLORE_RUNS on a shared disk). Ray is an extra:
    pip install "cl_explore[cluster]".

    Raises ValueError or TypeError, before any run, for an unusable grid or a `train` that cannot be sent to another
    process, and ModuleNotFoundError if Ray is not installed.

    >>> sweep(fit_digits, {"loss": ["nt_xent", "supcon"], "seed": range(5)}).table  # doctest: +SKIP
    """
    points = _points(train, grid)
    results: dict[int, Result] = {}
    bar = tqdm(total=len(points), unit="run", disable=not progress)
    with bar, closing(ENGINES[engine](train, points, jobs)) as outcomes:
        for place, run, error in outcomes:
            results[place] = Result(points[place], run, error)
            if error and progress:
                tqdm.write(f"{points[place]} failed: {error}")
            if on_result:
                on_result(results[place])
            bar.update()
    return Sweep([results[place] for place in range(len(points))])


def _ending(run: Run | None) -> dict[str, float]:
    if run is None or run.history.empty:
        return {}
    history, measured = run.history, run.epochs.iloc[-1].to_dict() if len(run.epochs) else {}
    last = history[history["epoch"] == history["epoch"].iloc[-1]].drop(columns=["step", "epoch", "lr", "seconds"])
    found = last.mean().to_dict() | {name: measured[name] for name in measured if name not in history}
    return {f"final_{name}": value for name, value in found.items()} | {"seconds": history["seconds"].iloc[-1]}


def _points(train: Train, grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if not isinstance(grid, Mapping) or not grid:
        raise ValueError(f"grid must map at least one argument of train to its values, got {grid!r}")
    grid = {name: _values(name, values) for name, values in grid.items()}
    if taken := [name for name in grid if name in ("error", "seconds") or str(name).startswith("final_")]:
        raise ValueError(f"grid must not name an argument {taken[0]!r}: the table has columns of its own of such names")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    try:
        inspect.signature(train).bind(**points[0])
    except TypeError as error:
        raise TypeError(f"train cannot be called with {', '.join(grid)}: {error}") from None
    return points


def _own_losses() -> dict[str, losses.Loss]:
    """The losses that a reader declared, which another process does not have."""
    return {name: loss for name, loss in losses.catalogue.items() if not loss.__module__.startswith("cl_explore.")}


def _values(name: str, values: Any) -> list[Any]:
    """The values of one argument; NumPy's numbers as Python's, which are kept in a run's settings."""
    if isinstance(values, np.ndarray | pd.Series | pd.Index | torch.Tensor):
        values = values.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise TypeError(f"grid[{name!r}] must be a sequence of values, got {values!r}")
    if len(values) == 0:
        raise ValueError(f"grid[{name!r}] must hold at least one value, got none")
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _attempt(
    train: Train, place: int, point: dict[str, Any], own: dict[str, losses.Loss], threads: int | None = None
) -> Outcome:
    losses.catalogue.update(own)
    if threads:
        torch.set_num_threads(min(threads, torch.get_num_threads()))
    try:
        run = train(**point)
        if not isinstance(run, Run):
            raise TypeError(f"train must return a Run, got {type(run).__name__}")
    except Exception as error:
        return place, None, f"{type(error).__name__}: {error}"
    return place, run, None


def _with_joblib(train: Train, points: list[dict[str, Any]], jobs: int) -> Outcomes:
    threads, own = max(1, cpu_count() // jobs), _own_losses()

    def outcomes(some: dict[int, dict[str, Any]]) -> Outcomes:
        calls = [delayed(_attempt)(train, place, point, own, threads) for place, point in some.items()]
        try:
            yield from Parallel(jobs, backend="loky", return_as="generator_unordered", batch_size=1)(calls)
        except pickle.PicklingError as error:
            raise TypeError("train, its arguments or its run cannot be sent to another process: see above") from error

    waiting = dict(enumerate(points))
    while waiting:
        try:
            for place, run, error in outcomes(waiting):
                del waiting[place]
                yield place, run, error
        except BrokenProcessPool:  # a process was killed and took all others along: one at a time shows which
            for place in list(waiting)[: 2 * jobs]:
                try:
                    yield from outcomes({place: waiting.pop(place)})
                except BrokenProcessPool as error:
                    yield place, None, f"{type(error).__name__}: {error}"


def _with_ray(train: Train, points: list[dict[str, Any]], jobs: int) -> Outcomes:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('engine="ray" needs Ray: pip install "cl_explore[cluster]"') from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    running: dict[Any, int] = {}
    try:
        cluster = ray.cluster_resources()
        cores, gpus = max(1, int(cluster["CPU"]) // jobs), min(1, cluster.get("GPU", 0) / jobs)
        attempt = ray.remote(num_cpus=cores, num_gpus=gpus, max_retries=1)(_attempt)
        sent, own = ray.put(train), ray.put(_own_losses())
        waiting = list(enumerate(points))[::-1]
        while waiting or running:
            while waiting and len(running) < jobs:
                place, point = waiting.pop()
                running[attempt.remote(sent, place, point, own)] = place
            (done,), _ = ray.wait(list(running), num_returns=1)
            place = running.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                yield place, None, f"{type(error).__name__}: {error}"
    finally:
        for call in running:
            ray.cancel(call, force=True)
        if started:
            ray.shutdown()


ENGINES: dict[str, Callable[[Train, list[dict[str, Any]], int], Outcomes]] = {
    "joblib": _with_joblib,
    "ray": _with_ray,
}
