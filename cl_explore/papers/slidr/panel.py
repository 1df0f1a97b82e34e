"""SuperpixelPanel: what wrong pairs and crowded roads cost point by point, and what superpixel by superpixel."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore.losses import Knob
from cl_explore.papers.slidr.method import PPKT, pool
from cl_explore.papers.slidr.world import NAMES, PIXELS, REGIONS, own_class, scenes
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, stepper
from cl_explore.widgets.mark import Dash
from cl_explore.widgets.marks import Bars, Images, Line, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

WRONG = tuple(place / 10 for place in range(9))
ROWS, COLUMNS, ACROSS = 4, 5, 6  # pixels of a thing, and things in a row of the image
CUTS = {30: (4, 5), 60: (2, 5), 120: (1, 5), 600: (1, 1)}  # superpixels of the image: rows and columns of each
SEED = 2  # the first of whose scene all classes are, and each thing has a point among those drawn
NOISE, TEMPERATURE = 1.0, 0.07
SHIFTS = np.random.default_rng(0).uniform(-0.4, 0.4, (2, PPKT.PAIRS))  # of points within their pixels
PAIR, REGION = "#D55E00", "#0072B2"
COLOURS = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in CLASS_COLOURS[: len(NAMES)]])


class Pairs(NamedTuple):
    """The 512 points that PPKT draws of a scene, and what they cost.

    thing, pixel: (512,), the thing that each belongs to, and the pixel where it falls, thing by thing.
    kinds: (30,), the class of each thing.
    each: (512,), the loss of each pair against all others.
    pooled: (600,), the loss of the superpixel of each pixel, NaN where no point falls on it; by CUTS.
    """

    thing: Tensor
    pixel: Tensor
    kinds: Tensor
    each: Tensor
    pooled: dict[int, Tensor]

    @property
    def bad(self) -> Tensor:
        """(512,), whether a point falls on a thing that it is no part of."""
        return self.thing != self.pixel // PIXELS

    def slidr(self, count: int) -> float:
        """SLidR's loss with so many superpixels: the mean over those that hold a point."""
        return float(self.pooled[count][:: REGIONS * PIXELS // count].nanmean())


def losses(anchors: Tensor, keys: Tensor) -> Tensor:
    """The loss of each row (N,), of which `method.contrast` takes the mean."""
    return -(anchors @ keys.T / TEMPERATURE).log_softmax(1).diagonal()


@cache
def pairs(wrong: float) -> Pairs:
    """The pairs of a scene of which this share is wrong; the features are those of networks that have learned."""
    scene, draw = scenes(SEED, 1, wrong), Generator().manual_seed(0)
    rows = torch.randperm(len(scene.points), generator=draw)[: PPKT.PAIRS]
    thing, paired = (scene.points.factors[name][rows].long() for name in ("region", "paired"))
    pixel = paired * PIXELS + torch.randint(PIXELS, paired.shape, generator=draw)
    seen = scene.pixels.mean(1)[thing]
    points = F.normalize(seen + NOISE * torch.randn(seen.shape, generator=draw), dim=1)
    pixels = F.normalize(scene.pixels.flatten(0, 1), dim=1)
    pooled = {}
    for count in CUTS:
        superpixel = torch.arange(len(pixels)) * count // len(pixels)
        means = pool(points, pixels, superpixel[pixel], superpixel)
        of_all = torch.full((count,), torch.nan)
        of_all[means.regions] = losses(means.points, means.pixels)
        pooled[count] = of_all[superpixel]
    return Pairs(thing, pixel, scene.kinds, losses(points, pixels[pixel]), pooled)


def place(pixel: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middles x and y of pixels in the image, 30 wide and 20 high."""
    thing, within = pixel.numpy() // PIXELS, pixel.numpy() % PIXELS
    row, column = thing // ACROSS * ROWS + within // COLUMNS, thing % ACROSS * COLUMNS + within % COLUMNS
    return column + 0.5, REGIONS // ACROSS * ROWS - row - 0.5


def image(now: Pairs, count: int, chosen: int) -> Chart:
    """The things in the colours of their classes, cut into superpixels, with the points where they fall."""
    wide, high = ACROSS * COLUMNS, REGIONS // ACROSS * ROWS
    things = np.repeat(np.repeat(now.kinds.numpy().reshape(-1, ACROSS), ROWS, 0), COLUMNS, 1)
    tint = (0.45 * COLOURS[things] + 0.55 * 255).round().astype(np.uint8)
    rows, columns = CUTS[count]
    levels, sides = np.arange(0, high + 1, rows), np.arange(0, wide + 1, columns)
    gap = np.full(len(levels) + len(sides), np.nan)
    ends = np.concatenate([np.zeros(len(levels)), sides]), np.concatenate([np.full(len(levels), wide), sides])
    rise = np.concatenate([levels, np.zeros(len(sides))]), np.concatenate([levels, np.full(len(sides), high)])
    borders = Line(np.stack([*ends, gap], 1).ravel(), np.stack([*rise, gap], 1).ravel(), colour="#ffffff", width=1.0)
    x, y = (middle + jitter for middle, jitter in zip(place(now.pixel), SHIFTS, strict=True))
    kinds, bad = now.kinds[now.thing].numpy(), now.bad.numpy()
    points = [
        Points(x[at], y[at], colour=CLASS_COLOURS[kind], size=2.6, name=name)
        for kind, name in enumerate(NAMES)
        for at in [(kinds == kind) & ~bad]
    ]
    colours = list(CLASS_COLOURS[: len(NAMES)])
    strays = Points(x[bad], y[bad], colour=colours, group=kinds[bad], marker="X", size=3.8, name="on another thing")
    (left, *_), (top, *_) = place(torch.tensor([chosen * PIXELS]))
    corners = np.array([0, COLUMNS, COLUMNS, 0, 0]), np.array([0, 0, -ROWS, -ROWS, 0])
    frame = Line(left - 0.5 + corners[0], top + 0.5 + corners[1], colour="#000000", width=3.0)
    marks = [Images(tint[None], np.array([wide / 2]), np.array([high / 2]), side=wide), borders, *points, strays, frame]
    return Chart(marks, "Things by class, and where points fall", Axis(range=(-0.3, wide + 0.3)),
                 Axis(range=(-0.3, high + 0.3)), equal=True, bare=True, height=330, width=1.1)  # fmt: skip


def shares(kinds: Tensor, own: int) -> NDArray[np.float64]:
    """The shares of classes among the keys (N,) but for one of the class `own`."""
    counts = kinds.bincount(minlength=len(NAMES)).double().numpy()
    counts[own] -= 1
    return counts / counts.sum()


def superpixel_picture(state: State) -> Picture:
    """What the knobs `wrong`, `superpixels`, `thing` make of the panel."""
    now, count, chosen = pairs(state["wrong"]), state["superpixels"], state["thing"] - 1
    own, size = int(now.kinds[chosen]), REGIONS * PIXELS // count
    met = now.pixel // size
    keys = now.kinds[now.pixel // PIXELS], now.kinds[met.unique() * size // PIXELS]
    ticks = np.arange(float(len(NAMES)))
    bars = [
        Bars(ticks + side, shares(kinds, own), width=0.36, colour=colour, name=name)
        for kinds, side, colour, name in zip(
            keys, (-0.19, 0.19), (PAIR, REGION), ("of a point", "of a superpixel"), strict=True
        )
    ]
    negatives = Chart(
        [*bars, Text(ticks, np.full(len(NAMES), -0.05), NAMES, size=10)], f"Negatives of {NAMES[own]}, by class",
        Axis(ticks=(), range=(-0.6, len(NAMES) - 0.4)), Axis("share", (-0.1, 0.6), ticks=(0, 0.2, 0.4, 0.6), grid=True),
        height=200,
    )  # fmt: skip
    known = [pairs(share) for share in WRONG]
    curves: dict[str, tuple[str, Dash, list[float]]] = {
        "wrong pairs alone": (PAIR, "dotted", [float(each.each[each.bad].mean()) for each in known]),
        "all pairs": (PAIR, "solid", [float(each.each.mean()) for each in known]),
        "superpixels": (REGION, "solid", [each.slidr(count) for each in known]),
    }
    lines = [
        Line(np.array(WRONG), np.array(loss), colour=colour, dash=dash, name=name)
        for name, (colour, dash, loss) in curves.items()
    ]
    cost = Chart(
        [*lines, Rule(x=state["wrong"], drag="wrong")], "Loss",
        Axis("share of wrong pairs", (0, WRONG[-1]), ticks=WRONG[::2]), Axis("nats", (0, 13), grid=True), height=200,
    )  # fmt: skip
    here = now.pixel // PIXELS == chosen
    outvoted = torch.zeros(count).index_add(0, met, now.bad.float() - 0.5)[met.unique()] > 0
    pooled = now.pooled[count][chosen * PIXELS : (chosen + 1) * PIXELS].nanmean()
    return Picture(
        f"SLidR: {state['wrong']:.0%} of the points fall on another thing; {count} superpixels",
        "A small image of 30 things with the lidar's points where they fall; the classes of the negatives of a point "
        "and of a superpixel; and losses against the share of wrong pairs.",
        [[image(now, count, chosen), [negatives, cost]]],
        [
            ("negatives of the own class: points", f"{own_class(keys[0]):.0%}"),
            ("superpixels", f"{own_class(keys[1]):.0%}"),
            ("superpixels with more wrong points than right", f"{outvoted.float().mean():.0%}"),
            ("points in the frame", f"{int(here.sum())}, {int((here & now.bad).sum())} wrong"),
            ("their loss one by one", f"{now.each[here].mean():.1f}"),
            ("as superpixels", f"{pooled:.1f}"),
        ],
    )


class SuperpixelPanel(KnobPanel):
    """Let points fall on wrong things, and cut the image finer: what does it cost by pairs, what by superpixels?

    Nothing is trained: each point has the feature of its thing, with noise, as if the network had learned. `wrong` is
    the share of points that fall on another thing, `superpixels` how many there are in the image (600 are single
    pixels), `thing` which one is framed. Raises ValueError for a share or a number that is no stop, or a thing outside
    1 to 30.
    """

    @takes
    def __init__(self, wrong: float = 0.4, superpixels: int = REGIONS, thing: int = 1) -> None:
        knobs = {
            "wrong": stepper("wrong", WRONG, wrong, "wrong pairs", "the share of points that fall on another thing"),
            "superpixels": stepper("superpixels", tuple(CUTS), superpixels, help="superpixels of the image"),
            "thing": counter(Knob("thing", 1, REGIONS, help="which thing is framed"), thing, "thing"),
        }
        super().__init__(
            knobs, superpixel_picture, sweeps={"superpixels": tuple(CUTS), "wrong": (0.0, 0.2, 0.4, 0.6, 0.8)}
        )


PANEL = SuperpixelPanel
