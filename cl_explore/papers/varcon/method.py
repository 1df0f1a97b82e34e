"""VarCon, SupCon and SimCLR on images, trained and judged as the code of VarCon and of SupContrast does.

Published accuracies of a linear classifier in its best epoch on the test part, with a ResNet-50: VarCon 78.29 % on
CIFAR-100 (abstract; 200 epochs); SupCon 96.0 % and 76.5 %, SimCLR 93.6 % and 70.7 % on CIFAR-10 and CIFAR-100 (README
of SupContrast; 1000 epochs). Departures: the learning rate ends at 0 and not at a thousandth; the mean colour is not
subtracted, which the batch norm after the first layer does as well, but for the border; batch norm sees the whole batch
and not an eighth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from cl_explore import evaluate, nn
from cl_explore.claims.bench import Entry
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.views import ImageViews

BATCH = 1024
VIEWS = replace(ImageViews.simclr(), blur=0.0)
LINEAR_VIEWS = ImageViews(crop_area=0.2, crop_ratio=4 / 3, flip=0.5)
LINEAR_LRS = (0.1, 0.5, 1.0, 5.0, 10.0)
"""Learning rates of the linear classifier to choose from on a held-out tenth of the training part."""

SHOTS = (1, 5, 10)
MOST = 10_000
"""Samples that are clustered: memory grows with their square."""

# VarCon's rate is 0.5 on eight GPUs, each with the gradient of its own rows of the joint loss, which are then averaged:
# an eighth of the gradient. SGD takes the same steps with an eighth of the rate and eight times the weight decay.
GPUS = 8
# SupContrast multiplies its losses by temperature / 0.07. SGD takes the same steps if instead the learning rate is
# multiplied, and the weight decay divided, by this factor.
BASE_TEMPERATURE = 0.07


@dataclass(frozen=True)
class Recipe:
    """How a method is trained.

    loss, knobs: of the catalogue.
    factor: by which its gradient falls short of that of the published code.
    linear_lr: the published learning rate of its linear classifier.
    """

    loss: str
    knobs: Mapping[str, Any]
    factor: float
    linear_lr: float


def recipe(title: str, temperature: float | None = None) -> Recipe:
    """That of "VarCon", "SupCon" or "SimCLR", at another temperature than the published one if it is given."""
    if title == "VarCon":
        tau = temperature or 0.1
        return Recipe("varcon", {"temperature": tau, "epsilon": 0.2 * tau}, 1 / GPUS, linear_lr=5.0)
    if title == "SupCon":
        tau = temperature or 0.1
        return Recipe("supcon", {"temperature": tau}, tau / BASE_TEMPERATURE, linear_lr=5.0)
    tau = temperature or 0.5
    return Recipe("nt_xent", {"temperature": tau}, tau / BASE_TEMPERATURE, linear_lr=1.0)


def entry(
    title: str,
    *,
    epochs: int,
    batch_size: int = BATCH,
    temperature: float | None = None,
    device: str = "auto",
    **own: Any,
) -> Entry:
    """An entry of a plan: SGD with momentum at the published rate, which follows the batch size in proportion.

    own: of `Entry`, networks among them.
    """
    used = recipe(title, temperature)
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": "sgd",
        "lr": 0.5 * used.factor * batch_size / BATCH,
        "weight_decay": 1e-4 / used.factor,
        "warmup_epochs": min(10, epochs / 10),  # a tenth of a short run, else as for large batches
        "device": device,
        "precision": "bf16-mixed" if torch.cuda.is_available() and device != "cpu" else "32-true",
    }
    return Entry(used.loss, settings=settings, **{"augment": VIEWS, **own}, **used.knobs)


def networks(
    train: Dataset, encoder: str = "resnet18", width: int = 64, photographs: bool = False
) -> tuple[nn.ResNet, torch.nn.Module]:
    """A ResNet for small images, or with the stem for photographs, and a head of two layers to 128 dimensions."""
    backbone: nn.ResNet = getattr(nn, encoder)(in_channels=train.x.shape[1], width=width)
    if photographs:
        widen_stem(backbone)
    return backbone, nn.projection_head(backbone.out_features, backbone.out_features, 128)


def widen_stem(backbone: nn.ResNet) -> None:
    """Give a ResNet for small images the stem for photographs: 7x7 with stride 2, then a max-pool of stride 2."""
    first: torch.nn.Conv2d = backbone.layers[0]  # type: ignore[assignment]
    stem = torch.nn.Conv2d(first.in_channels, first.out_channels, 7, 2, padding=3, bias=False)
    torch.nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    backbone.layers[0] = stem
    backbone.layers.insert(3, torch.nn.MaxPool2d(3, 2, padding=1))


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
