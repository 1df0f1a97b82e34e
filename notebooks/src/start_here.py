# %% [markdown]
# # Start here
#
# **What is contrastive learning, and when does it win?**
#
# Paint every picture of a set twice, a little differently. Show a network all of them in disorder, and ask of each: *which
# one is your partner?* Nobody says what the pictures show. The same game, played with hundreds of millions of pictures and captions, is how machines learnt to search photographs
# by words, to recognise faces and to find the passage that answers a question.
#
# Here you play it with pictures of which we know everything, in two seconds of training on any laptop. First look at
# what the plain pixels can do; then **bet** on what the network will learn; then see.
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
# is, how large, how turned), and a background with a hue and a texture. So we can ask of any representation which
# factors can be read off it. Here are eight of 2,000 pictures, of 16 × 16 pixels.

# %%
pictures, test = data.load("factor_world", n=2000), data.load("factor_world", "test", n=1000)
names = [test.class_names[label] for label in test.labels[:8]]
plots.show(
    plots.pictures(test.x[:8][None], columns=names),
    alt="Eight small pictures: coloured shapes on dim, textured backgrounds.",
)

# %% [markdown]
# The simplest reader of a representation is a vote of **nearest neighbours**: a test picture gets the class that most
# of the 20 nearest training pictures have. We ask for the shape and for the two hues, cut into eight parts of the colour
# circle each; guessing is right once in eight times. Labels are used for such measuring only, never for training.

# %%
labels = {
    "shape": (pictures.labels, test.labels),
    "hue": tuple((8 * part.factors["hue"]).long() for part in (pictures, test)),
    "background": tuple((8 * part.factors["bhue"]).long() for part in (pictures, test)),
}


def read(seen: Tensor, unseen: Tensor) -> dict[str, float]:
    """Which share of the test pictures the neighbours get right, for each factor."""
    return {name: evaluate.knn_accuracy(seen, a, unseen, b) for name, (a, b) in labels.items()}


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
# Colour decides, and whether the object covers the same place. The shape gets lost in the pose; the background, which
# fills half of each picture, is dim and loses against the bright object.
#
# ## 2 · Two views, and nothing else
#
# Paint each picture twice: the two **views** share some of its factors and draw the others anew. A network $f$ maps a
# view to its representation $h$, a small **head** maps $h$ to a point $z$ on the sphere, and the loss asks one thing
# of $z$: *find your partner among all views of the batch.* As a formula, for view $i$ with partner $p$, cosines
# $s_{ij} = z_i^\top z_j$ and a **temperature** $\tau$:
#
# $$L_i = -\log \frac{e^{s_{ip}/\tau}}{\sum_{j \ne i} e^{s_{ij}/\tau}}$$
#
# That is NT-Xent, the loss of SimCLR. It is four lines long:


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
    """The untrained network of a seed, and the factors in which its views will differ."""
    torch.manual_seed(seed)
    encoder = nn.ConvNet(3, width=16)
    head = nn.projection_head(64, 64, 32)
    return methods.JointEmbedding(encoder, head, "nt_xent", FactorViews(resample), temperature=0.2)


def represent(method: methods.JointEmbedding) -> tuple[Tensor, Tensor]:
    return evaluate.embed(method, pictures).h, evaluate.embed(method, test).h


def learn(resample: tuple[str, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Representations of the training and the test pictures after two seconds of training."""
    method = start(resample, seed)
    train.fit(method, factor_rows(pictures), epochs=8, batch_size=125, lr=3e-3, seed=seed, snapshots=0, progress=False)
    return represent(method)


# %% [markdown]
# The first pair of views: same object, same background, another pose.

# %%
POSE = ("x", "y", "scale", "rot")


def examples(resample: tuple[str, ...]) -> Tensor:
    """Two views of eight pictures, (2, 8, 3, 16, 16)."""
    return FactorViews(resample)(factor_rows(pictures).x[:8], torch.Generator().manual_seed(seed)).transpose(0, 1)


plots.show(
    plots.pictures(examples(POSE), rows=["view 1", "view 2"]),
    alt="Eight pictures in two rows, the same object and background, moved and turned.",
)

# %%
first = bet(
    "The views differ in pose alone. Where will the network's neighbours beat those of the pixels by most?",
    ["shape", "hue", "background"],
)
first

# %%
untrained = {s: read(*represent(start(POSE, s))) for s in seeds}
posed = {s: read(*learn(POSE, s)) for s in seeds}
table = pd.DataFrame(
    {("raw pixels", ""): raw}
    | {("untrained network", f"seed {s}"): row for s, row in untrained.items()}
    | {("views vary the pose", f"seed {s}"): row for s, row in posed.items()}
).T
table.style.format("{:.0%}")

# %% tags=["claim"]
gain = {name: min(row[name] for row in posed.values()) - raw[name] for name in raw}
first.settle(max(gain, key=gain.get))
for s in seeds:
    assert posed[s]["background"] > raw["background"] + 0.15, "far beyond pixels, on every seed"
    assert posed[s]["background"] > untrained[s]["background"] + 0.15, "and it is the training, not the network"
    assert posed[s]["shape"] < raw["shape"], "while the shape is harder to read than before"

# %% [markdown]
# Half of the background's hue could be read off the pixels; now three quarters can, though it is the dimmest thing in
# the picture and nobody named it. A whole background helps to find one's partner, so it became large. And the shape,
# which the pixels partly show, has nearly gone: telling 250 views apart did not need it.
#
# ## 3 · One line changed
#
# Now the views share the shape and nothing else.

# %%
ALL_BUT_SHAPE = (*POSE, "hue", "bright", "style", "bhue", "freq", "phase", "bang")
plots.show(
    plots.pictures(examples(ALL_BUT_SHAPE), rows=["view 1", "view 2"]),
    alt="Eight pictures in two rows: the same shape in both, with other colours and backgrounds.",
)

# %%
second = bet(
    "The views share the shape alone. What happens to what can be read, compared with pixels?",
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
    alt="The same three pictures with their nearest by the network: nearly all of the same shape, in all colours.",
)

# %% [markdown]
# Same pictures, same network, same loss. What the two views **share** was learnt, far beyond the pixels; what they
# **vary** was forgotten, below an untrained network. *The views are the supervision.* That is when contrastive learning
# wins: when you can say what should not matter, although you cannot say what does. The [next
# lesson](slug:views) asks what to vary where nobody can repaint a picture.
#
# ## 4 · Your turn
#
# Tick what the views vary. Each choice trains a network in the background, for two or three seconds.
#
# - What is left if the views vary everything?
# - What if they vary nothing but noise?
# - Which single tick costs the most?

# %%
widgets.RedrawPanel()

# %% [markdown]
# ## 5 · What the loss sees
#
# The loss never sees a picture, only points. Here are free points on a circle, two views of each of 96 samples, and
# nothing but the gradient of NT-Xent moves them. They began in a heap on the right.

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
# Views of one sample pull each other together, and all samples push each other apart until they fill the sphere. The
# whole course is about these two pulls. Make them move: on a live page press **start**, lower the temperature, and
# choose another loss.

# %%
widgets.SpherePanel(seed=seed)

# %% [markdown]
# ## How to read this course
#
# - A section often opens with something people believe, **"in quotes"**. The section puts it to the test; some such
#   sentences survive it and some don't.
# - Before a result there is a **bet**. Pick an option (nothing waits for you) and the next cell shows your pick beside
#   what the run found.
# - Cells with `assert` are **claims**: they stop the notebook where a claim of the text is not true on your machine.
# - Every trained number stands beside the **raw input** and an **untrained network**, so that you see what training did.
#
# <!-- the course -->
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. The solution unfolds below.
#
# **1.** A batch holds 128 samples with two views each. How many *negatives* does each anchor meet in NT-Xent?

# %%
negatives = ...

check("negatives", negatives)

# %% [markdown]
# <details><summary>Solution</summary>
#
# 256 points, less the anchor itself and its own second view:
#
# ```python
# negatives = 2 * 128 - 2
#
# check("negatives", negatives)
# ```
# </details>

# %% [markdown]
# **2.** A network maps every picture to the same point, so all cosines are 1. What is NT-Xent then, as a function of
# the number of samples $B$ with two views each?


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
# **3.** Write the matrix of cosines between raw vectors `x` $(N, D)$ and `y` $(M, D)$.


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
# **4.** (An experiment.) With views that vary the pose the shape fell below the pixels. Train on views that vary pose
# *and* background with `read(*learn(..., seed))`. Which of the three factors does the network read best now, and which
# has it forgotten? Write down your guess before you run it.
#
# **5.** (To think about.) You have X-rays from two hospitals, and each hospital prints its name into the corner. Views
# are crops, shifts and changes of brightness. What will the network learn, and which view would you add?
#
# ## References
#
# - Chen et al., *A simple framework for contrastive learning of visual representations*,
#   [2002.05709](https://arxiv.org/abs/2002.05709).
# - Radford et al., *Learning transferable visual models from natural language supervision*,
#   [2103.00020](https://arxiv.org/abs/2103.00020), for pictures and captions.
# - Geirhos et al., *Shortcut learning in deep neural networks*, [2004.07780](https://arxiv.org/abs/2004.07780).
