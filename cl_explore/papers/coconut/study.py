"""COCONUT on digits, drawn and spoken, task by task: what class means and a softmax head tell at the end."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.papers.coconut import PAPER
from cl_explore.papers.coconut.method import Coconut, by_means, learn_tasks, means
from cl_explore.papers.coconut.world import World, networks, world
from cl_explore.views.noisy import Noisy

TAU = 0.2
MEANS, HEAD, THEN, DRIFT = "class means", "softmax head", "noted means", "drift"
OVER = ", over tasks"
NONE, NSPT, NTPT = "replay alone", "NSPT", "NTPT"
OFF = {"distil_weight": 0.0, "multimodal_weight": 0.0}
PLAIN = {"multimodal_weight": 0.0}
ARMS: dict[str, dict[str, Any]] = {
    "no replay": OFF,
    NONE: OFF,
    NTPT: {**PLAIN, "distil": "ntpt"},
    NSPT: PLAIN,
    "NSPT, a tenth of its weight": {**PLAIN, "distil_weight": 0.1},
    "NSPT, no old teacher": {**PLAIN, "own_teacher": True},
    "NSPT, others as negatives": {**PLAIN, "denominator": "other_classes"},
    "NSPT, literal": {**PLAIN, "denominator": "literal"},
    "COCONUT": {},
}
SPOKEN = (NONE, NTPT, NSPT, "COCONUT")


def learned(arm: str, made: World, seed: int, epochs: int, lr: float) -> tuple[list[Coconut], float]:
    """The method after each task, and how long they were trained in all."""
    seconds = 0.0

    def trained(last: Coconut | None, seen: Dataset, batch_size: int) -> Coconut:
        nonlocal seconds
        entry = Entry(
            "multimodal_supcon", form=Coconut if last is None else lambda *_, **__: last, networks=networks, data=seen,
            augment={"audio": Noisy(), "text": Noisy()}, temperature=TAU, classes=made.train.num_classes,
            settings={"epochs": epochs, "batch_size": batch_size, "lr": lr}, **ARMS[arm],
        )  # fmt: skip
        found = compare({arm: entry}, seen, made.test, (), seed=seed)
        seconds += found.rows[0]["seconds"]
        method = found.methods[arm]
        assert isinstance(method, Coconut)
        return method

    return learn_tasks(made, trained, replay=arm != "no replay"), seconds


def read(method: Coconut, made: World, tasks: int) -> dict[str, float]:
    """What is told of the classes of the first tasks: by the means of the buffer's samples, and by the classifier."""
    buffer, unseen = made.train.subset(made.kept(tasks)), among(made.test, made, tasks)
    known, new = evaluate.embed(method, buffer), evaluate.embed(method, unseen)
    read_from = {MEANS: method.means_from, f"{MEANS} of h": lambda seen: seen.h, f"{MEANS} of z": lambda seen: seen.z}
    hits = method.classifier(new.h).argmax(1) == unseen.labels
    return {
        **{name: by_means(layer(known), buffer.labels, layer(new), unseen.labels) for name, layer in read_from.items()},
        HEAD: hits.float().mean().item(),
    }


def among(part: Dataset, made: World, tasks: int) -> Dataset:
    """The samples of the classes of the first tasks."""
    return part.subset(torch.isin(part.labels, made.known(tasks)))


def aged(course: list[Coconut], made: World) -> dict[str, float]:
    """What became of the means that were noted when their task was over: how far the network has left them behind.

    DRIFT: 1 - cosine with the same samples' means at the end, the mean over old classes. THEN: how many of the unseen
    samples the last network puts nearest to the noted mean of their class.
    """
    own = [made.train.subset(made.buffer[torch.isin(made.train.labels[made.buffer], task)]) for task in made.tasks]

    def seen(method: Coconut, part: Dataset) -> Tensor:
        return means(method.means_from(evaluate.embed(method, part)), part.labels)

    noted = [seen(method, part) for method, part in zip(course, own, strict=True)]
    now = [seen(course[-1], part) for part in own]
    unseen, classes = evaluate.embed(course[-1], made.test), torch.cat([part.labels.unique() for part in own])
    told = evaluate.knn_accuracy(torch.cat(noted), classes, course[-1].means_from(unseen), unseen.labels, k=1)
    cosines = F.cosine_similarity(torch.cat(noted[:-1]), torch.cat(now[:-1]))
    return {THEN: told, DRIFT: 1 - cosines.mean().item()}


def row(arm: str, made: World, seed: int, epochs: int, lr: float) -> Row:
    """One arm after its last task, with what was read after every task as means."""
    course, seconds = learned(arm, made, seed, epochs, lr)
    stages = [read(method, made, task + 1) for task, method in enumerate(course)]
    over = {f"{name}{OVER}": sum(stage[name] for stage in stages) / len(stages) for name in (MEANS, HEAD)}
    return {"method": arm, **stages[-1], **over, **aged(course, made), "seconds": seconds}


def bases(made: World, seed: int) -> list[Row]:
    """The raw input and the untrained encoder, read by class means."""
    buffer = made.train.subset(made.buffer)
    start = Entry("multimodal_supcon", settings=None, networks=networks, augment={"audio": Noisy(), "text": Noisy()},
                  form=Coconut, classes=made.train.num_classes).build(made.train, seed)  # fmt: skip
    raw = (part.x["audio"].flatten(1) for part in (buffer, made.test))
    untrained = (evaluate.embed(start, part).h for part in (buffer, made.test))
    return [
        {"method": name, MEANS: by_means(known, buffer.labels, new, made.test.labels)}
        for name, (known, new) in {"raw input": raw, "untrained encoder": untrained}.items()
    ]


def run(
    seed: int,
    *,
    name: str = "digits",
    tasks: int = 5,
    kept: int = 4,
    samples: int | None = None,
    epochs: int = 6,
    lr: float = 2e-3,
) -> list[Row]:
    """Every arm on the same tasks and buffer; of spoken digits also replay of twice the buffer.

    name: "digits" or "spoken digits". kept: samples of each class in the buffer. lr: falls to 0 along a cosine in every
    task, so that 6 epochs are worth as many at half of it.
    """
    make = partial(world, name, seed, tasks=tasks, samples=samples)
    made = make(kept=kept)
    rows = bases(made, seed)
    rows += [row(arm, made, seed, epochs, lr) for arm in (ARMS if name == "digits" else SPOKEN)]
    if name != "digits":
        rows.append(row(NONE, make(kept=2 * kept), seed, epochs, lr) | {"method": f"{NONE}, twice the buffer"})
    return rows


STUDY = Study(
    paper=PAPER,
    about="Replayed samples stay where the network of the task before had put them, and away from all that the network "
    "of now makes of the whole batch, new classes included: the teacher has never seen those. (The formulas and the "
    "weights of the three terms are a reconstruction from the abstract and the reviews; no code is published. A linear "
    "classifier stands for the recogniser. Ten digits come in five tasks, in an order drawn by the seed, four samples "
    "of each are kept. Class means are those of the samples kept, read from z, and for replay alone from h, since its "
    "head learns nothing. Renewed from the buffer, they tell as much where the student is its own teacher, so that "
    "the contrast is what counts for them; asked why, we noted each mean when its task was over, and never renewed it: "
    "then the old teacher decides. Raw digits are told best by means, for no task can overwrite them. "
    "Of spoken digits, in tasks of four, three and three words with three samples of each kept, z tells fewer with "
    "NSPT than h does with replay alone; h itself loses little. We looked at a seed that does not count: means of all "
    "training samples tell .58 from z and .79 from h, so that it is not the few samples that misplace the means; ten "
    "times the weight of the words leaves .53 of the kept samples' means, and without NSPT .60.)",
    claims=(
        Claim("After five tasks, class means tell more digits with NSPT than with NTPT.", MEANS, NSPT, "higher", NTPT,
              margin=0.05),
        Claim("And more than with replay alone.", MEANS, NSPT, "higher", NONE, margin=0.05),
        Claim("The softmax head, which leans to new classes, tells fewer with NSPT than with replay alone.", HEAD, NSPT,
              "lower", NONE, margin=0.05, negative=True),
        Claim("As a mean over the tasks, too.", f"{HEAD}{OVER}", NSPT, "lower", NONE, margin=0.05, negative=True),
        Claim("At a tenth of NSPT's weight the head loses less than five points.", HEAD, "NSPT, a tenth of its weight",
              "equal", NONE, margin=0.05),
        Claim("To contrast with the words of the classes besides makes little difference to class means.", MEANS,
              "COCONUT", "equal", NSPT, margin=0.03, negative=True),
        Claim("Without replay, the softmax head tells hardly more than the last task's fifth.", HEAD, "no replay",
              "lower", 0.3),
        Claim("Most is overwritten in the head: class means of that encoder tell more than half.", MEANS, "no replay",
              "higher", 0.5),
        Claim("The old teacher matters: with the student as its own teacher, class means tell fewer.", MEANS,
              "NSPT, no old teacher", "lower", NSPT, margin=0.02),
        Claim("It holds old classes in place: they drift less than without it.", DRIFT, NSPT, "lower",
              "NSPT, no old teacher"),
        Claim("Means noted when a class was new, and never renewed, serve far better with it.", THEN, NSPT, "higher",
              "NSPT, no old teacher", margin=0.1),
        Claim("They serve better than with NTPT, too.", THEN, NSPT, "higher", NTPT, margin=0.1),
        Claim("With the anchor itself in the denominator, class means tell as many.", MEANS, "NSPT, literal", "equal",
              NSPT, margin=0.03),
        Claim("Without negatives of the anchor's own class they tell as many, too.", MEANS,
              "NSPT, others as negatives", "equal", NSPT, margin=0.03),
        Claim("NSPT's class means tell more digits than those of the raw input.", MEANS, NSPT, "higher", "raw input"),
        Claim("And than those of an untrained encoder.", MEANS, NSPT, "higher", "untrained encoder"),
        Claim("Of spoken digits in three tasks, class means tell more with NSPT than with NTPT.", MEANS, NSPT, "higher",
              NTPT, margin=0.02, preset="real"),
        Claim("And more spoken digits than with replay alone.", MEANS, NSPT, "higher", NONE, margin=0.02,
              preset="real"),
        Claim("As the paper says, COCONUT's head tells more over the tasks than that of replay alone.",
              f"{HEAD}{OVER}", "COCONUT", "higher", NONE, preset="real"),
        Claim("But fewer than that of replay from twice the buffer.", f"{HEAD}{OVER}", "COCONUT", "lower",
              f"{NONE}, twice the buffer", negative=True, preset="real"),
        Claim("With spoken digits, too, their words make little difference to class means.", MEANS, "COCONUT", "equal",
              NSPT, margin=0.03, negative=True, preset="real"),
        Claim("NSPT's class means tell more spoken digits than those of raw spectrograms.", MEANS, NSPT, "higher",
              "raw input", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [MEANS, THEN, HEAD, DRIFT]),
    presets={
        "smoke": {"samples": 400, "epochs": 1},
        "real": {"name": "spoken digits", "tasks": 3, "kept": 3},
    },
)  # fmt: skip
