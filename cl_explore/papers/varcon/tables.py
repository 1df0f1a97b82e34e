"""The experiments of VarCon (2506.07413) on images, a table a command: methods trained alike and judged alike.

    python -m cl_explore.papers.varcon.tables cifar100
    python -m cl_explore.papers.varcon.tables cifar10 --methods SimCLR --epochs 1000
    python -m cl_explore.papers.varcon.tables cifar100 --smoke

Each writes build/varcon_tables/TABLE-SEED.json and .md; trained encoders are kept in the run store, so that tables
share them. Cost and departures: docs/varcon_tables.md.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.varcon import method as recipe

UNTRAINED = "untrained encoder"
METHODS = ("VarCon", "SupCon", "SimCLR", UNTRAINED)


@dataclass(frozen=True)
class Experiment:
    """What is trained, and what is measured of it.

    data: what it is trained on.
    measures: "linear", and of `recipe.MEASURES`.
    encoder, epochs, batch_size: of the training.
    linear_epochs: of the linear classifier.
    size: side of the images in pixels where the data set leaves it open; such photographs get ImageNet's stem.
    strengths: of the views, one training each.
    targets: data sets to transfer to.
    """

    data: str
    measures: tuple[str, ...]
    encoder: str = "resnet50"
    epochs: int = 200
    batch_size: int = recipe.BATCH
    linear_epochs: int = 100
    size: int | None = None
    strengths: tuple[float, ...] = (1.0,)
    targets: tuple[str, ...] = ()


ALL = ("linear", "neighbours", "clusters", "few labels", "corruptions")
EXPERIMENTS = {
    "cifar10": Experiment("cifar10", ALL),
    "cifar100": Experiment("cifar100", ALL),
    "views": Experiment("cifar100", ("linear", "neighbours"), strengths=(0.5, 1.0, 1.5)),
    "transfer": Experiment("cifar100", (), targets=("cifar10", "stl10")),
    "imagenet100": Experiment("imagenet100", ALL, batch_size=256, size=224),
    "imagenet": Experiment("imagenet", ("linear", "neighbours", "clusters", "corruptions"), size=96),
}


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Make the table that the command line asks for; its rows, one for each method, strength and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=EXPERIMENTS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["VarCon", "SupCon"])
    changes = parser.add_argument_group("other than the table's")
    changes.add_argument("--data", help="any name that data.load knows")
    changes.add_argument("--encoder", choices=("resnet18", "resnet50"))
    changes.add_argument("--epochs", type=int)
    changes.add_argument("--batch-size", type=int, help="the learning rate follows it in proportion")
    changes.add_argument("--linear-epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="seconds on the CPU: few pictures of the factor world")
    parser.add_argument("--out", type=Path, default=Path("build/varcon_tables"))
    given = parser.parse_args(argv)
    experiment = EXPERIMENTS[given.table]
    if given.smoke:
        experiment = replace(experiment, encoder="resnet18", epochs=1, batch_size=64, linear_epochs=2)
        given.device = "cpu"
    asked = {name: getattr(given, name) for name in ("data", "encoder", "epochs", "batch_size", "linear_epochs")}
    experiment = replace(experiment, **{name: value for name, value in asked.items() if value is not None})
    train, test = load(experiment.data, experiment.size, given.smoke)
    targets = {name: load(name, None, given.smoke) for name in experiment.targets}
    rows: list[dict[str, Any]] = []
    for strength in experiment.strengths:
        for name in given.methods:
            measure = partial(measured, name=name, experiment=experiment, targets=targets, seed=given.seed)
            plan = {name: planned(name, strength, experiment, given.device, smoke=given.smoke)}
            (row,) = compare(plan, train, test, [measure], seed=given.seed, progress=True).rows
            about = {"table": given.table, "data": train.name, "seed": given.seed, "method": name, "views": strength}
            found = {key: value for key, value in row.items() if key not in ("method", "seconds")}
            rows += [{**about, "measure": key, "value": value} for key, value in found.items()]
            write(rows, given.out / f"{given.table}-{given.seed}")
    return rows


def load(name: str, size: int | None, smoke: bool) -> tuple[Dataset, Dataset]:
    """The training and the test part of a data set, or for --smoke a few pictures of the factor world."""
    if smoke:
        return splits("factor_world", 128, n=1000, size=32)
    return splits(name, **({} if size is None else {"size": size}))


def planned(name: str, strength: float, experiment: Experiment, device: str, *, smoke: bool) -> Entry:
    """The entry of a method, whose views have this strength."""
    width, photographs = 8 if smoke else 64, experiment.size is not None
    own: dict[str, Any] = {
        "networks": partial(recipe.networks, encoder=experiment.encoder, width=width, photographs=photographs),
        "augment": replace(recipe.VIEWS, strength=strength),
    }
    if name == UNTRAINED:
        return baselines(**own)[UNTRAINED]
    return recipe.entry(name, epochs=experiment.epochs, batch_size=experiment.batch_size, device=device, **own)


def measured(
    method: Method,
    train: Dataset,
    test: Dataset,
    *,
    name: str,
    experiment: Experiment,
    targets: dict[str, tuple[Dataset, Dataset]],
    seed: int,
) -> dict[str, float]:
    """What the experiment measures, by name, in per cent."""
    published = 5.0 if name == UNTRAINED else recipe.recipe(name).linear_lr
    linear = partial(recipe.linear, published_lr=published, epochs=experiment.linear_epochs)
    measures: dict[str, Callable[..., dict[str, float]]] = {**recipe.MEASURES, "linear": linear}
    values: dict[str, float] = {}
    for measure in experiment.measures:
        values |= measures[measure](method, train, test, seed=seed)
    for target, parts in targets.items():
        for measure in ("linear", "few labels"):
            values |= {f"{target}: {key}": value for key, value in measures[measure](method, *parts, seed=seed).items()}
    return values


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows as JSON and as a Markdown table, after every method, so that what stops later loses nothing."""
    table = pd.DataFrame(rows).pivot_table("value", ["views", "measure"], "method", sort=False)
    lines = [["views", "measure", *table.columns], ["---"] * (2 + len(table.columns))]
    lines += [[f"{strength:g}", measure, *map("{:.2f}".format, of)] for (strength, measure), of in
              zip(table.index, table.to_numpy(), strict=True)]  # fmt: skip
    markdown = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown, encoding="utf-8")
    print(markdown)


if __name__ == "__main__":
    main()
