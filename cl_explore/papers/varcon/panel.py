"""VarConPanel: a target that gives way as confidence grows, and the room it leaves a class."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import geometry, losses
from cl_explore.losses import Knob
from cl_explore.plots.style import class_look
from cl_explore.widgets.descent import Points, move, pull
from cl_explore.widgets.knobs import KnobPanel, State, counter, dial, of

EPSILONS = np.linspace(0, 0.09, 7)  # adaptation ranges whose descents are made
SHOTS = range(0, 61, 5)  # steps of a descent that are kept
PER_CLASS, DIM, LR = 8, 16, 0.05
PROBES = torch.cat([torch.linspace(0.02, 0.98, 49), torch.linspace(0.982, 0.998, 9)]).double()
BINS = 36  # of the histogram of tau2, over temperature ± the largest epsilon


@cache
def target_curve(
    classes: int, temperature: float, epsilon: float, target_grad: str = "live"
) -> tuple[NDArray[np.float64], float]:
    """Target mass of the true class, (P,) at the confidences PROBES, and the confidence at which an anchor rests.

    Read off `losses.varcon` for probes on a line between the own centroid, at +1, and all others, at -1: an anchor
    rests where its gradient changes sign. NaN if it rests at none of the confidences; with target_grad="detach" it
    rests where confidence = (1 + target) / 2 (equations 8 to 13 of 2506.07413).

    >>> round(target_curve(10, 0.1, 0.0)[1], 3)  # almost one-hot: almost certain at rest
    nan
    """
    place = (temperature / 2 * torch.logit(PROBES) + temperature / 2 * np.log(classes - 1)).requires_grad_()
    far = torch.tensor([1e3])  # keeps the own centroid at +1
    z = torch.cat([place, far, -torch.ones(classes - 1)])[:, None]
    labels = torch.cat([torch.zeros(len(PROBES) + 1, dtype=torch.int64), torch.arange(1, classes)])
    parts = losses.varcon.parts(
        z, labels, temperature=temperature, epsilon=epsilon, target_grad=target_grad, normalize=False
    )
    (slope,) = torch.autograd.grad(parts["loss"][: len(PROBES)].sum(), place)
    change = np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0))
    rest = np.nan
    if len(change):
        below, above = int(change[-1]), int(change[-1]) + 1
        rest = float(torch.lerp(PROBES[below], PROBES[above], slope[below] / (slope[below] - slope[above])))
    return parts["target"][: len(PROBES)].detach().double().numpy(), rest


class Descents(NamedTuple):
    """Free points of some classes descending VarCon at each of EPSILONS, kept at SHOTS."""

    z: Tensor  # (E, S, N, D)
    labels: Tensor  # (N,)
    within: NDArray[np.float64]  # (E, S), mean squared distance to the class mean


def descents(classes: int, temperature: float, target_grad: str) -> Descents:
    """`PER_CLASS` free points of each class in 16 dimensions, from overlapping classes down the loss, seeded."""
    generator, labels = Generator().manual_seed(0), torch.arange(classes * PER_CLASS) // PER_CLASS
    centres = F.normalize(torch.randn(classes, DIM, generator=generator), dim=1)
    start = F.normalize(centres[labels] + 0.6 * torch.randn(len(labels), DIM, generator=generator), dim=1)
    films = []
    for epsilon in EPSILONS:
        points, film = Points(start[:, None], labels, torch.arange(len(labels))), []
        knobs = {"temperature": temperature, "epsilon": float(epsilon), "target_grad": target_grad}
        for step in range(SHOTS[-1] + 1):
            if step:
                points = move(points, pull(points, losses.varcon, knobs)[1], LR)
            if step in SHOTS:
                film.append(points.z[:, 0])
        films.append(torch.stack(film))
    z = torch.stack(films)
    within = [[float(geometry.dispersion(shot, labels).within) for shot in film] for film in z]
    return Descents(z, labels, np.array(within))


def to_polygon(z: Tensor, labels: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A map in which class r lies at corner r of a polygon: each corner pulls by the cosine with its unit class mean.

    z (N, D), labels (N,) in [0, C); returns places (N, 2) and those of the class means (C, 2), which reach the corners
    of the unit circle when the means are as far apart as can be.
    """
    count = int(labels.max()) + 1
    means = F.normalize(z.new_zeros(count, z.shape[1]).index_add(0, labels, z), dim=1)
    angle = 2 * np.pi * torch.arange(count) / count
    corners = torch.stack([angle.sin(), angle.cos()], dim=1) * (count - 1) / count
    return (z @ means.T @ corners).numpy(), (means @ means.T @ corners).numpy()


def varcon_picture(state: State, made: Descents) -> dict[str, Any]:
    """What the knobs `temperature`, `epsilon`, `classes`, `target_grad` and `step` make of the panel."""
    tau, epsilon, classes = state["temperature"], state["epsilon"], state["classes"]
    knobs = {"temperature": tau, "epsilon": epsilon, "target_grad": state["target_grad"]}
    target, rest = target_curve(classes, **knobs)
    many, many_rest = target_curve(100, **knobs)
    place, shot = int(np.abs(EPSILONS - epsilon).argmin()), SHOTS.index(state["step"])
    z, labels = made.z[place, shot], made.labels
    parts = {name: part.detach().numpy() for name, part in losses.varcon.parts(z, labels, **knobs).items()}
    span = (tau - EPSILONS[-1], tau + EPSILONS[-1])
    points, means = to_polygon(z, labels)
    looks = [class_look(label) for label in range(int(labels.max()) + 1)]
    text = "above 0.998" if np.isnan(rest) else f"{rest:.3f}"
    return {
        "target": target,
        "many": many,
        "rest": None if np.isnan(rest) else [rest, float(np.interp(rest, PROBES, target))],
        "manyRest": None if np.isnan(many_rest) else [many_rest, float(np.interp(many_rest, PROBES, many))],
        "classes": classes,
        "confidences": parts["confidence"],
        "targets": parts["target"],
        "histogram": np.histogram(parts["tau2"], BINS, span)[0],
        "span": [float(end) for end in span],
        "room": [tau - epsilon, tau + epsilon],
        "points": points.ravel(),
        "means": means.ravel(),
        "group": labels.numpy(),
        "looks": [{"colour": colour, "marker": marker} for colour, marker in looks],
        "within": made.within[:, shot],
        "epsilon": epsilon,
        "now": float(made.within[place, shot]),
        "step": state["step"],
        "readout": [
            ["confidence at rest", text],
            ["confidence of the batch", f"{parts['confidence'].mean():.3f}"],
            ["its target", f"{parts['target'].mean():.3f}"],
            ["τ₂", f"{parts['tau2'].min():.3f} to {parts['tau2'].max():.3f}"],
            ["within-class spread", f"{made.within[place, shot]:.3f}"],
            ["loss", f"{parts['loss'].mean():.3f}"],
        ],
    }


class VarConPanel(KnobPanel):
    """See what VarCon's target asks for, how far confidence moves it, and where classes come to rest.

    Turn VarCon's temperature τ₁, its ε and the number of classes, and see where confidence comes to rest.

    Target mass over confidence, a batch of free points on that curve, the histogram of its τ₂, the points with their
    class centroids, and class dispersion over ε. The batch is a quick descent of free points from one seeded start,
    made for seven ε whenever τ₁ or the number of classes changes; `step` moves through it. Raises ValueError for
    a temperature outside 0.1 to 1, an epsilon outside 0 to 0.09, or a number of classes outside 3 to 10.
    """

    def __init__(self, temperature: float = 0.2, epsilon: float = 0.06, classes: int = 6) -> None:
        for name, value, low, high in (
            ("temperature", temperature, 0.1, 1.0),
            ("epsilon", epsilon, 0.0, 0.09),
            ("classes", classes, 3, 10),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {value}")
        varcon = losses.varcon
        knobs = {
            "temperature": dial(of(varcon, "temperature", low=0.1, high=1.0), temperature, "temperature τ₁", step=0.1),
            "epsilon": dial(of(varcon, "epsilon", high=EPSILONS[-1]), epsilon, "adaptation range ε", EPSILONS[1]),
            "classes": counter(Knob("classes", 3, 10, help="in the batch: the more, the softer the target"), classes),
            "step": counter(
                Knob("descent (steps)", SHOTS[0], SHOTS[-1], help="how far the points have descended the loss"),
                SHOTS[-1],
                step=SHOTS.step,
            ),
            "target_grad": dial(of(varcon, "target_grad"), "live"),
        }
        scene = {
            "title": "VarCon: the surer a sample is, the softer its target",
            "alt": "Four pictures. The target mass of the true class against confidence, with the confidence at rest "
            "marked and a batch of points on the curve; the histogram of their temperatures tau2; the points "
            "around their class centroids; within-class spread against epsilon.",
            "probes": PROBES.numpy(),
            "epsilons": EPSILONS,
        }
        super().__init__(
            "varcon", knobs, scene, varcon_picture, experiment=descents,
            decides=("classes", "temperature", "target_grad"),
            sweeps={"epsilon": EPSILONS, "step": SHOTS},
        )  # fmt: skip


PANEL = VarConPanel
