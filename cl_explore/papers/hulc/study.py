"""HULC on a tabletop: which grounding loss teaches soonest what a film is called, and what it costs a policy."""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Augment, Method
from cl_explore.nn import MLP
from cl_explore.papers.hulc import PAPER
from cl_explore.papers.hulc.method import Grounded, Policy
from cl_explore.papers.hulc.world import PIXELS, STEPS, TASKS, WORD, Tabletop, tabletop
from cl_explore.train.schedule import constant

FOUND, TASK, DONE = "retrieval of 16", "task, kNN", "told and done"
NAMES = {"clip": "CLIP", "bcz": "BC-Z", "mia": "MIA"}
SETS = 16


class Ends(MLP):
    """An encoder of the first and the last frame of films (N, 6 * 24)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([x[:, :PIXELS], x[:, -PIXELS:]], dim=1))


def one_view(x: Tensor, generator: Generator, n_views: int) -> Tensor:
    """The sample as it is."""
    return x[:, None]


VIEWS = dict.fromkeys(("video", "instruction"), one_view)


def networks(train: Dataset) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """Two MLPs to 64 features, and their heads of two layers to 16."""
    encoder: dict[str, nn.Module] = {
        "video": Ends([2 * PIXELS, 64, 64], batch_norm=False), "instruction": MLP([WORD, 64, 64], batch_norm=False),
    }  # fmt: skip
    return encoder, {name: MLP([64, 64, 16], batch_norm=False) for name in encoder}


def of_frames(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """A policy's MLP from a frame to 32 features, and the head of two layers from a film's 64 to 16."""
    return MLP([PIXELS, 64, 32], batch_norm=False), MLP([64, 64, 16], batch_norm=False)


def policy(encoder: MLP, head: nn.Module, loss: object, augment: Augment, **options: Any) -> Policy:
    """A policy as the bench builds it: its losses are its own."""
    return Policy(encoder, head, augment, sentence=WORD, frames=STEPS, numbers=4, **options)


def retrieval(method: Grounded | Policy, table: Tabletop, test: Dataset) -> float:
    """How often the best of 16 instructions, one of each task, is the film's own; a mean over 16 ways to say them."""
    assert isinstance(test.x, dict)
    said = table.say(torch.arange(len(TASKS)).repeat(SETS), Generator().manual_seed(0))
    best = method.scores(test.x["video"], said).unflatten(1, (SETS, -1)).argmax(2)
    return (best == test.labels[:, None]).float().mean().item()


def told(method: Policy, table: Tabletop, episodes: int) -> float:
    """How often the policy does what an instruction asks, drawn anew for each episode."""
    generator = Generator().manual_seed(1)
    tasks = torch.randint(len(TASKS), (episodes,), generator=generator)
    return table.roll_out(tasks, method.told(table.say(tasks, generator), generator), generator).float().mean().item()


def replayed(train: Dataset, table: Tabletop, episodes: int) -> float:
    """The same for a hand that repeats what was done in the window with the nearest instruction."""
    assert isinstance(train.x, dict)
    generator = Generator().manual_seed(1)
    tasks = torch.randint(len(TASKS), (episodes,), generator=generator)
    known = train.subset(train.factors["told"].bool()).x
    assert isinstance(known, dict)
    nearest = torch.cdist(table.say(tasks, generator), known["instruction"]).argmin(1)
    did = iter(known["actions"][nearest].unflatten(1, (STEPS, -1)).unbind(1))
    return table.roll_out(tasks, lambda frame: next(did), generator).float().mean().item()


def measure(method: Method, table: Tabletop, train: Dataset, test: Dataset) -> dict[str, float]:
    """Retrieval, and kNN of tasks by what the encoder makes of films."""
    assert isinstance(method, Grounded | Policy)
    with torch.no_grad():
        h = [method.cpu()(part.x) for part in (train, test)]
    known = evaluate.knn_accuracy(h[0], train.labels, h[1], test.labels)
    return {FOUND: retrieval(method, table, test), TASK: known}


def grounded(seed: int, pairs: int, epochs: int, longer: int, test: int) -> list[Row]:
    """The rows of films and instructions alone."""
    table, generator = tabletop(seed), Generator().manual_seed(seed + 1000)
    train, unseen = table.windows(pairs, generator), table.windows(test, generator)
    common: dict[str, Any] = {"form": Grounded, "networks": networks, "augment": VIEWS}

    def entry(grounding: str, batch: int, rounds: int, **options: Any) -> Entry:
        settings = {"epochs": rounds, "batch_size": batch, "lr": 2e-3, "schedule": constant, "snapshots": 0}
        part = train.subset(torch.arange(pairs * batch // 32))
        return Entry("clip", settings=settings, data=part, grounding=grounding, **common, **options)

    plan = {"untrained encoder": Entry("clip", settings=None, grounding="clip", **common)}
    for grounding, name in NAMES.items():
        plan[f"{name}, B=32"] = entry(grounding, 32, epochs)
        plan[f"{name}, B=8"] = entry(grounding, 8, epochs)
        plan[f"{name}, longer"] = entry(grounding, 32, longer)
    plan["CLIP, tasks apart, B=32"] = entry("clip", 32, epochs, mask_same_label=True)
    measures = (lambda method, train, test: measure(method, table, train, test),)
    assert isinstance(train.x, dict)
    assert isinstance(unseen.x, dict)
    known = evaluate.knn_accuracy(train.x["video"], train.labels, unseen.x["video"], unseen.labels)
    return [{"method": "raw input", TASK: known}, *compare(plan, train, unseen, measures, seed=seed).rows]


def policies(seed: int, windows: int, instructions: int, rounds: int, test: int) -> list[Row]:
    """The rows of policies that learn from play."""
    table, generator = tabletop(seed), Generator().manual_seed(seed + 2000)
    train, unseen = table.play(windows, instructions, generator), table.play(test, test, generator)

    def entry(epochs: int, **options: Any) -> Entry:
        settings = {"epochs": epochs, "batch_size": 64, "lr": 4e-3, "snapshots": 0} if epochs else None
        return Entry("", form=policy, networks=of_frames, augment=one_view, settings=settings, **options)

    plan = {
        "untrained policy": entry(0),
        "policy": entry(rounds, weight=0.0),
        "policy, contrast 0.1": entry(rounds, weight=0.1),
        "policy, contrast 3": entry(rounds, weight=3.0),
        "policy, no KL": entry(rounds, weight=0.0, beta=0.0),
    }

    def measures(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
        found = measure(method, table, train, test)
        assert isinstance(method, Policy)
        return {**found, DONE: told(method, table, len(test))}

    raw = {"method": "nearest instruction, replayed", DONE: replayed(train, table, test)}
    return [raw, *compare(plan, train, unseen, (measures,), seed=seed).rows]


def run(
    seed: int,
    *,
    pairs: int = 2400,
    epochs: int = 4,
    longer: int = 13,
    test: int = 400,
    windows: int = 2048,
    instructions: int = 128,
    rounds: int = 8,
) -> list[Row]:
    """Retrieval by equal encoders after equally many steps, in batches of 32 and of 8, and after more steps; then what
    policies do after equally many steps, with the contrast of three weights and without the KL.

    epochs, longer: through the pairs, in batches of 32: 300 and 975 steps. A batch of 8 sees a quarter of the pairs.
    windows, instructions, rounds: of play, how many of those have an instruction, and 32 steps each.
    """
    return grounded(seed, pairs, epochs, longer, test) + policies(seed, windows, instructions, rounds, test)


STUDY = Study(
    paper=PAPER,
    about="A robot that learns from play hears few instructions, which differ by one word. Contrasting films with all "
    "instructions of a batch grounds language sooner than telling one match from one mismatch, or than guessing the "
    "sentence. (A tabletop as numbers: 16 tasks, instructions of two words and a filler; CALVIN, the paper's data, is "
    "not here, so nothing is said of success there. 300 steps of Adam at a constant rate, 975 for the longer runs; "
    "chance is 1 in 16. Policies are rebuilt at this size: play of 2048 windows, of which 128 have an instruction, 256 "
    "steps at a rate that falls to 0; the row that replays a window needs no state of the table: no task does.)",
    claims=(
        Claim("After 300 steps, CLIP finds what a film is called far oftener than MIA.", FOUND, "CLIP, B=32", "higher",
              "MIA, B=32", margin=0.15),
        Claim("And oftener than BC-Z.", FOUND, "CLIP, B=32", "higher", "BC-Z, B=32", margin=0.1),
        Claim("BC-Z finds it oftener than MIA.", FOUND, "BC-Z, B=32", "higher", "MIA, B=32"),
        Claim("In batches of 8, CLIP is still far before MIA.", FOUND, "CLIP, B=8", "higher", "MIA, B=8", margin=0.15),
        Claim("CLIP lives on its negatives: with 7 in place of 31 it finds less.", FOUND, "CLIP, B=8", "lower",
              "CLIP, B=32", margin=0.15),
        Claim("Three times the steps do not bring BC-Z up to CLIP.", FOUND, "BC-Z, longer", "lower", "CLIP, longer",
              margin=0.1),
        Claim("Nor MIA.", FOUND, "MIA, longer", "lower", "CLIP, longer", margin=0.1),
        Claim("Windows of the same task as negatives, of which every batch has some, cost CLIP less than .05.", FOUND,
              "CLIP, tasks apart, B=32", "equal", "CLIP, B=32", margin=0.05, negative=True),
        Claim("A policy that learned from play does what it is told more often than an untrained one.", DONE, "policy",
              "higher", "untrained policy", margin=0.2),
        Claim("The contrast at the paper's weight of 3 costs it more than .1 of that.", DONE, "policy, contrast 3",
              "lower", "policy", margin=0.1, negative=True),
        Claim("Its films find their instructions then, which they do not without.", FOUND, "policy, contrast 3",
              "higher", "policy", margin=0.3),
        Claim("At a weight of 0.1 they find them too.", FOUND, "policy, contrast 0.1", "higher", "policy", margin=0.1),
        Claim("And more is done than at a weight of 3.", DONE, "policy, contrast 0.1", "higher", "policy, contrast 3",
              margin=0.05),
        Claim("Without the KL nobody learns to propose plans, and less is done.", DONE, "policy, no KL", "lower",
              "policy", margin=0.05),
    ),
    run=run,
    draw=lambda rows: dots(rows, [FOUND, TASK, DONE]),
    presets={"smoke": {"pairs": 640, "epochs": 1, "longer": 2, "test": 100, "windows": 256, "rounds": 1}},
)  # fmt: skip
