"""How the tables judge an encoder, in per cent: neighbours, clusters, few labels, corrupted images."""

from collections.abc import Callable
from dataclasses import replace

import torch
from scipy.cluster.hierarchy import fcluster, linkage
from setting import LINEAR_LRS, LINEAR_VIEWS
from sklearn.metrics import adjusted_rand_score, homogeneity_score, normalized_mutual_info_score
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data, evaluate, methods

SHOTS, DRAWS = (1, 5, 10), 3
MOST = 10_000  # samples that are clustered: memory grows with their square

# Each takes images (N, C, H, W) in [0, 1]. They are ours: results on CIFAR-10-C and ImageNet-C cannot be compared.
CORRUPTIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "noise": lambda x, generator: x + 0.1 * torch.randn(x.shape, generator=generator),
    "brightness": lambda x, generator: x + 0.3,
    "contrast": lambda x, generator: x.mean((1, 2, 3), keepdim=True) + 0.4 * (x - x.mean((1, 2, 3), keepdim=True)),
    "pixelation": lambda x, generator: F.interpolate(F.avg_pool2d(x, 2), size=x.shape[2:]),
}


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
    tree = linkage(F.normalize(unseen.h[rows], dim=1).numpy(), "ward")
    found = {}
    for name, labels in {"classes": test.labels, "superclasses": test.factors.get("superclass")}.items():
        if labels is None:
            continue
        truth = labels[rows].numpy()
        groups = fcluster(tree, len(set(truth.tolist())), "maxclust")
        found[f"clusters and {name}, ARI"] = 100 * adjusted_rand_score(truth, groups)
        found[f"clusters and {name}, NMI"] = 100 * normalized_mutual_info_score(truth, groups)
        found[f"clusters and {name}, homogeneity"] = 100 * homogeneity_score(truth, groups)
    return found


def few_labels(seen: evaluate.Embedding, unseen: evaluate.Embedding, seed: int) -> dict[str, float]:
    """Accuracy with few labelled samples of each class, a mean over draws: the nearest, and a logistic regression."""
    found: dict[str, float] = {}
    for shots in SHOTS:
        for draw in range(DRAWS):
            order = torch.randperm(len(seen.h), generator=torch.Generator().manual_seed(DRAWS * seed + draw))
            rows = torch.cat([order[seen.labels[order] == label][:shots] for label in seen.labels.unique()])
            few = seen.h[rows], seen.labels[rows], unseen.h, unseen.labels
            scores = {"nearest": evaluate.knn_accuracy(*few, k=1), "logistic": evaluate.linear_accuracy(*few)}
            for name, score in scores.items():
                key = f"{shots} labels a class, {name}"
                found[key] = found.get(key, 0) + 100 * score / DRAWS
    return found


def corruptions(method: methods.Method, seen: evaluate.Embedding, test: data.Dataset, seed: int) -> dict[str, float]:
    """kNN accuracy on corrupted test images, from clean training images."""
    found = {}
    for name, corrupt in CORRUPTIONS.items():
        generator = torch.Generator().manual_seed(seed)
        chunks = [
            (255 * corrupt(test.batch(rows).x, generator).clamp(0, 1)).round().to(torch.uint8)
            for rows in torch.arange(len(test)).split(1024)
        ]
        unseen = evaluate.embed(method, replace(test, x=torch.cat(chunks)))
        found[f"kNN under {name}"] = neighbours(seen, unseen)["kNN, k = 20"]
    return found
