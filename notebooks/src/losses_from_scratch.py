# %% [markdown]
# # Losses from scratch
#
# **Which few lines of arithmetic is a contrastive loss?**
#
# It took the field from 1993 to 2020 to get from pairs to triplets to a softmax over the whole batch. Each step answered
# a fault of the one before. Here you write five losses yourself, each in two to eight lines, and the notebook asserts
# that each equals the library's, value and gradient. After this there is no black box left in the course.
#
# **You need** matrix products and the softmax. **You get** the notation of every later notebook.

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke" for a quick check; this notebook trains nothing and takes seconds in either
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
# Take $B$ samples, look at each in $V = 2$ **views** (two augmentations), embed them: `z` has shape $(B, V, D)$.
# Losses see only directions, so put every vector on the unit sphere. Then $s_{ij} = z_i \cdot z_j$ is the cosine
# between points $i$ and $j$, and $\lVert z_i - z_j \rVert^2 = 2 - 2 s_{ij}$: distance and similarity are the same
# information.

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
# Is that not all we want? Let a linear map $W$ make two numbers of each point, and pull the two views of every sample
# together: minimise $\frac1B \sum_b \lVert W z_{b1} - W z_{b2} \rVert^2$, nothing else.

# %%
alone = bet(
    "Which map W does the pull alone lead to?",
    ["one that keeps the samples apart", "zero: every point in one place", "one that grows without bound"],
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
# A perfect loss, and nothing can be told from anything. That is **collapse**, and every loss of this page is a way to
# forbid it: something has to push.
#
# For the rest of the page: does my loss equal the library's, value **and** gradient?


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
# Networks that compare pairs are older than the loss: signatures in 1993 (Bromley et al.), faces in 2005 (Chopra et
# al.). The form that is still used (Hadsell, Chopra & LeCun 2006) looks at one pair at a time. With $d_{ij} = \lVert z_i
# - z_j \rVert$, the same class pulls with the squared distance, and different classes push, **but only inside a
# margin** $m$:
#
# $$\ell_{ij} = \tfrac12 \big( [y_i = y_j]\, d_{ij}^2 + [y_i \ne y_j]\, [m - d_{ij}]_+^2 \big)$$
#
# Without the margin, two classes could lower the loss for ever by moving apart; with it, the loss has a resting
# state.


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
# A margin in absolute distance must fit all classes at once, tight ones and loose ones. The **triplet** loss (Schroff
# et al. 2015) drops the absolute scale: the positive $p$ should be nearer to the anchor $a$ than the negative $n$, by
# a margin.
#
# $$\ell_{apn} = [\, d_{ap} - d_{an} + m \,]_+$$
#
# (FaceNet squares both distances. Without the square, as here, the force on a cosine grows without bound where two
# points meet; you will see it below.)
#
# There are $O(N^3)$ triplets; most are already in order and send no gradient. Which ones to look at ("mining") became
# the art of using this loss.


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
print(f"{active} of {all_triplets} triplets violate the margin and send a gradient; the others are idle")

# %% [markdown]
# ## 3 · "More negatives means more triplets"
#
# **InfoNCE** (van den Oord et al. 2018) turns the question round: *given the anchor, which of these candidates is its
# positive?* That is a classification with one class per candidate, so its loss is a cross-entropy over similarities
# divided by a temperature $\tau$:
#
# $$\ell_i = -\log \frac{e^{s(q_i, k_i)/\tau}}{\sum_j e^{s(q_i, k_j)/\tau}}$$
#
# With a single negative it is a triplet with a soft hinge, $\log(1 + e^{(s_n - s_p)/\tau})$. With many, every
# negative pushes in proportion to its softmax weight: mining happens by itself, and $\tau$ says how sharply.
# (The lesson on [temperature](slug:temperature) is about that. The paper's own similarity was $q^\top W k$, with neither
# cosine nor $\tau$; both came with Wu et al. 2018.)


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
# SimCLR's **NT-Xent** (Chen et al. 2020) puts all $2B$ points on one stage. Each is an anchor once; its other view is
# the positive; the remaining $2B - 2$ points are negatives; only the comparison with itself is left out.


# %%
def nt_xent(raw: Tensor, temperature: float = 0.5) -> Tensor:
    logits = (cosines(raw) / temperature).masked_fill(itself, -torch.inf)
    other_view = torch.arange(B * V) ^ 1  # 0 <-> 1, 2 <-> 3, ...
    return F.cross_entropy(logits, other_view)


assert_same(nt_xent, lambda raw: losses.nt_xent(raw, temperature=0.5))

# %% [markdown]
# ## 5 · "Supervised contrast needs another idea"
#
# With labels, every other point of the class is a positive. **SupCon** (Khosla et al. 2020) averages the
# log-probabilities of all of them. When every label is different, each point is left with its own other view, and
# SupCon *is* NT-Xent.


# %%
def supcon(raw: Tensor, temperature: float = 0.1) -> Tensor:
    log_p = (cosines(raw) / temperature).masked_fill(itself, -torch.inf).log_softmax(1)
    positive = (y[:, None] == y) & ~itself
    return (-log_p.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()


assert_same(supcon, lambda raw: losses.supcon(raw, labels, temperature=0.1))
torch.testing.assert_close(losses.supcon(z, torch.arange(B), temperature=0.5), losses.nt_xent(z, temperature=0.5))

# %% [markdown]
# ## The force law: what each loss does with one negative
#
# A loss is a *force* on each pair: the derivative with respect to its similarity. Take one anchor with its positive
# at cosine 0.7 and one negative whose cosine we vary. How hard is the negative pushed?

# %%
pushing = bet(
    "The negative lies at cosine 0.2, well away. Which losses still push it?",
    ["all of them", "InfoNCE, at either temperature", "InfoNCE at τ = 0.1 alone", "none"],
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
assert forces["pairs, m = 1"][easy] == 0, "outside its margin the pair loss is silent"
assert forces["triplet, m = 0.2"][easy] == 0, "a triplet in order is silent"
assert 0 < cold[easy] < warm[easy], "InfoNCE never falls silent, and the colder one cares less for easy negatives"
assert cold[-1] > warm[-1], "and more for hard ones"
print(
    f"force on a negative at cosine 0.2: {cold[easy]:.3f} (τ 0.1) and {warm[easy]:.3f} (τ 0.5); "
    f"at cosine 1: {cold[-1]:.2f} and {warm[-1]:.2f}"
)

# %% [markdown]
# ## Drag it
#
# Free points on the circle descend the loss you choose: on a live page press **start**. Switch between the five losses
# of this page, then turn their knobs. Watch for: the pair loss comes to rest, the triplet stops as soon as the order is
# right, NT-Xent never quite stops.

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
# **1.** Write the hinge of a triplet from two distances (tensors of any shape).


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
# **2.** `info_nce` looks from query to key only. CLIP looks both ways and takes the mean. Write it, calling
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
# **3.** In NT-Xent the positive stands in its own denominator. **DCL** (Yeh et al. 2022) takes it out: the
# denominator runs over the $2B - 2$ negatives alone. Write it for raw `z` of shape $(B, 2, D)$, as the mean over
# anchors.


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
# **4.** Write SupCon for raw `x` of shape $(N, D)$ with labels, without looking up.


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
# **5.** (To think about.) A colleague trains with NT-Xent and batches that hold the same photograph twice. What does the
# loss ask of these two, and which line of `nt_xent` would you change?
#
# ## References
#
# - Bromley et al., *Signature verification using a "siamese" time delay neural network*, NeurIPS 1993.
# - Chopra, Hadsell & LeCun, *Learning a similarity metric discriminatively, with application to face verification*,
#   CVPR 2005.
# - Hadsell, Chopra & LeCun, *Dimensionality reduction by learning an invariant mapping*, CVPR 2006.
# - Schroff, Kalenichenko & Philbin, *FaceNet*, [1503.03832](https://arxiv.org/abs/1503.03832).
# - van den Oord, Li & Vinyals, *Representation learning with contrastive predictive coding*,
#   [1807.03748](https://arxiv.org/abs/1807.03748).
# - Wu et al., *Unsupervised feature learning via non-parametric instance discrimination*,
#   [1805.01978](https://arxiv.org/abs/1805.01978).
# - Chen et al., *A simple framework for contrastive learning of visual representations*,
#   [2002.05709](https://arxiv.org/abs/2002.05709).
# - Khosla et al., *Supervised contrastive learning*, [2004.11362](https://arxiv.org/abs/2004.11362).
# - Yeh et al., *Decoupled contrastive learning*, [2110.06848](https://arxiv.org/abs/2110.06848).
