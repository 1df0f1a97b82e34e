"""DriftPanel: where class means go while task follows task, and what they and a softmax head still tell."""

from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.losses import Choice
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.coconut.method import Coconut, learn_tasks, means
from cl_explore.papers.coconut.world import World, networks, world
from cl_explore.plots.layouts import pca
from cl_explore.plots.style import class_look
from cl_explore.takes import takes
from cl_explore.views.noisy import Noisy
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Bars, Line, Mark, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

TASKS, KEPT, EPOCHS, LR, TAU = 5, 4, 6, 1e-3, 0.2
Held = Literal["none", "NTPT", "NSPT"]
WEIGHTS = (0.1, 0.3, 1.0, 2.0)
BY_MEANS, BY_HEAD = "#0072B2", "#D55E00"


class Course(NamedTuple):
    """What became of ten classes, in the order in which they come, after each of TASKS; NaN before they come.

    places: (TASKS, 10, 2), their means on the plane in which those of the end are spread widest.
    by_means, by_noted, by_head: (TASKS, 10), how many unseen digits of a class are told by means, by means as they were
        after each class's own task, and by the softmax head.
    turned: (10,), 1 - cosine between a class's first mean and that of the end.
    classes: (10,), which digits they are.
    """

    places: NDArray[np.float32]
    by_means: NDArray[np.float32]
    by_noted: NDArray[np.float32]
    by_head: NDArray[np.float32]
    turned: NDArray[np.float32]
    classes: list[int]


@cache
def digits() -> World:
    """Digits in five tasks, of which four samples a class are kept."""
    return world("digits", 0, tasks=TASKS, kept=KEPT)


def trained(method: Coconut, seen: Dataset, batch_size: int) -> Coconut:
    """The method after a task, at a steady rate."""
    generator, optimizer = Generator().manual_seed(0), torch.optim.Adam(method.parameters(), LR)
    for _ in range(EPOCHS):
        take_epoch(method, seen, batch_size, optimizer, generator)
    return method


@cache
def learned(distil: Held, weight: float) -> Course:
    """Five tasks, seeded."""
    made = digits()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        start = Coconut(
            *networks(made.train), "multimodal_supcon", dict.fromkeys(("audio", "text"), Noisy()), temperature=TAU,
            classes=10, distil="ntpt" if distil == "NTPT" else "nspt", distil_weight=weight, multimodal_weight=0.0,
        )  # fmt: skip
    course = learn_tasks(made, lambda last, seen, size: trained(last or start, seen, size))
    order = torch.cat(list(made.tasks))
    of = torch.full((TASKS, 10, start.means_from(evaluate.embed(start, made.test)).shape[1]), torch.nan)
    hits = torch.full((3, TASKS, 10), torch.nan)
    own = torch.arange(10) // 2, torch.arange(10)  # where a class's mean is noted
    for task, method in enumerate(course):
        classes = order[: 2 * (task + 1)]
        buffer = made.train.subset(made.kept(task + 1))
        known, unseen = evaluate.embed(method, buffer), evaluate.embed(method, made.test)
        of[task, : len(classes)] = means(method.means_from(known), buffer.labels)[classes.argsort().argsort()]
        x = F.normalize(method.means_from(unseen), dim=1)
        nearest = [classes[(x @ at[: len(classes)].T).argmax(1)] for at in (of[task], of[own])]
        told = torch.stack([*nearest, method.classifier(unseen.h).argmax(1)]) == made.test.labels
        for place, one in enumerate(classes):
            hits[:, task, place] = told[:, made.test.labels == one].float().mean(1)
    turned = 1 - (of[own] * of[-1]).sum(1)
    by_means, by_noted, by_head = hits.numpy()
    return Course(pca(of).points, by_means, by_noted, by_head, turned.numpy(), order.tolist())


def experiment(distil: Held, weight: float) -> Course:
    """The course of a choice, in which the weight of nothing plays no part."""
    return learned(distil, 0.0 if distil == "none" else weight)


def trails(course: Course, task: int) -> Chart:
    """Class means after a task, each with the way that it has come since its own."""
    places = course.places[: task + 1]
    low, high = np.nanmin(course.places, (0, 1)), np.nanmax(course.places, (0, 1))
    across, up = (Axis("", (a - 0.1, b + 0.15)) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    marks: list[Mark] = []
    for place, digit in enumerate(course.classes[: 2 * (task + 1)]):
        colour, marker = class_look(digit)
        x, y = places[place // 2 :, place].T
        marks += [
            Line(x, y, colour=colour, width=1.6, alpha=0.7),
            Points(x[:1], y[:1], colour=colour, marker=marker, size=4, hollow=True),
            Points(x[-1:], y[-1:], colour=colour, marker=marker, size=6),
            Text(x[-1:], y[-1:], [str(digit)], colour=colour, bold=True, dx=12, dy=-8),
        ]
    return Chart(
        marks, "Class means, and how they came here", across, up, bare=True, equal=True, height=390,
        note="Hollow: where a mean was after its own task. The plane is that of the end.",
    )  # fmt: skip


def drift_picture(state: State, course: Course) -> Picture:
    """What a course and the knob `task` make of the panel."""
    task = state["task"] - 1
    means, noted, head = (np.nanmean(part, 1) for part in (course.by_means, course.by_noted, course.by_head))
    tasks = np.arange(1, TASKS + 1)
    curve = Chart(
        [
            Line(tasks, means, colour=BY_MEANS, name="class means"),
            Line(tasks, noted, colour=BY_MEANS, dash="dotted", name="as first noted"),
            Line(tasks, head, colour=BY_HEAD, dash="dashed", name="softmax head"),
            Rule(x=state["task"], drag="task"),
        ],
        "Told of the unseen digits so far", Axis("tasks learned", (0.8, TASKS + 0.2), ticks=tasks.tolist()),
        Axis(range=(0, 1), grid=True), height=170,
    )  # fmt: skip
    known = np.arange(2 * (task + 1))
    each = [
        Bars(known + shift, part[task, known], width=0.38, colour=colour, hover=f"{name}: {{share}} of digit {{digit}}",
             fields={"share": part[task, known], "digit": course.classes[: len(known)]})
        for name, shift, part, colour in (("class means", -0.2, course.by_means, BY_MEANS),
                                          ("softmax head", 0.2, course.by_head, BY_HEAD))
    ]  # fmt: skip
    bars = Chart(
        [*each, *(Rule(x=edge - 0.5, width=0.6, colour="muted") for edge in range(2, 10, 2))],
        "By digit, in the order in which they came",
        Axis("", (-0.6, 9.6), ticks=list(range(10)), names=[str(one) for one in course.classes]),
        Axis(range=(0, 1), grid=True), height=170,
    )  # fmt: skip
    old = course.turned[: 2 * (TASKS - 1)]
    return Picture(
        "COCONUT: old classes are held where the last network put them",
        "A map of class means with the way each came; lines of how many digits means, noted means and a head tell "
        "after each task; bars of the same by digit.",
        [[trails(course, task), [curve, bars]]],
        [
            ("held to the old network by", state["distil"]),
            ("class means tell", f"{means[task]:.0%}"),
            ("as first noted", f"{noted[task]:.0%}"),
            ("the softmax head", f"{head[task]:.0%}"),
            ("old means turned until the end (1 - cosine)", f"{old.mean():.2f}"),
        ],
    )


class DriftPanel(KnobPanel):
    """Choose what holds old classes in place, and see where their means go and which read-out forgets them.

    Ten digits come in five tasks; four samples of each are kept and replayed. A small network is trained in the
    background (a second or two) by cross-entropy, and by the chosen loss on replayed samples; `task` moves through the
    tasks, as does the line that can be dragged. Means are read behind the head, without a contrast from the encoder.
    Raises ValueError for a weight or a task where the slider does not stop, or for another loss.
    """

    @takes
    def __init__(self, distil: Held = "NSPT", weight: float = 1.0, task: int = TASKS) -> None:
        knobs = {
            "distil": dial(Choice("distil", get_args(Held), help="what holds replayed samples in place"), distil,
                           "held by"),
            "weight": stepper("weight", WEIGHTS, weight, "its weight λ", "times the share of old classes"),
            "task": stepper("task", tuple(range(1, TASKS + 1)), task, "tasks learned", "or drag the line"),
        }  # fmt: skip
        super().__init__(
            knobs, drift_picture, experiment=experiment, decides=("distil", "weight"),
            sweeps={"distil": get_args(Held), "weight": (0.1, 1.0), "task": range(1, TASKS + 1)},
        )  # fmt: skip


PANEL = DriftPanel
