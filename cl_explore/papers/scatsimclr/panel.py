"""ScatteringPanel: the wavelets of a scattering transform, what they make of a digit, and what a shift does to it."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.losses import Knob
from cl_explore.papers.scatsimclr.method import Scattering, wavelets
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter
from cl_explore.widgets.marks import Bars, Images, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

SIZE, DIGITS, SHOWN = 32, 20, 8
RAW, FIXED = "#D55E00", "#0072B2"


@cache
def digits() -> Tensor:
    """The first digits of the test part, enlarged to (20, 1, 32, 32), in [0, 1], black around."""
    x = data.load("digits", "test").batch(torch.arange(DIGITS)).x
    return F.pad(F.interpolate(x, SIZE - 8, mode="bilinear"), (4, 4, 4, 4))


@cache
def transform(scales: int, angles: int) -> Scattering:
    return Scattering(SIZE, scales, angles)


@cache
def gallery(scales: int, angles: int) -> NDArray[np.uint8]:
    """The real parts of the wavelets around their middle, grey for 0, (J L', 32, 32): at most 8 angles each."""
    found = []
    for j in range(scales):
        waves = torch.fft.ifft2(wavelets(SIZE, j, angles)[angles_shown(angles)]).real
        waves = torch.fft.fftshift(waves, dim=(1, 2))
        found.append(0.5 + 0.5 * waves / waves.abs().amax((1, 2), keepdim=True))
    return grey(torch.cat(found))


def angles_shown(angles: int) -> list[int]:
    """At most eight of the angles, evenly apart."""
    return list(range(0, angles, -(-angles // SHOWN)))


def grey(x: Tensor) -> NDArray[np.uint8]:
    """Pictures (N, H, W) in [0, 1] as bytes."""
    return (255 * x).round().clamp(0, 255).byte().numpy()


def orders(found: Tensor, scales: int, angles: int) -> tuple[Tensor, Tensor, Tensor]:
    """The maps of order 0, 1 and 2 of a transform (K, h, w)."""
    sizes = [1, scales * angles, len(found) - 1 - scales * angles]
    zero, one, two = found.split(sizes)
    return zero, one, two


def change(x: Tensor, moved: Tensor) -> float:
    """How far something moves, as a share of its length."""
    return float((x - moved).norm() / x.norm().clamp(min=1e-9)) if x.numel() else 0.0


def grid(pictures: NDArray[np.uint8], columns: int, title: str, note: str = "") -> Chart:
    """Pictures by scale, downwards, and angle."""
    rows = len(pictures) // columns
    place = np.arange(len(pictures))
    return Chart(
        [
            Images(pictures, (place % columns).astype(float), rows - 1.0 - place // columns),
            Text(np.full(rows, -0.7), rows - 1.0 - np.arange(rows), [f"j = {j}" for j in range(rows)], size=11,
                 colour="muted", anchor="right"),
        ],
        title, Axis(range=(-1.9, columns - 0.4)), Axis(range=(-0.6, rows - 0.4)), height=200, equal=True, bare=True,
        note=note,
    )  # fmt: skip


def scattering_picture(state: State) -> Picture:
    """What the knobs `scales`, `angles`, `digit` and `shift` make of the panel."""
    scales, angles, shift = state["scales"], state["angles"], state["shift"]
    x = digits()[[state["digit"]]]
    moved = x.roll(shift, 3)
    found, other = (transform(scales, angles)(part)[0] for part in (x, moved))
    _, one, _ = orders(found, scales, angles)
    chosen = angles_shown(angles)
    shown = one.unflatten(0, (scales, angles))[:, chosen].flatten(0, 1)
    shown = shown / shown.unflatten(0, (scales, -1)).amax((1, 2, 3)).repeat_interleave(len(chosen))[:, None, None]
    enlarged = F.interpolate(shown[None], SIZE)[0]
    both = Chart(
        [
            Images(grey(torch.cat([x[0], moved[0]])), [0.0, 1.0], [0.0, 0.0]),
            Text([0.0, 1.0], [0.62, 0.62], ["digit", f"moved by {shift}"], size=11),
        ],
        "The picture", Axis(range=(-0.6, 1.6)), Axis(range=(-0.6, 0.8)), width=0.7, height=200, equal=True, bare=True,
    )  # fmt: skip
    changes = [change(x, moved)]
    changes += [change(a, b) for a, b in zip(orders(found, scales, angles), orders(other, scales, angles), strict=True)]
    changes.append(change(found, other))
    names = ("pixels", "order 0", "order 1", "order 2", "all orders")
    bars = Chart(
        [Bars(np.arange(5), changes, group=[0, 1, 1, 1, 1], colour=(RAW, FIXED), hover="{what}: {value}",
              fields={"what": names, "value": np.array(changes)})],
        f"What a shift by {shift} pixel{'s' * (shift != 1)} changes",
        Axis(ticks=range(5), names=names), Axis("relative change", (0, 1.5), grid=True), height=200,
    )  # fmt: skip
    side = SIZE >> scales
    return Picture(
        "Scattering: wavelets, their moduli, and an average that forgives small shifts",
        "A digit and the same digit moved, the wavelets by scale and angle as grey pictures, the maps that moduli "
        "leave of the digit, and bars of how much a shift changes pixels and maps: the pixels most.",
        [[both, bars], [grid(gallery(scales, angles), len(chosen), "Wavelets, by scale and angle"),
                        grid(grey(enlarged), len(chosen), "Order 1: where the digit has such edges")]],
        [
            ("maps a channel, K", f"{len(found)}"),
            ("of side", f"{side}"),
            ("numbers", f"{found.numel()} for {SIZE * SIZE} pixels"),
            ("pixels change by", f"{changes[0]:.0%}"),
            ("the transform by", f"{changes[-1]:.0%}"),
        ],
    )  # fmt: skip


class ScatteringPanel(KnobPanel):
    """ScatSimCLR's first layers are fixed wavelets: choose scales and angles, and move a digit by a pixel.

    The bank of wavelets, the maps of the first order that they leave of a digit, and how much of pixels and of maps a
    shift changes. More scales forgive larger shifts and leave smaller maps; more angles make more maps, of the second
    order with their square. At most eight angles are drawn. Raises ValueError for scales outside 1 to 4, angles
    outside 2 to 16.
    """

    @takes
    def __init__(self, scales: int = 2, angles: int = 8) -> None:
        knobs = {
            "scales": counter(Knob("scales", 1, 4, help="maps are 2^J times smaller"), scales, "scales J"),
            "angles": counter(Knob("angles", 2, 16, help="of each scale"), angles, "angles L", step=2),
            "shift": counter(Knob("shift", 0, 4, help="pixels by which the digit moves"), 1, "shift"),
            "digit": counter(Knob("digit", 0, DIGITS - 1, help="which digit is shown"), 3),
        }  # fmt: skip
        sweeps = {"scales": (1, 2, 3), "angles": (4, 8, 16), "shift": (1, 2, 4)}
        super().__init__(knobs, scattering_picture, sweeps=sweeps)


PANEL = ScatteringPanel
