"""LeakPanel: what each of two codes tells of the common and of the salient class, and where background goes."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import evaluate, losses
from cl_explore.data import Dataset
from cl_explore.losses import Knob
from cl_explore.nn import MLP
from cl_explore.papers.sepclr.world import COMMON, FEATURES, SALIENT, templates
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Heat, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

SAMPLES, UNSEEN, BATCH, LR, NOISE = 600, 300, 150, 4e-3, 0.4
SHOTS = (0, 20, 60, 160)  # steps of the training that are kept
SHOWN = 160  # unseen samples, half of them background
CHANCE = np.array([1 / COMMON, 1 / SALIENT], np.float32)


class Course(NamedTuple):
    """A training, at each of SHOTS.

    accuracy: (S, 2, 2) of a linear probe of c and of s for the common and for the salient class, on unseen targets.
    s: (S, n, 2) salient codes of unseen samples, along the two directions in which they are longest at the end.
    group: (n,) their salient classes, SALIENT for background.
    """

    accuracy: NDArray[np.float32]
    s: NDArray[np.float32]
    group: NDArray[np.int64]


def learn(joint: float, informationless: float) -> Course:
    """160 steps of SepCLR on 600 vectors, seeded, with codes of 8 numbers each."""
    train, test = templates(0, SAMPLES, UNSEEN)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        common, salient = (MLP([FEATURES, 64, 8], batch_norm=False) for _ in "cs")
    generator = Generator().manual_seed(0)
    optimizer = torch.optim.Adam([*common.parameters(), *salient.parameters()], LR)
    few = torch.linspace(0, len(test) - 1, SHOWN).long()
    accuracy: list[list[list[float]]] = []
    codes: list[Tensor] = []
    for step in range(SHOTS[-1] + 1):
        if step in SHOTS:
            with torch.no_grad():
                seen, unseen = ((F.normalize(common(part.x), dim=1), salient(part.x)) for part in (train, test))
            accuracy.append([tells(*code, train, test) for code in zip(seen, unseen, strict=True)])
            codes.append(unseen[1][few])
        rows = torch.randperm(SAMPLES, generator=generator)[:BATCH]
        views = train.x[rows].repeat(2, 1)
        views = views + NOISE * torch.randn(views.shape, generator=generator)
        c, s = (code(views).unflatten(0, (2, BATCH)).transpose(0, 1) for code in (common, salient))
        loss = losses.sepclr(c, s, train.labels[rows], joint_weight=joint, informationless_weight=informationless)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    longest = torch.linalg.svd(codes[-1], full_matrices=False).Vh[:2]
    kinds = test.factors["salient"][few]
    plane = torch.stack(codes) @ longest.T
    return Course(np.array(accuracy, np.float32), plane.numpy(), kinds.where(kinds >= 0, SALIENT).numpy())


def tells(seen: Tensor, unseen: Tensor, train: Dataset, test: Dataset) -> list[float]:
    """Accuracies for the common and for the salient class of a linear probe of a code, (N, D) and (M, D)."""
    of = [part.labels == 1 for part in (train, test)]
    return [
        evaluate.linear_accuracy(seen[of[0]], train.factors[name][of[0]], unseen[of[1]], test.factors[name][of[1]])
        for name in ("common", "salient")
    ]


def leak_picture(state: State, course: Course) -> Picture:
    """What a training and the knob `step` make of the panel."""
    shot = SHOTS.index(state["step"])
    accuracy, s = course.accuracy[shot], course.s[shot]
    above = np.maximum(accuracy - CHANCE, 0)
    leaks = Chart(
        [Heat(above, text=True)],
        "Accuracy of a probe above chance",
        Axis("class of an unseen target", (0, 2), ticks=[0.5, 1.5], names=["common", "salient"]),
        Axis("code", (2, 0), ticks=[0.5, 1.5], names=["c", "s"]),
        width=0.8, height=300, note="Where the codes are apart, only the diagonal is bright.",
    )  # fmt: skip
    reach = ceiling(1.05 * float(np.abs(s).max()))
    colours = (*CLASS_COLOURS[:SALIENT], "muted")
    group = course.group
    names = np.array([*(f"class {kind + 1}" for kind in range(SALIENT)), "background"])
    plane = Chart(
        [
            Rule(x=0.0, width=0.6, colour="muted"), Rule(y=0.0, width=0.6, colour="muted"),
            *(Points(*s[group == kind].T, colour=colours[kind], size=3.6, name=str(names[kind]),
                     hollow=kind == SALIENT) for kind in range(SALIENT + 1)),
        ],
        "The salient code s of unseen samples", Axis("longest direction", (-reach, reach)),
        Axis("the next", (-reach, reach)),
        equal=True, height=300,
    )  # fmt: skip
    lengths = [float(np.square(s[group == SALIENT if bare else group < SALIENT]).sum(1).mean()) for bare in (True, 0)]
    return Picture(
        "SepCLR: what is common goes into c, what is salient into s",
        "Two by two cells, how well code c and code s tell the common and the salient class; beside them the salient "
        "codes of targets, spread by class, and of background, near 0.",
        [[leaks, plane]],
        [
            ("c tells the salient class", f"{accuracy[0, 1]:.0%} (chance {CHANCE[1]:.0%})"),
            ("s tells the common class", f"{accuracy[1, 0]:.0%} (chance {CHANCE[0]:.0%})"),
            ("mean square of s, background", f"{lengths[0]:.3f}"),
            ("targets", f"{lengths[1]:.2f}"),
        ],
    )


class LeakPanel(KnobPanel):
    """Turn what pushes the codes of SepCLR apart, and see which class leaks into which code.

    Two small encoders are trained in the background (a second or two) on vectors with a common class, half of them with
    a salient one besides; `step` moves through the training. `joint` is the weight of joint entropy, which pushes the
    salient class out of c; `informationless` that of background's length, which pushes the common class out of s and
    background onto 0. Raises ValueError for a joint weight outside 0 to 30 or another one outside 1 to 1000.
    """

    @takes
    def __init__(self, joint: float = 10.0, informationless: float = 300.0) -> None:
        knobs = {
            "joint": dial(Knob("joint", 0, 30, help="pushes what is salient out of c"), joint,
                          "joint entropy λ", step=1.0),
            "informationless": dial(Knob("informationless", 1, 1000, log=True, help="pushes what is common out of s"),
                                    informationless, "background β_r", step=0.25),
            "step": stepper("step", SHOTS, SHOTS[-1], "training (steps)", "how far the encoders are trained"),
        }  # fmt: skip
        super().__init__(
            knobs, leak_picture, experiment=learn, decides=("joint", "informationless"),
            sweeps={"joint": [0.0, 3.0, 10.0], "informationless": [1.0, 30.0, 300.0], "step": SHOTS},
        )  # fmt: skip


PANEL = LeakPanel
