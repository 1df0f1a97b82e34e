# %% [markdown]
# # Pieces
#
# **Can a piece find its place?**
#
# So far a positive was another view of the whole: the same picture once more, the same person a moment later. A jigsaw
# puzzle needs no second view. Take pieces out of one picture, and ask where they belong. Whoever can put an eye back must
# know something about faces. Or must they? A piece may also be found by its colour, or by a stripe that goes on.
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Negatives](slug:negatives) and
# [Lost or hidden](slug:lost_or_hidden).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import evaluate, losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.data import Dataset
from cl_explore.papers.mask_and_match.method import GridEncoder, inked, local_contrast
from cl_explore.papers.mask_and_match.panel import SHAPE, MatchPanel, learn, masks
from cl_explore.papers.mask_and_match.panel import world as formulas
from cl_explore.papers.mask_and_match.world import CELL
from cl_explore.papers.selfie import study as puzzle
from cl_explore.papers.selfie.method import Holes
from cl_explore.papers.selfie.panel import HolesPanel
from cl_explore.papers.selfie.world import pictures
from cl_explore.widgets import bet, tally

plots.use()
check = checker("pieces")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Any other patch will do as a wrong answer"
#
# Each picture shows one of six shapes. It is cut into **patches**, and some are taken out. The network sees the patches
# that are left, and for each **hole** it must say which patch was there. The right one is the positive. It is among the
# **candidates**, and the others are the negatives.

# %%
SETTINGS = puzzle.STUDY.settings()
SIZES = SETTINGS["samples"], SETTINGS["unseen"]
worlds = {s: pictures(s, *SIZES) for s in seeds}
x = worlds[seed][1].x[:8]
views = Holes(4, 4)(x, torch.Generator().manual_seed(5))
missing = torch.zeros(len(x), 16, dtype=torch.bool).scatter(1, views["place"][:, :4], True)
holes = missing.view(-1, 1, 4, 4).repeat_interleave(6, 2).repeat_interleave(6, 3)
print(
    f"patches of a picture: {views['patch'].shape[1]}, of {views['patch'].shape[3]} x {views['patch'].shape[4]} pixels"
)
print(f"taken out: {views['place'][:, :4].shape[1]}; chance to be right among them: {1 / 4:.0%}")
plots.show(
    plots.pictures(torch.stack([x, x.masked_fill(holes, 1.0)]), rows=["whole", "with holes"]),
    alt="Two rows of eight small pictures of one coloured shape on a dark background: whole, and with four square holes.",
)

# %% [markdown]
# In [Losses from scratch](slug:losses_from_scratch) the negatives were all others of the batch. So take as candidates
# the missing patches of *all* pictures of the batch. There are many of them, which should be good.
#
# Afterwards the puzzle is thrown away, and the network that read patches reads whole pictures. A logistic regression gets
# ten labels of each shape (then fifty), and must tell the shapes of new pictures.

# %%
any_patch = bet(
    "With candidates from the whole batch: how well are shapes told with ten labels each, beside the untrained encoder?",
    ["better, by more than 3 points", "about as well (within 3 points)", "worse, by more than 3 points"],
)
any_patch

# %% jupyter={"source_hidden": true}
ARMS = puzzle.plan(epochs=6)
COLUMNS = {puzzle.PRETEXT: "right patch", puzzle.FEW: "10 labels", puzzle.MORE: "50 labels"}


def compared(names: dict[str, str], parts: dict[int, tuple[Dataset, Dataset]]) -> pd.DataFrame:
    """What becomes of these arms of the study's plan under names of our own, by seed and method."""
    plan = {own: ARMS[name] for own, name in names.items()}
    return bench.table({s: bench.compare(plan, *part, [puzzle.probe], seed=s) for s, part in parts.items()})


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of all seeds side by side."""
    shown = rows.pivot(index="method", columns="seed", values=list(COLUMNS)).loc[rows["method"].unique()]
    shown.columns = [f"{COLUMNS[column]}, seed {s}" for column, s in shown.columns]
    shown.index.name = None
    return shown


# %%
names = {"raw input": "raw input", "untrained": puzzle.UNTRAINED, "of the whole batch": puzzle.BATCH}
rows = compared(names, worlds)
table(rows).style.format("{:.0%}", na_rep="")

# %% tags=["claim"]
few = rows.pivot(index="seed", columns="method", values=puzzle.FEW)
gain = few["of the whole batch"] - few["untrained"]
any_patch.settle(any_patch.options[0 if gain.min() > 0.03 else 2 if gain.max() < -0.03 else 1])
right = rows.pivot(index="seed", columns="method", values=puzzle.PRETEXT)["of the whole batch"]
assert (right > 0.5).all(), "twice as often as by chance: something was learned"
assert gain.max() < 0.05, "but nothing that tells shapes"

# %% [markdown]
# The network does learn: asked for the patches of *one* picture (the first columns), it is right far more often than
# by chance. But what it learned tells shapes no better than a network that was never trained. Almost all candidates are
# of another colour than the picture. They are rejected by a look at the colour, and that is what the network gets good at.
# It is the shortcut of [Lost or hidden](slug:lost_or_hidden) again: what suffices is learned, and then it stops.
#
# ## 2 · "So make it harder: only pieces of the same picture"
#
# Then colour is of no use. This is **Selfie**. Its loss can be written in three lines. The visible patches are put
# together into one vector $u$ (by attention, or as their mean). Each place has a learned vector $r_i$: one of its row plus
# one of its column. What is known of hole $i$ is $q_i = u + r_i$, and $h_j$ are the missing patches, as the network sees
# them:
#
# $$\ell = -\log \frac{e^{q_i^\top h_i}}{\sum_j e^{q_i^\top h_j}}$$
#
# The sum runs over the missing patches of the same picture. The products are no cosines, and nothing divides them.


# %%
def puzzle_loss(q: Tensor, h: Tensor) -> Tensor:
    """q, h (pictures, holes, D): patch i is from hole i."""
    products = q @ h.mT  # every hole with every missing patch of its picture
    return -products.log_softmax(2).diagonal(dim1=1, dim2=2).mean()


generator = torch.Generator().manual_seed(seed)
u, r, h = (torch.randn(size, generator=generator, dtype=torch.float64) for size in ((5, 1, 8), (5, 4, 8), (5, 4, 8)))
picture = torch.arange(5).repeat_interleave(4)
library = losses.selfie((u + r).flatten(0, 1), h.flatten(0, 1), picture)
torch.testing.assert_close(puzzle_loss(u + r, h), library)
torch.testing.assert_close(
    puzzle_loss(u + r, h + torch.randn(8).double()), library
)  # what all patches share is no help

# %% [markdown]
# The last line adds one vector to every patch, as a colour that the whole picture has. The loss is the same: what all
# candidates share cannot help. Now the bet.

# %%
same_picture = bet(
    "With candidates of the same picture: how well are shapes told with ten labels each, beside the untrained encoder?",
    ["better, by more than 3 points", "about as well (within 3 points)", "worse, by more than 3 points"],
)
same_picture

# %%
pixels = bet(
    "And beside the raw pixels, which do well on shapes that always stand in the middle?",
    ["better, by more than 3 points", "within 3 points, or it depends on the seed", "worse, by more than 3 points"],
)
pixels

# %%
rows = pd.concat([rows, compared({"of the same picture": puzzle.SELFIE}, worlds)])
table(rows).style.format("{:.0%}", na_rep="")

# %% tags=["claim"]
few, right = (rows.pivot(index="seed", columns="method", values=name) for name in (puzzle.FEW, puzzle.PRETEXT))
gain, ahead = (few["of the same picture"] - few[other] for other in ("untrained", "raw input"))
same_picture.settle(same_picture.options[0 if gain.min() > 0.03 else 2 if gain.max() < -0.03 else 1])
pixels.settle(pixels.options[0 if ahead.min() > 0.03 else 2 if ahead.max() < -0.03 else 1])
assert (right["of the same picture"] > right["of the whole batch"] + 0.08).all()
assert (few["of the same picture"] > few["of the whole batch"] + 0.05).all()
assert (few["of the same picture"] > few["untrained"] + 0.03).all()

# %% [markdown]
# Fewer negatives, and harder ones, teach more. The gain over the untrained encoder is clear; over raw pixels it is small
# with ten labels, and with fifty there is none: shapes in the middle of a picture are easy for pixels. The authors report
# gains on photographs of ImageNet, with a much larger network.
# [The scorecard](../docs/scorecard/selfie.md) has all seeds, trained longer than here, and says how it went on
# photographs. It also has a tie: to put the visible patches together by attention, as in the paper, taught no more than
# their mean.
#
# Two steps further: what else gives the answer away?
#
# ## 3 · "A puzzle that is solved has taught what it shows"
#
# First, a mistake that is easily made. The hole knows its place, $r_i$. Suppose each missing patch also carries the vector
# of the place that it came from, because "all patches should be treated alike".
#
# Second, another world: smaller shapes on backgrounds with stripes, checks and dots. All candidates are of the same
# picture, as they should be.

# %%
leak = bet(
    "Patches that carry their own places: how often is the right patch found, and what is learned about shapes?",
    ["nearly always, and clearly less is learned", "nearly always, and it is hard to say", "not much more often"],
)
leak

# %%
stripes = bet(
    "Stripes, checks and dots: beside the untrained encoder, how well are shapes told with ten labels each?",
    ["better, by more than 5 points", "about as well (within 5 points)", "worse, by more than 5 points"],
)
stripes

# %%
rows = pd.concat([rows, compared({"with their places": puzzle.LEAK}, worlds)])
textured = {s: pictures(s, *SIZES, "shortcut") for s in seeds}
before = {"raw input": "raw input", "untrained": puzzle.UNTRAINED, "of the same picture": puzzle.SELFIE}
striped = compared(before, textured)
shown = pd.concat([table(rows.iloc[-len(seeds) :]), table(striped).rename(lambda name: f"stripes: {name}")])
shown.style.format("{:.0%}", na_rep="")

# %% jupyter={"source_hidden": true}
plots.show(
    plots.pictures(torch.stack([textured[seed][1].x[:8]]), rows=["stripes"]),
    alt="Eight small pictures of coloured shapes on backgrounds with stripes, checks, dots and plain colour.",
)

# %% tags=["claim"]
few, right = (rows.pivot(index="seed", columns="method", values=name) for name in (puzzle.FEW, puzzle.PRETEXT))
lost = few["with their places"] - few["of the same picture"]
assert (right["with their places"] > 0.97).all()
leak.settle(leak.options[0 if lost.max() < -0.03 else 1])
few, right = (striped.pivot(index="seed", columns="method", values=name) for name in (puzzle.FEW, puzzle.PRETEXT))
gain = few["of the same picture"] - few["untrained"]
stripes.settle(stripes.options[0 if gain.min() > 0.05 else 2 if gain.max() < -0.05 else 1])
assert (right["of the same picture"] > 0.3).all(), "more often than by chance"
assert gain.abs().max() < 0.08, "but shapes are as hard as before"

# %% [markdown]
# With places on both sides the puzzle is solved without a look at the patches. Less is learned then: twenty seeds say so,
# where one or two may not show it. But it is not nothing. So do not trust a puzzle because it is solved, and do not
# distrust it either: ask it for what you need.
#
# The stripes are the more honest warning. There is more to be seen, the puzzle is solved more often than by chance, and
# nothing about shapes is learned: a stripe that goes on from one patch to the next is enough.
#
# On a live page:
#
# - Take out more and more patches. Which go wrong first?
# - Set the steps to 0: what does an untrained encoder choose?
# - Take patches with a larger side. Why is the puzzle easier with fewer pieces?

# %%
HolesPanel()

# %% [markdown]
# ## 4 · "One vector for the whole; the pieces will follow"
#
# Now a world in which the pieces themselves matter. A handwritten formula is two digits in a structure: a sum, a fraction, a
# power, a root. The encoder makes a grid of **cells**, each with a vector, and their mean stands for the whole formula. A
# contrast of two views of the whole (NT-Xent) wants only that formulas differ. One digit that it can read suffices.
#
# **Mask & Match** adds a contrast of cells. Each cell of one view is a query, and the cells of the other view *of the same
# formula* are the keys: each must find its own place. It is `losses.clip` inside every picture.

# %%
train, test = formulas()
cells = torch.randn(3, 2, 12, 6, generator=generator, dtype=torch.float64)  # pictures, views, cells, D
by_hand = torch.stack([losses.clip(one, two, temperature=0.2) for one, two in cells]).mean()
torch.testing.assert_close(local_contrast(cells, temperature=0.2), by_hand)

gaps, hidden = masks(test.x, 0.4)
print(f"a formula has {SHAPE[0]} x {SHAPE[1]} cells, so chance to find a place is {1 / (SHAPE[0] * SHAPE[1]):.1%}")
plots.show(
    plots.pictures(torch.stack([1 - test.x[:6], 1 - gaps[:6]]), rows=["whole", "40 % of blocks gone"]),
    alt="Two rows of six handwritten formulas of two digits: whole, and with many square blocks turned white.",
)

# %% [markdown]
# There is a third step: while training goes on, more and more blocks of one view disappear. Then a cell can be asked for
# its place even though nothing is left of its ink. Only the rest of the formula can tell.
#
# Three trainings, each with the same steps: the contrast of the whole alone; with that of cells; and with blocks that
# disappear. Then 40 % of the blocks of unseen formulas are hidden. Which cells find their place in the whole formula?

# %%
context = bet(
    "A cell whose ink is all or partly hidden: how often does it find its place after the best of the three trainings?",
    ["at most a third of the time", "between a third and two thirds", "more than two thirds"],
)
context

# %%
follow = bet(
    "And after the contrast of the whole alone: how many of the cells that were NOT touched find their place?",
    ["nearly all, more than 90 %", "between 70 and 90 %", "less than 70 %"],
)
follow


# %%
def found(encoder: GridEncoder) -> dict[str, float]:
    """How often cells with ink find their places, and formulas with gaps themselves."""
    with torch.no_grad():
        whole, part = (F.normalize(encoder.grid(x).flatten(2), dim=1) for x in (test.x, gaps))
        query, key = encoder(gaps), encoder(test.x)
    places = (part.mT @ whole).argmax(2) == torch.arange(whole.shape[2])
    ink = inked(test.x, SHAPE).flatten(1)
    touched = F.max_pool2d(hidden[:, None].float(), CELL).bool().flatten(1)
    cells = {"untouched cells": ink & ~touched, "hidden cells": ink & touched}
    shares = {name: places[mask].double().mean().item() for name, mask in cells.items()}
    return shares | {"formulas": evaluate.recall(query, key, 1)}


TRAININGS = {"whole": (0.0, 0.0), "whole and cells": (1.0, 0.0), "and blocks disappear": (1.0, 0.6)}
encoders = {name: learn(*knobs).encoder for name, knobs in TRAININGS.items()}
pieces = pd.DataFrame({name: found(encoder) for name, encoder in encoders.items()}).T
pieces.style.format("{:.0%}")

# %% tags=["claim"]
best = pieces["hidden cells"].max()
context.settle(context.options[0 if best < 1 / 3 else 1 if best < 2 / 3 else 2])
alone = pieces.loc["whole", "untouched cells"]
follow.settle(follow.options[0 if alone > 0.9 else 1 if alone > 0.7 else 2])
assert pieces["hidden cells"].is_monotonic_increasing
assert pieces["untouched cells"].is_monotonic_increasing
assert pieces["formulas"].is_monotonic_increasing
assert pieces.loc["and blocks disappear", "hidden cells"] > pieces.loc["whole", "hidden cells"] + 0.2

# %% [markdown]
# The pieces do not follow from the whole: where neighbours are gone, even a cell that nobody touched gets lost. Cells that
# were asked for their place know it. Asked under masks, they know it from the rest of the formula, and then the formula
# finds itself, too (the last column, among all unseen ones).
#
# These are single trainings. Over twenty seeds two things hold, on [the scorecard](../docs/scorecard/mask-and-match.md):
# the contrast of cells lets digits be read better from their cells, and masks let formulas with gaps find themselves. Other
# parts gave nothing here. Masks that are large from the start do as well as masks that grow. The attention that the authors
# put in place of the mean stays nearly even, and looks at white cells if it is trained by itself. (Their losses had to be
# rebuilt from an abstract.)
#
# On a live page:
#
# - Hide more, until cells lose their places. Does the formula still find itself?
# - Set the weight of cells to 0. What becomes of the diagonal?

# %%
MatchPanel()

# %% [markdown]
# ## 5 · "A piece is a small sample"
#
# It is not: a sample is met by others of the batch, a piece by its own picture. Put the contrasts of this page side by
# side, and ask of each what gives the answer away.
#
# | who asks | among which | what can give it away |
# |---|---|---|
# | a hole | patches of all pictures | colour |
# | a hole | patches of the same picture | a stripe that goes on |
# | a hole | patches that carry their places | the place |
# | a whole formula | all other formulas | one digit |
# | a cell | cells of the same formula | its own ink |
# | a cell without ink | cells of the same formula | nothing but the rest of the formula |
#
# Each line takes away what sufficed in an earlier one. That is how to think about negatives: which easy answer do they forbid?
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Cut a grey picture `x` of shape `(H, W)` into `grid` times `grid` patches, row by row. Both sides can be divided by
# `grid`.


# %%
def cut(x: Tensor, grid: int) -> Tensor: ...


check("cut", cut)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def cut(x, grid):
#     rows, columns = x.shape[0] // grid, x.shape[1] // grid
#     return x.view(grid, rows, grid, columns).transpose(1, 2).flatten(0, 1)
#
# check("cut", cut)
# ```
#
# And cut *before* a network sees the picture: a convolution over the whole would carry what is missing into the
# neighbours.
# </details>

# %% [markdown]
# **2.** What share of all holes gets the right patch? `query` and `patches` are `(B, m, D)`: of `B` pictures the vectors of
# `m` holes, and of the patches that belong into them, in the same order.


# %%
def right(query: Tensor, patches: Tensor) -> Tensor: ...


check("right", right)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def right(query, patches):
#     chosen = (query @ patches.mT).argmax(2)
#     return (chosen == torch.arange(query.shape[1])).double().mean()
#
# check("right", right)
# ```
# </details>

# %% [markdown]
# **3.** Some missing patches look exactly the same, as pieces of a plain sky. `looks` holds a number for each missing patch
# of a picture, equal for those that look the same. What share of its holes can be filled rightly at best, on the mean?


# %%
def best(looks: Tensor) -> Tensor: ...


check("best", best)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Each kind of patch can be placed by luck alone: of two that look the same one is right on the mean. So there is one right
# patch for each kind.
#
# ```python
# def best(looks):
#     return torch.tensor(len(looks.unique()) / len(looks), dtype=torch.float64)
#
# check("best", best)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Take out more: `puzzle.plan(epochs=6, masked=10)` leaves six patches to be seen.
# Put that plan in place of `ARMS` and run sections 1 and 2 again. Chance is lower now, so compare each share of right
# patches with its own chance. Are shapes told better or worse?
#
# **5.** (To think about.) You have recordings of birds as spectrograms, in which time runs to the right and pitch upwards. Cut
# them into patches for a puzzle. What gives the answer away there, which a picture does not have? Which candidates would you
# take to forbid it?
#
# ## References
#
# - Trinh, Luong & Le, *Selfie: self-supervised pretraining for image embedding*, 2019,
#   [1906.02940](https://arxiv.org/abs/1906.02940). No code is published; the pictures here are drawn.
# - *Mask & Match: learning to recognize handwritten math with self-supervised attention*, 2025,
#   [2508.06107](https://arxiv.org/abs/2508.06107). Rebuilt from the abstract; the formulas here are made of scanned digits.
# - Noroozi & Favaro, *Unsupervised learning of visual representations by solving jigsaw puzzles*, ECCV 2016,
#   [1603.09246](https://arxiv.org/abs/1603.09246), for puzzles and their shortcuts.
# - van den Oord et al., *Representation learning with contrastive predictive coding*, 2018,
#   [1807.03748](https://arxiv.org/abs/1807.03748), for patches that predict patches.
