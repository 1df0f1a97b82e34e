"""The runs that the store keeps: listed, opened by their names, deleted."""

import io
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from cl_explore.disk import kept_runs, run_store
from cl_explore.takes import takes
from cl_explore.train.checkpoints import load_plain
from cl_explore.train.run import Run
from cl_explore.train.store import Unpickler, checked, read


@takes
def runs(store: bool | str | Path = True) -> pd.DataFrame:
    """The runs in the store, the newest first: a row for each, by its name.

    store: True (CL_EXPLORE_RUNS, else the user's cache) or a folder.
    Columns: `days` since it was kept, `megabytes`, `dataset`, `method`, `epochs`, `batch_size`, `seed`.
    """
    names = ["days", "megabytes", "dataset", "method", "epochs", "batch_size", "seed"]
    return pd.DataFrame.from_dict(kept_runs(run_store(store)), orient="index", columns=names).rename_axis("run")


@takes
def open_run(name: str, store: bool | str | Path = True) -> Run:
    """A stored run by its name or the beginning of it, with its trained method.

    store: as for `runs`.
    The method is unpickled, which runs code: open only what you, or someone you trust, has kept. Raises ValueError if
    no run or several have this name, if a file is damaged, and if the method cannot be made anew: build it, then, and
    make the call of `fit` again, which finds the run.
    """
    path = place(name, store)
    try:
        record = checked(path)
        saved = load_plain(path / "run.pt")
        if not (path / "method.pickle").exists():
            raise ValueError("its method could not be pickled")
        method: Any = Unpickler(io.BytesIO((path / "method.pickle").read_bytes()), saved["method"]).load()
        return read(path, record["config"], saved, method.eval())
    except Exception as error:
        raise ValueError(
            f"the stored run {path.name} cannot be opened ({error}): build its method and call fit again, as you did"
        ) from error


def place(name: str, store: bool | str | Path = True) -> Path:
    """The folder of a stored run; ValueError if no run or several have this name."""
    root = run_store(store)
    found = [record.parent for record in root.glob("*/run.json") if record.parent.name.startswith(name)]
    if len(found) != 1:
        raise ValueError(f"name must begin that of one run in the store {root}, got {name!r}: {len(found)} begin so")
    return found[0]


@takes
def delete_run(name: str, store: bool | str | Path = True) -> None:
    """Delete a stored run, by its name or the beginning of it; ValueError if no run or several have this name."""
    shutil.rmtree(place(name, store))
