"""HolesPanel: a picture with holes, the patches that were taken out, and which of them a network puts where."""

import copy
import string
from functools import cache
from itertools import chain, count
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore.data import Dataset
from cl_explore.evaluate.embedding import frozen
from cl_explore.losses import Knob
from cl_explore.methods.plain import take_step
from cl_explore.nn import AttentionPool, Transformer
from cl_explore.papers.selfie.method import Holes, PatchNetwork, Selfie
from cl_explore.papers.selfie.world import SIZE, pictures
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, stepper
from cl_explore.widgets.marks import Edges, Heat, Images, Line, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

STOPS = (0, 30, 90)  # steps of the training that are kept
SIDES = (6, 8)  # pixels of a patch
MISSING = range(2, 9)
SAMPLES, JUDGED, BATCH, LR, WIDTH = 500, 80, 25, 3e-3, 32
SHOWN = 8  # unseen pictures to choose from
RIGHT, WRONG = "#0072B2", "#D55E00"


class Course(NamedTuple):
    """A training with patches of one size, at each of STOPS.

    methods: as they were. right: (S, M) share of right patches on unseen pictures, by how many are missing.
    """

    methods: list[Selfie]
    right: NDArray[np.float64]


class Answer(NamedTuple):
    """What is asked of pictures, and what is answered: patch (B, N, C, p, p), place (B, N), chance (B, m, m)."""

    patch: Tensor
    place: Tensor
    chance: Tensor


@cache
def world() -> tuple[Dataset, Dataset]:
    """Pictures to train with, and unseen ones."""
    return pictures(0, SAMPLES, JUDGED)


def ask(method: Selfie, x: Tensor, missing: int) -> Answer:
    """Take patches out of pictures x, always the same ones first, and have them put back."""
    method.augment = Holes(method.augment.grid, missing)
    with frozen(method):
        views = method.draw_views(x, Generator().manual_seed(5))
        return Answer(views["patch"], views["place"], method.scores(method.embed(views)[1]).softmax(2))


@cache
def learned(side: int) -> Course:
    """90 steps on 25 pictures each, a fourth of whose patches are missing."""
    train, test = world()
    grid = SIZE // side
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        pool = AttentionPool(Transformer(WIDTH, depth=1))
        method = Selfie(PatchNetwork(3, WIDTH), pool, "selfie", Holes(grid, grid * grid // 4))
    optimizer, generator = torch.optim.Adam(method.parameters(), LR), Generator().manual_seed(0)
    batches = chain.from_iterable(method.draw_order(train, BATCH, generator).split(BATCH) for _ in count())
    found = Course([], np.empty((len(STOPS), len(MISSING))))
    for step in range(STOPS[-1] + 1):
        if step in STOPS:
            now = copy.deepcopy(method)
            for place, missing in enumerate(MISSING):
                chosen = ask(now, test.x, missing).chance.argmax(2)
                found.right[len(found.methods), place] = (chosen == torch.arange(missing)).double().mean()
            found.methods.append(now)
        take_step(method, train.batch(next(batches)), optimizer, generator)
    return found


def holes_chart(answer: Answer, grid: int) -> Chart:
    """The picture without some patches, these in a drawn order beside it, and which of them goes where."""
    place, chance = answer.place[0].numpy(), answer.chance[0].numpy()
    missing = len(chance)
    tiles = (answer.patch[0].movedim(1, 3) * 255).clamp(0, 255).byte().numpy()
    x, y = (place % grid).astype(float), -(place // grid).astype(float)
    names = list(string.ascii_lowercase[:missing])
    rows = missing if missing <= 4 else (missing + 1) // 2
    spot = np.random.default_rng(missing).permutation(missing)  # so that no place tells which patch fits
    there, down = grid + 1.2 + 1.6 * (spot // rows), -1.1 * (spot % rows)
    chosen = chance.argmax(1)
    true = chosen == np.arange(missing)
    ends = np.stack([np.arange(missing), missing + chosen], 1)
    nodes = np.concatenate([x[:missing] + 0.2, there - 0.5]), np.concatenate([y[:missing], down[:missing]])
    width = 0.6 + 5 * chance.max(1)
    return Chart(
        [
            Images(tiles[missing:], x[missing:], y[missing:], side=0.97),
            Images(tiles[:missing], there, down, side=0.97),
            Text(x[:missing], y[:missing], names, bold=True, size=14),
            Text(there + 0.68, down, names),
            Edges(*nodes, ends[true], width=width[true], colour=RIGHT),
            Edges(*nodes, ends[~true], width=width[~true], colour=WRONG, dash="dashed"),
        ],
        "Which patch goes into which hole?",
        Axis(range=(-0.6, there.max() + 1)), Axis(range=(0.4 - max(grid, 1.1 * rows), 0.7)), bare=True, equal=True,
        height=330, width=1.3,
        note="Blue: right; dashed: wrong; thick: sure. Letters beside patches are the answers, which it is not told.",
    )  # fmt: skip


def holes_picture(state: State, course: Course) -> Picture:
    """What the knobs `side`, `missing`, `step` and `picture` make of the panel."""
    stop, missing = STOPS.index(state["step"]), state["missing"]
    method = course.methods[stop]
    grid = method.augment.grid
    answer = ask(method, world()[1].x[state["picture"], None], missing)
    chance = answer.chance[0].numpy()
    ticks, names = np.arange(missing) + 0.5, list(string.ascii_lowercase[:missing])
    cells = Chart(
        [Heat(chance, text=missing <= 5)],
        "Probability of each patch", Axis("patch", (0, missing), ticks=ticks, names=names),
        Axis("hole", (missing, 0), ticks=ticks, names=names), equal=True, height=300, width=0.8,
        note="Right answers are on the diagonal.",
    )  # fmt: skip
    lines = Chart(
        [
            Line(MISSING, 1 / np.array(MISSING), colour="muted", dash="dotted", name="chance"),
            Line(MISSING, course.right[0], colour=WRONG, dash="dashed", name="before training"),
            Line(MISSING, course.right[stop], colour=RIGHT, name=f"after {STOPS[stop]} steps"),
            Rule(x=missing, drag="missing"),
        ],
        f"Right patches on {JUDGED} unseen pictures", Axis("patches missing", (2, 8)),
        Axis("share", (0, 1), grid=True), height=300, width=0.8,
    )  # fmt: skip
    right = (chance.argmax(1) == np.arange(missing)).sum()
    return Picture(
        "Selfie: put back what is missing",
        "A picture of a shape with holes, the missing patches beside it, lines from holes to the chosen patches; the "
        "matrix of probabilities; the share of right patches by how many are missing.",
        [[holes_chart(answer, grid), cells, lines]],
        [
            ("here", f"{right} of {missing} right"),
            ("unseen pictures", f"{course.right[stop, missing - 2]:.0%} right"),
            ("chance", f"{1 / missing:.0%}"),
            ("visible", f"{grid * grid - missing} of {grid * grid} patches"),
        ],
    )


class HolesPanel(KnobPanel):
    """Take patches out of a picture, and see a network put them back.

    All candidates are of the same picture, so that no colour gives them away. With more holes less is visible, and
    there are more patches to choose from. Raises ValueError for a side of a patch other than 6 or 8 pixels, and for
    fewer than 2 or more than 8 missing patches.
    """

    @takes
    def __init__(self, missing: int = 4, side: int = 6) -> None:
        knobs = {
            "missing": counter(Knob("missing", MISSING[0], MISSING[-1], help="patches taken out"), missing),
            "side": stepper("side", SIDES, side, "side of a patch", "in pixels, of 24"),
            "step": stepper("step", STOPS, STOPS[-1], "steps", "of the training"),
            "picture": counter(Knob("picture", 0, SHOWN - 1, help="which unseen one is shown"), 0),
        }
        super().__init__(
            knobs, holes_picture, experiment=learned, decides=("side",),
            sweeps={"missing": (2, 4, 8), "step": (0, STOPS[-1]), "picture": (0, 1, 2)},
        )  # fmt: skip


PANEL = HolesPanel
