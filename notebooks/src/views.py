# %% [markdown]
# # Views
#
# **What do the views decide?**
#
# In [Start here](slug:start_here) we could paint a picture again with any factor changed. Nobody can do that with a
# photograph. So people crop photographs, shift their colours, and hope for the best. Is that good enough? Would a
# machine that draws new pictures do better? And what happens when it draws the wrong thing?
#
# **You need** [Start here](slug:start_here).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, methods, nn, papers, plots, train
from cl_explore.app.exercises import checker
from cl_explore.data import Dataset, FactorViews, factor_rows
from cl_explore.methods import Augment
from cl_explore.papers.genview.method import pair_weights, quality
from cl_explore.papers.genview.panel import QualityPanel
from cl_explore.papers.genview.world import vectors
from cl_explore.papers.scatsimclr.method import Scattering
from cl_explore.papers.scatsimclr.panel import ScatteringPanel
from cl_explore.views import ImageViews
from cl_explore.widgets import bet, tally

plots.use()
check = checker("views")
seeds = range(seed, seed + (1 if preset == "smoke" else 2))

# %% [markdown]
# ## 1 · "Crops and colours will do"
#
# Suppose we want to know the **shape** of the object and have no labels. Colour, pose and background should not matter.
# SimCLR has a recipe for such cases. To make a view, cut out a random part of the picture (a **crop**) and shift its
# colours. Some views are also mirrored or made grey.

# %%
pictures, test = data.load("factor_world", n=2000), data.load("factor_world", "test", n=1000)
rows = factor_rows(pictures)
crops = ImageViews.simclr(strength=0.5)
generator = torch.Generator().manual_seed(seed)
plots.show(
    plots.pictures(crops(pictures.x[:8] / 255, generator).transpose(0, 1), rows=["view 1", "view 2"]),
    alt="Eight pictures in two rows: crops of the same picture, magnified and mirrored, with shifted colours.",
)


# %%
def start(augment: Augment, seed: int) -> methods.JointEmbedding:
    """The untrained encoder and head of a seed, with their views."""
    torch.manual_seed(seed)
    return methods.JointEmbedding(
        nn.ConvNet(3, width=16), nn.projection_head(64, 64, 32), "nt_xent", augment, temperature=0.2
    )


def represent(method: methods.JointEmbedding) -> tuple[Tensor, Tensor]:
    return evaluate.embed(method, pictures).h, evaluate.embed(method, test).h


def learn(augment: Augment, samples: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """Representations of the training and test pictures after a few seconds of training."""
    method = start(augment, seed)
    train.fit(method, samples, epochs=8, batch_size=125, lr=3e-3, seed=seed, snapshots=0, progress=False)
    return represent(method)


def shape(h: tuple[Tensor, Tensor]) -> float:
    """The share of test pictures whose shape the 20 nearest training pictures get right."""
    return evaluate.knn_accuracy(h[0], pictures.labels, h[1], test.labels)


pixels = tuple(part.x.flatten(1) / 255 for part in (pictures, test))
found = {
    "raw pixels": [shape(pixels)] * len(seeds),
    "untrained encoder": [shape(represent(start(crops, s))) for s in seeds],
}


def table() -> pd.DataFrame:
    shown = pd.DataFrame(found, index=[f"seed {s}" for s in seeds]).T
    return (100 * shown).round().astype(int).astype(str) + " %"


table()

# %%
handmade = bet(
    "An encoder is trained on such crops. Do its neighbours tell shapes better than those of the pixels?",
    ["yes, by more than 5 points", "within 5 points", "no, worse by more than 5 points"],
)
handmade


# %%
def against_pixels(values: list[float], margin: float = 0.05) -> str:
    gaps = [value - found["raw pixels"][0] for value in values]
    if min(gaps) > margin:
        return handmade.options[0]
    return handmade.options[2] if max(gaps) < -margin else handmade.options[1]


cropped = {s: learn(crops, pictures, s) for s in seeds}
found["crops and colours"] = [shape(h) for h in cropped.values()]
table()

# %% tags=["claim"]
handmade.settle(against_pixels(found["crops and colours"]))
assert all(value < found["raw pixels"][0] - 0.05 for value in found["crops and colours"]), "worse than the pixels"

# %% [markdown]
# Two crops of a picture still share some of the background. They also share some of the object's colours, although
# these are shifted. That is enough to find the partner. The shape is cut off or stretched.
#
# On photographs the recipe works, because two crops share *textures and parts*, and these tell us what the photograph
# shows. But people found the recipe by trying many on labelled photographs. So even such views are not free of labels:
# somebody has to know what should not matter.
#
# ## 2 · A machine that draws
#
# Now let a machine that draws, a **generator**, make the second view. It keeps the shape and draws everything else
# anew.

# %%
# in the order of Start here, whose runs are then found in the store
ALL_BUT_SHAPE = ("x", "y", "scale", "rot", "style", "bhue", "freq", "phase", "bang", "hue", "bright")
drawn = {s: learn(FactorViews(ALL_BUT_SHAPE), rows, s) for s in seeds}
found["generated views"] = [shape(h) for h in drawn.values()]
table()

# %% tags=["claim"]
best = [max(found[name][at] for name in found if name != "generated views") for at in range(len(seeds))]
assert all(value > other + 0.15 for value, other in zip(found["generated views"], best, strict=True))

# %% [markdown]
# This was easy, because our generator knows the factors. A real one, such as a diffusion model, is only told what the
# picture shows. It draws something *like* that, and sometimes something else. Then the loss pulls together two views
# that should be apart: a **wrong pair**.


# %%
class Erring:
    """Generated views, a share of which shows a shape drawn at random."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int = 2) -> Tensor:
        right = FactorViews(ALL_BUT_SHAPE)(x, generator, n_views)
        wrong = FactorViews((*ALL_BUT_SHAPE, "shape"))(x, generator, n_views)
        errs = torch.rand(len(x), generator=generator) < self.share
        return torch.where(errs[:, None, None, None, None], wrong, right)


erring = bet(
    "In three pairs of ten the generator draws any shape at random. What is left of the gain over the pixels?",
    ["all of it, within 3 points", "less, but more than half of it", "less than half of it"],
)
erring

# %%
for share in (0.3, 0.6):
    found[f"generated, {share:.0%} wrong"] = [shape(learn(Erring(share), rows, s)) for s in seeds]
table()

# %% tags=["claim"]
mean = {name: sum(values) / len(values) for name, values in found.items()}
gain = mean["generated views"] - mean["raw pixels"]
left = mean["generated, 30% wrong"] - mean["raw pixels"]
erring.settle(erring.options[0 if gain - left < 0.03 else 1 if left > gain / 2 else 2])
assert gain / 2 < left < gain - 0.03, "part of the gain is lost, most of it stays"
assert mean["generated, 60% wrong"] < mean["generated, 30% wrong"], "and more errors cost more"
print(f"of {gain:.0%} above pixels {left:.0%} are left with three wrong pairs in ten")

# %% [markdown]
# Right pairs all pull in the same direction, towards the shape. Random errors pull in many directions, and these pulls
# largely cancel. They do not cancel wholly: more errors cost more.
#
# ## 3 · Can you tell which pairs are wrong?
#
# The authors of **GenView** ask a second network, trained earlier and no longer changed. It describes each view by two
# vectors, one for the foreground and one for the background. The cosine of the two foregrounds is $s^\text{front}$.
# That of the two backgrounds is $s^\text{back}$.
#
# A good pair agrees in the foreground and *differs* in the background. So the **quality** $q_i$ of pair $i$ is the
# difference of its two cosines. In a batch of $B$ pairs its loss is multiplied by the weight $w_i$:
#
# $$q_i = s^\text{front}_i - s^\text{back}_i, \qquad w_i = \frac{B\, e^{\gamma q_i}}{\sum_j e^{\gamma q_j}}$$
#
# The weights have mean 1, and the number $\gamma$ says how much they differ. Let us try them on 2,000 pairs. In three
# pairs of ten the second view shows another object. Each view is described by 12 numbers for the object and 12 for the
# background, with noise.

# %%
pairs = vectors(seed).pairs
right = pairs.factors["kept"].bool()
described = torch.stack([pairs.x["real tokens"], pairs.x["generated tokens"]], dim=1)  # (2000, 2, 24)
described = described + 0.5 * torch.randn(described.shape, generator=torch.Generator().manual_seed(seed))
tokens = described.unflatten(2, (2, 12))  # a token of the object, one of the background
maps = torch.tensor([1.0, 0.0]).expand(len(tokens), 2, 2)  # the first is foreground

q = quality(tokens, maps).score
by_hand = F.cosine_similarity(*tokens[:, :, 0].unbind(1)) - F.cosine_similarity(*tokens[:, :, 1].unbind(1))
torch.testing.assert_close(q, by_hand, atol=1e-5, rtol=1e-5)

# %% [markdown]
# The **effective number** of pairs is $(\sum_i w_i)^2 / \sum_i w_i^2$. It is the number of all pairs if the weights are
# equal, and 1 if a single pair has all the weight.

# %%
sharp = bet(
    "With γ = 6 wrong pairs hardly count; 1,400 of the 2,000 are right. What is the effective number of pairs?",
    ["more than 1,000", "400 to 1,000", "fewer than 400"],
)
sharp


# %%
def weighed(gamma: float) -> dict[str, float]:
    w = pair_weights(q, gamma)
    torch.testing.assert_close(w.mean(), torch.tensor(1.0))
    return {
        "weight of wrong pairs over that of right ones": float(w[~right].mean() / w[right].mean()),
        "effective number of pairs": float(w.sum() ** 2 / w.square().sum()),
    }


weights = pd.DataFrame({gamma: weighed(gamma) for gamma in (0, 1, 3, 6)}).T.rename_axis("γ")
weights.style.format({"weight of wrong pairs over that of right ones": "{:.2f}", "effective number of pairs": "{:.0f}"})

# %% tags=["claim"]
effective = weights.loc[6, "effective number of pairs"]
sharp.settle(sharp.options[0 if effective > 1000 else 1 if effective > 400 else 2])
assert weights["weight of wrong pairs over that of right ones"].is_monotonic_decreasing
assert weights["effective number of pairs"].is_monotonic_decreasing

# %% [markdown]
# A large γ leaves out the wrong pairs. But it also leaves out most of the right ones:
#
# - those whose backgrounds happen to be similar
# - those that are described with much noise
#
# The authors chose γ = 1. The [scorecard](../docs/scorecard/genview.md) says what training gains by these weights over
# many seeds, and which claims failed.
#
# Turn up the noise of the generator, then γ, and watch which pairs keep their weight.

# %%
QualityPanel()

# %% [markdown]
# ## 4 · What is it worth in labels?
#
# Suppose somebody does give us labels: for one picture of each shape, or for a few. We train nothing but a linear
# classifier (logistic regression) on the representations of these pictures. The curves show its accuracy on test
# pictures. Each point is a mean over all seeds and over three draws of the labelled pictures.

# %%
worth = bet(
    "How many labels of each shape do the pixels need to do as well as the generated views with five?",
    ["20", "60", "not even with 60"],
)
worth

# %%
SHOTS = [1, 2, 5, 20, 60]


def few(h: tuple[Tensor, Tensor], shots: int, seed: int) -> float:
    return evaluate.few_label_accuracy(h[0], pictures.labels, h[1], test.labels, shots, seed=seed).logistic


representations = {
    "raw pixels": dict.fromkeys(seeds, pixels),
    "untrained encoder": {s: represent(start(crops, s)) for s in seeds},
    "crops and colours": cropped,
    "generated views": drawn,
}
curves = pd.DataFrame(
    {
        name: [sum(few(h, shots, s) for s, h in of.items()) / len(of) for shots in SHOTS]
        for name, of in representations.items()
    },
    index=pd.Index(SHOTS, name="labels of each shape"),
)
curves.style.format("{:.0%}")

# %% jupyter={"source_hidden": true}
figure = plots.figure(height=3.4)
for name, marker in zip(curves, "osD^", strict=True):
    figure.axes[0].plot(curves.index, curves[name], marker=marker, label=name)
figure.axes[0].set(xscale="log", xlabel="labels of each shape", ylabel="accuracy", ylim=(0, 1))
figure.axes[0].set_xticks(SHOTS, [str(shots) for shots in SHOTS])
figure.axes[0].minorticks_off()
figure.axes[0].legend()
plots.show(figure, alt="Accuracy over labels of each shape: generated views lie far above pixels and crops everywhere.")

# %% tags=["claim"]
enough = [shots for shots in (20, 60) if curves.loc[shots, "raw pixels"] >= curves.loc[5, "generated views"]]
worth.settle(str(enough[0]) if enough else "not even with 60")
assert (curves["generated views"] > curves.drop(columns="generated views").max(axis=1) + 0.1).all(), "at every number"
assert not enough, "pixels need more than twelve times the labels"

# %% [markdown]
# With the right views, five labelled pictures of each shape are worth more than sixty without them. Knowing what to
# vary saves labels.
#
# For photographs nobody has a generator that knows the factors, and crops and colours have to do. There they do help,
# though much less. On 2,000 photographs of CIFAR-10 a classifier learns more from the trained representations than from
# pixels or from an untrained encoder. That holds from one label of each class to fifty, on each of three seeds.
# Training takes too long for this page, so
# [the table](../benchmarks/README.md#labels-what-a-few-are-worth-on-photographs) was measured beforehand.
#
# ## 5 · "A network must learn all its layers"
#
# Views tell an encoder what to forget. Some of that can be built in instead: a digit moved by a pixel is still the same
# digit. The first layers of **ScatSimCLR** are not trained at all. They are a **scattering**, made with small waves
# (**wavelets**) of $J$ sizes and $A$ angles:
#
# 1. Filter the picture with each wavelet and take absolute values. This gives $JA$ filtered pictures, the maps.
# 2. Filter these with all larger wavelets and take absolute values again. This gives $\tfrac12 J(J-1)A^2$ more.
# 3. Average everything, the picture too, over a neighbourhood.
#
# That makes $1 + JA + \tfrac12 J(J-1)A^2$ maps. Only a small network behind them, the **adapter**, is trained.

# %%
scattering = Scattering(size=32, scales=2, angles=8)
digit = F.pad(F.interpolate(data.load("digits", "test").batch(torch.tensor([0])).x, 24, mode="bilinear"), (4, 4, 4, 4))
moved = digit.roll(1, dims=3)


def change(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / a.norm())


assert scattering(digit).shape[1] == 1 + 2 * 8 + 8**2
print(f"shifting the digit by one pixel changes the picture by {change(digit, moved):.0%},", end=" ")
print(f"its scattering by {change(scattering(digit), scattering(moved)):.0%}")

# %%
ScatteringPanel()

# %% [markdown]
# Now take only a hundred digits of 8 × 8 pixels. Train an ordinary convolutional network (CNN) on their views, and
# ScatSimCLR with less than half as many trained parameters. Then a linear classifier learns the labels of these hundred
# digits from four representations:
#
# - the pixels
# - the CNN
# - ScatSimCLR
# - the scattering alone, in which nothing is trained
#
# The table also shows both networks before training; "untrained encoder" is ScatSimCLR's.

# %%
fixed = bet(
    "There are only a hundred pictures. From which representation does the classifier read the digits best?",
    ["raw pixels", "the CNN", "ScatSimCLR", "the scattering alone", "two of them, within 2 points"],
)
fixed

# %%
few_pictures = pd.DataFrame(
    [row for s in seeds for row in papers.study("scatsimclr").rows(seed=s, more=None, whole=False)]
)
accuracies = few_pictures.pivot_table("linear h", "method", "seed", sort=False)
accuracies.style.format("{:.1%}")

# %% tags=["claim"]
names = ["raw input", "CNN", "ScatSimCLR", "scattering alone"]
best, second = accuracies.loc[names].mean(axis=1).nlargest(2).items()
fixed.settle(fixed.options[names.index(best[0]) if best[1] - second[1] > 0.02 else 4])
assert (accuracies.loc["scattering alone"] > accuracies.loc["CNN"]).all(), "no layer trained beats all layers trained"
assert (accuracies.loc["ScatSimCLR"] > accuracies.loc["raw input"]).all()

# %% [markdown]
# What you know about pictures need not be learned from them, least of all from a hundred. But it is the fixed layers
# that help. Whether the trained adapter adds anything, a few seeds cannot tell. Over the twenty seeds of the
# [scorecard](../docs/scorecard/scatsimclr.md) it does not: the scattering alone is more accurate. The authors train on
# far more and larger pictures. Whether the adapter pays off there cannot be seen here.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** A generator errs with probability `rho`. When it errs, it draws one of $C$ equally frequent classes at random.
# What share of the pairs shows two different classes?


# %%
def corrupted(rho: float, classes: int) -> float: ...


check("corrupted", corrupted)

# %% [markdown]
# <details><summary>Solution</summary>
#
# A random error hits the right class one time in $C$:
#
# ```python
# def corrupted(rho, classes):
#     return rho * (1 - 1 / classes)
#
# check("corrupted", corrupted)
# ```
# </details>

# %% [markdown]
# **2.** Write the effective number of pairs, $(\sum_i w_i)^2 / \sum_i w_i^2$, as a function of the qualities `q` $(B,)$
# and of `gamma`, for the weights $w_i = B e^{\gamma q_i} / \sum_j e^{\gamma q_j}$.


# %%
def in_effect(q: Tensor, gamma: float) -> Tensor: ...


check("in_effect", in_effect)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def in_effect(q, gamma):
#     w = (gamma * q).softmax(0)
#     return w.sum() ** 2 / w.square().sum()
#
# check("in_effect", in_effect)
# ```
# </details>

# %% [markdown]
# **3.** The larger the object in a picture, the more noise GenView's generator may use to change it. Where up to 0.2 of
# the picture is foreground, the noise level is 0. Above 0.2 and up to 0.4 it is 100, and so on up to 400. Write the
# level of a share.


# %%
def level(share: float) -> int: ...


check("level", level)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def level(share):
#     return 100 * (math.ceil(5 * share) - 1)
#
# check("level", level)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Train with `FactorViews` that vary the pose and the background but not the hue, and measure
# `shape` as above. Can the shape be read more often or less often than with the generated views of section 2, and why?
#
# **5.** (To think about.) You have photographs of birds, and a generator that redraws a bird in front of another
# background but never changes its colours. Which birds will the encoder confuse?
#
# ## References
#
# - Chen et al., *A simple framework for contrastive learning of visual representations*,
#   [2002.05709](https://arxiv.org/abs/2002.05709), for the crops and colours, and how they were chosen.
# - Li et al., *GenView: enhancing view quality with pretrained generative model for self-supervised learning*,
#   [2403.12003](https://arxiv.org/abs/2403.12003).
# - Kinakh, Taran & Voloshynovskiy, *ScatSimCLR: self-supervised contrastive learning with pretext task regularization for
#   small-scale datasets*, [2108.13939](https://arxiv.org/abs/2108.13939).
# - Bruna & Mallat, *Invariant scattering convolution networks*, [1203.1513](https://arxiv.org/abs/1203.1513).
# - Tian et al., *What makes for good views for contrastive learning?*, [2005.10243](https://arxiv.org/abs/2005.10243).
