"""TauPanel: the temperature that iSogCLR learns for every sample, against how frequent its class is."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from cl_explore import data, geometry, losses, views
from cl_explore.losses import Knob
from cl_explore.plots.style import class_look
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.knobs import of
from cl_explore.widgets.marks import Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

CLASSES, MOST = 10, 60  # classes, and samples of the most frequent one
SHOTS = range(0, 81, 5)  # steps of the training that are kept
LR = 5e-3


class Course(NamedTuple):
    """A training with iSogCLR: temperature and nats (S, n) of every sample at each of SHOTS, labels (n,), and the mean
    temperature of each class, (S, C)."""

    temperature: NDArray[np.float32]
    nats: NDArray[np.float32]
    labels: NDArray[np.int64]
    means: NDArray[np.float32]


def train_temperatures(rho: float, eta: float, ratio: float) -> Course:
    """80 steps of a linear encoder on ten Gaussian classes with exponential imbalance `ratio`, full batches, seeded.

    Loss and temperatures are those of the module `losses.ISogCLR`, the temperatures starting at 0.1. The nats that the
    weights of a sample's negatives carry, KL(softmax(s / τ_i) || uniform), are rho minus the `temperature_gradient` of
    `losses.isogclr` on the batch of the step, averaged over its two views.
    """
    generator = Generator().manual_seed(0)
    samples = data.load("gaussians", classes=CLASSES, train_per_class=MOST)
    samples = data.long_tail(samples, ratio, generator)
    rows, augment = torch.arange(len(samples)), views.VectorViews(noise=0.3)
    encoder = (torch.randn(samples.x.shape[1], 16, generator=generator) / 8).requires_grad_()
    optimizer = torch.optim.Adam([encoder], LR)
    module = losses.ISogCLR(len(samples), rho=rho, eta=eta)
    temperature, nats = [], []
    for step in range(SHOTS[-1] + 1):
        z = augment(samples.x, generator) @ encoder
        if step in SHOTS:
            now = module.temperature.clone()
            parts = losses.isogclr.parts(z.detach(), temperature=now.repeat_interleave(2), rho=rho)
            temperature.append(now)
            nats.append(rho - parts["temperature_gradient"].view(-1, 2).mean(1))
        optimizer.zero_grad()
        module(z, rows).backward()
        optimizer.step()
    means = geometry.class_means(torch.stack(temperature, dim=1), samples.labels).T
    return Course(torch.stack(temperature).numpy(), torch.stack(nats).numpy(), samples.labels.numpy(), means.numpy())


def tau_picture(state: State, course: Course) -> Picture:
    """What a training and the knobs `rho` and `step` make of the panel."""
    from scipy.stats import spearmanr  # its import takes half a second

    shot = SHOTS.index(state["step"])
    sizes, labels = np.bincount(course.labels), course.labels
    means, tau, nats = course.means, course.temperature[shot], course.nats[shot]
    now, order, wide = means[shot], np.argsort(sizes), sizes.max() > 1.05 * sizes.min()
    rank = f"{spearmanr(sizes, now).statistic:.2f}".replace("-", "−") if wide and np.ptp(now) > 1e-6 else "none"
    # Dots of one class stand side by side about its size: by a step of the golden section, so that they spread evenly.
    lane = (0.07 if wide else 1.4) * (np.arange(len(labels)) * 0.618 % 1 - 0.5)
    colours, markers = zip(*map(class_look, range(len(sizes))), strict=True)
    looks: dict[str, Any] = {"colour": colours, "marker": markers}
    samples: dict[str, Any] = looks | {"group": labels, "x": sizes[labels] * np.exp(lane), "fields": {
        "class": labels, "size": sizes[labels], "tau": tau, "nats": nats,
    }}  # fmt: skip
    hover = "class {class}, {size} samples\ntemperature {tau}\n{nats} nats"
    by_size = Axis("samples in the class (log scale)", (2, 90), log=True, ticks=(3, 5, 10, 20, 40, 60))
    temperature = Axis("temperature τ", (0, _round_up(tau.max())), grid=True)
    ends = [order[-1], order[0]] if wide else []
    temperatures = Chart(
        [
            Points(y=tau, size=2.6, alpha=0.55, hover=hover, **samples),
            *([Line(sizes[order], now[order], colour="ink", width=1.2, dash="dashed")] if wide else []),
            Points(sizes, now, size=7.5, group=range(len(sizes)), **looks, hover="class {class}: mean {mean}",
                   fields={"class": np.arange(len(sizes)), "mean": now}),
        ],
        "Temperatures of samples, and class means", by_size, temperature, width=1.1, height=430,
    )  # fmt: skip
    training = Chart(
        [
            Rule(x=state["step"], drag="step"),
            *(Line(SHOTS, means[:, c], colour=colours[c], width=1.8) for c in order),
            Points(np.full(len(sizes), state["step"]), now, size=4.5, group=range(len(sizes)), **looks),
            *(Points([], [], colour=colours[c], marker=markers[c], name=f"{name}: {sizes[c]}")
              for c, name in zip(ends, ("most frequent", "rarest"), strict=False)),
        ],
        "Class means over training", Axis("steps", (0, SHOTS[-1])), replace(temperature, label=""), height=205,
    )  # fmt: skip
    carried = Chart(
        [
            Points(y=nats, size=2.2, alpha=0.5, hover=hover, **samples),
            Rule(y=state["rho"], width=1.5, dash="dashed", label="ρ", drag="rho"),
        ],
        "Nats in the weights of the negatives", by_size,
        Axis("nats", (0, ceiling(max(state["rho"], nats.max()))), grid=True), height=205,
    )  # fmt: skip
    return Picture(
        "iSogCLR: every sample learns a temperature",
        "Dots: the temperature of every sample against the size of its class, with class means. Curves: the class "
        "means over training. Below: the nats that the weights of each sample's negatives carry.",
        [[temperatures, [training, carried]]],
        [
            ("step", str(state["step"])),
            ("samples", str(len(tau))),
            ("rank correlation of class size and class-mean τ", rank),
            ("mean τ", f"{tau.mean():.3f}"),
            ("nats carried", f"{nats.mean():.2f} of ρ = {state['rho']:.2f}"),
        ],
    )


def _round_up(temperature: float) -> float:
    return min(1.0, 0.2 * math.ceil(temperature / 0.2 - 1e-6))


class TauPanel(KnobPanel):
    """Turn iSogCLR's ρ, its step η and the imbalance of the data, and see which samples learn a high temperature.

    A linear encoder is trained on ten Gaussian classes, frequent and rare, in the background (a second or less), with
    the real module; `step` moves through the training. Frequent classes should get high temperatures; the rank
    correlation says whether they did, and with a large ρ they may not. Raises ValueError for a rho outside 0.05 to 2,
    an eta outside 0.003 to 0.1 or a ratio outside 1 to 20.
    """

    @takes
    def __init__(self, rho: float = 0.2, eta: float = 0.03, ratio: float = 10.0) -> None:
        size = "size of the largest class over that of the rarest"
        knobs = {
            "rho": dial(of(losses.isogclr, "rho"), float(rho), "radius ρ (nats)", step=0.1),
            "eta": dial(Knob("eta", 0.003, 0.1, log=True, help="how fast τ moves"), eta, "step of τ, η", 0.25),
            "ratio": dial(Knob("ratio", 1, 20, log=True, help=size), float(ratio), "imbalance ratio", step=0.25),
            "step": stepper("step", SHOTS, SHOTS[-1], "training (steps)", "how long the encoder is trained"),
        }
        super().__init__(
            knobs, tau_picture, experiment=train_temperatures, decides=("rho", "eta", "ratio"),
            sweeps={"rho": [0.05, 0.1, 0.2, 0.4, 0.8, 1.6], "step": SHOTS},
        )  # fmt: skip


PANEL = TauPanel
