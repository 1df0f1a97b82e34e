"""Pairs of one person against pairs of one segment: what each keeps, and what KoLeo adds."""

from collections.abc import Sequence
from typing import Any

from cl_explore import evaluate, geometry
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.data.pulses import TRAITS as NAMES
from cl_explore.methods import Method
from cl_explore.papers.wearable_biosignals import PAPER
from cl_explore.papers.wearable_biosignals.method import PersonContrast, PersonPairs
from cl_explore.papers.wearable_biosignals.world import SignalViews, networks, world

TRAITS, RATE, RANK, SPREAD = "traits R²", "heart rate R²", "effective rank", "within/between persons"
PERSON, EXERCISE = "who it is", "which exercise"
KNOWN = 4  # of seven exercises, in which a probe gets to know people whom it is to recognise in the others

SEGMENT: dict[str, Any] = {"across": 0.0}
ARMS: dict[str, dict[str, Any]] = {"person pairs": {}, "segment pairs": SEGMENT}
SWITCHES: dict[str, dict[str, Any]] = {
    "every second pair": {"across": 0.5},
    "no KoLeo": {"loss": PersonContrast(koleo_weight=0.0)},
    "KoLeo λ=0.5": {"loss": PersonContrast(koleo_weight=0.5)},
    "no momentum": {"decay": 0.0},
}


def of_pulses(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """What probes read of unseen persons: traits from the mean over a person's segments, heart rate from a segment.

    traits: mean R² of a ridge for each of the three. The rank is that of the centred means of unseen persons; within
    and between are variances of unit vectors of single segments.
    """
    parts = train, test
    h = [evaluate.embed(method, part).h for part in parts]
    person = [part.factors["person"] for part in parts]

    def of_persons(column: int | str) -> list[Any]:
        rows = h if column == "h" else [part.factors[str(column)] for part in parts]
        return [geometry.class_means(each, who) for each, who in zip(rows, person, strict=True)]

    seen, unseen = of_persons("h")
    r2 = [evaluate.ridge_regression(seen, known, unseen, asked).r2 for known, asked in map(of_persons, NAMES)]
    found = {TRAITS: sum(r2) / len(r2), RANK: geometry.effective_rank(unseen - unseen.mean(0)).item()}
    found[SPREAD] = geometry.dispersion(h[1], person[1]).ratio.item()
    known, asked = (part.factors["rate"] for part in parts)
    if known.std() > 0:
        found[RATE] = evaluate.ridge_regression(h[0], known, h[1], asked).r2
    return found


def of_a_watch(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """Accuracies of linear probes on windows of unseen people.

    who: fitted to four exercises of theirs, asked in the other three. which: fitted to the people trained on.
    """
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    known, person = test.labels < KNOWN, test.factors["person"]
    return {
        PERSON: evaluate.linear_accuracy(unseen.h[known], person[known], unseen.h[~known], person[~known]),
        EXERCISE: evaluate.linear_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
    }


def plan(name: str, epochs: int, batch_size: int, lr: float) -> dict[str, Entry]:
    """The arms on a world by name, after the raw input and an untrained encoder; the switches on pulses alone."""
    common: dict[str, Any] = {"networks": networks, "augment": SignalViews()}
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    arms = {
        arm: Entry(**{"loss": PersonContrast(), **options}, form=PersonPairs, settings=settings, **common)
        for arm, options in (ARMS | SWITCHES if name == "pulses" else ARMS).items()
    }
    return {**baselines(**common), **arms}


def run(
    seed: int,
    *,
    worlds: Sequence[str] = ("pulses", "still"),
    persons: int = 128,
    epochs: int = 20,
    batch_size: int = 256,
    lr: float = 2e-3,
) -> list[Row]:
    """All arms on each of the worlds; rows of other worlds than pulses say which.

    persons: to learn from, in generated worlds. batch_size: in segments, two of each person.
    """
    rows: list[Row] = []
    for name in worlds:
        train, test = world(name, seed, persons)
        measure = of_a_watch if name == "watch" else of_pulses
        found = compare(plan(name, epochs, batch_size, lr), train, test, (measure,), seed=seed).rows
        rows += [row if name == "pulses" else {**row, "method": f"{row['method']}, {name}"} for row in found]
    return rows


STUDY = Study(
    paper=PAPER,
    about="Two views of one segment share the person and the minute: heart rate, phase, the sensor's fit. Two segments "
    "of one person share the person alone, so pairs of them keep what stays over months, and a term against crowding "
    "(KoLeo) and keys from a momentum copy steady the training. (A reconstruction from what others quote of the paper: "
    "code and data were not released. Its 141,207 people are 128 generated ones here, with three traits in the shape "
    "of their pulse, and its segments of a minute six of 3 seconds; the encoder has three convolutions. Sizes of the "
    "augmentations are ours. No free set of biosignals of many people was at hand; the watch of seglearn holds "
    "accelerations of ten people at exercises, far too few to learn a trait: five are learned from, and the other "
    "five are to be recognised. Margins for it are our own, set before any run. Heart rate does not leave the "
    "encoder, but the head does forget it: on three other seeds, trained for 80 epochs instead of 20, its R² is .34 "
    "in what the head makes of pairs of one person and .61 of pairs of one segment, .50 and .63 before the head; "
    "traits are at .75 and .49. What is left between segments where only noise differs is noise: without it both "
    "pairs tell traits to .99, as an untrained encoder does. A momentum copy of .99 lags behind a training of 60 "
    "steps; keys from the encoder itself reach .81 after 80 epochs.)",
    claims=(
        Claim("Pairs of one person tell traits of unseen people better than pairs of one segment.", TRAITS,
              "person pairs", "higher", "segment pairs", margin=0.1),
        Claim("And better than the raw input does.", TRAITS, "person pairs", "higher", "raw input", margin=0.1),
        Claim("And better than an untrained encoder does.", TRAITS, "person pairs", "higher", "untrained encoder",
              margin=0.05),
        Claim("Every second pair of one person tells traits better than none, too.", TRAITS, "every second pair",
              "higher", "segment pairs", margin=0.05),
        Claim("Pairs of one person forget the heart rate that pairs of one segment keep.", RATE, "person pairs",
              "lower", "segment pairs", margin=0.1),
        Claim("They gather a person's segments: less spread within persons for that between them.", SPREAD,
              "person pairs", "lower", "segment pairs", margin=0.5),
        Claim("Where segments of a person differ by noise alone, the choice of pairs no longer counts.", TRAITS,
              "person pairs, still", "equal", "segment pairs, still", margin=0.1),
        Claim("KoLeo with weight 0.1 raises the effective rank of what the probe reads.", RANK, "person pairs",
              "higher", "no KoLeo"),
        Claim("KoLeo with weight 0.5 raises it further.", RANK, "KoLeo λ=0.5", "higher", "person pairs", margin=0.5),
        Claim("KoLeo with weight 0.1 changes what is read of traits little.", TRAITS, "person pairs", "equal",
              "no KoLeo", margin=0.08, negative=True),
        Claim("So does KoLeo with weight 0.5.", TRAITS, "KoLeo λ=0.5", "equal", "person pairs", margin=0.08,
              negative=True),
        Claim("Rank does not tell which pairs to choose: pairs of one segment have the higher one.", RANK,
              "segment pairs", "higher", "person pairs", margin=2.0, negative=True),
        Claim("Keys from the encoder as it is do as well as from a momentum copy at this scale.", TRAITS,
              "no momentum", "equal", "person pairs", margin=0.08, negative=True),
        Claim("From a watch, pairs of one person recognise unseen people in other exercises better.", PERSON,
              "person pairs, watch", "higher", "segment pairs, watch", margin=0.05, preset="real"),
        Claim("And better than the raw windows do.", PERSON, "person pairs, watch", "higher", "raw input, watch",
              margin=0.05, preset="real"),
        Claim("They tell less of the exercise, which changes within a person.", EXERCISE, "person pairs, watch",
              "lower", "segment pairs, watch", margin=0.05, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [name for name in (TRAITS, RATE, RANK, SPREAD, PERSON, EXERCISE) if name in rows]),
    presets={
        "smoke": {"persons": 16, "epochs": 1, "batch_size": 16},
        "real": {"worlds": ("watch",), "epochs": 5, "batch_size": 10},
    },
)  # fmt: skip
