"""TauPanel: the temperature that iSogCLR learns for every sample, against how frequent its class is."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Generator

from cl_explore import data, losses, views
from cl_explore.losses import Knob
from cl_explore.plots.style import class_look
from cl_explore.widgets.knobs import KnobPanel, State, counter, dial, of

CLASSES, MOST = 10, 60  # classes, and samples of the most frequent one
SHOTS = range(0, 81, 5)  # steps of the training that are kept
LR = 5e-3


class Course(NamedTuple):
    """A training with iSogCLR: temperature and nats (S, n) of every sample at each of SHOTS, labels (n,)."""

    temperature: NDArray[np.float32]
    nats: NDArray[np.float32]
    labels: NDArray[np.int64]


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
    return Course(torch.stack(temperature).numpy(), torch.stack(nats).numpy(), samples.labels.numpy())


def class_means(values: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means (..., C) over the samples of each class of values (..., n)."""
    return np.stack([values[..., labels == c].mean(-1) for c in range(labels.max() + 1)], axis=-1)


def tau_picture(state: State, course: Course) -> dict[str, Any]:
    """What a training and the knobs `rho` and `step` make of the panel."""
    shot = SHOTS.index(state["step"])
    sizes = np.bincount(course.labels)
    means, tau, nats = class_means(course.temperature, course.labels), course.temperature[shot], course.nats[shot]
    same = np.ptp(sizes) == 0 or np.ptp(means[shot]) < 1e-6
    rank = "none" if same else f"{spearmanr(sizes, means[shot]).statistic:.2f}".replace("-", "−")
    return {
        "sizes": sizes,
        "group": course.labels,
        "temperature": tau,
        "nats": nats,
        "means": means.T.ravel(),
        "shots": len(SHOTS),
        "shot": shot,
        "rho": state["rho"],
        "readout": [
            ["step", str(state["step"])],
            ["samples", str(len(tau))],
            ["rank correlation of class size and class-mean τ", rank],
            ["mean τ", f"{tau.mean():.3f}"],
            ["nats carried", f"{nats.mean():.2f} of ρ = {state['rho']:.2f}"],
        ],
    }


class TauPanel(KnobPanel):
    """iSogCLR: every sample learns a temperature, frequent classes larger ones.

    Turn iSogCLR's ρ, its step η and the imbalance of the data, and see which samples learn a high temperature.

    A linear encoder is trained on ten Gaussian classes, frequent and rare, in the background (a second or less), with
    the real module; `step` moves through the training. Frequent classes should get high temperatures; the rank
    correlation says whether they did, and with a large ρ they may not. Raises ValueError for a rho outside 0.05 to 2,
    an eta outside 0.003 to 0.1 or a ratio outside 1 to 20.
    """

    def __init__(self, rho: float = 0.2, eta: float = 0.03, ratio: float = 10.0) -> None:
        for name, value, low, high in (("rho", rho, 0.05, 2), ("eta", eta, 0.003, 0.1), ("ratio", ratio, 1, 20)):
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {value}")
        knobs = {
            "rho": dial(of(losses.isogclr, "rho"), float(rho), "radius ρ (nats)", step=0.1),
            "eta": dial(Knob("step of τ, η", 0.003, 0.1, log=True, help="how fast temperatures move"), eta, step=0.25),
            "ratio": dial(
                Knob("imbalance ratio", 1, 20, log=True, help="size of the largest class over that of the rarest"),
                float(ratio), step=0.25,
            ),
            "step": counter(
                Knob("training (steps)", SHOTS[0], SHOTS[-1], help="how far encoder and temperatures are trained"),
                SHOTS[-1], step=SHOTS.step,
            ),
        }  # fmt: skip
        scene = {
            "title": "iSogCLR: every sample learns a temperature",
            "alt": "Dots: the temperature of every sample against the size of its class, with class means. Curves: the "
            "class means over training. Below: the nats that the weights of each sample's negatives carry.",
            "looks": [dict(zip(("colour", "marker"), class_look(c), strict=True)) for c in range(CLASSES)],
            "steps": np.array(SHOTS),
        }
        super().__init__(
            "tau", knobs, scene, tau_picture, experiment=train_temperatures, decides=("rho", "eta", "ratio"),
            sweeps={"rho": [0.05, 0.1, 0.2, 0.4, 0.8, 1.6], "step": SHOTS},
        )  # fmt: skip


PANEL = TauPanel
