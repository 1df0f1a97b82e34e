# %% [markdown]
# # Alignment and uniformity
#
# **Which two forces is a contrastive loss made of?**
#
# Every contrastive loss pulls the views of a sample together and pushes samples apart. Let us write down the pull and
# the push, each as a loss of its own (Wang & Isola 2020), and change how strong each is. Could one of them be enough?
#
# **You need** [Losses from scratch](slug:losses_from_scratch) and [Temperature](slug:temperature).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": three
seed: int = 0
view_strength: float = 1.0  # 1 is weak: brightness ±10 %, noise 0.1

# %%
import math
import warnings
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, methods, plots, views, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.claims.measures import usual
from cl_explore.train import CollapseWarning
from cl_explore.widgets import bet, tally

plots.use()
warnings.simplefilter("ignore", CollapseWarning)  # one of the encoders collapses, and is meant to
check = checker("alignment_and_uniformity")
seeds = [seed] if preset == "smoke" else [seed, seed + 1, seed + 2]

# %% [markdown]
# ## "Pulling positives together is enough"
#
# Train an encoder on digits with the pull alone: the loss is the squared distance between the embeddings of the two
# views of a picture, both of length 1. Nothing pushes. The encoder starts from random weights.

# %%
heap = bet(
    "After training with the pull alone, what is the mean cosine of the embeddings of two different pictures?",
    ["below 0.5", "0.5 to 0.99", "above 0.99"],
)
heap

# %%
votes = bet(
    "And how often do the 20 nearest neighbours in z name the right digit?",
    ["about 10 %, as by chance", "12 to 70 %", "more than 70 %"],
)
votes

# %%
digits, test = data.load("digits"), data.load("digits", split="test")


def look(method: methods.Method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    """How far views and pictures lie apart, and kNN on z once more after every vector was shaken a little."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    unit = [F.normalize(part.z, dim=1) for part in (seen, unseen)]
    generator = torch.Generator().manual_seed(seed)
    shaken = [x + 0.1 * F.normalize(torch.randn(x.shape, generator=generator), dim=1) for x in unit]
    different = ~torch.eye(len(test), dtype=torch.bool)
    return {
        "alignment": float(geometry.alignment(evaluate.embed_views(method, test))),
        "mean cosine": float((unit[1] @ unit[1].T)[different].mean()),
        "kNN z, shaken": evaluate.knn_accuracy(shaken[0], seen.labels, shaken[1], unseen.labels),
    }


def train(plan: dict[str, bench.Entry]) -> pd.DataFrame:
    return bench.table({s: bench.compare(plan, digits, test, [usual, look], seed=s) for s in seeds})


weak = views.ImageViews.weak(view_strength)
entry = partial(bench.Entry, settings={"epochs": 20, "batch_size": 128}, augment=weak)
alone = train({**bench.baselines(augment=weak), "alignment alone": entry("alignment")})
alone.groupby("method", sort=False)[["mean cosine", "kNN z", "kNN z, shaken"]].mean().style.format("{:.3f}")

# %% tags=["claim"]
row = alone.set_index(["method", "seed"]).loc["alignment alone"]
heap.settle(heap.options[int(row["mean cosine"][seed] > 0.5) + int(row["mean cosine"][seed] > 0.99)])
votes.settle(votes.options[int(row["kNN z"][seed] > 0.12) + int(row["kNN z"][seed] > 0.7)])
for s in seeds:
    assert row["mean cosine"][s] > 0.99, "everything lies in one place"
    assert row["kNN z, shaken"][s] < 0.3 < row["kNN z"][s], "and a small shake destroys what the neighbours knew"

# %% [markdown]
# All pictures lie in nearly the same direction: the encoder has **collapsed**. And yet the neighbours are right most of
# the time! Neighbours only ask which picture is *nearer*. Inside the tiny heap some order of the pixels has survived,
# as it has in the untrained encoder. But that order is fragile. In the last column a random vector, a tenth as long, is
# added to each embedding. Raw pixels hardly notice; the collapsed encoder loses nearly everything. So never trust an
# accuracy alone: look at the spread as well.
#
# ## 1 · Pull and push, in a line each
#
# Let $z$ and $z^+$ be the two views of a sample, and $z_i$ and $z_j$ different samples, all of length 1. The pull is
# called **alignment**, the push **uniformity**:
#
# $$\mathcal L_{\text{align}} = \mathbb E\, \lVert z - z^+ \rVert^2 \qquad
# \mathcal L_{\text{uniform}} = \log \mathbb E_{i \ne j}\, e^{-t \lVert z_i - z_j \rVert^2}, \quad t = 2$$
#
# Both are losses, so lower is better: views close together, samples evenly spread.

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(40, 2, 3, generator=generator, dtype=torch.float64), dim=-1)

align = (z[:, 0] - z[:, 1]).square().sum(-1).mean()
different = ~torch.eye(len(z), dtype=torch.bool)
uniform = torch.stack([(-2 * torch.cdist(view, view).square()).exp()[different].mean().log() for view in z.unbind(1)])

torch.testing.assert_close(align, losses.alignment(z))
torch.testing.assert_close(uniform.mean(), losses.uniformity(z))
torch.testing.assert_close(align + 0.5 * uniform.mean(), losses.align_uniform(z, weight=0.5))
print(f"random points on the sphere: alignment {align:.3f} (2 on average), uniformity {uniform.mean():.3f}")

# %% [markdown]
# ## 2 · "Pull and push must compete"
#
# Forty samples with two views each start on an arc of the circle. They follow the gradient of the pull, of the push, or
# of the sum of both, for 300 steps.

# %%
compete = bet(
    "With both at once, where do the points end?",
    [
        "in between: views half joined, samples half spread",
        "views as close as by the pull alone, samples as even as by the push alone",
        "one of the two wins",
    ],
)
compete

# %%
angle = 0.5 * torch.randn(40, 1, generator=generator) + 0.2 * torch.randn(40, 2, generator=generator)
start = torch.stack([angle.cos(), angle.sin()], dim=2)  # (B, V, D)


def descend(loss: losses.Loss, **knobs: float) -> Tensor:
    """300 steps on free points, put back on the circle after each."""
    points = start
    for _ in range(300):
        points.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(points, **knobs) * len(points), points)
        points = F.normalize(points.detach() - 0.05 * gradient, dim=-1)
    return points


ends = {
    "start": start.detach(),
    "alignment alone": descend(losses.alignment),
    "uniformity alone": descend(losses.uniformity),
    "both": descend(losses.align_uniform, weight=1.0),
}

# %% jupyter={"source_hidden": true}
figure = plots.figure("full", height=3.3, columns=4)
for axes, (name, points) in zip(figure.axes, ends.items(), strict=True):
    points = points.detach()
    axes.plot(*points.permute(2, 1, 0), color="0.5", linewidth=0.8)  # a line joins the two views of a sample
    axes.plot(*points.flatten(0, 1).T, "o", markersize=4, alpha=0.7)
    axes.set_title(f"{name}\nalign {losses.alignment(points):.2f}\n−uniform {-losses.uniformity(points):.2f}")
    axes.set(aspect="equal", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    axes.axis("off")
plots.show(
    figure,
    alt="Four circles: pairs on an arc; alignment joins each where it is; uniformity fills the circle but tears pairs "
    "apart; both together give joined pairs all around.",
)

# %% tags=["claim"]
_, aligned, spread, both = ends.values()
joined = bool(losses.alignment(both) < 0.05 * losses.alignment(spread))
even = bool(losses.uniformity(both) < 0.95 * losses.uniformity(spread))
compete.settle(compete.options[1 if joined and even else 2 if joined or even else 0])
assert losses.alignment(aligned) < 1e-3, "alignment alone is solved"
assert -losses.uniformity(aligned) < 0.5 * -losses.uniformity(both), "but it leaves the points on their arc"
assert losses.alignment(spread) > 0.3, "uniformity alone tears views apart"
assert joined, "together they join the views"
assert even, "and spread the samples"

# %% [markdown]
# Points that can go anywhere satisfy both. Turn the weight of uniformity yourself: at 0 nothing spreads. An *encoder*
# is less free, because pictures that are alike get embeddings that are alike.

# %%
widgets.SpherePanel("align_uniform", seed=seed)

# %% [markdown]
# ## 3 · "NT-Xent is another kind of loss"
#
# Back to encoders of digits. Train one with uniformity alone, one with the sum of both, and one with NT-Xent, whose
# formula mentions neither alignment nor uniformity.

# %%
unasked = bet(
    "How are the embeddings of NT-Xent, compared with those of uniformity alone?",
    ["views closer, samples almost as even", "views closer, samples in a heap", "views no closer"],
)
unasked

# %%
plan = {
    "uniformity alone": entry("uniformity"),
    "both": entry("align_uniform", weight=1.0),
    "NT-Xent, τ = 0.5": entry("nt_xent", temperature=0.5),
}
results = pd.concat([alone, train(plan)])
columns = ["alignment", "−uniformity", "kNN z", "kNN z, shaken"]
results.groupby("method", sort=False)[columns].mean().style.format("{:.3f}")

# %% jupyter={"source_hidden": true}
figure = plots.figure("half", height=3.8)
(axes,) = figure.axes
for number, (name, of_loss) in enumerate(results.groupby("method", sort=False)):
    colour, marker = plots.style.class_look(number)
    axes.plot(of_loss["alignment"], of_loss["−uniformity"], marker, color=colour, label=name, markersize=8)
axes.set(
    xlabel="alignment (lower = views closer)",
    ylabel="−uniformity (higher = more even)",
    title="Pull and push",
)
axes.legend(loc="center right")
plots.show(
    figure,
    alt="Alignment against −uniformity: alignment alone lies in the corner of collapse beside the untrained encoder; "
    "both and NT-Xent lie high up, with views closer than those of uniformity.",
)

# %% tags=["claim"]
found = results.set_index(["seed", "method"])


def lands(s: int) -> str:
    xent, uniform = found.loc[(s, "NT-Xent, τ = 0.5")], found.loc[(s, "uniformity alone")]
    if xent["alignment"] > 0.8 * uniform["alignment"]:
        return "views no closer"
    even = xent["−uniformity"] > 0.8 * uniform["−uniformity"]
    return "views closer, samples almost as even" if even else "views closer, samples in a heap"


unasked.settle(lands(seed))
for s in seeds:
    assert lands(s) == lands(seed), "on every seed alike"
    assert found.loc[(s, "both"), "alignment"] < 0.5 * found.loc[(s, "uniformity alone"), "alignment"]
    assert found.loc[(s, "NT-Xent, τ = 0.5"), "−uniformity"] > 20 * found.loc[(s, "alignment alone"), "−uniformity"]
results.pivot(index="method", columns="seed", values="kNN z").loc[results["method"].unique()].rename(
    columns="seed {}".format
).style.format("{:.3f}")

# %% [markdown]
# NT-Xent ends near "both". The accuracies of the two are close to each other on every seed, and close to that of raw
# pixels, which no encoder on this page beats.
#
# Why does NT-Xent do what it never mentions? Take the positive out of its denominator, which gives DCL (exercise 3 of
# [Losses from scratch](slug:losses_from_scratch)), and write each cosine as $s = 1 - d^2/2$, where $d$ is the distance.
# For an anchor with $K$ negatives this holds **exactly**:
#
# $$-\frac{s_p}{\tau} + \log \sum_k e^{s_k/\tau} \;=\; \frac{d_p^2}{2\tau} + \log \frac1K \sum_k e^{-t d_k^2} + \log K,
# \qquad t = \frac1{2\tau}$$

# %%
tau = 0.2
x = z.flatten(0, 1)
squared = torch.cdist(x, x).square()
sample = torch.arange(len(z)).repeat_interleave(2)
negative = sample[:, None] != sample
pull = squared[torch.arange(len(x)), torch.arange(len(x)) ^ 1] / (2 * tau)
K = len(x) - 2
push = ((-squared / (2 * tau)).exp() * negative).sum(1).div(K).log()
torch.testing.assert_close(pull + push + math.log(K), losses.dcl(z, temperature=tau, reduction="none"))
print(
    f"DCL {losses.dcl(z, temperature=tau):.4f} = alignment {pull.mean():.4f} + uniformity {push.mean():.4f} + log {K}"
)
print(f"NT-Xent, with the positive in its sum: {losses.nt_xent(z, temperature=tau):.4f}")

# %% [markdown]
# A pull and a push again, and one number sets both: $\tau$ decides how strong alignment is *and*, through $t$, how far
# uniformity looks. The lower the temperature, the nearer the negatives that count.
#
# Train an encoder yourself: on a live page press **start**, then turn the weight of uniformity down to 0 while it runs.
# How long does it take to collapse, and does it recover when you turn the weight up again?

# %%
widgets.TrainingPanel("digits", "align_uniform", epochs=100, seed=seed)

# %% [markdown]
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Write alignment for unit vectors `z` $(B, 2, D)$.


# %%
def alignment(z: Tensor) -> Tensor: ...


check("alignment", alignment)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def alignment(z):
#     return (z[:, 0] - z[:, 1]).square().sum(-1).mean()
#
# check("alignment", alignment)
# ```
# </details>

# %% [markdown]
# **2.** Write uniformity with $t = 2$ for unit vectors `x` $(N, D)$, over pairs of different points.


# %%
def uniformity(x: Tensor) -> Tensor: ...


check("uniformity", uniformity)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def uniformity(x):
#     different = ~torch.eye(len(x), dtype=torch.bool)
#     return (-2 * torch.cdist(x, x).square()).exp()[different].mean().log()
#
# check("uniformity", uniformity)
# ```
# </details>

# %% [markdown]
# **3.** All points are at right angles to each other. What is the uniformity, as a function of $t$?


# %%
def orthonormal(t: float) -> float: ...


check("orthonormal", orthonormal)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def orthonormal(t):
#     return -2 * t  # every squared distance is 2, so every term of the mean is exp(-2 t)
#
# check("orthonormal", orthonormal)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Train `align_uniform` with weights 0.01, 0.1, 1 and 10, as in `plan`. Where do they lie in the
# figure of section 3, and is there a weight at which the encoder collapses although something pushes?
#
# **5.** (To think about.) Somebody offers you an encoder whose neighbours are right 90 times in 100. You want to store
# each number of its embeddings in eight bits. What should you ask first?
#
# ## References
#
# - Wang & Isola, *Understanding contrastive representation learning through alignment and uniformity on the
#   hypersphere*, ICML 2020, [2005.10242](https://arxiv.org/abs/2005.10242).
# - Yeh et al., *Decoupled contrastive learning*, ECCV 2022, [2110.06848](https://arxiv.org/abs/2110.06848).
