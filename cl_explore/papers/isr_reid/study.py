"""ISR on vectors and on drawn characters: which pairs to trust when matching finds a partner for everybody."""

from typing import Any

import torch
from torch import nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.isr_reid import PAPER
from cl_explore.papers.isr_reid.method import ISR, ReliableContrast
from cl_explore.papers.isr_reid.world import PEOPLE, networks, world
from cl_explore.views import HardViews
from cl_explore.views.noisy import Noisy

RANK, PRECISION, TRUSTED = "rank-1", "right pairs", "right pairs by weight"
TAU = 0.1
VIDEOS = 24  # of a batch
LOOKED = 8  # batches of training videos whose pairs are judged
Arm = tuple[dict[str, Any], str]
ALIKE: dict[str, Any] = {"power": 0.0}
ARMS: dict[str, Arm] = {
    "ISR": ({}, "hungarian"),
    "no weights": (ALIKE, "hungarian"),
    "similarity": ({"reliability": "similarity"}, "hungarian"),
    "similarity^4": ({"reliability": "similarity", "power": 4.0}, "hungarian"),
    "margin": ({"reliability": "margin"}, "hungarian"),
    "greedy, no weights": (ALIKE, "greedy"),
    "mutual, no weights": (ALIKE, "mutual"),
    "true pairs": (ALIKE, "oracle"),
    "ISR, negatives of the video": ({"negatives": "video"}, "hungarian"),
}
"""By name: of the loss and the association. "ISR" weights by the posterior."""
FEW = ("ISR", "no weights", "similarity^4", "true pairs")


def strangers(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """The share of people whom nobody met in training that z finds again, first among all, at another camera."""
    z = evaluate.embed(method, test).z
    query, gallery = z.chunk(2)
    return {RANK: evaluate.recall(query, gallery, 1)}


def pairs(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How many of the pairs that matching finds in videos of the training part are one person, plain and by weight.

    Batch by batch. What is not trained as ISR is, is matched as ISR would do it.
    """
    matcher = method if isinstance(method, ISR) else ISR(nn.Identity(), nn.Identity(), ReliableContrast(), Noisy())
    crops = 2 * PEOPLE * VIDEOS
    seen = train.subset(torch.arange(min(LOOKED * crops, len(train))))
    z = evaluate.embed(method, seen).z
    weights, right = [], []
    for rows in torch.arange(len(seen)).split(crops):
        factors = {name: column[rows] for name, column in seen.factors.items()}
        _, found, true = matcher.found(z[rows], seen.labels[rows], factors)
        weights.append(found.weight)
        right.append(true.double())
    weight, true = torch.cat(weights), torch.cat(right)
    return {PRECISION: true.mean().item(), TRUSTED: (weight * true).sum().item() / weight.sum().item()}


def plan(arms: dict[str, Arm], train: Dataset, epochs: int) -> dict[str, Entry]:
    """The raw input, an untrained encoder, two views of one crop (SimCLR), and arms of ISR."""
    settings = {"epochs": epochs, "batch_size": 2 * PEOPLE * VIDEOS, "lr": 2e-3}
    vectors = train.x.ndim == 2
    common: dict[str, Any] = {"networks": networks, "augment": Noisy()}
    alone = {**common, "augment": Noisy(0.15) if vectors else HardViews(shift=2, erased=0)}
    found = baselines(**common) | {
        "one crop twice (SimCLR)": Entry("nt_xent", settings=settings, temperature=TAU, **alone)
    }
    for name, (loss, association) in arms.items():
        contrast = ReliableContrast(temperature=TAU, **loss)
        found[name] = Entry(contrast, form=ISR, settings=settings, association=association, **common)
    return found


def run(
    seed: int, *, place: str = "street", videos: int = 1200, epochs: int = 10, leave: float = 0.4, whole: bool = True
) -> list[Row]:
    """Every arm on frame pairs drawn anew for each seed.

    place: "street" or "omniglot", see `world`. whole: with all arms, else four.
    """
    train, test = world(place, seed, videos, leave)
    arms = ARMS if whole else {name: ARMS[name] for name in FEW}
    return compare(plan(arms, train, epochs), train, test, (strangers, pairs), seed=seed).rows


STUDY = Study(
    paper=PAPER,
    about="Two frames of a video show one person twice, but nobody says who is who: matching finds a partner for each, "
    "also for people who have left, so that each pair counts as far as it can be trusted. (The authors published no "
    "training code. How the reliability of a pair is measured, and the temperature, are reconstructions. On drawn "
    "characters an untrained encoder matches one in five, where chance is one in ten, and weights trust its mistakes: "
    "they do worse than none, and two views of one drawing beat both. Begun from an encoder of such views, in a trial "
    "on two seeds that is not recorded, weights did no harm and kept its level.)",
    claims=(
        Claim("With pairs weighted by their posterior, more strangers are found first than with all pairs alike.", RANK,
              "ISR", "higher", "no weights", margin=0.03),
        Claim("So it is with pairs weighted by the fourth power of their similarity.", RANK, "similarity^4", "higher",
              "no weights", margin=0.03),
        Claim("By their plain similarity too.", RANK, "similarity", "higher", "no weights"),
        Claim("And by their lead over the best rival.", RANK, "margin", "higher", "no weights"),
        Claim("True pairs are the ceiling.", RANK, "true pairs", "higher", "ISR"),
        Claim("More of the weight than of the pairs is right: weights by posterior beat equal ones by a fifth.",
              TRUSTED, "ISR", "higher", "no weights", margin=0.2),
        Claim("Weights by similarity do so by less.", TRUSTED, "similarity", "higher", "no weights", margin=0.05),
        Claim("Their fourth power is stricter than they are.", TRUSTED, "similarity^4", "higher", "similarity",
              margin=0.1),
        Claim("Without weights, the best total is worse than taking the best pair first: it forces partners on people "
              "who left.", RANK, "no weights", "lower", "greedy, no weights", negative=True),
        Claim("Without weights, to pair only who is the other's most similar is better than the best total.", RANK,
              "mutual, no weights", "higher", "no weights"),
        Claim("Untrained features match better than chance, a tenth; else training would learn from noise.", PRECISION,
              "untrained encoder", "higher", 0.1, margin=0.05),
        Claim("With negatives of the own video alone, fewer strangers are found.", RANK, "ISR, negatives of the video",
              "lower", "ISR"),
        Claim("Two views of one crop do not teach who is who.", RANK, "one crop twice (SimCLR)", "lower", "ISR",
              margin=0.03),
        Claim("It finds more than the raw input.", RANK, "ISR", "higher", "raw input", margin=0.03),
        Claim("And more than an untrained encoder.", RANK, "ISR", "higher", "untrained encoder", margin=0.03),
        Claim("On characters drawn by two people, weights by posterior find more than all pairs alike.", RANK, "ISR",
              "higher", "no weights", preset="real"),
        Claim("There too, more of the weight than of the pairs is right.", TRUSTED, "ISR", "higher", "no weights",
              preset="real"),
        Claim("There too, true pairs are the ceiling.", RANK, "true pairs", "higher", "ISR", preset="real"),
        Claim("Two views of one drawing find fewer characters in another hand.", RANK, "one crop twice (SimCLR)",
              "lower", "ISR", preset="real"),
        Claim("It finds more characters than the raw pixels.", RANK, "ISR", "higher", "raw input", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [RANK, TRUSTED]),
    presets={
        "smoke": {"videos": 48, "epochs": 1},
        "real": {"place": "omniglot", "videos": 960, "epochs": 8, "whole": False},
    },
)  # fmt: skip
