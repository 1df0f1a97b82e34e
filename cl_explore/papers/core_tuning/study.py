"""Core-tuning on digits and photographs: how far classes lie apart after fine-tuning, and what else is still known."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from cl_explore import evaluate, geometry
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.losses import hard_pairs, hardest_pairs
from cl_explore.methods import Augment, Method
from cl_explore.papers.core_tuning import PAPER
from cl_explore.papers.core_tuning.method import CoreTuning
from cl_explore.papers.core_tuning.world import World, labelled, networks, world

RATIO, ACCURACY, WON, PARTNER = "scatter ratio", "accuracy", "accuracy won by the contrast", "partner found"
CLASS, NEAR = "class read", "class of neighbours"
COSINE, FOUND = "cosine with the anchor", "hardest positive found"
TAU = 0.1
CODE: dict[str, Any] = {"mining": "authors", "mixture_positives": False, "detach_clean": True, "divide": "all"}


def measure(method: Method, train: Dataset, test: Dataset, *, views: tuple[Dataset, Dataset]) -> dict[str, float]:
    """Of unseen samples: scatter of h, accuracy, and how often the nearest of all second views is the own one.

    Classes are told by the classifier that was trained, else by a linear probe of the labelled samples. The same probe,
    and neighbours, read the factor `class` where labels are coarser.
    """
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    if isinstance(method, CoreTuning):
        with torch.no_grad():
            told = method.classify(unseen.h.to(method.classifier.weight.device)).cpu()
        accuracy = (told == unseen.labels).double().mean().item()
    else:
        accuracy = evaluate.linear_accuracy(seen.h, seen.labels, unseen.h, unseen.labels)
    fine, wanted = (part.factors.get("class", part.labels) for part in (train, test))
    first, second = (evaluate.embed(method, part).h for part in views)
    return {
        RATIO: geometry.dispersion(unseen.h, unseen.labels).ratio.item(),
        ACCURACY: accuracy,
        CLASS: evaluate.linear_accuracy(seen.h, fine, unseen.h, wanted),
        NEAR: evaluate.knn_accuracy(seen.h, fine, unseen.h, wanted),
        PARTNER: evaluate.recall(first, second, 1),
    }


def coarse(part: Dataset) -> Dataset:
    """The same samples, labelled by whether the number of their class is even, which the factor `class` still tells."""
    return replace(part, labels=part.labels % 2, class_names=("even", "odd"), factors={"class": part.labels})


def mined(h: torch.Tensor, labels: torch.Tensor) -> list[Row]:
    """What the mixtures of a labelled set are like, and how often the code's search finds what it looks for."""
    classes = int(labels.max()) + 1
    pairs = hard_pairs(h, labels, num_classes=classes, generator=torch.Generator().manual_seed(0))
    x = F.normalize(h, dim=1)
    same = labels[:, None] == labels
    rest = same.float().fill_diagonal_(0)
    mates = ((x @ x.T) * rest).sum(1) / rest.sum(1).clamp(min=1)
    found = hardest_pairs(h, labels, mining="authors")[0] == hardest_pairs(h, labels)[0]
    return [
        {"method": "hard positive", COSINE: F.cosine_similarity(h, pairs.positives).mean().item()},
        {"method": "class mate", COSINE: mates.mean().item()},
        {"method": "search of the code", FOUND: found.double().mean().item()},
    ]


class Bench:
    """One world and one pre-trained encoder, of which every arm tunes a copy."""

    def __init__(self, seed: int, made: World, epochs: int, steps: int, batch_size: int) -> None:
        self.seed, self.made, self.steps, self.batch_size = seed, made, steps, batch_size
        self.epochs, self.rows = epochs, list[Row]()

    def run(self, plan: dict[str, Entry], train: Dataset, test: Dataset | None = None) -> dict[str, Method]:
        """Train and measure, on the world's test part if there is no other; the rows are kept."""
        measures = [partial(measure, views=self.made.views)]
        found = compare(plan, train, self.made.test if test is None else test, measures, seed=self.seed)
        self.rows += found.rows
        return found.methods

    def pretrain(self, train: Dataset) -> Method:
        """SimCLR on all samples, beside the raw input and the encoder before; probes see the labelled ones `train`."""
        common: dict[str, Any] = {"networks": networks, "augment": self.made.augment}
        settings = {"epochs": self.epochs, "batch_size": 128, "lr": 2e-3}
        simclr = Entry("nt_xent", settings=settings, data=self.made.given, temperature=0.5, **common)
        return self.run({**baselines(**common), "SimCLR": simclr}, train)["SimCLR"]

    def tune(self, train: Dataset, start: Method | None, augment: Augment | None = None, **options: Any) -> Entry:
        """An arm: the encoder of `start`, or one that has seen nothing, with a head and a classifier that have not.

        augment: what draws views, if that is not the world's for fine-tuning.
        """

        def begun(seen: Dataset) -> tuple[Any, Any]:
            encoder, head = networks(seen)
            return (encoder if start is None else copy.deepcopy(start.encoder)), head

        size = min(self.batch_size, len(train))
        settings = {"epochs": max(round(self.steps / (len(train) // size)), 1), "batch_size": size, "lr": 0.02,
                    "optimizer": "sgd", "weight_decay": 1e-4}  # fmt: skip
        views = self.made.tuning if augment is None else augment
        return Entry("focal_supcon", form=CoreTuning, settings=settings, networks=begun, augment=views, n_views=1,
                     num_classes=train.num_classes, temperature=TAU, **options)  # fmt: skip


def run(
    seed: int,
    *,
    dataset: str = "digits",
    samples: int = 1200,
    unseen: int = 597,
    epochs: int = 30,
    steps: int = 150,
    batch_size: int = 50,
    labels: Sequence[tuple[int, float]] = ((20, 1.0), (5, 0.1)),
    whole: bool = True,
) -> list[Row]:
    """SimCLR, then fine-tuning with and without the contrast, with and without mixtures.

    samples: without labels. epochs: of SimCLR. steps, batch_size: of fine-tuning. labels: how many of each class, and
    the weight eta of the contrast with them. whole: with the first also what the code does otherwise, noisy views and
    fine-tuning to even and odd classes.
    """
    bench = Bench(seed, world(seed, dataset, samples, unseen), epochs, steps, batch_size)
    start: Method | None = None
    for place, (shots, eta) in enumerate(labels):
        train, suffix = labelled(bench.made.given, shots), f", {shots} labels" * (place > 0)
        if start is None:
            start = bench.pretrain(train)
            seen = evaluate.embed(start, train)
            bench.rows += mined(seen.h, seen.labels)
        arm = partial(bench.tune, train, start)
        plan = {
            "CE": arm(eta=0, mixtures=False),
            "CE + contrast": arm(eta=eta, mixtures=False),
            "CE + mixtures": arm(eta=0),
            "Core-tuning": arm(eta=eta),
        }
        if place == 0:
            plan["CE, no pre-training"] = bench.tune(train, None, eta=0, mixtures=False)
        if whole and place == 0:
            plan["Core-tuning, no focus"] = arm(eta=eta, gamma=0.0)
            plan["Core-tuning (code)"] = arm(eta=eta * train.num_classes, **CODE)
            plan["CE, noisy views"] = arm(bench.made.augment, eta=0, mixtures=False)
            plan["CE + contrast, noisy views"] = arm(bench.made.augment, eta=eta, mixtures=False)
        bench.run({name + suffix: entry for name, entry in plan.items()}, train)
        if whole and place == 0:
            two = coarse(train)
            arm = partial(bench.tune, two, start)
            plan = {
                "CE, even or odd": arm(eta=0, mixtures=False),
                "CE + contrast, even or odd": arm(eta=eta, mixtures=False),
                "Core-tuning, even or odd": arm(eta=eta),
            }
            bench.run(plan, two, coarse(bench.made.test))
        known = {row["method"]: row for row in bench.rows}
        for without, tuned in (("CE", "CE + contrast"), ("CE + mixtures", "Core-tuning")):
            row = known[tuned + suffix]
            row[WON] = row[ACCURACY] - known[without + suffix][ACCURACY]
    return bench.rows


STUDY = Study(
    paper=PAPER,
    about="Fine-tuning by cross-entropy alone parts classes but leaves each one scattered; with a supervised contrast "
    "of features and hard mixtures of them, classes are gathered. (A ResNet-50 of MoCo-v2 is replaced by three "
    "convolutions of SimCLR, photographs were read after JPEG at quality 95, and momentum is not Nesterov's. "
    "How the paper counts positives and by how many it divides is not verified: these are switches, and the arm "
    "of the code has all of the code's, at ten times the weight, since it divides by all rows. The first plan "
    "tuned digits on views as noisy as those of SimCLR, where on two seeds the ratio fell by 0.024 and rose by "
    "0.008; then on digits as they are, and both noisy arms were kept beside; those two seeds took 300 steps, "
    "not 150. As coded, what gathers little is the clean part without gradient: tried on one seed, it alone "
    "takes the ratio of Core-tuning from 0.27 to 0.88, and without it the code's other switches come to 0.29. "
    "The views of one digit find each other one time in ten by any encoder, the raw input included, which "
    "leaves little to forget.)",
    claims=(
        Claim("With 20 labels a class, the contrast lowers the scatter ratio of unseen digits.", RATIO,
              "CE + contrast", "lower", "CE", margin=0.02),
        Claim("So it does among mixtures: Core-tuning against cross-entropy on the same mixtures.", RATIO,
              "Core-tuning", "lower", "CE + mixtures", margin=0.02),
        Claim("It costs no more than half a point of accuracy.", WON, "CE + contrast", "higher", -0.005),
        Claim("Nor does it among mixtures.", WON, "Core-tuning", "higher", -0.005),
        Claim("What accuracy it gains is less than a point and a half.", WON, "Core-tuning", "equal", 0.0,
              margin=0.015, negative=True),
        Claim("With 5 labels a class and a tenth of the weight, the contrast lowers the ratio.", RATIO,
              "CE + contrast, 5 labels", "lower", "CE, 5 labels"),
        Claim("And with 5 labels among mixtures.", RATIO, "Core-tuning, 5 labels", "lower", "CE + mixtures, 5 labels"),
        Claim("With 5 labels, mixtures by themselves raise it.", RATIO, "CE + mixtures, 5 labels", "higher",
              "CE, 5 labels"),
        Claim("With 5 labels, Core-tuning is no more accurate than cross-entropy, to 1.5 points.", ACCURACY,
              "Core-tuning, 5 labels", "equal", "CE, 5 labels", margin=0.015, negative=True),
        Claim("A contrast without labels scatters classes: cross-entropy alone gathers them already.", RATIO, "CE",
              "lower", "SimCLR"),
        Claim("A hard positive is less like its anchor than a class mate is on average.", COSINE, "hard positive",
              "lower", "class mate"),
        Claim("After a ReLU, the code's search for the hardest positive hardly ever finds it.", FOUND,
              "search of the code", "lower", 0.05),
        Claim("The method as coded gathers classes all the same.", RATIO, "Core-tuning (code)", "lower",
              "CE + mixtures"),
        Claim("Without the focal weight the ratio is about as low.", RATIO, "Core-tuning, no focus", "equal",
              "Core-tuning", margin=0.03),
        Claim("Pre-training pays: from scratch, cross-entropy tells digits worse.", ACCURACY, "CE", "higher",
              "CE, no pre-training"),
        Claim("Core-tuning tells digits better than a linear probe of the encoder before.", ACCURACY, "Core-tuning",
              "higher", "SimCLR"),
        Claim("And better than one of the raw input.", ACCURACY, "Core-tuning", "higher", "raw input"),
        Claim("Cross-entropy forgets samples: fewer views find their partner than before.", PARTNER, "CE", "lower",
              "SimCLR", margin=0.05),
        Claim("What gathers a class forgets more: fewer still find it under the contrast.", PARTNER, "CE + contrast",
              "lower", "CE"),
        Claim("Fine-tuned to even and odd alone, cross-entropy leaves less of the digit to be read than there was.",
              CLASS, "CE, even or odd", "lower", "SimCLR"),
        Claim("The contrast, which gathers even and odd ones, leaves still less.", CLASS, "CE + contrast, even or odd",
              "lower", "CE, even or odd", margin=0.02),
        Claim("So does Core-tuning.", CLASS, "Core-tuning, even or odd", "lower", "CE, even or odd", margin=0.02),
        Claim("Neighbours tell fewer digits than before, where the contrast has gathered even and odd ones.", NEAR,
              "CE + contrast, even or odd", "lower", "SimCLR", margin=0.02),
        Claim("And fewer than after cross-entropy to even and odd.", NEAR, "CE + contrast, even or odd", "lower",
              "CE, even or odd", margin=0.02),
        Claim("Tuned on views as noisy as SimCLR's, the contrast hardly lowers the ratio of clean digits.", RATIO,
              "CE + contrast, noisy views", "equal", "CE, noisy views", margin=0.03, negative=True),
        Claim("On photographs the contrast lowers the scatter ratio among mixtures.", RATIO, "Core-tuning", "lower",
              "CE + mixtures", preset="real"),
        Claim("And without them, by 0.02 or more.", RATIO, "CE + contrast", "lower", "CE", margin=0.02,
              preset="real"),
        Claim("Core-tuning tells photographs better than cross-entropy (2.6 points in the paper).", ACCURACY,
              "Core-tuning", "higher", "CE", preset="real"),
        Claim("The contrast costs no more than half a point on photographs.", WON, "Core-tuning", "higher", -0.005,
              preset="real"),
        Claim("Pre-training pays on photographs.", ACCURACY, "CE", "higher", "CE, no pre-training", preset="real"),
        Claim("Cross-entropy forgets photographs: fewer views find their partner than before.", PARTNER, "CE", "lower",
              "SimCLR", margin=0.05, preset="real"),
        Claim("Under the contrast fewer still find it.", PARTNER, "CE + contrast", "lower", "CE", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows.dropna(subset=[RATIO]), [RATIO, ACCURACY, CLASS]),
    presets={
        "smoke": {"samples": 400, "unseen": 200, "epochs": 1, "steps": 8},
        "real": {"dataset": "cifar10", "samples": 3000, "unseen": 1000, "epochs": 6, "batch_size": 64,
                 "labels": ((100, 1.0),), "whole": False},
    },
)  # fmt: skip
