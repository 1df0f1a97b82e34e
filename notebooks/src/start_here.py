# %% [markdown]
# # Start here
#
# **What is contrastive learning, and when does it win?**
#
# Take a set of pictures and make two versions of each, a little different from one another. Shuffle them all, show them
# to a network, and ask about each one: *which of the others is its partner?* Nobody says what the pictures show. The
# same game, played with hundreds of millions of pictures and captions, is how machines learned to search photographs by
# words. With photographs of faces it teaches them to recognise people, and with questions and passages of text to find
# the passage that holds the answer.
#
# Here you play it with pictures about which we know everything, in a few seconds of training on any laptop. First look
# at what the plain pixels can do; then **bet** on what the network will learn; then see whether you were right.
#
# **You need** a little Python. Run the cells from top to bottom: `Shift+Enter` runs one and moves on.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke" for a quick check
seed: int = 0  # the first of the seeds

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, losses, methods, nn, plots, train, widgets
from cl_explore.app.exercises import checker
from cl_explore.data import FactorViews, factor_rows
from cl_explore.widgets import bet, tally

plots.use()
check = checker("start_here")
seeds = range(seed, seed + (1 if preset == "smoke" else 2))

# %% [markdown]
# ## 1 · What do pixels know?
#
# Every picture is painted from a handful of numbers, its **factors**: one of eight shapes, its hue, its pose (where it
# is, how large, how turned), and a background with a hue and a texture. Here are eight of them, of 16 × 16 pixels.

# %%
pictures, test = data.load("factor_world", n=2000), data.load("factor_world", "test", n=1000)
names = [test.class_names[label] for label in test.labels[:8]]
plots.show(
    plots.pictures(test.x[:8][None], columns=names),
    alt="Eight small pictures: coloured shapes on dim, textured backgrounds.",
)

# %% [markdown]
# A list of numbers that stands for a picture is a **representation** of it; its pixels are the simplest one. How well
# can the factors be read from a representation? Ask the **nearest neighbours**: the 20 training pictures whose
# representations are most similar to that of a test picture vote on its class. Similarity is the **cosine** of the
# angle between two representations, and more similar neighbours have more say.
#
# We ask for the shape and for the two hues. Each hue is one of eight equal parts of the colour circle, so a guess is
# right one time in eight. These labels are only for measuring. No network on this page is trained with them.

# %%
labels = {
    "shape": (pictures.labels, test.labels),
    "hue": tuple((8 * part.factors["hue"]).long() for part in (pictures, test)),
    "background": tuple((8 * part.factors["bhue"]).long() for part in (pictures, test)),
}


def read(seen: Tensor, unseen: Tensor) -> dict[str, float]:
    """The share of test pictures that the neighbours get right, for each factor."""
    return {name: evaluate.knn_accuracy(seen, a, unseen, b, k=20) for name, (a, b) in labels.items()}


pixels = [part.x.flatten(1) / 255 for part in (pictures, test)]
raw = read(*pixels)
pd.DataFrame([raw], index=["raw pixels"]).style.format("{:.0%}")


# %%
def neighbours(x: Tensor, queries: Tensor) -> Tensor:
    """Row numbers of the queries and of the seven others that are nearest to each by cosine, (Q, 8)."""
    x = F.normalize(x, dim=1)
    similarity = (x[queries] @ x.T).scatter(1, queries[:, None], torch.inf)
    return similarity.topk(8).indices


queries, titles = torch.tensor([3, 6, 21]), ["picture", *["neighbour"] * 7]
plots.show(
    plots.pictures(test.x[neighbours(pixels[1], queries)], columns=titles),
    alt="Three pictures with their seven nearest by pixels: mostly of the same colour, often of another shape.",
)

# %% [markdown]
# To the pixels, two pictures are similar when a bright object of the same colour covers the same place. The same shape
# in another pose covers other pixels. And the background is dim, so it counts for little beside the object.
#
# ## 2 · Two views, and nothing else
#
# Paint each picture twice. The two **views** share some of its factors; the other factors are drawn at random for each.
# An **encoder** $f$, which is a network, turns a view into its representation $h$. A small second network, the
# **head**, turns $h$ into its **embedding** $z$, a vector of length 1 and so a point on a sphere. Training takes a
# **batch** of pictures at a time, and its loss asks one thing: *find your partner among all other views of the batch.*
#
# The view that asks is called the **anchor**, its partner the **positive**, and all other views of the batch are the
# **negatives**. For anchor $i$ with positive $p$, cosines $s_{ij} = z_i^\top z_j$ and a number $\tau$, the
# **temperature**, the loss is
#
# $$\ell_i = -\log \frac{e^{s_{ip}/\tau}}{\sum_{j \ne i} e^{s_{ij}/\tau}}$$
#
# and the mean over all anchors is trained on. This is **NT-Xent**, the loss of SimCLR. It takes four lines. After
# training the head has done its work, and we read the encoder's output $h$.


# %%
def by_hand(z: Tensor, temperature: float) -> Tensor:
    x = F.normalize(z.flatten(0, 1), dim=1)  # z (B, 2, D): rows 2b and 2b + 1 are partners
    logits = (x @ x.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(x)).view(-1, 2).flip(1).flatten()
    return F.cross_entropy(logits, partner)


z = torch.randn(5, 2, 3)
torch.testing.assert_close(by_hand(z, 0.2), losses.nt_xent(z, temperature=0.2))


# %%
def start(resample: tuple[str, ...], seed: int) -> methods.JointEmbedding:
    """The untrained encoder and head of a seed, and the factors in which its views will differ."""
    torch.manual_seed(seed)
    encoder = nn.ConvNet(3, width=16)
    head = nn.projection_head(64, 64, 32)
    return methods.JointEmbedding(encoder, head, "nt_xent", FactorViews(resample), temperature=0.2)


def represent(method: methods.JointEmbedding) -> tuple[Tensor, Tensor]:
    return evaluate.embed(method, pictures).h, evaluate.embed(method, test).h


def learn(resample: tuple[str, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Representations of the training and the test pictures after a few seconds of training."""
    method = start(resample, seed)
    train.fit(method, factor_rows(pictures), epochs=8, batch_size=125, lr=3e-3, seed=seed, snapshots=0, progress=False)
    return represent(method)


# %% [markdown]
# For the first experiment the two views show the same object in front of the same background, in another pose.

# %%
POSE = ("x", "y", "scale", "rot")


def examples(resample: tuple[str, ...]) -> Tensor:
    """Two views of eight pictures, (2, 8, 3, 16, 16)."""
    return FactorViews(resample)(factor_rows(pictures).x[:8], torch.Generator().manual_seed(seed)).transpose(0, 1)


plots.show(
    plots.pictures(examples(POSE), rows=["view 1", "view 2"]),
    alt="Eight pictures in two rows: the same object and background in both, but the object moved and turned.",
)

# %%
first = bet(
    "The views differ only in pose. For which factor will the encoder's neighbours gain most on those of the pixels?",
    ["shape", "hue", "background"],
)
first

# %%
untrained = {s: read(*represent(start(POSE, s))) for s in seeds}
posed = {s: read(*learn(POSE, s)) for s in seeds}
table = pd.DataFrame(
    {("raw pixels", ""): raw}
    | {("untrained encoder", f"seed {s}"): row for s, row in untrained.items()}
    | {("views vary the pose", f"seed {s}"): row for s, row in posed.items()}
).T
table.style.format("{:.0%}")

# %% tags=["claim"]
gain = {name: min(row[name] for row in posed.values()) - raw[name] for name in raw}
first.settle(max(gain, key=gain.get))
for s in seeds:
    assert posed[s]["background"] > raw["background"] + 0.15, "far beyond pixels, on every seed"
    assert posed[s]["background"] > untrained[s]["background"] + 0.15, "and it is the training, not the encoder"
    assert posed[s]["shape"] < raw["shape"], "while the shape is harder to read than before"

# %% [markdown]
# The background's hue can now be read far more often than from the pixels, although it is the dimmest thing in the
# picture and nobody named it. The same background helps to find one's partner, so the encoder came to represent it. The
# shape is harder to read than from the pixels: the views share it too, but the colours are enough to tell the partner
# from the $2 \cdot 125 - 2 = 248$ negatives.
#
# ## 3 · One line changed
#
# Now the views share the shape and nothing else.

# %%
# in the order of the panel in section 4, which then finds the run in the store
ALL_BUT_SHAPE = (*POSE, "style", "bhue", "freq", "phase", "bang", "hue", "bright")
plots.show(
    plots.pictures(examples(ALL_BUT_SHAPE), rows=["view 1", "view 2"]),
    alt="Eight pictures in two rows: the same shape in both, with other colours and backgrounds.",
)

# %%
second = bet(
    "The views share only the shape. How often are the encoder's neighbours right now, compared with the pixels'?",
    ["shape rises, background falls", "everything rises", "shape rises, the rest stays", "everything falls"],
)
second

# %%
shaped_h = {s: learn(ALL_BUT_SHAPE, s) for s in seeds}
shaped = {s: read(*h) for s, h in shaped_h.items()}
table = pd.concat([table, pd.DataFrame({("views share the shape", f"seed {s}"): row for s, row in shaped.items()}).T])
table.style.format("{:.0%}")


# %% tags=["claim"]
def outcome(row: dict[str, float]) -> str:
    moved = {name: row[name] - raw[name] for name in raw}
    if moved["shape"] > 0.05 and moved["background"] < -0.05:
        return "shape rises, background falls"
    if min(moved.values()) > -0.05:
        return "everything rises" if min(moved.values()) > 0.05 else "shape rises, the rest stays"
    return "everything falls"


second.settle(outcome(shaped[seed]))
for s in seeds:
    assert outcome(shaped[s]) == outcome(shaped[seed]), "on every seed alike"
    assert shaped[s]["shape"] > max(raw["shape"], untrained[s]["shape"]) + 0.15
    assert shaped[s]["background"] < min(raw["background"], untrained[s]["background"]) - 0.05

# %%
plots.show(
    plots.pictures(test.x[neighbours(shaped_h[seed][1], queries)], columns=titles),
    alt="The same three pictures with their nearest by the encoder: nearly all of the same shape, in all colours.",
)

# %% [markdown]
# The pictures, the encoder and the loss are the same; only the views have changed. What the views **vary** was
# forgotten: it is harder to read than before training. What they **share** could be learned, and what helped most to
# find the partner was learned, far beyond the pixels. *The views are the supervision.* So contrastive learning wins
# when you can say what should not matter, even if you cannot say what should. The [next lesson](slug:views) asks what
# to vary when nobody can repaint a picture.
#
# ## 4 · Your turn
#
# Choose what the two views vary. On a live page each choice trains an encoder in the background, for two or three
# seconds.
#
# - What can still be read if the views vary everything?
# - What if they vary nothing but the noise of the pixels?
# - Which single factor changes the bars most?

# %%
widgets.RedrawPanel()

# %% [markdown]
# ## 5 · What the loss sees
#
# The loss never sees a picture, only points. Here are 96 samples with two views each, as points on a circle. There is
# no encoder: the gradient of NT-Xent moves the points themselves. They start in a heap on the right. (The pictures show
# the first view of each sample.)

# %%
angle = 0.5 * torch.randn(96, 2, generator=torch.Generator().manual_seed(seed))
points = torch.stack([angle.cos(), angle.sin()], dim=2)
heap = points[:, 0]
for _ in range(500):
    points.requires_grad_()
    (gradient,) = torch.autograd.grad(losses.nt_xent(points, temperature=0.5), points)
    points = F.normalize(points.detach() - 2.0 * gradient, dim=2)

plots.show(
    plots.circle(heap, title="96 samples at the start"), alt="The points lie in a heap on one side of the circle."
)
plots.show(plots.circle(points[:, 0], title="after 500 steps"), alt="The points lie all around the circle: uniformity.")

# %% [markdown]
# The two views of a sample pull each other together, and all samples push each other apart until they fill the circle.
# This pull and this push are what the whole course is about. Set the points in motion: on a live page press **start**,
# lower the temperature, and choose another loss.

# %%
widgets.SpherePanel(seed=seed)

# %% [markdown]
# ## How to read this course
#
# - The title of a section is often something people believe, **"in quotes"**. The section puts it to the test. Some of
#   these sentences survive, some don't.
# - Before a result there is a **bet**. Pick an option if you like (nothing waits for you), and the next result shows
#   your pick beside what the run found.
# - Cells with `assert` are **claims**: they stop the notebook if what the text says is not true on your machine.
# - Every result of training stands beside those of the **raw input** and of an **untrained encoder**, so that you see
#   what training did.
#
# <!-- the course -->
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** A batch holds 128 samples with two views each. How many negatives does each anchor have in NT-Xent?

# %%
negatives = ...

check("negatives", negatives)

# %% [markdown]
# <details><summary>Solution</summary>
#
# There are 256 points, less the anchor itself and its own second view:
#
# ```python
# negatives = 2 * 128 - 2
#
# check("negatives", negatives)
# ```
# </details>

# %% [markdown]
# **2.** An encoder maps every picture to the same point, so all cosines are 1. What is the value of NT-Xent then?
# Write it as a function of the number of samples $B$ in the batch, with two views each.


# %%
def collapsed_loss(samples: int) -> float: ...


check("collapsed", collapsed_loss)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The partner is one of $2B - 1$ equally likely points, whatever the temperature:
#
# ```python
# import math
#
# def collapsed_loss(samples):
#     return math.log(2 * samples - 1)
#
# check("collapsed", collapsed_loss)
# ```
# </details>

# %% [markdown]
# **3.** Write the matrix of cosines $(N, M)$ between vectors `x` $(N, D)$ and `y` $(M, D)$ of any length.


# %%
def cosines(x: Tensor, y: Tensor) -> Tensor: ...


check("cosine", cosines)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def cosines(x, y):
#     return F.normalize(x, dim=1) @ F.normalize(y, dim=1).T
#
# check("cosine", cosines)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) With views that vary only the pose, the shape became harder to read than from the pixels.
# Train on views that vary the pose *and* the background, with `read(*learn(..., seed))`. Which of the three factors can
# be read best now, and which has been forgotten? Write down your guess before you run it.
#
# **5.** (To think about.) You have X-rays from two hospitals, and each hospital prints its name in the corner. The
# views are crops, shifts and changes of brightness. What will the encoder learn, and what else should the views vary?
#
# ## References
#
# - Chen et al., *A simple framework for contrastive learning of visual representations*,
#   [2002.05709](https://arxiv.org/abs/2002.05709).
# - Radford et al., *Learning transferable visual models from natural language supervision*,
#   [2103.00020](https://arxiv.org/abs/2103.00020), for pictures and captions.
# - Geirhos et al., *Shortcut learning in deep neural networks*, [2004.07780](https://arxiv.org/abs/2004.07780).
