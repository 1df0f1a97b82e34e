# %% [markdown]
# # Your own embeddings
#
# **What do your vectors look like?**
#
# Somebody hands you a file: a vector for each picture, and a label. Perhaps a large model made the vectors, perhaps a
# colleague did. What may be wrong with such a file? Pictures may stand in it twice. Labels may be wrong. Pictures may
# not belong there at all. Everything may lie in one narrow corner of the space. None of it shows in a table of numbers.
# But all of it shows in **who is near whom**. On this page you spoil a file yourself, so that you know what is wrong
# with it, and then you try to find it.
#
# **You need** [Start here](slug:start_here) and [Labels and class dispersion](slug:labels_and_class_dispersion).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": shorter trainings
seed: int = 0

# %%
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import data, evaluate, geometry, methods, nn, plots, train, widgets
from cl_explore.app.exercises import checker
from cl_explore.data import FactorViews, factor_rows
from cl_explore.widgets import bet, tally

plots.use()
check = checker("your_own_embeddings")
seeds = [seed, seed + 1]
epochs = 5 if preset == "smoke" else 8

# %% [markdown]
# ## 1 · "It was measured on the test set, so it is true"
#
# The pictures are those of [Start here](slug:start_here), and the encoder is trained as there: two views share the shape
# and the hue of the object, and nothing else. Then somebody makes a mistake that is made often. A quarter of the
# **test** pictures are pictures of the training set, saved once more, so that every pixel is a little different.

# %%
pictures, fresh = data.load("factor_world", n=2000), data.load("factor_world", "test", n=750)
draw = torch.Generator().manual_seed(seed)
copied = torch.randperm(2000, generator=draw)[:250]
again = pictures.x[copied] + 4 * torch.randn(250, *pictures.x.shape[1:], generator=draw)
test = data.from_arrays(
    torch.cat([again.clamp(0, 255).byte(), fresh.x]), torch.cat([pictures.labels[copied], fresh.labels])
)
is_copy = torch.arange(len(test)) < 250
plots.show(
    plots.pictures(torch.stack([pictures.x[copied[:8]], test.x[:8]]), rows=["training", "test"]),
    alt="Eight training pictures, and below them the same eight in the test set: no difference can be seen.",
)

# %%
VARIED = tuple(name for name in pictures.factors if name not in ("shape", "hue"))
spaces: dict[str, tuple[Tensor, Tensor]] = {"raw pixels": (pictures.x.flatten(1) / 255, test.x.flatten(1) / 255)}
for s in seeds:
    torch.manual_seed(s)
    method = methods.JointEmbedding(
        nn.ConvNet(3, width=16), nn.projection_head(64, 64, 32), "nt_xent", FactorViews(VARIED), temperature=0.2
    )
    if s == seed:
        spaces["untrained encoder"] = evaluate.embed(method, pictures).h, evaluate.embed(method, test).h
    train.fit(
        method, factor_rows(pictures), epochs=epochs, batch_size=125, lr=3e-3, seed=s, snapshots=0, progress=False
    )
    spaces[f"trained, seed {s}"] = evaluate.embed(method, pictures).h, evaluate.embed(method, test).h
vectors = spaces[f"trained, seed {seed}"]


def accuracy(space: str, rows: Tensor) -> float:
    """How often the nearest training picture of these test pictures has their shape."""
    seen, unseen = spaces[space]
    return evaluate.knn_accuracy(seen, pictures.labels, unseen[rows], test.labels[rows], k=1)


told = pd.DataFrame({space: {"shape, as told": accuracy(space, is_copy | ~is_copy)} for space in spaces}).T
told.style.format("{:.1%}")

# %%
leak = bet(
    "That is what the test set says. What is it without the copies, for the trained encoder?",
    ["the same", "some points lower", "some points higher"],
)
leak

# %% [markdown]
# How does one find copies that are not equal in a single pixel? A copy lies close to its original, closer than different
# pictures do. So look at how far the nearest training picture is from each test picture. Vectors are brought to length 1
# first. The **distance** of two of them with cosine $c$ is $\sqrt{2 - 2c}$.

# %%
unit = [F.normalize(part, dim=1) for part in vectors]
gap = (2 - 2 * unit[1] @ unit[0].T).clamp(min=0).sqrt().min(dim=1).values
fig = plots.figure(height=2.6)
(ax,) = fig.axes
for name, rows in (("copies", is_copy), ("other test pictures", ~is_copy)):
    ax.hist(gap[rows].numpy(), bins=torch.linspace(0, 0.6, 61).tolist(), alpha=0.7, label=name)
ax.set(xlabel="distance to the nearest training picture", ylabel="test pictures")
ax.legend()
plots.show(fig, alt="Histogram: the copies stand near distance zero, the other test pictures in a hill farther right.")

# %%
both = geometry.knn_graph(torch.cat(vectors), k=15)
groups = geometry.near_duplicates(both, distance=0.05)
across = [group for group in groups if (group < 2000).any() and (group >= 2000).any()]
found = torch.zeros(len(test), dtype=torch.bool)
for group in across:
    found[group[group >= 2000] - 2000] = True
clean = pd.DataFrame({space: {"without the copies found": accuracy(space, ~found)} for space in spaces}).T
print(
    f"copies found: {int((found & is_copy).sum())} of {int(is_copy.sum())}; wrongly called copies: {int((found & ~is_copy).sum())}"
)
told.join(clean).style.format("{:.1%}")

# %% tags=["claim"]
lost = {space: told.loc[space].iloc[0] - clean.loc[space].iloc[0] for space in spaces}
change = lost[f"trained, seed {seed}"]
leak.settle("some points lower" if change > 0.02 else "some points higher" if change < -0.02 else "the same")
assert (found & is_copy).sum() > 0.9 * is_copy.sum(), "nearly all copies are found"
assert (found & ~is_copy).sum() < 0.05 * (~is_copy).sum(), "and few others"
assert min(lost.values()) > 0.02, "each representation looked better than it is"

# %% [markdown]
# Every representation looked better than it is, the raw pixels too. The title does not survive: a test set tells the truth
# about *new* pictures only if its pictures are new. Whether two pictures are "the same" depends on the vectors. This encoder
# was trained not to see the background, so it may call two pictures copies that differ in nothing else. Look at what
# you throw away.
#
# ## 2 · One graph
#
# From here on there is one object: the **graph of nearest neighbours**. For each vector it lists the $k$ nearest others
# and how far they are. All pairs must be looked at for it, which is what takes time; what is read from it afterwards
# costs nothing. By hand it is four lines.


# %%
def by_hand(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    x = F.normalize(x, dim=1)
    cosine = (x @ x.T).fill_diagonal_(-torch.inf)
    nearest = cosine.topk(k)
    return nearest.indices, (2 - 2 * nearest.values).sqrt()


graph = geometry.knn_graph(vectors[0], k=15)
torch.testing.assert_close(by_hand(vectors[0].double(), 15)[1].float(), graph.distances, atol=1e-3, rtol=0)

# %% [markdown]
# And this is what is drawn of it: a map of all vectors of the training set, with their pictures. On a live page, point at a
# sample, click it to see its neighbours, or draw a line round some: `panel.selection` then holds their rows. The map
# shows two of 64 dimensions; the neighbours are those of all 64.

# %%
panel = widgets.EmbeddingPanel(
    vectors[0],
    labels=[pictures.class_names[label] for label in pictures.labels],
    images=pictures.x,
    values={"hue": pictures.factors["hue"], "outlier score": geometry.outlier_scores(graph)},
)
panel

# %% [markdown]
# ## 3 · "The neighbours know whose label is wrong"
#
# Now spoil labels. Every twentieth picture gets another label, once for its hue (one of eight parts of the colour
# circle), once for its shape. Then ask the neighbours: if most of them vote for another class, the label is
# **suspected**. The share of the vote by which they prefer it is the **margin** of the suspicion.

# %%
hue = (8 * pictures.factors["hue"]).long()
spoiled: dict[str, tuple[Tensor, Tensor]] = {}
for name, labels in (("hue", hue), ("shape", pictures.labels)):
    wrong = torch.randperm(2000, generator=draw)[:100]
    changed = labels.clone()
    changed[wrong] = (changed[wrong] + torch.randint(1, 8, (100,), generator=draw)) % 8
    spoiled[name] = changed, wrong

# %%
suspects = bet(
    "Of the trained encoder's 100 suspicions with the largest margins, where are more than three quarters right?",
    ["for hue and for shape", "for hue only", "for shape only", "for neither"],
)
suspects

# %%
rows = {}
for space, (x, _) in spaces.items():
    near = geometry.knn_graph(x, k=15)
    for name, (labels, wrong) in spoiled.items():
        suspicion = evaluate.suspicious_labels(near, labels)
        hits = torch.isin(suspicion.rows, wrong).double()
        rows[name, space] = {
            "suspected": len(hits),
            "wrong ones among them": hits.sum() / 100,
            "really wrong": hits.mean(),
            "really wrong, first 100": hits[:100].mean(),
        }
judged = pd.DataFrame(rows).T.astype(float)
judged.style.format("{:.0%}", subset=judged.columns[1:]).format("{:.0f}", subset=["suspected"])

# %% tags=["claim"]
trained = [f"trained, seed {s}" for s in seeds]
most = {name: judged.loc[(name, trained[0]), "really wrong, first 100"] > 0.75 for name in spoiled}
options = {(True, True): "for hue and for shape", (True, False): "for hue only", (False, True): "for shape only"}
suspects.settle(options.get((most["hue"], most["shape"]), "for neither"))
for space in trained:
    assert judged.loc[("hue", space), "wrong ones among them"] > 0.9, "nearly all wrong labels are suspected"
    assert judged.loc[("hue", space), "really wrong, first 100"] > 0.8, "and they stand first"
    assert judged.loc[("hue", space), "really wrong"] > judged.loc[("shape", space), "really wrong"] + 0.15
    for other in ("raw pixels", "untrained encoder"):
        assert judged.loc[("hue", space), "really wrong"] > judged.loc[("hue", other), "really wrong"] + 0.05

# %% [markdown]
# The neighbours suspect nearly all wrong labels, of hue and of shape alike. But they suspect many right ones too, and how
# many depends on how well the vectors keep the classes apart. Their hues are clear: the list for hue is the shorter one,
# and nearly all that stands first on it is wrong indeed. Their shapes overlap, and there most alarms are false. **A suspicion is as good
# as the vectors it comes from.** It is a list to look through, the largest margins first, and not a list to delete.
#
# ## 4 · "All cosines are near one, so all are alike"
#
# Take the mean cosine of any two vectors. In many embeddings it is far from zero: all vectors lie in one **narrow
# cone**. Does this make them useless? Take the mean vector off each, and the cone opens.

# %%
cone = bet(
    "Take the mean vector off. How much better does the nearest neighbour of the trained encoder read the shape then?",
    ["2 points and more", "less than 2 points either way", "2 points and more worse"],
)
cone

# %%
opened = {}
for space, (seen, unseen) in spaces.items():
    mean = seen.mean(0)
    new = ~found
    read = [
        evaluate.knn_accuracy(a, pictures.labels, b[new], test.labels[new], k=20)
        for a, b in ((seen, unseen), (seen - mean, unseen - mean))
    ]
    opened[space] = {
        "mean cosine": F.normalize(seen, dim=1).mean(0).square().sum().item(),
        "without the mean": F.normalize(seen - mean, dim=1).mean(0).square().sum().item(),
        "hubness": geometry.hubness(geometry.knn_graph(seen, k=15)).skewness.item(),
        "shape": read[0],
        "shape without the mean": read[1],
    }
table = pd.DataFrame(opened).T
table.style.format("{:.2f}").format("{:.1%}", subset=["shape", "shape without the mean"])

# %% tags=["claim"]
better = table["shape without the mean"] - table["shape"]
moved = better[trained[0]]
cone.settle(
    "2 points and more" if moved >= 0.02 else "2 points and more worse" if moved <= -0.02
    else "less than 2 points either way"
)  # fmt: skip
assert table.loc["untrained encoder", "mean cosine"] > table.loc[trained, "mean cosine"].max() + 0.2
assert (table["without the mean"] < 0.1).all(), "the cone opens"
assert better[["raw pixels", "untrained encoder"]].min() > 0.03, "where it was narrow, it was in the way"
assert better[trained].max() < better[["raw pixels", "untrained encoder"]].min(), "training has opened it already"
assert (table.loc[trained, "hubness"] < table.loc[["raw pixels", "untrained encoder"], "hubness"].min()).all()

# %% [markdown]
# The untrained encoder's vectors lie in the narrowest cone of all, and there the common part was in the way: without it the
# neighbours of untrained vectors and of raw pixels read the shape better. Contrastive training has opened the cone by
# itself, so less is left to gain. A high mean cosine is a reason to subtract the mean and look again; it is no verdict.
#
# Another number changed with training: **hubness**, the skewness of how often a vector is among the neighbours of others. In
# raw pixels a few pictures are neighbours of very many. Such **hubs** turn up in every search, whatever was asked.
#
# ## 5 · "Two good embeddings see the same"
#
# The two trained encoders differ in their seed alone: where their weights started, and which pictures met in a batch.

# %%
twins = bet(
    "How much of the 15 nearest neighbours of a picture do the two encoders share, on average?",
    ["all but a few: over 90 %", "most: 50 to 90 %", "less than half"],
)
twins

# %%
names = list(spaces)
shared = pd.DataFrame(
    [[geometry.knn_overlap(spaces[a][0], spaces[b][0], k=15).item() for b in names] for a in names], names, names
)
shared.style.format("{:.0%}")

# %% tags=["claim"]
common = shared.loc[trained[0], trained[1]]
twins.settle("all but a few: over 90 %" if common > 0.9 else "most: 50 to 90 %" if common >= 0.5 else "less than half")
assert common > shared.loc["raw pixels", trained].max() + 0.15, "twins share more than either shares with pixels"
assert common < 0.9, "and yet they differ"

# %% [markdown]
# They read hue and shape equally well and still disagree about many neighbours, far more than one might think of twins. So a
# list of neighbours, a cluster, a suspect is partly chance. Where it matters, train twice, and trust what both say.
#
# ## 6 · Your own file
#
# All of this is one command. From a terminal,
#
# ```
# cl-explore report vectors.npz --labels label --images image -o report.html
# ```
#
# writes one page about a `.npy`, `.npz`, `.csv`, `.parquet` or `.safetensors` file: the map, the geometry beside that of
# random directions, near-duplicates, outliers, suspected labels, hubs and clusters. In a notebook,
# `widgets.EmbeddingPanel("vectors.npz", labels="label", images="image")` shows the map.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# **1.** Write the table $(N, N)$ of duplicates: true in row $i$ and column $j > i$ where the rows $i$ and $j$ of `x` $(N, D)$
# are closer than `distance`, once they are brought to length 1; false elsewhere, so that each pair is named once.


# %%
def pairs_of(x: Tensor, distance: float) -> Tensor: ...


check("duplicates", pairs_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def pairs_of(x, distance):
#     x = F.normalize(x, dim=1)
#     return (torch.cdist(x, x) < distance).triu(diagonal=1)
#
# check("duplicates", pairs_of)
# ```
# </details>

# %% [markdown]
# **2.** Which samples are suspected? `near` $(N, k)$ holds the labels of the neighbours of each sample, `labels` $(N)$ its
# own. Each neighbour has one vote, a class needs more votes than the own label has. Give true or false for each sample.


# %%
def suspected(near: Tensor, labels: Tensor) -> Tensor: ...


check("suspected", suspected)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def suspected(near, labels):
#     votes = F.one_hot(near).sum(1)
#     own = (near == labels[:, None]).sum(1)
#     return votes.max(1).values > own
#
# check("suspected", suspected)
# ```
# </details>

# %% [markdown]
# **3.** Write the overlap of two embeddings from their lists of neighbours, `first` and `second`, both $(N, k)$: the mean
# share of a list that stands in the other one too.


# %%
def overlap(first: Tensor, second: Tensor) -> float: ...


check("overlap", overlap)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def overlap(first, second):
#     return (first[:, :, None] == second[:, None, :]).any(2).double().mean().item()
#
# check("overlap", overlap)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Put five strangers into the file: `torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)`,
# pictures of pure noise, embedded like the others. Do their `geometry.outlier_scores` stand out, among raw pixels and among
# vectors of the encoder? Then make them all black. What is an outlier, and for whom?
#
# **5.** (To think about.) A company takes all suspected labels out of its training set without looking at them. Which kind of
# pictures disappears first? Whom may that hurt?
#
# ## References
#
# - Wilson, *Asymptotic properties of nearest neighbor rules using edited data*, IEEE Transactions on Systems, Man, and
#   Cybernetics, 1972, for labels that neighbours contradict.
# - Northcutt, Athalye & Mueller, *Pervasive label errors in test sets destabilize machine learning benchmarks*, 2021,
#   [2103.14749](https://arxiv.org/abs/2103.14749).
# - Barz & Denzler, *Do we train on test data? Purging CIFAR of near-duplicates*, 2020,
#   [1902.00423](https://arxiv.org/abs/1902.00423).
# - Radovanović, Nanopoulos & Ivanović, *Hubs in space: popular nearest neighbors in high-dimensional data*, JMLR, 2010.
# - Mu & Viswanath, *All-but-the-top: simple and effective postprocessing for word representations*, 2018,
#   [1702.01417](https://arxiv.org/abs/1702.01417), for taking the mean off.
