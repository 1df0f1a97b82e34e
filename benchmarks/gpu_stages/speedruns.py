"""Seconds to a stated accuracy from a cold start, and accuracy against epochs: each seed is a record of its own.

A race is that of `speedrun.py`: a tenth of the training part is held out and looked at, the test part is seen once at
the end and decides nothing. Loading the data, building and compiling are on the clock. Schedules are as long as fits
into the seconds they are given. No recipe was tuned here: batches of 512, SGD whose rate rises for two epochs and falls
along a cosine, SimCLR's views, networks in bfloat16, compiled and in the order of tensor cores.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import gpu_pack
import torch
from speedrun import FAST, KNN, SIMCLR, Method, Probe, Rung, joint, race

from cl_explore import data, evaluate, methods, nn, views
from gpu_stages.case import Case

SEEDS = 5
ABOUT = 60  # seconds that a race takes beyond its training: a process, looks, probes
RECIPE = {"batch_size": 512, "optimizer": "sgd", "lr": 0.4, "weight_decay": 5e-4, "warmup_epochs": 2}
Encoder = Callable[[], torch.nn.Module]
Build = Callable[[], Method]
CROP_AND_FLIP = views.ImageViews(crop_area=0.5, crop_ratio=4 / 3, flip=0.5)


def linear(method: Method, seen: data.Dataset, other: data.Dataset) -> float:
    """A classifier of h trained by SGD on images as they are: its accuracy after the last epoch."""
    return evaluate.linear_probe(method, seen, other, epochs=60, progress=False).accuracy


def cross_entropy(encoder: Encoder, classes: int) -> Build:
    """A linear classifier of h, without a head: what logit adjustment of strength 0 is."""

    def build() -> Method:
        counts = torch.ones(classes, dtype=torch.int64)
        return methods.JointEmbedding(
            encoder(), torch.nn.Identity(), "logit_adjusted", CROP_AND_FLIP, 1, classes=counts, strength=0.0
        )

    return build


def rungs() -> list[Rung]:
    """In order of worth."""

    def on_cifar(of: int, title: str, probe: Probe, target: float | None, build: Build, filling: float) -> Rung:
        settings = {"epochs": 400, **RECIPE, **FAST}
        return Rung(f"CIFAR-{of}, {title}", "cuda", f"cifar{of}", probe, target, 30, build, settings, filling)

    def of_loss(loss: str, encoder: Encoder, hidden: int) -> Build:
        return cross_entropy(encoder, 100) if loss == "cross-entropy" else joint(encoder, hidden, loss, 0.1, SIMCLR)

    return [
        on_cifar(10, "SimCLR, ResNet-18, kNN 85 %", KNN, 0.85, joint(nn.resnet18, 512, "nt_xent", 0.5, SIMCLR), 340),
        *(
            on_cifar(10, f"{loss}, ResNet-18, linear 95 %", linear, 0.95, of_loss(loss, nn.resnet18, 512), 110)
            for loss in ("supcon", "varcon")
        ),
        *(
            on_cifar(100, f"{loss}, {title}", linear, None, of_loss(loss, encoder, hidden), filling)
            for title, encoder, hidden, filling in (
                ("ResNet-18", nn.resnet18, 512, 110),
                ("ResNet-50", nn.resnet50, 2048, 270),
            )
            for loss in ("varcon", "supcon", "cross-entropy")
        ),
    ]


def miniatures() -> list[Rung]:
    def encoder() -> nn.ConvNet:
        return nn.ConvNet(3, 4)

    settings = {**RECIPE, "batch_size": 64, "epochs": 6, **FAST}
    simclr, plain = joint(encoder, 16, "nt_xent", 0.5, SIMCLR), cross_entropy(encoder, 8)
    return [
        Rung("factor world, SimCLR", "cpu", "factor_world", KNN, 1.1, 2, simclr, settings, 1.0),
        Rung("factor world, cross-entropy", "cpu", "factor_world", linear, None, 2, plain, settings, 0.1),
    ]


def pictures(name: str, split: str) -> data.Dataset:
    """The data set, from sheets if they were packed; of the factor world only a few."""
    return data.load(name, split, n=256) if name == "factor_world" else gpu_pack.load(name, split)


def cases(small: bool, device: str) -> list[Case]:
    return [
        Case(f"{rung.title}, seed {seed}", (rung.filling or 0) + ABOUT, partial(run, rung, seed))
        for seed in range(1 if small else SEEDS)
        for rung in (miniatures() if small else rungs())
    ]


def run(rung: Rung, seed: int) -> dict[str, Any]:
    """The race, its rate once everything is compiled, and the recipe."""
    found = race(rung, seed, pictures)
    training = found.pop("seconds")  # `seconds` of a record are those of the whole case
    rate = found["images"] * found["epochs"] / (training - found["first_step"])
    recipe = {**rung.settings, "method": rung.build().extra_repr()}
    return {**found, "training": training, "images a second": rate, "recipe": recipe}
