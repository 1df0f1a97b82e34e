"""The experiments of VarCon (2506.07413), a table a command: VarCon and SupCon, trained alike and judged alike.

    python recipes/varcon_tables.py cifar100
    python recipes/varcon_tables.py cifar100 --smoke

Tables: cifar10, cifar100, views, transfer, imagenet100, imagenet. Each writes build/varcon_tables/TABLE-SEED.json and
.md; trained encoders are kept in the run store, so that tables share them. Cost and departures: docs/varcon_tables.md.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import setting
import supcon
import torch
import varcon
from measures import clusters, corruptions, few_labels, linear, neighbours

from cl_explore import data, evaluate, methods, nn, train

Parts = tuple[data.Dataset, data.Dataset]


@dataclass(frozen=True)
class Experiment:
    """What is trained, and what is measured of it.

    size: side of the images in pixels where the data set leaves it open; such photographs get ImageNet's stem.
    strengths: of the views, one training each. targets: data sets to transfer to.
    """

    data: str
    measures: tuple[str, ...]
    encoder: str = "resnet50"
    epochs: int = 200
    batch_size: int = 1024
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
# As in the recipes of both, their learning rates for batches of 1024.
METHODS: dict[str, tuple[str, dict[str, float], dict[str, float]]] = {
    "VarCon": ("varcon", {"temperature": 0.1, "epsilon": 0.02}, {"lr": varcon.LR, "weight_decay": varcon.WEIGHT_DECAY}),
    "SupCon": ("supcon", {"temperature": 0.1}, {"lr": supcon.LR, "weight_decay": supcon.WEIGHT_DECAY}),
}


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=EXPERIMENTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="seconds on the CPU: few pictures of the factor world")
    parser.add_argument("--out", type=Path, default=Path("build/varcon_tables"))
    given = parser.parse_args(argv)
    experiment = EXPERIMENTS[given.table]
    if given.smoke:
        experiment = replace(experiment, encoder="resnet18", epochs=1, batch_size=64)
        given.device = "cpu"
    seen, unseen = load(experiment.data, experiment.size, given)
    targets = {name: load(name, None, given) for name in experiment.targets}
    rows: list[dict[str, Any]] = []
    for strength in experiment.strengths:
        for name in METHODS:
            about = {"table": given.table, "data": seen.name, "seed": given.seed, "method": name, "views": strength}
            method = trained(name, strength, experiment, given, seen)
            values = judged(method, experiment, given, (seen, unseen), targets)
            rows += [{**about, "measure": measure, "value": value} for measure, value in values.items()]
            write(rows, given.out / f"{given.table}-{given.seed}")
    return rows


def load(name: str, size: int | None, given: argparse.Namespace) -> Parts:
    """The training and the test part of a data set, or for --smoke a few pictures of the factor world."""
    if given.smoke:
        return setting.load(argparse.Namespace(data="factor_world", smoke=True, seed=given.seed))
    options = {} if size is None else {"size": size}
    return data.load(name, "train", **options), data.load(name, "test", **options)


def trained(
    name: str, strength: float, experiment: Experiment, given: argparse.Namespace, seen: data.Dataset
) -> methods.Method:
    """The encoder of a method, trained with views of this strength, or taken from the run store."""
    loss, knobs, descent = METHODS[name]
    torch.manual_seed(given.seed)
    backbone = getattr(nn, experiment.encoder)(width=8 if given.smoke else 64)
    if experiment.size is not None:
        widen_stem(backbone)
    head = nn.projection_head(backbone.out_features, backbone.out_features, 128)
    method = methods.JointEmbedding(backbone, head, loss, replace(setting.VIEWS, strength=strength), **knobs)
    return train.fit(
        method,
        seen,
        epochs=experiment.epochs,
        batch_size=experiment.batch_size,
        optimizer="sgd",  # momentum 0.9
        lr=descent["lr"] * experiment.batch_size / 1024,
        weight_decay=descent["weight_decay"],
        warmup_epochs=min(10, experiment.epochs / 10),
        seed=given.seed,
        snapshots=0,
        device=given.device,
        precision="bf16-mixed" if torch.cuda.is_available() and given.device != "cpu" else "32-true",
    ).method


def widen_stem(backbone: nn.ResNet) -> None:
    """Give a ResNet for small images the stem for photographs: 7x7 with stride 2, then a max-pool of stride 2."""
    first = backbone.layers[0]
    stem = torch.nn.Conv2d(first.in_channels, first.out_channels, 7, 2, padding=3, bias=False)
    torch.nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    backbone.layers[0] = stem
    backbone.layers.insert(3, torch.nn.MaxPool2d(3, 2, padding=1))


def judged(
    method: methods.Method,
    experiment: Experiment,
    given: argparse.Namespace,
    parts: Parts,
    targets: dict[str, Parts],
) -> dict[str, float]:
    """What the experiment measures, by name, in per cent."""
    probe = {"epochs": 2 if given.smoke else 100, "seed": given.seed, "published_lr": varcon.LINEAR_LR}
    values: dict[str, float] = {}
    if experiment.measures:
        seen, unseen = (evaluate.embed(method, part) for part in parts)
        measures = {
            "linear": lambda: linear(method, *parts, **probe),
            "neighbours": lambda: neighbours(seen, unseen),
            "clusters": lambda: clusters(unseen, parts[1]),
            "few labels": lambda: few_labels(seen, unseen, given.seed),
            "corruptions": lambda: corruptions(method, *parts, given.seed),
        }
        for name in experiment.measures:
            values |= measures[name]()
    for name, target in targets.items():
        few = few_labels(*(evaluate.embed(method, part) for part in target), given.seed)
        values |= {f"{name}: {measure}": value for measure, value in (linear(method, *target, **probe) | few).items()}
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
