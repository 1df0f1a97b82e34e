"""PersonPanel: which two segments are a pair decides whether segments gather by person."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import evaluate, geometry
from cl_explore.data import Dataset
from cl_explore.data.pulses import TRAITS as NAMES
from cl_explore.losses import Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.wearable_biosignals.method import PersonContrast, PersonPairs
from cl_explore.papers.wearable_biosignals.study import RANK, RATE, SPREAD, TRAITS, of_pulses
from cl_explore.papers.wearable_biosignals.world import SEGMENTS, SignalViews, networks, world
from cl_explore.plots.style import CLASS_COLOURS, SEQUENTIAL
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Edges, Line, Points
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

PERSONS, LR = 64, 4e-3
SHOTS = (0, 5, 15, 30)  # epochs of the training, of three steps each, that are kept
SHOWN = 6  # unseen persons
BEATS = (54, 61, 68, 76, 83, 90)  # a minute, between which heart rates have one colour
WARMTH = [to_hex(mpl.colormaps[SEQUENTIAL](place)) for place in np.linspace(0, 0.95, len(BEATS) - 1)]


class Course(NamedTuple):
    """A training, at each of SHOTS.

    places: (S, 36, 2), segments of six unseen persons, in the plane in which the persons trained on are most apart;
        their variance within persons is 1 there.
    beats: (36,), their heart rates a minute.
    shares: (S, 32), singular values of the centred means of unseen persons over their sum.
    told: what probes read, see `study.of_pulses`.
    """

    places: NDArray[np.float32]
    beats: NDArray[np.float32]
    shares: NDArray[np.float32]
    told: list[dict[str, float]]


@cache
def learn(across: float, koleo: float) -> Course:
    """30 epochs of 64 persons with six segments each, seeded."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # takes a second, which nobody else need wait

    train, test = world("pulses", 0, PERSONS)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder, head = networks(train)
    method = PersonPairs(encoder, head, PersonContrast(koleo_weight=koleo), SignalViews(), across=across)
    optimizer, generator = torch.optim.Adam(method.parameters(), LR), Generator().manual_seed(0)
    some = extremes(test)
    places, shares, told = [], [], []
    for epoch in range(SHOTS[-1] + 1):
        if epoch in SHOTS:
            seen, unseen = (F.normalize(evaluate.embed(method, part).h, dim=1) for part in (train, test))
            apart = LinearDiscriminantAnalysis(n_components=2).fit(seen, train.factors["person"])
            places.append(apart.transform(unseen[some]))
            means = geometry.class_means(unseen, test.factors["person"])
            singular = torch.linalg.svdvals(means - means.mean(0))
            shares.append((singular / singular.sum()).numpy())
            told.append(of_pulses(method, train, test))
        take_epoch(method, train, 2 * PERSONS, optimizer, generator)
    beats = 60 * test.factors["rate"][some].numpy()
    return Course(np.array(places, np.float32), beats, np.array(shares, np.float32), told)


def extremes(test: Dataset) -> Tensor:
    """The rows of six persons, each the one with the least or most of a trait who is not taken yet."""
    chosen: list[int] = []
    for name in NAMES:
        order = test.factors[name][::SEGMENTS].argsort().tolist()
        for side in (order, order[::-1]):
            chosen.append(next(one for one in side if one not in chosen))
    return (torch.tensor(chosen)[:, None] * SEGMENTS + torch.arange(SEGMENTS)).flatten()


def person_picture(state: State, course: Course) -> Picture:
    """What a training and the knob `epoch` make of the panel."""
    shot = SHOTS.index(state["epoch"])
    x, y = course.places[shot].T
    person = np.arange(SHOWN).repeat(SEGMENTS)
    middle = course.places[shot].reshape(SHOWN, SEGMENTS, 2).mean(1)
    ends = np.stack([np.arange(SHOWN * SEGMENTS), SHOWN * SEGMENTS + person], 1)
    rate = np.searchsorted(BEATS[1:-1], course.beats)
    reach = 1.08 * float(np.abs(course.places).max())
    axes = Axis("deviations within a person", (-reach, reach)), Axis("", (-reach, reach))
    about = {"beats": course.beats.round()}
    who = Chart(
        [
            *(Edges(np.append(x, middle[:, 0]), np.append(y, middle[:, 1]), ends[person == one], width=1.2,
                    colour=CLASS_COLOURS[one]) for one in range(SHOWN)),
            Points(x, y, colour=CLASS_COLOURS[:SHOWN], group=person, size=4.5, fields=about,
                   name=[f"person {one + 1}" for one in range(SHOWN)], hover="{beats} beats a minute"),
        ],
        "Whose segment it is", *axes, equal=True, height=290,
        note="The plane in which people trained on are most apart.",
    )  # fmt: skip
    fast = Chart(
        [
            Points(x, y, colour=WARMTH, group=rate, size=4.5, fields=about, hover="{beats} beats a minute",
                   name=[f"{low} to {high}" for low, high in pairwise(BEATS)]),
        ],
        "Beats of the heart in it, a minute", *axes, equal=True, height=290,
    )  # fmt: skip
    number = np.arange(1, course.shares.shape[1] + 1)
    spectrum = Chart(
        [
            Line(number, course.shares[0], colour="muted", dash="dashed", name="untrained"),
            Line(number, course.shares[shot], colour=CLASS_COLOURS[0], name=f"after {state['epoch']} epochs"),
        ],
        "Directions that persons differ in", Axis("singular value", (0, len(number))),
        Axis("share of the sum", (0, float(np.ceil(20 * course.shares.max()) / 20)), grid=True), width=0.8, height=290,
    )  # fmt: skip
    told = course.told[shot]
    return Picture(
        "Pairs of one person gather a person's segments; pairs of one segment need not",
        "Six segments of each of six unseen people on a plane, in the colours of people and again of heart rates; "
        "beside them how directions in which people differ share the spread.",
        [[who, fast, spectrum]],
        [
            ("variance within people / between", f"{told[SPREAD]:.1f}"),
            ("traits, R² on unseen people", f"{told[TRAITS]:.2f}"),
            ("heart rate, R² on their segments", f"{told[RATE]:.2f}"),
            ("effective rank", f"{told[RANK]:.1f}"),
        ],
    )


class PersonPanel(KnobPanel):
    """Choose how often a pair is two segments of one person, and how hard KoLeo pushes neighbours apart.

    A small encoder is trained in the background (a second or two) on pulses of 64 people; shown are six unseen
    ones, each an extreme of a trait. With pairs of one segment (0) people overlap; with pairs of one person (1) they
    draw together. KoLeo pushes neighbours apart; that the effective rank is higher does not mean that traits are read
    better.
    Raises ValueError for a share of pairs outside 0 to 1, a KoLeo weight outside 0 to 1, or an epoch that is not kept.
    """

    @takes
    def __init__(self, across: float = 1.0, koleo: float = 0.1, epoch: int = SHOTS[-1]) -> None:
        knobs = {
            "across": dial(Knob("across", 0, 1, help="0: a pair is two views of one segment"), across,
                           "pairs of one person", step=0.25),
            "koleo": dial(Knob("koleo", 0, 1, help="weight of KoLeo"), koleo, "KoLeo λ", step=0.1),
            "epoch": stepper("epoch", SHOTS, epoch, "training (epochs)", "how far the encoder is trained"),
        }  # fmt: skip
        super().__init__(
            knobs, person_picture, experiment=learn, decides=("across", "koleo"),
            sweeps={"across": (0.0, 1.0), "koleo": (0.0, 0.5), "epoch": SHOTS},
        )  # fmt: skip


PANEL = PersonPanel
