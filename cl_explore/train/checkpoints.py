"""Checkpoints of an unfinished run: each a file that is whole or not taken for one, the newest two kept."""

import hashlib
import io
import pickle
import shutil
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from cl_explore.disk import whole
from cl_explore.train.key import digest

DIGEST = 64  # characters of the sha256 that a file begins with
KEPT = 2


class Checkpoints:
    """The checkpoints of the run of one configuration, in a folder of their own.

    A file `step-N` is written under another name, flushed to the disk and renamed: it is there as a whole or not at
    all, and an older one goes only when two newer ones are there. Processes that train the same run at once need no
    lock: they write equal files under equal names, and the worst that happens is that a file is written twice or not
    kept.
    """

    def __init__(self, folder: Path, config: dict[str, Any], seconds: float) -> None:
        """seconds: how often one is `due`."""
        self.folder, self.config, self.seconds = folder, config, seconds
        self._last = time.perf_counter()

    def due(self) -> bool:
        return time.perf_counter() - self._last >= self.seconds

    def files(self) -> list[Path]:
        """Those that are there, the newest first."""
        return sorted(self.folder.glob("step-*"), reverse=True)

    def newest(self) -> Path | None:
        """The newest file, if there is one."""
        return next(iter(self.files()), None)

    def write(self, state: dict[str, Any]) -> Path:
        """Keep the state (of `Loop.state_dict`); OSError if the disk does not take it, then the older ones stay."""
        self._last = time.perf_counter()
        memory = io.BytesIO()
        torch.save({"config": self.config, "state": state}, memory)
        content = memory.getbuffer()
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"step-{state['step']:09d}"
        with whole(path) as new, new.open("wb") as file:
            file.write(hashlib.sha256(content).hexdigest().encode())
            file.write(content)
        for old in self.files()[KEPT:]:
            old.unlink(missing_ok=True)
        self._last = time.perf_counter()
        return path

    def read(self) -> dict[str, Any] | None:
        """The newest state that can be read, else None; a file that cannot be is named in a warning and renamed."""
        for left in self.folder.glob(".new-*"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        for path in self.files():
            try:
                return self._read(path)
            except Exception as error:
                warnings.warn(f"the checkpoint {path} cannot be used ({error}): going back before it", stacklevel=4)
                with suppress(OSError):
                    path.rename(path.with_name(f"unusable-{path.name}"))
        return None

    def _read(self, path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).hexdigest().encode() != content[:DIGEST]:
            raise ValueError("it is not what was written")
        saved = load_plain(io.BytesIO(content[DIGEST:]))
        if digest(saved["config"]) != digest(self.config):
            raise ValueError("it belongs to another configuration")
        return saved["state"]

    def clear(self) -> None:
        """Delete them all: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


def load_plain(file: Path | io.BytesIO) -> dict[str, Any]:
    """What `torch.save` kept of tensors and plain values; ValueError if the file holds anything else."""
    try:
        return dict(torch.load(file, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError):
        # torch's own words advise to load it in a way that could run code
        raise ValueError("it holds more than tensors and plain values, or is damaged") from None
