# %% [markdown]
# # Temperature
#
# **What does the number in the softmax do?**
#
# One number, $\tau$, divides every cosine in a contrastive loss. Papers set it to 0.07, 0.1, 0.2 or 0.5 and rarely say
# why. Is it a detail? First you train with several values of it. Then you take the loss apart and see what the number
# does to each negative.
#
# **You need** [Losses from scratch](slug:losses_from_scratch).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": three
seed: int = 0
view_strength: float = 1.0  # of the views of digits; 1 is weak: brightness ±10 %, noise 0.1

# %%
import math
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, losses, nn, plots, views, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.data import FactorViews, factor_rows
from cl_explore.papers.behaviour_of_contrastive_loss.panel import DilemmaPanel
from cl_explore.widgets import bet, tally

plots.use()
check = checker("temperature")
seeds = [seed] if preset == "smoke" else [seed, seed + 1, seed + 2]

# %% [markdown]
# ## "It is only a scale"
#
# Take the pictures of [Start here](slug:start_here) again: the two views share the shape and nothing else, and we read
# the shape from the encoder's output $h$ by nearest neighbours (kNN). Everything is as it was there, except for the
# temperature of NT-Xent.

# %%
scale = bet(
    "Encoders are trained at τ = 0.05, 0.2 and 3. From which can the shape be read best?",
    ["τ = 0.05", "τ = 0.2", "τ = 3", "all within a point"],
)
scale

# %%
pictures, unseen_pictures = data.load("factor_world", n=2000), data.load("factor_world", "test", n=1000)
shared = {
    "networks": lambda train: (nn.ConvNet(3, width=16), nn.projection_head(64, 64, 32)),
    "augment": FactorViews(("x", "y", "scale", "rot", "hue", "bright", "style", "bhue", "freq", "phase", "bang")),
}
shapes = partial(bench.Entry, "nt_xent", data=factor_rows(pictures), **shared)
shapes = partial(shapes, settings={"epochs": 8, "batch_size": 125, "lr": 3e-3})
plan = {**bench.baselines(**shared), **{f"τ = {tau:g}": shapes(temperature=tau) for tau in (0.05, 0.2, 3.0)}}


def shape(method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    return {"shape": evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels)}


read = {s: bench.compare(plan, pictures, unseen_pictures, [shape], seed=s) for s in seeds[:2]}
read = bench.table(read).pivot(index="method", columns="seed", values="shape").loc[list(plan)]
read.rename(columns="seed {}".format).style.format("{:.1%}")

# %% tags=["claim"]
mean = read.loc[list(plan)[2:]].mean(axis=1)
scale.settle("all within a point" if mean.max() - mean.min() < 0.01 else mean.idxmax())
for s in read.columns:
    assert read[s]["τ = 3"] > read[s][["raw input", "untrained encoder"]].max() + 0.1, "each of them learns the shape"
    assert read[s]["τ = 0.2"] > read[s]["τ = 3"] + 0.03, "but a temperature that is too high costs points"

# %% [markdown]
# So it matters. Here is a first reason. A cosine is at most 1. Suppose the encoder has done its work: the positive is
# at cosine 1 and all $K$ negatives are at 0. What probability does the softmax then give to the positive?

# %%
K = 248  # negatives of an anchor in a batch of 125 samples with two views
for tau in (0.05, 0.2, 0.5, 1.0, 3.0):
    certain = math.exp(1 / tau) / (math.exp(1 / tau) + K)
    print(f"τ = {tau:g}: the positive gets probability {certain:.1%}")

# %% [markdown]
# At a high temperature this good answer still counts as wrong, so the loss goes on pushing negatives that need no push.
# But then the lowest temperature should be the best. What does it do wrong?
#
# ## 1 · "Temperature only rescales the loss"
#
# Take InfoNCE for one anchor, with its positive at cosine $s_p$ and $K$ negatives at cosines $s_k$, and differentiate:
#
# $$\frac{\partial \ell}{\partial s_p} = -\frac1\tau \sum_k P_k, \qquad
# \frac{\partial \ell}{\partial s_k} = \frac1\tau P_k,
# \qquad P_k = \frac{e^{s_k/\tau}}{e^{s_p/\tau} + \sum_j e^{s_j/\tau}}$$
#
# $P_k$ is the probability that the softmax gives to negative $k$. The derivative for the positive, the pull, equals the
# sum of those for the negatives, the pushes. The share $r_k$ of that sum which negative $k$ gets is called its
# **relative penalty**. It is a softmax over the negatives alone:
#
# $$r_k = \frac{e^{s_k/\tau}}{\sum_j e^{s_j/\tau}}$$

# %%
shares = bet(
    "There are 40 random negatives, and τ = 0.07. What share of the push does the nearest one get?",
    ["less than 10 %", "10 to 30 %", "more than 30 %"],
)
shares

# %%
generator = torch.Generator().manual_seed(seed)
anchor = F.normalize(torch.randn(1, 16, generator=generator, dtype=torch.float64), dim=1)
positive = F.normalize(anchor + 0.15 * torch.randn(1, 16, generator=generator, dtype=torch.float64), dim=1)
others = F.normalize(torch.randn(40, 16, generator=generator, dtype=torch.float64), dim=1)

s_positive = (anchor @ positive.T)[0, 0].clone().requires_grad_()
s_negative = (anchor @ others.T)[0].clone().requires_grad_()
largest = {}
for tau in (0.07, 0.5):
    loss = torch.cat([s_positive[None], s_negative]).div(tau).logsumexp(0) - s_positive / tau
    torch.testing.assert_close(loss, losses.info_nce(anchor, positive, others, temperature=tau))
    pull, push = torch.autograd.grad(loss, [s_positive, s_negative])
    share = (s_negative / tau).softmax(0)
    torch.testing.assert_close(pull, -push.sum())
    torch.testing.assert_close(push / push.sum(), share)
    entropy = -(share * share.log()).sum()
    largest[tau] = share.max().item()
    print(f"τ = {tau:g}: pull {pull:+.3f} = -(sum of {len(push)} pushes); the nearest gets {share.max():.0%},")
    print(f"          effective number of negatives, exp of the entropy of the shares: {entropy.exp():.1f}")

# %% tags=["claim"]
shares.settle(shares.options[(largest[0.07] > 0.1) + (largest[0.07] > 0.3)])
assert largest[0.07] > 3 * largest[0.5], "the lower the temperature, the more the nearest gets"

# %%
figure = plots.negative_weights(s_negative.detach(), [0.07, 0.2, 0.5, 1.0])
plots.show(
    figure,
    alt="Weight of each negative against its cosine for four temperatures: the lower, the more the nearest few have.",
)

# %% [markdown]
# So lowering $\tau$ does more than change the scale: it moves the push from all negatives to the nearest few. As in
# physics, a low temperature is called **cold** and a high one **warm**. Drag $\tau$ down and watch the bars: those on
# the right shrink to nothing, and those on the left grow.
#
# (Two of the numbers shown need a word. *The positive's share of the pull* counts only what moves the anchor *along*
# the sphere, so it need not be one half, although the derivatives balance. And *q*, with its small chart, comes up in
# [Negatives](slug:negatives).)

# %%
widgets.TemperaturePanel(s_negative.detach(), s_positive.item(), temperature=0.5)

# %% [markdown]
# ## 2 · "The extremes of τ are something new"
#
# What becomes of the loss at both ends? As $\tau \to 0$ only the nearest negative counts, and $\tau \ell$ becomes a
# **triplet loss without margin**, $[s_{\max} - s_p]_+$. As $\tau \to \infty$ all negatives get the same push, near or
# far, and up to a constant $\ell$ becomes a plain sum of pulls and pushes: $\frac{1}{(K+1)\tau} \sum_k (s_k - s_p)$. So
# both ends are simpler losses, and the temperature leads from one to the other. By number:

# %%
far_positive = F.normalize(torch.randn(1, 16, generator=generator, dtype=torch.float64), dim=1)
sp, sn = float(anchor @ far_positive.T), (anchor @ others.T)[0]
K = len(sn)
print("      τ    τ·loss   triplet |      τ     loss     pulls and pushes")
for cold, hot in zip([0.1, 0.01, 0.001], [10.0, 100.0, 1000.0], strict=True):
    frozen = cold * losses.info_nce(anchor, far_positive, others, temperature=cold)
    boiling = losses.info_nce(anchor, far_positive, others, temperature=hot)
    triplet = max(float(sn.max()) - sp, 0.0)
    simple = math.log(K + 1) + (float(sn.sum()) - K * sp) / ((K + 1) * hot)
    print(f"{cold:7g} {frozen:9.5f} {triplet:9.5f} | {hot:6g} {boiling:9.6f} {simple:9.6f}")
assert abs(frozen - triplet) < 1e-3
assert abs(boiling - simple) < 1e-6

# %% [markdown]
# ## 3 · "Uniform is good"
#
# A cold loss pushes the nearest negatives hardest. What becomes of them? Let us train on real handwritten digits, 8 × 8
# pixels each, with views that are a little brighter or darker and noisy. Two measures of the embeddings $z$ tell us:
#
# - **uniformity**, $\log \mathbb E\, e^{-2 \lVert z_i - z_j \rVert^2}$, where $\mathbb E$ is the mean over all pairs of
#   different samples. We always show **−uniformity**, which is higher if the points are spread more evenly. It is 0
#   if all are in one place, and about 4 at most in many dimensions.
# - **tolerance**, $\mathbb E\, z_i^\top z_j$ over pairs of the *same class*: how close samples that mean the same stay
#   to each other, although no label was used.

# %%
dilemma = bet(
    "The temperature rises from 0.07 to 3. What happens to −uniformity (first) and to tolerance (second)?",
    ["both rise", "the first falls, the second rises", "the first rises, the second falls", "no clear order"],
)
dilemma

# %%
accurate = bet(
    "And which temperature gives the most accurate neighbours (kNN on h, mean of the seeds)?",
    ["the lowest", "one in between", "the highest"],
)
accurate

# %%
TEMPERATURES = [0.07, 0.2, 0.5, 1.0, 3.0]
MEASURES = ["−uniformity", "tolerance", "kNN z", "kNN h", "linear h"]
digits, test = data.load("digits"), data.load("digits", split="test")
weak = views.ImageViews.weak(view_strength)
entry = partial(bench.Entry, "nt_xent", settings={"epochs": 25, "batch_size": 256, "snapshots": 12})
plan = {f"τ = {tau:g}": entry(augment=weak, temperature=tau, about={"τ": tau}) for tau in TEMPERATURES}
found = {s: bench.compare({**bench.baselines(), **plan}, digits, test, seed=s) for s in seeds}
results = bench.table(found)
table = results.groupby("method", sort=False)[MEASURES].mean()
table.style.format("{:.3f}")

# %% jupyter={"source_hidden": true}
trained = results.dropna(subset="τ")
means = trained.groupby("τ")[MEASURES].mean()
figure = plots.figure("full", height=3.4, columns=3)
names = ["−uniformity", "tolerance", "kNN h"]
for axes, name, colour in zip(figure.axes, names, plots.style.CLASS_COLOURS, strict=False):
    axes.plot(means.index, means[name], "-", color=colour)
    axes.plot(trained["τ"], trained[name], "o", color=colour, alpha=0.5)
    axes.set(xscale="log", xlabel="temperature τ", title=name)
    axes.set_xticks(TEMPERATURES, [f"{tau:g}" for tau in TEMPERATURES], minor=False)
    axes.minorticks_off()
ends = {name: "{:.2f} to {:.2f}".format(*means[name].iloc[[0, -1]]) for name in names}
plots.show(
    figure,
    alt="Over rising temperature: "
    + ", ".join(f"{name} goes from {of}" for name, of in ends.items())
    + "; one dot a seed.",
)

# %% tags=["claim"]
for s, of_seed in trained.groupby("seed"):
    assert of_seed["−uniformity"].is_monotonic_decreasing, f"seed {s}: {of_seed['−uniformity'].tolist()}"
    assert of_seed["tolerance"].is_monotonic_increasing, f"seed {s}: {of_seed['tolerance'].tolist()}"
    assert of_seed["kNN h"].iloc[-1] < of_seed["kNN h"].max() - 0.01, "the highest temperature costs accuracy"
dilemma.settle("the first falls, the second rises")
best = means["kNN h"].argmax()
accurate.settle(accurate.options[0 if best == 0 else 2 if best == len(means) - 1 else 1])
trained.pivot(index="τ", columns="seed", values="kNN h").rename(columns="seed {}".format).style.format(
    "{:.3f}"
).format_index("{:g}")

# %% [markdown]
# No label was used, and yet the temperature decides how far samples of one digit are pushed apart. The nearest
# negatives, which a cold loss pushes hardest, are mostly of the anchor's own class (the lesson on
# [negatives](slug:negatives) counts them). So the same push that spreads the points evenly tears the classes apart.
# Wang & Liu (2021) call this the **uniformity-tolerance dilemma**. On CIFAR and ImageNet-100 they find the best
# accuracy between the extremes, and so it was with the shapes above. For the digits, read the last table seed by seed:
# the highest temperature loses on every seed, while the low ones are too close together to be ranked. And the
# neighbours of raw pixels know digits so well that no encoder's neighbours are better here. What training changes can
# be seen in the two measures.
#
# Is it the cold that spreads points, then, or that only near negatives count? The same paper tries it: a loss that sees
# just the nearest tenth of the negatives (`losses.hard_truncated`) spreads as evenly when it is warm as a cold one does
# with all of them. So it is on [the scorecard](../docs/scorecard/behaviour-of-contrastive-loss.md), with digits.
# Try it: in the panel a small encoder is trained, at each of five temperatures, with all negatives (grey) and with the
# nearest share of them. When only a tenth counts, the temperature has next to nothing left to do. When all count, the
# two curves are one.

# %%
DilemmaPanel(alpha=0.5, temperature=1.0)

# %% [markdown]
# Back to the digits. Below are the cosines of two runs, then all five runs as maps. Drag the slider from cold to warm and watch the digits
# gather in clumps.

# %%
for tau in (0.07, 3.0):
    z = evaluate.embed(found[seed].methods[f"τ = {tau:g}"], test).z
    figure = plots.similarity_histogram(z, test.labels, title=f"τ = {tau:g}: pairs of the same and of different digits")
    held = results.set_index(["seed", "method"])["tolerance"][seed, f"τ = {tau:g}"]
    plots.show(
        figure, alt=f"Cosines of pairs at temperature {tau:g}: those of the same digit are {held:.2f} on average."
    )

# %%
panel = widgets.SweepPanel(
    lambda temperature: found[seed].runs[f"τ = {temperature:g}"], {"temperature": TEMPERATURES}, digits, jobs=1
)
panel.wait()  # only a moment: the runs are finished
panel

# %% [markdown]
# ## 4 · "A colder loss always spreads more"
#
# A cold loss attends to the nearest negative. That works as long as the positive is nearer still. Now let us crop the
# tiny pictures, change their brightness and add so much noise that two views of a picture hardly resemble each other.

# %%
harder = bet(
    "Views are hard. Which of τ = 0.07 and τ = 0.5 spreads the digits more evenly?",
    ["τ = 0.07, on every seed", "τ = 0.5, on every seed", "the seeds disagree"],
)
harder

# %%
crops = views.ImageViews(crop_area=0.1, crop_ratio=4 / 3, brightness=0.4, contrast=0.4, noise=0.5)
plan = {f"hard views, τ = {tau:g}": entry(augment=crops, temperature=tau) for tau in (0.07, 0.5)}
hard = bench.table({s: bench.compare(plan, digits, test, seed=s) for s in seeds})
rows = table.loc[["raw input", "untrained encoder", "τ = 0.07", "τ = 0.5"]]
rows = rows.rename({name: f"weak views, {name}" for name in rows.index if "τ" in name})
pd.concat([rows, hard.groupby("method", sort=False)[MEASURES].mean()]).style.format("{:.3f}")

# %% tags=["claim"]
spread = hard.pivot(index="seed", columns="method", values="−uniformity")
colder, warmer = (spread[name] for name in plan)
harder.settle(harder.options[0 if (colder > warmer).all() else 1 if (colder < warmer).all() else 2])
for s in seeds:
    print(f"seed {s}, hard views: −uniformity {colder[s]:.2f} at τ = 0.07, {warmer[s]:.2f} at τ = 0.5")
    assert colder[s] < warmer[s], "hard views: the colder loss draws the points together"
    assert results.set_index(["seed", "method"])["−uniformity"][s, "τ = 0.07"] > colder[s]

# %% [markdown]
# At a low temperature the loss is close to a triplet loss, as you saw in section 2. With such views the triplets are
# hardly ever in order, and the easiest way to make them cost less is to bring all points together. So the strength of
# the views and the temperature must be chosen together.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Write the relative penalties of the negatives, from their cosines `similarities` $(K,)$ and τ.


# %%
def penalty(similarities: Tensor, temperature: float) -> Tensor: ...


check("penalty", penalty)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def penalty(similarities, temperature):
#     return (similarities / temperature).softmax(0)
#
# check("penalty", penalty)
# ```
# </details>

# %% [markdown]
# **2.** Write the effective number of negatives as on this page: $e^H$, where $H$ is the entropy of their shares:
#
# $$H = -\sum_k r_k \log r_k$$


# %%
def effective(shares: Tensor) -> Tensor: ...


check("effective", effective)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def effective(shares):
#     return (-(shares * shares.log()).sum()).exp()
#
# check("effective", effective)
# ```
# </details>

# %% [markdown]
# **3.** There are two negatives, at cosines `nearest` and `second`. At which τ does the nearest get exactly 90 % of the
# push?


# %%
def nine_to_one(nearest: float, second: float) -> float: ...


check("nine_to_one", nine_to_one)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def nine_to_one(nearest, second):
#     # 0.9 / 0.1 = 9 = exp((nearest - second) / tau)
#     return (nearest - second) / math.log(9)
#
# check("nine_to_one", nine_to_one)
# ```
# </details>

# %% [markdown]
# **4.** Write the tolerance of unit vectors `z` $(N, D)$ with labels: the mean cosine over pairs of the same class, a
# point never paired with itself.


# %%
def tolerance(z: Tensor, labels: Tensor) -> Tensor: ...


check("tolerance", tolerance)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def tolerance(z, labels):
#     same = (labels[:, None] == labels) & ~torch.eye(len(z), dtype=torch.bool)
#     return (z @ z.T)[same].mean()
#
# check("tolerance", tolerance)
# ```
# </details>

# %% [markdown]
# **5.** (An experiment, and to think about.) Set `view_strength` in the parameters cell to 2 or 3 and run the page again. At which
# temperature does −uniformity fall instead of rise as τ is lowered, and why? An assertion may then fail: that is your
# finding.
#
# <details><summary>A hint</summary>
#
# Look at the histogram for τ = 0.07. What happens to the cosines of the same digit when two views of a picture resemble
# each other no more than two different pictures do?
#
# </details>
#
# ## References
#
# - Wang & Liu, *Understanding the behaviour of contrastive loss*, CVPR 2021,
#   [2012.09740](https://arxiv.org/abs/2012.09740). Its equation 11 gives tolerance as a mean over all pairs, but the
#   values it reports can only be means over pairs of the same class, which is what we measure here.
# - Wang & Isola, *Understanding contrastive representation learning through alignment and uniformity on the
#   hypersphere*, ICML 2020, [2005.10242](https://arxiv.org/abs/2005.10242).
