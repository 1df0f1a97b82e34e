"""GroundingPanel: sixteen tasks against sixteen instructions, as three grounding losses learn to tell them apart."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from cl_explore.losses import Choice, Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.hulc.method import GROUNDINGS, Grounded, Grounding
from cl_explore.papers.hulc.study import NAMES, SETS, VIEWS, networks
from cl_explore.papers.hulc.world import TASKS, tabletop
from cl_explore.takes import takes
from cl_explore.widgets.controls import control, counter, stepper
from cl_explore.widgets.marks import Bars, Heat, Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

BATCHES, STEPS, STAGES, UNSEEN = (4, 8, 16, 32, 64), 50, 7, 320


class Learned(NamedTuple):
    """What the films of each task are taken for, after 0, 50, ..., 300 steps: shares (7, 16, 16), rows add to 1."""

    taken: NDArray[np.float32]

    def right(self) -> NDArray[np.float32]:
        """Retrieval at each stage, (7,)."""
        return self.taken.trace(axis1=1, axis2=2) / len(TASKS)


def learn(batch: int, grounding: Grounding) -> Learned:
    """Three hundred steps in batches of that size on windows that are drawn anew, seeded."""
    table, generator = tabletop(0), Generator().manual_seed(0)
    unseen = table.windows(UNSEEN, generator)
    said = table.say(torch.arange(len(TASKS)).repeat(SETS), generator)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = Grounded(*networks(unseen), "clip", VIEWS, grounding=grounding)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    taken = []
    for stage in range(STAGES):
        if stage:
            take_epoch(model, table.windows(STEPS * batch, generator), batch, optimizer, generator)
        assert isinstance(unseen.x, dict)
        best = model.scores(unseen.x["video"], said).unflatten(1, (SETS, -1)).argmax(2)
        counts = torch.zeros(len(TASKS), len(TASKS))
        counts.index_put_((unseen.labels[:, None].expand_as(best), best), torch.ones(best.shape), accumulate=True)
        taken.append(counts / counts.sum(1, keepdim=True))
    return Learned(torch.stack(taken).numpy())


def grounding_picture(state: State, learned: Learned) -> Picture:
    """What the knob `stage` makes of what was learned."""
    now, count = state["stage"], len(TASKS)
    taken, right = learned.taken[now], learned.right()
    names, at = [f"{task.split()[0][0]} {task.split()[1]}" for task in TASKS], np.arange(count) + 0.5
    matrix = Chart(
        [Heat(taken)], "What films of a task are taken for",
        Axis("", (0, count), ticks=at[::4] + 1.5, names=[task.split()[0] for task in TASKS[::4]]),
        Axis("task of the film", (count, 0), ticks=at, names=names), equal=True, height=380,
        note="Each block of four is an object; within it: left, right, up, down.",
    )  # fmt: skip
    steps = STEPS * np.arange(STAGES, dtype=float)
    curve = Chart(
        [
            Line(steps, right, name=NAMES[state["grounding"]]),
            Points(steps[now : now + 1], right[now : now + 1], size=6),
            Rule(y=1 / count, dash="dashed", label="chance"),
        ],
        "Retrieval of 16", Axis("steps", (0, steps[-1])), Axis("", (0, 1), grid=True), height=380,
    )  # fmt: skip
    thing, way = np.arange(count) // 4, np.arange(count) % 4
    same_thing, same_way = thing[:, None] == thing, way[:, None] == way
    kinds = (same_thing & same_way, same_thing & ~same_way, ~same_thing & same_way, ~same_thing & ~same_way)
    shares = np.array([taken[kind].sum() / count for kind in kinds])
    bars = Chart(
        [Bars(np.arange(4.0), shares)], "What is right of the answer",
        Axis("", (-0.5, 3.5), ticks=np.arange(4.0), names=["both", "object", "way", "neither"]),
        Axis("share", (0, 1), grid=True), height=380,
    )  # fmt: skip
    return Picture(
        f"{NAMES[state['grounding']]}, batches of {state['batch']}, after {STEPS * now} steps",
        "A heat map of sixteen tasks against what their films are taken for; retrieval over steps; bars of answers "
        "with object and way right, one of them, or neither.",
        [[matrix, curve, bars]],
        [("retrieval", f"{right[now]:.0%}"), ("object right", f"{shares[:2].sum():.0%}"),
         ("way right", f"{shares[[0, 2]].sum():.0%}")],
    )  # fmt: skip


class GroundingPanel(KnobPanel):
    """Choose how a film is tied to its instruction and how many share a batch, and see the blocks of tasks appear.

    Each choice is trained in the background, for a second; `stage` goes through its 300 steps, 50 at a time.

    batch: 4, 8, 16, 32 or 64 films.
    stage: 0 to 6.
    grounding: "clip", "mia" or "bcz".
    Raises: ValueError for a stage out of range, a batch without a stop or an unknown grounding.
    """

    @takes
    def __init__(self, batch: int = 32, stage: int = 6, grounding: Grounding = "clip") -> None:
        menu = Choice("grounding", GROUNDINGS, help="contrast, match or regress")
        knobs = {
            "batch": stepper("batch", BATCHES, batch, "batch n", "films and instructions in a batch"),
            "stage": counter(Knob("stage", 0, STAGES - 1, help="how often 50 steps were taken"), stage, "50 steps ×"),
            "grounding": control(menu, grounding),
        }
        super().__init__(
            knobs, grounding_picture, experiment=learn, decides=("batch", "grounding"),
            sweeps={"batch": BATCHES, "stage": range(STAGES)},
        )  # fmt: skip


PANEL = GroundingPanel
