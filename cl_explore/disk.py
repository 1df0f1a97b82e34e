"""Where files are kept, and that they are there, whole: what systems differ in."""

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def user_cache() -> Path:
    """The package's folder in the user's cache: that of XDG_CACHE_HOME, else .cache at home. PermissionError if none.

    Asked for only where no variable names a folder, as some accounts have no home.
    """
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "cl_explore"
    try:
        return Path.home() / ".cache" / "cl_explore"
    except RuntimeError as error:
        raise PermissionError("there is no home folder: name another folder in XDG_CACHE_HOME") from error


def run_store(store: bool | str | Path = True) -> Path:
    """The folder of runs that `store` stands for: True is that of CL_EXPLORE_RUNS, else one in the user's cache."""
    if isinstance(store, bool):
        store = os.environ.get("CL_EXPLORE_RUNS") or user_cache() / "runs"
    return Path(store).expanduser()


def kept_runs(root: Path) -> dict[str, dict[str, Any]]:
    """What the records of a store say of each run, by its name, the newest first; listing them needs no torch."""
    rows = {}
    for record in root.glob("*/run.json"):
        config = json.loads(record.read_text(encoding="utf-8"))["config"]
        rows[record.parent.name] = {
            "days": (time.time() - record.stat().st_mtime) / 86_400,
            "megabytes": sum(file.stat().st_size for file in record.parent.iterdir()) / 1e6,
            "dataset": config["dataset"]["name"],
            "method": re.match(r"\w*", config["method"])[0],  # type: ignore[index]
            **{name: config[name] for name in ("epochs", "batch_size", "seed")},
        }
    return dict(sorted(rows.items(), key=lambda row: row[1]["days"]))


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk; Windows has no way to wait for a folder."""
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)  # Windows flushes only what may be written
    except PermissionError:
        if folder:
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file, or a folder, at the path that this gives: at `path` it is there whole or not at all.

    Written beside it, flushed to the disk, then renamed. A file that is there already is replaced; a folder is left as
    it is, as another process may have made the same one meanwhile.
    """
    new = path.with_name(f".new-{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        yield new
        for entry in (*(new.iterdir() if new.is_dir() else ()), new):
            flush(entry)
        if not (new.is_dir() and path.exists()):
            new.replace(path)
            flush(path.parent)
    finally:
        new.unlink(missing_ok=True) if new.is_file() else shutil.rmtree(new, ignore_errors=True)
