"""Here lives the form that every study has, the rows it gives for a seed, and the list of studies."""

import hashlib
import importlib
import inspect
import json
import pkgutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import cl_explore
from cl_explore.data.registry import unknown
from cl_explore.studies.verdict import Claim
from cl_explore.train import store

PRESETS = ("smoke", "laptop", "real")
SEEDS = {"smoke": 1, "laptop": 5, "real": 5}
VERSIONS = ("cl_explore", "torch", "numpy", "scipy", "scikit-learn")

Row = dict[str, Any]
"""One method's results: its name under "method", then its metrics, plain numbers, and "seconds" of training."""


@dataclass(frozen=True)
class Study:
    """A paper's mechanism at small scale: its claims, and the code that tests them.

    slug: its name on the command line; the module has the same, with underscores. title and paper (arXiv id): where
    the claims come from. about: what the paper says, in one sentence. claims: fixed before any result was seen.
    run(seed, **settings) gives one row for each method; its keyword defaults are the preset "laptop". presets: what
    "smoke" (seconds, for tests) and "real" (the paper's kind of data, on a GPU) change of them. draw: the figure of a
    table with one row for each seed and method.
    """

    slug: str
    title: str
    paper: str
    about: str
    claims: tuple[Claim, ...]
    run: Callable[..., list[Row]]
    draw: Callable[[pd.DataFrame], Figure]
    presets: Mapping[str, Mapping[str, Any]]

    def settings(self, preset: str = "laptop", **changes: Any) -> dict[str, Any]:
        """Every setting of a preset by name, with these changes; ValueError for an unknown preset or setting."""
        if preset not in PRESETS:
            raise unknown("preset", preset, PRESETS)
        declared = inspect.signature(self.run).parameters
        defaults = {name: p.default for name, p in declared.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
        asked = {**self.presets.get(preset, {}), **changes}
        for name in asked:
            if name not in defaults:
                raise unknown(f"setting of {self.slug}", name, defaults)
        return {**defaults, **asked}

    def rows(self, preset: str = "laptop", seed: int = 0, **changes: Any) -> list[Row]:
        """The rows of one seed, from the run store if the same code has made them before.

        The training runs within are in the store too, so an interrupted seed goes on with the first unfinished run.
        """
        settings = self.settings(preset, **changes)
        kept = self._kept(settings, seed)
        if kept.exists():
            return json.loads(kept.read_text())
        rows = [{"seed": seed, **row} for row in self.run(seed, **settings)]
        unfinished = kept.with_name(f".{uuid.uuid4().hex}.json")
        unfinished.write_text(json.dumps(rows))
        unfinished.replace(kept)  # whole or not at all
        return rows

    def _kept(self, settings: dict[str, Any], seed: int) -> Path:
        """Where the rows are kept: the name changes with the settings, the seed, and all code that makes the rows."""
        root = Path(cl_explore.__file__).parent
        source = [*sorted((root / "geometry").glob("*.py")), root / "studies" / "setting.py"]
        source.append(Path(inspect.getfile(self.run)))
        config = {
            "study": self.slug,
            "settings": settings,
            "seed": seed,
            "package": store.package_source(),
            "source": hashlib.sha256(b"".join(path.read_bytes() for path in source)).hexdigest(),
            "versions": versions(),
        }
        path = store.folder(True, config)
        assert path is not None
        return path.with_suffix(".json")


def versions() -> dict[str, str]:
    """The packages that decide what a study finds, and their versions."""
    return {name: metadata.version(name) for name in VERSIONS}


def names() -> list[str]:
    """The slugs of all studies: every module of this package that defines STUDY is one."""
    here = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = [importlib.import_module(f"cl_explore.studies.{name}") for name in here]
    return sorted(module.STUDY.slug for module in modules if hasattr(module, "STUDY"))


def get(slug: str) -> Study:
    """The study called `slug`; ValueError naming the nearest for an unknown one.

    >>> get("behaviour-of-contrastive-loss").paper
    '2012.09740'
    """
    if slug not in names():
        raise unknown("study", slug, names())
    return importlib.import_module(f"cl_explore.studies.{slug.replace('-', '_')}").STUDY
