"""Where files are kept, and that they are there: what systems differ in."""

import os
from pathlib import Path


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
