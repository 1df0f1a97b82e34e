# %% [markdown]
# # Degrees of same
#
# **What if "same" has degrees?**
#
# You ask a library for *wine in Chile*. It has four texts: one on wine in Chile, one on wine in Georgia, one on copper
# in Chile, one on whales in Norway. You would put them in this order without a thought. A contrastive loss has only two
# words for them, same and other. [Labels](slug:labels_and_class_dispersion) say which of the two; someone has marked
# the texts on wine as *relevant* and the others as *irrelevant*. What becomes of the order?
#
# **You need** [Start here](slug:start_here), [Temperature](slug:temperature) and
# [Labels and class dispersion](slug:labels_and_class_dispersion).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import evaluate, losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.listwise_wasserstein import study as lists
from cl_explore.papers.listwise_wasserstein.panel import ListsPanel
from cl_explore.papers.listwise_wasserstein.world import PASSAGES, Looks, attributes
from cl_explore.papers.shamisa import study as spoiled
from cl_explore.papers.shamisa.method import closeness
from cl_explore.papers.shamisa.panel import SeverityPanel
from cl_explore.papers.shamisa.world import KINDS, contents, ladders
from cl_explore.papers.space_2 import study as trees
from cl_explore.papers.space_2.method import VIEWS, tree_scores
from cl_explore.papers.space_2.panel import TreePanel
from cl_explore.papers.space_2.world import dialogs
from cl_explore.papers.supremix import study as numbers
from cl_explore.papers.supremix.panel import OrderPanel
from cl_explore.papers.supremix.world import world
from cl_explore.widgets import bet, tally

plots.use()
check = checker("degrees_of_same")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Relevant or not, that will do"
#
# Here is a small library. A text has a **subject** (wine, one of thirty) and a **place** (Chile, one of thirty).
# Each subject and each place is a code of eight random numbers. The encoder is shown both codes of a
# text with noise, and eight numbers that mean nothing, all mixed. Noise and the eight numbers are drawn anew at
# each look. There are four hundred questions, and each comes with a **list** of four texts. Their **levels** say how well they
# answer: 2 for the right subject and 1 for the right place.
#
# | | subject | place | level | label |
# |---|---|---|---|---|
# | wine in Chile | right | right | 3 | relevant |
# | wine in Georgia | right | wrong | 2 | relevant |
# | copper in Chile | wrong | right | 1 | irrelevant |
# | whales in Norway | wrong | wrong | 0 | irrelevant |
#
# The label is the usual one: relevant or not. InfoNCE takes a relevant text of the list as the positive. Its negatives
# are an irrelevant one and the texts of the other questions in the batch. We ask about **order**: of two texts of
# different levels, how often is the better one nearer to the question? By chance half of the time. New questions are
# asked, of four hundred texts.

# %%
unasked = bet(
    "The labels say nothing about places. How do they change the order by place, beside the raw input?",
    ["it gets better", "it stays about the same (within 3 points)", "it gets worse"],
)
unasked

# %%
SETTINGS = {"epochs": 8, "batch_size": 8, "lr": 3e-3}
libraries = {s: attributes(s) for s in seeds}
ORDER = {"2 above 1": "subject", lists.WITHIN: "place"}


def trained(name: str, new_name: str = "", **options: int) -> dict[str, dict[int, bench.Entry]]:
    """An arm of the study's plan, by a name of its own, for each seed."""
    of = {s: lists.plan(SETTINGS, networks=lists.networks, augment=Looks(s), **options)[name] for s in seeds}
    return {new_name or name: of}


def untrained() -> dict[str, dict[int, bench.Entry]]:
    """The raw input and an encoder before training."""
    of = {s: bench.baselines(networks=lists.networks, augment=Looks(s), n_views=1 + PASSAGES) for s in seeds}
    return {name: {s: of[s][name] for s in seeds} for name in of[seed]}


def compared(entries: dict[str, dict[int, bench.Entry]]) -> pd.DataFrame:
    """The rows of these arms, by seed and method."""
    found = {}
    for s, library in libraries.items():
        arms = {name: of[s] for name, of in entries.items()}
        measure = partial(lists.retrieval, relevance=library.relevance)
        found[s] = bench.compare(arms, library.train, library.test, [measure], seed=s)
    return bench.table(found).set_index(["seed", "method"])


def table(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Some columns of the rows under other names, for each seed."""
    shown = rows[list(columns)].rename(columns=columns).unstack("seed")
    shown.columns = [f"{column}, seed {s}" for column, s in shown.columns]
    return shown.reindex(rows.index.get_level_values("method").unique())


rows = compared(untrained() | trained("InfoNCE", "InfoNCE, labels"))
table(rows, ORDER).style.format("{:.0%}")

# %% tags=["claim"]
place = rows[lists.WITHIN].unstack("method")
change = place["InfoNCE, labels"] - place["raw input"]
unasked.settle(unasked.options[0 if change.min() > 0.03 else 2 if change.max() < -0.03 else 1])
assert (place["InfoNCE, labels"] < place["untrained encoder"] - 0.02).all(), "worse than before any training"
subject = rows["2 above 1"].unstack("method")
assert (subject["InfoNCE, labels"] > subject["raw input"] + 0.2).all(), "the labels do teach the subject"

# %% [markdown]
# The subject is learned. The place is not just left out: the encoder tells it *less* than before. Remember what views
# do in [Start here](slug:start_here): what differs between two things that are called the same is forgotten. Wine in
# Chile and wine in Georgia are both called the same as the question. So the label says: places do not matter.
#
# ## 2 · "Then say how much"
#
# A softmax makes shares of any numbers. The loss has always made shares $P_k$ of the cosines with all texts $k$ of the
# batch. The levels can be made into shares too, by a softmax over the same texts: $T_k$ is what is asked for text $k$.
# The texts of other questions have level 0. Then the cosines should give the shares that the levels ask for:
#
# $$\ell = \sum_k T_k \log \frac{T_k}{P_k}$$
#
# This is the **KL divergence** of one list; it is 0 if $P_k = T_k$ for every text. If one text gets the whole share,
# it is InfoNCE.


# %%
def shares(question: Tensor, texts: Tensor, levels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """P and T (B, 4 B) of questions (B, D), texts (B, 4, D) and levels (B, 4)."""
    cosines = F.normalize(question, dim=1) @ F.normalize(texts, dim=2).flatten(0, 1).T
    asked = torch.block_diag(*levels.double()[:, None])  # the texts of the others: 0
    return (cosines / temperature).softmax(1), asked.softmax(1)


generator = torch.Generator().manual_seed(seed)
question, texts = (torch.randn(8, *n, 6, generator=generator, dtype=torch.float64) for n in ((), (4,)))
levels = torch.tensor([3, 2, 1, 0]).expand(8, -1)
P, T = shares(question, texts, levels, 0.2)
by_hand = (T * (T / P).log()).sum(1).mean()
torch.testing.assert_close(by_hand, losses.listwise_kl(question, texts, levels, temperature=0.2))
print("asked of the own list:", *(f"{share:.3f}" for share in T[0, :4]), f"and of each other text: {T[0, -1]:.3f}")

# %%
price = bet(
    "With labels, InfoNCE puts the right subject (level 2) above the right place (level 1) most of the time. With levels?",
    ["more often", "about as often (within 3 points)", "less often"],
)
price

# %%
rows = pd.concat([rows, compared(trained("KL", "KL, levels"))])
table(rows, ORDER | {lists.NDCG: "ranking"}).style.format("{:.0%}")

# %% tags=["claim"]
place, subject = (rows[name].unstack("method") for name in (lists.WITHIN, "2 above 1"))
change = subject["KL, levels"] - subject["InfoNCE, labels"]
price.settle(price.options[0 if change.min() > 0.03 else 2 if change.max() < -0.03 else 1])
assert (place["KL, levels"] > place["InfoNCE, labels"] + 0.1).all()
assert (place["KL, levels"] > place["raw input"]).all(), "more than one could see without an encoder"

# %% [markdown]
# The order by place is back, and better than in the raw input. It has a price: InfoNCE is better at the one border
# that its labels draw, between level 2 and level 1. Look at the shares that are asked. Most goes to level 3, and what
# the levels 2 and 1 get differs little. ("Ranking" is nDCG: how well the ten nearest of the four hundred texts are in the
# order of their levels, 100 % at best. There labels and levels are near each other, and which leads depends on the
# seed.)
#
# ## 3 · "It must know whose list is whose"
#
# The KL divergence compares the shares of each question with what is asked for *it*. Suppose you have only a heap
# of questions and a heap of lists, and nobody noted which belong together. Clearly nothing can be learned from that?
#
# The authors of **SyCL** compare the heaps. A row of $P$ is a point in space; a batch of $B$ questions is a cloud of
# $B$ points. So is $T$. Describe each cloud by its mean $\mu$ and its covariance $\Sigma$, as if it were a Gaussian. Then
# there is a distance between the two, called **Wasserstein**'s: how far the mass of one cloud must be carried to make
# the other.
#
# $$\lVert \mu_P - \mu_T \rVert^2 + \mathrm{tr}\, \Sigma_P + \mathrm{tr}\, \Sigma_T
# - 2\, \mathrm{tr}\, (\Sigma_P \Sigma_T)^{1/2}$$


# %%
def wasserstein(P: Tensor, T: Tensor) -> Tensor:
    means = (P.mean(0) - T.mean(0)).square().sum()
    of_P, of_T = torch.cov(P.T), torch.cov(T.T)
    root = torch.linalg.eigvals(of_P @ of_T).real.clamp(min=0).sqrt().sum()
    return means + of_P.trace() + of_T.trace() - 2 * root


library = losses.listwise_wasserstein(question, texts, levels, temperature=0.2)
torch.testing.assert_close(wasserstein(P, T), library, atol=1e-5, rtol=1e-4)
torch.testing.assert_close(losses.listwise_wasserstein(question.roll(3, 0), texts, levels, temperature=0.2), library)

# %% [markdown]
# The last line moved every question on by three lists: the distance is the same, for the order of its rows is nothing
# to a cloud. Now train so. In every batch each question is handed the list of its neighbour, so wine in Chile meets
# the list of whales in Norway.

# %%
whose = bet(
    "With wrong lists in every batch, how much of the order by place does each loss still learn?",
    ["both nothing", "Wasserstein's some, KL nothing", "Wasserstein's all of it, KL nothing", "both most of it"],
)
whose

# %%
wrong = trained("KL", "KL, wrong lists", shift=1) | trained("Wasserstein", "Wasserstein, wrong lists", shift=1)
rows = pd.concat([rows, compared(trained("Wasserstein", "Wasserstein, levels") | wrong)])
of_lists = rows.drop("InfoNCE, labels", level="method")
table(of_lists, {lists.WITHIN: "place", lists.NDCG: "ranking"}).style.format("{:.1%}")

# %% tags=["claim"]
place = rows[lists.WITHIN].unstack("method")
lost = {name: (place[f"{name}, levels"] - place[f"{name}, wrong lists"]).abs().max() for name in ("KL", "Wasserstein")}
nothing = (place["KL, wrong lists"] < place["untrained encoder"]).all()
whose.settle(whose.options[2 if lost["Wasserstein"] < 0.01 and nothing else 1 if nothing else 3])
assert lost["Wasserstein"] < 0.01
assert lost["KL"] > 0.1

# %% [markdown]
# To Wasserstein's distance the lists were never right or wrong. It asks only that the questions, *together*, share
# themselves out as the lists ask, and leaves it to the encoder who takes which. From the first step on a question is a
# little nearer to its own list, because codes are shared, and that is enough. It is a warning too: a loss of 0 does not
# prove that anything is paired rightly.
#
# Is it better than KL, then, if you do have the pairs? No: over twenty seeds the two tell places equally well, and KL
# ranks a little better, if anything. [The scorecard](../docs/scorecard/listwise-wasserstein.md) has what was claimed,
# also for sentences that people graded. (Its trainings are longer than those of this page.)
#
# On a live page:
#
# - Let the questions move on, and watch both losses.
# - Double the batch a few times. What becomes of the share that is asked for the best text? (The panel says queries for
#   questions and passages for texts.)
# - Which label scale brings the shares of the levels near those of the scores?

# %%
ListsPanel()

# %% [markdown]
# ## 4 · "A number is a class like any other"
#
# Nobody needs to grade a list if the label is a number. Take an age, below forty. Here the ages lie on a curve, which
# is mixed with eight strong directions that mean nothing, and there are few old ones. SupCon takes each age for a class
# of its own: eleven and twelve are as different as eleven and
# thirty-eight. We ask two things of the embedding. Can a linear reader, a ridge
# regression, tell the age? And do distances follow the ages: is the rank correlation of the distances of all pairs with
# the differences of their ages near 1?

# %%
ages = bet(
    "SupCon is trained with the ages as 40 classes. How well does the ridge read the age, beside the raw input?",
    ["clearly better (by more than a year)", "within a year", "clearly worse (by more than a year)"],
)
ages

# %%
spread = bet(
    "Now each negative counts more the farther its age is from the anchor's. What does that do to the rank correlation?",
    ["hardly anything (up to 0.1)", "it rises by more than 0.1", "it falls by more than 0.1"],
)
spread

# %% jupyter={"source_hidden": true}
GIVEN = {name: numbers.STUDY.settings()[name] for name in ("batch_size", "lr")} | {"epochs": 25}
AGES = ("raw input", "untrained encoder", "SupCon", "distance weight", "SupReMix")
people, by_age = {s: world("curve", s) for s in seeds}, {}
for s, (young, others) in people.items():
    arms = numbers.plan(young, **GIVEN)
    by_age[s] = bench.compare({name: arms[name] for name in AGES}, young, others, [numbers.read], seed=s)

# %%
of_ages = bench.table(by_age).set_index(["seed", "method"])
table(of_ages, {numbers.MAE: "error (years)", numbers.ORDER: "rank correlation"}).style.format("{:.2f}")

# %% tags=["claim"]
error, correlation = (of_ages[name].unstack("method") for name in (numbers.MAE, numbers.ORDER))
gain = error["raw input"] - error["SupCon"]
ages.settle(ages.options[0 if gain.min() > 1 else 2 if gain.max() < -1 else 1])
rise = correlation["distance weight"] - correlation["SupCon"]
spread.settle(spread.options[1 if rise.min() > 0.1 else 2 if rise.max() < -0.1 else 0])
assert (error["SupReMix"] < error["SupCon"] - 1).all()
assert (error["SupReMix"] < error["raw input"] - 1).all()
assert (correlation["SupReMix"] > correlation["SupCon"] + 0.15).all()

# %% jupyter={"source_hidden": true}
figure = plots.figure("full", height=3.0, columns=3)
unseen = people[seed][1]
bins = F.one_hot(unseen.labels // 2, 20).float()
bins /= bins.sum(0)
for axes, name in zip(figure.axes, ("SupCon", "distance weight", "SupReMix"), strict=True):
    z = F.normalize(evaluate.embed(by_age[seed].methods[name], unseen).z, dim=1)
    axes.imshow(bins.T @ z @ z.T @ bins, cmap="viridis", vmin=-1, vmax=1, extent=(0, 40, 40, 0))
    axes.set(title=name, xlabel="age", ylabel="age")
    axes.grid(visible=False)
plots.show(
    figure, alt="Mean cosines of people of two ages, bright near the diagonal; with weights they fade evenly away."
)

# %% [markdown]
# The weight of a negative is the difference of the ages plus 1, inside the sum of the denominator. **SupReMix** adds
# mixtures: a person of nine and one of fifteen, half and half, stand for one of twelve, whom nobody has met. Such a mixture is one
# more positive of a person of twelve. Most of the order comes from the weight alone; the mixtures add less, and at this size
# the differences between them are small.
#
# The panel shows one anchor among others on a circle, with its mixtures and the force on it. On a live page, take the
# weight away. Who still knows that the anchor is at the wrong place?

# %%
OrderPanel()

# %% [markdown]
# ## 5 · "Two things are equal, or they are not"
#
# What a customer says to a machine is noted as a tree: a domain (hotel), in it an intent (book), in it slots (day), each
# with a value. Two dialogs may share the domain alone, or all but one value. How much is that? For each part of a tree,
# take the things that both have, and divide by the things that either has. This is **Jaccard's** index. There are
# ten such parts: the four kinds of nodes, and six kinds of paths through them. Their mean is the degree.

# %%
wished = {"hotel": {"book": {"area": [{"value": "north"}], "day": [{"value": "friday"}]}}}
offered = {"hotel": {"book": {"area": [{"value": "north"}], "day": [{"value": "sunday"}]}}}
values = {"north", "friday"}, {"north", "sunday"}
jaccard = len(values[0] & values[1]) / len(values[0] | values[1])
score = tree_scores([wished], [offered])
torch.testing.assert_close(score.each[0, 0, VIEWS.index("V")].item(), jaccard, rtol=1e-5, atol=0)
print(*(f"{view} {part:.2f}" for view, part in zip(VIEWS, score.each[0, 0].tolist(), strict=True)), sep="   ")
print(f"degree: {score.combined.item():.2f}")

# %% [markdown]
# The degrees become shares: here each anchor's are divided by their sum, and the loss is the same cross-entropy as
# in section 2. On 300 drawn dialogs, as bags of words in which each label has three synonyms, four ways to say "same"
# compete: none (self-supervised, two views of a dialog), the **same tree**, the **same domain and intent**, and degrees.
# Unseen dialogs are ranked for other unseen ones, and nDCG of the ten nearest says how well.

# %%
exact = bet(
    "Labels of whole trees are exact: same is what is really the same. How do they rank, beside no labels at all?",
    ["clearly better (by more than 3 points)", "the same (within 3 points)", "clearly worse"],
)
exact

# %%
coarse = bet(
    "And which is best of all?",
    ["the raw words", "same domain and intent", "degrees", "degrees, tied with domain and intent (within 1 point)"],
)
coarse

# %% jupyter={"source_hidden": true}
CHOSEN = {
    "raw input": "raw words",
    "untrained encoder": "untrained encoder",
    "self-supervised": "self-supervised",
    "exact-tree SupCon": "same tree",
    "flat SupCon (domain, intent)": "same domain and intent",
    "tree, one space": "degrees",
}
SIZES = {name: trees.STUDY.settings()[name] for name in ("few", "steps", "batch_size", "temperature")}
found, together = {}, {}
for s in seeds:
    known, test = dialogs(s, 300), dialogs(s, 600, part=1)
    plan = trees.plan(known, **SIZES)
    relevance = tree_scores(test.frames[:300], test.frames[300:])
    chosen = {new: plan[name] for name, new in CHOSEN.items()}
    found[s] = bench.compare(chosen, known.data, test.data, [partial(trees.rank, relevance=relevance)], seed=s)
    together[s] = plan["tree, one space"].about

# %%
of_trees = bench.table(found).set_index(["seed", "method"])
table(of_trees, {trees.RANKED: "ranking"}).style.format("{:.0%}")

# %% tags=["claim"]
for s in seeds:
    print(f"seed {s}: pairs of one tree: {together[s][trees.SAME]:.2%}; with something in common: "
          f"{together[s][trees.KIN]:.0%}")  # fmt: skip
ranking = of_trees[trees.RANKED].unstack("method")
gain = ranking["same tree"] - ranking["self-supervised"]
exact.settle(exact.options[0 if gain.min() > 0.03 else 2 if gain.max() < -0.03 else 1])
lead = ranking["degrees"] - ranking["same domain and intent"]
first = "raw words" if (ranking["raw words"] > ranking["degrees"]).all() else "others"
coarse.settle(coarse.options[0 if first == "raw words" else 2 if lead.min() > 0.01 else 1 if lead.max() < -0.01 else 3])
assert gain.abs().max() < 0.03, "same tree hardly ever happens"
assert (ranking["degrees"] > ranking["raw words"] + 0.1).all()
assert (ranking["self-supervised"] < ranking["raw words"]).all(), "no labels bring synonyms together"

# %% [markdown]
# Yes or no fails at both ends. An exact *same* is so rare that it says nothing. A coarse *same* happens often, but it
# calls a dialog with another value as good as a perfect one, as the label *relevant* did. Degrees use what nearly all
# pairs have: a little in common.

# %%
TreePanel()

# %% [markdown]
# ## 6 · "Somebody has to say how much"
#
# Lists are graded by people, numbers are measured, trees are written down. But views are made by a machine. It *knows*
# how much it did to a picture: how **severely** it spoiled it, from level 0 to 4.

# %%
pictures = {s: contents("leaves", s, 360, 300, 24) for s in seeds}
ladder, _ = ladders(pictures[seed][1].x[:1], seed)
plots.show(
    plots.pictures(ladder[0], rows=list(KINDS), columns=[f"level {level}" for level in range(5)]),
    alt="A picture of overlapping discs in four rows, spoiled from left to right by blur, noise, pixels and contrast.",
)

# %% [markdown]
# Is level 1 of a blur the same as level 0? And level 4? The paper **SHAMISA** lets the sameness of two pictures that were
# spoiled in one way fall with the gap of their levels, as $e^{-3/4}$ to the power of the gap. That also holds for two
# *different* pictures: they are the same if they are equally spoiled. If it falls at the rate 0, every such pair is
# fully the same, which is the binary answer. Sameness is how strongly two points are pulled together; there are no
# negatives, and the embedding is kept from collapse by asking each dimension to vary and no two to say the same.

# %%
gap = torch.arange(5.0)
torch.testing.assert_close(closeness(gap, rate=3.0), torch.exp(torch.tensor(-3 / 4)) ** gap)
print("sameness by gap, graded:", *(f"{near:.2f}" for near in closeness(gap, rate=3.0).tolist()))
print("sameness by gap, binary:", *(f"{near:.2f}" for near in closeness(gap, rate=0.0).tolist()))

# %%
nearer = bet(
    "Two unseen pictures are equally spoiled. How often is that pair nearer than one picture and itself, two levels off?",
    ["after graded relations more often than after binary ones", "equally often (within 3 points)", "less often"],
)
nearer

# %%
unlevelled = bet(
    "SimCLR, which takes each spoiled picture for a class of its own, knows no levels. How well is severity read from it?",
    ["worse than after graded relations", "as well (within .05)", "better"],
)
unlevelled

# %% jupyter={"source_hidden": true}
READ = {"graded, batch norm": "graded", "binary, batch norm": "binary", "SimCLR": "SimCLR"}
networks = partial(spoiled.networks, normalised=True)
found = {}
for s in seeds:
    plan = spoiled.plan(epochs=2)
    plan["SimCLR"].networks = plan["untrained encoder"].networks = networks  # the same encoder for all
    arms = {READ.get(name, name): plan[name] for name in ("raw input", "untrained encoder", *READ)}
    found[s] = bench.compare(arms, *pictures[s], [spoiled.severity, spoiled.geometry], seed=s)

# %%
of_pictures = bench.table(found).set_index(["seed", "method"])
table(of_pictures, {spoiled.CONTENT: "severity first", spoiled.SEVERITY: "severity read"}).style.format("{:.2f}")

# %% tags=["claim"]
first, read = (of_pictures[name].unstack("method") for name in (spoiled.CONTENT, spoiled.SEVERITY))
gain = first["graded"] - first["binary"]
nearer.settle(nearer.options[0 if gain.min() > 0.03 else 2 if gain.max() < -0.03 else 1])
beside = float((read["SimCLR"] - read["graded"]).mean())
unlevelled.settle(unlevelled.options[0 if beside < -0.05 else 2 if beside > 0.05 else 1])
assert (first["graded"] > first["raw input"] + 0.3).all()
assert (first["graded"] > first["binary"]).all()

# %% [markdown]
# In the raw input the same picture is always near itself, whatever was done to it. After graded relations what was done
# comes first, and the picture second, on pictures that were never seen. The rank correlation of the severity that a
# ridge reads from $h$ tells less: $h$ keeps what $z$ was made to forget, and there binary relations are not far behind.
# SimCLR has to tell each spoiled picture from the others, so it cannot overlook how much it was spoiled; take it as an
# open comparison, and see [the scorecard](../docs/scorecard/shamisa.md). With an encoder without batch norm, a part of
# all trainings fails, and nothing is decided.
# On crops of photographs graded relations and binary ones let severity be read equally well.

# %%
SeverityPanel()

# %% [markdown]
# ## 7 · "A degree is only a softer label"
#
# Put the four side by side, and ask of each *who says how much*, and *where the loss hears it*.
#
# | | who says how much | where the loss hears it |
# |---|---|---|
# | lists (SyCL) | someone who grades | shares asked, over a batch |
# | numbers (SupReMix) | the number itself | weights of negatives |
# | trees (SPACE-2) | the parts of a label | shares asked, of each anchor |
# | spoiled pictures (SHAMISA) | the machine that spoils | strengths of pulls |
#
# A share is a wish for a *difference*. Take one anchor, any shares, and cosines that are free to move. At which
# cosines is the cross-entropy least?

# %%
asked = torch.tensor([0.5, 0.25, 0.15, 0.1], dtype=torch.float64)
cosines = torch.zeros(4, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.LBFGS([cosines], max_iter=100)


def cross_entropy() -> Tensor:
    optimizer.zero_grad()
    loss = -(asked * (cosines / 0.2).log_softmax(0)).sum()
    loss.backward()
    return loss


optimizer.step(cross_entropy)
wanted = 0.2 * asked.log()
torch.testing.assert_close(cosines.detach() - cosines.detach().mean(), wanted - wanted.mean(), atol=1e-4, rtol=0)
print(*(f"share {share:.2f}: cosine {cosine:+.2f}" for share, cosine in zip(asked, cosines, strict=True)), sep="\n")

# %% [markdown]
# At $\tau \log T_k$, up to a constant. So the degrees come out as cosines in their order, with steps that the
# temperature decides. Labels ask for two heights only, all of one kind at the same. That is what un-taught the place in
# section 1, and no amount of data would have mended it.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** In a batch of `questions` questions each has a list with texts of level 3, 2, 1 and 0. The levels are multiplied
# by `scale` before the softmax. Which share is asked for the text of level 3?


# %%
def best(questions: int, scale: float) -> Tensor: ...


check("best", best)

# %% [markdown]
# <details><summary>Solution</summary>
#
# All $4B$ texts take part, those of the others at level 0:
#
# ```python
# def best(questions, scale):
#     own = (scale * torch.arange(4.0)).exp()
#     return own[3] / (own.sum() + 4 * (questions - 1))
#
# check("best", best)
# ```
#
# With 8 questions it is a third, with 64 less than a tenth: the same levels ask for less, the larger the batch.
# </details>

# %% [markdown]
# **2.** Write the order of section 1: of all pairs of texts of different `levels` $(N,)$, how often has the higher level
# the larger one of the `scores` $(N,)$?


# %%
def order(scores: Tensor, levels: Tensor) -> Tensor: ...


check("order", order)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def order(scores, levels):
#     higher = levels[:, None] > levels
#     return (scores[:, None] > scores)[higher].double().mean()
#
# check("order", order)
# ```
# </details>

# %% [markdown]
# **3.** SupReMix mixes a person of the age `low` and one of the age `high` to stand for the age `wanted` between them.
# Which share must the younger one have?


# %%
def mixed(low: float, wanted: float, high: float) -> float: ...


check("mixed", mixed)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The share is larger, the farther the older one is from the wanted age:
#
# ```python
# def mixed(low, wanted, high):
#     return (high - wanted) / (high - low)
#
# check("mixed", mixed)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) The price in section 2 was paid where level 2 meets level 1. `lists.plan(...)` hands knobs of
# the loss on: train `"KL"` with `label_scale=2.0`, by `compared(trained("KL", "KL, doubled", label_scale=2.0))`. What do
# subject and place do? Can you have both?
#
# **5.** (To think about.) Films get stars from people who disagree: one gives five, another one. The mean is three. Is a
# film of three stars more the same as one of four stars than as one of five? What would you have to know about the
# people before you let a loss take these numbers for degrees?
#
# ## References
#
# - Esfandiarpoor et al., *Beyond contrastive learning: synthetic data enables list-wise training with multiple levels of
#   relevance*, 2025, [2503.23239](https://arxiv.org/abs/2503.23239). The levels here are drawn; theirs were written by
#   a language model.
# - Wu et al., *Mixup your own pairs* (SupReMix), 2023, [2309.16633](https://arxiv.org/abs/2309.16633).
# - He et al., *SPACE-2: tree-structured semi-supervised contrastive pre-training for task-oriented dialog
#   understanding*, COLING 2022, [2209.06638](https://arxiv.org/abs/2209.06638). The dialogs here are drawn.
# - Naseri & Wang, *SHAMISA: shaped modeling of implicit structural associations for self-supervised no-reference image
#   quality assessment*, 2026, [2603.13669](https://arxiv.org/abs/2603.13669). The pictures here are drawn.
# - Zha et al., *Rank-N-Contrast: learning continuous representations for regression*, NeurIPS 2023,
#   [2210.01189](https://arxiv.org/abs/2210.01189), for order from ranks alone.
