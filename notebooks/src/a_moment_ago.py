# %% [markdown]
# # A moment ago
#
# **Is a moment ago the same?**
#
# Whoever has films, sensors or scans has partners for free: the thing of now, and the same thing a moment ago. Nobody has
# to invent a view. But remember [Views](slug:views): what differs between two partners is forgotten. Between now and a
# moment ago *time* has gone by. Is that what you want to forget? In a film it is all that happens. In traffic it is what
# you are asked for. In a brain it is either noise or the very thought. Three worlds, one doubt.
#
# **You need** [Start here](slug:start_here), [Views](slug:views) and [Clusters for labels](slug:clusters_for_labels).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import math
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from cl_explore import losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.cvrl import study as moving
from cl_explore.papers.cvrl.method import ClipViews, quantile
from cl_explore.papers.cvrl.panel import ClipPanel
from cl_explore.papers.cvrl.world import ACTIONS, films
from cl_explore.papers.st_ssdl import study as traffic_study
from cl_explore.papers.st_ssdl.panel import UsualPanel
from cl_explore.papers.st_ssdl.world import history, traffic, windows
from cl_explore.papers.swift_fmri import study as brains
from cl_explore.papers.swift_fmri.method import local_contrast
from cl_explore.papers.swift_fmri.panel import MomentsPanel
from cl_explore.papers.swift_fmri.world import scans
from cl_explore.widgets import bet, tally

plots.use()
check = checker("a_moment_ago")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Change every frame: the more noise, the more robust"
#
# A film here is twenty **frames** of a square, a triangle or a bar. One of six things happens in it: the shape turns right
# or left, grows or shrinks, blinks fast or slowly. A **clip** is six frames in a row. Two clips of one film are
# partners. As views we take what you know from pictures: crop, colour, sometimes no colour at all. The plain way is to
# do to each frame what one would do to a picture. Here is a clip as it is, and as the encoder would be shown it.


# %% jupyter={"source_hidden": true}
def films_of(s: int) -> tuple:
    """Films to train with and new ones, as in the study."""
    drawn = torch.Generator().manual_seed(s)
    return films(moving.STUDY.settings()["count"], drawn), films(moving.NEW, drawn)


cinema = {s: films_of(s) for s in seeds}
train, _ = cinema[seed]
bars = torch.nonzero((train.factors["shape"] == 2) & (train.labels == 0))[:1, 0]
clip = train.x[bars, moving.PROBED]
generator = torch.Generator().manual_seed(seed)
each = ClipViews(**moving.CHANGES, shared=0.0)(clip, generator, 1)[:, 0]
plots.show(
    plots.pictures(torch.cat([clip / 255, each]), rows=["as it is", "changed"]),
    alt="Two rows of six frames. Above a bar turns steadily; below it jumps, swells and changes colour in every frame.",
)

# %%
noisy = bet(
    "NT-Xent is trained with clips changed frame by frame. How well does a linear probe then read what happens, beside an "
    "untrained encoder?",
    ["better", "about as well (within 3 points)", "worse"],
)
noisy


# %% jupyter={"source_hidden": true}
def table(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Some columns of the rows under other names, for each seed."""
    shown = rows.set_index(["method", "seed"])[list(columns)].rename(columns=columns).unstack("seed")
    shown.columns = [f"{column}, seed {s}" for column, s in shown.columns]
    shown.index.name = None
    return shown.reindex(rows["method"].unique())


def watched(*names: str) -> pd.DataFrame:
    """Rows of arms of the study on films."""
    settings = moving.STUDY.settings()
    plan = moving.plan(moving.ARMS, settings["epochs"], settings["temperature"])
    arms = {name: plan[name] for name in names}
    return bench.table({s: bench.compare(arms, *cinema[s], [moving.probe], seed=s) for s in seeds})


# %%
READ = {moving.ACTION: "what happens", moving.SHAPE: "shape"}
seen = watched("raw input", "untrained encoder", moving.EACH)
print(f"by chance: what happens {1 / len(ACTIONS):.0%}, shape {1 / 3:.0%}")
table(seen, READ).style.format("{:.0%}")

# %% tags=["claim"]
happens = seen.pivot(index="seed", columns="method", values=moving.ACTION)
change = happens[moving.EACH] - happens["untrained encoder"]
noisy.settle(noisy.options[0 if change.min() > 0.03 else 2 if change.max() < -0.03 else 1])
shape = seen.pivot(index="seed", columns="method", values=moving.SHAPE)
assert (shape[moving.EACH] > 0.8).all(), "the shape is read well"

# %% [markdown]
# The shape is read well: it is in every frame. What happens is read worse than before any training. A bar that turns
# is a bar that jumps, and so is a bar that stands still. Between two partners all motion differs, because *we* made it
# differ. So the encoder learned to leave it out.
#
# **CVRL** changes the same things by the same amounts. But it draws them once for a clip, and does to each of its frames
# what was drawn. A crop is a map of pixels that is linear. If it is one for all frames, what changes from frame to frame
# comes out as the crop of what changed:

# %%
crop = ClipViews(crop_area=0.4)
x = clip.double() / 255
box = crop.parameters(x, torch.Generator().manual_seed(seed))
before, after = x[:, :-1], x[:, 1:]
boxes = crop.parameters(before, torch.Generator().manual_seed(seed))  # the same box, for one frame less
torch.testing.assert_close(crop.apply(x, box).diff(dim=1), crop.apply(after, boxes) - crop.apply(before, boxes))
still = x[:, :1].expand(-1, 6, -1, -1, -1)
for name, shared in (("once a clip", 1.0), ("once a frame", 0.0)):
    view = ClipViews(**moving.CHANGES, shared=shared)(still, torch.Generator().manual_seed(seed), 1)[:, 0]
    print(f"{name}: six equal frames become {len(view[0].flatten(1).unique(dim=0))} different ones")

# %%
kept = bet(
    "Now the changes are drawn once a clip. What is read better than after changes frame by frame, by more than 5 points?",
    ["what happens", "the shape", "both", "neither"],
)
kept

# %%
seen = pd.concat([seen, watched(moving.ONCE)])
table(seen, READ).style.format("{:.0%}")

# %% tags=["claim"]
happens, shape = (seen.pivot(index="seed", columns="method", values=name) for name in (moving.ACTION, moving.SHAPE))
more = [bool((part[moving.ONCE] > part[moving.EACH] + 0.05).all()) for part in (happens, shape)]
kept.settle(kept.options[{(True, False): 0, (False, True): 1, (True, True): 2, (False, False): 3}[tuple(more)]])
assert (happens[moving.ONCE] > happens[moving.EACH] + 0.02).all()

# %% [markdown]
# Time is back, and nothing else was changed than *when* random numbers are drawn. How much comes back differs from
# seed to seed ([scorecard](../docs/scorecard/cvrl.md)). The shape gains nothing: it pays, if anything. And there is a
# limit: on films of real pen strokes, replayed forwards or backwards, the raw frames tell so much of the replay that
# hardly any difference is left ([scorecard](../docs/scorecard/cvrl-real.md)).
#
# There is a second dial. How far apart may two partners be? CVRL prefers near ones, because a film changes. Let $\Delta$
# be the longest distance, and $\xi$ a random number between 0 and 1. Then the second clip begins $\delta$ frames from the
# first:
#
# $$\delta = \Delta \left(1 - \sqrt{1 - \xi}\right)$$
#
# Its density falls on a straight line, from near to far.

# %%
xi = torch.rand(20_000, generator=generator, dtype=torch.float64)
longest = 15
delta = longest * (1 - (1 - xi).sqrt())
torch.testing.assert_close(delta, longest * quantile(xi))
print(f"mean distance of two clips: {delta.mean():.2f} of {longest} frames, a third")

# %% [markdown]
# Does that help? We could not see it here, not even in films in which the action switches half-way. So take it as a
# mechanism, not as a result. On a live page:
#
# - Let one frame in ten be changed by itself. How much of the apparent motion is then the shape's own?
# - Make all changes weaker. When does the path get smooth again, even frame by frame?

# %%
ClipPanel()

# %% [markdown]
# ## 2 · "The last hours say what comes next"
#
# Now the moment ago is an hour. Six sensors count cars, hour by hour, for fourteen weeks. Traffic has two peaks a day, and
# weekdays differ. Now and then there is an **incident**: it adds cars at one place, fades over some hours, and reaches the
# next place a little later. From the last eight hours the next eight are to be forecast.
#
# Is a high number an incident or just a busy hour? The last eight hours cannot tell. But there is another moment that is
# nearly the same: this hour, a week ago. The mean of that hour over all weeks of training is **the usual**.


# %%
def usual_of(series: Tensor, period: int) -> Tensor:
    """The mean at each hour of the week, of whole weeks of a series (L, S)."""
    return series.view(-1, period, series.shape[1]).mean(0)


recordings = {s: traffic(s, traffic_study.STUDY.settings()["weeks"]) for s in seeds}
of = recordings[seed]
past = of.series[: of.train]
torch.testing.assert_close(usual_of(past, of.period), history(past, of.period))
roads = {s: windows(recording) for s, recording in recordings.items()}

# %% jupyter={"source_hidden": true}
shown = roads[seed][1]
away = (shown.x["window"] - shown.x["anchor"]).abs().mean(2)
row, sensor = divmod(int(away.argmax()), away.shape[1])
figure = plots.figure("full", height=2.6)
hours = torch.arange(-7, 9)
usual = torch.cat([shown.x["anchor"][row, sensor], shown.x["usual"][row, sensor]])
figure.axes[0].plot(hours, usual, "--", color="grey", label="the usual")
figure.axes[0].plot(hours[:8], shown.x["window"][row, sensor], color="black", label="the last eight hours")
figure.axes[0].plot(hours[8:], shown.x["future"][row, sensor], color="#D55E00", label="what came")
figure.axes[0].set(xlabel="hours", ylabel="traffic (deviations)")
figure.axes[0].legend()
plots.show(
    figure, alt="A curve of traffic far above the dashed line of the usual; afterwards it comes down to it slowly."
)

# %% [markdown]
# A small GRU, a network with a memory, reads the hours and the time of the week, and forecasts. We look at all cases, and
# at the fifth of them whose last hours lie farthest from the usual. That is where incidents are.

# %%
monday = bet(
    "The same GRU is also shown the usual of these hours. By how much does its error fall where deviations are large?",
    ["by less than 4 %", "by 4 to 8 %", "by more than 8 %"],
)
monday


# %% jupyter={"source_hidden": true}
def forecast(*names: str) -> pd.DataFrame:
    """Rows of arms of the study on traffic, and of the one before training."""
    settings = {name: traffic_study.STUDY.settings()[name] for name in ("epochs", "lr")}
    settings["batch_size"] = traffic_study.STUDY.settings()["batch_sizes"][0]
    found = {}
    for s in seeds:
        plan = traffic_study.plan(recordings[s], settings, whole=True)
        (untrained,) = (arm for arm in plan.values() if arm.settings is None)
        arms = {"untrained encoder": untrained, **{name: plan[name] for name in names}}
        found[s] = bench.compare(arms, *roads[s], [traffic_study.read], seed=s)
    return bench.table(found)


# %%
bare = pd.DataFrame([{"seed": s, **row} for s in seeds for row in traffic_study.by_hand(*roads[s])])  # no network
cars = pd.concat([bare, forecast("window", "window, history")])
ERRORS = {traffic_study.MAE: "error", traffic_study.LARGE: "at large deviations"}
table(cars, ERRORS).style.format("{:.3f}")

# %% tags=["claim"]
error = cars.pivot(index="seed", columns="method", values=traffic_study.LARGE)
less = 1 - error["window, history"] / error["window"]
monday.settle(monday.options[0 if less.max() < 0.04 else 2 if less.min() > 0.08 else 1])
for s, share in less.items():
    print(f"seed {s}: the error is {share:.0%} smaller with the usual")
assert (less > 0).all()

# %% [markdown]
# Now is not the same as this hour of other weeks, and it should not be made the same. How different it is, is the
# signal: an incident that lasts will last a little longer. Look at the row "the usual, deviation fading" too. It takes the
# usual and adds what is left of the last deviation, a fifth less each hour. That is one number and no network, and it errs
# less than all of them in so short a training. Over all cases even the usual alone errs less than both GRUs. What matters is
# the moment that one compares with.
#
# So far there is no contrast in it. **ST-SSDL** adds one. What the GRU keeps of the last hours and what it keeps of the
# usual become two vectors, called **queries**. Each is compared with a few learned vectors, the **prototypes**. The nearest prototypes of the
# two queries should be as far apart as the queries themselves. Then prototypes grade how unusual a moment is:


# %%
def unlike(queries: Tensor, prototypes: Tensor) -> Tensor:
    """How much the distance of the nearest prototypes is off, for queries (B, 2, D) of now and of the usual."""
    nearest = prototypes[(queries @ prototypes.T).argmax(2)]
    asked, found = ((now - then).abs().sum(1) for now, then in (queries.unbind(1), nearest.unbind(1)))
    return (asked - found).abs()


queries, prototypes = (torch.randn(*n, 4, generator=generator, dtype=torch.float64) for n in ((32, 2), (5,)))
torch.testing.assert_close(unlike(queries, prototypes), losses.deviation.parts(queries, prototypes)["gap"])

# %%
graded = bet(
    "ST-SSDL has the usual, prototypes and this contrast. How large is its error over all cases, beside the GRU that is "
    "just shown the usual?",
    ["smaller by more than 5 %", "about the same (within 5 %)", "larger by more than 5 %"],
)
graded

# %%
cars = pd.concat([cars, forecast("ST-SSDL")]).drop_duplicates(["seed", "method"])
last = cars[cars["method"].isin(["the usual, deviation fading", "window, history", "ST-SSDL"])]
table(last, ERRORS).style.format("{:.3f}")

# %% tags=["claim"]
error = cars.pivot(index="seed", columns="method", values=traffic_study.MAE)
ratio = error["ST-SSDL"] / error["window, history"]
graded.settle(graded.options[0 if ratio.max() < 0.95 else 2 if ratio.min() > 1.05 else 1])
assert (error["ST-SSDL"] < error["window"]).all()

# %% [markdown]
# The usual does the work, not the contrast: [the scorecard](../docs/scorecard/st-ssdl.md) says so over more seeds. (The
# authors report gains of a percent or so, on more data than we have.) What the contrast does can be seen all the same:
# prototypes move to where their distances are like those of the queries. On a live page:
#
# - Let the deviation grow slowly. When does its query cross into the sector of another prototype?
# - Train without the deviation term. What becomes of the points beside the diagonal?

# %%
UsualPanel()

# %% [markdown]
# ## 3 · "Two moments of one person are the same"
#
# Scans of brains are films of small cubes. Forty-eight people were scanned, drawn by a machine: each at six moments.
# Something lasts in a person, the **trait**. Something is of the moment, the **state**. Is a moment ago the same?
#
# - Yes: two moments of one person are partners, and all others are negatives. Call it **IC**, the instance contrast.
# - No: a moment is the partner of itself only, changed a little, and the other moment of the *same person* is the negative.
#   Call it **LL**, the local contrast.
#
# **SwiFT** adds both, on one head. LL is nothing but NT-Xent within each person, whose clips are two moments, twice each:

# %%
z = torch.randn(5, 2, 2, 6, generator=generator, dtype=torch.float64)  # persons, moments, changes, features
by_hand = torch.stack([losses.nt_xent(person, temperature=0.5) for person in z]).mean()
torch.testing.assert_close(by_hand, local_contrast(z, temperature=0.5))
alike = local_contrast(torch.ones(5, 2, 2, 6))
print(f"LL if all clips of a person are in one place: {alike:.3f}; log 3 is {math.log(3):.3f}")

# %% [markdown]
# That is the quarrel. IC is best if all clips of a person are in one place. Then LL must choose among three that look
# alike, and it costs $\log 3$. Each can be made small alone, both together cannot. And the authors do not take the mean of
# LL over the people of a batch, but the sum. So the larger the batch, the harder LL pulls.

# %%
lasting = bet(
    "A ridge regression reads the trait of people never seen. After which training is it read best?",
    ["IC, two moments are the same", "LL, two moments are different", "both, summed", "there is no clear order"],
)
lasting

# %%
quarrel = bet(
    "How alike are two moments of one new person, as cosine, after training with both, LL summed over sixteen people?",
    ["nearer to what IC alone makes of it", "nearer to what LL alone makes of it", "outside of the two"],
)
quarrel

# %% jupyter={"source_hidden": true}
GIVEN = brains.STUDY.settings()
PEOPLE = ("IC", "LL", "IC + LL, summed")


def scanned(s: int) -> bench.Comparison:
    """The study's arms that this lesson is about."""
    known, new = scans(s, GIVEN["subjects"]), scans(s, GIVEN["unseen"], part=1)
    settings = {
        "epochs": GIVEN["epochs"],
        "batch_size": GIVEN["batch_size"],
        "optimizer": partial(torch.optim.AdamW, lr=2e-3),
    }
    common = {"networks": brains.networks, "augment": brains.VIEWS()}
    arms = bench.baselines(**common)
    for name in PEOPLE:
        arms[name] = bench.Entry("nt_xent", settings=settings, temperature=0.1, **{**common, **brains.ARMS[name]})
    return bench.compare(arms, known, new, [brains.probe], seed=s)


# %%
told = bench.table({s: scanned(s) for s in seeds})
COLUMNS = {brains.TRAIT: "trait R²", brains.STATE: "state R²", brains.SAME: "one person", brains.OTHERS: "two persons"}
table(told, COLUMNS).style.format("{:.2f}")

# %% tags=["claim"]
trait, cosine = (told.pivot(index="seed", columns="method", values=name) for name in (brains.TRAIT, brains.SAME))
first = trait[list(PEOPLE)].idxmax(axis=1)
lead = trait[list(PEOPLE)].apply(lambda row: row.nlargest(2).iloc[0] - row.nlargest(2).iloc[1], axis=1)
clear = first.nunique() == 1 and lead.min() > 0.05
lasting.settle(lasting.options[PEOPLE.index(first.iloc[0]) if clear else 3])
among = ((cosine[PEOPLE[2]] - cosine["LL"]) / (cosine["IC"] - cosine["LL"])).mean()
quarrel.settle(quarrel.options[2 if not 0 < among < 1 else 0 if among > 0.5 else 1])
assert (cosine["IC"] > cosine["LL"] + 0.1).all()
assert (cosine["IC"] > cosine[PEOPLE[2]] + 0.1).all(), "LL pulls against IC"

# %% [markdown]
# "One person" and "two persons" are mean cosines of two moments. An untrained head finds everything alike. IC draws the
# moments of a person together, LL draws them apart, and where both act on one head the sum over people decides who wins.
#
# And what is it good for? On these seeds no order of the trainings by trait is certain. Over twenty, two moments of a person
# (IC) tell it a little better than no training, than LL and than two augmentations of one moment, and still no better than
# the raw scan ([scorecard](../docs/scorecard/swift-fmri.md)). With attention in shifted windows in place of a convolution over
# time, which is the encoder of the paper, it is told about as well, and twenty seeds leave open what IC adds to that.
# The state, all that LL has to go by, is read no better after LL than after IC: what tells two moments apart need not be
# what you call the state.
#
# On a live page, move the weight of LL to nothing: what becomes of the arc that each person is? Let it grow again. When do
# the moments stand in the order of their states, and what does the sum over persons do to neighbours?

# %%
MomentsPanel()

# %% [markdown]
# ## 4 · So, is a moment ago the same?
#
# Put the three side by side: what differs between the partners, and what that means.

# %% jupyter={"source_hidden": true}
pd.DataFrame(
    {
        "partners": ["two clips, each frame changed by itself", "two clips, each changed as a whole",
                     "two moments of a person", "one moment twice, against another"],
        "what differs": ["motion too", "crop and colour of the whole", "the state", "small changes alone"],
        "so it is asked for": ["shape", "shape and motion", "what lasts", "what passes"],
    }
).style.hide(axis="index")  # fmt: skip

# %% [markdown]
# A moment ago is the same in what lasts, and other in what passes. The views decide which of both you keep, and careless
# ones decide it for you. And sometimes neither same nor other is the answer: a forecast wants to know *how far* now is
# from the usual.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** The clips of section 1 should rather be *far* apart: the density rises on a straight line, from nothing at
# distance 0. How far apart does a uniform number `xi` between 0 and 1 put them, if `longest` is the longest distance?


# %%
def far(xi: Tensor, longest: float) -> Tensor: ...


check("far", far)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The chance to be no farther than $\delta$ is $(\delta / \Delta)^2$. Turn it round:
#
# ```python
# def far(xi, longest):
#     return longest * xi.sqrt()
#
# check("far", far)
# ```
# </details>

# %% [markdown]
# **2.** Write a forecast by hand. `usual` $(T)$ is what is usual in the next hours, `last` the deviation from the usual
# in the last hour, and each hour the share `fading` of it is left.


# %%
def by_rule(usual: Tensor, last: float, fading: float) -> Tensor: ...


check("by_rule", by_rule)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def by_rule(usual, last, fading):
#     return usual + last * fading ** torch.arange(1, len(usual) + 1)
#
# check("by_rule", by_rule)
# ```
# </details>

# %% [markdown]
# **3.** IC is perfect: all clips of a person are in one place. LL compares not two moments of a person but `moments` of
# them, each changed twice. What does LL cost?


# %%
def price(moments: int) -> float: ...


check("price", price)

# %% [markdown]
# <details><summary>Solution</summary>
#
# All others look alike, and one of them is right:
#
# ```python
# def price(moments):
#     return math.log(2 * moments - 1)
#
# check("price", price)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Half of the frames are changed with their clip: make a plan with
# `moving.plan({"half": moving.clips(0.5)}, epochs, temperature)` and train it as `watched` does. Is what happens read half
# as well again? Compare with the curve in the panel.
#
# **5.** (To think about.) A watch records a heart for a year. Someone wants one vector for each minute, "for any purpose".
# Which moments would you make partners, if the purpose is to find an illness that lasts? One that comes in attacks? Can
# one vector serve both?
#
# ## References
#
# - Qian et al., *Spatiotemporal contrastive video representation learning* (CVRL), CVPR 2021,
#   [2008.03800](https://arxiv.org/abs/2008.03800). The films here are drawn.
# - Gao et al., *How different from the past? Spatio-temporal time series forecasting with self-supervised deviation
#   learning* (ST-SSDL), NeurIPS 2025, [2510.04908](https://arxiv.org/abs/2510.04908). The traffic here is drawn.
# - Kim et al., *SwiFT: Swin 4D fMRI transformer*, NeurIPS 2023, [2307.05916](https://arxiv.org/abs/2307.05916). The
#   scans here are drawn, and the encoder is a small one.
