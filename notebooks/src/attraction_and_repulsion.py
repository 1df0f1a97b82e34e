# %% [markdown]
# # Attraction and repulsion, or just an order
#
# **Must there be one softmax, or any?**
#
# In most losses so far, one softmax compared a positive with all negatives, and it decided how hard each is pulled or
# pushed. Must positives and negatives compete in the same softmax? Must there be a softmax at all? Here you take it
# out, see what is missing, and meet two papers that put something else in its place.
#
# **You need** [Losses from scratch](slug:losses_from_scratch) and [Temperature](slug:temperature). **Takes** about a
# minute on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
from dataclasses import replace
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.data import Dataset
from cl_explore.losses.sorting import soft_sort
from cl_explore.papers.cacr import study as attraction
from cl_explore.papers.cacr.panel import AttractionPanel
from cl_explore.papers.groco import study as sorting
from cl_explore.papers.groco.panel import SortPanel
from cl_explore.views import HardViews, ImageViews
from cl_explore.widgets import bet, tally

plots.use()
check = checker("attraction_and_repulsion")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Push all others away, and they will spread"
#
# Let $c$ be the squared distance of two points on the sphere. The simplest loss that pulls and pushes is the mean of
# $c$ over the positives of an anchor, less the mean of $c$ over its negatives. It has no softmax and no temperature.
# Does it spread the points? Put 12 samples on a circle, with all views of a sample in one place, and do it in two ways:
# evenly, or in two heaps on opposite sides.

# %%
spread = bet(
    "All positives weigh the same, and all negatives. Which arrangement has the lower loss?",
    ["evenly on the circle", "two heaps", "both have the same"],
)
spread


# %%
def weigh(z: Tensor, tau_pos: float, tau_neg: float) -> Tensor:
    """The loss of z (B, V, D) on the sphere; at temperatures of 0 all positives weigh the same, and all negatives."""
    samples, views, _ = z.shape
    itself = torch.eye(samples, dtype=torch.bool)
    total = z.new_zeros(())
    for v in range(views):
        anchor = z[:, v]
        to_positives = (anchor[:, None] - z).square().sum(-1)  # (B, V), one column of which is the anchor itself
        far = (tau_pos * to_positives).masked_fill(torch.arange(views) == v, -torch.inf).softmax(1)
        total = total + (far * to_positives).sum(1).mean() / views
        for u in range(v + 1, views):  # negatives are seen in another view; each pair of views counts once
            to_others = (anchor[:, None] - z[:, u]).square().sum(-1)
            near = (-tau_neg * to_others).masked_fill(itself, -torch.inf).softmax(1)
            total = total - (near * to_others).sum(1).mean() / (views * (views - 1) / 2)
    return total


angle = 2 * torch.pi * torch.arange(12, dtype=torch.float64) / 12
evenly = torch.stack([angle.cos(), angle.sin()], dim=1)[:, None].expand(-1, 2, -1)
heaps = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64).repeat(6, 1)[:, None].expand(-1, 2, -1)
arrangements = {"evenly on the circle": evenly, "two heaps": heaps}
pd.DataFrame(
    {
        name: {"equal weights": float(weigh(z, 0, 0)), "NT-Xent, τ = 0.5": float(losses.nt_xent(z, temperature=0.5))}
        for name, z in arrangements.items()
    }
).style.format("{:.3f}")

# %% tags=["claim"]
equal = {name: float(weigh(z, 0, 0)) for name, z in arrangements.items()}
same = abs(equal["two heaps"] - equal["evenly on the circle"]) < 1e-9
spread.settle("both have the same" if same else min(equal, key=equal.get))
assert losses.nt_xent(heaps, temperature=0.5) > losses.nt_xent(evenly, temperature=0.5) + 0.1
assert same

# %% [markdown]
# The mean squared distance to all others is largest when the mean of all points is zero, and that is so in two heaps as
# well as on the whole circle. With equal weights the loss cannot tell six samples in one place from six samples apart.
# NT-Xent can, because its softmax gives most of the push to the *near* negatives.
#
# How much does that matter for digits? Make the views hard: shifted, with a hole, darker or brighter, and noisy. Each
# test digit is seen in one such view too, so that raw pixels no longer know the answer.

# %%
digits, test = data.load("digits"), data.load("digits", "test")


def disturbed(augment: HardViews | ImageViews, seed: int) -> Dataset:
    """The test digits, each seen in one view."""
    return replace(test, x=augment(test.x, torch.Generator().manual_seed(seed), 1)[:, 0])


hard = HardViews()
shown = torch.cat([test.x[:4, None], hard(test.x[:4], torch.Generator().manual_seed(seed), 6)], dim=1)
plots.show(
    plots.pictures(shown, columns=["digit", *[f"view {v}" for v in range(1, 7)]]),
    alt="Four digits of 8 by 8 pixels and six hard views of each: shifted, with a black square, in noise.",
)

# %%
plan = attraction.plan(digits, epochs=8)  # five views each
COLUMNS = ["kNN z", "kNN h", "−uniformity"]


def train(*names: str) -> pd.DataFrame:
    chosen = {name: plan[name] for name in names}
    return bench.table({s: bench.compare(chosen, digits, disturbed(hard, s), seed=s) for s in seeds})


def show(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return rows.pivot(index="method", columns="seed", values=columns).loc[rows["method"].unique()]


without = train("raw input", "untrained encoder", "no weights", "NT-Xent τ=0.5")
show(without, COLUMNS).style.format("{:.3f}")

# %% tags=["claim"]
accuracy = show(without, COLUMNS)["kNN z"]
for s in seeds:
    assert accuracy.loc["NT-Xent τ=0.5", s] > accuracy.loc["raw input", s] + 0.1, "a softmax goes far beyond pixels"
    assert accuracy.loc["no weights", s] < accuracy.loc["NT-Xent τ=0.5", s] - 0.08, "equal weights stay far behind it"

# %% [markdown]
# ## 2 · "All positives deserve the same pull"
#
# **CACR** (Zheng et al. 2023) keeps pull and push apart: positives get weights among positives, negatives among
# negatives. With five views of a sample, an anchor $z$ has four positives $z_p$. CACR pulls it to each with a weight
# that *grows* with the squared distance $c$, and pushes it from each negative $z_j$ with a weight that *falls* with it.
# The authors call the two **attraction** and **repulsion**:
#
# $$w^+_p \propto e^{+\tau^+ c(z, z_p)}, \qquad w^-_j \propto e^{-\tau^- c(z, z_j)}, \qquad
# \mathcal L = \sum_p w^+_p\, c(z, z_p) - \sum_j w^-_j\, c(z, z_j)$$
#
# Here a distance is multiplied by $\tau^+$ or $\tau^-$, not divided, and only in the weights. The function `weigh`
# above is this loss already:

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(12, 5, 8, generator=generator, dtype=torch.float64), dim=-1)
tau_pos, tau_neg = 1.0, 2.0
torch.testing.assert_close(weigh(z, tau_pos, tau_neg), losses.cacr(z, tau_pos=tau_pos, tau_neg=tau_neg))
torch.testing.assert_close(weigh(z, 0, 0), losses.cacr(z, tau_pos=0.0, tau_neg=0.0))

# %% jupyter={"source_hidden": true}
parts = losses.cacr.parts(z, tau_pos=tau_pos, tau_neg=tau_neg)
figure = plots.figure("full", height=3.0, columns=2)
cost, weight = parts["positive_cost"][0, 1:], parts["positive_weight"][0, 1:]
figure.axes[0].bar(range(4), weight[cost.argsort()], color=plots.style.CLASS_COLOURS[0])
figure.axes[0].set_xticks(range(4), [f"{value:.2f}" for value in cost.sort().values])
cost, weight = parts["negative_cost"][0, 1, 1:], parts["negative_weight"][0, 1, 1:]
figure.axes[1].bar(range(11), weight[cost.argsort()], color=plots.style.CLASS_COLOURS[1])
figure.axes[1].set_xticks(range(11), [f"{value:.1f}" for value in cost.sort().values])
for axes, title in zip(figure.axes, ["positives of one anchor", "negatives in its second view"], strict=True):
    axes.set(title=title, xlabel="squared distance", ylabel="weight")
plots.show(
    figure,
    alt="Weights of one anchor: of its four positives the farthest weighs most, of its negatives the nearest.",
)

# %% [markdown]
# On a live page drag $\tau^+$ and $\tau^-$, and look at the force on the far negatives. If the gradient also flows
# through the weights ("live", as the authors do it), this force can change sign: a negative that is much farther than
# the others is then *attracted*, because moving it nearer takes weight from the nearest ones.

# %%
AttractionPanel(tau_pos=1.0, tau_neg=2.0)

# %%
needed = bet(
    "CACR gains over equal weights. Which of its weights does the gain need?",
    ["those of attraction", "those of repulsion", "both", "either will do"],
)
needed

# %%
ablation = pd.concat([without, train("CACR", "no attraction weights", "no repulsion weights")])
show(ablation, COLUMNS).style.format("{:.3f}")


# %% tags=["claim"]
def what_it_needs(accuracy: pd.Series) -> str:
    """Weights are needed if without them at least half of the gain is lost."""
    gain = accuracy["CACR"] - accuracy["no weights"]
    lost = {kind: accuracy["CACR"] - accuracy[f"no {kind} weights"] > gain / 2 for kind in ("attraction", "repulsion")}
    if lost["attraction"] == lost["repulsion"]:
        return "both" if lost["attraction"] else "either will do"
    return f"those of {max(lost, key=lost.get)}"


accuracy = show(ablation, COLUMNS)["kNN z"]
needed.settle(what_it_needs(accuracy[seed]))
for s in seeds:
    assert what_it_needs(accuracy[s]) == "those of repulsion"
    assert accuracy.loc["CACR", s] > accuracy.loc["raw input", s] + 0.1
    assert accuracy.loc["no attraction weights", s] > accuracy.loc["CACR", s]
    best = accuracy[s].idxmax()
    print(f"seed {s}: best is {best!r}, {accuracy.loc[best, s]:.3f}; with both weights {accuracy.loc['CACR', s]:.3f}")

# %% [markdown]
# What was missing with equal weights was a harder push on near negatives. The weights of *attraction* add nothing here:
# **without them the neighbours in $z$ are more accurate**, on each seed of the table (in $h$ the seeds disagree).
# NT-Xent, with one softmax for both, is about as good as CACR. So pull and push need not share a softmax, but the push
# needs weights.
#
# ## 3 · "You cannot differentiate a sort"
#
# Perhaps no weights are needed at all. All that we want for an anchor is an *order*: its positives nearer than its
# negatives. **GroCo** (Shvetsova et al. 2023) asks for that and nothing else, by sorting cosines. A **sorting network**
# compares two neighbouring numbers at a time and swaps them if they are in the wrong order. A swap is all or nothing,
# so it has no useful gradient. Make it **soft**: of two numbers $x_i$ and $x_j$, a share
# $\alpha = \tfrac12 + \tfrac1\pi \arctan(\beta (x_j - x_i))$ of each stays in its place, and the rest changes places. A
# network of soft swaps ends in a soft permutation $S$, where $S_{ij}$ is the share of input $i$ that ends at rank $j$.
# The larger the **steepness** $\beta$, the closer it is to a real sort.


# %%
def sort_softly(x: Tensor, steepness: float) -> tuple[Tensor, Tensor]:
    """An odd-even transposition network on x (n,): the sorted numbers and the soft permutation (n, n)."""
    numbers, permutation = list(x), list(torch.eye(len(x), dtype=x.dtype))
    columns = permutation  # entry r: how much of every input has reached rank r
    for layer in range(len(x)):
        for a in range(layer % 2, len(x) - 1, 2):
            stay = torch.atan(steepness * (numbers[a + 1] - numbers[a])) / torch.pi + 0.5
            for wires in (numbers, columns):
                lower, upper = wires[a], wires[a + 1]
                wires[a], wires[a + 1] = stay * lower + (1 - stay) * upper, (1 - stay) * lower + stay * upper
    return torch.stack(numbers), torch.stack(columns, dim=1)


# %% jupyter={"source_hidden": true}
scores = torch.tensor([0.6, -0.2, 0.1, 0.5], dtype=torch.float64)
figure = plots.figure("full", height=2.6, columns=3)
for axes, steepness in zip(figure.axes, (1.0, 10.0, 1000.0), strict=True):
    numbers, permutation = sort_softly(scores, steepness)
    for ours, theirs in zip((numbers, permutation), soft_sort(scores, steepness), strict=True):
        torch.testing.assert_close(ours, theirs)
    axes.imshow(permutation, vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set(title=f"β = {steepness:g}", xlabel="rank")
    axes.set_xticks(range(4), range(1, 5))
    axes.set_yticks(range(4), [f"{score:g}" for score in scores])
plots.show(
    figure,
    alt="Soft permutations of four numbers at three steepnesses: smeared out at 1, sharp at 10, a hard sort at 1000.",
)

# %% [markdown]
# Rank 1 is the lowest number, so positives belong at the end. GroCo sorts the cosines of an anchor's ten nearest
# negatives together with those of its positives. Its loss is a cross-entropy on the shares: each positive should end
# among the last ranks, and each negative should not. On a live page drag the numbers past each other.

# %%
SortPanel()

# %% [markdown]
# ## 4 · "The loss tells how good the order is"
#
# Take ten negatives at cosine 0 and one positive at cosine 0.8, which is perfect order. Compare GroCo's loss with the
# case in which all eleven are at 0.

# %%
low = bet(
    "At β = 1, the authors' default, by how much is the loss of perfect order lower than that of all equal?",
    ["less than 25 %", "25 to 90 %", "more than 90 %"],
)
low

# %%
network = {}
for steepness in (1.0, 5.0, 10.0, 50.0):
    for name, positive in (("in order", 0.8), ("all equal", 0.0)):
        _, permutation = soft_sort(torch.tensor([0.0] * 10 + [positive], dtype=torch.float64), steepness)
        right = torch.cat([permutation[:10, :10].sum(1), permutation[10:, 10]])
        network[name, f"β = {steepness:g}"] = float(-right.log().mean())
network = pd.Series(network).unstack(sort=False)
network.style.format("{:.3f}")

# %% tags=["claim"]
lowered = 1 - network["β = 1"]["in order"] / network["β = 1"]["all equal"]
low.settle(low.options[0 if lowered < 0.25 else 1 if lowered < 0.9 else 2])
print(f"at β = 1 perfect order lowers the loss by {lowered:.0%}, at β = 50 by", end=" ")
print(f"{1 - network['β = 50']['in order'] / network['β = 50']['all equal']:.0%}")

# %% [markdown]
# That is how soft this sort is. So don't judge the order by the loss. Count the **inversions** instead: how many other
# test digits are nearer to a view of a digit than its second view is? We train with noisy views, and compare with
# NT-Xent at three temperatures, since at a single one it might just be badly set.

# %%
fewest = bet(
    "Which has the fewest inversions on test digits?",
    ["raw input", "GroCo", "NT-Xent τ=0.1", "NT-Xent τ=0.2", "NT-Xent τ=0.5"],
)
fewest

# %%
noisy = ImageViews.weak(3.0)
entry = partial(bench.Entry, settings={"epochs": 12, "batch_size": 128}, augment=noisy)
softmax = {f"NT-Xent τ={tau:g}": entry("nt_xent", temperature=tau) for tau in sorting.TEMPERATURES}
orders = bench.baselines(augment=noisy) | {"GroCo": entry("groco")} | softmax


def inversions(seed: int) -> bench.Comparison:
    return bench.compare(orders, digits, test, [partial(sorting.misordered, seed=seed)], seed=seed)


order = bench.table({s: inversions(s) for s in seeds})
order = show(order, [sorting.MISORDERED])[sorting.MISORDERED]
order.style.format("{:.1f}").set_caption(f"of {len(test) - 1} other test digits")

# %% tags=["claim"]
fewest.settle(order.loc[fewest.options, seed].idxmin())
for s in seeds:
    assert order.loc["GroCo", s] < order.loc["raw input", s] < order.loc["untrained encoder", s]
    assert order.loc["GroCo", s] < order.loc["NT-Xent τ=0.5", s], "sorting wins against the warm softmax"
    assert order.loc["NT-Xent τ=0.1", s] < order.loc["GroCo", s], "but not against the cold one"
    assert abs(order.loc["NT-Xent τ=0.2", s] - order.loc["GroCo", s]) < 0.6, "a tie"

# %% [markdown]
# So an order can be learned without any softmax, and it is better than that of raw pixels. It is not better than that
# of a softmax with a well chosen temperature: at 0.1 NT-Xent has fewer inversions on every seed, and at 0.2 it is a
# tie. GroCo saves you the search for that temperature, but has $\beta$ instead.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Write CACR's weights of the positives, from their squared distances `costs` $(K,)$ and $\tau^+$.


# %%
def attraction(costs: Tensor, tau: float) -> Tensor: ...


check("attraction", attraction)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def attraction(costs, tau):
#     return (tau * costs).softmax(0)
#
# check("attraction", attraction)
# ```
# </details>

# %% [markdown]
# **2.** Write one soft swap: two numbers and a steepness go in, the softly sorted pair comes out, as a tensor of two.


# %%
def comparator(a: Tensor, b: Tensor, steepness: float) -> Tensor: ...


check("comparator", comparator)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def comparator(a, b, steepness):
#     stay = torch.atan(steepness * (b - a)) / torch.pi + 0.5
#     return torch.stack([stay * a + (1 - stay) * b, (1 - stay) * a + stay * b])
#
# check("comparator", comparator)
# ```
# </details>

# %% [markdown]
# **3.** Count the inversions: how many of the cosines of the negatives $(K,)$ are above that of the positive?


# %%
def above(positive: Tensor, negatives: Tensor) -> Tensor: ...


check("above", above)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def above(positive, negatives):
#     return (negatives > positive).sum()
#
# check("above", above)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Train GroCo with the hard views of section 1 and look at −uniformity, which is 0 if all points
# are in one place: `bench.compare({"GroCo": entry("groco", augment=hard)}, digits, test, seed=seed).rows`. Then try
# `HardViews(strength=0.5)`, another steepness such as `steepness=50.0`, and NT-Xent with the same hard views. Guess
# before each run. Can the two losses compared in section 4 explain what you see?
#
# **5.** (To think about.) A loss that only asks for an order never says *how far* a negative should be. For which use
# of the embedding does that not matter, and for which one does it?
#
# ## References
#
# - Zheng et al., *Contrastive attraction and contrastive repulsion for representation learning*,
#   [2105.03746](https://arxiv.org/abs/2105.03746).
# - Shvetsova et al., *Learning by sorting: self-supervised learning with group ordering constraints*,
#   [2301.02009](https://arxiv.org/abs/2301.02009).
