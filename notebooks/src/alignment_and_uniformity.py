# %% [markdown]
# # Alignment and uniformity
#
# **Which two pulls is a contrastive loss made of, and what do labels add?**
#
# Every contrastive loss pulls views of a sample together and pushes samples apart. What if we wrote
# down just these two pulls, each as its own loss, and turned them up and down?
#
# Wang & Isola (2020) did: **alignment**, the distance between the views of a sample, and **uniformity**, how evenly
# the points fill the sphere. First on the circle, where you can see it; then on digits, where you can measure it;
# then with labels, where a third quantity enters: the **dispersion** of a class.
#
# **You need** [Losses from scratch](slug:losses_from_scratch) and [Temperature](slug:temperature). **Takes** about a minute on two cores.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": three
seed: int = 0
view_strength: float = 1.0  # 1 is weak: intensity ±10 %, noise 0.1

# %%
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, losses, methods, plots, views, widgets
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.claims.measures import usual

plots.use()
check = checker("alignment_and_uniformity")
seeds = [seed] if preset == "smoke" else [seed, seed + 1, seed + 2]

# %% [markdown]
# ## 1 · The two pulls, in two lines
#
# $$\mathcal L_{\text{align}} = \mathbb E\, \lVert z - z^+ \rVert^2 \qquad
# \mathcal L_{\text{uniform}} = \log \mathbb E\, e^{-2 \lVert z_i - z_j \rVert^2}$$

# %%
generator = torch.Generator().manual_seed(seed)
z = F.normalize(torch.randn(40, 2, 3, generator=generator, dtype=torch.float64), dim=-1)

align = (z[:, 0] - z[:, 1]).square().sum(-1).mean()
different = ~torch.eye(len(z), dtype=torch.bool)
uniform = torch.stack([(-2 * torch.cdist(view, view).square()).exp()[different].mean().log() for view in z.unbind(1)])

torch.testing.assert_close(align, losses.alignment(z))
torch.testing.assert_close(uniform.mean(), losses.uniformity(z))
torch.testing.assert_close(align + 0.5 * uniform.mean(), losses.align_uniform(z, weight=0.5))
print(f"random points on the sphere: alignment {align:.3f} (2 on average), uniformity {uniform.mean():.3f}")

# %% [markdown]
# ## 2 · "Pulling positives together is enough": it leaves gaps, or worse
#
# Forty pairs of points on the circle follow each pull for 300 steps of gradient descent, from the same start.


# %%
def descend(loss: losses.Loss, **knobs: float) -> Tensor:
    """300 steps on free points, put back on the circle after each."""
    points = F.normalize(torch.randn(40, 2, 2, generator=torch.Generator().manual_seed(seed)), dim=-1)
    for _ in range(300):
        points.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(points, **knobs) * len(points), points)
        points = F.normalize(points.detach() - 0.05 * gradient, dim=-1)
    return points


ends = {
    "alignment alone": descend(losses.alignment),
    "uniformity alone": descend(losses.uniformity),
    "both": descend(losses.align_uniform, weight=1.0),
}

# %%
figure = plots.figure("full", height=3.3, columns=3)
for axes, (name, points) in zip(figure.axes, ends.items(), strict=True):
    axes.plot(*points.permute(2, 1, 0), color="0.5", linewidth=0.8)  # a line joins the two views of a sample
    axes.plot(*points.flatten(0, 1).T, "o", markersize=5, alpha=0.7)
    axes.set_title(f"{name}\nalign {losses.alignment(points):.2f}, −uniform {-losses.uniformity(points):.2f}")
    axes.set(aspect="equal", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    axes.axis("off")
plots.show(
    figure,
    alt="Three circles: alignment alone joins each pair but leaves gaps, uniformity alone fills the circle but tears "
    "pairs apart, both together give joined pairs evenly spread.",
)

# %% tags=["claim"]
aligned, spread, both = ends.values()
assert losses.alignment(aligned) < 1e-3, "alignment alone is solved"
assert losses.alignment(spread) > 0.5, "uniformity alone tears views apart"
assert losses.alignment(both) < 0.1
assert -losses.uniformity(both) > -losses.uniformity(aligned), "together they spread the joined pairs"

# %% [markdown]
# Turn the weight of uniformity yourself: at 0 nothing spreads; at any other weight the samples spread out and their
# views stay joined. Free points can have both, so the two pulls do not compete. An *encoder* is less free: similar
# images must stay near each other, and alignment has an easy way out, sending everything to one point. That is next.

# %%
widgets.SpherePanel("align_uniform", seed=seed)

# %% [markdown]
# ## 3 · "A low loss means a good embedding": measure the two pulls instead
#
# The same encoder on digits, trained with alignment alone, uniformity alone, both, and NT-Xent, which never mentions
# either.

# %%
digits, test = data.load("digits"), data.load("digits", split="test")


def alignment(method: methods.Method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    return {"alignment": float(geometry.alignment(evaluate.embed_views(method, test)))}


weak = views.ImageViews.weak(view_strength)
entry = partial(bench.Entry, settings={"epochs": 20, "batch_size": 128}, augment=weak)
plan = {
    "alignment alone": entry("alignment"),
    "uniformity alone": entry("uniformity"),
    "both": entry("align_uniform", weight=1.0),
    "NT-Xent, τ = 0.5": entry("nt_xent", temperature=0.5),
}
results = bench.table({s: bench.compare(plan, digits, test, [alignment, usual], seed=s) for s in seeds})
table = results.groupby("method", sort=False)[["alignment", "−uniformity", "kNN z"]].mean()
table.style.format("{:.3f}")

# %%
figure = plots.figure("half", height=3.8)
(axes,) = figure.axes
for number, (name, of_loss) in enumerate(results.groupby("method", sort=False)):
    colour, marker = plots.style.class_look(number)
    axes.plot(of_loss["alignment"], of_loss["−uniformity"], marker, color=colour, label=name, markersize=8)
axes.set(
    xlabel="alignment (lower = views closer)",
    ylabel="−uniformity (higher = more even)",
    title="The plane of the two pulls",
)
axes.legend(loc="center right")
plots.show(
    figure,
    alt="Alignment against minus-uniformity: alignment alone sits in the collapsed corner, the others near the top, "
    "both and NT-Xent with views closer than uniformity alone.",
)

# %% tags=["claim"]
for _, of_seed in results.groupby("seed"):
    row = of_seed.set_index("method")
    assert row.loc["alignment alone", "−uniformity"] < 0.5, "alignment alone collapses"
    assert row.loc["both", "alignment"] < row.loc["uniformity alone", "alignment"], "alignment does its part"
    assert row.loc["NT-Xent, τ = 0.5", "−uniformity"] > 2, "NT-Xent spreads points without being asked"
print(f"holds for {len(seeds)} of {len(seeds)} seeds")

# %% [markdown]
# NT-Xent lands near "both". For many negatives its value splits into an alignment part, $-s_p/\tau$, and a
# log-sum-exp over negatives, which *is* a uniformity with kernel width $t = 1/(2\tau)$: the same two pulls, coupled
# by one softmax.

# %% [markdown]
# ## 4 · "Uniformity is the goal": with labels, the class should be compact
#
# Give the loss the labels and uniformity over all points stops being what you want: classes should lie apart, members
# of a class together. Split the variance of the embedding into the part **within** classes and the part **between**
# them; their ratio is the **class dispersion**. Three losses: one that knows no labels, SupCon, and VarCon, whose
# target relaxes once it is sure.


# %%
def dispersion(method: methods.Method, train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    unseen = evaluate.embed(method, test)
    spread = geometry.dispersion(unseen.z, unseen.labels)
    return {"within": float(spread.within), "between": float(spread.between), "ratio": float(spread.ratio)}


supervised = {
    "NT-Xent (no labels)": entry("nt_xent", temperature=0.2),
    "SupCon": entry("supcon", temperature=0.2),
    "VarCon": entry("varcon", temperature=0.2, epsilon=0.04),
}
found = {s: bench.compare(supervised, digits, test, [dispersion], seed=s) for s in seeds}
spreads = bench.table(found).set_index(["method", "seed"])
spreads.groupby("method", sort=False)[["within", "between", "ratio"]].mean().style.format("{:.3f}")

# %%
for name in list(supervised)[:2]:
    unseen = evaluate.embed(found[seed].methods[name], test)
    figure = plots.dispersion(unseen.z, unseen.labels, class_names=digits.class_names, title=name)
    plots.show(
        figure,
        alt=f"Spread within and between the ten digit classes, {name}: ratio {spreads['ratio'][name, seed]:.2f}.",
    )

# %% tags=["claim"]
for s in seeds:
    free, out, variational = (spreads["ratio"][name, s] for name in supervised)
    assert out < free, "labels make classes compact"
    assert variational < free
print(f"ratio within / between, seed {seed}: " + ", ".join(f"{n} {spreads['ratio'][n, seed]:.3f}" for n in supervised))

# %% [markdown]
# ## Exercises
#
# **1.** Write alignment for unit vectors `z` $(B, 2, D)$.


# %%
def alignment(z: Tensor) -> Tensor: ...


check("alignment", alignment)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def alignment(z):
#     return (z[:, 0] - z[:, 1]).square().sum(-1).mean()
#
# check("alignment", alignment)
# ```
# </details>
#
# **2.** Write uniformity with $t = 2$ for unit vectors `x` $(N, D)$, over pairs of different points.


# %%
def uniformity(x: Tensor) -> Tensor: ...


check("uniformity", uniformity)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def uniformity(x):
#     different = ~torch.eye(len(x), dtype=torch.bool)
#     return (-2 * torch.cdist(x, x).square()).exp()[different].mean().log()
#
# check("uniformity", uniformity)
# ```
# </details>
#
# **3.** All points are orthogonal to each other. What is the uniformity, as a function of $t$?


# %%
def orthonormal(t: float) -> float: ...


check("orthonormal", orthonormal)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def orthonormal(t):
#     return -2 * t  # every squared distance is 2, so every potential is exp(-2 t)
#
# check("orthonormal", orthonormal)
# ```
# </details>
#
# **4.** Write the class dispersion ratio of `x` $(N, D)$: mean squared distance to the own class centroid, divided by
# the mean (over samples) squared distance of the class centroids to the overall mean.


# %%
def dispersion(x: Tensor, labels: Tensor) -> Tensor: ...


check("dispersion", dispersion)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def dispersion(x, labels):
#     centroid = torch.stack([x[labels == c].mean(0) for c in labels])  # of each sample's class
#     within = (x - centroid).square().sum(1).mean()
#     between = (centroid - x.mean(0)).square().sum(1).mean()
#     return within / between
#
# check("dispersion", dispersion)
# ```
# </details>
#
# ## References
#
# - Wang & Isola, *Understanding contrastive representation learning through alignment and uniformity on the
#   hypersphere*, ICML 2020, [2005.10242](https://arxiv.org/abs/2005.10242).
# - Khosla et al., *Supervised contrastive learning*, [2004.11362](https://arxiv.org/abs/2004.11362).
# - Wang et al., *Variational supervised contrastive learning*, [2506.07413](https://arxiv.org/abs/2506.07413).
