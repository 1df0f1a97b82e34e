# %% [markdown]
# # Negatives
#
# **How many negatives, are they negative, and which of them matter?**
#
# A contrastive loss pushes an anchor from its negatives, and nobody chooses them: they are whatever else is in the
# batch. People buy large machines to have more of them. Is it the number that counts? And are they what their name says?
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
from cl_explore.papers.mochi import study as mochi
from cl_explore.papers.mochi.panel import MixPanel
from cl_explore.widgets import bet, tally

plots.use()
check = checker("negatives")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]
digits, test = data.load("digits"), data.load("digits", split="test")

# %% [markdown]
# A batch of 256 digits, three anchors, and of their $256 - 1 = 255$ negatives the seven nearest (by the cosine of the pixels). A
# contrastive loss is told to push every one of them away, and these hardest.

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
# That looks like a fault, and section 2 is about it. First, their number.
#
# ## 1 · "Small batches have too few negatives"
#
# Differentiate NT-Xent for one anchor, with its positive at cosine $s_p$ and negatives at $s_k$, and a factor comes out
# in front of *all* of the gradient, pull and push alike:
#
# $$q = 1 - P(\text{positive}) = \frac{\sum_k e^{s_k/\tau}}{e^{s_p/\tau} + \sum_k e^{s_k/\tau}}$$
#
# ($q$ as in the paper; it has nothing to do with a query.) **DCL** (Yeh et al. 2022) drops the positive from the
# denominator, and with it $q$. So $q$ says how much of DCL's gradient NT-Xent keeps, and you can measure it. By hand:

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
# Now train both losses on digits, with batches of 8 and of 256 samples, for equally many steps.

# %%
left = bet(
    "After some 350 steps with batches of 8: which share of DCL's gradient does NT-Xent keep, on average?",
    ["more than a half", "10 to 50 %", "less than 10 %"],
)
left

# %%
gains = bet(
    "Without q, the gradient stays large. What does DCL gain with batches of 8?",
    ["views nearer and better neighbours", "views nearer, neighbours no better", "neither"],
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
    assert few["q at the end"] < 0.1 < 0.3 < many["q at the end"], "small batches: the gradient has gone"
    assert gained(s, 8, "alignment") < -0.05, "DCL goes on, and brings the views nearer"
    assert abs(gained(s, 256, "alignment")) < 0.03, "in batches of 256 there is nothing left to gain"
    print(
        f"seed {s}: DCL changes the distance of views by {gained(s, 8, 'alignment'):+.3f} with batches of 8 and by "
        f"{gained(s, 256, 'alignment'):+.3f} with 256, kNN on z by {gained(s, 8, 'kNN z'):+.1%} and "
        f"{gained(s, 256, 'kNN z'):+.1%}"
    )

# %% [markdown]
# So this is what small batches suffer from first: among few negatives the positive is soon found, $q$ is nearly 0, and
# learning stops although the positive could come nearer still. With $q$ gone the views come nearer. (In batches of 256
# they are no nearer than that: more negatives spread the points more, and views with them.) The neighbours of the two
# losses are a tie on these digits, and pixels do as well: the paper's gain in accuracy was found on ImageNet.
#
# The panel shows $q$ beside the weights: lower $\tau$, and see it vanish.

# %%
z = evaluate.embed_views(runs[seed].methods["DCL, batch 256"], test)
widgets.TemperaturePanel(z=z.double()[:64], temperature=0.2)

# %% [markdown]
# ## 2 · "A negative is something else"
#
# Nobody looked at labels when negatives were drawn. Those of the anchor's own class are **false negatives**; among the
# nearest by pixels you saw them above. NT-Xent pushes just these. Does it get rid of them? Train an encoder, sort all
# other test digits by their nearness to an anchor, and count.

# %%
false_ones = bet(
    "After training with NT-Xent: how many of the ten nearest negatives are false, compared with pixels?",
    ["fewer by 5 points or more", "within 5 points", "more by 5 points or more"],
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
# Most of the nearest are still false: what the loss pushes apart, the views and the smoothness of the encoder hold
# together. What can a loss do that does not know the labels?
#
# **Debiased** (Chuang et al., 2020) cannot know which, but takes an expected share $\tau^+$ of positives off the sum
# over negatives. **Hard negatives** (Robinson et al., 2021) then weigh the near ones more by β. By hand, for one anchor:

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
print("debiased: a share of the positive taken off; hard: the same, near negatives weighed more")

# %% [markdown]
# What does each do to an embedding? And what would an oracle do, that knows the labels and leaves false negatives out?

# %%
oracle = bet(
    "The oracle pushes no false negative. What changes by most, against NT-Xent?",
    ["tolerance rises", "−uniformity rises", "neither moves by 0.1"],
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
    assert near[s, "oracle: no false negatives"] > near[s, "NT-Xent"] + 0.1, "no false ones: classes draw together"
neighbours = doubt.pivot(index="method", columns="seed", values="kNN z").loc[list(plan)]
for s in seeds:
    assert neighbours[s]["NT-Xent"] < neighbours[s]["hard, β = 1"] < neighbours[s]["oracle: no false negatives"]
    assert neighbours[s].max() == neighbours[s]["raw input"]
neighbours.rename(columns="seed {}".format).style.format("{:.3f}")

# %% [markdown]
# Weighing near negatives more and leaving false ones out pull at opposite ends of one rope, the one you know from
# [Temperature](slug:temperature). Debiasing hardly moves anything: it takes the same share off every sum and cannot say
# *which* negatives are false. As to neighbours, read every seed: weighing gains a point or two over NT-Xent at β = 1, less
# at β = 3, and the oracle gains most; none of them passes the pixels.
#
# ## 3 · "The hardest negative is the nearest sample"
#
# **MoCHi** (Kalantidis et al. 2020) makes harder ones: it mixes the nearest negatives with one another, and with the
# query (the anchor) itself. A mixture with the query is nearer to it than the negative it came from, always:

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
# Now train with it. The plain encoder is MoCo, which compares with a queue of earlier keys; MoCHi adds 64 mixtures
# of pairs and 16 with the query, from the 64 nearest. The **proxy task** is the one the loss sets: is the positive
# nearer than every negative?

# %%
harder = bet(
    "Trained with mixtures as well, what happens to the proxy task and to the spread of the embeddings?",
    ["harder, and spread more", "harder, and spread less", "as easy as before"],
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
    assert evenness[s] > 0, "and spread the embeddings"
    print(f"seed {s}: proxy task {task[s]:+.1%}, −uniformity {evenness[s]:+.3f}, kNN on h {neighbours[s]:+.1%}")

# %% [markdown]
# The mechanism works as the paper says; the neighbours of $h$ do not gain from it here, on any seed, and the raw pixels
# stand beside both. What the mixtures do is again to spread.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# **1.** From the similarities of the positive and the negatives $(K,)$ and τ, write NT-Xent's factor $q$.


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
# **2.** Samples of C equally frequent classes. Of the 2B - 2 negatives of an anchor, how many are false on average? Give
# the share.


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
# **3.** Mix a query with a negative: the point on the sphere with `share` of the query.


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
# **4.** (An experiment.) Add batches of 32 to the plan of section 1, with as many steps. Where between 8 and 256 does
# the gain of DCL in alignment end, and what is $q$ there?
#
# **5.** (To think about.) Your pictures come from video, thirty a second, and the batch is drawn from all frames. Which
# negatives will be pushed hardest? Would you weigh them more (hard), doubt them (debiased), or change how you draw?
#
# ## References
#
# - Yeh et al., *Decoupled contrastive learning*, ECCV 2022, [2110.06848](https://arxiv.org/abs/2110.06848).
# - Chuang et al., *Debiased contrastive learning*, NeurIPS 2020, [2007.00224](https://arxiv.org/abs/2007.00224).
# - Robinson et al., *Contrastive learning with hard negative samples*, ICLR 2021,
#   [2010.04592](https://arxiv.org/abs/2010.04592).
# - Kalantidis et al., *Hard negative mixing for contrastive learning*, NeurIPS 2020,
#   [2010.01028](https://arxiv.org/abs/2010.01028).
