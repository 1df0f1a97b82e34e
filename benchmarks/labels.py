"""What labels are worth: a linear classifier of a few labelled photographs, seen in three ways.

    OMP_NUM_THREADS=1 python benchmarks/labels.py [--seeds 1 2 3] [--small] [--json FILE]

An encoder learns from views of 2,000 pictures without one label. Then a logistic regression learns from a few labelled
ones of each class, drawn three times, on their pixels, on what the encoder made of them before its training, and on
what it makes of them after. Pictures are of CIFAR-10 if a data folder has it, else of the factor world, whose second
views are painted anew with all but the shape changed. The settings were chosen on seed 0, which is left out.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from machine import setting
from torch import Tensor

from cl_explore import data, evaluate, methods, nn, train
from cl_explore.data import Dataset, FactorViews, factor_rows
from cl_explore.views import ImageViews

SHOTS = (1, 2, 5, 20, 50)
BUT_SHAPE = ("x", "y", "scale", "rot", "style", "bhue", "freq", "phase", "bang", "hue", "bright")


def measure(dataset: str, seed: int, samples: int, epochs: int) -> list[dict[str, Any]]:
    """Accuracy on as many test pictures, for each number of labels and each way to see the pictures."""
    generator = torch.Generator().manual_seed(seed)
    seen, unseen = (
        part.subset(torch.randperm(len(part), generator=generator)[:samples].sort().values)
        for part in (data.load(dataset), data.load(dataset, "test"))
    )
    views, viewed = ImageViews.simclr(strength=0.5), seen
    if dataset == "factor_world":
        views, viewed = FactorViews(BUT_SHAPE), factor_rows(seen)
    torch.manual_seed(seed)
    encoder = nn.ConvNet(3, width=16, depth=4)
    head = nn.projection_head(encoder.out_features, encoder.out_features, 64)
    method = methods.JointEmbedding(encoder, head, "nt_xent", views, temperature=0.5)

    def represent() -> tuple[Tensor, Tensor]:
        return evaluate.embed(method, seen).h, evaluate.embed(method, unseen).h

    found = {"raw pixels": pixels(seen, unseen), "untrained encoder": represent()}
    settings = {"epochs": epochs, "batch_size": min(250, samples), "lr": 2e-3, "snapshots": 0}
    train.fit(method, viewed, seed=seed, progress=False, store=False, **settings)
    found["trained without labels"] = represent()
    return [
        {"seed": seed, "representation": name, "shots": shots, "accuracy": accuracy.logistic}
        for name, (first, second) in found.items()
        for shots in SHOTS
        for accuracy in [evaluate.few_label_accuracy(first, seen.labels, second, unseen.labels, shots, seed=seed)]
    ]


def pixels(*parts: Dataset) -> tuple[Tensor, ...]:
    return tuple(part.x.flatten(1) / 255 for part in parts)


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds, and on how many of them training leads, as Markdown."""
    by = {(row["representation"], row["shots"], row["seed"]): row["accuracy"] for row in rows}
    names, seeds = (list(dict.fromkeys(row[key] for row in rows)) for key in ("representation", "seed"))
    lines = [f"| labels of each class | {' | '.join(map(str, SHOTS))} |", "|---|" + "---:|" * len(SHOTS)]
    for name in names:
        means = [sum(by[name, shots, seed] for seed in seeds) / len(seeds) for shots in SHOTS]
        lines.append(f"| {name} | {' | '.join(f'{mean:.1%}' for mean in means)} |")
    *others, trained = names
    leads = [
        sum(all(by[trained, shots, seed] > by[other, shots, seed] for other in others) for seed in seeds)
        for shots in SHOTS
    ]
    return "\n".join([*lines, f"| training leads on | {' | '.join(f'{lead} of {len(seeds)}' for lead in leads)} |"])


def present() -> str:
    """The data set that there is."""
    try:
        data.PUBLISHED["cifar10"].find("train")
        return "cifar10"
    except FileNotFoundError:
        return "factor_world"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--small", action="store_true", help="the factor world in two steps, to see whether it runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    dataset, samples, epochs = ("factor_world", 800, 1) if options.small else (present(), 2000, 10)
    rows = []
    for seed in options.seeds:
        rows += measure(dataset, seed, samples, epochs)
        print(f"seed {seed} of {dataset} is measured", flush=True)
    print(table(rows))
    if options.json:
        record = {**setting(), "dataset": dataset, "samples": samples, "epochs": epochs, "rows": rows}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
