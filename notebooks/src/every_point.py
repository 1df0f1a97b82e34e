# %% [markdown]
# # Every point
#
# **Can every pixel or point be a sample?**
#
# A picture has $32 \cdot 32 = 1024$ pixels. If each of them is a sample, there is no lack of samples, and none of
# positives. But who says which pixels belong together? Nobody has marked them. And what if they are told wrong?
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Negatives](slug:negatives) and [Pieces](slug:pieces).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.freecos import study as vessels
from cl_explore.papers.freecos.panel import VesselPanel
from cl_explore.papers.freecos.world import gamma, liot, style_swap, world
from cl_explore.papers.slidr import study as points
from cl_explore.papers.slidr.method import contrast, pool
from cl_explore.papers.slidr.panel import SuperpixelPanel
from cl_explore.papers.slidr.world import own_class, scenes
from cl_explore.widgets import bet, tally

plots.use()
check = checker("every_point")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Without labels of pixels, no pixel can be told"
#
# Which pixels of an image are a vessel? To mark them takes an expert an hour for each image. **FreeCOS** does not ask: it
# draws vessels by a grammar of strokes that branch, and of a drawing it is known which pixels are vessel. A network learns
# from drawings alone, and then looks at images.
#
# A drawing looks like no image. So it is given the **style** of one: the coarse part of the image's spectrum, without its
# phase, takes the place of the drawing's.

# %%
worlds = {s: world("walks", s) for s in seeds}
train, test = worlds[seed]
drawn, real = train.x["drawing"][:8], train.x["real"][:8]
plots.show(
    plots.pictures(
        torch.cat([drawn, real, style_swap(drawn, real, 0.1).clamp(0, 1)]).unflatten(0, (3, 8)),
        rows=["drawing", "image", "drawing in style"],
    ),
    alt="Three rows of eight small grey pictures: drawn branching vessels, images of winding vessels, and drawings in style.",
)

# %%
style = bet(
    "Two networks learn, from flat drawings and from drawings in style. Whose F1 on vessels of new images is higher?",
    ["in style, by more than 0.1", "about the same (within 0.1)", "flat, by more than 0.1"],
)
style

# %%
SETTINGS = {"epochs": 8, "batch_size": 8, "lr": 1e-2}
arms = vessels.plan(SETTINGS, 96, whole=True)
chosen = {name: arms[name] for name in (vessels.UNTRAINED, vessels.FLAT, vessels.LIOT, vessels.RAW)}
found = []
for s, parts in worlds.items():
    rows = bench.compare(chosen, *parts, [vessels.segment], seed=s).rows
    found += [{"seed": s, **row} for row in [vessels.darkness(*parts), *rows]]
found = pd.DataFrame(found)


def by_seed(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of the rows, methods by seeds."""
    return rows.pivot(index="method", columns="seed", values=column).loc[rows["method"].unique()]


by_seed(found, vessels.F1).drop(vessels.RAW).style.format("{:.2f}")

# %% tags=["claim"]
score = by_seed(found, vessels.F1)
gain = score.loc[vessels.LIOT] - score.loc[vessels.FLAT]
style.settle(style.options[0 if gain.min() > 0.1 else 2 if gain.max() < -0.1 else 1])
assert (score.loc[vessels.LIOT] > score.loc[vessels.FLAT] + 0.05).all()
assert (score.loc[vessels.LIOT] > score.loc[vessels.UNTRAINED] + 0.1).all()

# %% [markdown]
# The first row is no network: vessel is what is darker than one grey, the best one for drawings in style. Drawings as they
# are teach less than that. In the style of images they teach to see.
#
# ## 2 · "A pixel is its brightness"
#
# The networks above did not see brightness. They saw its **order**: in four directions, which of eight neighbours a pixel is
# brighter than. A camera or a screen raises every brightness to a power, its **gamma**. What does that do to raw pixels, and
# what to their order?

# %%
x = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(seed))
dark = x**2.2
print(
    f"raw pixels change by up to {(x - dark).abs().max():.2f}; order changed in {(liot(x) != liot(dark)).sum()} places"
)
assert (liot(x) == liot(dark)).all()
plots.show(
    plots.pictures(torch.stack([test.x["real"][:8], gamma(test.x["real"][:8], 2.2)]), rows=["image", "gamma 2.2"]),
    alt="Two rows of eight small grey images of winding vessels: as they are, and darkened by a gamma of 2.2.",
)

# %%
order = bet(
    "Images as they are, no gamma: which network finds more vessels, one of raw pixels or one of their order?",
    ["raw pixels", "their order", "about the same (within 0.05)"],
)
order

# %%
power = bet(
    "New images at a gamma of 2.2: how much F1 does the network of raw pixels lose?",
    ["less than 0.1", "between 0.1 and 0.2", "more than 0.2"],
)
power

# %%
columns = [vessels.F1, vessels.DARK, vessels.LOST]
kept = ["raw input", vessels.UNTRAINED, vessels.RAW, vessels.LIOT]
shown = pd.concat({column: by_seed(found, column).loc[kept] for column in columns}, axis=1)
shown.style.format("{:.2f}")

# %% tags=["claim"]
ahead = score.loc[vessels.RAW] - score.loc[vessels.LIOT]
order.settle(order.options[0 if ahead.min() > 0.05 else 1 if ahead.max() < -0.05 else 2])
lost = by_seed(found, vessels.LOST)
fall = lost.loc[vessels.RAW].min()
power.settle(power.options[0 if fall < 0.1 else 1 if fall < 0.2 else 2])
assert (lost.loc[vessels.RAW] > 0.1).all()
assert (lost.loc[vessels.LIOT].abs() < 0.02).all()

# %% [markdown]
# Order stands any gamma, since a power keeps it: that is known without a training. (A file keeps only so many greys, so
# that close ones may become one; it hardly matters.) But it has its price: on images as they are raw pixels are the
# better input. Whoever forgets brightness cannot use it.
#
# FreeCOS has a contrast, too: drawn vessel pixels find real ones, and background pixels are negatives. Over twenty seeds it
# gave no gain here, and more of it cost a good deal. [The scorecard](../docs/scorecard/freecos.md) says what it does to the features.
#
# On a live page:
#
# - Move the gamma. Where do the two curves cross?
# - Raise the style L from 0 to 0.5. When is the drawing gone?

# %%
VesselPanel()

# %% [markdown]
# ## 3 · "The more pairs, the better"
#
# A car has a camera and a **lidar**, which measures points in space. Where a point falls in the camera's image is known. So
# there are thousands of pairs, a point and its pixel, and nobody had to mark one. A network of pixels exists already; it is
# **frozen**, and a network of points shall learn from it. PPKT contrasts each point with its pixel.
#
# No lidar recordings are at hand that are free to use. Our **scenes** are features: thirty regions each, of six classes.
# Roads and buildings have many points, persons and bicycles few.
#
# All other pairs of the batch are negatives. First count: how many of them have the class of the anchor?

# %%
negatives = bet(
    "Of the negatives of a point, how many have its own class?",
    ["less than a tenth", "between a tenth and a third", "more than a third"],
)
negatives

# %%
scene = {s: scenes(s, 32, 0.4) for s in seeds}
shares = pd.DataFrame(
    {s: {"points": own_class(w.points.labels), "regions": own_class(w.kinds)} for s, w in scene.items()}
)
shares.style.format("{:.0%}")

# %% tags=["claim"]
least = shares.loc["points"].min()
negatives.settle(negatives.options[0 if least < 0.1 else 1 if least < 1 / 3 else 2])
assert (shares.loc["regions"] < shares.loc["points"] - 0.1).all()

# %% [markdown]
# **SLidR** cuts the image into **superpixels**, regions of one colour. It takes the mean of a region's pixels, and the mean
# of the points that fall into it, and contrasts the two means. So a road is one sample, not hundreds.


# %%
def mean_of(rows: Tensor, region: Tensor) -> Tensor:
    """rows (N, D), region (N,): the mean of each region."""
    return torch.stack([rows[region == number].mean(0) for number in region.unique()])


generator = torch.Generator().manual_seed(seed)
cloud, image = (F.normalize(torch.randn(n, 8, generator=generator).double(), dim=1) for n in (40, 60))
of_point, of_pixel = torch.arange(40) % 5, torch.arange(60) % 5
logits = mean_of(cloud, of_point) @ mean_of(image, of_pixel).T / 0.07
by_hand = -logits.log_softmax(1).diagonal().mean()
pooled = pool(cloud, image, of_point, of_pixel)
torch.testing.assert_close(by_hand, contrast(pooled.points, pooled.pixels, 0.07), atol=1e-5, rtol=0)

often = torch.cat([torch.arange(40), torch.arange(0, 40, 5).repeat(20)])  # the first region has 21 times the points
denser = pool(cloud[often], image, of_point[often], of_pixel)
torch.testing.assert_close(by_hand, contrast(denser.points, denser.pixels, 0.07), atol=1e-5, rtol=0)

# %% [markdown]
# The last lines give one region twenty-one times the points, and the loss is the same. How densely a lidar sees a thing does
# not decide how much it counts.
#
# On the panel nothing is trained: each point has the feature of its thing, with noise. A cross is a point that falls on another
# thing. On a live page:
#
# - Raise the share of wrong pairs. Which things have more crosses than points of their own?
# - Cut the image into more superpixels, up to one a pixel. What becomes of their loss?

# %%
SuperpixelPanel()

# %% [markdown]
# Now some pairs are wrong. A lidar sits beside the camera and sees what the camera does not; a mount is a little off. Let 40 %
# of the points fall on a pixel of another region of their scene. A linear probe reads the class of each point of new scenes from
# the frozen network. The score is **mIoU**: for each class the points that are rightly named, out of those that are it or are
# named so, and then the mean over classes.

# %%
wrong = bet(
    "40 % of the pairs are wrong. Whose points are read better, by mIoU?",
    ["SLidR's, by more than 0.05", "within 0.05", "PPKT's, by more than 0.05"],
)
wrong

# %%
untaught = bet(
    "And beside the raw input of a point, 24 numbers that are its class plus noise: how well is SLidR's network read?",
    ["better", "worse", "it depends on the seed"],
)
untaught

# %%
FIT = {"epochs": 28, "batch_size": 4096, "lr": 2e-3}
ARMS = ("SLidR, 40 % wrong", "PPKT, 40 % wrong")
read = []
for s, w in scene.items():
    fitted, unseen = (scenes(s, points.TEST_SCENES, part=part).points for part in (1, 2))
    rows = torch.randperm(len(fitted), generator=torch.Generator().manual_seed(s))[: points.FITTED]
    plan = bench.baselines(networks=points.networks, augment=points.Noisy())
    plan |= {name: points.entry(name, w, FIT) for name in ARMS}
    made = bench.compare(plan, fitted.subset(rows), unseen, [points.probe], seed=s).rows
    read += [{"seed": s, **row} for row in made]
read = pd.DataFrame(read)
pd.concat({column: by_seed(read, column) for column in (points.IOU, points.RARELY)}, axis=1).style.format("{:.3f}")

# %% tags=["claim"]
iou = by_seed(read, points.IOU)
better = iou.loc[ARMS[0]] - iou.loc[ARMS[1]]
wrong.settle(wrong.options[0 if better.min() > 0.05 else 2 if better.max() < -0.05 else 1])
over = iou.loc[ARMS[0]] - iou.loc["raw input"]
untaught.settle(untaught.options[0 if over.min() > 0 else 1 if over.max() < 0 else 2])
assert (better > 0).all(), "regions forgive more than pairs"
assert (iou.loc[ARMS[0]] > iou.loc["untrained encoder"]).all()

# %% [markdown]
# Regions forgive wrong pairs a little more than pairs do, and the network learns something from frozen pixels. But in this
# small world the gap is small, and raw numbers are read better than anything that was trained: their noise is the same in
# all directions, which a linear probe with three thousand labels deals with by itself. The authors' gains are on driving
# recordings, where no linear probe reads a cloud of points. [The scorecard](../docs/scorecard/slidr.md) has all seeds and
# the claims that fail. It also has rendered streets, scanned by a lidar and read by convolutions: there training beats raw
# numbers by far. But a calibration that is off by three columns costs regions as much as pairs, since it moves all points of
# a region the same way. A mean outvotes strays, not a shift.
#
# So can every point be a sample? It can, if you ask three things: who says what belongs together, what may change it without
# changing what it is, and how often the same thing is counted.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Of a grey picture `x` of shape `(H, W)`: which pixels are brighter than their neighbour to the right? The last column
# has none, so the answer is `(H, W - 1)`, true or false. What does a gamma do to it?


# %%
def brighter(x: Tensor) -> Tensor: ...


check("brighter", brighter)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def brighter(x):
#     return x[:, :-1] > x[:, 1:]
#
# check("brighter", brighter)
# ```
#
# A gamma does nothing to it: a power keeps what is larger.
# </details>

# %% [markdown]
# **2.** The mean of the rows of each region: `x` is `(N, D)`, `region` holds a number for each row. One row for each number
# that occurs, in ascending order.


# %%
def means(x: Tensor, region: Tensor) -> Tensor: ...


check("means", means)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def means(x, region):
#     return torch.stack([x[region == number].mean(0) for number in region.unique()])
#
# check("means", means)
# ```
# </details>

# %% [markdown]
# **3.** What share of all negatives has the class of its anchor? `labels` holds the class of each sample of a batch, and the
# negatives of a sample are all others.


# %%
def own(labels: Tensor) -> Tensor: ...


check("own", own)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def own(labels):
#     same = (labels[:, None] == labels).double()
#     return (same.sum() - len(labels)) / (len(labels) * (len(labels) - 1))
#
# check("own", own)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Train longer: `points.entry(name, w, FIT | {"epochs": 84})` in section 3. Do regions and pairs come
# further apart where pairs are wrong, and does either pass the raw input?
#
# **5.** (To think about.) You film a harbour from a drone at noon and at dusk, and want to contrast each pixel with itself.
# What moves, what changes colour, and which pixels would you pool?
#
# ## References
#
# - Shi et al., *FreeCOS: self-supervised learning from fractals and unlabeled images for curvilinear object segmentation*,
#   ICCV 2023, [2307.07245](https://arxiv.org/abs/2307.07245). The images here are generated.
# - Sautier et al., *Image-to-lidar self-supervised distillation for autonomous driving data*, CVPR 2022,
#   [2203.16258](https://arxiv.org/abs/2203.16258). The scenes here are features, not recordings.
# - Liu et al., *Learning from 2D: contrastive pixel-to-point knowledge transfer for 3D pretraining*, 2021,
#   [2104.04687](https://arxiv.org/abs/2104.04687), which is PPKT.
