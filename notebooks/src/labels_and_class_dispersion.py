# %% [markdown]
# # Labels and class dispersion
#
# **What do labels tie together, and what is lost?**
#
# With labels, an anchor has many positives: all samples of its class. A loss can hold them together loosely or pull
# them all to one point, and the difference is where one writes a logarithm. When is one point what you want, and when
# does it cost you something?
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Temperature](slug:temperature) and
# [Alignment and uniformity](slug:alignment_and_uniformity).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": three
seed: int = 0

# %%
from dataclasses import replace
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, methods, plots, train, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.widgets import bet, tally

plots.use()
check = checker("labels_and_class_dispersion")
seeds = [seed] if preset == "smoke" else [seed, seed + 1, seed + 2]

# %% [markdown]
# ## "Labels can only help"
#
# Somebody has sorted handwritten digits into five boxes: {0, 1}, {2, 3}, {4, 5}, {6, 7} and {8, 9}. You train an
# encoder with these labels and SupCon, and it finds the boxes well. A month later somebody asks a finer question:
# *which digit is it?* Can the nearest neighbours in your embeddings $z$ still tell?

# %%
digits, test = data.load("digits"), data.load("digits", split="test")
boxes = replace(digits, labels=digits.labels // 2, class_names=("0 or 1", "2 or 3", "4 or 5", "6 or 7", "8 or 9"))

blind = bet(
    "Asked for the digit, how accurate are its neighbours, compared with those of pixels and of NT-Xent without labels?",
    ["better than both", "between the two", "worse than both"],
)
blind


# %%
def measure(method: methods.Method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    """kNN by box and by digit, and how near the two digits of a box are to each other."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    pairs = geometry.centroid_similarity(unseen.z, unseen.labels)[range(0, 10, 2), range(1, 10, 2)]
    return {
        "box, kNN z": evaluate.knn_accuracy(seen.z, seen.labels // 2, unseen.z, unseen.labels // 2),
        "digit, kNN z": evaluate.knn_accuracy(seen.z, seen.labels, unseen.z, unseen.labels),
        "digit, kNN h": evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
        "cosine of the two digits": pairs.mean().item(),
    }


entry = partial(bench.Entry, settings={"epochs": 25, "batch_size": 256, "snapshots": 12})
plan = {
    **bench.baselines(),
    "NT-Xent, no labels": entry("nt_xent", temperature=0.3),
    "SupCon, five boxes": entry("supcon", temperature=0.1, data=boxes),
}
boxed = {s: bench.compare(plan, digits, test, [measure], seed=s) for s in seeds}
rows = bench.table(boxed)
rows.groupby("method", sort=False)[["box, kNN z", "digit, kNN z", "digit, kNN h"]].mean().style.format("{:.3f}")

# %% tags=["claim"]
by_digit = rows.pivot(index="method", columns="seed", values="digit, kNN z").loc[list(plan)]
of_boxes, others = by_digit.loc["SupCon, five boxes"], by_digit.loc[["raw input", "NT-Xent, no labels"]]
blind.settle(
    "better than both" if (of_boxes > others.max()).all() else
    "worse than both" if (of_boxes < others.min()).all() else "between the two"
)  # fmt: skip
for s in seeds:
    assert by_digit[s]["untrained encoder"] < of_boxes[s] < others[s].min() - 0.01, f"seed {s}"
by_digit.rename(columns="seed {}".format).style.format("{:.3f}")

# %% [markdown]
# All labels were right, and yet the neighbours are less accurate than those of raw pixels, and less accurate than
# without any label. The boxes themselves are found as well as from pixels, so it is the digit *within* its box that is
# harder to tell. The labels did not ask for that. What did?
#
# ## 1 · "Inside or outside the logarithm makes no difference"
#
# Let $s_j$ be the cosine of an anchor and another point $j$ of the batch, and $P_j$ the softmax over all other points.
# The anchor has $n$ positives, and the sums of $L_\text{out}$ and $L_\text{in}$ run over these. The authors of SupCon
# compare two losses:
#
# $$P_j = \frac{e^{s_j/\tau}}{\sum_k e^{s_k/\tau}}$$
#
# $$L_\text{out} = -\frac1n \sum_{j=1}^n \log P_j$$
#
# $$L_\text{in} = -\log \Big( \frac1n \sum_{j=1}^n P_j \Big)$$
#
# The first is SupCon as you know it: the mean is taken outside the logarithm. The second takes the mean inside. Because
# the curve of the logarithm bends down, $L_\text{in} \le L_\text{out}$.

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(30, 8, generator=generator, dtype=torch.float64), dim=1)
labels = torch.arange(30) % 5
itself = torch.eye(30, dtype=torch.bool)
positive = (labels[:, None] == labels) & ~itself

log_p = (z @ z.T / 0.1).masked_fill(itself, -torch.inf).log_softmax(1)
n = positive.sum(1)
outside = -(log_p.masked_fill(~positive, 0).sum(1) / n).mean()
inside = -(log_p.masked_fill(~positive, -torch.inf).logsumexp(1) - n.log()).mean()
torch.testing.assert_close(outside, losses.supcon(z, labels, temperature=0.1))
torch.testing.assert_close(inside, losses.supcon_in(z, labels, temperature=0.1))
assert inside <= outside
print(f"random points, by hand and from the library: L_out {outside:.3f}, L_in {inside:.3f}")

# %% [markdown]
# Now take a single anchor with four positives, at cosines 0.9, 0.6, 0.3 and 0, and 40 negatives. The pull on a positive
# is $-\tau\, \partial L / \partial s_j$.

# %%
farthest = bet(
    "Which loss pulls harder on the farthest positive, at cosine 0?",
    ["L_out, more than 5 times as hard", "L_out, but less than that", "both alike, within 5 %", "L_in"],
)
farthest

# %%
s_positive = torch.tensor([0.9, 0.6, 0.3, 0.0], dtype=torch.float64, requires_grad=True)
s_negative = (0.25 * torch.randn(40, generator=generator, dtype=torch.float64)).requires_grad_()
tau = 0.1
logits = torch.cat([s_positive, s_negative]).div(tau)
pulls, pushes = {}, {}
for name, loss in {
    "L_out": -logits.log_softmax(0)[:4].mean(),
    "L_in": -logits.softmax(0)[:4].mean().log(),
}.items():
    pull, push = torch.autograd.grad(loss, [s_positive, s_negative], retain_graph=True)
    pulls[name], pushes[name] = -tau * pull, tau * push

# %% jupyter={"source_hidden": true}
figure = plots.figure("full", height=2.8)
(axes,) = figure.axes
for shift, (name, pull) in zip((-0.2, 0.2), pulls.items(), strict=True):
    axes.bar(torch.arange(4) + shift, pull, 0.38, label=name, hatch="" if name == "L_out" else "////")
axes.axhline(0, color="black", linewidth=0.8)
axes.set_xticks(range(4), [f"cosine {value:g}" for value in s_positive.tolist()])
axes.set(ylabel="pull (× τ)", title="one anchor, four positives, τ = 0.1")
axes.legend()
plots.show(
    figure,
    alt="Pull on four positives: L_out pulls the three far ones and pushes the nearest, L_in pulls only the nearest.",
)

# %% tags=["claim"]
there = {name: pull[3].item() for name, pull in pulls.items()}
ratio = there["L_out"] / there["L_in"]
farthest.settle(farthest.options[0 if ratio > 5 else 1 if ratio > 1.05 else 2 if ratio > 0.95 else 3])
P = logits.softmax(0)[:4]
torch.testing.assert_close(pulls["L_out"], 1 / 4 - P)
torch.testing.assert_close(pulls["L_in"], (s_positive / tau).softmax(0) - P)
torch.testing.assert_close(pulls["L_out"].sum(), pulls["L_in"].sum())  # the same pull in total
torch.testing.assert_close(pushes["L_out"], pushes["L_in"])  # and the same push on each negative
print(f"pull on the farthest: {there['L_out']:.4f} with the mean outside, {there['L_in']:.4f} with the mean inside")

# %% [markdown]
# So both losses push alike, and in total they pull equally hard. But they *divide* the pull differently among the
# positives. If $X_j$ is the softmax over the positives alone,
#
# $$-\tau \frac{\partial L_\text{out}}{\partial s_j} = \frac1n - P_j$$
#
# $$-\tau \frac{\partial L_\text{in}}{\partial s_j} = X_j - P_j$$
#
# With the mean outside, every positive gets the same share $1/n$, however far it is, and one whose $P_j$ is larger than
# that is even pushed. With the mean inside, the nearest positive gets nearly everything.
#
# On the circle this is easy to see. On a live page press **start**, wait until the points are at rest, then switch
# between *SupCon (in)* and *SupCon (out)*. With which of them does each class end as one point, and with which in
# several pieces?

# %%
widgets.SpherePanel("supcon_in", classes=4, seed=seed)

# %% [markdown]
# ## 2 · "Then take the mean inside, and the digits survive"
#
# To an anchor, the other digit of its box is often a far positive, because the two look different. So train on the
# boxes with the mean inside. The shares $X_j$ depend on the temperature, and we try two.

# %%
melted = bet(
    "With L_in, at which τ do the two digits of a box stay apart (mean cosine of their centroids below 0.7)?",
    ["at τ = 0.1 and at τ = 0.3", "only at τ = 0.1", "only at τ = 0.3", "at neither"],
)
melted

# %%
plan = {
    "L_in, τ = 0.1": entry("supcon_in", temperature=0.1, data=boxes),
    "L_in, τ = 0.3": entry("supcon_in", temperature=0.3, data=boxes),
}
loose = {s: bench.compare(plan, digits, test, [measure], seed=s) for s in seeds}
rows = pd.concat([rows, bench.table(loose)]).drop(columns="seconds")
rows.drop(columns="seed").groupby("method", sort=False).mean().style.format("{:.3f}")

# %% jupyter={"source_hidden": true}
for name, method in {
    "L_out": boxed[seed].methods["SupCon, five boxes"],
    "L_in": loose[seed].methods["L_in, τ = 0.1"],
}.items():
    unseen = evaluate.embed(method, test)
    title = f"{name}, τ = 0.1, five boxes"
    figure = plots.centroid_similarity(unseen.z, unseen.labels, class_names=digits.class_names, title=title)
    finding = {"L_out": "five blocks of cosine 1", "L_in": "digits of a box near if they look alike, else far"}[name]
    plots.show(figure, alt=f"Cosines between the centroids of ten digits trained with five boxes, {name}: {finding}.")

# %% tags=["claim"]
cosine, by_digit = (
    rows.pivot(index="method", columns="seed", values=name) for name in ("cosine of the two digits", "digit, kNN z")
)
apart = [bool((cosine.loc[f"L_in, τ = {tau}"] < 0.7).all()) for tau in (0.1, 0.3)]
melted.settle(melted.options[{(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[*apart]])
for s in seeds:
    assert cosine[s]["SupCon, five boxes"] > 0.97, f"seed {s}: L_out puts the two digits in one place"
    assert cosine[s]["L_in, τ = 0.1"] < 0.7, f"seed {s}: L_in leaves them apart"
    assert cosine[s]["L_in, τ = 0.3"] > 0.97, f"seed {s}: but not at a warm temperature"
    assert by_digit[s]["L_in, τ = 0.1"] - by_digit[s]["SupCon, five boxes"] > 0.02, f"seed {s}"
    assert by_digit[s]["NT-Xent, no labels"] - 0.01 < by_digit[s]["L_in, τ = 0.1"] < by_digit[s]["raw input"] + 0.01
for _, row in rows[rows["method"].str.contains("SupCon|L_in")].iterrows():
    assert row["digit, kNN h"] > max(row["digit, kNN z"] - 0.01, 0.94), "h keeps the digits"
by_digit.loc[rows["method"].unique()].rename(columns="seed {}".format).style.format("{:.3f}")

# %% [markdown]
# With the mean outside, the two digits of a box end in one place, whether they look alike or not. With the mean inside
# and a cold softmax they stay apart if they look different (0 and 1), and come near each other if they look alike (2
# and 3). That brings back most of what was lost: the digit is found about as often as without labels, though not more
# often than from pixels. At $\tau = 0.3$ the shares $X_j$ are so even that $L_\text{in}$ brings the digits together
# too. And in $h$, before the head, the digit can be read in every row. The encoder had kept what $z$ lost.
#
# The authors prefer $L_\text{out}$, which gave the better classifier on ImageNet. There the labels say all that is
# asked. If finer questions may come later, think twice.
#
# ## 3 · "With labels, classes that look alike end near each other"
#
# Now train with all ten labels and $L_\text{out}$. A 3 looks more like an 8 than a 0 looks like a 1. Can you see that
# in embeddings that were trained on the names of the digits?

# %%
alike = bet(
    "Take the cosines between the centroids of all ten digits. How far do they differ in z, compared with pixels?",
    ["more than 1.2 times as much", "about as much", "less than 0.6 times as much"],
)
alike

# %%
plan = {"SupCon": entry("supcon", temperature=0.3)}
tied = {s: bench.compare(plan, digits, test, [], seed=s) for s in seeds}


def centroid_cosines(x: Tensor) -> Tensor:
    """The cosines of the 45 pairs of centroids, with the mean of all samples subtracted, (45,)."""
    return geometry.centroid_similarity(x - x.mean(0), digits.labels)[*torch.triu_indices(10, 10, 1)]


cosines = {}
for s in seeds:
    start, end = (
        evaluate.embed(of, digits) for of in (boxed[s].methods["untrained encoder"], tied[s].methods["SupCon"])
    )
    for name, x in {"pixels": digits.x.flatten(1), "untrained z": start.z, "h": end.h, "z": end.z}.items():
        cosines[name, s] = centroid_cosines(x)

# %% jupyter={"source_hidden": true}
figure = plots.figure("full", height=2.4)
(axes,) = figure.axes
places = ["z", "h", "untrained z", "pixels"]
for place, name in enumerate(places):
    axes.plot(cosines[name, seed], torch.full((45,), place), "o", alpha=0.5)
axes.axvline(-1 / 9, color="black", linestyle="--", linewidth=1)
axes.set(xlabel="cosine of two class centroids (dashed: -1/9)", ylim=(-0.5, 3.5))
axes.set_yticks(range(4), places)
ends = {name: f"{cosines[name, seed].min():.1f} to {cosines[name, seed].max():.1f}" for name in places}
plots.show(figure, alt="Cosines of the 45 pairs of digits: " + "; ".join(f"{a} {b}" for a, b in ends.items()) + ".")

# %% tags=["claim"]
spread = pd.Series({key: values.std().item() for key, values in cosines.items()}).unstack(sort=False)
narrow = (spread.loc["z"] / spread.loc["pixels"]).mean()
alike.settle(alike.options[0 if narrow > 1.2 else 1 if narrow > 0.6 else 2])
for s in seeds:
    assert spread[s]["z"] < spread[s]["pixels"] / 2, f"seed {s}"
    assert spread[s]["z"] < spread[s]["untrained z"] / 2, f"seed {s}"
    assert spread[s]["h"] > 2 * spread[s]["z"], f"seed {s}"
spread.rename(columns="seed {}".format).style.format("{:.3f}")

# %% [markdown]
# In $z$ any two classes are at nearly the same angle, so little is left of which classes look alike. Again $h$ has kept
# it.
#
# Papyan, Han & Donoho (2020) found this in classifiers that are trained long enough, and called it **neural collapse**:
#
# - **NC1**: samples come together at the mean of their class. It is measured by the variance within classes divided by
#   the variance between them.
# - **NC2**: the class means become equally long and equally far apart. $C$ such vectors that sum to zero form a
#   **simplex**, with every pair at cosine $-1/(C-1)$, the dashed line above.
#
# For SupCon the minimum of the loss has been proved to be such a simplex (Graf et al. 2021). Follow the run towards it.
# All three measures are 0 at full collapse.


# %%
def collapse(z: Tensor, labels: Tensor) -> dict[str, float]:
    """NC1 and the two halves of NC2, of vectors brought to unit length."""
    measured = geometry.neural_collapse(F.normalize(z, dim=1), labels)
    names = {"NC1": measured.nc1, "NC2, lengths": measured.nc2_equinorm, "NC2, angles": measured.nc2_max_angle}
    return {name: value.item() for name, value in names.items()}


def course(run: train.Run) -> pd.DataFrame:
    taken = run.snapshots
    return pd.DataFrame([collapse(z, taken.labels) for z in taken.z], index=taken.steps.tolist())


free = {s: course(boxed[s].runs["NT-Xent, no labels"]) for s in seeds}
supervised = {s: course(tied[s].runs["SupCon"]) for s in seeds}

# %% jupyter={"source_hidden": true}
figure = plots.figure("full", height=3.0, columns=3)
for name, of, dashes in [("SupCon", supervised[seed], "-"), ("NT-Xent (no labels)", free[seed], "--")]:
    for axes, (measured, values) in zip(figure.axes, of.items(), strict=True):
        axes.plot(values.index, values, dashes, marker="o", markersize=3, label=name)
        axes.set(title=measured, xlabel="step", ylim=(0, None))
figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plots.show(
    figure,
    alt="Collapse over training: with SupCon all three measures fall towards 0; with NT-Xent NC1 stays well above.",
)

# %% tags=["claim"]
for s in seeds:
    first, last = supervised[s].iloc[0], supervised[s].iloc[-1]
    assert supervised[s]["NC1"].is_monotonic_decreasing, f"seed {s}: {supervised[s]['NC1'].tolist()}"
    assert last["NC1"] < first["NC1"] / 20, f"seed {s}"
    assert last["NC1"] < free[s]["NC1"].iloc[-1] / 10, f"seed {s}"
    assert last["NC2, lengths"] < first["NC2, lengths"] / 5, f"seed {s}"
    assert last["NC2, angles"] < first["NC2, angles"] / 2, f"seed {s}"
ends = {"raw input": {s: collapse(digits.x.flatten(1).float(), digits.labels) for s in seeds}}
ends |= {"untrained": {s: supervised[s].iloc[0] for s in seeds}}
ends |= {"NT-Xent": {s: free[s].iloc[-1] for s in seeds}, "SupCon": {s: supervised[s].iloc[-1] for s in seeds}}
pd.DataFrame({(name, f"seed {s}"): of[s] for name, of in ends.items() for s in seeds}).T.style.format("{:.3f}")

# %% [markdown]
# Only with labels do the samples of a class come together like this. The angles become even without labels too, or
# nearly so: for that it is enough to push all points apart. So this is what labels buy and what they cost. The classes
# that were named end as far apart as they can. What was not named, such as digits within a box or the likeness of two
# classes, is lost from $z$.
#
# Move through the steps of the run with labels. Which happens first: do the samples of a class come together, or do the
# angles between classes become even?

# %%
widgets.EmbeddingPanel(tied[seed].runs["SupCon"], digits)

# %% [markdown]
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Write $L_\text{in}$ for vectors `x` $(N, D)$ of any length with labels.


# %%
def inside_loss(x: Tensor, labels: Tensor, temperature: float) -> Tensor: ...


check("inside", inside_loss)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def inside_loss(x, labels, temperature):
#     x = F.normalize(x, dim=1)
#     itself = torch.eye(len(x), dtype=torch.bool)
#     p = (x @ x.T / temperature).masked_fill(itself, -torch.inf).softmax(1)
#     positive = (labels[:, None] == labels) & ~itself
#     return -(p.masked_fill(~positive, 0).sum(1) / positive.sum(1)).log().mean()
#
# check("inside", inside_loss)
# ```
# </details>

# %% [markdown]
# **2.** All classes have collapsed to a simplex: $C$ unit vectors that sum to zero, any two of them at the same cosine.
# What is that cosine?


# %%
def simplex_cosine(classes: int) -> float: ...


check("simplex_cosine", simplex_cosine)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def simplex_cosine(classes):
#     # 0 = |sum of all|^2 = C + C (C - 1) cosine
#     return -1 / (classes - 1)
#
# check("simplex_cosine", simplex_cosine)
# ```
# </details>

# %% [markdown]
# **3.** A `share` of all labels is wrong; each wrong label is one of the other classes, all equally likely. All classes
# are equally large. Two samples have the same label. With which probability do they really belong to the same class?


# %%
def true_positives(share: float, classes: int) -> float: ...


check("true_positives", true_positives)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def true_positives(share, classes):
#     # both labels are right, or both are wrong and the two samples come from the same other class
#     return (1 - share) ** 2 + share**2 / (classes - 1)
#
# check("true_positives", true_positives)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Give 40 % of the digits a wrong label, as in exercise 3, train SupCon on them
# (`entry("supcon", temperature=0.1, data=...)`) and measure with the true labels. First guess what
# `true_positives(0.4, 10)` means for the neighbours. Then compare kNN on $z$ and `geometry.dispersion` with a run on
# correct labels. Which of the two becomes worse, and why do pulls to wrong classes not make wrong neighbours?
#
# **5.** (To think about.) You collect labels for photographs of animals and can afford the species or the family, but
# not both. Somebody may ask for the other one next year. Which do you collect, which loss do you train with, and do you
# keep $z$ or $h$?
#
# ## References
#
# - Khosla et al., *Supervised contrastive learning*, [2004.11362](https://arxiv.org/abs/2004.11362), section 3.2 and
#   the supplement on the gradients.
# - Papyan, Han & Donoho, *Prevalence of neural collapse during the terminal phase of deep learning training*,
#   [2008.08186](https://arxiv.org/abs/2008.08186).
# - Graf et al., *Dissecting supervised contrastive learning*, [2102.08817](https://arxiv.org/abs/2102.08817).
# - Chen et al., *Perfectly balanced: improving transfer and robustness of supervised contrastive learning*,
#   [2204.07596](https://arxiv.org/abs/2204.07596), on keeping subclasses apart.
