"""UsualPanel: how a deviation from the usual moves a query among prototypes, and bends the forecast."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from cl_explore import losses
from cl_explore.losses import Choice, Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.st_ssdl.method import DeviationLearning, Forecaster, SensorDecoder, SensorEncoder, no_views
from cl_explore.papers.st_ssdl.world import WEEK, Parts, traffic, windows
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Arrows, Line, Points, Polygon, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

WEEKS, EPOCHS, BATCH, LR, HIDDEN = 7, 4, 32, 1e-2, 24
PROTOTYPES, STEPS, CONTRAST, SAMPLES, SHOWN = 8, 200, 0.1, 800, 240
WEIGHTS = (0.0, 0.1, 1.0, 3.0)
LARGEST, STOPS, REACH = 3.0, 31, 1.5
MOMENTS = {"Monday, 8:00": 8, "Monday, 14:00": 14, "Saturday, 8:00": 128, "Saturday, 20:00": 140}
"""From when on is to be forecast, in hours of the week."""
NOW, USUAL = "#D55E00", "muted"


class Trained(NamedTuple):
    """A forecaster of windows and their history.

    mean, plane: (24,) and (24, 2), which make queries of its states: the two directions of the largest spread.
    queries: (n, 2, 2) of unseen windows and of their anchors, of which the first SAMPLES are learned from.
    """

    network: Forecaster
    mean: Tensor
    plane: Tensor
    queries: Tensor

    def asks(self, x: dict[str, Tensor]) -> Tensor:
        """Queries (B S, 2, 2) of the windows and anchors of a batch."""
        with torch.no_grad():
            states = torch.stack([self.network.encoder(x[name]).flatten(0, 1) for name in ("window", "anchor")], 1)
        return (states - self.mean) @ self.plane


class Learned(NamedTuple):
    """Prototypes (8, 2), and of some windows the L1 distances of queries and of nearest prototypes (n,).

    gap: their mean difference over all windows. used: how many prototypes are nearest to any.
    """

    prototypes: Tensor
    asked: NDArray[np.float32]
    found: NDArray[np.float32]
    gap: float
    used: int


@cache
def world() -> Parts:
    """Seven weeks of made-up traffic, of which two are unseen."""
    return windows(traffic(0, WEEKS))


@cache
def trained() -> Trained:
    """A second of training, seeded."""
    train, test = world()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        length = train.x["window"].shape[2]
        network = Forecaster(SensorEncoder(HIDDEN), SensorDecoder, length, read="history")
    method, generator = DeviationLearning(network, nn.Identity(), "deviation", no_views), Generator().manual_seed(0)
    optimizer = torch.optim.Adam(method.parameters(), LR)
    for _ in range(EPOCHS):
        take_epoch(method, train, BATCH, optimizer, generator)
    states = Trained(network, torch.zeros(HIDDEN), torch.eye(HIDDEN), torch.empty(0)).asks(test.x)
    mean = states.mean((0, 1))
    _, spread, axes = torch.linalg.svd((states - mean).flatten(0, 1), full_matrices=False)
    plane = axes[:2].T * len(states) ** 0.5 / spread[0]
    order = torch.randperm(len(states), generator=generator)
    return Trained(network, mean, plane, ((states - mean) @ plane)[order])


def learn(weight: float) -> Learned:
    """Prototypes that both terms move among queries that stay, seeded: 200 steps."""
    queries = trained().queries
    prototypes = torch.randn(PROTOTYPES, 2, generator=Generator().manual_seed(1)).requires_grad_()
    optimizer = torch.optim.Adam([prototypes], 0.03)
    for _ in range(STEPS):
        optimizer.zero_grad()
        seen = queries[:SAMPLES]
        losses.deviation(seen, prototypes, contrast_weight=CONTRAST, deviation_weight=weight).backward()
        optimizer.step()
    made = prototypes.detach()
    near = (queries @ made.T).argmax(-1)
    asked, found = ((a - b).abs().sum(-1) for a, b in (queries.unbind(1), made[near].unbind(1)))
    return Learned(made, asked[:SHOWN].numpy(), found[:SHOWN].numpy(), float((asked - found).abs().mean()),
                   len(near.unique()))  # fmt: skip


def deviating(moment: str) -> dict[str, Tensor]:
    """The usual window of the first sensor at a moment, with an incident four hours ago of each size, (31, 1, 8)."""
    test = world()[1]
    length = test.x["window"].shape[2]
    row = int(((test.index + length) % WEEK == MOMENTS[moment]).nonzero()[0, 0])
    x = {name: part[row][:1].expand(STOPS, 1, -1) for name, part in test.x.items() if name != "time"}
    fading = torch.zeros(length)
    fading[-4:] = (-3 * torch.arange(4) / 14).exp()
    sizes = torch.linspace(0, LARGEST, STOPS)
    return x | {"window": x["anchor"] + sizes[:, None, None] * fading, "time": test.x["time"][row].expand(STOPS, -1)}


def cells(prototypes: Tensor, reach: float) -> list[Mark]:
    """Where each prototype has the largest inner product: a sector, and nothing for one that is never the nearest."""
    angle = torch.linspace(0, 2 * torch.pi, 721)
    rays = torch.stack([angle.cos(), angle.sin()], 1)
    nearest = (rays @ prototypes.T).argmax(1)
    found: list[Mark] = []
    for kind in nearest.unique().tolist():
        edge = 1.6 * reach * torch.where((nearest == kind)[:, None], rays, torch.nan)
        turn = int((nearest != kind).float().argmax())  # a sector that begins anywhere else is in one piece
        edge = edge.roll(-turn, 0)
        edge = edge[edge.isfinite().all(1)]
        corner = torch.zeros(1, 2)
        found.append(Polygon(*torch.cat([corner, edge]).T.numpy(), colour=CLASS_COLOURS[kind], alpha=0.14, rim=0.6))
    return found


def usual_picture(state: State, learned: Learned) -> Picture:
    """What a training and the knobs `size` and `moment` make of the panel."""
    x, place = deviating(state["moment"]), round(state["size"] * (STOPS - 1) / LARGEST)
    with torch.no_grad():
        forecast = trained().network(x).future
    queries, prototypes, reach = trained().asks(x), learned.prototypes, REACH
    now, usual = queries.unbind(1)
    near = (queries[place] @ prototypes.T).argmax(1)
    asked = float((now[place] - usual[place]).abs().sum())
    found = float((prototypes[near[0]] - prototypes[near[1]]).abs().sum())
    here, there = prototypes[near[1]].tolist(), (prototypes[near[0]] - prototypes[near[1]]).tolist()
    plane = Chart(
        [
            *cells(prototypes, reach),
            *(Points(*one[:, None].numpy(), colour=CLASS_COLOURS[kind], marker="^", size=6)
              for kind, one in enumerate(prototypes)),
            Line(*now.T.numpy(), colour=NOW, width=1.2),
            *([Arrows([here[0]], [here[1]], [there[0]], [there[1]])] if any(there) else []),
            Points(*usual[place][:, None].numpy(), colour="ink", size=6, name="query of the usual", hollow=True),
            Points(*now[place][:, None].numpy(), colour=NOW, size=6, name="of the window"),
        ],
        "Queries among prototypes", Axis("first number", (-reach, reach)),
        Axis("second", (-reach, reach)), equal=True, height=300,
        note="A query belongs to the prototype (triangle) of its sector. The arrow leads from the usual to the window.",
    )  # fmt: skip
    hours = np.arange(-7, 9)
    length = len(hours) // 2
    ahead = torch.cat([x["window"][place, 0, -1:], forecast[place, 0]]).numpy()
    curves = Chart(
        [
            Rule(x=0.5, colour="muted", dash="dashed"),
            Line(hours, torch.cat([x["anchor"][0, 0], x["usual"][0, 0]]).numpy(), colour=USUAL, dash="dashed",
                 name="the usual"),
            Line(hours[:length], x["window"][place, 0].numpy(), colour="ink", name="the window"),
            Line(hours[length - 1:], ahead, colour=NOW, name="forecast"),
        ],
        f"Forecast from {state['moment']}", Axis("hours", (-7, 8)), Axis("traffic (standard deviations)", (-2.5, 5)),
        height=300,
    )  # fmt: skip
    top = 2 * REACH
    mirror = Chart(
        [
            Line([0, top], [0, top], colour="muted", dash="dashed"),
            Points(learned.asked, learned.found, size=2.6, alpha=0.5, name="unseen windows"),
            Points([asked], [found], colour=NOW, size=6, name="this window"),
        ],
        "Do prototypes mirror the deviation?", Axis("distance of queries (L1)", (0, top)),
        Axis("distance of nearest prototypes", (0, top)), height=300,
    )  # fmt: skip
    bent = float((forecast[place, 0] - forecast[0, 0]).mean())
    return Picture(
        "ST-SSDL: how different from the past?",
        "Two queries in sectors of prototypes, the forecast of a window beside the usual, and distances of prototypes "
        "over those of queries: steps instead of a diagonal.",
        [[plane, curves, mirror]],
        [
            ("distance of queries", f"{asked:.2f}"),
            ("of their prototypes", f"{found:.2f}"),
            ("the deviation raises the forecast by", f"{bent:.2f}"),
            ("mean gap on unseen windows", f"{learned.gap:.2f}"),
            ("prototypes in use", f"{learned.used} of {PROTOTYPES}"),
        ],
    )


class UsualPanel(KnobPanel):
    """Let a window leave what is usual for a Monday, and see its query cross the border between two prototypes.

    `size` is the height of an incident four hours ago, on top of an otherwise usual window; `moment` the hour from
    which on is to be forecast, by a small forecaster of windows and their history. Queries are the two directions in
    which its states are spread most. While the query of the window moves on smoothly, the distance of the prototypes
    jumps. `weight`, of the deviation term, moves prototypes to where their distances are like those of queries.
    Raises ValueError for a size outside 0 to 3, a weight that is not one of 0, 0.1, 1 and 3, or an unknown moment.
    """

    @takes
    def __init__(self, size: float = 1.5, weight: float = 1.0, moment: str = "Monday, 14:00") -> None:
        knobs = {
            "size": dial(Knob("size", 0, LARGEST, help="height of the incident, in standard deviations"), size,
                         "deviation", step=LARGEST / (STOPS - 1)),
            "moment": dial(Choice("moment", tuple(MOMENTS), help="from when on is to be forecast"), moment, "moment"),
            "weight": stepper("weight", WEIGHTS, weight, "λ_Dev", "weight of the deviation term in training"),
        }  # fmt: skip
        super().__init__(
            knobs, usual_picture, experiment=learn, decides=("weight",),
            sweeps={"size": [0.0, 0.5, 1.0, 2.0, 3.0], "weight": [0.0, 1.0], "moment": [*MOMENTS][1:3]},
        )  # fmt: skip


PANEL = UsualPanel
