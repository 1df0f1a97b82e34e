"""SeverityPanel: how much two severities are the same, and what becomes of the paths of pictures that get worse."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from cl_explore.data import Dataset
from cl_explore.losses import Choice
from cl_explore.methods.plain import take_step
from cl_explore.papers.shamisa.method import Nodes, by_metadata, closeness
from cl_explore.papers.shamisa.study import LADDER, SEVERITY, TUPLES, geometry, plan, severity
from cl_explore.papers.shamisa.world import KINDS, TOP, contents, ladders
from cl_explore.plots.layouts import pca
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Heat, Images, Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

RATES = (0.0, 1.0, 3.0, 10.0)
STEPS, LR, PICTURES, UNSEEN, SIDE = 120, 6e-3, 360, 120, 24
LEVELS = 9  # of a path, half a level apart
SHOWN = 3  # unseen pictures whose paths are drawn
NAMES = tuple(KINDS)


class Paths(NamedTuple):
    """What an encoder makes of unseen pictures.

    plane: (SHOWN, kinds, LEVELS, 2) their z along the two longest directions. severity, ladder: as in the study.
    pixels: (SHOWN, kinds, LEVELS, S, S) uint8, the pictures themselves.
    """

    plane: NDArray[np.float32]
    severity: float
    ladder: float
    pixels: NDArray[np.uint8]


def learn(rate: float) -> Paths:
    """120 steps of the study's encoder with batch norm on relations of this rate, from equal weights, seeded."""
    train, test = contents("leaves", 0, PICTURES, UNSEEN, SIDE)
    entry = plan(1)["graded, batch norm"]
    entry.options["rate"] = rate
    made, generator = entry.build(train, 0), Generator().manual_seed(0)
    optimizer = torch.optim.Adam(made.parameters(), LR)
    slope = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        rows = torch.randperm(len(train), generator=generator)[: 3 * TUPLES.contents]
        take_step(made, train.batch(rows), optimizer, generator)
        slope.step()
    return walked(made, train, test)


def walked(made: torch.nn.Module, train: Dataset, test: Dataset) -> Paths:
    """The paths of a trained method."""
    x, _ = ladders(test.x[:SHOWN], 0, LEVELS)
    made.eval()
    with torch.no_grad():
        z = made.project(made(x.flatten(0, 2)))  # type: ignore[operator]
    plane = pca(z[None]).points[0].reshape(*x.shape[:3], 2)
    found = severity(made, train, test) | geometry(made, train, test)  # type: ignore[arg-type]
    pixels = (255 * x[:, :, :, 0]).round().to(torch.uint8).numpy()
    return Paths(plane, found[SEVERITY], found[LADDER], pixels)


def relations(rate: float) -> NDArray[np.float32]:
    """The edges (15, 15) between three contents, each at levels 0 to 4, of one composition."""
    content, level = (each.flatten() for each in torch.meshgrid(torch.arange(3), torch.arange(5), indexing="ij"))
    same = torch.zeros_like(content)
    graph = by_metadata(Nodes(same, content, same, level, level.float()), rate)["dist_dist"]
    return graph.numpy()


def severity_picture(state: State, paths: Paths) -> Picture:
    """What the knobs `rate`, `kind` and `level` make of the panel."""
    rate, kind, level = state["rate"], NAMES.index(state["kind"]), state["level"]
    at = round(level * (LEVELS - 1) / TOP)
    edges = Chart(
        [
            Heat(relations(rate)),
            *(Rule(x=5.0 * side, colour="paper", width=2) for side in (1, 2)),
            *(Rule(y=5.0 * side, colour="paper", width=2) for side in (1, 2)),
        ],
        "How much two pictures count as the same",
        Axis("picture 1, 2, 3, each at levels 0 to 4", (0, 15), ticks=[2.5, 7.5, 12.5], names=["1", "2", "3"]),
        Axis("picture", (15, 0), ticks=[2.5, 7.5, 12.5], names=["1", "2", "3"]),
        equal=True, height=300, width=0.8, note="Bright: the same. Level 4 meets level 0 in the corners of a block.",
    )  # fmt: skip
    lines = [
        Line(*paths.plane[picture, other].T, colour=CLASS_COLOURS[other], width=2.6 if other == kind else 1.2,
             alpha=1.0 if other == kind else 0.45, name=NAMES[other] if picture == 0 else "")
        for other in range(len(NAMES)) for picture in range(SHOWN)
    ]  # fmt: skip
    plane = Chart(
        [
            *lines,
            Points(*paths.plane[:, 0, 0].T, colour="ink", size=4.5, name="pictures as they are"),
            Points(*paths.plane[:, kind, at].T, colour=CLASS_COLOURS[kind], size=7, name=f"at level {level:g}",
                   hover="picture {picture}", fields={"picture": np.arange(1, SHOWN + 1)}),
        ],
        "Paths of three unseen pictures that get worse (z, PCA)", Axis(), Axis(), bare=True, height=300,
    )  # fmt: skip
    shown = np.concatenate([paths.pixels[:, 0, 0], paths.pixels[:, kind, at]])
    places = np.tile(np.arange(1.0, SHOWN + 1), 2)
    seen = Chart(
        [Images(shown, places, np.repeat([2.0, 1.0], SHOWN), side=0.92)],
        f"These pictures, below with {state['kind']} at level {level:g}",
        Axis(range=(0.5, SHOWN + 0.5)), Axis(range=(0.5, 2.5)),
        bare=True, equal=True, height=300, width=0.9,
    )  # fmt: skip
    near = float(closeness(torch.tensor(float(level)), rate))
    return Picture(
        "SHAMISA: the same, by degrees",
        "A matrix of relations, uniform blocks for binary ones and ridges for graded ones; paths of three pictures in "
        "the embedding, fanning out from each by kind of distortion; the pictures themselves.",
        [[edges, plane, seen]],
        [
            (f"sameness of levels 0 and {level:g}", f"{near:.2f}"),
            ("severity read of unseen pictures (SRCC)", f"{paths.severity:.2f}"),
            ("gaps of level against distances (Spearman)", f"{paths.ladder:.2f}"),
        ],
    )


class SeverityPanel(KnobPanel):
    """Let the sameness of two severities fall with the gap between them, and follow pictures as they get worse.

    At rate 0 relations are binary: a picture at level 0 and at level 4 of a distortion are one and the same, and so are
    all pictures that were distorted alike. The larger the rate, the fewer levels attract each other. A small encoder is
    trained in the background (a few seconds) for each rate; `kind` and `level` move along the paths of pictures that it
    has not seen. Raises ValueError for a rate or a level where the sliders do not stop, or an unknown kind.
    """

    @takes
    def __init__(self, rate: float = 3.0, kind: str = "blur", level: float = 2.0) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        stops = tuple(np.linspace(0, TOP, LEVELS).tolist())
        knobs = {
            "rate": stepper("rate", RATES, rate, "rate of the curve", "0: binary; large: only equals attract"),
            "kind": dial(Choice("kind", NAMES, help="of distortion"), kind, "distortion"),
            "level": stepper("level", stops, level, "level", "how severe it is"),
        }  # fmt: skip
        super().__init__(
            knobs, severity_picture, experiment=learn, decides=("rate",),
            sweeps={"rate": RATES, "kind": NAMES, "level": (0.0, 1.0, 2.0, 3.0, 4.0)},
        )  # fmt: skip


PANEL = SeverityPanel
