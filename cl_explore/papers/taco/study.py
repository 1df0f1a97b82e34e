"""TACO on a ring: what actions control is learnt where nothing but the action tells which state follows."""

import math

import torch
from torch import nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.taco import PAPER
from cl_explore.papers.taco.method import TACO, form
from cl_explore.papers.taco.world import OBSERVED, parts, shuffled_actions, without_actions
from cl_explore.train.schedule import constant
from cl_explore.views import VectorViews

POSITIONS, FEATURES, BATCH = 4, 16, 128
POSITION, LOSS = "position, linear z", "loss, unseen"
RAW, UNTRAINED, FULL, NONE, SHUFFLED, CURL = "raw input", "untrained encoder", "TACO", "no action", "shuffled", "CURL"
FAINT, AHEAD, KEPT = ", faint", ", faint, two steps", ", things stay"
NO_ACTION_FLOOR = math.log(BATCH)
"""No state is likelier than another to follow, if the action is not known."""


def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """The encoder, and the head that gives z."""
    head = nn.Sequential(nn.Linear(128, FEATURES), nn.LayerNorm(FEATURES), nn.Tanh())
    return nn.Sequential(nn.Linear(OBSERVED, 128), nn.ReLU()), head


def probed(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """Whether z tells the position."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    return {POSITION: evaluate.linear_accuracy(seen.h, train.labels, unseen.h, test.labels)}


def lost(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """The contrast of unseen transitions in batches as large as those of the training; not of CURL, which has none."""
    assert isinstance(method, TACO)
    if "taco" not in method.terms:
        return {}
    draw = torch.Generator().manual_seed(0)
    with evaluate.embedding.frozen(method), torch.no_grad():
        terms = [
            method.step(test.batch(rows), draw).metrics["taco"].item()
            for rows in torch.arange(len(test)).split(BATCH)
            if len(rows) == BATCH
        ]
    return {LOSS: sum(terms) / len(terms)}


def entry(
    epochs: int | None, *, steps: int = 1, data: Dataset | None = None, terms: tuple[str, ...] = ("taco",)
) -> Entry:
    """A row of the plan; without epochs, untrained."""
    settings = {
        "epochs": epochs,
        "batch_size": BATCH,
        "lr": 1e-3,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": constant,
    }
    return Entry(
        "", form=form, networks=networks, augment=VectorViews(noise=0.1, dropout=0.0), data=data,
        settings=None if epochs is None else settings, features=FEATURES, actions=POSITIONS, steps=steps, latent=5,
        hidden=64, terms=terms, start="identity",
    )  # fmt: skip


def raw(train: Dataset, test: Dataset) -> Row:
    """The observations themselves."""
    score = evaluate.linear_accuracy(train.x["now"], train.labels, test.x["now"], test.labels)
    return {"method": RAW, POSITION: score, "seconds": 0.0}


def run(seed: int, *, transitions: int = 4000, epochs: int = 10) -> list[Row]:
    """Actions given, left out and shuffled, among strong things that no action moves;
    with and without them among faint things, one and two steps ahead, and where the strong things stay the same.

    epochs: of 31 steps each; twice as many for two steps.
    """
    measures = (probed, lost)
    train, test = parts(seed, transitions)
    plan = {
        UNTRAINED: entry(None),
        FULL: entry(epochs),
        NONE: entry(epochs, data=without_actions(train)),
        SHUFFLED: entry(epochs, data=shuffled_actions(train)),
        CURL: entry(epochs, terms=("curl",)),
    }
    rows = [raw(train, test), *compare(plan, train, test, measures, seed=seed).rows]
    for name, steps, (train, test) in (
        (FAINT, 1, parts(seed, transitions, scale=1.0)),
        (AHEAD, 2, parts(seed, transitions, steps=2, scale=1.0)),
        (KEPT, 1, parts(seed, transitions, persistent=True)),
    ):
        plan = {
            FULL + name: entry(steps * epochs, steps=steps),
            NONE + name: entry(steps * epochs, steps=steps, data=without_actions(train)),
        }
        rows += compare(plan, train, test, measures, seed=seed).rows
    return rows


STUDY = Study(
    paper=PAPER,
    about="State and actions together must tell the state that follows. With actions drawn evenly on a ring the state "
    "alone says nothing of the next, so what is learnt is what actions control. (The world is generated: four "
    "positions, and four numbers that no action moves, seen through a random network. Only the term of the paper's "
    "name is trained, W begins at the identity, and actions of four kinds have codes of five numbers. No agent is "
    "trained, so nothing is said about returns. A first world had a random layer not divided by the root of its six "
    "inputs, so that things weighed more, and a rate that fell to 0 as elsewhere in this course: actions were worth "
    ".157 at the probe over 20 seeds, from .103 to .206. A linear probe of the 32 numbers seen is near 1 in both.)",
    claims=(
        Claim("With actions z tells the position, which it does not without them.", POSITION, FULL, "higher", NONE,
              margin=0.15),
        Claim("Shuffled actions teach no more than none.", POSITION, SHUFFLED, "equal", NONE, margin=0.15),
        Claim("With actions better than with shuffled ones.", POSITION, FULL, "higher", SHUFFLED, margin=0.15),
        Claim("Better than CURL, which finds the other view of the same observation.", POSITION, FULL, "higher", CURL,
              margin=0.05),
        Claim("Better than the untrained encoder.", POSITION, FULL, "higher", UNTRAINED, margin=0.15),
        Claim("Better than the raw observation.", POSITION, FULL, "higher", RAW),
        Claim("Without actions z tells the position no better than the untrained encoder.", POSITION, NONE, "equal",
              UNTRAINED, margin=0.15, negative=True),
        Claim("Without actions the loss stays at log B.", LOSS, NONE, "higher", NO_ACTION_FLOOR - 0.05),
        Claim("Among faint things actions take the loss at least 0.8 log M below log B.", LOSS, FULL + FAINT, "lower",
              NO_ACTION_FLOOR - 0.8 * math.log(POSITIONS)),
        Claim("Not below log(B/M): one in M of the others stands where the next state does.", LOSS, FULL + FAINT,
              "higher", NO_ACTION_FLOOR - math.log(POSITIONS) - 0.05),
        Claim("Among faint things, two steps ahead, actions tell the position too.", POSITION, FULL + AHEAD,
              "higher", NONE + AHEAD, margin=0.1),
        Claim("Where the things stay the same, matching them is enough and actions help little.", POSITION,
              FULL + KEPT, "equal", NONE + KEPT, margin=0.1, negative=True),
    ),
    run=run,
    draw=lambda rows: dots(rows, [POSITION, LOSS]),
    presets={"smoke": {"transitions": 512, "epochs": 2}},
)  # fmt: skip
