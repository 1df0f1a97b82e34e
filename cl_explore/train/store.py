"""The run store: one folder for each configuration, so that a run trained once is never trained again."""

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cl_explore.disk import flush, user_cache
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
    if store is True:
        store = os.environ.get("CL_EXPLORE_RUNS") or user_cache() / "runs"
    root = Path(store).expanduser()
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
    new = path.with_name(f".new-{uuid.uuid4().hex}")
    new.mkdir()
    try:
        for name, table in {"history.json": run.history, "epochs.json": run.epochs}.items():
            (new / name).write_text(json.dumps(table.to_dict("list")), encoding="utf-8")
        torch.save({"method": run.method.state_dict(), "snapshots": vars(run.snapshots)}, new / "run.pt")
        hashes = {name: _hash(new / name) for name in ("history.json", "epochs.json", "run.pt")}
        (new / "run.json").write_text(json.dumps({"config": run.config, "files": hashes}, indent=1), encoding="utf-8")
        for entry in (*new.iterdir(), new):
            flush(entry)
        if not path.exists():  # another process may have trained the same run meanwhile
            new.rename(path)
            flush(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return replace(run, path=path)


def load(path: Path, config: dict[str, Any], method: Method) -> Run:
    """The run kept under `path`; its weights go into `method`. ValueError if what is there is not that run, whole."""
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        for name, written in record["files"].items():
            if _hash(path / name) != written:
                raise ValueError(f"{name} is not what was written")
        if digest(record["config"]) != digest(config):
            raise ValueError("it belongs to another configuration")
        tables = [json.loads((path / name).read_text(encoding="utf-8")) for name in ("history.json", "epochs.json")]
        history, epochs = map(pd.DataFrame, tables)
        saved = load_plain(path / "run.pt")
        method.load_state_dict(saved["method"])
        snapshots = Snapshots(**saved["snapshots"])
    except Exception as error:
        raise ValueError(f"the stored run {path} cannot be read ({error}): delete this folder to train anew") from error
    return Run(config, history, snapshots, method, path, cached=True, epochs=epochs)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
