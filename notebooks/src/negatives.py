# %% [markdown]
# # Negatives
#
# **How many negatives, are they negative, and which of them matter?**
#
# A contrastive loss pushes an anchor away from its negatives. Nobody chooses them: they are whatever else is in the
# batch. People buy large machines to fit more of them into it. Is it the number that counts? And is a negative what its
# name says, something else?
#
# **You need** [Losses from scratch](slug:losses_from_scratch) and [Temperature](slug:temperature).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, losses, plots, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.claims.measures import usual
from cl_explore.losses.mochi import draw_mixes, mix_hard_negatives
from cl_explore.papers.decoupled_contrastive_learning import study as decoupled
from cl_explore.papers.decoupled_contrastive_learning.panel import CouplingPanel
from cl_explore.papers.mochi import study as mochi
from cl_explore.papers.mochi.panel import MixPanel
from cl_explore.widgets import bet, tally

plots.use()
check = checker("negatives")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]
digits, test = data.load("digits"), data.load("digits", split="test")

# %% [markdown]
# Take a batch of 256 digits. Below are three anchors, each with the seven nearest of its negatives, by the cosine
# of the pixels. A contrastive loss pushes all negatives away, and the nearest ones hardest.

# %%
batch = digits.x[:256].flatten(1).double()
unit = F.normalize(batch, dim=1)
anchors = torch.tensor([3, 4, 8])
nearest = (unit[anchors] @ unit.T).topk(8).indices  # the anchor itself comes first
plots.show(
    plots.pictures(digits.x[nearest], columns=["anchor", *["negative"] * 7]),
    alt="Three digits, each with its seven nearest negatives of the batch: most of these show the same digit.",
)
wrong = digits.labels[nearest[:, 1:]] == digits.labels[nearest[:, :1]]
print(f"{wrong.sum()} of these {wrong.numel()} negatives show the digit of their anchor")
assert wrong.double().mean() > 0.5

# %% [markdown]
# Should a 3 be pushed away from a 3? Section 2 is about that. First, the number of negatives.
#
# ## 1 · "Small batches have too few negatives"
#
# Differentiate NT-Xent for one anchor, with its positive at cosine $s_p$ and its negatives at $s_k$. A common factor
# stands in front of the *whole* gradient, pull and push alike:
#
# $$q = 1 - P(\text{positive}) = \frac{\sum_k e^{s_k/\tau}}{e^{s_p/\tau} + \sum_k e^{s_k/\tau}}$$
#
# (The name is the authors'; $q$ is not a query here.) If the loss is nearly sure of the positive, $q$ is nearly 0 and
# there is hardly any gradient left. **DCL** (Yeh et al. 2022) leaves the positive out of the denominator, and the
# factor disappears. So $q$ is the share of DCL's gradient that NT-Xent keeps. By hand:

# %%
generator = torch.Generator().manual_seed(seed)
z = torch.randn(6, 2, 8, generator=generator, dtype=torch.float64).requires_grad_()
coupled = losses.nt_xent(z, temperature=0.1, reduction="none")
parts = losses.dcl.parts(z, temperature=0.1)
for anchor in range(12):
    (with_q,) = torch.autograd.grad(coupled[anchor], z, retain_graph=True)
    (without,) = torch.autograd.grad(parts["loss"][anchor], z, retain_graph=True)
    torch.testing.assert_close(with_q, parts["coupling"][anchor] * without)
print(f"NT-Xent's gradient is q times DCL's; here q runs from {parts['coupling'].min():.3f} to 1")

# %% [markdown]
# Now train with both losses on digits, in batches of 8 and of 256 samples, for about the same number of steps.

# %%
left = bet(
    "After some 350 steps with batches of 8, what is q on average, the share of DCL's gradient that NT-Xent keeps?",
    ["more than 50 %", "10 to 50 %", "less than 10 %"],
)
left

# %%
gains = bet(
    "DCL's gradient has no q. What does DCL gain over NT-Xent with batches of 8?",
    ["views nearer, and more accurate neighbours", "views nearer, neighbours about as accurate", "neither"],
)
gains

# %%
TITLES = {"nt_xent": "NT-Xent", "dcl": "DCL"}
plan = {
    f"{TITLES[loss]}, batch {batch}": bench.Entry(
        loss,
        settings={"epochs": epochs, "batch_size": batch, "lr": lr, "optimizer": "sgd"},
        about={"loss": TITLES[loss], "batch": batch},
        temperature=decoupled.TEMPERATURE,
    )
    for batch, epochs, lr in [(8, 2, 0.001), (256, 71, 0.006)]
    for loss in TITLES
}
runs = {}
for s in seeds:
    measures = [usual, partial(decoupled.alignment, seed=s)]
    runs[s] = bench.compare({**bench.baselines(), **plan}, digits, test, measures, seed=s)
    for row in runs[s].rows[2:]:
        row["steps"] = len(runs[s].runs[row["method"]].history)
        row["q at the start"] = decoupled.coupling(plan[row["method"]].build(digits, s), digits, row["batch"], s)
        row["q at the end"] = decoupled.coupling(runs[s].methods[row["method"]], digits, row["batch"], s)
small = bench.table(runs).set_index(["method", "seed"])
columns = ["steps", "q at the start", "q at the end", "alignment", "−uniformity", "kNN z", "kNN h"]
small[columns].style.format("{:.3f}", na_rep="").format("{:.0f}", subset="steps", na_rep="")


# %% tags=["claim"]
def gained(s: int, batch: int, column: str) -> float:
    return small.loc[(f"DCL, batch {batch}", s), column] - small.loc[(f"NT-Xent, batch {batch}", s), column]


kept = small.loc[("NT-Xent, batch 8", seed), "q at the end"]
left.settle(left.options[0 if kept > 0.5 else 1 if kept > 0.1 else 2])
nearer = all(gained(s, 8, "alignment") < -0.05 for s in seeds)
better = all(gained(s, 8, "kNN z") > 0.01 for s in seeds)
gains.settle(gains.options[0 if nearer and better else 1 if nearer else 2])
for s in seeds:
    few, many = (small.loc[(f"NT-Xent, batch {batch}", s)] for batch in (8, 256))
    assert few["q at the end"] < 0.1 < 0.3 < many["q at the end"], "in small batches little of the gradient is left"
    assert gained(s, 8, "alignment") < -0.05, "DCL goes on, and brings the views nearer"
    assert abs(gained(s, 256, "alignment")) < 0.03, "in batches of 256 there is nothing to gain"
    print(
        f"seed {s}: DCL changes the distance of views by {gained(s, 8, 'alignment'):+.3f} with batches of 8 and by "
        f"{gained(s, 256, 'alignment'):+.3f} with 256, kNN on z by {gained(s, 8, 'kNN z'):+.1%} and "
        f"{gained(s, 256, 'kNN z'):+.1%}"
    )

# %% [markdown]
# So this is what small batches suffer from first. Among few negatives the positive is soon found, $q$ falls to nearly
# 0, and learning almost stops, although the positive could still come nearer. Without $q$ it does come nearer. (Batches
# of 256 do not bring the views nearer than that: more negatives spread all points more, views included.) On these
# digits the neighbours of the two losses are tied, and raw pixels do at least as well. The authors found their gain in
# accuracy on ImageNet.
#
# The first panel shows $q$ beside the weights. Lower $\tau$ and watch it vanish. The second trains a small encoder with
# both losses while you wait, and shows $q$ of every anchor. Make the batch larger, and the two curves on the right meet.
# Then make the views noisier: now the positive is hard to find, $q$ stays large even in small batches, and NT-Xent
# nearly keeps up.

# %%
z = evaluate.embed_views(runs[seed].methods["DCL, batch 256"], test)
widgets.TemperaturePanel(z=z.double()[:64], temperature=0.2)

# %%
CouplingPanel(batch=8)

# %% [markdown]
# ## 2 · "A negative is something else"
#
# Nobody looks at labels when negatives are drawn. Those of the anchor's own class are called **false negatives**, and
# the nearest by pixels, as you saw above, are mostly of this kind. NT-Xent pushes just these hardest. Does it drive
# them away? Train an encoder, sort all other test digits by how near they are to an anchor, and count.

# %%
false_ones = bet(
    "After training with NT-Xent, what share of the ten nearest is false, compared with pixels?",
    ["smaller by 5 points or more", "within 5 points", "larger by 5 points or more"],
)
false_ones

# %%
entry = partial(bench.Entry, settings={"epochs": 25, "batch_size": 256}, temperature=0.5)
plan = {
    **bench.baselines(),
    "NT-Xent": entry("nt_xent"),
    "debiased, τ⁺ = 0.1": entry("debiased", tau_plus=0.1),
    "hard, β = 1": entry("hard", tau_plus=0.0, beta=1.0),
    "hard, β = 3": entry("hard", tau_plus=0.0, beta=3.0),
    "oracle: no false negatives": entry("g_simclr"),
}
found = {s: bench.compare(plan, digits, test, seed=s) for s in seeds}


def false_by_rank(s: int, name: str) -> Tensor:
    """The share of test digits of the anchor's class among the nearest, the second nearest, ... of all others."""
    unseen = evaluate.embed(found[s].methods[name], test)
    unit = F.normalize(unseen.z, dim=1)
    order = (unit @ unit.T).fill_diagonal_(-2).argsort(1, descending=True)[:, :-1]
    return (unseen.labels[order] == unseen.labels[:, None]).double().mean(0)


names = ["raw input", "untrained encoder", "NT-Xent"]
false = {(name, s): false_by_rank(s, name) for name in names for s in seeds}

# %% jupyter={"source_hidden": true}
figure = plots.figure("half", height=3.2)
(axes,) = figure.axes
for name, style in zip(names, [":", "--", "-"], strict=True):
    axes.plot(range(1, len(test)), false[name, seed], style, label=name)
axes.axhline(0.1, color="0.6", linewidth=1)
axes.set(xscale="log", xlabel="rank of the negative", ylabel="same digit", ylim=(0, 1.03))
axes.legend()
plots.show(
    figure,
    alt="Share of false negatives by rank: most of the nearest ones show the same digit, few of the far ones, for pixels "
    "and encoders alike.",
)

# %% tags=["claim"]
more = false["NT-Xent", seed][:10].mean() - false["raw input", seed][:10].mean()
false_ones.settle(false_ones.options[0 if more <= -0.05 else 2 if more >= 0.05 else 1])
for (name, s), of in false.items():
    print(f"{name}, seed {s}: of the ten nearest {of[:10].mean():.0%} show the same digit, of all {of.mean():.0%}")
for s in seeds:
    assert false["NT-Xent", s][:10].mean() > 0.8

# %% [markdown]
# Most of the nearest are still false. The loss pushes them apart, but an encoder gives pictures that look alike similar
# embeddings, and so they stay near. What can a loss do that does not know the labels?
#
# The **debiased** loss (Chuang et al. 2020) cannot know which negatives are false. But if a share $\tau^+$ of all
# samples belongs to the anchor's class, it can subtract what such a share is expected to add to the sum over negatives.
# The loss with **hard negatives** (Robinson et al. 2021) also gives near negatives more weight, the more the larger
# $\beta$ is. By hand, for one anchor:

# %%
z = F.normalize(torch.randn(8, 2, 16, generator=generator, dtype=torch.float64), dim=-1)
x = z.flatten(0, 1)
tau, tau_plus, beta = 0.5, 0.1, 1.0
pull, push = (x[0] @ x[1] / tau).exp(), (x[0] @ x[2:].T / tau).exp()  # one positive, fourteen negatives
for weight, theirs in [
    (torch.ones(14, dtype=torch.float64), losses.debiased(z, temperature=tau, tau_plus=tau_plus, reduction="none")),
    (push**beta / (push**beta).mean(), losses.hard(z, temperature=tau, tau_plus=tau_plus, beta=beta, reduction="none")),
]:
    negatives = ((weight * push).sum() - 14 * tau_plus * pull) / (1 - tau_plus)
    torch.testing.assert_close(-(pull / (pull + negatives)).log(), theirs[0])
print("debiased: a share of the positive is subtracted; hard: the same, and near negatives get more weight")

# %% [markdown]
# What does each do to the embeddings? We compare them with an **oracle**, a loss that is told the labels and leaves out
# all false negatives. (Tolerance and −uniformity are those of [Temperature](slug:temperature).)

# %%
oracle = bet(
    "The oracle pushes no false negative. Which rises more, compared with NT-Xent?",
    ["tolerance", "−uniformity", "neither rises by 0.1"],
)
oracle

# %%
doubt = bench.table(found)
measured = doubt.groupby("method", sort=False)[["−uniformity", "tolerance", "kNN z", "kNN h"]].mean()
measured.style.format("{:.3f}")

# %% tags=["claim"]
spread, near = (doubt.set_index(["seed", "method"])[column] for column in ("−uniformity", "tolerance"))
moved = [of[seed, "oracle: no false negatives"] - of[seed, "NT-Xent"] for of in (near, spread)]
oracle.settle(oracle.options[2 if max(moved) < 0.1 else moved.index(max(moved))])
for s in seeds:
    assert spread[s, "NT-Xent"] < spread[s, "hard, β = 1"] < spread[s, "hard, β = 3"], "near ones weigh more: more even"
    assert near[s, "oracle: no false negatives"] > near[s, "NT-Xent"] + 0.1, "no false ones: classes come together"
neighbours = doubt.pivot(index="method", columns="seed", values="kNN z").loc[list(plan)]
for s in seeds:
    assert neighbours[s]["NT-Xent"] < neighbours[s]["hard, β = 1"] < neighbours[s]["oracle: no false negatives"]
    assert neighbours[s].max() == neighbours[s]["raw input"]
neighbours.rename(columns="seed {}".format).style.format("{:.3f}")

# %% [markdown]
# More weight for near negatives spreads the samples, and leaving out false ones lets the classes come together: the
# dilemma you know from [Temperature](slug:temperature). Debiasing hardly changes anything. It subtracts the same share
# for every anchor and cannot say *which* negatives are false. For the neighbours in $z$, read every seed: $\beta = 1$
# gains a little over NT-Xent, $\beta = 3$ less, and the oracle gains most. None of them beats raw pixels.
#
# ## 3 · "No negative is harder than the nearest sample"
#
# Harder ones can be made. **MoCHi** (Kalantidis et al. 2020) mixes the nearest negatives with one another, and also
# with the anchor, which is called the query here. A mixture with the query is always at least as near to it as the
# negative it was made from:

# %%
query = F.normalize(torch.randn(4, 16, generator=generator, dtype=torch.float64), dim=1)
queue = F.normalize(torch.randn(256, 16, generator=generator, dtype=torch.float64), dim=1)
recipe = draw_mixes(4, hardest=16, pairs=0, queries=32, generator=torch.Generator().manual_seed(seed))
mixed = mix_hard_negatives(query, queue, recipe)  # (4, 32, 16)
nearest = (query @ queue.T).topk(16).values
parents = nearest.gather(1, recipe.query_ranks)
assert ((mixed @ query[..., None]).squeeze(2) >= parents - 1e-12).all()
print(f"parents have cosines of {parents.mean():.2f} with the query on average,", end=" ")
print(f"mixtures {(mixed @ query[..., None]).mean():.2f}; the nearest real negative {nearest.max():.2f}")

# %%
MixPanel(hardest=12, pairs=16, queries=8)

# %% [markdown]
# Now train with such mixtures. MoCHi builds on **MoCo**, a method whose negatives are not the batch but a **queue**
# of earlier keys. MoCHi takes the 64 nearest of them and adds 64 mixtures of two and 16 with the query. How
# hard does this make the question that the loss asks, called the **proxy task**: is the positive nearer to the query
# than every negative?

# %%
harder = bet(
    "Mixtures are added. How does the proxy task become, and how evenly spread are the embeddings?",
    ["harder, and more even", "harder, and less even", "as easy as before"],
)
harder

# %%
plan = mochi.plan(len(digits))
plan = {name: plan[name] for name in ("raw input", "untrained encoder", "MoCo", "MoCHi(64, 64, 16)")}
mixed_in = {s: bench.compare(plan, digits, test, seed=s) for s in seeds}
for comparison in mixed_in.values():
    for row in comparison.rows[2:]:
        row |= mochi.proxy(comparison.runs[row["method"]])
mixes = bench.table(mixed_in).set_index(["method", "seed"])
mixes[[mochi.HIT, mochi.HIT_REAL, "−uniformity", "kNN h"]].style.format("{:.3f}", na_rep="")

# %% tags=["claim"]
change = mixes.loc["MoCHi(64, 64, 16)"] - mixes.loc["MoCo"]
task, evenness, neighbours = (change[column] for column in (mochi.HIT, "−uniformity", "kNN h"))
harder.settle(harder.options[2 if task[seed] > -0.02 else 0 if evenness[seed] > 0 else 1])
for s in seeds:
    assert task[s] < -0.05, "the mixtures are harder than anything in the queue"
    assert evenness[s] > 0, "and spread the embeddings more evenly"
    print(f"seed {s}: proxy task {task[s]:+.1%}, −uniformity {evenness[s]:+.3f}, kNN on h {neighbours[s]:+.1%}")

# %% [markdown]
# The mechanism works as the authors say: the task is harder, and the embeddings are a little more evenly spread. The
# neighbours in $h$ do not gain from it here, on any seed, and raw pixels do as well.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Write the factor $q$ of NT-Xent, from the cosines of the positive and of the negatives $(K,)$, and τ.


# %%
def coupling(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor: ...


check("coupling", coupling)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def coupling(positive, negatives, temperature):
#     pushes = (negatives / temperature).exp().sum()
#     return pushes / (pushes + (positive / temperature).exp())
#
# check("coupling", coupling)
# ```
# </details>

# %% [markdown]
# **2.** There are $C$ classes, all equally frequent. What share of an anchor's negatives is false on average?


# %%
def false_share(classes: int) -> float: ...


check("false_share", false_share)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def false_share(classes):
#     return 1 / classes
#
# check("false_share", false_share)
# ```
# </details>

# %% [markdown]
# **3.** Mix a query with a negative, both of length 1: a `share` of the query, the rest of the negative, and then
# length 1 again.


# %%
def mix(query: Tensor, negative: Tensor, share: float) -> Tensor: ...


check("mix", mix)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def mix(query, negative, share):
#     return F.normalize(share * query + (1 - share) * negative, dim=-1)
#
# check("mix", mix)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Add batches of 32 to the plan of section 1, with about as many steps. Does DCL still bring the
# views nearer than NT-Xent there, and what is $q$?
#
# **5.** (To think about.) Your pictures are the frames of videos, thirty a second, and each batch is drawn from all
# frames. Which negatives will be pushed hardest? Would you give them more weight (hard negatives), subtract a share
# (debiased), or change how the batch is drawn?
#
# ## References
#
# - Yeh et al., *Decoupled contrastive learning*, ECCV 2022, [2110.06848](https://arxiv.org/abs/2110.06848).
# - Chuang et al., *Debiased contrastive learning*, NeurIPS 2020, [2007.00224](https://arxiv.org/abs/2007.00224).
# - Robinson et al., *Contrastive learning with hard negative samples*, ICLR 2021,
#   [2010.04592](https://arxiv.org/abs/2010.04592).
# - Kalantidis et al., *Hard negative mixing for contrastive learning*, NeurIPS 2020,
#   [2010.01028](https://arxiv.org/abs/2010.01028).
