"""CodesPanel: what the contrast of cMIM asks of codes, at any batch size, and codes of two numbers by objective."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from cl_explore import data
from cl_explore.data import Batch
from cl_explore.losses import Knob
from cl_explore.methods.plain import take_step
from cl_explore.nn import MLP
from cl_explore.papers.cmim.method import Coder, Objective
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.views.noisy import Noisy
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

OBJECTIVES: dict[str, Objective] = {"AE": "ae", "VAE": "vae", "MIM": "mim", "cMIM": "cmim"}
BATCHES = (2, 8, 64, 256)
STEPS, DIGITS, BATCH, LR = 150, 300, 64, 3e-3
COSINES = np.linspace(-1, 1, 81)


class Learned(NamedTuple):
    """Codes (n, 2) of digits by objective, their labels (n,) and the mean squared error of what is drawn of them."""

    codes: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    errors: dict[str, float]


def learn() -> Learned:
    """150 steps on 300 digits for each objective, seeded; p(x|z) has scale 0.3, the contrast temperature 1."""
    digits = data.load("digits", "train").subset(torch.arange(DIGITS))
    assert isinstance(digits.x, Tensor)
    codes, errors = {}, {}
    for name, objective in OBJECTIVES.items():
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            encoder = nn.Sequential(MLP([64, 64, 64], batch_norm=False), nn.ReLU())
            method = Coder(encoder, nn.Linear(64, 4), objective, Noisy(), pixels=64, sigma=0.3)
        optimizer, generator = torch.optim.Adam(method.parameters(), LR), Generator().manual_seed(0)
        for _ in range(STEPS):
            rows = torch.randperm(DIGITS, generator=generator)[:BATCH]
            take_step(method, Batch(digits.x[rows], digits.labels[rows], rows), optimizer, generator)
        with torch.no_grad():
            z = method.project(method(digits.x))
            errors[name] = float((method.draw(z) - digits.x.flatten(1)).square().mean())
        codes[name] = z.numpy()
    return Learned(codes, digits.labels.numpy(), errors)


def contrast(cosine: NDArray[np.float64], temperature: float, negatives: int) -> NDArray[np.float64]:
    """-log p(k = 1) of a code whose negatives all have this cosine; one negative stands for a mean of any number."""
    return np.logaddexp(0, math.log(negatives) + (cosine - 1) / temperature)


def codes_picture(state: State, made: Learned) -> Picture:
    """What the knobs and four trainings make of the panel."""
    tau, batch, cosine = state["temperature"], state["batch"], state["cosine"]
    mean, total = contrast(COSINES, tau, 1), contrast(COSINES, tau, batch - 1)
    here = [float(contrast(np.array(cosine), tau, negatives)) for negatives in (1, batch - 1)]
    curves = Chart(
        [
            Line(COSINES, total, colour="#D55E00", name=f"sum over {batch - 1}", dash="dashed"),
            Line(COSINES, mean, colour="#0072B2", name="mean, at any B"),
            Points([cosine, cosine], here, colour=["#0072B2", "#D55E00"], group=[0, 1]),
            Rule(x=cosine, drag="cosine"),
        ],
        "What the contrast charges",
        Axis("cosine with all other codes of the batch", (-1, 1)),
        Axis("-log p(k = 1)", (0, 6.5), grid=True), height=260,
    )  # fmt: skip
    charts = []
    for name, z in made.codes.items():
        reach = 1.05 * float(np.abs(z).max())
        charts.append(
            Chart(
                [
                    Points(z[:, 0], z[:, 1], colour=CLASS_COLOURS[:10], group=made.labels, size=3.0),
                    Rule(x=0, dash="dotted"),
                    Rule(y=0, dash="dotted"),
                ],
                f"{name}: squared error {made.errors[name]:.3f}",
                Axis("", (-reach, reach)), Axis("", (-reach, reach)), bare=True, equal=True, height=220,
            )
        )  # fmt: skip
    return Picture(
        "cMIM: codes that draw, told apart by angle",
        "Curves of the contrast over the cosine of codes, for the mean and the sum of negatives; below, codes of two "
        "numbers of digits by AE, VAE, MIM and cMIM, coloured by digit.",
        [[curves], charts[:2], charts[2:]],
        [
            ("mean of negatives", f"{here[0]:.3f}"),
            (f"sum of {batch - 1}", f"{here[1]:.3f}"),
            ("if all codes are the same", f"{math.log(2):.3f} and {math.log(batch):.3f}"),
        ],
    )


class CodesPanel(KnobPanel):
    """Turn the temperature and the batch size of cMIM's contrast, and drag the cosine of codes.

    The mean over negatives does not feel the batch size, the sum does. Below are digits as codes of two numbers, which
    small coders learn in the background (about a second): rays from the middle are what the contrast spreads.
    Raises ValueError for a temperature outside 0.05 to 2, a batch that is none of BATCHES or a cosine outside -1 to 1.
    """

    @takes
    def __init__(self, temperature: float = 1.0, batch: int = 64, cosine: float = 0.25) -> None:
        knobs = {
            "temperature": dial(Knob("temperature", 0.05, 2.0, log=True, help="divides cosines"), temperature,
                                "temperature τ", step=0.1),
            "batch": stepper("batch", BATCHES, batch, "batch B", "codes that are compared at once"),
            "cosine": dial(Knob("cosine", -1, 1, help="of a code with all others"), cosine, "cosine", 0.05),
        }  # fmt: skip
        super().__init__(
            knobs, codes_picture, experiment=learn,
            sweeps={"temperature": [0.1, 0.3, 1.0], "batch": BATCHES, "cosine": [-0.5, 0.25, 1.0]},
        )  # fmt: skip


PANEL = CodesPanel
