"""MatchPanel: blocks of a formula disappear, and cells, attention and the whole are to be what they were."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.losses import Choice
from cl_explore.methods.plain import take_step
from cl_explore.papers.mask_and_match.method import GridEncoder, MaskAndMatch, hide_blocks, inked
from cl_explore.papers.mask_and_match.world import CELL, HEIGHT, LAYOUTS, WIDTH, InkViews, formulas, networks
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Heat, Images, Line, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

SAMPLES, UNSEEN, STEPS, BATCH, LR = 512, 150, 96, 32, 3e-3
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
WEIGHTS, ENDS = (0.0, 1.0, 3.0), (0.0, 0.3, 0.6)
HOLE = (0.6, 0.75, 0.9)
SHAPE = (HEIGHT // CELL, WIDTH // CELL)


class Learned(NamedTuple):
    """A trained encoder and what it is worth: `found` of RATIOS, and how well symbols and structures are read."""

    encoder: GridEncoder
    found: list[float]
    symbol: float
    structure: float


@cache
def world() -> tuple[Dataset, Dataset]:
    """512 formulas, and 150 of other digits."""
    return formulas(0, "train", SAMPLES), formulas(0, "test", UNSEEN)


def masks(x: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """As `hide_blocks`, always the same: what is hidden at a ratio is hidden at every larger one."""
    return hide_blocks(x, ratio, Generator().manual_seed(18))


def learn(local_weight: float, last: float) -> Learned:
    """96 steps on 512 formulas, seeded, and what linear probes and neighbours make of 150 others."""
    train, test = world()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder, head = networks(train, attention=True)
        assert isinstance(encoder, GridEncoder)
        method = MaskAndMatch(
            encoder, head, "nt_xent", InkViews(), steps=STEPS, local_weight=local_weight, last=last, temperature=0.2
        )
    generator, optimizer = Generator().manual_seed(0), torch.optim.Adam(method.parameters(), LR)
    for _ in range(STEPS // (SAMPLES // BATCH)):
        for rows in method.draw_order(train, BATCH, generator).split(BATCH):
            take_step(method, train.batch(rows), optimizer, generator)
            method.after_step()
    encoder.requires_grad_(False)
    grids = [encoder.grid(part.x) for part in (train, test)]
    cells = [
        torch.cat([grid.flatten(2)[torch.arange(len(grid)), :, part.factors[f"cell {place}"]] for place in (0, 1)])
        for grid, part in zip(grids, world(), strict=True)
    ]
    symbols = [torch.cat([part.factors[f"symbol {place}"] for place in (0, 1)]) for part in world()]
    seen, unseen = map(encoder.pool, grids)
    return Learned(
        encoder,
        [evaluate.recall(encoder(masks(test.x, ratio)[0]), unseen, 1) for ratio in RATIOS],
        evaluate.linear_accuracy(cells[0], symbols[0], cells[1], symbols[1]),
        evaluate.linear_accuracy(seen, train.labels, unseen, test.labels),
    )


def beside(whole: Tensor, hidden: Tensor) -> Chart:
    """A formula (24, 40), ink dark, and once more with tinted holes where it is hidden, (24, 40)."""
    grey = (1 - torch.stack([whole, whole]).clamp(0, 1))[..., None].expand(-1, -1, -1, 3).clone()
    grey[1][hidden] = torch.tensor(HOLE)
    pixels = (255 * grey).round().byte().numpy()
    return Chart([Images(pixels, [0, 1.06], [0, 0], side=1.0)], "The formula, whole and with blocks gone", bare=True,
                 equal=True, height=190)  # fmt: skip


def match_picture(state: State, made: Learned) -> Picture:
    """What the knobs make of the panel."""
    ratio, test = state["ratio"], world()[1]
    number = int((test.labels == list(LAYOUTS).index(state["structure"])).nonzero()[0, 0])
    whole = test.x[number : number + 1]
    gaps, hidden = masks(whole, ratio)
    grids = made.encoder.grid(torch.cat([whole, gaps]))
    attention = made.encoder.pool.logits(grids[:1]).softmax(1)[0]  # type: ignore[operator]
    ink = inked(whole, SHAPE).flatten()
    u, v = F.normalize(grids.flatten(2)[:, :, ink], dim=1)
    cosine = v.T @ u
    matched = (cosine.argmax(1) == torch.arange(len(cosine))).double().mean().item()
    focus = attention.numel() * attention
    clean = ink & ~F.max_pool2d(hidden[:, None].float(), CELL).bool().flatten()
    there = np.array(RATIOS)
    found = Chart(
        [Line(there, made.found, name="nearest is itself"), Rule(x=ratio, drag="ratio", label="shown")],
        "Formulas with gaps that find themselves", Axis("share of blocks hidden", (0, 0.8)),
        Axis(range=(0, 1), grid=True),
        height=230, note=f"Among {UNSEEN}; drag the line.",
    )  # fmt: skip
    size = len(cosine)
    return Picture(
        "Mask & Match: what is left of a formula when blocks disappear",
        "A formula with gaps; the attention to each cell of the whole; cosines of its cells with ink, gaps against "
        "whole, bright on the diagonal; and how many formulas with gaps find themselves.",
        [
            [
                beside(whole[0, 0], hidden[0]),
                Chart(
                    [Heat(focus.view(SHAPE).numpy(), low=0, high=max(2.0, float(focus.max())))],
                    "Attention to the whole (bright: much)", Axis(range=(0, SHAPE[1])), Axis(range=(SHAPE[0], 0)),
                    bare=True, equal=True, height=190,
                ),
            ],
            [
                Chart(
                    [Heat(cosine.numpy(), low=0, high=1)],
                    "Cosines of cells with ink", Axis("cell of the whole", (0, size), ticks=()),
                    Axis("cell of the one with gaps", (size, 0), ticks=()), equal=True, height=230,
                    note="Bright on the diagonal alone: each cell knows itself.",
                ),
                found,
            ],
        ],
        [
            ("cells that find their place", f"{matched:.0%}"),
            ("cells with ink left", f"{int(clean.sum())} of {size}"),
            ("attention on ink", f"{float(attention[ink].sum()):.0%} (area {float(ink.double().mean()):.0%})"),
            ("digits read from cells", f"{made.symbol:.0%}"),
            ("structures read", f"{made.structure:.0%}"),
        ],
    )  # fmt: skip


class MatchPanel(KnobPanel):
    """Hide blocks of a formula, and see which of its cells still find their place and whether it finds itself.

    A small encoder with attention is trained in the background (a second or two): `local_weight` is how much it counts
    that each cell finds its own place in another view, `last` how much of a view is hidden at the end of the training.
    `ratio` hides blocks of the formula that is shown. Raises ValueError for values where a slider does not stop.
    """

    @takes
    def __init__(self, ratio: float = 0.4, local_weight: float = 1.0, last: float = 0.6) -> None:
        knobs = {
            "ratio": stepper("ratio", RATIOS, ratio, "hidden now", "share of blocks; or drag the line"),
            "local_weight": stepper("local_weight", WEIGHTS, local_weight, "cells λ", "weight of the local contrast"),
            "last": stepper("last", ENDS, last, "hidden in training", "share of blocks at its end"),
            "structure": dial(
                Choice("structure", tuple(LAYOUTS), help="which formula"), next(iter(LAYOUTS)), "formula"
            ),
        }
        super().__init__(
            knobs, match_picture, experiment=learn, decides=("local_weight", "last"),
            sweeps={"ratio": (0.0, 0.2, 0.4, 0.6), "local_weight": (0.0, 1.0), "last": (0.0, 0.6)},
        )  # fmt: skip


PANEL = MatchPanel
