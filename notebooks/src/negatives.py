# %% [markdown]
# # Negatives
#
# **How many negatives, are they negative, and which of them matter?**
#
# A contrastive loss pushes an anchor from its negatives. How many does it need, are they really
# negative, and which of them matter?
#
# **The answers you will measure.** That small batches suffer comes largely from one factor in the gradient, and
# **decoupling** takes it off (DCL). Most of the *nearest* negatives are false: same digit, other picture. Losses can
# doubt them (**debiased**), weigh the near ones more (**hard**), or make harder ones than there are (**MoCHi**). And
# many negatives need not cost much memory.
#
# **You need** [Losses from scratch](slug:losses_from_scratch) and [Temperature](slug:temperature). **Takes** about two minutes on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import time
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, losses, plots, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.losses.mochi import draw_mixes, mix_hard_negatives
from cl_explore.papers.decoupled_contrastive_learning import study as decoupled
from cl_explore.papers.mochi.panel import MixPanel

plots.use()
check = checker("negatives")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]
digits, test = data.load("digits"), data.load("digits", split="test")

# %% [markdown]
# ## 1 · "Small batches have too few negatives": first of all, they have small gradients
#
# Write NT-Xent's gradient for one anchor and a factor comes out in front of *all* of it, pull and push:
#
# $$q = 1 - P(\text{positive}) = \frac{\sum_k e^{s_k/\tau}}{e^{s_p/\tau} + \sum_k e^{s_k/\tau}}$$
#
# Once the positive is found among few negatives, $q$ is nearly 0 and learning stops, although the positive could come
# nearer still. **DCL** (Yeh et al., 2022) drops the positive from the denominator, and $q$ with it.

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

# %%
cosine = torch.linspace(-0.2, 1, 200)[:, None]  # of the positive
figure = plots.figure("half", height=2.9)
(axes,) = figure.axes
for negatives in (6, 30, 510):
    others = 0.3 * torch.randn(negatives, generator=generator)
    q = 1 / (1 + (cosine / 0.2).exp().squeeze(1) / (others / 0.2).exp().sum())
    axes.plot(cosine.squeeze(1), q, label=f"{negatives} negatives")
axes.set(xlabel="cosine with the positive", ylabel="q", title="what is left of the gradient, τ = 0.2", ylim=(0, 1.03))
axes.legend()
plots.show(
    figure,
    alt="The factor q falls as the positive gets nearer: to a quarter with 6 negatives, but hardly with 510 of them.",
)

# %% [markdown]
# Train both with batches of 8 and of 256, about as many steps each, and see how near the two views of a test digit get.

# %%
plan = {name: of for name, of in decoupled.plan().items() if of.about.get("batch") in (8, 256)}
plan = {name: of for name, of in plan.items() if of.about["loss"] in ("NT-Xent", "DCL")}
runs = {s: bench.compare(plan, digits, test, [partial(decoupled.alignment, seed=s)], seed=s) for s in seeds}
small = bench.table(runs)
small.pivot_table(index="batch", columns="loss", values="alignment").style.format("{:.3f}")

# %% tags=["claim"]
apart = small.set_index(["seed", "batch", "loss"])["alignment"]
for s in seeds:
    gain = {batch: float(apart[s, batch, "NT-Xent"] - apart[s, batch, "DCL"]) for batch in (8, 256)}
    assert gain[8] > 0.05, "in batches of 8, DCL brings the views nearer"
    assert abs(gain[256]) < 0.03, "in batches of 256 there is nothing left to gain"
    print(f"seed {s}: DCL brings views nearer by {gain[8]:.3f} with batches of 8, by {gain[256]:.3f} with 256")

# %% [markdown]
# What it does not bring on these digits is accuracy: the scorecard (`docs/scorecard.md`) has that as a claim of its own.
# The panel shows $q$ beside the weights: lower τ, or take the positive nearer, and see it vanish.

# %%
z = evaluate.embed_views(runs[seed].methods["DCL, batch 256"], test)
widgets.TemperaturePanel(z=z.double()[:64], temperature=0.2)

# %% [markdown]
# ## 2 · "A negative is something else": of the nearest ones, most are not
#
# Nobody looked at labels when negatives were drawn. For a trained encoder, sort the other digits by nearness and ask how
# many of them show the same digit:

# %%
entry = partial(bench.Entry, settings={"epochs": 25, "batch_size": 256}, temperature=0.5)
method = bench.compare({"NT-Xent": entry("nt_xent")}, digits, test, [], seed=seed).methods["NT-Xent"]
unseen = evaluate.embed(method, test)
unit = F.normalize(unseen.z, dim=1)
order = (unit @ unit.T).fill_diagonal_(-2).argsort(1, descending=True)[:, :-1]
false = (unseen.labels[order] == unseen.labels[:, None]).double().mean(0)

figure = plots.figure("half", height=2.9)
(axes,) = figure.axes
axes.plot(range(1, len(false) + 1), false)
axes.axhline(0.1, color="0.6", linewidth=1)
axes.set(xscale="log", xlabel="rank of the negative", ylabel="same digit", ylim=(0, 1.03))
plots.show(
    figure,
    alt="Share of false negatives by rank: more than nine in ten of the nearest ones show the same digit, few far ones.",
)
assert false[:10].mean() > 0.8
print(f"of the ten nearest negatives {false[:10].mean():.0%} show the same digit, of all negatives {false.mean():.0%}")

# %% [markdown]
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
plan = {
    **bench.baselines(),
    "NT-Xent": entry("nt_xent"),
    "debiased, τ⁺ = 0.1": entry("debiased", tau_plus=0.1),
    "hard, β = 1": entry("hard", tau_plus=0.0, beta=1.0),
    "hard, β = 3": entry("hard", tau_plus=0.0, beta=3.0),
    "oracle: no false negatives": entry("g_simclr"),
}
doubt = bench.table({s: bench.compare(plan, digits, test, seed=s) for s in seeds})
doubt.groupby("method", sort=False)[["−uniformity", "tolerance", "kNN z"]].mean().style.format("{:.3f}")

# %% [markdown]
# **Asserted:** weighing near negatives more spreads the embedding, the more so the larger β; leaving the false ones out
# draws the classes together. Both pull at the same rope as the temperature did in the lesson on [temperature](slug:temperature).

# %% tags=["claim"]
spread, near = (doubt.set_index(["seed", "method"])[column] for column in ("−uniformity", "tolerance"))
for s in seeds:
    assert spread[s, "NT-Xent"] < spread[s, "hard, β = 1"] < spread[s, "hard, β = 3"]
    assert near[s, "oracle: no false negatives"] > near[s, "NT-Xent"] + 0.1
print("holds for every seed")

# %% [markdown]
# ## 3 · "The hardest negative is the nearest sample": one can make harder ones
#
# **MoCHi** (Kalantidis et al., 2020) mixes the nearest negatives with one another, and with the query itself. A mixture
# with the query is nearer to it than the negative it came from, always:

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
# ## 4 · "Large batches need large memory": the loss does not
#
# The textbook forms the table of all N × N similarities and keeps it for the gradient. But a row's log-sum-exp can be
# computed tile by tile, and for the gradient the tiles can be computed again. The result is exact; only the table is
# never there. How much does a loss keep between its forward and its backward pass? Ask autograd:


# %%
def textbook(x: Tensor) -> Tensor:
    x = F.normalize(x.flatten(0, 1), dim=1)
    logits = (x @ x.T / 0.1).masked_fill(torch.eye(len(x), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(x)) ^ 1)


def kept(loss, z: Tensor) -> tuple[Tensor, float, float]:
    """The loss, the MiB autograd keeps for its gradient (each piece of memory once), and seconds with the gradient."""
    pieces = {}

    def note(tensor: Tensor) -> Tensor:
        pieces[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    start = time.perf_counter()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = loss(z)
    value.backward()
    return value.detach(), sum(pieces.values()) / 2**20, time.perf_counter() - start


rows = []
for points in (512, 1024, 2048, 4096):
    z = torch.randn(points // 2, 2, 128, generator=generator, requires_grad=True)
    for name, loss in {"textbook": textbook, "tiles": lambda z: losses.nt_xent(z, temperature=0.1)}.items():
        value, mebibytes, seconds = kept(loss, z)
        rows.append({"N": points, "by": name, "value": float(value), "kept (MiB)": mebibytes, "seconds": seconds})
cost = pd.DataFrame(rows).pivot(index="N", columns="by", values=["value", "kept (MiB)", "seconds"])
cost.style.format("{:.3f}")

# %% tags=["claim"]
table = {points: points**2 * 4 / 2**20 for points in cost.index}  # one table of float32
for points in cost.index:
    assert abs(cost.loc[points, ("value", "textbook")] - cost.loc[points, ("value", "tiles")]) < 1e-4
    assert cost.loc[points, ("kept (MiB)", "textbook")] > table[points]
grown = cost["kept (MiB)"].loc[4096] / cost["kept (MiB)"].loc[1024]
assert grown["textbook"] > 12, "four times the points, sixteen times the memory"
print(f"from 1,024 to 4,096 points, memory grew {grown['textbook']:.1f} times and {grown['tiles']:.1f} times")

# %% [markdown]
# Up to 24 MiB of tiles are kept, since that is faster; from there on memory grows with N, not with N². `benchmarks/`
# has the full measurement. (The *encoder's* memory for a large batch is another matter: `JointEmbedding(chunk=...)`
# embeds in chunks and computes them again for the gradient.)
#
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
#
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
#
# **3.** Mix a query with a negative: the point on the sphere with share β of the query.


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
#
# **Read on.** Yeh et al. 2022, *Decoupled Contrastive Learning* (2110.06848); Chuang et al. 2020 (2007.00224); Robinson et
# al. 2021 (2010.04592); Kalantidis et al. 2020, *Hard Negative Mixing* (2010.01028).
