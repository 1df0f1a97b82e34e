# %% [markdown]
# # A claim of your own
#
# **Can you make a claim, bet on it, and let seeds judge it?**
#
# All lessons before this one made claims, and runs judged them. Now it is your turn. You choose one of the papers, write a sentence
# that numbers can contradict, and say how large a difference must be to count. You bet. Then the runs speak, and what they
# say stays, whatever it is. Before that, see what goes wrong when one does it otherwise. In a world that we make ourselves
# we know who is right, so we can count how often each way of judging is wrong.
#
# **You need** [Start here](slug:start_here) and one lesson on a paper that you like. The example is from [Nearest
# neighbour](slug:nearest_neighbour).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": fewer imagined worlds, shorter trainings, five seeds
seed: int = 0

# %%
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from numpy.typing import NDArray

from cl_explore import papers, plots
from cl_explore.app.coverage import RECORDS
from cl_explore.app.exercises import checker
from cl_explore.app.sheet import Sheet
from cl_explore.claims import page, scorecard
from cl_explore.claims.openings import opening
from cl_explore.claims.verdict import LOOKS, Claim, differences, interval, is_near, judge
from cl_explore.papers.dna_esa.panel import ReadsPanel
from cl_explore.papers.dna_esa.study import FIRST, PCA, RANDOM, TRAINED, TWENTY, UNTRAINED, WORDS
from cl_explore.widgets import bet, tally

plots.use()
check = checker("capstone")
worlds = 100 if preset == "smoke" else 400
seeds = 5 if preset == "smoke" else None  # None: as many as the rule asks for

# %% [markdown]
# ## 1 · "It won by a point, so it is better"
#
# Method A is new, method B is old. Both are trained on the same seeds, and both get a percentage on the test set. A seed
# brings luck: good or bad starting weights, good or bad batches. That luck moves A and B alike, by about two points. Beside
# it each has a little luck of its own. Here is one such imagined world in which A is **not** better at all:

# %%
MARGIN, LUCK, OWN_LUCK = 0.5, 2.0, 0.6  # in points
draw = np.random.default_rng(seed)
shared, own = draw.normal(0, LUCK, (worlds, 20, 1)), draw.normal(0, OWN_LUCK, (worlds, 20, 2))
scores = 80 + shared + own  # (worlds, seeds, the two methods)
pd.DataFrame(scores[0, :10].T, ["A", "B"]).rename_axis("seed", axis=1).style.format("{:.1f}")

# %% [markdown]
# A is claimed to be better by **more than half a point**. That half point is the **margin**: what is less does not count. We
# make many such worlds, and in each somebody trains, compares and says "it holds".

# %%
alone = bet(
    "A and B are equally good. Who trains each once, on the same seed: how often does A win by more than half a point?",
    ["about one time in twenty", "about one time in four", "about every other time"],
)
alone

# %%
best = bet(
    "Still equally good. A is trained five times and the best is reported, B once, for it is known. How often does A win?",
    ["about one time in four", "about every other time", "about three times in four"],
)
best

# %% [markdown]
# Others train on more seeds and ask for an **interval**: where the true difference may lie. They say "it holds" if all of it
# lies above the margin. One of them does this after *every* seed from the fifth on, and stops as soon as it holds. To wait
# for a good moment is called **peeking**.

# %%
peeking = bet(
    "Let the true difference be exactly the margin, so that 'more' is not true. An interval at five seeds says 'holds' in "
    "about 3 worlds of 100. And peeking, up to twenty seeds?",
    ["as often: each look has its 95 %", "up to twice as often", "more than twice as often"],
)
peeking

# %% [markdown]
# The intervals are those of the library, computed for all worlds at once. (A true difference that is added moves every
# interval by as much, so one draw of luck serves all truths.)

# %% jupyter={"source_hidden": true}
from scipy import stats


def intervals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low and high of each row of values (worlds, n): the 95 % bootstrap interval of its mean."""
    n = values.shape[1]
    picked = np.random.default_rng(0).integers(n, size=(20_000, n))
    weights = np.stack([(picked == number).mean(1) for number in range(n)])
    tail = stats.norm.cdf(stats.t.ppf(0.025, n - 1) * np.sqrt(n / (n - 1)))
    return np.quantile(values @ weights, [tail, 1 - tail], axis=1)


# %%
a, b = scores[..., 0], scores[..., 1]
paired = a - b
looked = {n: intervals(paired[:, :n]) for n in range(5, 21)}
crossed = intervals(a[:, :5] - b[:, 5:10])  # A on five seeds, B on five others
CLAIMED = Claim("A is better than B by more than half a point.", "points", "A", "higher", "B", margin=MARGIN)


def by_rule(world: int, true: float) -> tuple[float, float]:
    """The interval at which 5, 10 and 20 seeds end."""
    for n in LOOKS:
        low, high = looked[n][:, world] + true
        if not is_near(CLAIMED, low, high):
            break
    return low, high


def said(true: float) -> dict[str, float]:
    """How often each way of judging says that the claim holds, if this is the true difference."""
    ends = np.array([by_rule(world, true) for world in range(worlds)])
    held = {
        "one seed": paired[:, 0] + true > MARGIN,
        "best of five against one": a[:, :5].max(1) + true - b[:, 0] > MARGIN,
        "five unpaired seeds": crossed[0] + true > MARGIN,
        "five paired seeds": looked[5][0] + true > MARGIN,
        "peeking, 5 to 20 seeds": np.any([low + true > MARGIN for low, _ in looked.values()], axis=0),
        "the rule: 5, 10 or 20": ends[:, 0] > MARGIN,
    }
    return {name: values.mean() for name, values in held.items()}


TRUTHS = {"no difference": 0.0, "exactly the margin": MARGIN, "1.5 points": 1.5}
holds = pd.DataFrame({name: said(true) for name, true in TRUTHS.items()})
holds.style.format("{:.1%}").set_caption("how often it is said to hold, by the true difference")

# %% tags=["claim"]
wrong, right = holds["exactly the margin"], holds["1.5 points"]
one, five = holds["no difference"]["one seed"], holds["no difference"]["best of five against one"]
alone.settle(alone.options[0 if one < 0.12 else 1 if one < 0.4 else 2])
best.settle(best.options[0 if five < 0.35 else 1 if five < 0.65 else 2])
ratio = wrong["peeking, 5 to 20 seeds"] / max(wrong["five paired seeds"], 1 / worlds)
peeking.settle(peeking.options[0 if ratio < 1.2 else 1 if ratio <= 2 else 2])
assert one > 0.15, "a single seed is often wrong"
assert five > one + 0.2, "the best of five far more often"
assert wrong["peeking, 5 to 20 seeds"] > wrong["the rule: 5, 10 or 20"], "peeking is wrong more often than the rule"
assert wrong["the rule: 5, 10 or 20"] < 0.1
assert right["the rule: 5, 10 or 20"] > 0.9 > 0.4 > right["five unpaired seeds"], "pairs see what others cannot"

# %% [markdown]
# Read it by columns. Where there is **no difference**, one seed is wrong about one time in four, and the best of several is
# wrong most of the time, though nobody lied. At **exactly the margin** peeking is wrong several times as often as the rule
# is. And where A really is better by **1.5 points**, five *unpaired* seeds hardly ever see it: the luck of the seeds is
# larger than what is looked for. Take the difference seed by seed, and that luck is gone.
#
# The last row sees nearly everything that is there, and is seldom wrong. It is the rule of the
# [scorecard](../docs/scorecard.md#how-many-seeds).
#
# ## 2 · The rule
#
# - **Before** anything runs, write down: which number (the metric), of which method, compared with which, in which
#   direction, and by how much (the margin).
# - Run both on the **same seeds**, and take the difference for each seed.
# - Take the **interval** of its mean. Draw as many differences as there are, with replacement, and take their mean; do this
#   many thousand times. The interval runs from one of the lowest of these means to one of the highest. (Few seeds vary too
#   little among themselves, so the interval of five leaves out fewer of these means than that of twenty.)
# - The claim **holds** if the whole interval lies where the claim puts it, **fails** if the whole interval lies elsewhere,
#   and is **undecided** otherwise.
# - Look at **five** seeds. If the interval is *near* the margin, look at ten, then at twenty. Never look in between.
#
# By hand, for a claim of the kind "higher by more than the margin":


# %%
def by_hand(values: NDArray[np.float64], margin: float) -> tuple[list[float], str, bool]:
    n = len(values)
    means = values[np.random.default_rng(0).integers(n, size=(20_000, n))].mean(1)
    tail = stats.norm.cdf(stats.t.ppf(0.025, n - 1) * np.sqrt(n / (n - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    word = "holds" if low > margin else "fails" if high <= margin else "undecided"
    gap = max(low - margin, margin - high, 0)  # from the interval to the margin
    return [low, high], word, bool(gap <= max(margin, (high - low) / 2))


def as_rows(values: NDArray[np.float64]) -> pd.DataFrame:
    """Differences as the library takes them: a row for each seed and method."""
    both = (("A", values), ("B", 0 * values))
    return pd.DataFrame([{"seed": s, "method": m, "points": v} for m, found in both for s, v in enumerate(found)])


for world in range(12):
    values = paired[world, :5] + 1.5
    bounds, word, near = by_hand(values, MARGIN)
    verdict = judge(CLAIMED, as_rows(values))
    torch.testing.assert_close(bounds, list(interval(values)))
    torch.testing.assert_close(bounds, list(looked[5][:, world] + 1.5))
    assert (word, near) == (verdict.word, verdict.near)

# %% [markdown]
# Note what **undecided** means. It does not mean "no difference". It means that these seeds speak neither against the claim
# nor for it: the truth may lie anywhere within the interval, above the margin or below. To say "no difference" takes a claim
# of its own, that two methods are *equal within a margin*, and an interval that lies wholly within that band.
#
# Note also what is not asked: whether the interval is clear of **zero**. With enough seeds it is, for any difference, however small.
# The margin is where you say what you care about.
#
# ## 3 · An example: how much training does it take?
#
# DNA-ESA finds the place of a read in a genome by its vector alone ([Nearest neighbour](slug:nearest_neighbour) tells how).
# It is one of the fastest papers here. First read what was claimed of it, and what became of that:

# %%
esa = papers.study("dna-esa")
records = {each["study"]: each for each in scorecard.read(RECORDS) if each["preset"] == "laptop"}
known = {each["text"]: each["word"] for each in records.get("dna-esa", {"verdicts": []})["verdicts"]}
if not records:
    print("No record of the scorecard is installed here, so the words are missing.")
laptop = [claim for claim in esa.claims if claim.preset == "laptop"]
told = pd.DataFrame(
    {"claim": [claim.text for claim in laptop], "metric": [claim.metric for claim in laptop],
     "recorded": [known.get(claim.text, "") for claim in laptop]}
)  # fmt: skip
told.style.hide(axis="index").set_properties(**{"text-align": "left"})

# %% [markdown]
# And look at the thing itself. On a live page, give reads more errors, and see which vectors still find their place.

# %%
ReadsPanel()

# %% [markdown]
# One claim there says that sixteen trained numbers find the fragment of a read oftener than the sixteen first principal
# components (PCA). That is a claim about the training there. What about a quarter of the steps? On one seed, which does not
# count, PCA led. So here is a claim of our own, in five lines, and a bet:

# %%
SMALL = {"windows": 320 if preset == "smoke" else 2400, "reads": 200, "aligned": 1}  # the study: 9,600 and 400
worked = Claim(
    "With a quarter of the training, sixteen trained numbers find fewer reads at once than PCA, by more than 5 points.",
    metric=FIRST, method=TRAINED, expect="lower", baseline=PCA, margin=0.05,
)  # fmt: skip
shorter = bet(f"{worked.text} What will the rule say?", ["holds", "fails", "undecided"])
shorter

# %% [markdown]
# `scorecard.run` does the rest: it trains the whole study, seed by seed, and stops where the rule says. The first twenty seeds
# are on the scorecard, so we begin at 20.

# %%
(example,) = scorecard.run([replace(esa, claims=(worked,))], seeds_from=20 + 100 * seed, seeds=seeds, changes=SMALL)
print(page.line(example["verdicts"][0]))


# %% jupyter={"source_hidden": true}
def drawn(claim: Claim, record: dict[str, Any]) -> None:
    """A line for each look: the difference on each seed, its interval, and the margin of the claim."""
    found = differences(claim, pd.DataFrame(record["rows"]))
    looks = [n for n in LOOKS if n <= len(found)]
    figure = plots.figure(height=1.0 + 0.42 * len(looks))
    (axes,) = figure.axes
    for place, n in enumerate(looks):
        axes.plot(found[:n], [place] * n, "o", color="C0", alpha=0.4, mew=0, markersize=6)
        axes.plot(interval(found[:n]), [place + 0.25] * 2, color="black", linewidth=2.5, solid_capstyle="butt")
    for border in {"higher": [1], "lower": [-1], "equal": [-1, 1]}[claim.expect]:
        axes.axvline(border * claim.margin, color="C1", linestyle="--")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(looks)), [f"{n} seeds" for n in looks])
    axes.set(ylim=(len(looks) - 0.4, -0.6), xlabel=f"{claim.metric}: {claim.method} − {page.other(vars(claim))}")
    plots.show(figure, alt="Dots are differences of seeds, bars their intervals at each look; the margin is dashed.")


def means(record: dict[str, Any], metric: str) -> pd.DataFrame:
    """The mean over seeds of one metric, for every method that has it."""
    return pd.DataFrame(record["rows"]).groupby("method", sort=False)[[metric]].mean().dropna()


# %%
drawn(worked, example)

# %%
found = means(example, FIRST)
found.loc[[WORDS, UNTRAINED, PCA, TRAINED]].rename({WORDS: f"{WORDS} (raw input)"}).T.style.format("{:.2f}")

# %% tags=["claim"]
shorter.settle(example["verdicts"][0]["word"])
again = judge(worked, pd.DataFrame(example["rows"]), [] if seeds else LOOKS)
assert again.word == example["verdicts"][0]["word"], "rows and rule give the recorded word again"
added = found.loc[TRAINED, FIRST] - found.loc[UNTRAINED, FIRST]
assert added > 0, "training does add"
assert found.loc[WORDS, FIRST] > found.loc[[PCA, TRAINED], FIRST].max() + 0.1, "and the raw input is ahead of both"
print(f"training added {added:.2f}")

# %% [markdown]
# A claim belongs to its **setting**. The one on the scorecard and ours do not contradict each other: they are about
# different amounts of training. And no claim is read alone. The table has the **raw input**, here all counts of words, and
# the **untrained** encoder beside it. Who reports only "trained against PCA" hides that training added a lot, and that the
# raw input is better than both.
#
# ## 4 · Your claim
#
# Choose a paper. The record of each leaves something open: a claim that is undecided, one that failed, or one that held and
# of which nobody knows how far it goes. Here is one open question for each, made from the records, with the seconds that a
# seed took to train.

# %% jupyter={"source_hidden": true}
open_questions = pd.DataFrame(
    [
        {"paper": slug, "seconds a seed": record["seconds"] / len(record["seeds"]), **opening(record)._asdict()}
        for slug, record in records.items()
    ]
)
if records:
    listed = open_questions.sort_values("seconds a seed").to_html(index=False, float_format="{:.0f}".format)
    display(
        HTML(f"<details><summary>{len(records)} open questions, the fastest paper first</summary>{listed}</details>")
    )
else:
    print("No record of the scorecard is installed here; `cl-explore papers` lists the papers.")

# %% [markdown]
# A study measures some numbers of some methods. What there is to claim something about shows after one short run:

# %%
slug = "dna-esa"  # any slug of the list
changes = SMALL  # settings of the study, {} for those it has; `papers.study(slug).settings()` lists them
study = papers.study(slug)
tried = pd.DataFrame(study.rows("smoke", seed=0))
print("methods:", *dict.fromkeys(tried["method"]), sep="\n  ")
print("metrics:", *tried.select_dtypes("number").columns.drop(["seed", "seconds"]), sep="\n  ")

# %% [markdown]
# Now write. The claim below is a real one, which no study makes: random DNA holds no fragment of lambda, so numbers trained
# on it have never seen what they are to find. Yet they may have learned which letters of a read are easily wrong. The
# scorecard says of the *nearest* fragment that they find no more than untrained numbers. Are they better among the twenty
# nearest, by more than five points? We do not know. Change what you like, or everything.

# %%
mine = Claim(
    "Trained on random DNA, sixteen numbers have a read's fragment among the nearest twenty oftener than untrained ones.",
    metric=TWENTY,
    method=RANDOM,
    expect="higher",  # or "lower", or "equal": within the margin on both sides
    baseline=UNTRAINED,  # or a number
    margin=0.05,
)
first_seed = 200 + 100 * seed  # one that nobody has seen
hand_in = ""  # a folder for the record; where it is empty, nothing is written

# %% [markdown]
# Five things to ask before you run. Can it fail? Would you be glad to know it? Is the margin a size that you would tell
# somebody about? Is there a baseline without training among the methods? And have you looked at these seeds already? Then
# do not change the claim any more, whatever happens.

# %%
yours = bet(f"{mine.text} What will the rule say?", ["holds", "fails", "undecided"])
yours

# %%
(record,) = scorecard.run(
    [replace(study, claims=(mine,))],
    seeds_from=first_seed,
    seeds=seeds,
    changes=changes,
    command=f"capstone, {slug}, seeds from {first_seed}",
)
print(page.line(record["verdicts"][0]))
drawn(mine, record)
means(record, mine.metric).style.format("{:.3g}")

# %% tags=["claim"]
yours.settle(record["verdicts"][0]["word"])
again = judge(mine, pd.DataFrame(record["rows"]), [] if seeds else LOOKS)
assert again.word == record["verdicts"][0]["word"], "whatever it says, rows and rule give it again"

# %% [markdown]
# Whatever the word is, it is the result. If it is *undecided* after twenty seeds, say so, with the interval. If it *fails*,
# you know more than before. Each of these is worth a sentence, and none of them is a reason to move the margin.
#
# ## 5 · The sheet
#
# Nine questions. Their numbers are drawn for you alone, by what you write for `reader`, or come from your own run, so there is
# nothing to copy. Answer with numbers, words or lists; compute with `sheet.given("spread")`, which is the table of a
# question, and with `interval`, `judge` and `record`. A right answer at once is a point, a later one half.

# %%
reader = "nobody"  # your name, or anything else
sheet = Sheet("capstone", reader, record)
sheet.ask()

# %%
sheet.answer("difference", ...)
sheet.answer("spread", ...)
sheet.answer("words", ...)  # a list: ["holds", ...]
sheet.answer("excluded", ...)
sheet.answer("stop", ...)
sheet.answer("margin", ...)
sheet.answer("gain", ...)
sheet.answer("own", ...)
sheet.answer("reach", ...)

# %%
sheet.score()

# %% [markdown]
# ## 6 · Hand it in
#
# The record is all there is to hand in. It holds the claim as it was written, every setting, the seeds, the versions, the
# rows of each seed, and the verdict:

# %%
kept = {name: value for name, value in record.items() if name not in ("rows", "title", "about", "machine")}
for name, value in kept.items():
    print(f"{name}: {json.dumps(value, ensure_ascii=False)}")
if hand_in:
    print(scorecard.write(record, Path(hand_in)))

# %% [markdown]
# Whoever has it can repeat it on seeds of their own, and that is the best mark that a claim can get. The claim is rebuilt
# from the record, not from memory:


# %%
def claims_of(record: dict[str, Any]) -> tuple[Claim, ...]:
    """The claims of a record, as they were written."""
    names = [each.name for each in fields(Claim)]
    return tuple(Claim(**{name: verdict[name] for name in names}) for verdict in record["verdicts"])


def repeat(record: dict[str, Any], seeds_from: int) -> dict[str, Any]:
    """The record of the same claims in the same setting, on as many other seeds."""
    study = replace(papers.study(record["study"]), claims=claims_of(record))
    count = len(record["seeds"])
    (found,) = scorecard.run([study], seeds_from=seeds_from, seeds=count, changes=record["settings"])
    return found


assert claims_of(json.loads(json.dumps(record))) == (mine,)
# repeat(json.loads(Path("my_claims/dna-esa.json").read_text()), seeds_from=1000)

# %% [markdown]
# For the claims of a whole study this is one line, `cl-explore scorecard SLUG --seeds-from 20`.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# This was the last lesson. You have seen many claims hold, some fail, and some stay open. Keep the habit: say it before, say
# how much, pair the seeds, put the raw input and an untrained encoder beside it, and let it stand.
#
# ## Exercises
#
# **1.** Write the word of a claim "higher by more than the margin" for many intervals at once: `low` and `high` $(N,)$ are their
# ends. Give 1 where it holds, −1 where it fails, 0 where it is undecided.


# %%
def word_of(low: torch.Tensor, high: torch.Tensor, margin: float) -> torch.Tensor: ...


check("word", word_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def word_of(low, high, margin):
#     return (low > margin).long() - (high <= margin).long()
#
# check("word", word_of)
# ```
# </details>

# %% [markdown]
# **2.** The luck of a seed has standard deviation `luck` and moves both methods alike; the difference of two methods on one
# seed has standard deviation `own`. How many seeds for each method, unpaired, give the mean difference the same variance as
# `n` paired seeds?


# %%
def unpaired(luck: float, own: float, n: int) -> float: ...


check("unpaired", unpaired)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Unpaired, the luck of two seeds is in each difference, besides the rest:
#
# ```python
# def unpaired(luck, own, n):
#     return n * (2 * luck**2 + own**2) / own**2
#
# check("unpaired", unpaired)
# ```
# </details>

# %% [markdown]
# **3.** Somebody tries `claims` things, none of which is true. Each holds by chance with probability `share`, and they are
# independent. How likely is it that at least one holds?


# %%
def by_chance(share: float, claims: int) -> float: ...


check("by_chance", by_chance)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def by_chance(share, claims):
#     return 1 - (1 - share) ** claims
#
# check("by_chance", by_chance)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) Swap records with somebody, and `repeat` theirs on seeds that neither of you has used. Before you do,
# bet: will the word be the same? Then look whether the first verdict was *near* its margin. Who of you is right?
#
# **5.** (To think about.) A paper reports the mean of three seeds and bold numbers. A second one reports the best of ten runs
# of its method, "as is usual". A third writes that a difference is "not significant", and concludes that a part of the method
# is not needed. What would you ask each of the authors, and which run would you make first?
#
# ## References
#
# - Hesterberg, *What teachers should know about the bootstrap*, 2014, [1411.5279](https://arxiv.org/abs/1411.5279), for the
#   interval.
# - Bouthillier et al., *Accounting for variance in machine learning benchmarks*, MLSys 2021,
#   [2103.03098](https://arxiv.org/abs/2103.03098), for what a seed changes, and for pairs.
# - Henderson et al., *Deep reinforcement learning that matters*, AAAI 2018,
#   [1709.06560](https://arxiv.org/abs/1709.06560), for the best of n.
# - Armitage, McPherson & Rowe, *Repeated significance tests on accumulating data*, Journal of the Royal Statistical Society A,
#   1969, for peeking.
# - Holur et al., *Embed-Search-Align: DNA sequence alignment using transformer models*,
#   [2309.11087](https://arxiv.org/abs/2309.11087).
