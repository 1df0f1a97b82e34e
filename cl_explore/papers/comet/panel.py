"""NestedPanel: which of nested levels of sameness a training lights up, and which it lets go dark."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import data
from cl_explore.losses import Choice, Knob
from cl_explore.methods.plain import take_step
from cl_explore.nn import DilatedNet
from cl_explore.papers.comet.method import COMET, QUARTERS, hidden_steps
from cl_explore.papers.comet.study import METRICS, consistency, normalised
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.marks import Bars, Heat, Line
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

PERSONS, SEEN, STEPS, BATCH, LR = 64, 32, 32, 72, 1e-2
SHOTS = (0, 10, 30)  # steps of the training that are kept
WEIGHTS: dict[str, dict[str, float]] = {
    "observation": {"observation": 1.0},
    "sample": {"sample": 1.0},
    "trial": {"trial": 1.0},
    "patient": {"patient": 1.0},
    "all four": QUARTERS,
}
NAMES = ["step", "sample", "trial", "patient"]
SWEPT = ("observation", "trial", "patient", "all four")
SHOWN = 3  # patients
MEMBERS = 9  # samples of each


class Course(NamedTuple):
    """A training, at each of SHOTS.

    metrics: (S, 4), the measures of `study.consistency` for unseen patients.
    codes: (S, N, TC), their codes as patients and trials are compared.
    views: (S, N, 2, T, C), codes of two views of each sample.
    """

    metrics: NDArray[np.float32]
    codes: Tensor
    views: Tensor


def learn(level: str) -> Course:
    """30 steps of COMET on pulses of 32 persons, seeded."""
    world = data.pulses(PERSONS, 3, 3, Generator().manual_seed(0), steps=STEPS, rate=0.0, phase=0.0,
                        wander=0.3, hum=0.25, jitter=0.01, noise=0.08)  # fmt: skip
    seen = world.factors["person"] < SEEN
    train, test = world.subset(seen), world.subset(~seen)
    generator = Generator().manual_seed(0)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        method = COMET(DilatedNet(1), weights=WEIGHTS[level], together="person", average=False)
        optimizer = torch.optim.Adam(method.parameters(), LR)
        shots: list[tuple[list[float], Tensor, Tensor]] = []
        order: list[Tensor] = []
        for step in range(SHOTS[-1] + 1):
            if step in SHOTS:
                shots.append(_shot(method, test))
            order = order or list(method.draw_order(train, BATCH, generator).split(BATCH))
            take_step(method, train.batch(order.pop()), optimizer, generator)
    metrics, codes, views = zip(*shots, strict=True)
    return Course(np.array(metrics, np.float32), torch.stack(codes), torch.stack(views))


def _shot(method: COMET, test: data.Dataset) -> tuple[list[float], Tensor, Tensor]:
    method.eval()
    generator = Generator().manual_seed(1)
    assert isinstance(test.x, Tensor)
    with torch.no_grad():
        views = torch.stack([method.codes(test.x, hidden_steps(len(test), STEPS, generator)) for _ in "12"], 1)
        found = list(consistency(method.codes, test).values()), normalised(method.codes(test.x)), views
    method.train()
    return found


def frames(side: int, colour: str, width: float) -> list[Line]:
    """The boxes of so many samples each, along the diagonal of the matrix of SHOWN patients."""
    corners = np.array([0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0])
    starts = range(0, SHOWN * MEMBERS, side)
    return [Line(*((start + side * corner) for corner in corners), colour=colour, width=width) for start in starts]


def nested_picture(state: State, course: Course) -> Picture:
    """What a training and the knobs `step`, `first` make of the panel."""
    shot = SHOTS.index(state["step"])
    start = (state["first"] - 1) * MEMBERS
    z = course.codes[shot, start : start + SHOWN * MEMBERS]
    similarity = (z @ z.T).numpy()
    own = course.views[shot, start]
    found = torch.softmax(own[0] @ own[1].T, 1).numpy()
    size = SHOWN * MEMBERS
    middles = [MEMBERS * (place + 0.5) for place in range(SHOWN)]
    names = [f"patient {state['first'] + place}" for place in range(SHOWN)]
    matrix = Chart(
        [Heat(similarity, low=-0.2, high=1.0), *frames(3, "#000000", 1.2), *frames(MEMBERS, "#D55E00", 2.4)],
        "Similarity of 27 unseen samples", Axis("", (0, size), ticks=middles, names=names),
        Axis("", (size, 0), ticks=middles, names=names), equal=True, height=330,
        note="Large boxes: patients. Small ones: trials of three samples.",
    )  # fmt: skip
    inset = Chart(
        [Heat(found, low=0.0, high=0.5)],
        "Which step of the other view is a step's own?", Axis("step in view 2", (0, STEPS)),
        Axis("step in view 1", (STEPS, 0)), equal=True, height=330, note="Of the first sample, by a softmax.",
    )  # fmt: skip
    before, now = course.metrics[0], course.metrics[shot]
    place = np.arange(4.0)
    bars = Chart(
        [
            Bars(place - 0.2, before, width=0.36, colour="#797186", name="before training"),
            Bars(place + 0.2, now, width=0.36, colour=CLASS_COLOURS[0], name=f"after {state['step']} steps"),
        ],
        "Found again, of all unseen patients", Axis("", (-0.6, 3.6), ticks=place, names=NAMES),
        Axis("share", (0, 1), grid=True), height=300,
    )  # fmt: skip
    return Picture(
        f"COMET: contrast of {state['level']}, and what it brings together",
        "Similarities of 27 samples of 3 patients, with boxes of patients and trials; steps of two views of a sample "
        "against each other; bars of what is found again at each level before and after training.",
        [[matrix, inset, bars]],
        [(name, f"{new:.1%} (before {old:.1%})") for name, old, new in zip(METRICS, before, now, strict=True)],
    )


class NestedPanel(KnobPanel):
    """Choose at which level series are contrasted, and see which blocks of nested samples light up.

    A small encoder is trained in the background (a second or two) on pulses of 32 persons; all that is shown is of
    others. `step` moves through the training, `first` to other patients. The patient level lights up large boxes, the
    trial level small ones at their cost, the observation level the diagonal of steps; all four together light up some
    of each. Raises ValueError for a first patient outside 1 to 30, or a step that was not kept.
    """

    @takes
    def __init__(self, level: str = "patient", step: int = SHOTS[-1], first: int = 1) -> None:
        knobs = {
            "level": dial(Choice("level", tuple(WEIGHTS), help="which samples are the same"), level, "contrast"),
            "step": stepper("step", SHOTS, step, "training (steps)", "how far the encoder is trained"),
            "first": counter(Knob("first", 1, PERSONS - SEEN - SHOWN + 1, help="the first of three unseen patients"),
                             first, "first patient"),
        }  # fmt: skip
        super().__init__(
            knobs, nested_picture, experiment=learn, decides=("level",), sweeps={"level": SWEPT, "step": SHOTS}
        )


PANEL = NestedPanel
