"""Studies run over seeds, several at a time, and recorded with all that is needed to repeat them."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from cl_explore import data
from cl_explore.claims.study import SEEDS, Row, Study, versions
from cl_explore.claims.verdict import LOOKS, judge
from cl_explore.disk import whole

Record = dict[str, Any]
"""A study's results as they are written to JSON: what was run, where, its rows, and the verdict on each claim."""


def run(
    studies: Sequence[Study],
    preset: str = "laptop",
    *,
    seeds: int | None = None,
    seeds_from: int = 0,
    jobs: int = 1,
    command: str = "",
    on_record: Callable[[Record], None] = lambda record: None,
    changes: Mapping[str, Any] | None = None,
) -> list[Record]:
    """Run studies over seeds from `seeds_from` on, `jobs` processes at a time, and return their records in order.

    Seeds that are in the run store are not run again, so that an interrupted scorecard goes on where it stopped.
    seeds: how many; if left out, those of the first look (one for the preset "smoke", else five), and of the next as
    long as a claim of the study is near its border. changes: settings other than the preset's. command: recorded as
    what made this. `on_record` is called with each record as the last seed of its study is done. Raises ValueError
    before anything runs for unknown settings, for seeds or jobs below 1 and for seeds_from below 0, and after the first
    seed for a claim that its rows do not answer.
    """
    chosen = {study.paper.slug: study for study in studies}
    settings = {slug: study.settings(preset, **changes or {}) for slug, study in chosen.items()}
    looks = SEEDS[preset] if seeds is None else (seeds,)
    for name, (value, least) in {"seeds": (looks[0], 1), "seeds_from": (seeds_from, 0), "jobs": (jobs, 1)}.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    results: dict[str, dict[int, list[Row]]] = {slug: {} for slug in chosen}
    records: dict[str, Record] = {}
    for done, look in pairwise((0, *looks)):
        new = range(seeds_from + done, seeds_from + look)
        tasks = [(chosen[slug], preset, seed, changes or {}) for slug in chosen if slug not in records for seed in new]
        # one thread a process: threads of two processes on one core hinder each other, and sums come out alike anywhere
        with parallel_config("loky", inner_max_num_threads=1), tqdm(total=len(tasks), unit="seed", disable=None) as bar:
            pool = Parallel(jobs, return_as="generator_unordered")
            for slug, seed, rows in pool(delayed(_one)(*task) for task in tasks):
                results[slug][seed] = rows
                if len(results[slug]) == 1:  # a claim about no row must not cost more than a seed
                    verdicts(chosen[slug], preset, rows)
                bar.set_postfix_str(slug)
                bar.update()
                if len(results[slug]) == look:
                    ordered = [results[slug][seed] for seed in sorted(results[slug])]
                    found = record(chosen[slug], preset, settings[slug], ordered, command, looks)
                    if look == looks[-1] or not any(verdict["near"] for verdict in found["verdicts"]):
                        records[slug] = found
                        on_record(found)
    return [records[slug] for slug in chosen]


def _one(study: Study, preset: str, seed: int, changes: Mapping[str, Any]) -> tuple[str, int, list[Row]]:
    return study.paper.slug, seed, study.rows(preset, seed, **changes)


def record(
    study: Study,
    preset: str,
    settings: dict[str, Any],
    results: Sequence[list[Row]],
    command: str,
    looks: Sequence[int] = LOOKS,
) -> Record:
    """The record of a study whose seeds, in ascending order, gave `results`; `looks` as of `judge`."""
    rows = [{name: _rounded(value) for name, value in row.items()} for seed in results for row in seed]
    return {
        "study": study.paper.slug,
        "title": f"{study.paper.title} ({study.paper.name})",
        "paper": study.paper.arxiv,
        "about": study.about,
        "command": command,
        "preset": preset,
        "settings": settings,
        "data": data.load(settings["dataset"], "test").name if "dataset" in settings else None,
        "seeds": [seed[0]["seed"] for seed in results],
        "seconds": round(sum(row.get("seconds", 0) for row in rows), 1),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **versions()},
        "verdicts": verdicts(study, preset, rows, looks),
        "rows": rows,
    }


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def verdicts(
    study: Study, preset: str, rows: Sequence[dict[str, Any]], looks: Sequence[int] = LOOKS
) -> list[dict[str, Any]]:
    """The claims of a study about a preset with what its rows, one for each seed and method, say of them."""
    table, about = pd.DataFrame(rows), "real" if preset == "real" else "laptop"
    return [{**asdict(claim), **asdict(judge(claim, table, looks))} for claim in study.claims if claim.preset == about]


def machine() -> dict[str, str | int]:
    """The processor (and GPU) that computes here, without names of hosts."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        cpu = models[0] if models else cpu
    found: dict[str, str | int] = {"cpu": cpu, "cores": os.cpu_count() or 1, "system": platform.system()}
    return found | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def write(record: Record, folder: Path) -> Path:
    """Write a record to folder/SLUG.json, whole or not at all; a row of the results stands on a line of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**record, "rows": "ROWS"}, indent=1, ensure_ascii=False)
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in record["rows"])
    path = folder / f"{record['study']}.json"
    with whole(path) as new:
        new.write_text(text.replace('"ROWS"', f"[\n  {rows}\n ]") + "\n", encoding="utf-8")
    return path


def read(folder: Path) -> list[Record]:
    """The records in a folder and its sub-folders, by slug."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"), key=lambda path: (path.stem, path))
    ]
