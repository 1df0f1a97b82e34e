"""Mask & Match on formulas whose places are known: what cells tell of symbols, and what is left behind masks."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.names import unknown
from cl_explore.papers.mask_and_match import PAPER
from cl_explore.papers.mask_and_match.method import AttentionPool, GridEncoder, MaskAndMatch, hide_blocks, inked
from cl_explore.papers.mask_and_match.world import FEATURES, InkViews, crohme, formulas, networks

SYMBOL, STRUCTURE, OCCLUDED, FOUND = "symbol at cell", "structure", "structure, occluded", "occluded found"
MATCHED, PLACE, FOCUS = "cells matched", "place of white cells", "attention on ink"
TAU = 0.2
SEEN = 23
"""Pixels on a side that a cell sees."""
VIEWS = InkViews()
ARMS: dict[str, dict[str, Any]] = {
    "global": {"local_weight": 0.0, "last": 0.0},
    "global + local": {"last": 0.0},
    "progressive": {},
    "attention": {"attention": True},
    "constant": {"schedule": "constant"},
    "all cells": {"anchors": "all", "last": 0.0},
}


def written(seed: int, split: str, samples: int) -> Dataset:
    """So many of CROHME's formulas, drawn by the seed."""
    whole = crohme(split)
    return whole.subset(torch.randperm(len(whole), generator=Generator().manual_seed(seed))[:samples])


WORLDS = {"formulas": formulas, "crohme": written}


class Surroundings(nn.Module):
    """The pixels that each cell sees, as they are: maps (N, 1, H, W) to (N, 529, H / 4, W / 4)."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = (side // 4 for side in x.shape[-2:])
        return F.unfold(x, SEEN, padding=SEEN // 2, stride=4).unflatten(2, (height, width))


class Pixels(GridEncoder):
    """The raw input: h is the picture, its cells are their surroundings."""

    def __init__(self) -> None:
        super().__init__(Surroundings(), nn.Flatten(), SEEN**2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x)


class Seen:
    """A data set through a frozen encoder, on the CPU: `x` (N, 1, H, W), `grid` (N, F, h, w), and `h` of any x."""

    def __init__(self, method: Method, dataset: Dataset) -> None:
        assert isinstance(method.encoder, GridEncoder)
        self.encoder = copy.deepcopy(method.encoder).cpu().eval()
        self.dataset, self.x = dataset, dataset.batch(torch.arange(len(dataset))).x
        with torch.no_grad():
            self.grid = self.encoder.grid(self.x)
        self.ink = inked(self.x, self.grid.shape[-2:])

    @torch.no_grad()
    def h(self, x: Tensor) -> Tensor:
        return torch.cat([self.encoder(part) for part in x.split(256)])

    def symbols(self) -> tuple[Tensor, Tensor]:
        """Features (n, F) of the cells at the middles of known symbols, and which symbols these are, (n,)."""
        cells, labels, factors = [], [], self.dataset.factors
        for place in range(sum(name.startswith("symbol") for name in factors)):
            label = factors[f"symbol {place}"]
            rows = (label >= 0).nonzero()[:, 0]
            cells.append(self.grid.flatten(2)[rows, :, factors[f"cell {place}"][rows]])
            labels.append(label[rows])
        return torch.cat(cells), torch.cat(labels)

    def white(self) -> tuple[Tensor, Tensor]:
        """Features (n, F) of cells without ink, of every fourth picture, and their columns (n,)."""
        white = ~self.ink[::4]
        return self.grid[::4].movedim(1, 3)[white], white.nonzero()[:, 2].to(self.grid.dtype)

    @torch.no_grad()
    def matched(self) -> float:
        """The share of cells with ink that are nearest, by cosine, to their own place in another view."""
        views = VIEWS(self.x, Generator().manual_seed(0), 2)
        u, v = (F.normalize(self.encoder.grid(views[:, view]).flatten(2), dim=1) for view in (0, 1))
        own = torch.arange(u.shape[2])
        return ((u.mT @ v).argmax(2) == own)[self.ink.flatten(1)].double().mean().item()


def probe(method: Method, train: Dataset, test: Dataset, *, seed: int, occluded: float) -> dict[str, float]:
    """What cells and pooled features h tell, of whole pictures and of some with that share of blocks hidden."""
    seen, unseen = Seen(method, train), Seen(method, test)
    h, clean = seen.h(seen.x), unseen.h(unseen.x)
    hidden = unseen.h(hide_blocks(unseen.x, occluded, Generator().manual_seed(seed))[0])
    found = {
        SYMBOL: evaluate.linear_accuracy(*seen.symbols(), *unseen.symbols()),
        STRUCTURE: evaluate.linear_accuracy(h, train.labels, clean, test.labels),
        OCCLUDED: evaluate.linear_accuracy(h, train.labels, hidden, test.labels),
        FOUND: evaluate.recall(hidden, clean, 1),
        MATCHED: unseen.matched(),
        PLACE: evaluate.ridge_regression(*seen.white(), *unseen.white()).r2,
    }
    if isinstance(pool := unseen.encoder.pool, AttentionPool):
        with torch.no_grad():
            weight = pool.logits(unseen.grid).softmax(1)
        found |= {FOCUS: weight[unseen.ink.flatten(1)].sum().item() / len(weight),
                  "entropy": torch.special.entr(weight).sum(1).mean().item()}  # fmt: skip
    return found


def attending(train: Dataset, *, grid: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The second stage: a trained grid whose weights are frozen, under attention that is compared itself."""
    return GridEncoder(copy.deepcopy(grid).requires_grad_(False), AttentionPool(FEATURES), FEATURES), nn.Identity()


def run(
    seed: int,
    *,
    world: str = "formulas",
    arms: Sequence[str] = tuple(ARMS),
    samples: int = 1024,
    unseen: int = 300,
    epochs: int = 5,
    last: float = 0.6,
    occluded: float = 0.4,
) -> list[Row]:
    """The arms, then attention alone on the frozen grid of the one that was trained without masks.

    world: "formulas" of digits, or "crohme"
    arms: of ARMS; "global + local" must be among them
    samples, unseen: formulas of the train and of the test part, drawn by the seed
    epochs: of batches of 32
    last: share of blocks that are hidden at the end of a training. occluded: and of the pictures that are tested
    """
    if world not in WORLDS:
        raise unknown("world", world, WORLDS)
    train, test = WORLDS[world](seed, "train", samples), WORLDS[world](seed, "test", unseen)
    settings = {"epochs": epochs, "batch_size": 32, "lr": 2e-3}
    common: dict[str, Any] = {"loss": "nt_xent", "augment": VIEWS}
    plan = {
        "raw input": Entry(settings=None, networks=lambda train: (Pixels(), nn.Identity()), **common),
        "untrained encoder": Entry(settings=None, networks=networks, **common),
    }
    masked: dict[str, Any] = {
        **common, "settings": settings, "form": MaskAndMatch, "steps": epochs * (samples // 32), "temperature": TAU
    }  # fmt: skip
    for name in arms:
        own = {"last": last, **ARMS[name]}
        built = partial(networks, attention=own.pop("attention", False))
        plan[name] = Entry(networks=built, **masked, **own)
    measure = partial(probe, seed=seed, occluded=occluded)
    found = compare(plan, train, test, (measure,), seed=seed)
    grid = found.methods["global + local"].encoder
    assert isinstance(grid, GridEncoder)
    second = Entry(networks=partial(attending, grid=grid.grid), local_weight=0.0, last=last, **masked)
    return found.rows + compare({"two stages": second}, train, test, (measure,), seed=seed).rows


STUDY = Study(
    paper=PAPER,
    about="A contrast of whole pictures of formulas needs one cue in each; one of their cells rewards every cell for "
    "its own content, and masks that grow make the whole say the same when pieces are gone. (Only the abstract is "
    "known: both losses, the masks and the attention are reconstructions, the decoder that writes LaTeX is left out, "
    "and formulas are two of scikit-learn's digits in six structures. All is trained in one stage; two stages are the "
    "paper's order.)",
    claims=(
        Claim("Global and local contrast together read symbols from cells better than the global one alone.", SYMBOL,
              "global + local", "higher", "global", margin=0.01),
        Claim("And structures.", STRUCTURE, "global + local", "higher", "global"),
        Claim("The local contrast is what makes cells find their own place in another view.", MATCHED,
              "global + local", "higher", "global", margin=0.1),
        Claim("With masks that grow to 60 %, structures are read better where 40 % of the blocks are gone.", OCCLUDED,
              "progressive", "higher", "global + local", margin=0.05),
        Claim("And such a formula finds its whole self among 300 more often.", FOUND, "progressive", "higher",
              "global + local", margin=0.05),
        Claim("Masks cost some of what cells tell of symbols.", SYMBOL, "progressive", "lower", "global + local",
              margin=0.01, negative=True),
        Claim("Attention in place of the mean finds formulas with gaps more often.", FOUND, "attention", "higher",
              "progressive", margin=0.02),
        Claim("But it reads their structure no better.", OCCLUDED, "attention", "equal", "progressive", margin=0.03,
              negative=True),
        Claim("Masks that grow and masks that are large from the start come out alike.", OCCLUDED, "progressive",
              "equal", "constant", margin=0.03, negative=True),
        Claim("Where white cells count as anchors, too, they learn where they are.", PLACE, "all cells", "higher",
              "global + local", margin=0.05),
        Claim("Attention trained alone, on a frozen grid, finds formulas with gaps better than their mean.", FOUND,
              "two stages", "higher", "global + local"),
        Claim("Cells tell symbols better than those of an untrained encoder.", SYMBOL, "global + local", "higher",
              "untrained encoder"),
        Claim("With masks, structures with gaps are read better than by an untrained encoder.", OCCLUDED,
              "progressive", "higher", "untrained encoder", margin=0.05),
        Claim("The pixels that a cell sees tell the symbol better than its features.", SYMBOL, "raw input", "higher",
              "global + local", negative=True),
        Claim("On CROHME, unseen writers: cells tell symbols better than with the global contrast alone.", SYMBOL,
              "global + local", "higher", "global", margin=0.01, preset="real"),
        Claim("On CROHME, masks that grow let structures be read better where 40 % of the blocks are gone.", OCCLUDED,
              "progressive", "higher", "global + local", margin=0.02, preset="real"),
        Claim("On CROHME, a formula with gaps finds its whole self more often after such masks.", FOUND,
              "progressive", "higher", "global + local", margin=0.05, preset="real"),
        Claim("On CROHME, attention in place of the mean finds formulas with gaps more often.", FOUND, "attention",
              "higher", "progressive", margin=0.02, preset="real"),
        Claim("On CROHME, cells tell symbols better than those of an untrained encoder.", SYMBOL, "global + local",
              "higher", "untrained encoder", preset="real"),
        Claim("On CROHME, features of a cell tell symbols better than the pixels that it sees.", SYMBOL,
              "global + local", "higher", "raw input", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [SYMBOL, OCCLUDED, FOUND]),
    presets={
        "smoke": {"samples": 64, "unseen": 40, "epochs": 1},
        "real": {"world": "crohme", "arms": ("global", "global + local", "progressive", "attention"), "unseen": 600},
    },
)  # fmt: skip
