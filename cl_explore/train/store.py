"""The run store: one folder for each configuration, so that a run trained once is never trained again."""

import hashlib
import io
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from cl_explore.disk import run_store, whole
from cl_explore.methods import Method
from cl_explore.train.checkpoints import load_plain
from cl_explore.train.key import digest
from cl_explore.train.run import Run, Snapshots


def folder(store: bool | str | Path, config: dict[str, Any]) -> Path | None:
    """Where the run of this configuration is or will be kept; None if `store` is False.

    True is the folder named by CL_EXPLORE_RUNS, else cl_explore/runs in the user's cache. The store is made if it is
    missing; PermissionError if it would have to be written to and cannot.
    """
    if store is False:
        return None
    root = run_store(store)
    advice = "name another folder in the environment variable CL_EXPLORE_RUNS, or pass store=False"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionError(f"the run store {root} cannot be made ({error.strerror}): {advice}") from error
    path = root / digest(config)[:16]
    if not path.exists() and not os.access(root, os.W_OK | os.X_OK):
        raise PermissionError(f"the run store {root} cannot be written to: {advice}")
    return path


def save(path: Path, run: Run) -> Run:
    """Keep `run` under `path`, whole or not at all: written beside it, flushed to the disk, then renamed."""
    with whole(path) as new:
        new.mkdir()
        for name, table in {"history.json": run.history, "epochs.json": run.epochs}.items():
            (new / name).write_text(json.dumps(table.to_dict("list")), encoding="utf-8")
        torch.save({"method": run.method.state_dict(), "snapshots": vars(run.snapshots)}, new / "run.pt")
        if (made := _made(run.method)) is not None:
            (new / "method.pickle").write_bytes(made)
        hashes = {name: _hash(new / name) for name in sorted(os.listdir(new))}
        (new / "run.json").write_text(json.dumps({"config": run.config, "files": hashes}, indent=1), encoding="utf-8")
    return replace(run, path=path)


def load(path: Path, config: dict[str, Any], method: Method) -> Run:
    """The run kept under `path`; its weights go into `method`. ValueError if what is there is not that run, whole."""
    try:
        record = checked(path)
        if digest(record["config"]) != digest(config):
            raise ValueError("it belongs to another configuration")
        return read(path, config, load_plain(path / "run.pt"), method)
    except Exception as error:
        raise ValueError(f"the stored run {path} cannot be read ({error}): delete this folder to train anew") from error


def checked(path: Path) -> dict[str, Any]:
    """The record of the run kept under `path`; ValueError if a file is not what was written."""
    record: dict[str, Any] = json.loads((path / "run.json").read_text(encoding="utf-8"))
    for name, written in record["files"].items():
        if _hash(path / name) != written:
            raise ValueError(f"{name} is not what was written")
    return record


def read(path: Path, config: dict[str, Any], saved: dict[str, Any], method: Method) -> Run:
    """The run kept under `path`, whose run.pt holds `saved`; its weights go into `method`."""
    tables = [json.loads((path / name).read_text(encoding="utf-8")) for name in ("history.json", "epochs.json")]
    history, epochs = map(pd.DataFrame, tables)
    method.load_state_dict(saved["method"])
    return Run(config, history, Snapshots(**saved["snapshots"]), method, path, cached=True, epochs=epochs)


class _Pickler(pickle.Pickler):
    """Pickles a method without its state, which run.pt holds."""

    def __init__(self, file: io.BytesIO, method: Method) -> None:
        super().__init__(file)
        self._names = {id(value): name for name, value in method.state_dict(keep_vars=True).items()}

    def persistent_id(self, value: Any) -> Any:
        if (name := self._names.get(id(value))) is None:
            return None
        return name, isinstance(value, nn.Parameter), value.requires_grad


class Unpickler(pickle.Unpickler):
    """Makes a method as it was pickled, with this state."""

    def __init__(self, file: io.BytesIO, state: dict[str, Tensor]) -> None:
        super().__init__(file)
        self._state = state

    def persistent_load(self, what: Any) -> Tensor:
        name, parameter, learns = what
        value = self._state[name]
        return nn.Parameter(value, learns) if parameter else value


def _made(method: Method) -> bytes | None:
    """What makes the method anew without its code being run by hand; None for one that cannot be pickled."""
    file = io.BytesIO()
    try:
        _Pickler(file, method).dump(method)
    except Exception:  # whatever its parts raise: then `open_run` says that it has to be built by hand
        return None
    return file.getvalue()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
