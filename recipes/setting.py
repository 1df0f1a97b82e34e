"""What the recipes share: the command line, the data, the encoders, the views, and how an encoder is judged."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from cl_explore import data, evaluate, methods, nn, views
from cl_explore.train import fit

# Of the SupContrast code for CIFAR: SimCLR's views without blur. Left out: subtracting the mean colour, which the batch
# norm after the first layer does as well, but for the border.
VIEWS = replace(views.ImageViews.simclr(), blur=0.0)
LINEAR_VIEWS = views.ImageViews(crop_area=0.2, crop_ratio=4 / 3, flip=0.5)
LINEAR_LRS = (0.1, 0.5, 1.0, 5.0, 10.0)
"""Learning rates to choose from on a held-out tenth of the training part."""


def arguments(recipe: str, argv: Sequence[str] | None, *, epochs: int, batch_size: int) -> argparse.Namespace:
    """The settings of a run: those of the recipe, unless the command line says otherwise."""
    parser = argparse.ArgumentParser(description=recipe, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="cifar10 (the default), cifar100, or any other name that data.load knows")
    parser.add_argument("--encoder", choices=("resnet18", "resnet50"), default="resnet18")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch-size", type=int, default=batch_size, help="the learning rate follows it in proportion")
    parser.add_argument("--linear-epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="seconds on the CPU: few pictures of the factor world")
    given = parser.parse_args(argv)
    given.method = recipe.partition(" (")[0]
    given.width, given.precision = (
        64,
        "bf16-mixed" if torch.cuda.is_available() and given.device != "cpu" else "32-true",
    )
    if given.smoke:
        given.epochs, given.batch_size, given.linear_epochs, given.width = 2, 64, 5, 8
        given.device, given.precision = "cpu", "32-true"
    given.data = given.data or ("factor_world" if given.smoke else "cifar10")
    # a tenth of a short run, else ten epochs, as the SupContrast code does for large batches
    given.warmup_epochs = min(10, given.epochs / 10)
    return given


def load(given: argparse.Namespace) -> tuple[data.Dataset, data.Dataset]:
    """The training and the test part, cut to a few hundred images for --smoke."""
    options = {"n": 1000, "size": 32} if given.data == "factor_world" else {}
    parts = {split: data.load(given.data, split, **options) for split in ("train", "test")}
    if given.smoke:
        for split, count in (("train", 256), ("test", 128)):
            rows = torch.randperm(len(parts[split]), generator=torch.Generator().manual_seed(given.seed))
            parts[split] = parts[split].subset(rows[:count])
    return parts["train"], parts["test"]


def encoder(given: argparse.Namespace, dataset: data.Dataset) -> nn.ResNet:
    """The ResNet for small images that was asked for, its initial weights decided by the seed."""
    torch.manual_seed(given.seed)
    return getattr(nn, given.encoder)(in_channels=dataset.x.shape[1], width=given.width)


def train_and_judge(
    given: argparse.Namespace,
    loss: str,
    knobs: dict[str, Any],
    *,
    lr: float,
    weight_decay: float,
    linear_lr: float,
) -> dict[str, float]:
    """Train the encoder and a head of two layers with SGD (momentum 0.9) on two views; the accuracies of `judge`."""
    seen, unseen = load(given)
    backbone = encoder(given, seen)
    head = nn.projection_head(backbone.out_features, backbone.out_features, 128)
    method = methods.JointEmbedding(backbone, head, loss, VIEWS, **knobs)
    before = knn(method, seen, unseen)
    fit(
        method,
        seen,
        epochs=given.epochs,
        batch_size=given.batch_size,
        optimizer="sgd",
        lr=lr,
        weight_decay=weight_decay,
        warmup_epochs=given.warmup_epochs,
        seed=given.seed,
        snapshots=0,
        device=given.device,
        precision=given.precision,
    )
    return judge(given, method, seen, unseen, knn_before=before, linear_lr=linear_lr)


def judge(
    given: argparse.Namespace,
    method: methods.Method,
    train: data.Dataset,
    test: data.Dataset,
    *,
    knn_before: float,
    linear_lr: float,
) -> dict[str, float]:
    """Print and return accuracies on the test part, in per cent; published ones are of the best epoch on that part."""
    probe = {"augment": LINEAR_VIEWS, "epochs": given.linear_epochs, "seed": given.seed}
    published = evaluate.linear_probe(method, train, test, lr=linear_lr, **probe)
    chosen = evaluate.linear_probe(method, train, test, lr=LINEAR_LRS, **probe)
    rows = {
        "kNN, k = 20, before training": knn_before,
        "kNN, k = 20, after it": knn(method, train, test),
        f"linear, lr {linear_lr:g} as published, last epoch": published.accuracy,
        f"linear, lr {linear_lr:g} as published, best epoch on the test part": max(published.history),
        f"linear, lr {chosen.lr:g} chosen on a tenth of the training part": chosen.accuracy,
    }
    setting = f"{given.encoder}, {given.epochs} epochs of batches of {given.batch_size}, seed {given.seed}"
    print(f"{given.method} on {train.name}: {setting}")
    for name, accuracy in rows.items():
        print(f"  {name:64} {100 * accuracy:6.2f} %")
    return {name: 100 * accuracy for name, accuracy in rows.items()}


def knn(method: methods.Method, train: data.Dataset, test: data.Dataset) -> float:
    """Accuracy of the vote of the 20 nearest neighbours in the representation."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    return evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels, k=20)
