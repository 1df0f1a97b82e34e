"""InfluencePanel: which nodes of a graph are positives of one node, and what that does to the clusters."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import evaluate, losses
from cl_explore.data import Dataset
from cl_explore.losses import Choice, Knob
from cl_explore.papers.scgc.method import influence
from cl_explore.papers.scgc.world import blocks
from cl_explore.plots.style import CLASS_COLOURS, SEQUENTIAL
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.marks import Edges, Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

NODES, INSIDE = 120, 6.0
STOPS = (1, 2, 4, 8, 12, 16)  # orders at which encoders are trained
STEPS, LR, TAU = 80, 5e-3, 2.0
FORMS = ("sum of powers (SCGC*)", "last power (SCGC)")
LEVELS = 8  # colours of a weight: below 1/1000 of the largest, then equal steps of its logarithm
PALE_TO_DARK = tuple(to_hex(colormaps[SEQUENTIAL].reversed()(level / (LEVELS - 1))) for level in range(LEVELS))


@cache
def graph(outside: float) -> Dataset:
    """120 nodes in 4 blocks of 30, each with 6 neighbours of its block and `outside` of others on average."""
    return blocks(0, NODES, INSIDE, outside)


def places(labels: Tensor) -> NDArray[np.float32]:
    """Where nodes are drawn, (N, 2): the blocks in four corners, the nodes of each in a seeded cloud."""
    corners = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    turn = 2.4 * torch.arange(len(labels)).div(4, rounding_mode="floor")  # the golden angle, ring by ring
    reach = 0.14 * (1 + torch.arange(len(labels)).div(4, rounding_mode="floor")).sqrt()
    return (corners[labels] + reach[:, None] * torch.stack([turn.cos(), turn.sin()], 1)).numpy()


class Courses(NamedTuple):
    """NMI of k-means with the blocks at each of STOPS, by what the nodes are embedded with."""

    sums: list[float]
    lasts: list[float]
    smoothed: list[float]


def clustered(outside: float) -> Courses:
    """A linear encoder trained with the contrast alone for 80 steps on the whole graph, from equal weights, seeded.

    smoothed: features averaged over walks (SGC), which nothing trains.
    """
    nodes = graph(outside)

    def agreement(z: Tensor) -> float:
        return evaluate.agreement(evaluate.kmeans(z, nodes.num_classes), nodes.labels).nmi

    found: list[list[float]] = [[], [], []]
    for order in STOPS:
        for course, cumulative in zip(found[:2], (True, False), strict=True):
            weights = influence(nodes.edges, NODES, order, cumulative=cumulative).float()  # type: ignore[arg-type]
            course.append(agreement(train(nodes.x, weights)))
        found[2].append(agreement(weights.double() @ nodes.x.double()))
    return Courses(*found)


def train(x: Tensor, weights: Tensor) -> Tensor:
    """z (N, 10) of x (N, F) after training."""
    encoder = torch.randn(x.shape[1], 10, generator=Generator().manual_seed(1)) / 8
    optimizer = torch.optim.Adam([encoder.requires_grad_()], LR)
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses.scgc(x @ encoder, weights, inv_temperature=TAU).backward()
        optimizer.step()
    return (x @ encoder).detach()


def influence_picture(state: State, courses: Courses) -> Picture:
    """What the knobs `order`, `form`, `outside` and `node` make of the panel, with the trainings of `outside`."""
    nodes, order, node = graph(state["outside"]), state["order"], state["node"]
    cumulative = state["form"] == FORMS[0]
    row = influence(nodes.edges, NODES, order, cumulative=cumulative)[node]  # type: ignore[arg-type]
    share = (row / row.sum()).numpy()
    x, y = places(nodes.labels).T
    level = np.clip(np.ceil((LEVELS - 1) * (1 + np.log10(np.maximum(share / share.max(), 1e-9)) / 3)), 0, LEVELS - 1)
    spread = Chart(
        [
            Edges(x, y, nodes.edges.T.numpy(), width=0.6, alpha=0.35),  # type: ignore[union-attr]
            Points(x, y, size=4.6, colour=PALE_TO_DARK, group=level.astype(int), pick="node",
                   hover="node {node}: {share} of the weight", fields={"node": np.arange(NODES), "share": share}),
            Points(x[[node]], y[[node]], size=8.5, colour="#D55E00", hollow=True, name="the node"),
        ],
        f"Positives of node {node}: dark = much of the weight",
        bare=True, equal=True, height=380, note="Click a node to look at its row.",
    )  # fmt: skip
    drawn = zip(("SCGC*", "SCGC", "SGC, no training"), courses, (0, 1, 2), strict=True)
    agreement = Chart(
        [
            *(Line(STOPS, values, colour=CLASS_COLOURS[look], name=name, dash="dashed" if look == 2 else "solid")
              for name, values, look in drawn),
            Rule(x=order, drag="order"),
        ],
        "Clusters found against their blocks", Axis("order R", (0.5, 16.5), ticks=STOPS),
        Axis("NMI", (0, 1), grid=True), height=380,
    )  # fmt: skip
    own = float(share[nodes.labels.numpy() == nodes.labels[node].item()].sum())
    now = np.interp(order, STOPS, courses.sums if cumulative else courses.lasts)
    return Picture(
        "SCGC: a node's positives are those it can walk to",
        "A graph of four blocks with one node's positives, dark near the node. Beside it how well clusters find the "
        "blocks as R grows: for the last power it falls, for the sum of powers it stays.",
        [[spread, agreement]],
        [
            ("weight within its block", f"{own:.0%}"),
            ("on the node itself", f"{share[node]:.1%}"),
            ("effective number of positives", f"{np.exp(-(share * np.log(np.maximum(share, 1e-12))).sum()):.0f}"),
            ("sum of weights", f"{float(row.sum()):.0f}"),
            (f"NMI at R = {order}" + ", interpolated" * (order not in STOPS), f"{now:.2f}"),
        ],
    )


class InfluencePanel(KnobPanel):
    """SCGC takes the nodes within R steps for positives: let R grow, and switch the sum of powers off.

    The weights of one node's positives on the graph, and how well k-means on the embedding finds the blocks at every R,
    for a linear encoder trained in the background (a few seconds) with the contrast alone. The last power forgets where
    it started, and with it all nodes have the same positives; the sum of powers keeps the near ones. Averaged features
    (SGC) need no training, but a node without edges gains nothing from them. Raises ValueError for an order outside 1
    to 16 or a mean number of noisy neighbours outside 0 to 8.
    """

    @takes
    def __init__(self, order: int = 2, outside: float = 3.0) -> None:
        knobs = {
            "order": counter(Knob("order", 1, 16, help="the longest walk whose end is a positive"), order, "order R"),
            "form": dial(Choice("form", FORMS, help="whether shorter walks count too"), FORMS[0], "weights"),
            "outside": dial(Knob("outside", 0, 8, help="edges that join two blocks, for each node on average"),
                            float(outside), "noisy neighbours", step=1.0),
            "node": counter(Knob("node", 0, NODES - 1, help="whose positives are shown; or click one"), 0),
        }  # fmt: skip
        super().__init__(
            knobs, influence_picture, experiment=clustered, decides=("outside",),
            sweeps={"order": STOPS, "form": FORMS},
        )  # fmt: skip


PANEL = InfluencePanel
