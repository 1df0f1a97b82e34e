"""CoreTuningPanel: classes that a contrast gathers while an encoder is fine-tuned, and where its mixtures lie."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import evaluate, geometry, losses
from cl_explore.data import Dataset
from cl_explore.losses import Choice, Knob
from cl_explore.methods import JointEmbedding, Method
from cl_explore.methods.plain import take_step
from cl_explore.papers.core_tuning.method import CoreTuning
from cl_explore.papers.core_tuning.world import World, labelled, networks, world
from cl_explore.plots.layouts import pca
from cl_explore.plots.style import class_look
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Arrows, Line, Points, Polygon, Text, circle
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

ETAS = (0.0, 0.1, 0.3, 1.0, 3.0)
ARMS = ("without mixtures", "with mixtures")
LOOKS = (("#0072B2", "dashed"), ("#D55E00", "solid"))
SHOTS, EPOCHS, STEPS, BATCH, TAU = 10, 10, 80, 50, 0.1
SHOWN = (0, 1, 3, 5, 8)  # digits on the map: ten would cover each other
ROUND = np.linspace(0, 2 * np.pi, 25)
PLACES = {"anchor": 110.0, "hardest positive": 230.0, "hardest negative": 60.0, "any other": 310.0}  # degrees
STEP = 0.3  # how long an arrow is for each unit of the gradient


class Tuned(NamedTuple):
    """What fine-tuning found, for both ARMS and each of ETAS.

    ratio, accuracy: (2, 5), of unseen digits.
    maps: (2, 5, n, 2), their h, along the directions in which they vary most.
    labels: (n,).
    """

    ratio: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    maps: NDArray[np.float32]
    labels: NDArray[np.int64]


def train(method: Method, seen: Dataset, steps: int, batch_size: int, optimizer: torch.optim.Optimizer) -> None:
    """So many steps, the rate falling to 0, seeded."""
    generator = Generator().manual_seed(0)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    method.train()
    for _ in range(steps):
        rows = torch.randperm(len(seen), generator=generator)[:batch_size]
        take_step(method, seen.batch(rows), optimizer, generator)
        falling.step()


def tuned(made: World, start: dict[str, Tensor], few: Dataset, *, eta: float, mixtures: bool, steps: int) -> CoreTuning:
    """The pre-trained encoder after fine-tuning."""
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        encoder, head = networks(few)
        method = CoreTuning(encoder, head, "focal_supcon", made.tuning, n_views=1, num_classes=few.num_classes,
                            eta=eta, mixtures=mixtures, temperature=TAU)  # fmt: skip
    encoder.load_state_dict(start)
    train(method, few, steps, BATCH, torch.optim.SGD(method.parameters(), 0.02, momentum=0.9))
    return method


def learn(steps: int = STEPS) -> Tuned:
    """SimCLR on 1,200 digits, then fine-tuning on ten of each with every weight, with and without mixtures, seeded."""
    made = world(0, "digits", 1200, 400)
    few = labelled(made.given, SHOTS)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        first = JointEmbedding(*networks(few), "nt_xent", made.augment, temperature=0.5)
    train(first, made.given, EPOCHS * len(made.given) // 128, 128, torch.optim.Adam(first.parameters(), 2e-3))
    start = first.encoder.state_dict()
    y = made.test.labels
    shown = torch.isin(y, torch.tensor(SHOWN))
    arms = [(eta, mixtures) for mixtures in (False, True) for eta in ETAS]
    found = [tuned(made, start, few, eta=eta, mixtures=mixtures, steps=steps) for eta, mixtures in arms]
    ratio, accuracy, maps = [], [], []
    for method in found:
        h = evaluate.embed(method, made.test).h
        ratio.append(geometry.dispersion(h, y).ratio.item())
        with torch.no_grad():
            accuracy.append((method.classify(h) == y).double().mean().item())
        maps.append(pca(F.normalize(h[shown], dim=1)[None]).points[0])
    table = (2, len(ETAS))
    return Tuned(np.reshape(ratio, table), np.reshape(accuracy, table), np.reshape(maps, (*table, -1, 2)),
                 y[shown].numpy())  # fmt: skip


def ellipse(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The outline (25, 2) two deviations around the mean of points (n, 2)."""
    sizes, directions = np.linalg.eigh(np.cov(points.T))
    return points.mean(0) + 2 * (np.stack([np.cos(ROUND), np.sin(ROUND)], 1) * np.sqrt(sizes)) @ directions.T


def classes(points: NDArray[np.float32], labels: NDArray[np.int64]) -> Chart:
    """The map of unseen digits, an ellipse round each class."""
    marks: list[Points | Polygon] = []
    for place, digit in enumerate(SHOWN):
        own = points[labels == digit]
        colour, marker = class_look(place)
        marks += [Polygon(*ellipse(own).T, colour=colour, alpha=0.13, rim=1.2),
                  Points(*own.T, colour=colour, marker=marker, size=3.2, alpha=0.75, name=str(digit))]  # fmt: skip
    reach = (-1.1, 1.1)
    return Chart(marks, "Five of ten digits after fine-tuning, unseen (PCA of h)", Axis("", reach), Axis("", reach),
                 bare=True, equal=True, height=320)  # fmt: skip


def on_circle(share: float) -> Chart:
    """Four features of one length, both mixtures of them, and where the contrast pulls the anchor."""
    angle = torch.tensor(list(PLACES.values())).deg2rad()
    points = torch.stack([angle.cos(), angle.sin()], 1)
    a, positive, negative, other = points
    keep = max(share, 0.8)
    hard = share * positive + (1 - share) * negative
    harder = keep * other + (1 - keep) * a
    pulls = []
    for more, less in (((), ()), ((hard,), (harder,))):
        anchor = a.clone().requires_grad_()
        rows = torch.stack([anchor, positive, *more, negative, other, *less])
        kinds = [0] * (2 + len(more)) + list(range(1, 3 + len(less)))
        each = losses.focal_supcon(rows, torch.tensor(kinds), temperature=0.5, reduction="none")
        pulls.append(-STEP * torch.autograd.grad(each[0], anchor)[0])
    mixed, (x, y) = torch.stack([hard, harder]).numpy(), points.T.numpy()
    ends = [torch.stack(pair).T.numpy() for pair in ((positive, negative), (other, a))]
    return Chart(
        [
            circle(),
            *(Line(*end, colour="muted", dash="dotted", width=1.2) for end in ends),
            *(Arrows([float(a[0])], [float(a[1])], *pull.numpy()[:, None], colour=colour, width=2.2, name=name)
              for pull, (colour, _), name in zip(pulls, LOOKS, ARMS, strict=True)),
            Points(x, y, colour=("ink", "#009E73", "#CC79A7", "#797186"), group=range(4), size=6),
            Text(1.26 * x, 1.26 * y, list(PLACES), size=11),
            Points(*mixed.T, colour=("#009E73", "#CC79A7"), group=[0, 1], marker=("D", "D"), size=5.5, hollow=True),
            Text(mixed[:, 0], mixed[:, 1], ["h⁺", "h⁻"], dx=14, dy=10, bold=True),
        ],
        "Mixtures of four features, and the pull on the anchor",
        Axis("", (-1.6, 1.6)), Axis("", (-1.45, 1.45)), bare=True, equal=True, height=320,
    )  # fmt: skip


def over_eta(values: NDArray[np.float64], chosen: tuple[int, int], title: str, label: str) -> Chart:
    """Values (2, 5) over eta, and which are shown."""
    lines = [Line(range(len(ETAS)), line, colour=colour, dash=dash, name=name)  # type: ignore[arg-type]
             for line, (colour, dash), name in zip(values, LOOKS, ARMS, strict=True)]  # fmt: skip
    return Chart(
        [*lines, Points([chosen[1]], [values[chosen]], colour=LOOKS[chosen[0]][0], size=6)], title,
        Axis("weight η of the contrast", (-0.2, len(ETAS) - 0.8), ticks=range(len(ETAS)),
             names=[f"{eta:g}" for eta in ETAS]),
        Axis(label, grid=True), height=190,
    )  # fmt: skip


def core_picture(state: State, found: Tuned) -> Picture:
    """What the knobs `eta`, `mixtures` and `share` make of the panel."""
    share, at = state["share"], (ARMS.index(state["mixtures"]), ETAS.index(state["eta"]))
    plain = at[0], 0
    return Picture(
        "Core-tuning: fine-tuning parts classes, the contrast gathers them",
        "A map of unseen digits with an ellipse round each class; four features on a circle, their mixtures and the "
        "pull on the anchor; below, scatter ratio and accuracy over the weight.",
        [
            [classes(found.maps[at], found.labels), on_circle(share)],
            [over_eta(found.ratio, at, "Scatter within classes, by that between them", "ratio"),
             over_eta(found.accuracy, at, "Unseen digits told", "accuracy")],
        ],
        [
            ("scatter ratio", f"{found.ratio[at]:.3f}"),
            ("without the contrast", f"{found.ratio[plain]:.3f}"),
            ("accuracy", f"{found.accuracy[at]:.1%}"),
            ("without the contrast", f"{found.accuracy[plain]:.1%}"),
            ("h⁺ is of the anchor's class", f"{share:.0%}"),
            ("h⁻ is the other sample", f"{max(share, 0.8):.0%}"),
        ],
    )  # fmt: skip


class CoreTuningPanel(KnobPanel):
    """Turn the weight of the contrast in fine-tuning and see classes gather, and the share λ and see mixtures move.

    Ten networks are trained in the background (seconds), all from one encoder that SimCLR has trained on digits: with
    ten labels a class, each weight, with and without mixtures. Beside the map are four features of one length: the
    anchor's hard positive h+ lies between its hardest positive and its hardest negative, its hard negative h- is
    mostly another sample. Arrows show where a step of the contrast moves the anchor.
    Raises ValueError for an eta at which the slider does not stop, or a share outside 0 to 1.
    """

    @takes
    def __init__(self, eta: float = 1.0, share: float = 0.5) -> None:
        knobs = {
            "eta": stepper("eta", ETAS, eta, "contrast η", "weight of the contrast beside cross-entropy"),
            "mixtures": dial(Choice("mixtures", ARMS, help="what the classifier and the contrast see"), ARMS[1],
                             "trained"),
            "share": dial(Knob("share", 0, 1, help="of the first of both that are mixed"), share, "share λ", 0.05),
        }  # fmt: skip
        super().__init__(
            knobs, core_picture, experiment=learn, sweeps={"eta": ETAS, "mixtures": ARMS, "share": (0.2, 0.5, 0.9)}
        )


PANEL = CoreTuningPanel
