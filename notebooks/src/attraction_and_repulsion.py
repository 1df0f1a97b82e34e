# %% [markdown]
# # Attraction and repulsion, or just an order
#
# **Must there be one softmax, or any?**
#
# So far one softmax compared a positive with all negatives, and the weights fell out of it. Must
# positives and negatives compete in the same softmax? Must there be a softmax at all?
#
# **The answer you will measure.** Two papers say no. **CACR** (Zheng et al., 2023) weighs positives among positives,
# the far ones more, and negatives among negatives, the near ones more. **GroCo** (Shvetsova et al., 2023) asks for
# nothing but an *order*: all positives before all hard negatives, learned through a sort that has a gradient.
#
# **You need** [Losses from scratch](slug:losses_from_scratch) and [Temperature](slug:temperature). **Takes** about two minutes on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed, fewer epochs; "laptop": three seeds
seed: int = 0

# %%
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.claims.measures import usual
from cl_explore.losses.sorting import soft_sort
from cl_explore.papers.cacr import study as attraction
from cl_explore.papers.cacr.panel import AttractionPanel
from cl_explore.papers.groco import study as sorting
from cl_explore.papers.groco.panel import SortPanel

plots.use()
check = checker("attraction_and_repulsion")
seeds = [seed] if preset == "smoke" else [seed, seed + 1, seed + 2]

# %% [markdown]
# ## 1 · "Positives are all alike": the far one has more to learn
#
# With five views of a sample, an anchor has four positives. CACR attracts it to each with a weight that *grows* with
# the squared distance $c$, and repels it from each negative with a weight that *falls* with it:
#
# $$\pi^+_u \propto e^{+\tau^+ c(z, z_u)}, \qquad \pi^-_j \propto e^{-\tau^- c(z, z_j)}, \qquad
# \mathcal L = \sum_u \pi^+_u\, c(z, z_u) - \sum_j \pi^-_j\, c(z, z_j)$$
#
# No temperature divides a distance; τ⁺ and τ⁻ only shape the weights.

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(12, 5, 8, generator=generator, dtype=torch.float64), dim=-1)
tau_pos, tau_neg = 1.0, 2.0

total = torch.zeros(())
for v in range(5):
    anchor = z[:, v]
    to_positives = (anchor[:, None] - z).square().sum(-1)  # (12, 5), one column of which is the anchor itself
    far = (tau_pos * to_positives).masked_fill(torch.arange(5) == v, -torch.inf).softmax(1)
    total = total + (far * to_positives).sum(1).mean() / 5
    for u in range(v + 1, 5):  # negatives are seen in another view; each pair of views counts once
        to_others = (anchor[:, None] - z[:, u]).square().sum(-1)
        near = (-tau_neg * to_others).masked_fill(torch.eye(12, dtype=torch.bool), -torch.inf).softmax(1)
        total = total - (near * to_others).sum(1).mean() / 10
torch.testing.assert_close(total, losses.cacr(z, tau_pos=tau_pos, tau_neg=tau_neg))
print(f"CACR by hand and from the library: {total:.4f}")

# %%
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
# Drag τ⁺ and τ⁻, and look at the force on the far negatives: with weights through which the gradient flows ("live", as
# the authors have it) it can change sign. A negative that is much farther than the others is then *attracted*, because
# moving it nearer makes the nearest ones weigh less.

# %%
AttractionPanel(tau_pos=1.0, tau_neg=2.0)

# %% [markdown]
# ## 2 · "The pull makes the difference": here it is the push
#
# An ablation, with views that are hard for 8×8 pixels: shifted, with a hole, darker or brighter, noisy. Five views each.

# %%
digits, test = data.load("digits"), data.load("digits", split="test")
plan = attraction.plan(digits, epochs=6 if preset == "smoke" else 15)
del plan["NT-Xent τ=0.5"]
ablation = bench.table({s: bench.compare(plan, digits, test, seed=s) for s in seeds[:2]})
ablation.groupby("method", sort=False)[["kNN z", "kNN h", "−uniformity"]].mean().style.format("{:.3f}")

# %% [markdown]
# **Asserted on the runs you just made:** with both weights, kNN on $z$ is at least 8 points better than with none; and
# the weights of repulsion alone do as well as both, to 5 points. In this setting the gain comes from the push.

# %% tags=["claim"]
accuracy = ablation.set_index(["seed", "method"])["kNN z"]
for s in ablation["seed"].unique():
    assert accuracy[s, "CACR"] - accuracy[s, "no weights"] > 0.08
    assert accuracy[s, "no repulsion weights"] < accuracy[s, "CACR"]
    assert abs(accuracy[s, "no attraction weights"] - accuracy[s, "CACR"]) < 0.05
print(accuracy.unstack().round(3).to_string())

# %% [markdown]
# ## 3 · "You cannot differentiate a sort": you can, softly
#
# A sorting network compares two neighbours at a time and swaps them if they are in the wrong order. Let each comparison
# swap only *to a share*: $\alpha = \tfrac12 + \tfrac1\pi \arctan(\beta (x_b - x_a))$ of staying in place. The whole
# network is then a product of soft swaps, and what comes out is a soft permutation $P$: $P_{ij}$ is the share of input
# $i$ that lands at rank $j$. The steepness β decides how soft.


# %%
def sort_softly(x: Tensor, steepness: float) -> tuple[Tensor, Tensor]:
    """An odd-even transposition network on x (n,): the sorted numbers and the soft permutation (n, n)."""
    numbers, permutation = list(x), list(torch.eye(len(x), dtype=x.dtype))
    columns = permutation  # entry r: what of every input has reached rank r
    for layer in range(len(x)):
        for a in range(layer % 2, len(x) - 1, 2):
            stay = torch.atan(steepness * (numbers[a + 1] - numbers[a])) / torch.pi + 0.5
            for wires in (numbers, columns):
                lower, upper = wires[a], wires[a + 1]
                wires[a], wires[a + 1] = stay * lower + (1 - stay) * upper, (1 - stay) * lower + stay * upper
    return torch.stack(numbers), torch.stack(columns, dim=1)


scores = torch.tensor([0.6, -0.2, 0.1, 0.5], dtype=torch.float64)
figure = plots.figure("full", height=2.6, columns=3)
for axes, steepness in zip(figure.axes, (1.0, 10.0, 1000.0), strict=True):
    numbers, permutation = sort_softly(scores, steepness)
    for ours, theirs in zip((numbers, permutation), soft_sort(scores, steepness), strict=True):
        torch.testing.assert_close(ours, theirs)
    axes.imshow(permutation, vmin=0, vmax=1)
    axes.set(title=f"β = {steepness:g}", xlabel="rank")
    axes.set_xticks(range(4))
    axes.set_yticks(range(4), [f"{score:g}" for score in scores])
plots.show(
    figure,
    alt="Soft permutations of four numbers at three steepnesses: smeared out at 1, sharp at 10, a hard sort at 1000.",
)

# %% [markdown]
# GroCo sorts an anchor's ten hardest negatives together with its positives, and asks each positive to land among the
# top ranks and each negative not to: a cross-entropy on the shares. Drag the scores past each other.

# %%
SortPanel()

# %% [markdown]
# ## 4 · "A low loss means good order": at β = 1 it never gets low
#
# Even perfectly sorted cosines leave a loss of 0.18 at β = 1, against 0.20 when all are equal: the sort is that soft.
# Never read this loss as an accuracy; count the inversions instead.

# %%
network = {}
for steepness in (1.0, 5.0, 10.0, 50.0):
    gap = torch.cat([torch.zeros(10, dtype=torch.float64), torch.tensor([0.8], dtype=torch.float64)])
    for name, x in (("sorted, gap 0.8", gap), ("all equal", torch.zeros(11, dtype=torch.float64))):
        _, permutation = soft_sort(x, steepness)
        right = torch.cat([permutation[:10, :10].sum(1), permutation[10:, 10]])
        network[name, f"β = {steepness:g}"] = float(-right.log().mean())
pd.Series(network).unstack(sort=False).style.format("{:.3f}")

# %% [markdown]
# Now on digits. For each test digit, how many of the other digits lie nearer to it than its own second view?

# %%
plan = sorting.plan(epochs=8 if preset == "smoke" else 25)
plan = {name: of for name, of in plan.items() if name not in ("NT-Xent τ=0.1", "NT-Xent τ=0.2")}
order = bench.table(
    {s: bench.compare(plan, digits, test, [partial(sorting.misordered, seed=s), usual], seed=s) for s in seeds}
)
order.groupby("method", sort=False)[[sorting.MISORDERED, "kNN z", "kNN h"]].mean().style.format("{:.3f}")

# %% tags=["claim"]
found = order.set_index(["seed", "method"])[sorting.MISORDERED].unstack()
assert (found["GroCo"] < found["NT-Xent τ=0.5"]).all(), found
print(f"inversions per digit: GroCo {found['GroCo'].mean():.3f}, NT-Xent {found['NT-Xent τ=0.5'].mean():.3f}")

# %% [markdown]
# A fair word: at τ = 0.1 or 0.2 NT-Xent orders as well as GroCo does (the scorecard, `docs/scorecard.md`, has both
# comparisons over five seeds: they are undecided). What GroCo replaces is the search for that temperature.
#
# ## Exercises
#
# **1.** Write CACR's weights of positives, from squared distances $(K,)$ and τ⁺.


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
#
# **2.** One comparator: two numbers and a steepness go in, the softly sorted pair comes out, as a tensor of two.


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
#
# **3.** Count the inversions: how many of the negatives $(K,)$ are above the positive?


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
#
# **Read on.** Zheng et al. 2023, *Contrastive Attraction and Contrastive Repulsion* (2105.03746); Shvetsova et al. 2023,
# *Learning by Sorting* (2301.02009).
