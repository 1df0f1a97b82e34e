"""ControlPanel: what of an observation is learned when the action is needed to tell what follows."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cl_explore import evaluate
from cl_explore.losses import Choice, Knob
from cl_explore.methods.plain import take_step
from cl_explore.papers.taco.study import BATCH, POSITIONS, entry, lost, probed
from cl_explore.papers.taco.world import parts, shuffled_actions, without_actions
from cl_explore.plots.layouts import pca
from cl_explore.plots.style import class_look
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.marks import Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

SHOTS = tuple(range(0, 301, 30))  # steps of the training that are kept
ACTIONS = {"given": lambda world: world, "left out": without_actions, "shuffled": shuffled_actions}
SHOWN = 400  # unseen observations


class Course(NamedTuple):
    """A training, at each of SHOTS.

    points: (S, SHOWN, 2), unseen observations along the leading directions of z after training.
    positions: (SHOWN,), where they are on the ring.
    told: (S,), the share of positions that a linear probe of z tells.
    losses: (S,), of unseen transitions.
    """

    points: NDArray[np.float32]
    positions: NDArray[np.int64]
    told: list[float]
    losses: list[float]


def learn(scale: float, steps: int, actions: str) -> Course:
    """300 steps of TACO on the ring, seeded."""
    train, test = parts(0, 2000, SHOWN, scale=scale, steps=steps)
    seen = ACTIONS[actions](train)
    method = entry(None, steps=steps).build(seen, 0)
    optimizer = torch.optim.Adam(method.parameters(), 1e-3)
    draw = torch.Generator().manual_seed(0)
    order: list[torch.Tensor] = []
    z: list[torch.Tensor] = []
    told: list[float] = []
    losses: list[float] = []
    for step in range(SHOTS[-1] + 1):
        if step in SHOTS:
            z.append(evaluate.embed(method, test).h)
            told += probed(method, train, test).values()
            losses += lost(method, seen, ACTIONS[actions](test)).values()
        order = order or list(method.draw_order(seen, BATCH, draw).split(BATCH))
        take_step(method, seen.batch(order.pop()), optimizer, draw)
    return Course(pca(torch.stack(z)).points, test.labels.numpy(), told, losses)


def control_picture(state: State, course: Course) -> Picture:
    """What a training and the knob `step` make of the panel."""
    shot = SHOTS.index(state["step"])
    x, y = course.points[shot].T
    low, high = course.points.min((0, 1)).tolist(), course.points.max((0, 1)).tolist()

    looks = [class_look(place) for place in range(POSITIONS)]
    cloud = [
        Points(x[at], y[at], colour=colour, marker=marker, name=f"position {place}")
        for place, (colour, marker) in enumerate(looks)
        for at in [course.positions == place]
    ]
    across, up = (
        Axis("", (1.1 * lo - 0.1 * hi, 1.1 * hi - 0.1 * lo), ticks=()) for lo, hi in zip(low, high, strict=True)
    )
    maps = Chart(cloud, "z of unseen observations, two leading directions", across, up, height=320)
    curve = Chart(
        [
            Rule(y=math.log(BATCH), dash="dashed", label="log B: nothing known"),
            Rule(y=math.log(BATCH / POSITIONS), dash="dotted", label="log(B/M): all known"),
            Line(np.array(SHOTS[: shot + 1], float), np.array(course.losses[: shot + 1]), colour=looks[0][0], width=2),
        ],
        "Loss of unseen transitions", Axis("training (steps)", (0, SHOTS[-1])), Axis("nats", (3, 5.4), grid=True),
        height=320,
    )  # fmt: skip
    return Picture(
        f"TACO on a ring of {POSITIONS} positions: actions {state['actions']}",
        "Unseen observations by what is learned of them, coloured by their position on the ring; and the loss while it "
        "trains, between a line for nothing known and one for all known.",
        [[maps, curve]],
        [
            ("position told by a linear probe of z", f"{course.told[shot]:.0%}"),
            ("loss", f"{course.losses[shot]:.2f} of {math.log(BATCH):.2f}"),
        ],
    )


class ControlPanel(KnobPanel):
    """Let what no action moves grow, and leave out the actions: see whether positions still come apart.

    TACO is trained in the background (a second) on transitions of a ring that actions shift; what is shown is unseen.
    `step` moves through the training, `steps` lets more actions lie between two observations. With actions the loss
    falls towards log(B/M) and positions come apart; without, or with another's, it stays at log B and they come apart
    only as far as chance has it. Raises ValueError for a scale outside 0 to 3, steps outside 1 to 3, or a step that was
    not kept.
    """

    @takes
    def __init__(self, scale: float = 2.0, step: int = SHOTS[-1], steps: int = 1, actions: str = "given") -> None:
        scales = Knob("scale", 0, 3, help="how strong the four things are that no action moves")
        knobs = {
            "scale": dial(scales, scale, "things no action moves", step=0.5, continuous_update=False),
            "step": stepper("step", SHOTS, step, "training (steps)", "how far the encoder is trained"),
            "steps": counter(Knob("steps", 1, 3, help="actions between two observations"), steps, "actions between",
                             continuous_update=False),
            "actions": dial(Choice("actions", tuple(ACTIONS), help="what the encoder is told of them"), actions),
        }  # fmt: skip
        super().__init__(
            knobs, control_picture, experiment=learn, decides=("scale", "steps", "actions"),
            sweeps={"actions": tuple(ACTIONS), "step": (0, 90, 300)},
        )  # fmt: skip


PANEL = ControlPanel
