# %% [markdown]
# # Start here
#
# **What is contrastive learning, in one minute?**
#
# Show a network two distorted copies of the same image and two of another, and ask only this: *which belong together?*
# No labels. From that game alone the network learns an embedding in which like lies near like.
#
# On this page you train such a network on real handwritten digits (seconds, no GPU), look at what it learnt, and then
# drag the thing that makes it work. Run the cells from top to bottom: `Shift+Enter` runs one and moves on.
#
# **You need** a little Python. **You get** the whole picture once, before the course takes it apart.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke" for a quick check; both take seconds here
seed: int = 0
view_strength: float = 1.0  # how hard the two copies are distorted, 0 is not at all

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, methods, nn, plots, train, views, widgets
from cl_explore.app.exercises import checker

plots.use()
check = checker("start_here")

# %% [markdown]
# ## 1 · The data, and the only supervision there is
#
# 1,797 scanned digits of 8 × 8 pixels. Every training step takes a batch of them and makes two **views** of each: a
# random change of intensity and some noise. *Same image, so pull together; different image, so push apart*: that is
# all the training signal. The labels are used for drawing only.

# %%
digits, test = data.load("digits"), data.load("digits", split="test")
augment = views.ImageViews.weak(view_strength)
pairs = augment(digits.x[:8], torch.Generator().manual_seed(seed))  # (8, 2, 1, 8, 8)

figure = plots.figure("full", rows=3, columns=8, height=3.3)
for row, (pictures, name) in enumerate([(digits.x[:8], "image"), (pairs[:, 0], "view 1"), (pairs[:, 1], "view 2")]):
    for axes, picture in zip(figure.axes[8 * row :], pictures, strict=False):
        axes.imshow(picture[0], cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
    figure.axes[8 * row].set_ylabel(name)
plots.show(figure, alt="Eight digits in three rows: the image and its two views, which differ in intensity and noise.")

# %% [markdown]
# ## 2 · Train
#
# An **encoder** maps an image to a representation $h$; a small **projection head** maps that to the embedding $z$
# that the loss sees. The loss is **NT-Xent** (SimCLR's): for each view, pick its partner out of all the other views
# in the batch, by cosine divided by a **temperature**.

# %%
torch.manual_seed(seed)
encoder = nn.MLP([64, 128, 64])
head = nn.projection_head(64, 64, 32)
method = methods.JointEmbedding(encoder, head, loss="nt_xent", augment=augment, temperature=0.5)

before = evaluate.embed(method, digits), evaluate.embed(method, test)
run = train.fit(method, digits, epochs=25, batch_size=128, lr=2e-3, seed=seed)
after = evaluate.embed(method, digits), evaluate.embed(method, test)

history = run.history
print(f"{len(history)} steps in {history['seconds'].iloc[-1]:.1f} s")
print(f"loss {history['loss'].iloc[0]:.2f} → {history['loss'].iloc[-1]:.2f}")

# %%
figure = plots.training(run)
plots.show(
    figure,
    alt="The loss falls and flattens; uniformity, tolerance, spreads and effective rank settle.",
)

# %% [markdown]
# Is the last loss a good one? A loss has two landmarks: what it is when **all points coincide** (nothing learnt, the
# encoder collapsed), and when views coincide and samples sit as far from each other as they can.

# %%
collapsed, perfect = losses.nt_xent.bounds(samples=128, temperature=0.5)
last = history["loss"].iloc[-1]
print(f"collapsed {collapsed:.2f}   now {last:.2f}   perfect {perfect:.2f}")
assert perfect < last < collapsed

# %% [markdown]
# ## 3 · Look
#
# The same 1,000 images at four moments of training. An embedding of 32 dimensions has to be flattened for that:
# **UMAP** draws a map that keeps neighbours together (about twenty seconds the first time; the run store remembers
# it), **PCA** looks along the two directions of largest variance (at once). The colours are the labels the network
# never saw.

# %%
layout = "pca" if preset == "smoke" else "umap"
figure = plots.filmstrip(run.snapshots, class_names=digits.class_names, layout=layout)
plots.show(
    figure, alt="Four maps over training, coloured by digit: one mixed cloud parts into groups of one digit each."
)

# %% [markdown]
# Scrub through training yourself, and point at any dot to see its image. Which digits stay next to each other, and
# can you see why?

# %%
widgets.EmbeddingPanel(run, digits, layout=layout)

# %% [markdown]
# ## 4 · Measure
#
# Freeze the encoder and ask how easy classes are to read off it: by the vote of the 20 nearest training images
# (**kNN**), and by a straight cut (**linear probe**), both on test images that training never saw.


# %%
def accuracies(seen: evaluate.Embedding, unseen: evaluate.Embedding) -> dict[str, float]:
    return {
        "kNN on z": evaluate.knn_accuracy(seen.z, seen.labels, unseen.z, unseen.labels),
        "linear probe on h": evaluate.linear_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
        "-uniformity of z": -float(geometry.uniformity(unseen.z)),
        "tolerance of z": float(geometry.tolerance(unseen.z, unseen.labels)),
    }


table = pd.DataFrame({"untrained": accuracies(*before), "trained": accuracies(*after)})
table.style.format("{:.3f}")

# %% tags=["claim"]
assert table.loc["kNN on z", "trained"] > table.loc["kNN on z", "untrained"], "like lies nearer to like than before"
assert table.loc["-uniformity of z", "trained"] > table.loc["-uniformity of z", "untrained"], (
    "and the sphere is better filled"
)
print(f"kNN {table.loc['kNN on z', 'untrained']:.1%} → {table.loc['kNN on z', 'trained']:.1%}, without one label")

# %% [markdown]
# The untrained network is not at chance (10 %): digits are so simple that nearest neighbours in *any* space work to a
# degree. This is why the course looks at geometry (uniformity, tolerance, dispersion) and not only at accuracy.
#
# ## 5 · Drag
#
# Forget images: a loss only ever sees points on a sphere. Here are free points on a circle, two views of each of 96
# samples, and nothing but the gradient of NT-Xent moves them.

# %%
points = F.normalize(torch.randn(96, 2, 2, generator=torch.Generator().manual_seed(seed)), dim=-1)
for _ in range(100):
    points.requires_grad_()
    loss = losses.nt_xent(points, temperature=0.5)
    (gradient,) = torch.autograd.grad(loss, points)
    points = F.normalize(points.detach() - 2.0 * gradient, dim=-1)

figure = plots.circle(points[:, 0], title="96 samples after 100 steps")
plots.show(figure, alt="The points fill the circle, and about as many of them lie at every angle: uniformity.")

# %% [markdown]
# Press **start**. Then
#
# - lower the temperature while it runs;
# - switch the loss to *SupCon*, which knows the colours;
# - switch to *Alignment* and watch the samples stop caring about each other.

# %%
widgets.SpherePanel(seed=seed)

# %% [markdown]
# ## The course
#
# <!-- the course -->
#
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
#
# **2.** All points coincide, so all cosines are 1. What is NT-Xent then, as a function of the number of samples $B$?
# (You saw one value of it above.)


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
#
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
#
# ## References
#
# - Chen et al., *A simple framework for contrastive learning of visual representations*,
#   [2002.05709](https://arxiv.org/abs/2002.05709).
# - The digits are those of the UCI repository as scikit-learn ships them (Alpaydin & Kaynak 1998).
