# %% [markdown]
# # Labels and class dispersion
#
# **What do labels tie together, and what is lost?**
#
# With labels, an anchor has many positives: all samples of its class. A loss can tie them together loosely or as
# tightly as a knot, and the difference is where one writes a logarithm. You will see when a knot is what you want, and
# when it costs you something that you cannot get back.
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
# Somebody has sorted handwritten digits into five boxes: {0, 1}, {2, 3}, {4, 5}, {6, 7} and {8, 9}. You train with
# these labels, by SupCon, and all is well. A month later comes a finer question: *which digit is it?* Can the nearest
# neighbours in your embedding $z$ still tell?

# %%
digits, test = data.load("digits"), data.load("digits", split="test")
boxes = replace(digits, labels=digits.labels // 2, class_names=("0 or 1", "2 or 3", "4 or 5", "6 or 7", "8 or 9"))

blind = bet(
    "Asked for the ten digits: how good are its neighbours, beside those of pixels and of NT-Xent without labels?",
    ["better than both", "between the two", "worse than both"],
)
blind


# %%
def measure(method: methods.Method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    """Neighbours by box and by digit, and how near the two digits of a box lie."""
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
# All labels were right, and the neighbours are worse than those of the bare pixels, and worse than without any label.
# The boxes themselves are found as well as in the pixels: it is the digit *within* the box that fades. The labels did
# not ask for that. What did?
#
# ## 1 · "In or out of the logarithm, much the same"
#
# An anchor has cosine $s_j$ to each other point $j$ of the batch. Let $P_j$ be the softmax over all of them, and let
# $n$ be the number of its positives, which the sums run over. The SupCon paper weighs two losses:
#
# $$P_j = \frac{e^{s_j/\tau}}{\sum_k e^{s_k/\tau}}$$
#
# $$L_\text{out} = -\frac1n \sum_{j=1}^n \log P_j$$
#
# $$L_\text{in} = -\log \Big( \frac1n \sum_{j=1}^n P_j \Big)$$
#
# The first is what the library calls SupCon. The logarithm is concave, so $L_\text{in} \le L_\text{out}$.

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
# Now one anchor alone, with four positives at cosines 0.9, 0.6, 0.3 and 0, and 40 negatives. Its pull on a positive is
# $-\tau\, \partial L / \partial s_j$.

# %%
farthest = bet(
    "Which loss pulls the farthest positive, at cosine 0, the harder?",
    ["L_out, many times", "L_out, a little", "both alike", "L_in"],
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
# So they push alike, and pull equally hard in total; they *share out* the pull differently. With $X_j$ the softmax over
# the positives alone,
#
# $$-\tau \frac{\partial L_\text{out}}{\partial s_j} = \frac1n - P_j$$
#
# $$-\tau \frac{\partial L_\text{in}}{\partial s_j} = X_j - P_j$$
#
# Outside, every positive gets the same share, however far it is, and one whose $P_j$ exceeds $1/n$ is even pushed.
# Inside, the nearest takes nearly all.
#
# On the circle this can be seen from afar. On a live page press **start**, wait until the classes are formed, then
# switch between *SupCon (in)* and *SupCon (out)*: with the mean inside, classes come to rest in several pieces; with
# the mean outside, each is drawn to one point.

# %%
widgets.SpherePanel("supcon_in", classes=4, seed=seed)

# %% [markdown]
# ## 2 · "Then the loss that lets go is the one for the boxes"
#
# The two digits of a box are each other's far positives: most of them look unlike. Train with the mean inside.
# The shares $X_j$ depend on the temperature, so we try a warmer one too.

# %%
melted = bet(
    "L_in at τ = 0.1 and at τ = 0.3: where do the two digits of a box stay apart (centroids at a cosine below 0.7)?",
    ["at both", "at τ = 0.1 alone", "at τ = 0.3 alone", "at neither"],
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
    finding = {"L_out": "five blocks of cosine 1", "L_in": "the two of a box near or far, as they look"}[name]
    plots.show(figure, alt=f"Cosines between the centroids of ten digits trained with five boxes, {name}: {finding}.")

# %% tags=["claim"]
cosine, by_digit = (
    rows.pivot(index="method", columns="seed", values=name) for name in ("cosine of the two digits", "digit, kNN z")
)
apart = [bool((cosine.loc[f"L_in, τ = {tau}"] < 0.7).all()) for tau in (0.1, 0.3)]
melted.settle(melted.options[{(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[*apart]])
for s in seeds:
    assert cosine[s]["SupCon, five boxes"] > 0.97, f"seed {s}: L_out lays the two digits on each other"
    assert cosine[s]["L_in, τ = 0.1"] < 0.7, f"seed {s}: L_in leaves them apart"
    assert cosine[s]["L_in, τ = 0.3"] > 0.97, f"seed {s}: but not at a warm temperature"
    assert by_digit[s]["L_in, τ = 0.1"] - by_digit[s]["SupCon, five boxes"] > 0.02, f"seed {s}"
    assert by_digit[s]["NT-Xent, no labels"] - 0.01 < by_digit[s]["L_in, τ = 0.1"] < by_digit[s]["raw input"] + 0.01
for _, row in rows[rows["method"].str.contains("SupCon|L_in")].iterrows():
    assert row["digit, kNN h"] > max(row["digit, kNN z"] - 0.01, 0.94), "h keeps the digits"
by_digit.loc[rows["method"].unique()].rename(columns="seed {}".format).style.format("{:.3f}")

# %% [markdown]
# With the mean outside, two digits become one spot, whether they look alike or not. With the mean inside and a cold
# softmax they stay apart if they look unlike (0 and 1), and come near if they look alike (2 and 3). That brings back
# most of what was lost: the digits are found about as well as without labels, though no better than in the pixels. At
# τ = 0.3 the shares $X_j$ are so even that $L_\text{in}$ melts the digits as well. And in $h$, before the head, they
# are there in every row: what $z$ lost, the encoder had kept.
#
# The paper prefers $L_\text{out}$, which gave the better classifier on ImageNet: there the labels say all that is
# asked. If you will later ask finer questions, its thoroughness is a loss.
#
# ## 3 · "With labels, like classes lie near"
#
# Now all ten labels, and $L_\text{out}$. A 3 resembles an 8 more than a 0 resembles a 1. Does an embedding that was
# trained on the names of the digits show it?

# %%
alike = bet(
    "How do the cosines between the ten class centroids spread in z, compared with the pixels?",
    ["wider: unlike classes move apart most", "about as wide", "much narrower: all pairs alike"],
)
alike

# %%
plan = {"SupCon": entry("supcon", temperature=0.3)}
tied = {s: bench.compare(plan, digits, test, [], seed=s) for s in seeds}


def centroid_cosines(x: Tensor) -> Tensor:
    """Of the 45 pairs of digits, with the mean of all samples taken off; (45,)."""
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
# In $z$ every two classes stand at nearly the same angle: it has hardly anything left to say about which of them
# resemble each other. Again $h$ remembers.
#
# Papyan, Han & Donoho (2020) found this in classifiers that are trained long enough, and called it **neural collapse**:
#
# - **NC1**: samples fall on their class mean (variance within over variance between, along the class means);
# - **NC2**: the means become equally long and equally far apart. $C$ such vectors that sum to zero form a simplex, with
#   every pair at cosine $-1/(C-1)$: the dashed line.
#
# For SupCon that is provably where the minimum lies (Graf et al., 2021). Follow the run towards it, 0 being collapse.


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
# NC1 needs labels. The even angles come nearly as well without any: pushing all points apart is enough for them. That
# is the bargain of labels: the classes that were named stand as far apart as they can, and whatever was not named,
# boxes within boxes or likeness between classes, is what had to go.
#
# Scrub through the supervised run: the classes contract first, the angles between them even out later.

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
# **1.** Write $L_\text{in}$ for raw `x` of shape $(N, D)$ with labels.


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
# **2.** All classes have collapsed onto a simplex: $C$ unit vectors that sum to zero, every two at the same cosine.
# Which?


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
# **3.** A `share` of all labels is wrong, drawn evenly from the other classes, and all classes are equally large. Two
# samples carry the same label. How likely are they truly of one class?


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
# (`entry("supcon", temperature=0.1, data=...)`) and measure with the true ones. First guess what `true_positives(0.4,
# 10)` means for the neighbours. Then compare kNN of $z$ and `geometry.dispersion` with a run on clean labels: which of
# the two suffers, and why do pulls to wrong classes not make wrong neighbours?
#
# **5.** (To think about.) You are to collect labels for photographs of animals and can afford the species or the
# family, not both. Somebody may ask for the other one next year. Which do you collect, which loss do you train with,
# and would you hand on $z$ or $h$?
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
