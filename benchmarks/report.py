"""The report on embeddings: how long it takes and how much memory, and how much of what is wrong it finds.

    python benchmarks/report.py [--points 100000] [--dim 768] [--cifar10n FILE] [--json FILE]

Planted are duplicates, outliers and wrong labels among clusters. With CIFAR-10 in CL_EXPLORE_DATA and the labels of
CIFAR-10N (its .npz with clean_label, aggre_label, worse_label, random_label1 and official_to_sorted) also what people
got wrong, by pixels and by an encoder that never saw a label.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import setting
from torch import Tensor

from cl_explore import data, evaluate, geometry, methods, nn, train, views

CLASSES, WRONG, STRAYS, COPIES = 100, 0.02, 0.002, 0.005
EPOCHS = 6


def planted(points: int, dim: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Vectors, labels, and the rows of what was planted."""
    draw = torch.Generator().manual_seed(0)
    order = torch.randperm(points, generator=draw)
    counts = {"wrong": int(WRONG * points), "outliers": int(STRAYS * points), "duplicates": int(COPIES * points)}
    rows = dict(zip(counts, order.split([*counts.values(), points - sum(counts.values())]), strict=False))
    true = torch.randint(CLASSES, (points,), generator=draw)
    centres = torch.nn.functional.normalize(torch.randn(CLASSES, dim, generator=draw), dim=1)
    x = centres[true] + 1.2 / dim**0.5 * torch.randn(points, dim, generator=draw)
    x[rows["outliers"]] = torch.randn(counts["outliers"], dim, generator=draw)
    sources = order[-counts["duplicates"] :]
    x[rows["duplicates"]] = x[sources] + 0.02 / dim**0.5 * torch.randn(counts["duplicates"], dim, generator=draw)
    labels = true.clone()
    labels[rows["duplicates"]] = labels[sources]
    labels[rows["wrong"]] = (
        labels[rows["wrong"]] + 1 + torch.randint(CLASSES - 1, (counts["wrong"],), generator=draw)
    ) % CLASSES
    rows["duplicates"] = torch.cat([rows["duplicates"], sources])
    return x, labels, rows


def found(what: Tensor, planted: Tensor) -> dict[str, float]:
    hits = torch.isin(what, planted).sum().item()
    return {"recall": hits / len(planted), "precision": hits / max(1, len(what))}


def quality(points: int, dim: int) -> dict[str, dict[str, float]]:
    """Recall and precision of each finding."""
    x, labels, rows = planted(points, dim)
    graph = geometry.knn_graph(x, 15)
    groups = geometry.near_duplicates(graph)
    clean = ~torch.isin(torch.arange(points), rows["outliers"])  # a stray has no right label
    wrong = evaluate.suspicious_labels(graph, labels).rows
    return {
        "duplicates": found(torch.cat(groups), rows["duplicates"]),
        "outliers": found((geometry.outlier_scores(graph) > 5).nonzero().flatten(), rows["outliers"]),
        "wrong labels": found(wrong[clean[wrong]], rows["wrong"]),
    }


def cost(points: int, dim: int) -> dict[str, float]:
    """Seconds and gigabytes of the command, in a process of its own."""
    x, labels, _ = planted(points, dim)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "x.npz", x=x.numpy(), labels=labels.numpy())
        del x
        line = [sys.executable, "-m", "cl_explore", "report", "x.npz", "--labels", "labels"]
        start = time.perf_counter()
        subprocess.run(line, cwd=folder, check=True, env=os.environ | {"CL_EXPLORE_RUNS": folder})
        seconds = time.perf_counter() - start
        size = (Path(folder) / "report.html").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {"points": points, "dim": dim, "seconds": seconds, "GiB": peak, "page MB": size / 1e6}


class Human(NamedTuple):
    """CIFAR-10's training pictures in the order of CIFAR-10N, with the right labels and those of people."""

    cifar: data.Dataset
    rows: Tensor
    true: Tensor
    given: dict[str, Tensor]


def human(file: Path) -> Human:
    noisy, cifar = np.load(file), data.load("cifar10")
    order = np.load(next(path for path in Path(os.environ["CL_EXPLORE_DATA"]).rglob("train-order.npy")))
    place = np.empty(len(order), np.int64)  # from class order to the rows of the data set
    place[order] = np.arange(len(order))
    rows = torch.from_numpy(place[noisy["official_to_sorted"]])
    true = cifar.labels[rows]
    assert torch.equal(true, torch.from_numpy(noisy["clean_label"]).long())
    names = ("aggre_label", "random_label1", "worse_label")
    return Human(cifar, rows, true, {name: torch.from_numpy(noisy[name]).long() for name in names})


def learner() -> methods.JointEmbedding:
    """What is trained on the pictures without a label."""
    torch.manual_seed(0)
    encoder = nn.ConvNet(3, width=32)
    head = nn.projection_head(encoder.out_features, 128, 64)
    return methods.JointEmbedding(encoder, head, "nt_xent", views.ImageViews(), temperature=0.2)


def people(file: Path) -> dict[str, Any]:
    """Of the labels that people gave to CIFAR-10: how many are suspected, and how many of those are wrong."""
    told, method = human(file), learner()
    train.fit(method, told.cifar, epochs=EPOCHS, batch_size=256, store=False)
    spaces = {"pixels": told.cifar.x.flatten(1).float(), "encoder": evaluate.embed(method, told.cifar).h}
    result: dict[str, Any] = {}
    for space, x in spaces.items():
        graph = geometry.knn_graph(x[told.rows], 15)
        for name, labels in told.given.items():
            bad = (labels != told.true).nonzero().flatten()
            suspicion = evaluate.suspicious_labels(graph, labels)
            first = suspicion.rows[: len(bad)]
            result[f"{space}, {name}"] = {
                "share wrong": len(bad) / len(labels),
                **found(suspicion.rows, bad),
                "precision of as many as are wrong": found(first, bad)["precision"],
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--cifar10n", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"setting": setting(), "planted": quality(min(options.points, 20_000), options.dim)}
    print(json.dumps(result["planted"], indent=1))
    result["cost"] = cost(options.points, options.dim)
    print(json.dumps(result["cost"], indent=1))
    if options.cifar10n:
        result["cifar10n"] = people(options.cifar10n)
        print(json.dumps(result["cifar10n"], indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
