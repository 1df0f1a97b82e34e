# %% [markdown]
# # Temperature
#
# **What does the number in the softmax do?**
#
# One number, τ, divides every similarity in a contrastive loss. Papers set it to 0.07, 0.1, 0.2 or
# 0.5 and rarely say why. What does it do?
#
# **The answer you will measure.** It decides *how much of the push goes to the nearest negatives*. That spreads
# points evenly over the sphere (uniformity) and, by the same act, tears apart samples that belong together
# (tolerance). Wang & Liu (2021) call it the uniformity-tolerance dilemma; at the end of this page you will have
# reproduced it on real digits.
#
# **You need** [Losses from scratch](slug:losses_from_scratch). **Takes** about a minute on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": three
seed: int = 0
view_strength: float = 1.0  # 1 is weak: intensity ±10 %, noise 0.1

# %%
import math
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, losses, plots, views, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench

plots.use()
check = checker("temperature")
seeds = [seed] if preset == "smoke" else [seed, seed + 1, seed + 2]
TEMPERATURES = [0.07, 0.2, 0.5, 1.0, 3.0]

# %% [markdown]
# ## 1 · "Temperature only rescales the loss": it redistributes the push
#
# Take InfoNCE for one anchor, with the positive at cosine $s_p$ and negatives at $s_k$, and differentiate:
#
# $$\frac{\partial \ell}{\partial s_p} = -\frac1\tau \sum_k P_k, \qquad
# \frac{\partial \ell}{\partial s_k} = \frac1\tau P_k,
# \qquad P_k = \frac{e^{s_k/\tau}}{e^{s_p/\tau} + \sum_j e^{s_j/\tau}}$$
#
# The pull on the positive equals the sum of all pushes. Of that sum, negative $k$ gets the share $r_k = e^{s_k/\tau}
# / \sum_j e^{s_j/\tau}$, its **relative penalty**: a softmax of the negatives with temperature τ.

# %%
generator = torch.Generator().manual_seed(seed)
anchor = F.normalize(torch.randn(1, 16, generator=generator, dtype=torch.float64), dim=1)
positive = F.normalize(anchor + 0.15 * torch.randn(1, 16, generator=generator, dtype=torch.float64), dim=1)
others = F.normalize(torch.randn(40, 16, generator=generator, dtype=torch.float64), dim=1)

s_positive = (anchor @ positive.T)[0, 0].clone().requires_grad_()
s_negative = (anchor @ others.T)[0].clone().requires_grad_()
for tau in (0.07, 0.5):
    loss = torch.cat([s_positive[None], s_negative]).div(tau).logsumexp(0) - s_positive / tau
    torch.testing.assert_close(loss, losses.info_nce(anchor, positive, others, temperature=tau))
    pull, push = torch.autograd.grad(loss, [s_positive, s_negative])
    share = (s_negative / tau).softmax(0)
    torch.testing.assert_close(pull, -push.sum())
    torch.testing.assert_close(push / push.sum(), share)
    entropy = -(share * share.log()).sum()
    print(f"τ = {tau}: pull {pull:+.3f} = -(sum of {len(push)} pushes); the nearest negative gets {share.max():.0%},")
    print(f"          as if {entropy.exp():.1f} negatives of {len(push)} were there (exp of the entropy of the shares)")

# %%
figure = plots.negative_weights(s_negative.detach(), [0.07, 0.2, 0.5, 1.0])
plots.show(
    figure,
    alt="Weight of each negative against its cosine for four temperatures: the colder, the more the nearest few hold.",
)

# %% [markdown]
# Drag τ from right to left and watch one negative after the other go dark. The read-outs are the entropy of the
# shares, the number of negatives that effectively count, and the share of the gradient that is left for the positive.

# %%
widgets.TemperaturePanel(s_negative.detach(), float(s_positive), temperature=0.5)

# %% [markdown]
# ## 2 · "τ near 0 or very large is just extreme": the limits are two other losses
#
# As τ → 0 only the nearest negative is left, and τ·ℓ becomes a **triplet loss without margin**, $[s_{\max} - s_p]_+$.
# As τ → ∞ all negatives weigh the same and ℓ becomes the plain **attract-repel** loss: nothing is hard any more.

# %%
far_positive = F.normalize(torch.randn(1, 16, generator=generator, dtype=torch.float64), dim=1)
sp, sn = float(anchor @ far_positive.T), (anchor @ others.T)[0]
K = len(sn)
print("      τ    τ·loss   triplet |      τ     loss     attract-repel")
for cold, hot in zip([0.1, 0.01, 0.001], [10.0, 100.0, 1000.0], strict=True):
    frozen = cold * losses.info_nce(anchor, far_positive, others, temperature=cold)
    boiling = losses.info_nce(anchor, far_positive, others, temperature=hot)
    triplet = max(float(sn.max()) - sp, 0.0)
    simple = math.log(K + 1) + (float(sn.sum()) - K * sp) / ((K + 1) * hot)
    print(f"{cold:7.3f} {frozen:9.5f} {triplet:9.5f} | {hot:6.0f} {boiling:9.6f} {simple:9.6f}")
assert abs(frozen - triplet) < 1e-3
assert abs(boiling - simple) < 1e-6

# %% [markdown]
# ## 3 · "Uniform is good": the uniformity-tolerance dilemma
#
# Two measures of an embedding on the sphere:
#
# - **uniformity** $\log \mathbb E\, e^{-2 \lVert f(x) - f(y) \rVert^2}$ over all pairs; we plot its negative, so that
#   *higher is more evenly spread* (about 4 is the ceiling in many dimensions);
# - **tolerance** $\mathbb E\, f(x)^\top f(y)$ over pairs of the *same class*: how close the embedding leaves samples
#   that mean the same, although no label was used.
#
# A cold loss pushes the nearest negatives hardest, and the nearest negatives are mostly of the anchor's own class. So
# one goes up as the other goes down. Let us train one encoder per temperature on real digits and see.

# %%
digits, test = data.load("digits"), data.load("digits", split="test")


weak = views.ImageViews.weak(view_strength)
entry = partial(bench.Entry, "nt_xent", settings={"epochs": 25, "batch_size": 256, "snapshots": 12})
plan = {f"τ = {tau:g}": entry(augment=weak, temperature=tau, about={"τ": tau}) for tau in TEMPERATURES}
found = {s: bench.compare(plan, digits, test, seed=s) for s in seeds}
results = bench.table(found)
table = results.groupby("τ")[["−uniformity", "tolerance", "effective rank", "kNN z", "linear h"]].mean()
table.style.format("{:.3f}").format_index("{:g}")

# %%
figure = plots.figure("full", height=3.4, columns=2)
for axes, name, colour in zip(figure.axes, ["−uniformity", "tolerance"], plots.style.CLASS_COLOURS, strict=False):
    axes.plot(table.index, table[name], "-", color=colour)
    axes.plot(results["τ"], results[name], "o", color=colour, alpha=0.5)
    axes.set(xscale="log", xlabel="temperature τ", title=name)
    axes.set_xticks(TEMPERATURES, [f"{tau:g}" for tau in TEMPERATURES], minor=False)
    axes.minorticks_off()
plots.show(
    figure,
    alt="As temperature rises, minus-uniformity falls from about 3.6 to 2.6 and tolerance rises from 0.1 to 0.6.",
)

# %% [markdown]
# **The claim, asserted on the runs you just made:** over τ = 0.07, 0.2, 0.5, 1, 3, −uniformity strictly falls and
# tolerance strictly rises, for every seed.

# %% tags=["claim"]
for s, of_seed in results.groupby("seed"):
    assert of_seed["−uniformity"].is_monotonic_decreasing, f"seed {s}: {of_seed['−uniformity'].tolist()}"
    assert of_seed["tolerance"].is_monotonic_increasing, f"seed {s}: {of_seed['tolerance'].tolist()}"
spread = table["kNN z"].max() - table["kNN z"].min()
print(f"holds for {len(seeds)} of {len(seeds)} seeds; meanwhile kNN accuracy moves by {spread:.3f} only")

# %% [markdown]
# Note what did *not* move much: accuracy. On small, easy data nearly any τ gives a good classifier, which is why
# geometry is the better instrument here. (On CIFAR and ImageNet-100 the paper finds the best accuracy between the
# extremes.)
#
# Scrub through two of the runs. The cold one spreads every digit into a cloud; the warm one leaves ten clumps.

# %%
for tau, finding in [(0.07, "spread around low cosines"), (3.0, "piled up near 1")]:
    z = evaluate.embed(found[seed].methods[f"τ = {tau:g}"], test).z
    figure = plots.similarity_histogram(z, test.labels, title=f"τ = {tau}: pairs of the same and of different digits")
    plots.show(figure, alt=f"Histogram of cosines at temperature {tau}: pairs of the same digit are {finding}.")

# %%
widgets.EmbeddingPanel(found[seed].runs["τ = 0.07"], digits)

# %%
widgets.EmbeddingPanel(found[seed].runs["τ = 3"], digits)

# %% [markdown]
# ## 4 · "A small τ is always sharper, hence better": it depends on the views
#
# A cold loss listens to the nearest negative. That is fine while the positive is nearer still. With *hard* views on
# tiny images it is not: the nearest negative is closer than the other view of the same image, the loss behaves like a
# triplet that is permanently violated, and the easiest way out is to make all points equal. View strength and
# temperature must be chosen together.

# %%
crops = views.ImageViews(crop_area=0.1, crop_ratio=4 / 3, brightness=0.4, contrast=0.4, noise=0.5)
plan = {f"τ = {tau:g}": entry(augment=crops, temperature=tau) for tau in (0.07, 0.5)}
hard = bench.table({seed: bench.compare(plan, digits, test, seed=seed)}).set_index("method")[table.columns]
columns = {("weak views", f"τ = {tau:g}"): table.loc[tau] for tau in (0.07, 0.5)}
columns |= {("hard views", name): row for name, row in hard.iterrows()}
pd.DataFrame(columns).style.format("{:.3f}")

# %% tags=["claim"]
weakly, hardly = ([of.iloc[place]["−uniformity"] for place in (0, 1)] for of in (table.loc[[0.07, 0.5]], hard))
assert weakly[0] > weakly[1], "weak views: the colder loss spreads points more evenly"
assert hardly[0] < hardly[1], "hard views: the colder loss draws them together"
print(f"−uniformity at τ 0.07: {weakly[0]:.2f} with weak views, {hardly[0]:.2f} with hard ones")

# %% [markdown]
# ## Exercises
#
# **1.** Write the relative penalty of each negative from its similarities $(K,)$ and τ.


# %%
def penalty(similarities: Tensor, temperature: float) -> Tensor: ...


check("penalty", penalty)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def penalty(similarities, temperature):
#     return (similarities / temperature).softmax(0)
#
# check("penalty", penalty)
# ```
# </details>
#
# **2.** How many negatives effectively count? Write $e^{H}$ of the shares, with the entropy $H = -\sum_k r_k \log
# r_k$.


# %%
def effective(shares: Tensor) -> Tensor: ...


check("effective", effective)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def effective(shares):
#     return (-(shares * shares.log()).sum()).exp()
#
# check("effective", effective)
# ```
# </details>
#
# **3.** There are two negatives, at cosines `nearest` and `second`. At which τ does the nearest get exactly 90 % of
# the push?


# %%
def nine_to_one(nearest: float, second: float) -> float: ...


check("nine_to_one", nine_to_one)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def nine_to_one(nearest, second):
#     # 0.9 / 0.1 = 9 = exp((nearest - second) / tau)
#     return (nearest - second) / math.log(9)
#
# check("nine_to_one", nine_to_one)
# ```
# </details>
#
# **4.** Write the tolerance of unit vectors `z` $(N, D)$ with labels: the mean cosine over pairs of the same class, a
# point never paired with itself.


# %%
def tolerance(z: Tensor, labels: Tensor) -> Tensor: ...


check("tolerance", tolerance)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def tolerance(z, labels):
#     same = (labels[:, None] == labels) & ~torch.eye(len(z), dtype=torch.bool)
#     return (z @ z.T)[same].mean()
#
# check("tolerance", tolerance)
# ```
# </details>
#
# **5.** (Open) Set `view_strength` in the parameters cell to 2 or 3 and run the page again. At which temperature does
# the dilemma bend the other way, and why?
#
# <details><summary>A hint</summary>
#
# Look at the histogram for τ = 0.07: what happens to the cosines of the same digit when the two views of an image no
# longer resemble each other more than two images do?
#
# </details>
#
# ## References
#
# - Wang & Liu, *Understanding the behaviour of contrastive loss*, CVPR 2021,
#   [2012.09740](https://arxiv.org/abs/2012.09740). Its tolerance (equation 11) is written as a mean over all pairs;
#   the values it prints can only be means over pairs of the same class, and that is what is measured here.
# - Wang & Isola, *Understanding contrastive representation learning through alignment and uniformity on the
#   hypersphere*, ICML 2020, [2005.10242](https://arxiv.org/abs/2005.10242).
