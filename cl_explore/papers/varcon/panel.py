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
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.descent import Points as FreePoints
from cl_explore.widgets.descent import move, pull
from cl_explore.widgets.knobs import of
from cl_explore.widgets.mark import Dash, Mark
from cl_explore.widgets.marks import Arrows, Band, Bars, Line, Points, circle
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

EPSILONS = np.arange(7) * 15 / 1000  # adaptation ranges whose descents are made
SHOTS = range(0, 61, 5)  # steps of a descent that are kept
PER_CLASS, DIM, LR = 8, 16, 0.05
PROBES = torch.cat([torch.linspace(0.02, 0.98, 49), torch.linspace(0.982, 0.998, 9)]).double()
CURVE, MANY, REST = "#0072B2", "#797186", "#D55E00"
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
        points, film = FreePoints(start[:, None], labels, torch.arange(len(labels))), []
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
    means = F.normalize(geometry.class_means(z, labels), dim=1)
    angle = 2 * np.pi * torch.arange(count) / count
    corners = torch.stack([angle.sin(), angle.cos()], dim=1) * (count - 1) / count
    return (z @ means.T @ corners).numpy(), (means @ means.T @ corners).numpy()


def varcon_picture(state: State, made: Descents) -> Picture:
    """What the knobs `temperature`, `epsilon`, `classes`, `target_grad` and `step` make of the descents."""
    tau, epsilon, classes, step = (state[name] for name in ("temperature", "epsilon", "classes", "step"))
    knobs = {"temperature": tau, "epsilon": epsilon, "target_grad": state["target_grad"]}
    place, shot = EPSILONS.tolist().index(epsilon), SHOTS.index(step)
    z, labels, within = made.z[place, shot], made.labels, made.within[:, shot]
    parts = {name: part.detach() for name, part in losses.varcon.parts(z, labels, **knobs).items()}
    confidence, target = parts["confidence"], parts["target"]
    colours, markers = zip(*map(class_look, range(int(labels.max()) + 1)), strict=True)
    batch: dict[str, Any] = {
        "group": labels, "colour": colours, "marker": markers, "alpha": 0.85,
        "hover": "class {class}\nconfidence {confidence}\ntarget {target}",
        "fields": {"class": labels, "confidence": confidence, "target": target},
    }  # fmt: skip
    curves: list[Mark] = [Line([0.0, 1.0], [-1.0, 1.0], colour="muted", width=1, dash="dotted", name="p = (1 + q) / 2")]
    for count, colour, size in ((100, MANY, 5.0), (classes, CURVE, 8.0)):
        q, at = target_curve(count, **knobs)
        dash: Dash = "solid" if count == classes else "dashed"
        curves.append(Line(PROBES, q, colour=colour, dash=dash, name=f"{count} classes"))
        if not np.isnan(at):
            look = REST if count == classes else colour
            name = "an anchor rests" if count == classes else ""
            curves.append(Points([at], [np.interp(at, PROBES, q)], colour=look, marker="D", size=size, name=name))
    rest = target_curve(classes, **knobs)[1]
    law = Chart(
        [*curves, Points(confidence, target, size=3.2, **batch)],
        "Target of the true class against confidence", Axis("confidence p", (0, 1)),
        Axis("target q", (0, 1), grid=True), height=270, note="Dots: the batch.",
    )  # fmt: skip
    span = (tau - EPSILONS[-1], tau + EPSILONS[-1])
    counts, edges = np.histogram(parts["tau2"].numpy(), BINS, span)
    temperatures = Chart(
        [
            Band(x=(tau - epsilon - 1e-3, tau + epsilon + 1e-3), colour=CURVE, alpha=0.1),
            Bars((edges[1:] + edges[:-1]) / 2, counts, width=(span[1] - span[0]) / BINS, colour=CURVE),
        ],
        "τ₂ of the batch, between τ₁ − ε and τ₁ + ε", Axis("τ₂", span, ticks=(span[0], tau, span[1])),
        Axis("samples", (0, len(labels)), grid=True), height=110,
    )  # fmt: skip
    points, means = to_polygon(z, labels)
    origin = np.zeros(len(means))
    scene = Chart(
        [circle(colour="grid"), Arrows(origin, origin, *means.T), Points(*points.T, **batch)],
        f"Points and centroids after {step} steps", Axis(range=(-1.1, 1.1)), Axis(range=(-1.1, 1.1)),
        height=270, equal=True, bare=True, note="In 16 dimensions; corners pull by cosine to centroid.",
    )  # fmt: skip
    spread = Chart(
        [
            Line(EPSILONS, within, colour=CURVE),
            Points(EPSILONS, within, colour=CURVE, size=3),
            Points([epsilon], [within[place]], colour=REST, size=6),
        ],
        "Spread within classes after as many steps",
        Axis("adaptation range ε", (0, EPSILONS[-1]), ticks=(0, 0.03, 0.06, 0.09)),
        Axis(range=(0, ceiling(float(within.max()))), grid=True), height=110,
    )  # fmt: skip
    return Picture(
        "VarCon: the surer a sample is, the softer its target",
        "Target of the true class against confidence, with the confidence at rest and a batch on the curve; the tau2 "
        "of the batch; its points and class centroids; within-class spread against epsilon.",
        [[[law, temperatures], [scene, spread]]],
        [
            ("confidence at rest", "above 0.998" if np.isnan(rest) else f"{rest:.3f}"),
            ("confidence of the batch", f"{confidence.mean():.3f}"),
            ("its target", f"{target.mean():.3f}"),
            ("τ₂", f"{parts['tau2'].min():.3f} to {parts['tau2'].max():.3f}"),
            ("within-class spread", f"{within[place]:.3f}"),
            ("loss", f"{parts['loss'].mean():.3f}"),
        ],
    )


class VarConPanel(KnobPanel):
    """See what VarCon's target asks for, how far confidence moves it, and where classes come to rest.

    Target mass over confidence, a batch of free points on that curve, the histogram of its τ₂, the points with their
    class centroids, and class dispersion over ε. The batch is a quick descent of free points from one seeded start,
    made for seven ε whenever τ₁ or the number of classes changes; `step` moves through it.

    temperature: τ₁, 0.1 to 1.
    epsilon: 0, 0.015, ... to 0.09, at which the points have descended.
    classes: 3 to 10.
    Raises: ValueError for another number.
    """

    @takes
    def __init__(self, temperature: float = 0.2, epsilon: float = 0.06, classes: int = 6) -> None:
        varcon = losses.varcon
        knobs = {
            "temperature": dial(of(varcon, "temperature", low=0.1, high=1.0), temperature, "temperature τ₁", step=0.1),
            "epsilon": stepper("epsilon", EPSILONS.tolist(), epsilon, "adaptation range ε", of(varcon, "epsilon").help),
            "classes": counter(Knob("classes", 3, 10, help="in the batch: the more, the softer the target"), classes),
            "step": stepper("step", SHOTS, SHOTS[-1], "descent (steps)", "how far the points have descended the loss"),
            "target_grad": dial(of(varcon, "target_grad"), "live"),
        }  # fmt: skip
        super().__init__(
            knobs, varcon_picture, experiment=descents, decides=("classes", "temperature", "target_grad"),
            sweeps={"epsilon": EPSILONS.tolist(), "step": SHOTS},
        )  # fmt: skip


PANEL = VarConPanel
