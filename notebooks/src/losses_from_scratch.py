# %% [markdown]
# # Losses from scratch
#
# **Which few lines of arithmetic is a contrastive loss?**
#
# From 1993 to 2020 contrastive losses went from pairs to triplets to a softmax over the whole batch, and each step
# mended a fault of the one before. Here you write five of them yourself, each in a few lines, and the notebook asserts
# that value and gradient of each equal the library's. After this there is no black box left in the course.
#
# **You need** matrix products and the softmax. **You get** the notation of all later lessons.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke" does the same: this notebook trains no network and takes seconds
seed: int = 0

# %%
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses, plots, widgets
from cl_explore.app.exercises import checker
from cl_explore.widgets import bet, tally

plots.use()
check = checker("losses_from_scratch")
generator = torch.Generator().manual_seed(seed)

# %% [markdown]
# ## The stage: unit vectors, and one matrix of cosines
#
# Take $B$ samples with $V = 2$ views each (papers call the making of views *augmentation*) and embed them in $D$
# dimensions: `z` has shape $(B, V, D)$. Most contrastive losses look only at directions, so give every vector length 1.
# Then $s_{ij} = z_i^\top z_j$ is the cosine of points $i$ and $j$. It says the same as their distance, since
# $\lVert z_i - z_j \rVert^2 = 2 - 2 s_{ij}$. Here are twelve points, made up for this page.

# %%
B, V, D = 6, 2, 4
labels = torch.tensor([0, 0, 1, 1, 2, 2])
anchor_points = torch.randn(B, 1, D, generator=generator, dtype=torch.float64)
z = F.normalize(anchor_points + 0.4 * torch.randn(B, V, D, generator=generator, dtype=torch.float64), dim=-1)

x = z.flatten(0, 1)  # (B V, D): the two views of a sample stand next to each other
s = x @ x.T  # (B V, B V): every cosine there is
y = labels.repeat_interleave(V)
sample = torch.arange(B).repeat_interleave(V)
itself = torch.eye(B * V, dtype=torch.bool)

torch.testing.assert_close((x[0] - x[5]).square().sum(), 2 - 2 * s[0, 5])

# %%
figure = plots.figure("half", height=3.6)
(axes,) = figure.axes
image = axes.imshow(s, vmin=-1, vmax=1, cmap=plots.style.DIVERGING)
axes.set(xlabel="point j", ylabel="point i (anchor)", title="Cosine of every pair of points")
axes.grid(visible=False)
figure.colorbar(image, ax=axes, shrink=0.85)
plots.show(
    figure,
    alt=f"Heat map of the {B * V} by {B * V} cosines: 2 by 2 blocks on the diagonal hold the two views of each sample.",
)

# %% [markdown]
# ## "Pull together what belongs together"
#
# Isn't that all we want? Let a matrix $W$ map each point to two numbers, and pull the two views of every sample
# together: minimise $\frac1B \sum_b \lVert W z_{b1} - W z_{b2} \rVert^2$, and nothing else.

# %%
alone = bet(
    "Where does this pull alone lead?",
    ["W keeps the samples apart", "W becomes zero: every point in one place", "W grows without bound"],
)
alone

# %%
W = torch.randn(2, D, generator=generator, dtype=torch.float64)
spread = (z @ W.T).flatten(0, 1).std(0).mean()
for _ in range(2000):
    W.requires_grad_()
    pull = (z[:, 0] @ W.T - z[:, 1] @ W.T).square().sum(1).mean()
    (gradient,) = torch.autograd.grad(pull, W)
    W = (W - 2.0 * gradient).detach()
after = (z @ W.T).flatten(0, 1).std(0).mean()
print(f"spread of the points {spread:.3f} → {after:.6f}, loss {pull:.1e}")

# %% tags=["claim"]
alone.settle(alone.options[1 if after < 0.01 * spread else 2 if after > spread else 0])
assert after < 0.01 * spread, "collapsed"

# %% [markdown]
# The loss is perfect, and no sample can be told from any other. This is called **collapse**. Every loss on this page is
# a way to prevent it: something has to push.
#
# For the rest of the page we need a function that asks: does my loss equal the library's, value **and** gradient?


# %%
def assert_same(mine, library) -> None:
    """Both take raw embeddings; compare what they return and the gradient they send back."""
    results = []
    for loss in (mine, library):
        raw = z.clone().requires_grad_()
        value = loss(raw)
        (gradient,) = torch.autograd.grad(value, raw)
        results.append((value.detach(), gradient))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-9)
    print(f"equal: value {results[0][0]:.6f}, gradient norm {results[0][1].norm():.6f}")


def cosines(raw: Tensor) -> Tensor:
    """(B, V, D) raw embeddings -> (B V, B V) cosines."""
    unit = F.normalize(raw, dim=-1).flatten(0, 1)
    return unit @ unit.T


# %% [markdown]
# ## 1 · "Negatives should be pushed away for ever"
#
# Networks learned to compare pairs of signatures in 1993 (Bromley et al.) and pairs of faces in 2005 (Chopra et al.).
# The loss that is still used (Hadsell, Chopra & LeCun 2006) looks at one pair at a time. Let $y_i$ be the class of
# point $i$ and $d_{ij} = \lVert z_i - z_j \rVert$ the distance. Two points of one class pull each other together. Two
# points of different classes push each other apart, **but only as long as they are nearer than a margin** $m$:
#
# $$\ell_{ij} = \tfrac12 \big( [y_i = y_j]\, d_{ij}^2 + [y_i \ne y_j]\, [m - d_{ij}]_+^2 \big)$$
#
# ($[y_i = y_j]$ is 1 if the classes are equal and 0 if not; $[x]_+$ is $x$ if it is positive and 0 if not.) Without the
# margin the push would never end. With it there is a state in which everything is at rest.


# %%
def pair_loss(raw: Tensor, margin: float = 1.0) -> Tensor:
    distance = (2 - 2 * cosines(raw)).clamp(min=0).masked_fill(itself, 1).sqrt()
    same = y[:, None] == y
    each = torch.where(same, distance, (margin - distance).relu()).square() / 2
    return each[~itself].mean()


assert_same(pair_loss, lambda raw: losses.contrastive_margin(raw, labels, margin=1.0))

# %% [markdown]
# ## 2 · "Distances have an absolute scale"
#
# One absolute distance has to suit all classes, those whose samples are alike and those whose samples differ. The
# **triplet** loss (Schroff et al. 2015) only compares distances: the positive $p$ should be nearer to the anchor $a$
# than the negative $n$ is, by a margin.
#
# $$\ell_{apn} = [\, d_{ap} - d_{an} + m \,]_+$$
#
# (The authors square both distances. Without the square, as here, the force on a cosine grows without bound where two
# points meet; you will see it below.)
#
# The number of triplets grows with the third power of the number of points, and most are soon in order and send no
# gradient. Choosing triplets that still teach something ("mining") became the art of using this loss.


# %%
def triplet_loss(raw: Tensor, margin: float = 0.2) -> Tensor:
    distance = (2 - 2 * cosines(raw)).clamp(min=0).masked_fill(itself, 1).sqrt()
    positive = (y[:, None] == y) & ~itself
    negative = y[:, None] != y
    violation = (distance[:, :, None] - distance[:, None, :] + margin).relu()  # (anchor, positive, negative)
    return violation[positive[:, :, None] & negative[:, None, :]].mean()


assert_same(triplet_loss, lambda raw: losses.triplet(raw, labels, margin=0.2))

parts = losses.triplet.parts(z, labels, margin=0.2)
active, all_triplets = int(parts["active"].sum()), int(parts["anchor_weight"].sum())
print(f"{active} of {all_triplets} triplets violate the margin and send a gradient; the others send none")

# %% [markdown]
# ## 3 · "More negatives means more triplets"
#
# **InfoNCE** (van den Oord et al. 2018) asks another question: *given the anchor, which of these candidates is its
# positive?* That is a classification in which every candidate is a class, so the loss is a cross-entropy. Call the
# anchor, the first view of sample $i$, the **query** $q_i$, and the candidates, the second views of all samples, the
# **keys** $k_j$. With cosines $s$ and a temperature $\tau$,
#
# $$\ell_i = -\log \frac{e^{s(q_i, k_i)/\tau}}{\sum_j e^{s(q_i, k_j)/\tau}}$$
#
# With one negative at cosine $s_n$ and the positive at $s_p$ this is $\log(1 + e^{(s_n - s_p)/\tau})$, a soft version
# of the triplet's $[\,\cdot\,]_+$. With many, every negative pushes in proportion to its weight in the softmax. So the
# loss picks the hard negatives by itself, and $\tau$ says how strictly; the lesson on [temperature](slug:temperature)
# is about that. (The authors' own similarity was $q^\top W k$, without cosine and temperature. Both came with Wu et al.
# 2018.)


# %%
def info_nce(raw: Tensor, temperature: float = 0.1) -> Tensor:
    query, key = F.normalize(raw[:, 0], dim=1), F.normalize(raw[:, 1], dim=1)
    return F.cross_entropy(query @ key.T / temperature, torch.arange(B))


assert_same(info_nce, lambda raw: losses.info_nce(raw[:, 0], raw[:, 1], temperature=0.1))

one_negative = losses.info_nce(z[:1, 0], z[:1, 1], z[1:2, 0], temperature=0.1)
torch.testing.assert_close(one_negative, F.softplus((s[0, 2] - s[0, 1]) / 0.1))
print(f"one negative: InfoNCE {one_negative:.6f} = softplus of the scaled gap")

# %% [markdown]
# ## 4 · "The two views play different roles"
#
# In InfoNCE one view asks and the other answers. In SimCLR's **NT-Xent** (Chen et al. 2020) all $2B$ points do both.
# Each is an anchor once. Its other view is the positive, and the remaining $2B - 2$ points are its negatives; only the
# comparison of a point with itself is left out.


# %%
def nt_xent(raw: Tensor, temperature: float = 0.5) -> Tensor:
    logits = (cosines(raw) / temperature).masked_fill(itself, -torch.inf)
    other_view = torch.arange(B * V) ^ 1  # 0 <-> 1, 2 <-> 3, ...
    return F.cross_entropy(logits, other_view)


assert_same(nt_xent, lambda raw: losses.nt_xent(raw, temperature=0.5))

# %% [markdown]
# ## 5 · "With labels we need another idea"
#
# With labels, every other point of the anchor's class is a positive. **SupCon** (Khosla et al. 2020) averages the
# log-probabilities of all of them. If every sample has a label of its own, each point is left with one positive, its
# other view, and SupCon *is* NT-Xent.


# %%
def supcon(raw: Tensor, temperature: float = 0.1) -> Tensor:
    log_p = (cosines(raw) / temperature).masked_fill(itself, -torch.inf).log_softmax(1)
    positive = (y[:, None] == y) & ~itself
    return (-log_p.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()


assert_same(supcon, lambda raw: losses.supcon(raw, labels, temperature=0.1))
torch.testing.assert_close(losses.supcon(z, torch.arange(B), temperature=0.5), losses.nt_xent(z, temperature=0.5))

# %% [markdown]
# ## How hard does each loss push a negative?
#
# Call the derivative of a loss with respect to the cosine of a pair the **force** on this pair. Take one anchor with
# its positive at cosine 0.7, and one negative whose cosine we vary. How hard is the negative pushed?

# %%
pushing = bet(
    "The negative is far away, at cosine 0.2. Which of pairs (m = 1), triplet (m = 0.2) and InfoNCE still push it?",
    ["all of them", "InfoNCE, at τ = 0.1 and at 0.5", "InfoNCE, but only at τ = 0.1", "none"],
)
pushing

# %%
negative_cosine = torch.linspace(-1, 0.995, 400, dtype=torch.float64)
positive_cosine = torch.tensor(0.7, dtype=torch.float64)
positive_distance = (2 - 2 * positive_cosine).sqrt()
laws = {
    "pairs, m = 1": lambda s: (1.0 - (2 - 2 * s).sqrt()).relu().square() / 2,
    "triplet, m = 0.2": lambda s: (positive_distance - (2 - 2 * s).sqrt() + 0.2).relu(),
    "InfoNCE, τ = 0.5": lambda s: F.softplus((s - positive_cosine) / 0.5),
    "InfoNCE, τ = 0.1": lambda s: F.softplus((s - positive_cosine) / 0.1),
}
forces = {name: torch.func.vmap(torch.func.grad(law))(negative_cosine) for name, law in laws.items()}

figure = plots.figure("full", height=3.6)
(axes,) = figure.axes
for (name, force), style in zip(forces.items(), ["-", "--", "-.", ":"], strict=True):
    axes.plot(negative_cosine, force, style, label=name)
axes.axvline(0.7, color="0.6", linewidth=1)
axes.text(0.69, 9.6, "the positive", color="0.4", va="top", ha="right")
axes.set(
    xlabel="cosine of anchor and negative",
    ylabel="force: dℓ / ds",
    ylim=(-0.3, 10),
    title="How hard a negative is pushed",
)
axes.legend(loc="upper left")
plots.show(
    figure,
    alt="Force against cosine of the negative: zero for pairs and triplets below their margin, a smooth step of height "
    "1/temperature for InfoNCE.",
)

# %% tags=["claim"]
cold, warm = forces["InfoNCE, τ = 0.1"], forces["InfoNCE, τ = 0.5"]
easy = int((negative_cosine < 0.2).sum()) - 1
push = {name for name, force in forces.items() if force[easy] > 1e-6}
pushing.settle(
    pushing.options[{4: 0, 2: 1, 1: 2, 0: 3}[len(push)]] if all("InfoNCE" in name for name in push) else "all of them"
)
assert forces["pairs, m = 1"][easy] == 0, "beyond its margin the loss of pairs has no force"
assert forces["triplet, m = 0.2"][easy] == 0, "nor has a triplet that is in order"
assert 0 < cold[easy] < warm[easy], "InfoNCE always pushes, with a low temperature less at easy negatives"
assert cold[-1] > warm[-1], "and more at hard ones"
print(
    f"force on a negative at cosine 0.2: {cold[easy]:.3f} (τ 0.1) and {warm[easy]:.3f} (τ 0.5); "
    f"at cosine 1: {cold[-1]:.2f} and {warm[-1]:.2f}"
)

# %% [markdown]
# So margins decide which negatives matter, all or nothing, and a softmax does it by degrees. A negative that is nearer
# to the anchor gets more of the push, and none gets exactly nothing.
#
# ## Watch them
#
# Points on the circle follow the gradient of the loss you choose: on a live page press **start**. Switch between the
# five losses of this page (the menu calls the pairs of section 1 *Contrastive margin*), then turn their knobs. Which of
# them come to rest, and how do the points lie then?

# %%
widgets.SpherePanel("nt_xent", classes=3, seed=seed)

# %% [markdown]
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Write the triplet loss of two distances, from the anchor to its positive (`near`) and to its negative (`far`).
# Both are tensors of any shape.


# %%
def hinge(near: Tensor, far: Tensor, margin: float) -> Tensor: ...


check("hinge", hinge)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def hinge(near, far, margin):
#     return (near - far + margin).clamp(min=0)
#
# check("hinge", hinge)
# ```
# </details>

# %% [markdown]
# **2.** In `info_nce` queries look for their keys. CLIP, which learns from pictures and captions, also lets keys look
# for their queries, and takes the mean of both losses. Write it with calls of
# `losses.info_nce(query, key, temperature=...)`.


# %%
def two_ways(query: Tensor, key: Tensor, temperature: float) -> Tensor: ...


check("two_ways", two_ways)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def two_ways(query, key, temperature):
#     there = losses.info_nce(query, key, temperature=temperature)
#     back = losses.info_nce(key, query, temperature=temperature)
#     return (there + back) / 2
#
# check("two_ways", two_ways)
# ```
# </details>

# %% [markdown]
# **3.** In NT-Xent the positive is part of the denominator. **DCL** (Yeh et al. 2022) takes it out: the sum there runs
# over the $2B - 2$ negatives alone. Write it for `z` $(B, 2, D)$, vectors of any length, as the mean over anchors.


# %%
def decoupled(z: Tensor, temperature: float) -> Tensor: ...


check("decoupled", decoupled)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def decoupled(z, temperature):
#     x = F.normalize(z, dim=-1).flatten(0, 1)
#     logits = x @ x.T / temperature
#     sample = torch.arange(len(z)).repeat_interleave(2)
#     own = sample[:, None] == sample
#     positive = logits[torch.arange(len(x)), torch.arange(len(x)) ^ 1]
#     return (logits.masked_fill(own, -torch.inf).logsumexp(1) - positive).mean()
#
# check("decoupled", decoupled)
# ```
# </details>

# %% [markdown]
# **4.** Write SupCon for vectors `x` $(N, D)$ of any length with labels, without looking it up.


# %%
def my_supcon(x: Tensor, labels: Tensor, temperature: float) -> Tensor: ...


check("supcon", my_supcon)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_supcon(x, labels, temperature):
#     x = F.normalize(x, dim=1)
#     itself = torch.eye(len(x), dtype=torch.bool)
#     log_p = (x @ x.T / temperature).masked_fill(itself, -torch.inf).log_softmax(1)
#     positive = (labels[:, None] == labels) & ~itself
#     return (-log_p.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()
#
# check("supcon", my_supcon)
# ```
# </details>
#
# **5.** (An experiment, and to think about.) A colleague trains with NT-Xent on batches that contain the same photograph twice, as two
# samples. What does the loss do to these two? Copy a sample of `z` into another row and look at the gradient. Which line
# of your NT-Xent would you change?
#
# ## References
#
# - Bromley et al., *Signature verification using a "siamese" time delay neural network*, NeurIPS 1993.
# - Chopra, Hadsell & LeCun, *Learning a similarity metric discriminatively, with application to face verification*,
#   CVPR 2005.
# - Hadsell, Chopra & LeCun, *Dimensionality reduction by learning an invariant mapping*, CVPR 2006.
# - Schroff, Kalenichenko & Philbin, *FaceNet: a unified embedding for face recognition and clustering*,
#   [1503.03832](https://arxiv.org/abs/1503.03832).
# - van den Oord, Li & Vinyals, *Representation learning with contrastive predictive coding*,
#   [1807.03748](https://arxiv.org/abs/1807.03748).
# - Wu et al., *Unsupervised feature learning via non-parametric instance discrimination*,
#   [1805.01978](https://arxiv.org/abs/1805.01978).
# - Chen et al., *A simple framework for contrastive learning of visual representations*,
#   [2002.05709](https://arxiv.org/abs/2002.05709).
# - Khosla et al., *Supervised contrastive learning*, [2004.11362](https://arxiv.org/abs/2004.11362).
# - Yeh et al., *Decoupled contrastive learning*, [2110.06848](https://arxiv.org/abs/2110.06848).
