# %% [markdown]
# # Beat, hour, person
#
# **Same beat, same hour or same person?**
#
# A watch looks at your pulse, all day. Two short pieces of what it saw may be from one beat, from one hour, or only from
# one wrist. In [Start here](slug:start_here) views said what is the same: two looks at one sample. Here nobody has to
# make up views. Time, people and devices have made pairs already. Too many: each of them is *the same* in some way. Which
# is the pair?
#
# **You need** [Views](slug:views), [Losses from scratch](slug:losses_from_scratch) and
# [What survives](slug:what_survives).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0
persons: int = 128  # to learn from, in sections 1 and 2

# %%
import math
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.collossl import study as devices
from cl_explore.papers.collossl.method import ColloSSL, as_views, distances, lengths, mmd
from cl_explore.papers.collossl.panel import DevicesPanel
from cl_explore.papers.collossl.world import CLOSENESS, simulator
from cl_explore.papers.comet import study as levels
from cl_explore.papers.comet.method import QUARTERS, observation_contrast, sample_contrast
from cl_explore.papers.comet.panel import NestedPanel
from cl_explore.papers.comet.world import world as nested_world
from cl_explore.papers.wearable_biosignals import study as pairs
from cl_explore.papers.wearable_biosignals.method import PersonContrast
from cl_explore.papers.wearable_biosignals.panel import PersonPanel
from cl_explore.papers.wearable_biosignals.world import world as pulse_world
from cl_explore.widgets import bet, tally

plots.use()
check = checker("beat_hour_person")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Two looks at one minute are the safest pair"
#
# A beat of the pulse is a high peak and, a moment later, a lower one. Three **traits** of this shape are a person's own:
# how high the second peak is, how late it comes, and how wide both are. They stay for years, and a doctor would like to
# read them. All else belongs to the hour: the heart rate, where in a beat the watch began to look, a slow wave while the
# arm moves, noise. We draw six **segments** of three seconds for each person, each of another hour.

# %% jupyter={"source_hidden": true}
pulses = {s: pulse_world("pulses", s, persons) for s in seeds}
some = pulses[seed][0].x[:12].view(2, 6, 96)
figure = plots.figure("full", height=2.2, columns=2)
for number, axes in enumerate(figure.axes):
    for place in range(2):
        axes.plot(torch.arange(96) / 32, some[number, place] - 5 * place)
    axes.set(title=f"person {number + 1}, two of six segments", xlabel="seconds", yticks=[])
plots.show(figure, alt="Pulses of two people, two segments of each: rate, start and level differ more than the shape.")

# %% [markdown]
# A segment is looked at twice: a stretch is cut out, the height is bent, noise is added. That is the usual pair, and
# nothing can be wrong with it: whatever it shows, it is one person at one minute. We call these **segment pairs**. After
# training, the representations $h$ of a person's segments are averaged, and a ridge regression reads each trait for
# people it has never met. Its score is R²: one is perfect, zero is what the mean would do, and below zero is worse than
# that.

# %%
safe = bet(
    "How well does an encoder that learned from segment pairs tell the traits, beside an untrained one?",
    ["clearly better (R² higher by 0.15)", "about as well", "clearly worse"],
)
safe

# %%
NAMES = {pairs.TRAITS: "traits", pairs.SPREAD: "spread", pairs.RATE: "heart rate"}


def compared(*arms: str) -> pd.DataFrame:
    """These arms of the study's plan, by seed and method."""
    found = {}
    for s, (train, test) in pulses.items():
        plan = pairs.plan("pulses", epochs=20, batch_size=2 * persons, lr=2e-3)
        found[s] = bench.compare({arm: plan[arm] for arm in arms}, train, test, (pairs.of_pulses,), seed=s)
    return bench.table(found).set_index(["seed", "method"])


def table(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Some columns of the rows under other names, for each seed."""
    shown = rows[list(columns)].rename(columns=columns).unstack("seed")
    shown.columns = [f"{column}, seed {s}" for column, s in shown.columns]
    return shown.reindex(rows.index.get_level_values("method").unique())


rows = compared("raw input", "untrained encoder", "segment pairs")
table(rows, {name: NAMES[name] for name in (pairs.TRAITS, pairs.RATE)}).style.format("{:.2f}")

# %% tags=["claim"]
trait = rows[pairs.TRAITS].unstack("method")
gain = trait["segment pairs"] - trait["untrained encoder"]
safe.settle(safe.options[0 if gain.min() > 0.15 else 2 if gain.max() < -0.15 else 1])
assert (trait["raw input"] < 0).all(), "the mean of segments that begin anywhere says nothing"
assert (gain < 0.15).all(), "no clear gain from training"

# %% [markdown]
# All that training was worth next to nothing. Think of what the two looks share: the person, yes, but also the heart
# rate, the start and the slow wave. Those tell segments of a batch apart much more easily than a slightly lower second
# peak. The pair was right, and the encoder did what it was asked.
#
# ## 2 · "It needs a better loss"
#
# It needs another pair. Take two *different* segments of one person, of two hours: **person pairs**. Now all that
# belongs to the hour differs between the two, and only the traits are shared. The loss stays InfoNCE. A segment looks
# for the other segment of its person, among those of all persons in the batch:


# %%
def person_contrast(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The loss of two segments (B, D) of each of B persons, in one direction."""
    cosines = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    return -(cosines / temperature).log_softmax(1).diagonal().mean()


generator = torch.Generator().manual_seed(seed)
z = torch.randn(16, 2, 8, generator=generator, dtype=torch.float64)
both = (person_contrast(z[:, 0], z[:, 1], 0.04) + person_contrast(z[:, 1], z[:, 0], 0.04)) / 2
torch.testing.assert_close(both, PersonContrast(temperature=0.04)(z, z)["contrast"])

# %% [markdown]
# (The paper on **wearable biosignals** adds two things, which both kinds of pairs get here: what a segment looks for
# comes from a momentum copy of the encoder, and KoLeo, a term that pushes each embedding a little from its nearest
# neighbour.)

# %%
another = bet(
    "Only the pair is changed. What becomes of the traits' R²?",
    ["it rises by more than 0.15", "it stays within 0.15", "it falls by more than 0.15"],
)
another

# %%
hurry = bet(
    "And of the heart rate's, which is read from the h of single segments?",
    ["it is forgotten: falls by more than 0.15", "it stays within 0.15", "it rises by more than 0.15"],
)
hurry

# %%
rows = pd.concat([rows, compared("person pairs")])
table(rows, NAMES).style.format("{:.2f}")

# %% tags=["claim"]
trait, spread, rate = (rows[name].unstack("method") for name in NAMES)
gain = trait["person pairs"] - trait["segment pairs"]
change = rate["person pairs"] - rate["segment pairs"]
another.settle(another.options[0 if gain.min() > 0.15 else 2 if gain.max() < -0.15 else 1])
hurry.settle(hurry.options[0 if change.max() < -0.15 else 2 if change.min() > 0.15 else 1])
assert (gain > 0.1).all()
assert (spread["person pairs"] < spread["segment pairs"] - 0.5).all(), "segments of a person come together"

# %% [markdown]
# The traits come up, with the same loss, the same encoder and the same number of segments. How far differs from seed to
# seed, and on a few of twenty seeds nothing is gained; [the scorecard](../docs/scorecard/wearable-biosignals.md) has
# them all. *Spread* is how far segments of one person lie apart, over how far persons do: it falls. But the heart rate is
# still read from $h$, about as well as before. A pair says what must stay, and what *may* go. Nothing has to go before it
# is in the way, and $h$ stands before the head, which loses it first: you know that from
# [What survives](slug:what_survives).
#
# On a live page:
#
# - Go from segment pairs to person pairs, and watch the six people.
# - What does KoLeo do to those who stand close?

# %%
PersonPanel()

# %% [markdown]
# ## 3 · "Then the person is what is the same"
#
# For this question. Another one is: were these two seen in one hour? Is something wrong in *this* recording? Where in the
# beat are we? Samenesses are nested. A **step** of time lies in a segment, the segment in a **recording**, and the
# recording belongs to a person. The paper **COMET**, made for hospitals, has a loss for each of the four and calls them
# levels: observation, sample, trial and patient.
#
# The level of the patient you know; that of the trial is the same with recordings for persons. The other two need a code
# for each step. An encoder of series gives $z$ with four axes: segment, view, step, feature. The views hide some steps.
# *Sample*: at one step, a segment looks for its other view among all segments. *Observation*: within one segment, a step
# looks for itself in the other view, among all steps. Both are NT-Xent, along another axis:

# %%
z = torch.randn(5, 2, 6, 4, generator=generator, dtype=torch.float64)
plain = partial(losses.nt_xent, temperature=1.0, normalize=False)  # raw dot products, as the authors have it
of_samples = torch.stack([plain(z[:, :, step]) for step in range(6)]).mean()
of_steps = torch.stack([plain(z[segment].transpose(0, 1)) for segment in range(5)]).mean()
torch.testing.assert_close(of_samples, sample_contrast(z, hierarchical=False))
torch.testing.assert_close(of_steps, observation_contrast(z, hierarchical=False))
torch.testing.assert_close(of_steps, sample_contrast(z.transpose(0, 2), hierarchical=False))

# %% [markdown]
# We draw eighty people with three recordings each, and three segments of a second in each recording. All segments begin
# at one place of the beat. For people who were not learned from, each level has its own question:
#
# - **step**: does a step find itself in the other view, among the steps of its segment?
# - **sample**: does a segment find its other view, among all segments, step by step?
# - **recording**: is the nearest other segment of the same recording?
# - **person**: is the nearest segment of *another* recording of the same person?
#
# Each level is trained alone, but for sample and observation, which belong together; and then all four, with equal
# weights.

# %%
torn = bet(
    "The patient level is trained alone. How often is the nearest segment now of the same recording, beside no training?",
    ["more often (by 5 points)", "as often (within 5 points)", "less often (by 5 points)"],
)
torn

# %%
everything = bet(
    "And with all four levels: is the person found as often as by the patient level alone?",
    ["more often (by 2 points)", "as often (within 2 points)", "less often (by 2 points)"],
)
everything

# %%
SETTINGS = {"epochs": 8, "batch_size": 72, "lr": 1e-2}
FOUND = dict(zip(levels.METRICS, ("step", "sample", "recording", "person"), strict=True))
found, nested = {}, {}
for s in seeds:
    train, test = nested[s] = nested_world("pulses", s)
    plan = {levels.UNTRAINED: levels.entry(QUARTERS, 1, None)}
    plan |= {name: levels.entry(weights, 1, SETTINGS) for name, weights in levels.ARMS.items()}
    found[s] = bench.compare(plan, train, test, (levels.measure,), seed=s)
    found[s].rows.insert(0, levels.raw(train, test))

# %%
of_levels = bench.table(found).set_index(["seed", "method"])
table(of_levels, FOUND).style.format("{:.1%}")

# %% tags=["claim"]
steps, samples, recordings, people = (of_levels[name].unstack("method") for name in FOUND)
change = recordings["patient"] - recordings[levels.UNTRAINED]
torn.settle(torn.options[0 if change.min() > 0.05 else 2 if change.max() < -0.05 else 1])
change = people[levels.ALL] - people["patient"]
everything.settle(everything.options[0 if change.min() > 0.02 else 2 if change.max() < -0.02 else 1])
assert (steps[levels.BOTH] > steps.drop(columns=levels.BOTH).max(axis=1)).all(), "each level buys its own"
assert (people["patient"] > people.drop(columns="patient").max(axis=1)).all()
assert (people[levels.ALL] < people["patient"] - 0.02).all()
assert (recordings["patient"] < recordings[levels.UNTRAINED] - 0.1).all(), "at the cost of another"

# %% jupyter={"source_hidden": true}
_, unseen = nested[seed]
figure = plots.figure("full", height=3.0, columns=3)
for axes, name in zip(figure.axes, (levels.UNTRAINED, "trial", "patient"), strict=True):
    with torch.no_grad():
        codes = levels.normalised(found[seed].methods[name].eval().codes(unseen.x[:27]))
    axes.imshow(codes @ codes.T, cmap="viridis", vmin=-0.2, vmax=1)
    axes.set(title=name, xticks=[4, 13, 22], xticklabels=["person 1", "2", "3"], yticks=[])
    for border in (8.5, 17.5):
        axes.axhline(border, color="white", linewidth=1.5)
        axes.axvline(border, color="white", linewidth=1.5)
    axes.grid(visible=False)
plots.show(
    figure,
    alt="Similarities of 27 segments: all alike before training, small blocks of recordings after trial, large of persons.",
)

# %% [markdown]
# The levels of steps and of persons each buy their own sameness, and pay with another's. To the patient level, recordings
# of a person are to be alike, so it takes out what tells them apart. To the trial level, other recordings of the person
# are strangers like all others; look at its persons. (A recording's waves can be seen in the raw input, so there is not much
# to gain for it among nearest neighbours; but see in the picture how it darkens everything else.)
#
# All four together are a compromise that favours the middle. Recordings are found at least as often as after any one
# level, steps less often than after their own, and a person about as often as before training. So *all of it* is no
# answer either, unless recordings were what you asked for.
#
# The patient level needs segments that begin at one place of the beat. Where they begin anywhere, as in the first
# section, it finds nobody: it compares code by code, step by step, and never averages over time. See
# [the scorecard](../docs/scorecard/comet.md).
#
# The panel shows more such matrices. Which level lights up the large boxes, which the small ones, and what do steps do?

# %%
NestedPanel()

# %% [markdown]
# ## 4 · "At one moment, so it is the same"
#
# People wear more than one device: watch, phone, headphones. Windows of one moment are a pair that nobody had to make up,
# and the minute *is* what they share. But the head does not see what the leg does. In the next world there are six
# activities and five devices. The first is ours, the **anchor**. A device of **closeness** one measures the body's
# movement alone, as the anchor does, and one of closeness zero an oscillation of its own; between them a mixture.
#
# The encoder learns from the anchor and one positive device at the same moment. The negatives are windows of all devices
# at other moments. Then we ask whether it **finds the moment**: from the anchor's window, is the right window of the
# second device among the ten nearest of all? And how well do forty labels tell the activities of strangers (a mean over
# classes, called macro-F1)?

# %%
which = bet(
    "The positive is the device of closeness zero. How often is the moment found, beside an untrained encoder?",
    ["more often (by 5 points)", "as often (within 5 points)", "less often (by 5 points)"],
)
which

# %%
found, moved = {}, {s: simulator(s) for s in seeds}
common = {"networks": devices.networks, "augment": as_views, "n_views": len(CLOSENESS)}
for s, (train, test) in moved.items():
    settings = {"epochs": math.ceil(100 / (len(train) // 64)), "batch_size": 64, "lr": 1e-3}
    plan = bench.baselines(**common)
    for name, strategy in (("closeness 0.85", "closest"), ("closeness 0", "farthest")):
        plan[name] = bench.Entry(
            "collossl", form=ColloSSL, settings=settings, strategy=strategy, fixed=torch.arange(1.0, 5.0),
            weighted=False, shuffles=8, temperature=0.1, **common,
        )  # fmt: skip
    measures = [partial(devices.met, k=10, within=0), partial(devices.recognised, labels=40, seed=s)]
    found[s] = bench.compare(plan, train, test, measures, seed=s)
of_devices = bench.table(found).set_index(["seed", "method"])
table(of_devices, {devices.MEET: "moment found", devices.F1: "activities"}).style.format("{:.0%}")

# %% tags=["claim"]
moment = of_devices[devices.MEET].unstack("method")
change = moment["closeness 0"] - moment["untrained encoder"]
which.settle(which.options[0 if change.min() > 0.05 else 2 if change.max() < -0.05 else 1])
assert (moment["closeness 0.85"] > moment["untrained encoder"] + 0.1).all()
assert (moment["closeness 0.85"] > moment["closeness 0"] + 0.1).all()

# %% [markdown]
# A moment is the same only for those who saw it. The other device was there, too, and taught nothing. (The raw input finds
# the moment in one world and not in the other: it depends on how the second device is turned against the first, which
# the encoder learns to overlook. Forty labels tell the activities better after one training or another, by seed; there
# worlds differ more than devices.)
#
# Nobody writes closeness on a device. The paper **ColloSSL** measures how differently two devices measure. Take how
# *strongly* each is moved, step by step; the direction depends on how it is worn. Are the windows of one device like those of the
# other, as heaps? The **MMD**, maximum mean discrepancy, compares three mean similarities: within the one, within the
# other, and between both. It is zero if the heaps are the same.


# %%
def discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """MMD² of windows (N, T) and (M, T), by a sum of Gaussians of several widths."""

    def mean(a: Tensor, b: Tensor) -> Tensor:
        squares = (a[:, None] - b).square().sum(2)
        return sum((-squares / (2 * width)).exp() for width in WIDTHS).mean()

    return mean(first, first) + mean(second, second) - 2 * mean(first, second)


WIDTHS = (1e-4, 1e-3, 1e-2, 0.1, 1, 5, 10, 15, 20, 25, 30, 100)
windows = torch.randn(3, 20, 8, generator=generator)
torch.testing.assert_close(discrepancy(windows[0], 2 * windows[1]), mmd(windows[0], 2 * windows[1]))

# %%
measured = {s: distances(lengths(torch.stack(list(train.x.values()), 1))) for s, (train, _) in moved.items()}
pd.DataFrame(
    {f"MMD², seed {s}": far.tolist() for s, far in measured.items()},
    index=pd.Index(CLOSENESS[1:], name="closeness"),
).style.format("{:.2f}").format_index("{:.2f}")

# %% tags=["claim"]
for far in measured.values():
    assert far[:2].max() < 0.5 * far[2:].min(), "near ones and far ones are told apart"

# %% [markdown]
# It tells the two devices that see the movement from the two that do not, without any training. Which of the near ones is the
# nearest it does not always know: a weaker mixture may be as strong as the anchor. So it is a guess, like
# [clusters](slug:clusters_for_labels), and a good one where it matters most.
#
# The code that the authors released has the sign of the similarity the other way round: it pushes the two windows of one
# moment apart. On a live page, choose that sign. Who sees it, the reading of activities or the search for the moment?

# %%
DevicesPanel()

# %% [markdown]
# ## 5 · "Which pair is the best one?"
#
# Put the pairs side by side. Each is right: its two ends *are* the same, in one way. What it teaches is in the right
# column, and is decided by what differs between the two ends.
#
# | the pair | what its ends share | what they are taught to forget |
# |---|---|---|
# | two looks at a segment | all of person and hour | what the views spoil |
# | two steps that meet in two views | person, hour, moment | hidden steps |
# | two segments of a recording | person and hour | noise |
# | two recordings of a person | the person | the hour |
# | two devices at one moment | the movement, if both see it | the device |
#
# So write down two things before you choose: what you will ask, and what may differ without a change of the answer. The
# pair is the second line. Had you asked for the heart rate, a person pair would be the wrong one.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** Every person has `recordings` recordings of `segments` segments. How many pairs of two segments of one person are
# of *different* recordings? Count each pair once.


# %%
def across(recordings: int, segments: int) -> float: ...


check("across", across)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def across(recordings, segments):
#     return recordings * (recordings - 1) / 2 * segments**2
#
# check("across", across)
# ```
# </details>

# %% [markdown]
# **2.** Write the question of the person in section 3. Of the cosines `similarity` $(N, N)$ of all segments, with the
# `person` and the `recording` of each, $(N,)$: how often is the nearest segment of *another* recording of the same
# person?


# %%
def met_again(similarity: Tensor, person: Tensor, recording: Tensor) -> Tensor: ...


check("met_again", met_again)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def met_again(similarity, person, recording):
#     others = similarity.masked_fill(recording[:, None] == recording, -torch.inf)
#     return (person[others.argmax(1)] == person).double().mean()
#
# check("met_again", met_again)
# ```
#
# The segment itself is of its own recording, so it is left out with the others.
# </details>

# %% [markdown]
# **3.** In COMET the positives of a segment are the other segments of its person, one at a time. All segments of the
# batch stand in the denominator, the segment's own other view too. Suppose training has won: the `members` segments of
# each person have one embedding, and all others have a similarity of $-\infty$. What is the loss of a pair?


# %%
def least(members: int) -> float: ...


check("least", least)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def least(members):
#     return math.log(members)
#
# check("least", least)
# ```
#
# It cannot be won: segments that are to be together compete for one share.
# </details>

# %% [markdown]
# **4.** (An experiment.) In section 2 all pairs are of one person. The plan has `"every second pair"`, where the others
# are segment pairs. Run `compared("every second pair")`. Where do traits land between the two? What would you expect if
# a person had one good recording only?
#
# **5.** (To think about.) A hospital has recordings of patients before and after they fell ill. Which pairs would hide the
# illness from the encoder? Which would make it the one thing to be seen? What do you need to know about each
# recording?
#
# ## References
#
# - Abbaspourazad et al., *Large-scale training of foundation models for wearable biosignals*, ICLR 2024,
#   [2312.05409](https://arxiv.org/abs/2312.05409). Their data are not public; the people here are drawn, and the method
#   is put together from what others report of it.
# - Wang et al., *Contrast everything: a hierarchical contrastive framework for medical time-series* (COMET),
#   NeurIPS 2023, [2310.14017](https://arxiv.org/abs/2310.14017).
# - Jain et al., *ColloSSL: collaborative self-supervised learning for human activity recognition*, IMWUT 2022,
#   [2202.00758](https://arxiv.org/abs/2202.00758). The released code has the sign of the similarity the other way round;
#   we follow the paper.
# - Yue et al., *TS2Vec: towards universal representation of time series*, AAAI 2022,
#   [2106.10466](https://arxiv.org/abs/2106.10466), for the levels of steps and samples.
