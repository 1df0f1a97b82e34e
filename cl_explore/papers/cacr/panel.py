"""AttractionPanel: how CACR weighs the positives and the negatives of one anchor by their distance."""

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.widgets.knobs import KnobPanel, State, counter, dial, of

NEGATIVES = 20


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


def attraction_picture(state: State, _: None = None) -> dict[str, Any]:
    """What the knobs `tau_pos`, `tau_neg`, `spread`, `views` and `weight_grad` make of the panel."""
    z, positives = scatter(state["views"], state["spread"]), state["views"] - 1
    knobs = {name: state[name] for name in ("tau_pos", "tau_neg", "weight_grad")}
    measured = of_anchor(z, **knobs)
    weight, pull = measured["weight"], measured["pull"].numpy()
    far = int((pull[positives:] > 1e-6).sum())
    return {
        "positives": positives,
        "points": torch.cat([z[0, 1:], z[1:, 0]]).ravel().numpy(),
        "cost": measured["cost"].numpy(),
        "weight": weight.numpy(),
        "pull": pull,
        "readout": [
            ["effective positives", f"{effective(weight[:positives]):.1f} of {positives}"],
            ["effective negatives", f"{effective(weight[positives:]):.1f} of {NEGATIVES}"],
            ["attraction", f"{measured['attraction']:.2f}"],
            ["repulsion", f"{measured['repulsion']:.2f}".replace("-", "−")],
            ["negatives pulled, not pushed", f"{far} of {NEGATIVES}"],
        ],
    }


class AttractionPanel(KnobPanel):
    """CACR weighs positives among positives and negatives among negatives: turn both temperatures.

    Turn CACR's τ⁺ and τ⁻ and see which positives and which negatives of one anchor it listens to.

    The weights of all points over their squared distance to the anchor, and the force of the anchor's loss on each of
    them, positive where it pulls them nearer. With weights that carry gradient ("live"), far negatives are pulled: a
    property of the authors' code that "detach" removes. Raises ValueError for a temperature outside 0 to 5 (τ⁺) or
    0 to 10 (τ⁻).
    """

    def __init__(self, tau_pos: float = 1.0, tau_neg: float = 2.0) -> None:
        for name, value, high in (("tau_pos", tau_pos, 5), ("tau_neg", tau_neg, 10)):
            if not 0 <= value <= high:
                raise ValueError(f"{name} must be between 0 and {high}, got {value}")
        cacr = losses.cacr
        knobs = {
            "tau_pos": dial(of(cacr, "tau_pos"), tau_pos, "τ⁺ of positives"),
            "tau_neg": dial(of(cacr, "tau_neg"), tau_neg, "τ⁻ of negatives"),
            "spread": dial(
                Knob("spread of the views (degrees)", 5, 120, help="how far the farthest positive is from the anchor"),
                60.0, step=5,
            ),
            "views": counter(Knob("views of a sample", 2, 9, help="the anchor and its positives"), 5),
            "weight_grad": dial(of(cacr, "weight_grad"), "live"),
        }  # fmt: skip
        scene = {
            "title": "CACR: far positives pull more, near negatives push more",
            "alt": "An anchor on a circle, joined to its positives and to 20 negatives by lines as thick as their "
            "weights. Beside it the weights over the squared distance, and the force on every point.",
        }
        super().__init__(
            "attraction", knobs, scene, attraction_picture,
            sweeps={"tau_pos": np.linspace(0, 5, 11), "tau_neg": np.linspace(0, 10, 11)},
        )  # fmt: skip


PANEL = AttractionPanel
