# %% [markdown]
# # Many views
#
# **What to do with more than two views?**
#
# Two views of a sample make one pair. Eight views make 28. What should a loss do with them all?
#
# **The answer you will measure.** Averaging a pairwise loss over all pairs leaves nearly everything as it was. Putting
# all views of a sample into *one* term, and giving each view an energy of its own (MV-DHEL, Koromilas et al., 2025),
# lets the embedding fill more of its directions: the **effective rank** grows with the number of views.
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Temperature](slug:temperature) and
# [Alignment and uniformity](slug:alignment_and_uniformity). **Takes** about two minutes on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed, fewer epochs; "laptop": two seeds
seed: int = 0
temperature: float = 0.5

# %%
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, plots, views
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.mv_infonce_dhel import study
from cl_explore.papers.mv_infonce_dhel.panel import ViewsPanel

plots.use()
check = checker("many_views")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "A view is a picture": it is a distribution of pictures
#
# Look at them first. Six views of five digits, at three strengths:

# %%
digits, test = data.load("digits"), data.load("digits", split="test")
five = digits.batch(torch.arange(5)).x
figure = plots.figure("full", height=3.6, columns=3)
for axes, strength in zip(figure.axes, (0.5, 1.0, 4.0), strict=True):
    drawn = views.ImageViews.weak(strength)(five, torch.Generator().manual_seed(seed), 6)  # (5, 6, 1, 8, 8)
    axes.imshow(F.pad(drawn.squeeze(2), (1, 1, 1, 1)).permute(0, 2, 1, 3).reshape(50, 60), cmap="gray_r")
    axes.set(title=f"strength {strength:g}", xticks=[], yticks=[])
plots.show(
    figure,
    alt="Six views of five digits at three strengths: hardly changed at 0.5, speckled at 1, hard to read at 4.",
)

# %% [markdown]
# More views also make the gradient less noisy: it is a mean over what the random views do. Turn the number of views and
# their strength.

# %%
ViewsPanel(views=4, strength=3.0, temperature=temperature)

# %% [markdown]
# ## 2 · "More views, more pairs, same loss": there are two ways to add them up
#
# **Pairwise:** the mean of NT-Xent over all pairs of views. **MV-DHEL:** for each sample one logarithm over *all* its
# pairs (the pull), and for each of its views one logarithm over the same view of the *other* samples (an energy for
# each view):
#
# $$\mathcal L_i = -\log \sum_{v < u} e^{s_{i_v i_u}/\tau} + \sum_v \log \sum_{j \ne i} e^{s_{i_v j_v}/\tau}$$

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(16, 4, 8, generator=generator, dtype=torch.float64), dim=-1)

pairwise = torch.stack([losses.nt_xent(z[:, pair], temperature=temperature) for pair in combinations(range(4), 2)])
within = torch.einsum("ivd,iud->ivu", z, z) / temperature  # similarities of the views of a sample
upper = torch.ones(4, 4, dtype=torch.bool).triu(1)
pull = within[:, upper].logsumexp(1)
between = torch.einsum("ivd,jvd->vij", z, z) / temperature  # of different samples, in the same view
energy = between.masked_fill(torch.eye(16, dtype=torch.bool), -torch.inf).logsumexp(2).sum(0)
torch.testing.assert_close((energy - pull).mean(), losses.mv_dhel(z, temperature=temperature))
print(f"six pairs by themselves {pairwise.mean():.3f}; all views in one term {(energy - pull).mean():.3f}")

# %% [markdown]
# Two traps. The value of MV-DHEL grows with the number of views (V energies, one pull), so learning rates do not carry
# over by themselves. And the authors' code multiplies the energies before it takes the logarithm, which overflows: sum
# the logarithms.
#
# ## 3 · "More dimensions are used when there are more views": only if the views are not just pairs
#
# **Effective rank** counts the directions an embedding uses: $e^H$ of its normalised singular values. It lies between 1
# (everything on a line) and the dimension, here 32.

# %%
matrix = torch.randn(500, 32, generator=generator, dtype=torch.float64)
flat = matrix.clone()
flat[:, 8:] *= 0.01
for name, points in {"32 directions": matrix, "8 directions, the rest 100 times weaker": flat}.items():
    singular = torch.linalg.svdvals(points)
    share = singular / singular.sum()
    by_hand = (-(share * share.log()).sum()).exp()
    torch.testing.assert_close(by_hand, geometry.effective_rank(points))
    print(f"{name}: effective rank {by_hand:.1f}")


# %%
COUNTS = (2, 6) if preset == "smoke" else (2, 4, 6)
NAMES = ("pairwise NT-Xent", "MV-DHEL")
plan = study.plan(digits, epochs=6 if preset == "smoke" else 20, temperature=temperature)
plan = {f"{name}, {count} weak views": plan[f"{name}, {count} weak views"] for count in COUNTS for name in NAMES}
found = {s: bench.compare(plan, digits, test, seed=s) for s in seeds}
results = bench.table(found)
table = results.groupby(["loss", "views"], sort=False)[["effective rank", "−uniformity", "kNN h"]].mean()
table.style.format("{:.3f}")

# %%
figure = plots.figure("full", height=3.2, columns=2)
for (name, of_loss), colour in zip(results.groupby("loss", sort=False), plots.style.CLASS_COLOURS, strict=False):
    mean = of_loss.groupby("views")["effective rank"].mean()
    figure.axes[0].plot(mean.index, mean, "o-", color=colour, label=name)
    most = found[seed].methods[f"{name}, {COUNTS[-1]} weak views"]
    spectrum = torch.linalg.svdvals(F.normalize(evaluate.embed(most, test).z, dim=1))
    figure.axes[1].plot(range(1, 33), spectrum / spectrum[0], color=colour, label=name)
figure.axes[0].set(xlabel="views of a sample", title="effective rank")
figure.axes[0].set_xticks(COUNTS)
figure.axes[0].legend()
figure.axes[1].set(xlabel="singular value", title=f"spectrum at {COUNTS[-1]} views (largest = 1)", ylim=(0, 1.05))
plots.show(
    figure,
    alt="Effective rank grows with the number of views for MV-DHEL and hardly for pairs; its spectrum is the flatter.",
)

# %% [markdown]
# **Asserted on the runs you just made:** MV-DHEL has the higher effective rank at every number of views, and from two
# to six views it gains more than the pairwise loss does.

# %% tags=["claim"]
rank = results.set_index(["loss", "views", "seed"])["effective rank"]
for s in seeds:
    for count in COUNTS:
        assert rank["MV-DHEL", count, s] > rank["pairwise NT-Xent", count, s]
    gain = {name: rank[name, COUNTS[-1], s] - rank[name, 2, s] for name in NAMES}
    assert gain["MV-DHEL"] > gain["pairwise NT-Xent"]
    print(f"seed {s}: from 2 to {COUNTS[-1]} views, MV-DHEL gains {gain['MV-DHEL']:.1f} of 32 directions,", end=" ")
    print(f"pairs {gain['pairwise NT-Xent']:.1f}")

# %% [markdown]
# Note what it did *not* buy: accuracy on $h$ is a tie here, as in the scorecard (`docs/scorecard.md`). More views cost
# in proportion: six views are three times the work of two. On ImageNet the authors find one to three points.
#
# ## Exercises
#
# **1.** How many unordered pairs do V views make?


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
#
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
#
# **3.** All points coincide. What is the MV-DHEL loss of B samples in V views at temperature τ?


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
#
# **Read on.** Koromilas et al. 2025, *A Principled Framework for Multi-View Contrastive Learning* (2507.06979); Tian et al.
# 2020, *Contrastive Multiview Coding* (1906.05849).
