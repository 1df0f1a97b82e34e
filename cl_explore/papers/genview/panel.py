"""QualityPanel: what a generator makes of pictures as its noise grows, and how much each pair then counts."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore.data.factor_world import SHAPES, Factors, alpha, render, sample
from cl_explore.losses import Choice, Knob
from cl_explore.papers.genview.method import Quality, attention, foreground_share, noise_level, pair_weights, quality
from cl_explore.papers.genview.world import redraw
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.marks import Bars, Images, Line, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

PAIRS, PIXELS, CELL = 48, 32, 4
GOOD, BAD = "#0072B2", "#D55E00"
ISO = (0.25, 0.5, 1, 2, 4)  # weights whose lines are drawn
SCORES = {"foreground − background": "fg-bg", "foreground alone": "fg"}


class Pictures(NamedTuple):
    """Pictures (N, 3, 32, 32) and their masks (N, 32, 32), both in [0, 1]."""

    x: Tensor
    cover: Tensor


def shown(f: Factors) -> Pictures:
    return Pictures(render(f, PIXELS), alpha(f, PIXELS))


@cache
def real() -> tuple[Factors, Pictures, Tensor]:
    """48 pictures, seeded, and the share of each that is foreground."""
    generator = Generator().manual_seed(4)
    f = sample(PAIRS, generator, scale=0.35 + 0.5 * torch.rand(PAIRS, generator=generator), bgscale=0.7)
    return f, shown(f), foreground_share(alpha(f, PIXELS).flatten(1))


@cache
def generated(level: int) -> tuple[Factors, Tensor]:
    """What the generator makes of all of them, and whether the object is kept (48,); from equal draws at any level."""
    f, _, share = real()
    return redraw(f, torch.full((PAIRS,), level), share, Generator().manual_seed(2))


def cells(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Tokens (N, 64, 48), the pixels of each cell of 4 by 4, and how much of the cell the object covers (N, 64)."""
    tokens = F.unfold(pictures.x, CELL, stride=CELL).transpose(1, 2)
    return tokens, F.avg_pool2d(pictures.cover, CELL).flatten(1)


def rated(first: Pictures, second: Pictures, score: str) -> Quality:
    """The quality of pairs of pictures, from the pixels of their cells less the mean of all, and the given masks."""
    tokens, maps = (torch.stack(parts, dim=1) for parts in zip(cells(first), cells(second), strict=True))
    return quality(tokens - tokens.mean((0, 1, 2)), maps, score=score)  # type: ignore[arg-type]


def as_bytes(x: Tensor) -> NDArray[np.uint8]:
    """Pictures (N, 3 or 1, H, W) in [0, 1] as (N, H, W, 3) or (N, H, W)."""
    return (255 * x).round().byte().movedim(1, -1).squeeze(3).numpy()


def strip(state: State) -> Chart:
    """The chosen picture, four that are made of it with ever more noise, and where they are attended to."""
    pair, (_, pictures, share) = state["pair"], real()
    levels = [round(state["level"] * part / 3) for part in range(4)]
    made = [generated(level) for level in levels]
    one = {name: torch.cat([f[name][[pair]] for f, _ in made]) for name in made[0][0]}
    others = shown(one)
    row = Pictures(*(torch.cat([mine[[pair]], theirs]) for mine, theirs in zip(pictures, others, strict=True)))
    _, maps = cells(row)
    side = PIXELS // CELL
    heat = [(part / part.amax(1, keepdim=True).clamp(min=1e-9)).view(-1, 1, side, side) for part in attention(maps)]
    names = ["real", *(f"ℓ = {level}" for level in levels)]
    lost = np.array([place for place, (_, kept) in enumerate(made, start=1) if not kept[pair]], float)
    at = np.arange(5.0)
    return Chart(
        [
            *(Images(as_bytes(part), at, np.full(5, 2.0 - place)) for place, part in enumerate((row.x, *heat))),
            Text(at, np.full(5, 2.78), names, size=11),
            Text(lost, np.full(len(lost), 2.59), ["another object"] * len(lost), size=10, colour=BAD),
            Text(np.full(3, -0.55), [2.0, 1.0, 0.0], ["picture", "foreground", "background"], anchor="right", size=11,
                 colour="muted"),
        ],
        f"Picture {pair}, {float(share[pair]):.0%} of it foreground, and what the generator makes of it",
        Axis(range=(-1.35, 4.6)), Axis(range=(-0.55, 2.95)), height=300, equal=True, bare=True,
        note="Bright cells have the weight when foreground and background are pooled.",
    )  # fmt: skip


def quality_picture(state: State) -> Picture:
    """What the knobs `level`, `gamma`, `score` and `pair` make of the panel."""
    _, pictures, share = real()
    made, kept = generated(state["level"])
    found, gamma = rated(pictures, shown(made), SCORES[state["score"]]), state["gamma"]
    weights, bad = pair_weights(found.score, gamma), (~kept).long()
    steep = 1 if state["score"] == next(iter(SCORES)) else 0  # lines of equal foreground alone are level
    lines: list[Line | Text] = []
    for weight in ISO if gamma > 0 else ():
        q = float((gamma * found.score).exp().mean().log() + np.log(weight)) / gamma
        ends = [(x, q + steep * x) for x in np.linspace(-1, 1, 81) if abs(q + steep * x) <= 1]
        if len(ends) > 4:
            x, v = np.array(ends).T
            lines += [Line(x, v, colour="muted", width=1.0, dash="dashed"),
                      Text(x[[2]], v[[2]], [f"×{weight:g}"], colour="muted", size=10, dx=10, dy=6)]  # fmt: skip
    pair = state["pair"]
    scatter = Chart(
        [
            *lines,
            Points(found.background, found.foreground, group=bad, colour=(GOOD, BAD), marker=("o", "X"), pick="pair",
                   name=("same object", "another object"), hover="pair {pair}: weight {weight}",
                   fields={"pair": np.arange(PAIRS), "weight": weights}),
            Points(found.background[[pair]], found.foreground[[pair]], colour="ink", hollow=True, size=8, name="shown"),
        ],
        "Quality of 48 pairs; dashed: equal weight",
        Axis("similarity of backgrounds", (-1.05, 1.05)), Axis("similarity of foregrounds", (-1.05, 1.05), grid=True),
        height=250, note="Click a pair to see its pictures.",
    )  # fmt: skip
    order = weights.argsort(descending=True)
    bars = Chart(
        [
            Bars(np.arange(PAIRS), weights[order], group=bad[order], colour=(GOOD, BAD), name=("same object",
                 "another object")),
            Rule(y=1.0, dash="dashed", label="equal"),
        ],
        "Weights of the batch, sorted", Axis("pair by rank", ticks=(0, 16, 32, 47)),
        Axis("weight", (0, ceiling(max(2.0, float(weights.max())))), grid=True), height=250,
    )  # fmt: skip
    ratio = f"{float(weights[~kept].mean() / weights[kept].mean()):.2f}" if (~kept).any() else "none corrupted"
    f = real()[0]
    return Picture(
        "GenView: more noise gives other views, and sometimes another object",
        "A picture, four that a generator makes of it, and their foregrounds; 48 pairs by the similarity of "
        "foregrounds and backgrounds, and bars of their weights: another object weighs less.",
        [[strip(state)], [scatter, bars]],
        [
            ("object of the picture", SHAPES[int(f["shape"][pair])]),
            ("level for its foreground", f"{int(noise_level(share)[pair])}"),
            ("pairs with another object", f"{int((~kept).sum())} of {PAIRS}"),
            ("their weight over that of the others", ratio),
            ("effective number of pairs", f"{float(PAIRS / weights.square().mean()):.0f} of {PAIRS}"),
        ],
    )


class QualityPanel(KnobPanel):
    """GenView draws views with a generator and weighs pairs: turn up its noise, then the sharpness of the weights.

    A picture of the factor world, four that a stand-in for the generator makes of it, and the cells of each that count
    as foreground and background. Backgrounds and poses change more with more noise, small objects soon turn into other
    ones. A pair counts for more if foregrounds agree and backgrounds differ: sharp weights leave corrupted pairs out,
    and most good ones too. Descriptors are the pixels of cells, the masks are given. Raises ValueError for a level
    outside 0 to 500 or a gamma outside 0 to 10.
    """

    @takes
    def __init__(self, level: int = 160, gamma: float = 1.0) -> None:
        knobs = {
            "level": counter(Knob("level", 0, 500, help="noise of the generator"), level, "noise level ℓ", step=20),
            "gamma": dial(Knob("gamma", 0, 10, help="sharpness of the weights"), float(gamma), "sharpness γ", step=0.5),
            "score": dial(Choice("score", tuple(SCORES), help="what makes a pair good"), next(iter(SCORES)), "quality"),
            "pair": counter(Knob("pair", 0, PAIRS - 1, help="whose pictures are shown; or click a point"), 5),
        }  # fmt: skip
        super().__init__(
            knobs, quality_picture, sweeps={"level": (0, 100, 200, 300, 400, 500), "gamma": (0.0, 1.0, 3.0, 6.0)}
        )


PANEL = QualityPanel
