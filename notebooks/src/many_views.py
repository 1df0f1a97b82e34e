# %% [markdown]
# # Many views
#
# **What to do with more than two views?**
#
# Two views of a sample make one pair, and eight views make $8 \cdot 7 / 2 = 28$ pairs. Is that 28 times as much to
# learn from, or the same thing said 28 times?
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Temperature](slug:temperature) and
# [Alignment and uniformity](slug:alignment_and_uniformity). **Takes** about a minute on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0
temperature: float = 0.5
strength: float = 3.0  # of the views in training

# %%
from itertools import combinations

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, plots, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.mv_infonce_dhel import study
from cl_explore.papers.mv_infonce_dhel.panel import ViewsPanel
from cl_explore.views import ImageViews
from cl_explore.widgets import bet, tally

plots.use()
check = checker("many_views")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "One look is enough"
#
# A view is a digit made a little brighter or darker, with noise on top. Here are six views of three digits, and in the
# last column the mean of eight.

# %%
digits, test = data.load("digits"), data.load("digits", "test")


def look(x: Tensor, count: int, strength: float) -> Tensor:
    """`count` views of each picture, (B, count, 1, 8, 8)."""
    return ImageViews.weak(strength)(x, torch.Generator().manual_seed(seed), count)


drawn = look(test.x[:3], 8, 4.0)
shown = torch.cat([test.x[:3, None], drawn[:, :6], drawn.mean(1, keepdim=True)], dim=1)
plots.show(
    plots.pictures(shown, columns=["digit", *[f"view {v + 1}" for v in range(6)], "mean of 8"]),
    alt="Three digits, six views of each that are hard to read, and the mean of eight views, which is easy to read.",
)

# %% [markdown]
# Let nearest neighbours by pixels name the test digits: from one such view, and from the digit without any noise.


# %%
def named(x: Tensor) -> float:
    return evaluate.knn_accuracy(digits.x.flatten(1), digits.labels, x.flatten(1), test.labels)


one, clean = named(look(test.x, 1, 4.0)[:, 0]), named(test.x)
print(f"one view {one:.1%}, the digit itself {clean:.1%}")

# %%
looks = bet(
    "One view costs accuracy. How much of that loss does the mean of eight views bring back?",
    ["less than a third", "one to two thirds", "more than two thirds"],
)
looks

# %%
several = {count: named(look(test.x, count, 4.0).mean(1)) for count in (2, 4, 8)}
pd.Series({"one view": one} | {f"mean of {n}": value for n, value in several.items()} | {"the digit": clean}).to_frame(
    "named correctly"
).style.format("{:.1%}")

# %% tags=["claim"]
back = (several[8] - one) / (clean - one)
looks.settle(looks.options[0 if back < 1 / 3 else 1 if back < 2 / 3 else 2])
assert several[8] > several[4] > several[2] > one

# %% [markdown]
# So eight views together tell more about a digit than one or two. Can a loss make use of that, if it sees only one pair
# at a time and asks a noisy view to find another noisy view?
#
# ## 2 · "More views, more pairs, more learned"
#
# The usual way to use more than two views is **pairwise**: the mean of NT-Xent over all pairs of views. What could it
# improve? We look at the **effective rank**, which counts the directions that the embeddings fill. It is $e^H$, where
# $H$ is the entropy of the singular values after they have been divided by their sum. It lies between 1, with all
# points on one line, and the dimension of $z$, here 32.

# %%
generator = torch.Generator().manual_seed(seed)
matrix = torch.randn(500, 32, generator=generator, dtype=torch.float64)
flat = matrix.clone()
flat[:, 8:] *= 0.01
for name, points in {"32 directions": matrix, "8 directions, the rest 100 times weaker": flat}.items():
    singular = torch.linalg.svdvals(points)
    share = singular / singular.sum()
    by_hand = (-(share * share.log()).sum()).exp()
    torch.testing.assert_close(by_hand, geometry.effective_rank(points))
    print(f"{name}: effective rank {by_hand:.1f}")

# %% [markdown]
# Six views cost three times the work of two, so one encoder is trained three times as long with two views. All start
# from the same weights. (For raw pixels the effective rank is at most $8 \cdot 8 = 64$.)

# %%
pairwise = bet(
    "Pairwise NT-Xent gets six views instead of two. How much does that add to the effective rank, at most 32?",
    ["less than 2", "2 to 5", "more than 5"],
)
pairwise

# %%
EPOCHS = 8
COLUMNS = ["effective rank", "kNN z", "kNN h"]


def entry(loss: str, count: int, epochs: int = EPOCHS) -> bench.Entry:
    return study.METHODS[loss](
        n_views=count,
        augment=ImageViews.weak(strength),
        temperature=temperature,
        settings={"epochs": epochs, "batch_size": 128},
    )


def train(plan: dict[str, bench.Entry]) -> dict[int, bench.Comparison]:
    return {s: bench.compare(plan, digits, test, seed=s) for s in seeds}


def show(*found: dict[int, bench.Comparison]):
    rows = pd.concat([bench.table(each) for each in found])
    return rows.pivot(index="method", columns="seed", values=COLUMNS).loc[rows["method"].unique()]


in_pairs = train(
    {
        **bench.baselines(),
        "pairs, 2 views": entry("pairwise NT-Xent", 2),
        "pairs, 2 views, 3 × as long": entry("pairwise NT-Xent", 2, 3 * EPOCHS),
        "pairs, 6 views": entry("pairwise NT-Xent", 6),
    }
)
show(in_pairs).style.format("{:.3f}")

# %% tags=["claim"]
rank = show(in_pairs)["effective rank"]
added = (rank.loc["pairs, 6 views"] - rank.loc["pairs, 2 views"]).to_dict()
pairwise.settle(pairwise.options[0 if added[seed] < 2 else 1 if added[seed] < 5 else 2])
assert max(added.values()) < 2, "on every seed"
print("directions added by four more views:", {s: round(value, 1) for s, value in added.items()})

# %% [markdown]
# Fifteen pairs instead of one, and the embeddings fill hardly more directions. Each pair asks the same question, and
# the mean over more pairs only makes the gradient less noisy. Training longer does as much.
#
# ## 3 · "A sum over pairs says all there is"
#
# What if one term of the loss held all views of a sample? Let $s_{iv,ju}$ be the cosine of view $v$ of sample $i$ and
# view $u$ of sample $j$. **MV-DHEL** (Koromilas et al. 2025) has one logarithm over *all* pairs of views of a sample,
# the pull. And for each of its $V$ views it has one logarithm over the same view of the *other* samples, the push,
# which the authors call an energy:
#
# $$\mathcal L_i = -\log \sum_{v < u} e^{s_{iv,iu}/\tau} + \sum_v \log \sum_{j \ne i} e^{s_{iv,jv}/\tau}$$

# %%
z = F.normalize(torch.randn(16, 4, 8, generator=generator, dtype=torch.float64), dim=-1)  # (B, V, D)

within = torch.einsum("ivd,iud->ivu", z, z) / temperature  # the views of a sample
upper = torch.ones(4, 4, dtype=torch.bool).triu(1)
pull = within[:, upper].logsumexp(1)
between = torch.einsum("ivd,jvd->vij", z, z) / temperature  # the same view of different samples
energy = between.masked_fill(torch.eye(16, dtype=torch.bool), -torch.inf).logsumexp(2).sum(0)
torch.testing.assert_close((energy - pull).mean(), losses.mv_dhel(z, temperature=temperature))

each_pair = torch.stack([losses.nt_xent(z[:, pair], temperature=temperature) for pair in combinations(range(4), 2)])
print(f"mean over pairs {each_pair.mean():.3f}; all views in one term {(energy - pull).mean():.3f}")

# %% [markdown]
# Beware of two traps. The value grows with the number of views, since there are $V$ energies and one pull, so the
# learning rate that suits one number of views may not suit another. And in the authors' code the sums are multiplied
# before the logarithm is taken, which can overflow; add the logarithms instead.
#
# Even with two views MV-DHEL differs from NT-Xent. Here are both on the same points, with their forces. Which points
# does each of them leave alone?

# %%
widgets.LossComparePanel(("nt_xent", "mv_dhel"), seed=seed)

# %%
filling = bet(
    "Which has the highest effective rank?",
    ["pairs, 2 views, 3 × as long", "pairs, 6 views", "MV-DHEL, 2 views", "MV-DHEL, 6 views"],
)
filling

# %%
neighbours = bet(
    "And whose nearest neighbours (in z, with six views) name the test digits best?",
    ["raw pixels", "pairwise NT-Xent", "MV-DHEL"],
)
neighbours

# %%
together = train({"MV-DHEL, 2 views": entry("MV-DHEL", 2), "MV-DHEL, 6 views": entry("MV-DHEL", 6)})
table = show(in_pairs, together)
table.style.format("{:.3f}")

# %% jupyter={"source_hidden": true}
trained = in_pairs[seed].methods | together[seed].methods
figure = plots.figure("full", height=3.2, columns=2)
for (name, loss), colour in zip(
    {"pairwise": "pairs", "MV-DHEL": "MV-DHEL"}.items(), plots.style.CLASS_COLOURS, strict=False
):
    of_loss = [table.loc[f"{loss}, {count} views", "effective rank"] for count in (2, 6)]
    for s in seeds:
        figure.axes[0].plot(
            [2, 6], [ranks[s] for ranks in of_loss], "o-", color=colour, label=name if s == seed else None
        )
    spectrum = torch.linalg.svdvals(F.normalize(evaluate.embed(trained[f"{loss}, 6 views"], test).z, dim=1))
    figure.axes[1].plot(range(1, 33), spectrum / spectrum[0], color=colour, label=name)
figure.axes[0].set(xlabel="views of a sample", title="effective rank, one line per seed")
figure.axes[0].set_xticks([2, 6])
figure.axes[0].legend()
figure.axes[1].set(xlabel="singular value", title="spectrum at 6 views (largest = 1)", ylim=(0, 1.05))
plots.show(
    figure,
    alt="Effective rank over the number of views rises for MV-DHEL and hardly for pairs; MV-DHEL's spectrum is flatter.",
)

# %% tags=["claim"]
rank, near = table["effective rank"], table["kNN z"]
filling.settle(rank.loc[filling.options, seed].idxmax())
best = {"raw pixels": "raw input", "pairwise NT-Xent": "pairs, 6 views", "MV-DHEL": "MV-DHEL, 6 views"}
neighbours.settle(max(best, key=lambda name: near.loc[best[name], seed]))
for s in seeds:
    others = rank[s].drop(["raw input", "MV-DHEL, 6 views"])
    assert rank.loc["MV-DHEL, 6 views", s] > others.max() + 2, "more than three times the training gains"
    gain = rank.loc["MV-DHEL, 6 views", s] - rank.loc["MV-DHEL, 2 views", s]
    print(f"seed {s}: four more views add {gain:.1f} directions with MV-DHEL, {added[s]:.1f} in pairs;", end=" ")
    print(f"kNN on z {near.loc['MV-DHEL, 6 views', s]:.3f} and {near.loc['pairs, 6 views', s]:.3f}")
    assert gain > added[s] + 1
    assert near.loc["MV-DHEL, 6 views", s] > near.loc["pairs, 6 views", s]
    for column in ("kNN z", "kNN h"):
        tie = table.loc[["MV-DHEL, 6 views", "pairs, 2 views, 3 × as long"], (column, s)]
        assert abs(tie.diff().iloc[-1]) < 0.03, "a tie"
    assert (
        table.loc[table.index != "raw input", [("kNN z", s), ("kNN h", s)]].to_numpy().max() < near.loc["raw input", s]
    )

# %% [markdown]
# The views and the work are the same, and yet the loss with all views in one term fills many more directions. Are the
# neighbours more accurate? In $z$ they are, compared with six views in pairs. Compared with two views trained three
# times as long it is a tie, in $z$ and in $h$ and on each seed. And **no row beats raw pixels** on digits without
# noise: these all have the same size and place, which is what pixels need. So you have seen the mechanism. The gain in
# accuracy that the authors report on ImageNet cannot be seen at this size.
#
# ## 4 · Your turn
#
# How many views, and how strong? The panel trains a small encoder with each loss for about two seconds. It uses one
# seed, so small differences mean nothing. It also shows the **noise of the gradient**: how much the gradient changes
# when the views are drawn again, compared with its length. More views lower it for every loss.
#
# One curve is new. **MV-InfoNCE**, of the same paper, also has one term for all views of a sample, but its negatives
# are those of all views in one sum. Which of the other two curves does it stay close to?

# %%
ViewsPanel(views=4, strength=strength, temperature=temperature)

# %% [markdown]
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** How many unordered pairs do $V$ views make?


# %%
def pairs(views: int) -> int: ...


check("pairs", pairs)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def pairs(views):
#     return views * (views - 1) // 2
#
# check("pairs", pairs)
# ```
# </details>

# %% [markdown]
# **2.** Write the effective rank of a matrix $(N, D)$.


# %%
def effective_rank(x: Tensor) -> Tensor: ...


check("effective_rank", effective_rank)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def effective_rank(x):
#     singular = torch.linalg.svdvals(x)
#     share = singular / singular.sum()
#     return (-(share * share.log()).sum()).exp()
#
# check("effective_rank", effective_rank)
# ```
# </details>

# %% [markdown]
# **3.** All points are in one place. What is the value of MV-DHEL for $B$ samples with $V$ views each, at temperature
# $\tau$?


# %%
def all_equal(samples: int, views: int, temperature: float) -> float: ...


check("all_equal", all_equal)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def all_equal(samples, views, temperature):
#     # V energies log((B-1) e^(1/tau)), one pull log(V (V-1) / 2 * e^(1/tau))
#     energy = math.log(samples - 1) + 1 / temperature
#     return views * energy - math.log(views * (views - 1) / 2) - 1 / temperature
#
# check("all_equal", all_equal)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Set `strength = 1.0` at the top and run the page again, up to the table of section 3. Is the
# effective rank of two views trained three times as long still lower than that of MV-DHEL with six? Write down your
# guess, and a reason, before you run it. (Claims that are no longer true stop the page; that is what they are for.)
#
# **5.** (To think about.) An energy compares view $v$ of one sample only with view $v$ of the others. Let view 1 be a
# photograph and view 2 its caption. What do the energies never compare then, and when is that what you want?
#
# ## References
#
# - Koromilas et al., *A principled framework for multi-view contrastive learning*,
#   [2507.06979](https://arxiv.org/abs/2507.06979).
# - Tian et al., *Contrastive multiview coding*, [1906.05849](https://arxiv.org/abs/1906.05849), where each
#   view comes from another sensor.
