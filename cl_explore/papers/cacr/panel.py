"""AttractionPanel: how CACR weighs the positives and the negatives of one anchor by their distance."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.knobs import of
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Edges, Line, Points, Rule, circle
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

NEGATIVES = 20
KINDS, COLOURS = ("positive", "negative"), ("#009E73", "#0072B2")
INNER = 0.9  # radius of the ring of the positives


def scatter(views: int, spread: float) -> Tensor:
    """Points of the unit circle, z (21, V, 2): the views of one sample up to `spread` degrees from its first, the
    anchor, which is on top; and 20 other samples of equal views, all around, seeded."""
    generator = Generator().manual_seed(3)
    others = 360 * (torch.arange(NEGATIVES) + 0.5 + 0.6 * torch.rand(NEGATIVES, generator=generator)) / NEGATIVES
    side = torch.tensor([1.0, -0.62, 0.35, -0.85, 0.7, -0.2, 0.5, -0.42])[: views - 1]  # far and near, left and right
    own = torch.cat([torch.zeros(1), spread * side])
    angle = torch.deg2rad(torch.cat([own[None], others[:, None].expand(-1, views)]))
    return torch.stack([angle.sin(), angle.cos()], dim=2)


def of_anchor(z: Tensor, **knobs: Any) -> dict[str, Tensor]:
    """What `losses.cacr` does for the anchor z[0, 0] of z (B, V, 2) whose other samples have equal views.

    Squared distances and weights of its V - 1 positives, then of its B - 1 negatives: `cost` and `weight`, each
    (V - 1 + B - 1,), the same numbers the loss uses; `pull`, the force of the anchor's loss on each of them along the
    circle, towards the anchor where positive; and the scalars `loss`, `attraction`, `repulsion`.
    """
    z = z.clone().requires_grad_()
    parts = losses.cacr.parts(z, **knobs)
    (gradient,) = torch.autograd.grad(parts["loss"][0], z)
    anchor, points = z[0, 0].detach(), torch.cat([z[0, 1:], z[1:, 0]]).detach()
    forces = -torch.cat([gradient[0, 1:], gradient[1:].sum(1)])
    along = anchor - (points @ anchor)[:, None] * points  # towards the anchor, where the circle lets a point go
    return {
        "cost": torch.cat([parts["positive_cost"][0, 1:], parts["negative_cost"][0, 1, 1:]]).detach(),
        "weight": torch.cat([parts["positive_weight"][0, 1:], parts["negative_weight"][0, 1, 1:]]).detach(),
        "pull": (forces * torch.nn.functional.normalize(along, dim=1)).sum(1),
        **{name: parts[name][0].detach() for name in ("loss", "attraction", "repulsion")},
    }


def effective(weight: Tensor) -> float:
    """How many points carry the weights (K,), exp of their entropy: K for equal ones, 1 for all on one."""
    return float(torch.special.entr(weight).sum().exp())


class Weighed(NamedTuple):
    """An anchor among its positives, which come first, and its negatives.

    points: (K, 2) on the unit circle.
    cost, weight, pull: (K,), see `of_anchor`.
    positives: how many of the K.
    """

    points: Tensor
    cost: Tensor
    weight: Tensor
    pull: Tensor
    positives: int
    readout: list[tuple[str, str]]


def weighed(state: State) -> Weighed:
    """What the knobs `tau_pos`, `tau_neg`, `spread`, `views` and `weight_grad` make of the anchor's world."""
    z, positives = scatter(state["views"], state["spread"]), state["views"] - 1
    measured = of_anchor(z, **{name: state[name] for name in ("tau_pos", "tau_neg", "weight_grad")})
    weight, pull = measured["weight"], measured["pull"]
    far = int((pull[positives:] > 1e-6).sum())
    readout = [
        ("effective positives", f"{effective(weight[:positives]):.1f} of {positives}"),
        ("effective negatives", f"{effective(weight[positives:]):.1f} of {NEGATIVES}"),
        ("attraction", f"{measured['attraction']:.2f}"),
        ("repulsion", f"{measured['repulsion']:.2f}".replace("-", "−")),
        ("negatives pulled, not pushed", f"{far} of {NEGATIVES}"),
    ]
    return Weighed(torch.cat([z[0, 1:], z[1:, 0]]), measured["cost"], weight, pull, positives, readout)


def attraction_picture(state: State) -> Picture:
    """The anchor's world of `weighed` with lines as thick as weights, and weights and forces over the distance."""
    at = weighed(state)
    kinds = (torch.arange(len(at.cost)) >= at.positives).int().numpy()
    # The positives have a ring of their own, or a negative at the same angle would hide one.
    x, y = (at.points * torch.where(torch.from_numpy(kinds) == 1, 1.0, INNER)[:, None]).T.numpy()
    looks: dict[str, Any] = {"colour": COLOURS, "marker": ("s", "o"), "group": kinds}
    about: dict[str, Any] = looks | {
        "hover": "{kind}\nsquared distance {cost}\nweight {weight}\nforce {force}",
        "fields": {"kind": [KINDS[kind] for kind in kinds], "cost": at.cost, "weight": at.weight, "force": at.pull},
    }
    nodes = np.append(0.0, x), np.append(1.0, y)
    spokes = [
        Edges(*nodes, [(0, 1 + place) for place in np.flatnonzero(kinds == kind)], colour=COLOURS[kind], alpha=0.75,
              width=np.maximum(0.4, 18 * at.weight.numpy()[kinds == kind]))
        for kind in (0, 1)
    ]  # fmt: skip
    world = Chart(
        [circle(), circle(INNER), *spokes, Points(x, y, size=6, name=KINDS, **about),
         Points([0.0], [1.0], colour="ink", marker="*", size=9, name="anchor")],
        "Thickness: weight of the pair", Axis(range=(-1.1, 1.1)), Axis(range=(-1.1, 1.1)),
        equal=True, bare=True, height=430,
    )  # fmt: skip
    order = at.cost.argsort().numpy()
    distance = Axis("squared distance to the anchor", (0, 4))

    def over_distance(values: Tensor, title: str, y: Axis, *below: Mark) -> Chart:
        courses = [
            Line(at.cost[kin], values[kin], colour=COLOURS[kind], width=1.5, dash=("dashed", "solid")[kind])
            for kind, kin in ((kind, order[kinds[order] == kind]) for kind in (0, 1))
        ]
        return Chart([*below, *courses, Points(at.cost, values, **about)], title, distance, y, height=185)

    most = ceiling(float(at.pull.abs().max()))
    share = Axis("weight", (0, min(1.0, ceiling(float(at.weight.max())))), grid=True)
    return Picture(
        "CACR: far positives pull more, near negatives push more",
        "An anchor on a circle, joined to its positives and to 20 negatives by lines as thick as their weights. Beside "
        "it the weights over the squared distance, and the force on every point.",
        [[world, [
            over_distance(at.weight, "Share among its own kind", share),
            over_distance(at.pull, "Force: above 0 the point comes nearer", Axis("force", (-most, most), grid=True),
                          Rule(y=0)),
        ]]],
        at.readout,
    )  # fmt: skip


class AttractionPanel(KnobPanel):
    """CACR weighs positives among positives and negatives among negatives: turn both temperatures.

    The weights of all points over their squared distance to the anchor, and the force of the anchor's loss on each of
    them, positive where it pulls them nearer. With weights that carry gradient ("live"), far negatives are pulled: a
    property of the authors' code that "detach" removes.

    tau_pos: 0 to 5.
    tau_neg: 0 to 10.
    Raises: ValueError for a temperature out of range.
    """

    @takes
    def __init__(self, tau_pos: float = 1.0, tau_neg: float = 2.0) -> None:
        cacr, farthest = losses.cacr, "how far the farthest positive is from the anchor"
        knobs = {
            "tau_pos": dial(of(cacr, "tau_pos"), float(tau_pos), "τ⁺ of positives"),
            "tau_neg": dial(of(cacr, "tau_neg"), float(tau_neg), "τ⁻ of negatives"),
            "spread": dial(Knob("spread", 5, 120, help=farthest), 60.0, "spread of the views (degrees)", step=5),
            "views": counter(Knob("views", 2, 9, help="the anchor and its positives"), 5, "views of a sample"),
            "weight_grad": dial(of(cacr, "weight_grad"), "live"),
        }
        sweeps = {"tau_pos": np.linspace(0, 5, 11), "tau_neg": np.linspace(0, 10, 11)}
        super().__init__(knobs, attraction_picture, sweeps=sweeps)


PANEL = AttractionPanel
