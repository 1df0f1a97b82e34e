"""HeadPanel: how strong a feature is before and behind a linear head, and what a fixed head leaves of a digit."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, nn

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.nn import MLP
from cl_explore.papers.projection_head.method import FixedHead, ridge_accuracy, strengths
from cl_explore.papers.projection_head.world import BITS, NOISE, PIXELS, SharedCode, coded_digits
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Bars, Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

OTHERS = ((2.0, 0.2), (1.0, 1.0), (0.5, 0.6), (0.25, 1.0))
"""Strength and chance to be kept of the features beside the one that is turned."""
LAYERS, COLOURS = ("input", "before the head", "behind it"), ("muted", CLASS_COLOURS[0], CLASS_COLOURS[1])
RANGE = np.geomspace(0.05, 3, 61)
KAPPAS = (1.0, 1.05, 1.1, 1.3)
MLP_PLACE = 1.36  # beside them, where the MLP head's readings stand
WIDTH, STEPS, BATCH = 64, 80, 96


class Readings(NamedTuple):
    """How well a ridge reads the digit of encoders trained with SimCLR, at each of KAPPAS, and with an MLP head.

    before, behind: the head; features are standardised, which undoes a fixed head.
    behind_raw: behind the head, features as they are.
    """

    before: list[float]
    behind: list[float]
    behind_raw: list[float]
    mlp: tuple[float, float]


def learn() -> Readings:
    """80 steps from equal weights on 800 digits, behind a code that all views share, seeded."""
    train, test = coded_digits(0, 800)
    augment, found = SharedCode(), []
    for kappa in (*KAPPAS, None):
        generator = Generator().manual_seed(0)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            encoder = MLP([PIXELS + BITS, 128, WIDTH], batch_norm=False)
            head = MLP([WIDTH] * 3, batch_norm=False) if kappa is None else FixedHead(WIDTH, kappa)
        optimizer = torch.optim.Adam(nn.ModuleList([encoder, head]).parameters(), 2e-3)
        for _ in range(STEPS):
            rows = torch.randperm(len(train), generator=generator)[:BATCH]
            views = augment(train.x[rows], generator, 2)
            loss = losses.nt_xent(head(encoder(views.flatten(0, 1))).unflatten(0, views.shape[:2]), temperature=0.5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            h, new = encoder(train.x), encoder(test.x)
            layers = ((h, new, True), (head(h), head(new), True), (head(h), head(new), False))
            found.append([ridge_accuracy(seen, train.labels, unseen, test.labels, standardise=standardise)
                          for seen, unseen, standardise in layers])  # fmt: skip
    *fixed, mlp = found
    before, behind, raw = (list(column) for column in zip(*fixed, strict=True))
    return Readings(before, behind, raw, (mlp[0], mlp[1]))


def head_picture(state: State, read: Readings) -> Picture:
    """What a feature's knobs and `kappa` make of the panel."""
    phi, keep, noise, kappa = (state[name] for name in ("strength", "keep", "noise", "kappa"))
    phis, keeps = torch.tensor([(phi, keep), *OTHERS]).T
    levels = np.stack(strengths(phis, keeps, noise))
    places, kinds = np.arange(5.0), np.repeat(np.arange(3), levels.shape[1])
    bars = Chart(
        [
            Bars((places + 0.27 * np.arange(-1, 2)[:, None]).ravel(), levels.ravel(), width=0.25, colour=COLOURS,
                 group=kinds, name=LAYERS, hover="{layer}: {strength}",
                 fields={"layer": [LAYERS[kind] for kind in kinds], "strength": levels.ravel()}),
        ],
        "Strength of five features, layer by layer",
        Axis("strength φ, chance to be kept a", (-0.5, 4.5), ticks=places,
             names=["yours", *(f"{phi:g}, {keep:g}" for phi, keep in OTHERS)]),
        Axis("strength", (0, 1.05 * float(levels.max())), grid=True), height=260,
    )  # fmt: skip
    course = strengths(torch.from_numpy(RANGE), torch.full((len(RANGE),), keep, dtype=torch.float64), noise)
    curves = [Line(RANGE, level, colour=colour, name=name)
              for level, colour, name in zip(course, COLOURS, LAYERS, strict=True)]  # fmt: skip
    over = Chart(
        [
            *curves,
            Rule(x=phi, drag="strength", label="yours"),
        ],
        f"A feature kept with a = {keep:.2g}, by its strength",
        Axis("strength φ in the input", (0.05, 3), log=True, ticks=(0.05, 0.2, 0.5, 1, 3)),
        Axis("strength", (0, 3), grid=True), height=260,
    )  # fmt: skip
    at = KAPPAS.index(kappa)
    digit = Chart(
        [
            Line(KAPPAS, read.before, colour=COLOURS[1], name=LAYERS[1]),
            Line(KAPPAS, read.behind_raw, colour=COLOURS[2], name=LAYERS[2], dash="dashed"),
            Points([kappa], [read.before[at]], colour=COLOURS[1], size=6),
            Rule(x=kappa, drag="kappa"),
            Rule(y=read.before[0], dash="dotted", label="no head"),
            Points([MLP_PLACE, MLP_PLACE], read.mlp, colour=COLOURS[1:], group=[0, 1], marker=("o", "s"), size=6),
        ],
        "Digits read from each layer of a fixed head", Axis("κ of the fixed head", (0.99, 1.39),
        ticks=(*KAPPAS, MLP_PLACE), names=[*(f"{kappa:g}" for kappa in KAPPAS), "MLP head"]),
        Axis("accuracy", (0, 1), grid=True), height=260,
        note="Views share ten random bits, which SimCLR uses instead of the digit. Behind the head the ridge reads "
        "features as they are: standardised, they would undo κ.",
    )  # fmt: skip
    given, before, behind = levels[:, 0]
    return Picture(
        "A head specialises: the layer before it keeps more",
        "Bars of how strong five features are in the input, before a linear head and behind it; curves of both layers "
        "over the strength of a feature; how often the digit is read over κ of a fixed head.",
        [[bars, over], [digit]],
        [
            ("your feature in the input", f"{given:.2f}"),
            ("before the head", f"{before:.2f}"),
            ("behind it", f"{behind:.2f}"),
            (f"digit at κ = {kappa:g}", f"{read.before[at]:.0%}"),
            ("without a head", f"{read.before[0]:.0%}"),
            ("MLP head, before and behind", f"{read.mlp[0]:.0%} and {read.mlp[1]:.0%}"),
        ],
    )


class HeadPanel(KnobPanel):
    """Turn the strength of a feature and how often views keep it, and see what each layer makes of it.

    The upper charts are the closed form of a linear encoder with a linear head, trained by the spectral loss to the
    end; drag the line to another strength. The lower one shows small networks, trained in the background (seconds) by
    SimCLR on digits with a random code that all views share: what a fixed head of base `kappa` leaves before and
    behind it. Raises ValueError for a strength outside 0.05 to 3, a chance outside 0 to 1, noise outside 0.05 to 1 or
    a kappa that is none of KAPPAS.
    """

    @takes
    def __init__(self, strength: float = 1.0, keep: float = 0.15, noise: float = NOISE, kappa: float = 1.05) -> None:
        knobs = {
            "strength": dial(Knob("strength", 0.05, 3, log=True, help="how strong your feature is in the input"),
                             strength, "strength φ", 0.05),
            "keep": dial(Knob("keep", 0, 1, help="how often a view keeps it"), keep, "kept a", 0.05),
            "noise": dial(Knob("noise", 0.05, 1, help="standard deviation in every direction"), noise, "noise σ", 0.05),
            "kappa": stepper("kappa", KAPPAS, kappa, "fixed head κ", "coordinate i of h is multiplied by κ^-i"),
        }  # fmt: skip
        super().__init__(
            knobs, head_picture, experiment=learn,
            sweeps={"strength": [0.05, 0.2, 0.5, 1.0, 2.0], "keep": [0.15, 0.5, 1.0], "kappa": KAPPAS},
        )  # fmt: skip


PANEL = HeadPanel
