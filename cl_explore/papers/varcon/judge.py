"""How the tables judge an encoder, in per cent: a linear classifier, neighbours, clusters, few labels, corruptions."""

from typing import Any

import torch

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.varcon.recipe import LINEAR_LRS, LINEAR_VIEWS

SHOTS = (1, 5, 10)
MOST = 10_000
"""Samples that are clustered: memory grows with their square."""


def linear(
    method: Method, train: Dataset, test: Dataset, *, seed: int, published_lr: float, epochs: int
) -> dict[str, float]:
    """Accuracies of linear classifiers: at the published rate, last and best epoch on the test part; at one chosen."""
    probe: dict[str, Any] = {"augment": LINEAR_VIEWS, "epochs": epochs, "seed": seed}
    published = evaluate.linear_probe(method, train, test, lr=published_lr, **probe)
    chosen = evaluate.linear_probe(method, train, test, lr=LINEAR_LRS, **probe)
    return {
        f"linear, lr {published_lr:g}, last epoch": 100 * published.accuracy,
        f"linear, lr {published_lr:g}, best epoch on the test part": 100 * max(published.history),
        "linear, lr chosen on a tenth of the training part": 100 * chosen.accuracy,
    }


def neighbours(method: Method, train: Dataset, test: Dataset, *, seed: int) -> dict[str, float]:
    """Accuracy of the vote of the 20 nearest training samples."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    return {"kNN, k = 20": 100 * evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels, k=20)}


def clusters(method: Method, train: Dataset, test: Dataset, *, seed: int) -> dict[str, float]:
    """Agreement of Ward's clusters of unit h with the classes, and the superclasses if there are any."""
    rows = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:MOST]
    truths = {"classes": test.labels, "superclasses": test.factors.get("superclass")}
    known = {name: labels[rows.to(labels.device)].cpu() for name, labels in truths.items() if labels is not None}
    counts = [len(labels.unique()) for labels in known.values()]
    found = {}
    cuts = evaluate.ward(evaluate.embed(method, test).h[rows], *counts)
    for (name, labels), groups in zip(known.items(), cuts, strict=True):
        agreement = evaluate.agreement(groups, labels)
        found[f"clusters and {name}, ARI"] = 100 * agreement.ari
        found[f"clusters and {name}, NMI"] = 100 * agreement.nmi
        found[f"clusters and {name}, homogeneity"] = 100 * agreement.homogeneity
    return found


def few_labels(method: Method, train: Dataset, test: Dataset, *, seed: int) -> dict[str, float]:
    """Accuracy with few labelled samples of each class, a mean over draws: the nearest, and a logistic regression."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    found = {}
    for shots in SHOTS:
        scores = evaluate.few_label_accuracy(seen.h, seen.labels, unseen.h, unseen.labels, shots, seed=seed)
        found[f"{shots} labels a class, nearest"] = 100 * scores.nearest
        found[f"{shots} labels a class, logistic"] = 100 * scores.logistic
    return found


def corruptions(method: Method, train: Dataset, test: Dataset, *, seed: int) -> dict[str, float]:
    """kNN accuracy on corrupted test images, from clean training images."""
    found = evaluate.corrupted_accuracy(method, train, test, evaluate.IMAGE_CORRUPTIONS, seed=seed)
    return {f"kNN under {name}": 100 * value for name, value in found.items()}


MEASURES = {"neighbours": neighbours, "clusters": clusters, "few labels": few_labels, "corruptions": corruptions}
