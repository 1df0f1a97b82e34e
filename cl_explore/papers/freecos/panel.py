"""VesselPanel: how much style a drawing takes on, and what a gamma does to intensities and not to their order."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore.losses import Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.freecos.method import FreeCOS, Input, Projector, UNet
from cl_explore.papers.freecos.study import ALONE, SURE, f1
from cl_explore.papers.freecos.world import eight_bits, gamma, style_square, style_swap, world
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, stepper
from cl_explore.widgets.marks import Images, Line, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

WINDOWS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
GAMMAS = (0.4, 0.6, 0.8, 1.0, 1.4, 1.8, 2.2, 2.6, 3.0)
INPUTS: tuple[Input, Input] = ("raw", "liot")
COLOURS, NAMES = ("#D55E00", "#0072B2"), ("raw intensities", "their order (LIOT)")
SEEN, UNSEEN, SIDE, EPOCHS = 64, 20, 32, 8


class Learned(NamedTuple):
    """What two networks find in unseen images.

    real, mask: (UNSEEN, 1, S, S). drawing, style: (SEEN, 1, S, S).
    found: (2, gammas, UNSEEN, 1, S, S), probabilities by INPUTS and GAMMAS. f1: (2, gammas), over all images.
    """

    real: Tensor
    mask: Tensor
    drawing: Tensor
    style: Tensor
    found: Tensor
    f1: NDArray[np.float64]


@cache
def learn() -> Learned:
    """64 steps of each network on drawings in style, seeded."""
    train, test = world("walks", 0, SEEN, UNSEEN, SIDE)
    real, mask = test.x["real"], test.x["mask"]
    found = []
    for input in INPUTS:
        generator = Generator().manual_seed(0)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            method = FreeCOS(UNet(4 if input == "liot" else 1), Projector(6), input=input, **ALONE)
        optimizer = torch.optim.Adam(method.parameters(), 1e-2)
        for _ in range(EPOCHS):
            take_epoch(method, train, 8, optimizer, generator)
        method.eval()
        with torch.no_grad():
            found.append(torch.stack([method.predict(gamma(real, power)) for power in GAMMAS]))
    scores = np.array([[f1(each > SURE, mask) for each in one] for one in found])
    return Learned(real, mask, train.x["drawing"], train.x["real"], torch.stack(found), scores)


def grey(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures (n, 1, S, S) in [0, 1] as bytes (n, S, S)."""
    return (255 * pictures[:, 0].clamp(0, 1)).round().byte().numpy()


def shown(pictures: Tensor, names: list[str], title: str, extra: list[Line]) -> Chart:
    """Four pictures (4, 1, S, S) in a row with their names below."""
    place = np.arange(4.0)
    marks = [Images(grey(pictures), place, np.zeros(4)), *extra, Text(place, np.full(4, -0.62), names, size=11)]
    return Chart(marks, title, Axis(range=(-0.55, 3.55)), Axis(range=(-0.75, 0.55)), equal=True, bare=True, height=210)


def vessel_picture(state: State) -> Picture:
    """What the knobs `window`, `gamma`, `image` make of the panel."""
    learned, which, window = learn(), state["image"] - 1, state["window"]
    drawing, style = learned.drawing[which], learned.style[which]
    dressed = style_swap(drawing, style, window)
    spectrum = torch.fft.fftshift(torch.fft.fft2(dressed)).abs().log1p()
    swapped = style_square(SIDE, SIDE, window)
    half = 0.9 * (float(swapped.any(0).sum()) / 2) / SIDE
    middle = 0.9 * 0.5 / SIDE if half < 0.45 else 0.0  # the mean is right of and below the middle of an even side
    corners = np.array([-1, 1, 1, -1, -1]), np.array([-1, -1, 1, 1, -1])
    square = Line(3 + middle + half * corners[0], half * corners[1] - middle, colour=COLOURS[0], width=2.0)
    made = shown(
        torch.stack([drawing, style, eight_bits(dressed), spectrum / spectrum.max()]),
        ["drawing", "image", "in style", "spectrum"],
        "A drawing in the style of an image", [square],
    )  # fmt: skip
    at = GAMMAS.index(state["gamma"])
    before = GAMMAS.index(1.0)
    tested = shown(
        torch.stack([gamma(learned.real[which], state["gamma"]), learned.mask[which], *learned.found[:, at, which]]),
        ["image", "vessels", "by raw", "by order"], f"What is found at gamma {state['gamma']:g}", [],
    )  # fmt: skip
    curves = [
        Line(np.array(GAMMAS), scores, colour=colour, name=name)
        for scores, colour, name in zip(learned.f1, COLOURS, NAMES, strict=True)
    ]
    chart = Chart(
        [*curves, Rule(x=state["gamma"], label="gamma", drag="gamma")], f"F1 of {UNSEEN} new images",
        Axis("gamma", (GAMMAS[0], GAMMAS[-1])), Axis("F1", (0, 1), grid=True), height=260,
    )  # fmt: skip
    now = learned.f1[:, at]
    changed = ((learned.found[:, at] > SURE) ^ (learned.found[:, before] > SURE)).float().mean((1, 2, 3, 4))
    return Picture(
        f"FreeCOS: drawings in style (L = {window:g}) teach a network, and a gamma tries it",
        "A drawn vessel, an unlabelled image, the drawing in its style and the spectrum; a new image at a gamma, its "
        "vessels, and what two networks find; their F1 against gamma.",
        [[made, tested], [chart]],
        [
            ("amplitudes swapped", f"{swapped.float().mean():.0%}"),
            *((f"F1, {name}", f"{score:.2f}") for name, score in zip(NAMES, now, strict=True)),
            *((f"pixels changed, {name}", f"{share:.1%}") for name, share in zip(NAMES, changed, strict=True)),
        ],
    )  # fmt: skip


class VesselPanel(KnobPanel):
    """Dress drawings in the style of images, and darken new ones: intensities mislead a network, their order does not.

    Two small networks have learned from drawings in style (L = 0.1), one sees intensities, the other their order.
    `window` is L of the drawing that is shown, `gamma` the power that changes new images, `image` which are shown.
    Raises ValueError for a window or gamma that is no stop, or an image outside 1 to 20.
    """

    @takes
    def __init__(self, window: float = 0.1, gamma: float = 2.2, image: int = 1) -> None:
        knobs = {
            "window": stepper("window", WINDOWS, window, "style L", "half side of the square that is swapped"),
            "gamma": stepper("gamma", GAMMAS, gamma, "gamma", "the power of each intensity of new images"),
            "image": counter(Knob("image", 1, UNSEEN, help="which drawing and which new image"), image, "image"),
        }
        super().__init__(knobs, vessel_picture, sweeps={"window": (0.0, 0.1, 0.3), "gamma": (0.4, 1.0, 1.8, 2.2, 3.0)})


PANEL = VesselPanel
