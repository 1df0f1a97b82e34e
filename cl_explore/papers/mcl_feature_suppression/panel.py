"""SuppressionPanel: how many shared bits hide the digit, and whether a second stage with K groups finds it again."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.data.groups import in_groups
from cl_explore.losses import Knob
from cl_explore.methods import JointEmbedding, Method
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.mcl_feature_suppression.method import Grouped, alike
from cl_explore.papers.mcl_feature_suppression.world import FEATURES, SharedTag, networks, tagged
from cl_explore.plots.layouts import pca
from cl_explore.plots.style import class_look
from cl_explore.takes import takes
from cl_explore.views import HardViews
from cl_explore.widgets.controls import counter, stepper
from cl_explore.widgets.marks import Bars, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

SAMPLES, EPOCHS, BATCH, LR = 640, 10, 64, 2e-3
SHOWN = 240  # digits on a map
AMPLITUDE = 2.0
CLUSTERS, TEMPERATURES = (2, 4, 8, 16, 32, 64), (0.05, 0.1, 0.2, 0.5, 1.0)
VIEWS = SharedTag(HardViews(shift=1, erased=0, intensity=0.2))
ARMS = ("wide", "ensemble", "stage 1", "stage 2", "MCL")
CONTROL, STAGE, MCL = "#797186", "#0072B2", "#D55E00"


class Seen(NamedTuple):
    """The features h of the train and the test part."""

    train: Tensor
    test: Tensor


class Stages(NamedTuple):
    """What a training found: h of each of ARMS by its probes, and the maps of both stages.

    linear, neighbours: (5,), how well the digit of an unseen picture is read from h, linearly and by its neighbours.
    bits: how well MCL's h tells the bits. alike: share of the pairs within a group that have the same tag.
    maps: (2, SHOWN, 2) of stage 1 and of stage 2. labels: (SHOWN,) their digits.
    """

    linear: list[float]
    neighbours: list[float]
    bits: float
    alike: float
    maps: NDArray[np.float32]
    labels: Tensor


def train(seen: Dataset, form: type[JointEmbedding], loss: str, seed: int, tau: float, wide: int = 1) -> Method:
    """`wide` times as many features and epochs as a stage has, seeded."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        encoder, head = networks(seen, wide * FEATURES)
    method, generator = form(encoder, head, loss, VIEWS, temperature=tau), Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(method.parameters(), LR)
    for _ in range(wide * EPOCHS):
        take_epoch(method, seen, BATCH, optimizer, generator)
    return method


@cache
def world(bits: int) -> tuple[Dataset, Dataset]:
    """640 digits and 360 unseen ones, with a tag of so many bits."""
    return tagged(0, "digits", SAMPLES, bits, AMPLITUDE)


@cache
def before(bits: int, tau: float) -> tuple[Seen, Seen, Seen, Tensor]:
    """What does not depend on K: h of one wide encoder, of both members of an ensemble, and z of the first member."""
    part = world(bits)[0]
    wide = train(part, JointEmbedding, "nt_xent", 0, tau, 2)
    members = [train(part, JointEmbedding, "nt_xent", seed, tau) for seed in (0, 1)]
    first, second = (features(member, bits) for member in members)
    return features(wide, bits), first, second, evaluate.embed(members[0], part).z


def features(method: nn.Module, bits: int) -> Seen:
    """h of both parts."""
    return Seen(*(evaluate.embed(method, part).h for part in world(bits)))


def beside(one: Seen, other: Seen) -> Seen:
    """The features of both, joined."""
    return Seen(*(torch.cat(pair, 1) for pair in zip(one, other, strict=True)))


def learned(bits: int, clusters: int, temperature: float) -> Stages:
    """Two stages of MCL and what they are compared with, of equal features and epochs in all."""
    part, unseen = world(bits)
    wide, first, second, z = before(bits, temperature)
    groups = evaluate.kmeans(z, clusters)
    found = features(train(in_groups(part, groups), Grouped, "mcl", 1, temperature), bits)
    both = beside(first, found)
    linear, neighbours = [], []
    for seen in (wide, beside(first, second), first, found, both):
        given = seen.train, part.labels, seen.test, unseen.labels
        linear.append(evaluate.linear_accuracy(*given))
        neighbours.append(evaluate.knn_accuracy(*given))
    tags = [(each.x["tag"] > 0).long().T for each in world(bits)]
    read = [evaluate.linear_accuracy(both.train, a, both.test, b) for a, b in zip(*tags, strict=True)]
    maps = np.stack([pca(seen.test[None, :SHOWN]).points[0] for seen in (first, found)])
    return Stages(
        linear, neighbours, sum(read) / bits, alike(groups, part.factors["code"]), maps, unseen.labels[:SHOWN]
    )


def shares(values: list[float], title: str, note: str) -> Chart:
    """A bar for each of ARMS."""
    places, fields = np.arange(len(ARMS)), {"arm": ARMS, "share": np.array(values)}
    return Chart(
        [
            Bars(places, values, colour=(CONTROL, STAGE, MCL), group=[0, 0, 1, 1, 2], hover="{arm}: {share}",
                 fields=fields),
            Rule(y=0.1, dash="dashed", width=1),
        ],
        title, Axis(ticks=places.tolist(), names=ARMS), Axis(range=(0, 1), grid=True), height=190,
        note=note,
    )  # fmt: skip


def scatter(points: NDArray[np.float32], labels: Tensor, title: str, names: str | list[str] = "") -> Chart:
    """Points (n, 2), coloured by their digits (n,)."""
    colours, markers = zip(*map(class_look, range(10)), strict=True)
    return Chart(
        [
            Points(*points.T, group=labels, colour=colours, marker=markers, size=3.4, alpha=0.8,
                   name=names, hover="digit {digit}", fields={"digit": labels}),
        ],
        title, bare=True, equal=True, height=300,
    )  # fmt: skip


def suppression_picture(state: State, made: Stages) -> Picture:
    """What the knobs `bits`, `clusters` and `temperature` make of the panel."""
    return Picture(
        "MCL: what is learned already no longer helps",
        "Bars of how well digits are read from two controls, both stages and MCL. Maps coloured by digit: stage 1 "
        "clumps by tag; stage 2, if its groups share a tag, by digit.",
        [
            [
                shares(made.linear, "Digits read by a linear probe", "wide: one encoder as large as both stages."),
                shares(made.neighbours, "Digits told by neighbours", "Dashed: chance. MCL: both stages side by side."),
            ],
            [
                scatter(made.maps[0], made.labels, "Stage 1: what suffices (PCA)"),
                scatter(made.maps[1], made.labels, "Stage 2: what is left (PCA)", list("0123456789")),
            ],
        ],
        [
            ("tags", f"{2 ** state['bits']}"),
            ("groups", f"{state['clusters']}"),
            ("pairs of a group with the same tag", f"{made.alike:.0%}"),
            ("bits read from MCL", f"{made.bits:.0%}"),
            ("MCL over the ensemble, probe", f"{100 * (made.linear[4] - made.linear[1]):+.0f} points"),
        ],
    )


class SuppressionPanel(KnobPanel):
    """Hide digits behind a tag of shared bits, and let MCL train again among samples that k-means finds alike.

    Every view of a sample shows the same tag, so a contrast needs nothing else. The second stage meets negatives of its
    own group alone: where K is as large as the number of tags, they share the tag, and only the digit is left. The
    controls have as many features and epochs as both stages; everything is trained in the background, which takes a few
    seconds. Raises ValueError for bits outside 1 to 8, and for clusters or a temperature where the slider
    does not stop.
    """

    @takes
    def __init__(self, bits: int = 6, clusters: int = 64, temperature: float = 0.2) -> None:
        knobs = {
            "bits": counter(Knob("bits", 1, 8, help="that all views of a sample share"), bits, "shared bits b"),
            "clusters": stepper("clusters", CLUSTERS, clusters, "clusters K", "groups of the second stage"),
            "temperature": stepper("temperature", TEMPERATURES, temperature, "temperature τ", "of all that is trained"),
        }  # fmt: skip
        super().__init__(
            knobs, suppression_picture, experiment=learned, decides=("bits", "clusters", "temperature"),
            sweeps={"bits": (3, 6), "clusters": (4, 16, 64)},
        )  # fmt: skip


PANEL = SuppressionPanel
