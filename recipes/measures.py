"""How the tables judge an encoder, in per cent: neighbours, clusters, few labels, corrupted images."""

import torch
from setting import LINEAR_LRS, LINEAR_VIEWS

from cl_explore import data, evaluate, methods

SHOTS = (1, 5, 10)
TITLES = {"ari": "ARI", "nmi": "NMI", "homogeneity": "homogeneity"}
MOST = 10_000  # samples that are clustered: memory grows with their square


def neighbours(seen: evaluate.Embedding, unseen: evaluate.Embedding) -> dict[str, float]:
    """Accuracy of the vote of the 20 nearest training samples."""
    return {"kNN, k = 20": 100 * evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels, k=20)}


def linear(
    method: methods.Method, train: data.Dataset, test: data.Dataset, *, epochs: int, seed: int, published_lr: float
) -> dict[str, float]:
    """Accuracy of linear classifiers: at the published rate, in its best epoch on the test part, and at one chosen."""
    probe = {"augment": LINEAR_VIEWS, "epochs": epochs, "seed": seed}
    published = evaluate.linear_probe(method, train, test, lr=published_lr, **probe)
    return {
        f"linear, lr {published_lr:g}, best epoch on the test part": 100 * max(published.history),
        "linear, lr chosen on a tenth of the training part": 100
        * evaluate.linear_probe(method, train, test, lr=LINEAR_LRS, **probe).accuracy,
    }


def clusters(unseen: evaluate.Embedding, test: data.Dataset) -> dict[str, float]:
    """Agreement of Ward's clusters of unit h with the classes, and the superclasses if there are any."""
    rows = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:MOST]
    truths = {"classes": test.labels[rows]}
    if "superclass" in test.factors:
        truths["superclasses"] = test.factors["superclass"][rows]
    cuts = evaluate.ward(unseen.h[rows], *(len(truth.unique()) for truth in truths.values()))
    found = {}
    for (name, truth), cut in zip(truths.items(), cuts, strict=True):
        agreement = evaluate.agreement(cut, truth)
        found |= {f"clusters and {name}, {title}": 100 * getattr(agreement, key) for key, title in TITLES.items()}
    return found


def few_labels(seen: evaluate.Embedding, unseen: evaluate.Embedding, seed: int) -> dict[str, float]:
    """Accuracy with few labelled samples of each class, a mean over draws: the nearest, and a logistic regression."""
    found: dict[str, float] = {}
    for shots in SHOTS:
        few = evaluate.few_label_accuracy(seen.h, seen.labels, unseen.h, unseen.labels, shots, seed=seed)
        found |= {f"{shots} labels a class, {name}": 100 * score for name, score in few._asdict().items()}
    return found


def corruptions(method: methods.Method, train: data.Dataset, test: data.Dataset, seed: int) -> dict[str, float]:
    """kNN accuracy on corrupted test images, from clean training images."""
    found = evaluate.corrupted_accuracy(method, train, test, evaluate.IMAGE_CORRUPTIONS, seed=seed)
    return {f"kNN under {name}": 100 * accuracy for name, accuracy in found.items()}
