"""The form that every study has, and the rows it gives for a seed."""

import inspect
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cl_explore.claims.paper import Paper
from cl_explore.claims.verdict import LOOKS, Claim
from cl_explore.disk import whole
from cl_explore.names import unknown
from cl_explore.train import store
from cl_explore.train.key import key

PRESETS = ("smoke", "laptop", "real")
SEEDS = {"smoke": (1,), "laptop": LOOKS, "real": LOOKS}
"""By preset, with how many seeds claims are looked at, one look after another."""
VERSIONS = ("cl_explore", "torch", "numpy", "scipy", "scikit-learn")

Row = dict[str, Any]
"""One method's results: its name under "method", then its metrics, plain numbers, and "seconds" of training."""


@dataclass(frozen=True)
class Study:
    """A paper's mechanism at small scale: its claims, and the code that tests them.

    paper: whose claims they are.
    about: what the paper says, in one sentence.
    claims: fixed before any result was seen.
    run: run(seed, **settings) gives one row for each method; its keyword defaults are the preset "laptop".
    draw: the figure of a table with one row for each seed and method.
    presets: what "smoke" (seconds, for tests) and "real" (the paper's kind of data) change of the defaults; without
        "real" the study has no real data, only a world that is drawn.
    """

    paper: Paper
    about: str
    claims: tuple[Claim, ...]
    run: Callable[..., list[Row]]
    draw: Callable[[pd.DataFrame], Figure]
    presets: Mapping[str, Mapping[str, Any]]

    def has(self, preset: str) -> bool:
        """Whether the study has a preset of PRESETS."""
        return preset == "laptop" or preset in self.presets

    def settings(self, preset: str = "laptop", **changes: Any) -> dict[str, Any]:
        """Every setting of a preset by name, with these changes.

        Raises ValueError for an unknown preset or setting, and for a preset that the study does not have.
        """
        if preset not in PRESETS:
            raise unknown("preset", preset, PRESETS)
        if not self.has(preset):
            raise ValueError(f"{self.paper.slug} has no preset {preset!r}: its world is drawn, and so are all its data")
        declared = inspect.signature(self.run).parameters
        defaults = {name: p.default for name, p in declared.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
        asked = {**self.presets.get(preset, {}), **changes}
        for name in asked:
            if name not in defaults:
                raise unknown(f"setting of {self.paper.slug}", name, defaults)
        return {**defaults, **asked}

    def rows(self, preset: str = "laptop", seed: int = 0, **changes: Any) -> list[Row]:
        """The rows of one seed, from the run store if the same code has made them before.

        The training runs within are in the store too, so an interrupted seed goes on with the first unfinished run.
        """
        settings = self.settings(preset, **changes)
        kept = self._kept(settings, seed)
        if kept is not None and kept.exists():
            return json.loads(kept.read_text(encoding="utf-8"))
        rows = [{"seed": seed, **row} for row in self.run(seed, **settings)]
        if kept is None:
            return rows
        with whole(kept) as new:
            new.write_text(json.dumps(rows), encoding="utf-8")
        return rows

    def _kept(self, settings: dict[str, Any], seed: int) -> Path | None:
        """Where the rows are kept: the name changes with the settings, the seed, and all code that makes the rows.

        None if that cannot be told for certain, which is logged.
        """
        found = key(tables=True, run=self.run)
        if found.unsure is not None:
            logging.getLogger("cl_explore").warning(
                f"the rows of {self.paper.slug} are made anew and not kept, since {found.unsure}"
            )
            return None
        config = {"study": self.paper.slug, "settings": settings, "seed": seed, "at_hand": versions(), **found.parts}
        path = store.folder(True, config)
        assert path is not None
        return path.with_suffix(".json")


def versions() -> dict[str, str]:
    """The packages that decide what a study finds, and their versions."""
    return {name: metadata.version(name) for name in VERSIONS}
