"""COMET on nested series: each level of sameness buys its own consistency, and all together less of each."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate, geometry
from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.data.pulses import TRAITS
from cl_explore.methods import Method
from cl_explore.nn import DilatedNet
from cl_explore.papers.comet import PAPER
from cl_explore.papers.comet.method import COMET, QUARTERS, hidden_steps
from cl_explore.papers.comet.world import world

OBSERVATION, SAMPLE, TRIAL, PATIENT = "step found", "sample found", "neighbour of the trial", "neighbour of the patient"
METRICS = [OBSERVATION, SAMPLE, TRIAL, PATIENT]
TRAIT, LINEAR = "traits, R²", "exercise, linear h"
UNTRAINED, BOTH, ALL = "untrained encoder", "sample + observation", "four levels"
SHIFTED = ", any phase"
ARMS: dict[str, dict[str, float]] = {
    "patient": {"patient": 1.0},
    "trial": {"trial": 1.0},
    BOTH: {"sample": 1.0, "observation": 1.0},
    ALL: QUARTERS,
}


def consistency(codes: Callable[[Tensor, Tensor | None], Tensor], test: Dataset) -> dict[str, float]:
    """The four levels' own measures, each in the numbers that its loss compares.

    codes: from x (N, channels, T) and hidden steps to codes (N, T, C). Steps and samples have some steps hidden, twice:
    a step finds itself among those of its sample, a sample itself among all at each step, by dot products. The nearest
    other sample is of the same trial, the nearest of another trial of the same patient, by cosines of normalised codes.
    """
    x, generator = test.batch(torch.arange(len(test))).x, torch.Generator().manual_seed(0)
    assert isinstance(x, Tensor)
    count, steps = len(x), x.shape[2]
    with torch.no_grad():
        first, second = (codes(x, hidden_steps(count, steps, generator).to(x.device)) for _ in "12")
        flat = normalised(codes(x, None))
    found = (first @ second.mT).argmax(2) == torch.arange(steps, device=x.device)
    each = (first.transpose(0, 1) @ second.permute(1, 2, 0)).argmax(2) == torch.arange(count, device=x.device)
    person, trial = (test.factors[name] for name in ("person", "recording"))
    similarity = (flat @ flat.T).fill_diagonal_(-torch.inf)
    near = similarity.argmax(1)
    elsewhere = similarity.masked_fill(trial[:, None] == trial, -torch.inf).argmax(1)
    hits = (found, each, trial[near] == trial, person[elsewhere] == person)
    return {name: hit.float().mean().item() for name, hit in zip(METRICS, hits, strict=True)}


def normalised(z: Tensor) -> Tensor:
    """Codes (N, T, C) as patient and trial compare them, (N, TC): each channel over time, then all, of unit length."""
    return F.normalize(F.normalize(z, dim=1).flatten(1), dim=1)


def downstream(seen_h: Tensor, unseen_h: Tensor, train: Dataset, test: Dataset) -> dict[str, float]:
    """What h (N, H) tells of unseen persons: traits by a ridge from the mean over a person, or classes linearly."""
    if "notch" not in train.factors:
        return {LINEAR: evaluate.linear_accuracy(seen_h, train.labels, unseen_h, test.labels)}

    def of_persons(rows: Tensor, part: Dataset) -> Tensor:
        return geometry.class_means(rows, part.factors["person"])

    seen, unseen = of_persons(seen_h, train), of_persons(unseen_h, test)
    scores = [
        evaluate.ridge_regression(
            seen, of_persons(train.factors[trait], train), unseen, of_persons(test.factors[trait], test)
        ).r2
        for trait in TRAITS
    ]
    return {TRAIT: sum(scores) / len(scores)}


def measure(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """All of a trained method."""
    assert isinstance(method, COMET)
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    with evaluate.embedding.frozen(method):
        own = consistency(method.codes, test.to(next(method.parameters()).device))
    return own | downstream(seen.h, unseen.h, train, test)


def raw(train: Dataset, test: Dataset) -> Row:
    """The series themselves as codes; hidden steps are 0."""

    def codes(x: Tensor, hidden: Tensor | None) -> Tensor:
        return x.mT if hidden is None else x.mT.masked_fill(hidden[..., None], 0)

    seen, unseen = (part.batch(torch.arange(len(part))).x.flatten(1) for part in (train, test))
    return {"method": "raw input", **consistency(codes, test), **downstream(seen, unseen, train, test), "seconds": 0.0}


def form(encoder: nn.Module, head: nn.Module, loss: None, augment: object, **options: Any) -> COMET:
    """COMET as the bench builds it: losses and views are its own."""
    return COMET(encoder, **options)


def entry(weights: dict[str, float], channels: int, settings: dict[str, Any] | None, together: str = "person") -> Entry:
    """A row of the plan; whose samples stay together in batches says `together`; the last iterate is kept."""

    def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
        return DilatedNet(channels, width=16, depth=3, out_features=16), nn.Identity()

    return Entry("", form=form, networks=networks, settings=settings, weights=weights, together=together, average=False)


def run(
    seed: int,
    *,
    source: str = "pulses",
    persons: int = 80,
    steps: int = 32,
    epochs: int = 15,
    batch_size: int = 72,
    together: str = "person",
    shifted: bool = True,
) -> list[Row]:
    """Each level alone (sample and observation together), and all four, of equal weights at the start.

    source: a world by name, see `world`.
    together: the factor whose samples stay side by side in batches.
    shifted: also the patient level on recordings that begin anywhere in a beat.
    """
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": 3e-3, "optimizer": "adam", "weight_decay": 0.01}
    train, test = world(source, seed, persons=persons, steps=steps)
    channels = train.x.shape[1]
    plan = {name: entry(weights, channels, settings, together) for name, weights in ARMS.items()}
    plan = {UNTRAINED: entry(QUARTERS, channels, None), **plan}
    rows = [raw(train, test), *compare(plan, train, test, (measure,), seed=seed).rows]
    if shifted:
        parts = world(source, seed, persons=persons, steps=steps, phase=1.0)
        anywhere = {name + SHIFTED: plan[name] for name in (UNTRAINED, "patient")}
        rows += compare(anywhere, *parts, (measure,), seed=seed).rows
    return rows


STUDY = Study(
    paper=PAPER,
    about="Medical series are nested, and a contrast at one level alone throws away what the others keep: steps, "
    "samples, trials and patients are each contrasted with their own kind. (Pulses are generated: traits belong to "
    "persons, wander and hum to recordings, jitter and noise to segments. The average of all iterates, for training "
    "as short as this, is replaced by the last; batches keep patients together, so that their trials meet. The real "
    "data are shoulder exercises with a watch, with people as patients and recordings as trials, and batches of whole "
    "recordings: batches of a single person, tried first, gave no other person to be told from. Aligned beats need no "
    "encoder: their mean tells traits with an R² of .84, the patient level alone of .77, and all four levels, in which "
    "it has a quarter, of .33. Windows of the watch begin anywhere in a movement, and levels that compare step by step "
    "gain a third of what was claimed.)",
    claims=(
        Claim("Sample and observation losses let a step be found again among those of its sample.", OBSERVATION, BOTH,
              "higher", UNTRAINED, margin=0.1),
        Claim("Better than the patient loss does.", OBSERVATION, BOTH, "higher", "patient", margin=0.1),
        Claim("And better than the trial loss does.", OBSERVATION, BOTH, "higher", "trial", margin=0.1),
        Claim("They let a sample be found again among all others, step by step.", SAMPLE, BOTH, "higher", UNTRAINED,
              margin=0.005),
        Claim("The trial loss brings segments of a trial together.", TRIAL, "trial", "higher", UNTRAINED),
        Claim("Better than sample and observation losses do.", TRIAL, "trial", "higher", BOTH),
        Claim("Better than the patient loss does, which tears trials apart.", TRIAL, "trial", "higher", "patient",
              margin=0.05),
        Claim("The patient loss finds unseen patients in another trial of theirs.", PATIENT, "patient", "higher",
              UNTRAINED, margin=0.02),
        Claim("It does so better than sample and observation losses do.", PATIENT, "patient", "higher", BOTH,
              margin=0.02),
        Claim("And better than the trial loss does, for which other trials of a patient are negatives.", PATIENT,
              "patient", "higher", "trial", margin=0.02),
        Claim("All four levels together find patients less well than the patient level alone.", PATIENT, ALL, "lower",
              "patient", margin=0.02, negative=True),
        Claim("And steps less well than sample and observation alone.", OBSERVATION, ALL, "lower", BOTH, margin=0.02,
              negative=True),
        Claim("Four levels tell traits of unseen persons better than sample and observation do.", TRAIT, ALL, "higher",
              BOTH),
        Claim("Four levels tell traits better than an untrained encoder.", TRAIT, ALL, "higher", UNTRAINED),
        Claim("Where recordings begin anywhere in a beat, the patient loss finds patients no better than an untrained "
              "encoder.", PATIENT, "patient" + SHIFTED, "equal", UNTRAINED + SHIFTED, margin=0.03, negative=True),
        Claim("On the watch, sample and observation losses let a step be found again.", OBSERVATION, BOTH, "higher",
              UNTRAINED, margin=0.1, preset="real"),
        Claim("On the watch, the trial loss brings windows of a recording together.", TRIAL, "trial", "higher",
              UNTRAINED, preset="real"),
        Claim("On the watch, the patient loss finds people in another recording of theirs.", PATIENT, "patient",
              "higher", UNTRAINED, preset="real"),
        Claim("On the watch, four levels tell exercises of unseen people better than an untrained encoder.", LINEAR,
              ALL, "higher", UNTRAINED, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, METRICS),
    presets={
        "smoke": {"persons": 20, "epochs": 1, "batch_size": 36},
        "real": {"source": "watch", "persons": 10, "steps": 64, "epochs": 20, "batch_size": 84,
                 "together": "recording", "shifted": False},
    },
)  # fmt: skip
