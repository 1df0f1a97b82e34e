"""OrderPanel: the mixtures of one anchor and the force on it, and how an embedding comes into the order of targets."""

from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import evaluate, losses
from cl_explore.losses import Choice, Knob
from cl_explore.nn import MLP
from cl_explore.papers.supremix.world import LEVELS, WIDTH, curve
from cl_explore.plots.style import CLASS_COLOURS, SEQUENTIAL
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.marks import Arrows, Heat, Points, Text, circle
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

SHOTS = (0, 60, 240)  # steps of the training that are kept
BATCH, LR, NOISE, UNSEEN, BINS = 16, 2e-3, 0.1, 600, 20
MIXTURES = ("both", "negatives", "positives", "none")
TARGETS = 3.0 * torch.arange(12)
ANGLES = torch.tensor([0.0, 0.55, 0.8, 1.9, 1.45, 2.6, 2.9, 3.3, 4.3, 3.9, 4.8, 5.4])
"""Where points with TARGETS stand on a circle, nearly in their order: two pairs have changed places."""
PLACES = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
COLOURS = tuple(to_hex(colormaps[SEQUENTIAL](level / (len(TARGETS) - 1))) for level in range(len(TARGETS)))
REACH = 1.28
FORCE = 0.3  # length of an arrow for a force of 1


class Course(NamedTuple):
    """A training, at each of SHOTS.

    cosines: (S, BINS, BINS) means between unseen samples, by their targets.
    mae: of a ridge, in levels. order: Spearman's correlation of distances with those of targets.
    """

    cosines: NDArray[np.float32]
    mae: list[float]
    order: list[float]


def knobs_of(weight: str, window: float, share: float, mixtures: str) -> dict[str, Any]:
    """The knobs of `losses.supremix` that the panel's stand for."""
    mixed = {f"mix_{kind}": "on" if mixtures in ("both", kind) else "off" for kind in MIXTURES[1:3]}
    return {"distance_weight": weight, "window": window, "anchor_share": share, **mixed}


def learn(**knobs: Any) -> Course:
    """240 steps of SupReMix on 300 points of the curve, seeded, with embeddings of 32 numbers."""
    from scipy.stats import spearmanr  # half a second, which those who only look need not wait for

    train, test = curve(0, unseen=UNSEEN)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = MLP([WIDTH, 128, 32], batch_norm=False)
    generator = Generator().manual_seed(0)
    optimizer = torch.optim.Adam(encoder.parameters(), LR)
    place = F.one_hot(test.labels * BINS // LEVELS, BINS).float()
    place = place / place.sum(0)
    targets, wanted = train.factors["target"], test.factors["target"]
    found = Course(np.empty((len(SHOTS), BINS, BINS), np.float32), [], [])
    for step in range(SHOTS[-1] + 1):
        if step in SHOTS:
            with torch.no_grad():
                seen, unseen = (F.normalize(encoder(part.x), dim=1) for part in (train, test))
            found.cosines[SHOTS.index(step)] = (place.T @ unseen @ unseen.T @ place).numpy()
            found.mae.append(evaluate.ridge_regression(seen, targets, unseen, wanted).mae)
            found.order.append(float(spearmanr(F.pdist(unseen), F.pdist(wanted[:, None])).statistic))
        rows = torch.randperm(len(train), generator=generator)[:BATCH]
        views = train.x[rows].repeat_interleave(2, 0)
        views = views + NOISE * torch.randn(views.shape, generator=generator)
        loss = losses.supremix(encoder(views).view(BATCH, 2, -1), targets[rows], **knobs_of(**knobs))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


class Mixed(NamedTuple):
    """Mixtures (n, 2) and their targets (n,)."""

    places: Tensor
    targets: Tensor


def mixed_negatives(anchor: int, share: float) -> Mixed:
    """Every other point of the circle with a share of the anchor in it."""
    others = torch.arange(len(TARGETS)) != anchor
    places, targets = (share * part[anchor] + (1 - share) * part[others] for part in (PLACES, TARGETS))
    return Mixed(places, targets)


def mixed_positives(anchor: int, window: float) -> Mixed:
    """Of each point below and each above the anchor's target, both within the window, the mixture with its target."""
    gap = TARGETS - TARGETS[anchor]
    lower, upper = ((gap < 0) & (gap > -window)).nonzero(), ((gap > 0) & (gap < window)).nonzero()
    low, high = torch.cartesian_prod(lower[:, 0], upper[:, 0]).view(-1, 2).T
    share = (gap[high] / (gap[high] - gap[low]))[:, None]
    return Mixed(share * PLACES[low] + (1 - share) * PLACES[high], TARGETS[anchor].expand(len(low)))


def force(anchor: int, **knobs: Any) -> Tensor:
    """(2,), where the loss of the anchor moves it: downhill. All points are there twice, as two equal views."""
    z = PLACES[:, None].repeat(1, 2, 1).requires_grad_()
    each = losses.supremix(z, TARGETS, reduction="none", **knobs)
    (slope,) = torch.autograd.grad(each[2 * anchor], z)
    return -slope[anchor, 0]


def circle_chart(state: State, pushed: Tensor, plain: Tensor) -> Chart:
    """The anchor, all others, its mixtures, and the forces of SupReMix and of SupCon on it."""
    anchor, mixtures = state["anchor"], state["mixtures"]
    made = [
        (mixed_negatives(anchor, state["share"]), "D", "mixed negatives", mixtures in ("both", "negatives")),
        (mixed_positives(anchor, state["window"]), "^", "mixed positives", mixtures in ("both", "positives")),
    ]
    inside = [
        Points(*mixed.places.T, colour=COLOURS, group=(mixed.targets / 3).round().long(), marker=marker, size=4,
               name=name, hover="target {target}", fields={"target": mixed.targets})
        for mixed, marker, name, shown in made
        if shown and len(mixed.targets)
    ]  # fmt: skip
    arrows = [
        Arrows(PLACES[anchor, :1], PLACES[anchor, 1:], *(FORCE * way)[:, None], colour=colour, width=width, name=name)
        for way, colour, width, name in (
            (plain, "muted", 2.0, "force of SupCon"),
            (pushed, CLASS_COLOURS[1], 2.6, "of SupReMix"),
        )
    ]
    around = 1.14 * PLACES
    return Chart(
        [
            circle(),
            *inside,
            Points(*PLACES.T, colour=COLOURS, group=torch.arange(len(TARGETS)), size=6.5, pick="anchor",
                   hover="target {target}", fields={"target": TARGETS}),
            Points(*PLACES[anchor, :, None], colour="ink", size=10, hollow=True, name="anchor"),
            Text(around[:, 0], around[:, 1], [f"{target:.0f}" for target in TARGETS], size=11),
            *arrows,
        ],
        "One anchor and its mixtures on a circle", Axis(range=(-REACH, REACH)), Axis(range=(-REACH, REACH)),
        bare=True, equal=True, height=380, note="Numbers are targets. Click a point to make it the anchor.",
    )  # fmt: skip


def order_picture(state: State, course: Course) -> Picture:
    """What a training and the knobs make of the panel."""
    chosen = {name: state[name] for name in ("weight", "window", "share", "mixtures")}
    pushed = force(state["anchor"], **knobs_of(**chosen))
    plain = force(state["anchor"], **knobs_of("off", 1.0, 0.0, "none"))
    shot = SHOTS.index(state["step"])
    ticks = range(0, BINS + 1, 5)
    names = [f"{LEVELS * tick // BINS}" for tick in ticks]
    cells = Chart(
        [Heat(course.cosines[shot], low=-0.5)],
        f"Cosines by target after {SHOTS[shot]} steps",
        Axis("target of one sample", (0, BINS), ticks=ticks, names=names),
        Axis("of the other", (BINS, 0), ticks=ticks, names=names),
        equal=True, height=380,
        note="Dark is -0.5 or less, light 1. In order: the farther from the diagonal, the darker.",
    )  # fmt: skip
    return Picture(
        "SupReMix: same has degrees, and the embedding follows them",
        "Points on a circle labelled by target, one of them the anchor with its mixtures and the forces on it; beside "
        "them cosines of unseen samples by target, a light diagonal that fades on both sides.",
        [[circle_chart(state, pushed, plain), cells]],
        [
            ("error of a ridge", f"{course.mae[shot]:.1f} levels of {LEVELS}"),
            ("order of distances (rank correlation)", f"{course.order[shot]:.2f}"),
            ("mixed positives of the anchor", f"{len(mixed_positives(state['anchor'], state['window']).targets)}"),
            ("force on the anchor", f"{pushed.norm():.2f}, of SupCon {plain.norm():.2f}"),
        ],
    )


class OrderPanel(KnobPanel):
    """Weigh negatives by how far their targets are, mix points, and see an embedding come into the order of targets.

    On the circle nothing is trained: an anchor, the mixtures that the loss makes for it, and where the loss pushes it,
    beside where SupCon would. Cells show cosines of unseen samples of a curve behind nuisance, by target; a small
    encoder is trained in the background (a second or two), and `step` moves through the training. Raises ValueError for
    a window outside 1 to 20, a share outside 0 to 0.9 or an anchor outside 0 to 11.
    """

    @takes
    def __init__(self, weight: str = "linear", window: float = 10.0, share: float = 0.2, anchor: int = 3) -> None:
        weights = ("linear", "squared", "off")
        if weight not in weights:
            raise ValueError(f"weight must be one of {', '.join(weights)}, got {weight!r}")
        knobs = {
            "weight": dial(Choice("weight", weights, help="how the distance of targets weighs a negative"), weight,
                           "distance weight"),
            "window": dial(Knob("window", 1, 20, help="how far mixed positives reach, in targets"), window,
                           "window ε", step=1.0),
            "share": dial(Knob("share", 0, 0.9, help="of the anchor in a mixed negative"), share,
                          "anchor's share λ", step=0.1),
            "mixtures": dial(Choice("mixtures", MIXTURES, help="which mixtures are made"), "both", "mixtures"),
            "anchor": counter(Knob("anchor", 0, len(TARGETS) - 1, help="which point; or click it"), anchor, "anchor"),
            "step": stepper("step", SHOTS, SHOTS[-1], "training (steps)", "how far the encoder is trained"),
        }  # fmt: skip
        super().__init__(
            knobs, order_picture, experiment=learn, decides=("weight", "window", "share", "mixtures"),
            sweeps={"weight": ["off", "linear", "squared"], "window": [2.0, 10.0], "anchor": [3, 8], "step": SHOTS},
        )  # fmt: skip


PANEL = OrderPanel
