# %% [markdown]
# # VarCon: a class as a hidden cause
#
# **Can a class be a hidden cause, with room inside?**
#
# SupCon compares every sample with every other. Could a sample be compared with *classes* instead, and
# can the loss say how tight a class shall become?
#
# **The answer you will measure.** **VarCon** (Wang et al., 2025) derives such a loss from variational inference. You
# will build it step by step, then test what it is said to do. Some of it holds (it keeps more room inside a class, bears
# a warm temperature, and costs less in large batches), some is a tie here, and one thing turns out the other way.
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Temperature](slug:temperature) and
# [Alignment and uniformity](slug:alignment_and_uniformity). **Takes** about a minute on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import math
import time
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F
from scipy.cluster.hierarchy import dendrogram, linkage
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, methods, plots, views
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.varcon import study
from cl_explore.papers.varcon.panel import VarConPanel

plots.use()
check = checker("varcon")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "It is called variational, so it must be hard": six steps of a line each
#
# **Step 1, a story.** Nature draws a class $r$ out of $C$, each as likely, then an embedding $z$ on the sphere around
# the direction $w_r$ of that class: $p(z \mid r) \propto e^{z^\top w_r / \tau_1}$. We see $z$; which class it came from
# is hidden. Bayes' rule answers with a softmax over classes:
#
# $$p_\theta(r \mid z) = \frac{p(z, r)}{\sum_{r'} p(z, r')} = \frac{e^{z^\top w_r/\tau_1}}{\sum_{r'} e^{z^\top
# w_{r'}/\tau_1}}$$

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(24, 2, 8, generator=generator, dtype=torch.float64), dim=-1)
labels = torch.arange(24) % 6
tau, epsilon = 0.3, 0.1

x, y = z.flatten(0, 1), labels.repeat_interleave(2)  # 48 points of 6 classes
own = F.one_hot(y).double()
w = F.normalize(own.T @ x, dim=1)  # a class points where the mean of its points does
joint = x @ w.T / tau - math.log(6)  # log p(z, r), but for a constant that is the same for all classes
evidence = joint.logsumexp(1)  # log p(z)
log_p = joint - evidence[:, None]  # Bayes
torch.testing.assert_close(log_p, (x @ w.T / tau).log_softmax(1))

# %% [markdown]
# The directions $w_r$ are the unit means of the batch, taken as given: no gradient flows through them.
#
# **Step 2, a bound.** For *any* distribution $q$ over the classes,
#
# $$\log p(z) = \underbrace{\sum_r q(r) \log \frac{p(z, r)}{q(r)}}_{\text{ELBO}} + \mathrm{KL}\big(q \,\|\,
# p_\theta(\cdot \mid z)\big)$$
#
# KL is never negative, so the first term is a lower bound of the evidence, and KL is the gap.


# %%
def divergence(q: Tensor, log_p: Tensor) -> Tensor:
    return (torch.xlogy(q, q) - q * log_p).sum(1)


drawn = torch.randn(48, 6, generator=generator, dtype=torch.float64).softmax(1)
for name, q in {
    "one-hot": own,
    "uniform": torch.full_like(own, 1 / 6),
    "drawn": drawn,
    "posterior": log_p.exp(),
}.items():
    elbo = (q * joint - torch.xlogy(q, q)).sum(1)
    gap = divergence(q, log_p)
    torch.testing.assert_close(elbo + gap, evidence)
    print(f"q {name:9}  ELBO {elbo.mean():7.3f} + gap {gap.mean():.3f} = log p(z) {evidence.mean():.3f}")

# %% [markdown]
# **Step 3, what to maximise.** Textbook inference moves $q$ until the gap closes. Here the label tells what $q$ should
# be, so $q$ is *set* and the encoder moves. Of $\text{ELBO} = \log p(z) - \mathrm{KL}$ the evidence only asks that $z$
# lies near some class, no matter which; what knows about labels is the gap. VarCon minimises the gap.
#
# **Step 4, a target.** A one-hot $q$ would pull every point onto its class direction. Soften it with a temperature
# $\tau_2$: weight $e^{1/\tau_2}$ for the own class against 1 for each other one. Normalised,
#
# $$q_y = \frac{1}{1 + (C - 1)\, e^{-1/\tau_2}}$$
#
# **Step 5, a target that follows the sample.** $\tau_2 = (\tau_1 - \epsilon) + 2 \epsilon\, p_\theta(y \mid z)$: below a
# confidence of one half the target is sharper than at $\tau_1$, above it softer.

# %%
confidence = (log_p.exp() * own).sum(1)
tau2 = (tau - epsilon) + 2 * epsilon * confidence
weight = 1 + (1 / tau2).expm1()[:, None] * own  # e^(1/tau2) for the own class, 1 for the others
q = weight / weight.sum(1, keepdim=True)
torch.testing.assert_close((q * own).sum(1), 1 / (1 + 5 * (-1 / tau2).exp()))
assert ((tau2 - tau).sign() == (confidence - 0.5).sign()).all()

# %% [markdown]
# **Step 6, the label itself.** Add the usual log-likelihood of the label, with the same weight:
#
# $$\mathcal L = \mathrm{KL}\big(q \,\|\, p_\theta(\cdot \mid z)\big) - \log p_\theta(y \mid z)$$

# %%
nll = -(log_p * own).sum(1)
by_hand = divergence(q, log_p) + nll
torch.testing.assert_close(by_hand.mean(), losses.varcon(z, labels, temperature=tau, epsilon=epsilon))
print(f"VarCon by hand and from the library: {by_hand.mean():.4f}")

logits = (x @ w.T / tau).requires_grad_()
log_p_of = logits.log_softmax(1)
fixed = divergence(q, log_p_of) - (log_p_of * own).sum(1)
(gradient,) = torch.autograd.grad(fixed.sum(), logits)
torch.testing.assert_close(gradient, 2 * log_p.exp() - q - own)

# %% [markdown]
# The last lines check the force: for a fixed target the gradient of the logits is $2p - q - e_y$. It vanishes at
# $p_y = (1 + q_y)/2$, *not* at $p_y = 1$: a sample that is sure enough is pulled no further. That is how the loss leaves
# a class some room. (In the authors' code the gradient also flows through $\tau_2$, a little extra on top.)
#
# ## 2 · "A soft target is soft": not with ten classes
#
# What the target takes away from the own class depends on the number of classes in the batch:

# %%
p = torch.linspace(0, 1, 101)
figure = plots.figure("full", height=3.0, columns=2)
for axes, (warmth, reach) in zip(figure.axes, [(0.1, 0.02), (0.3, 0.15)], strict=True):
    for count in (10, 100, 1000):
        target = 1 / (1 + (count - 1) * (-1 / (warmth - reach + 2 * reach * p)).exp())
        axes.plot(p, target, label=f"{count} classes")
    axes.set(title=f"τ₁ = {warmth:g}, ε = {reach:g}", xlabel="confidence $p_y$", ylabel="target $q_y$", ylim=(0, 1.05))
figure.axes[0].legend()
plots.show(
    figure,
    alt="Target against confidence: at temperature 0.1 nearly one except for 1000 classes; at 0.3 it falls with "
    "confidence, far for 100 classes and more.",
)

# %% [markdown]
# At the authors' $\tau_1 = 0.1$, $\epsilon = 0.02$ and ten classes a sure sample has a target of 0.998: VarCon is then
# twice the cross-entropy to class means. Drag the temperature up and the number of classes, then ε.

# %%
VarConPanel(temperature=0.3, epsilon=0.06, classes=10)

# %% [markdown]
# ## 3 · "A larger ε gives a class more room": here it takes room away
#
# A hundred classes, five in each of twenty superclasses: Gaussian clouds behind a random projection, and 13 training
# samples of each class. The settings are those of the study (`cl-explore study varcon`).


# %%
def state(method: methods.Method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    """How wide the classes are, and the anatomy of the loss on the test part."""
    unseen = evaluate.embed(method, test)
    anatomy = losses.varcon.parts(unseen.z, unseen.labels, **method.knobs)
    within = float(geometry.dispersion(unseen.z, unseen.labels).within)
    return {"within a class": within} | {name: float(anatomy[name].mean()) for name in ("confidence", "tau2", "target")}


parts = {s: bench.splits("hierarchical_gaussians", seed=s) for s in seeds}
plan = {
    f"{tau:g}, {share:g}": study.entry(
        "VarCon", temperature=tau, epsilon=share * tau, about={"τ₁": tau, "ε / τ₁": share}
    )
    for tau in (0.1, 0.3)
    for share in (0.0, 0.25, 0.5)
}
moved = bench.table({s: bench.compare(plan, *parts[s], [state], seed=s) for s in seeds})
table = moved.drop(columns=["seed", "method", "seconds"]).groupby(["τ₁", "ε / τ₁"]).mean()
table.style.format("{:.3f}").format_index("{:g}")

# %% tags=["claim"]
within = moved.set_index(["seed", "τ₁", "ε / τ₁"])["within a class"]
for s in seeds:
    assert abs(within[s, 0.1, 0.25] - within[s, 0.1, 0.0]) < 0.01, "at τ₁ = 0.1 nothing to see"
    assert within[s, 0.3, 0.5] < within[s, 0.3, 0.25] < within[s, 0.3, 0.0]

# %% [markdown]
# At $\tau_1 = 0.1$ ε does next to nothing, as the curves said. At 0.3 it works, but look at the confidence. Even if a
# point sat on its class direction and all others were at right angles, it could not exceed
# $1 / (1 + 99\, e^{-1/0.3}) = 0.22$. Below one half $\tau_2$ *falls* as ε grows, the target sharpens, and classes become
# tighter. Room for the sure comes only to those that can be sure.
#
# ## 4 · "Comparing with class means collapses classes": less than pairs do
#
# VarCon (ε a fifth of τ) and SupCon from the same weights and batches, at three temperatures.

# %%
TAUS = (0.05, 0.1, 0.5)
NAMES = ("VarCon", "SupCon")
plan = {
    f"{name} τ={tau:g}": study.entry(name, temperature=tau, about={"loss": name, "τ": tau})
    for tau in TAUS
    for name in NAMES
}
found = {s: bench.compare(plan, *parts[s], seed=s) for s in seeds}
results = bench.table(found)

figure = plots.figure("full", height=3.0, columns=3)
for axes, measure in zip(figure.axes, ("kNN z", "tolerance", "−uniformity"), strict=True):
    for number, (name, of_loss) in enumerate(results.groupby("loss", sort=False)):
        colour, marker = plots.style.class_look(number)
        axes.plot(of_loss["τ"], of_loss[measure], marker, color=colour, alpha=0.4)
        axes.plot(of_loss.groupby("τ")[measure].mean(), color=colour, label=name)
    axes.set(title=measure, xlabel="τ", xscale="log")
    axes.set_xticks(TAUS, [f"{tau:g}" for tau in TAUS])
    axes.minorticks_off()
figure.axes[0].legend()
plots.show(
    figure,
    alt="kNN accuracy ties at small temperatures and falls less for VarCon at 0.5; VarCon has lower tolerance and "
    "higher uniformity throughout.",
)

# %% [markdown]
# Tolerance is the mean cosine of two samples of a class: lower means more room.
#
# **Asserted on the runs you just made:** at τ = 0.05 and 0.1 VarCon keeps classes wider and the sphere fuller; at
# τ = 0.5 it is the more accurate; at τ = 0.1, the best for both, the two tie to within 3 points.

# %% tags=["claim"]
by = results.set_index(["loss", "τ", "seed"])
for s in seeds:
    for tau in (0.05, 0.1):
        assert by["tolerance"]["VarCon", tau, s] < by["tolerance"]["SupCon", tau, s] - 0.02
        assert by["−uniformity"]["VarCon", tau, s] > by["−uniformity"]["SupCon", tau, s] + 0.02
    better = by["kNN z"].loc["VarCon"] - by["kNN z"].loc["SupCon"]
    assert better[0.5, s] > 0.02
    assert abs(better[0.1, s]) < 0.03, "a tie"
    print(f"seed {s}: VarCon − SupCon in kNN", {tau: f"{100 * better[tau, s]:+.1f} points" for tau in TAUS})

# %% [markdown]
# ## 5 · "Room inside a class makes clearer clusters": look at the tree
#
# Neither loss was told about superclasses. Ward's method joins the hundred class means step by step; a good embedding
# joins the five classes of a superclass first. Colours are superclasses where a branch holds only one.


# %%
def unit(method: methods.Method, dataset: data.Dataset) -> Tensor:
    return F.normalize(evaluate.embed(method, dataset).z, dim=1)


seen, unseen = parts[seed]
superclass = torch.arange(100) // 5
figure = plots.figure("full", height=4.6, rows=2)
for axes, name in zip(figure.axes, ("VarCon", "SupCon"), strict=True):
    points = unit(found[seed].methods[f"{name} τ=0.1"], unseen)
    means = torch.stack([points[unseen.labels == label].mean(0) for label in range(100)])
    tree = linkage(means.numpy(), "ward")
    held = [{int(group)} for group in superclass]
    for left, right, *_ in tree:
        held.append(held[int(left)] | held[int(right)])
    dendrogram(
        tree,
        ax=axes,
        no_labels=True,
        link_color_func=lambda node, held=held: (
            plots.style.CLASS_COLOURS[min(held[node]) % 10] if len(held[node]) == 1 else "0.7"
        ),
    )
    whole = sum(len(group) == 1 for group in held[100:])
    axes.set(title=f"{name}: {whole} of 80 joins within a superclass", ylabel="distance")
    axes.grid(visible=False)
plots.show(
    figure,
    alt="Two trees of the hundred class means: in both most low joins are between classes of one superclass, "
    "in SupCon's more of them than in VarCon's.",
)

# %% [markdown]
# Now cluster the single test samples and cut the tree at 20 and at 100 clusters. ARI and NMI compare clusters with true
# groups: 1 is perfect, ARI is 0 for chance.

# %%
rows = []
for s in seeds:
    _, unseen = parts[s]
    for name, method in found[s].methods.items():
        row = {"seed": s, **plan[name].about}
        cuts = evaluate.ward(evaluate.embed(method, unseen).z, 20, 100)
        for cut, truth in zip(cuts, (unseen.factors["superclass"], unseen.labels), strict=True):
            agreement = evaluate.agreement(cut, truth)
            row[f"ARI, {len(truth.unique())} clusters"] = agreement.ari
            row[f"NMI, {len(truth.unique())} clusters"] = agreement.nmi
        rows.append(row)
clusters = pd.DataFrame(rows)
clusters.drop(columns="seed").groupby(["τ", "loss"]).mean().style.format("{:.3f}").format_index("{:g}", level="τ")

# %% [markdown]
# A result against the paper: at τ = 0.1 SupCon's tighter classes give the *better* superclass clusters (in the study on
# all of five seeds, by 0.09 in ARI). At τ = 0.5 it is the other way round, on all five again, by 0.03. The authors find
# clearer clusters on images; here, at the temperature where both are best, that claim fails.
#
# ## 6 · "A better loss is better at everything": few labels, corruptions, views
#
# **Few labels.** Encoders see 16 superclasses; the 20 classes of the other four are new. One, two or five labelled
# samples of each (mean over five draws), then the nearest labelled sample, or a logistic regression, on $h$.

# %%
rows = []
for s in seeds:
    seen, unseen = parts[s]
    known = seen.factors["superclass"] < 16
    plan = {name: study.entry(name, temperature=0.1) for name in NAMES}
    trained = bench.compare(plan, seen.subset(known), unseen, [], seed=s)
    for name, method in trained.methods.items():
        support = evaluate.embed(method, seen.subset(~known))
        query = evaluate.embed(method, unseen.subset(unseen.factors["superclass"] >= 16))
        for shots in (1, 2, 5):
            few = evaluate.few_label_accuracy(support.h, support.labels, query.h, query.labels, shots=shots, draws=5)
            rows.append({"labels a class": shots, "loss": name, **few._asdict()})
pd.DataFrame(rows).groupby(["labels a class", "loss"]).mean().unstack().style.format("{:.3f}")

# %% [markdown]
# **Corruptions** of the test samples, which no training view was as strong as; and **stronger views** in training, in
# units of the usual ones.

# %%
rows = []
STRENGTHS = (4.0,) if preset == "smoke" else (0.0, 2.0, 4.0)
for s in seeds:
    seen, unseen = parts[s]
    for name in NAMES:
        before = evaluate.embed(found[s].methods[f"{name} τ=0.1"], seen)
        for noise, dropout in [(0.0, 0.0), (0.3, 0.0), (0.6, 0.0), (0.0, 0.2), (0.0, 0.4)]:
            spoil = views.VectorViews(noise=noise, dropout=dropout)
            spoiled = replace(unseen, x=spoil(unseen.x, torch.Generator().manual_seed(s), 1)[:, 0])
            after = evaluate.embed(found[s].methods[f"{name} τ=0.1"], spoiled)
            score = evaluate.knn_accuracy(before.h, before.labels, after.h, after.labels)
            what = f"noise {noise:g}, {dropout:.0%} of features lost"
            rows.append({"tested on": what, "loss": name, "accuracy": score})
    plan = {
        f"{name} × {strength:g}": study.entry(
            name,
            temperature=0.1,
            augment=replace(study.AUGMENT, strength=strength),
            about={"tested on": f"clean, trained on views × {strength:g}", "loss": name},
        )
        for name in NAMES
        for strength in STRENGTHS
    }
    rows += [{**row, "accuracy": row["kNN h"]} for row in bench.compare(plan, seen, unseen, seed=s).rows]
robust = pd.DataFrame(rows).groupby(["tested on", "loss"], sort=False)["accuracy"].mean().unstack()
robust.assign(difference=robust["VarCon"] - robust["SupCon"]).style.format("{:.3f}").format(
    "{:+.3f}", subset="difference"
)

# %% [markdown]
# Differences of one or two points are what a seed moves. Over seeds 0 to 4 we found: few labels are a tie (with one label
# a class the nearest sample is right 1.0 points more often with VarCon, between 0.2 and 2.1). On corrupted samples SupCon
# is ahead by about a point. Views at four times the usual strength cost VarCon less: it is ahead by 1.8 points on $h$ and
# 4.1 on $z$, on all five; without any views the two tie. And with 30 % of the labels wrong VarCon is behind, by 2 points
# on $z$ on all five seeds of the study.
#
# ## 7 · "Fewer comparisons cannot matter": in large batches they do
#
# SupCon compares $B$ points with $B$ points, VarCon with $C$ means: work in proportion to $B^2$ or to $B C$. Time of a
# forward and a backward pass, 100 classes, 128 dimensions:


# %%
def milliseconds(loss: losses.Loss, size: int) -> float:
    """Best of three after one to warm up."""
    points = torch.randn(size, 1, 128, generator=torch.Generator().manual_seed(0)).requires_grad_()
    classes = torch.arange(size) % 100
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        loss(points, classes).backward()
        taken.append(1000 * (time.perf_counter() - start))
    return min(taken[1:])


sizes = (256, 512, 1024, 2048, 4096)
cost = {name: [milliseconds(losses.get(name.lower()), size) for size in sizes] for name in NAMES}
figure = plots.figure("half", height=3.0)
(axes,) = figure.axes
for number, (name, taken) in enumerate(cost.items()):
    colour, marker = plots.style.class_look(number)
    axes.plot(sizes, taken, marker=marker, color=colour, label=name)
axes.set(xscale="log", yscale="log", xlabel="points in the batch", ylabel="milliseconds")
axes.set_xticks(sizes, [str(size) for size in sizes])
axes.minorticks_off()
axes.legend()
plots.show(figure, alt="Time of one loss and gradient over batch size: SupCon grows with the square, VarCon linearly.")
ratio = cost["SupCon"][-1] / cost["VarCon"][-1]
print(f"4096 points: SupCon takes {ratio:.0f} times as long as VarCon")

# %% tags=["claim"]
assert ratio > 2

# %% [markdown]
# The loss is a small part of a step with a ResNet, so this matters for batches of thousands, and more for memory than
# for time. What to keep in mind: VarCon needs *no* pairs, only classes, so it wants several samples of a class in the
# batch (a class seen once is its own mean), and it is about twice a cross-entropy in size: tune the learning rate of
# each loss before you compare.
#
# The authors' numbers are from GPUs: 78.29 % on CIFAR-100 and 79.36 % on ImageNet with a ResNet-50 after 200 epochs.
# `cl_explore.papers.varcon.tables` trains these experiments (`docs/varcon_tables.md`).
#
# ## Exercises
#
# **1.** Write the posterior over classes: points $(N, D)$ of unit length, class means $(C, D)$ of any length, τ₁.


# %%
def posterior(x: Tensor, means: Tensor, temperature: float) -> Tensor: ...


check("posterior", posterior)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def posterior(x, means, temperature):
#     return (x @ F.normalize(means, dim=1).T / temperature).softmax(1)
#
# check("posterior", posterior)
# ```
# </details>
#
# **2.** Write the target of the own class from the sample's confidence (a tensor), the number of classes, τ₁ and ε.


# %%
def target(confidence: Tensor, classes: int, temperature: float, epsilon: float) -> Tensor: ...


check("target", target)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def target(confidence, classes, temperature, epsilon):
#     tau2 = (temperature - epsilon) + 2 * epsilon * confidence
#     return 1 / (1 + (classes - 1) * (-1 / tau2).exp())
#
# check("target", target)
# ```
# </details>
#
# **3.** With ε = 0 the target is fixed. At which confidence does a sample come to rest, for $C$ classes at τ₁?


# %%
def at_rest(classes: int, temperature: float) -> float: ...


check("at_rest", at_rest)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def at_rest(classes, temperature):
#     # the gradient 2p - q - e_y vanishes where p is the mean of the target and the label
#     return (1 + 1 / (1 + (classes - 1) * math.exp(-1 / temperature))) / 2
#
# check("at_rest", at_rest)
# ```
# </details>
#
# **Read on.** Wang et al. 2025, *Variational Supervised Contrastive Learning* (2506.07413); Khosla et al. 2020,
# *Supervised Contrastive Learning* (2004.11362); Snell et al. 2017, *Prototypical Networks for Few-shot Learning*
# (1703.05175), for class means as classifiers. **Next:** the scorecard, `docs/scorecard.md`: every claim of the course's
# papers over five seeds, with those that fail.
