"""Exercises of the lesson capstone, and the questions of its sheet, whose numbers are of the reader alone."""

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cl_explore.app.exercises import Exercise
from cl_explore.app.sheet import Question
from cl_explore.claims.page import wanted
from cl_explore.claims.scorecard import Record
from cl_explore.claims.verdict import LOOKS, Claim, Verdict, differences, interval, judge, word_of

LUCK, RULE = "section 1 (luck)", "section 2 (the rule)"
EXAMPLE, OWN = "section 3 (the example)", "section 4 (your claim)"


def _bounds() -> list[tuple[Tensor, Tensor, float]]:
    low = torch.tensor([0.3, 0.1, -0.4, 0.6, -0.2], dtype=torch.float64)
    return [(low, low + torch.tensor([0.5, 0.3, 0.2, 0.4, 1.4]), 0.5), (low, low + 0.1, 0.0)]


def _words(low: Tensor, high: Tensor, margin: float) -> Tensor:
    return (low > margin).long() - (high <= margin).long()


word = Exercise(
    _words,
    _bounds,
    {
        "zero is not the border: the claim says more than the margin": lambda low, high, margin: _words(low, high, 0.0),
        "the middle of an interval decides nothing: undecided is a verdict too":
            lambda low, high, margin: (low + high > 2 * margin).long() * 2 - 1,
        "an interval across the margin does not fail: it is undecided, 0":
            lambda low, high, margin: (low > margin).long() * 2 - 1,
    },
)  # fmt: skip

unpaired = Exercise(
    lambda luck, own, n: n * (2 * luck**2 + own**2) / own**2,
    lambda: [(2.0, 0.5, 5), (1.0, 1.0, 10), (3.0, 0.6, 4)],
    {
        "both methods have the luck of their seeds, so its variance counts twice":
            lambda luck, own, n: n * (luck**2 + own**2) / own**2,
        "variances add up, not standard deviations: square them": lambda luck, own, n: n * (2 * luck + own) / own,
        "that is how much wider: seeds count by the square of it":
            lambda luck, own, n: n * math.sqrt((2 * luck**2 + own**2) / own**2),
    },
)  # fmt: skip

by_chance = Exercise(
    lambda share, claims: 1 - (1 - share) ** claims,
    lambda: [(0.05, 14), (0.025, 6), (0.1, 1)],
    {
        "that is how many are expected; asked is how likely it is that there is one":
            lambda share, claims: share * claims,
        "that is the chance that none of them does": lambda share, claims: (1 - share) ** claims,
        "that is the chance that all of them do": lambda share, claims: share**claims,
    },
)  # fmt: skip


def _two(generator: np.random.Generator, record: Record) -> pd.DataFrame:
    """Percentages of two methods on eight seeds, which share their luck."""
    luck, own = generator.normal(0, 3, 8), generator.normal(0, 0.8, (2, 8))
    return pd.DataFrame(80 + luck + own + [[generator.uniform(0.5, 2)], [0]], index=["A", "B"]).round(1)


def _paired(table: pd.DataFrame) -> NDArray[np.float64]:
    return (table.loc["A"] - table.loc["B"]).to_numpy(float)


difference = Question(
    _two,
    lambda table: "A is claimed to be better than B. Which difference does the verdict look at? (A column is a seed.)",
    lambda table: _paired(table).mean(),
    {
        "you took the best of n: the more often one tries, the better the best":
            lambda table: table.loc["A"].max() - table.loc["B"].max(),
        "that is the seed with the largest difference, again a best of n": lambda table: _paired(table).max(),
        "that is one seed, which is luck for the most part": lambda table: _paired(table)[0],
        "that is B minus A": lambda table: -_paired(table).mean(),
    },
    LUCK,
    lambda table: table,
)  # fmt: skip

spread = Question(
    _two,
    lambda table: "How large is the standard deviation over seeds (divide by n − 1) of what the verdict averages?",
    lambda table: _paired(table).std(ddof=1),
    {
        "you compared unpaired seeds: A and B share the luck of a seed, and their difference is free of it":
            lambda table: math.sqrt(table.loc["A"].var() + table.loc["B"].var()),
        "divide by n − 1: the mean was taken from the same seeds": lambda table: _paired(table).std(),
        "that is the standard error of the mean: do not divide by √n":
            lambda table: _paired(table).std(ddof=1) / math.sqrt(table.shape[1]),
    },
    LUCK,
    lambda table: table,
)  # fmt: skip

KINDS = (("higher", 0.4, 1.6), ("higher", 0.2, 0.8), ("higher", 1.2, 2.4), ("equal", -0.6, 1.5), ("equal", 0.2, 0.7))
"""What is claimed, and the ends of an interval in margins."""


def _intervals(generator: np.random.Generator, record: Record) -> pd.DataFrame:
    """Five verdicts to be given, in an order of the reader's."""
    rows = []
    for expect, low, high in (KINDS[at] for at in generator.permutation(len(KINDS))):
        margin = generator.integers(4, 30) / 10
        low, high = (round(margin * (bound + generator.uniform(-0.1, 0.1)), 2) for bound in (low, high))
        claimed = wanted({"expect": expect, "margin": margin})
        rows.append({"claimed": claimed, "low": low, "high": high, "expect": expect, "margin": margin})
    return pd.DataFrame(rows)


def _says(row: Any) -> str:
    return word_of(Claim("A and B.", "points", "A", row.expect, "B", margin=row.margin), row.low, row.high)


def _by_zero(row: Any) -> str:
    """As who asks only whether an interval is clear of zero."""
    if row.expect == "equal":
        return "holds" if row.low <= 0 <= row.high else "fails"
    return "holds" if row.low > 0 else "undecided" if row.high > 0 else "fails"


def _by_middle(row: Any) -> str:
    middle = (row.low + row.high) / 2
    return "holds" if (abs(middle) < row.margin if row.expect == "equal" else middle > row.margin) else "fails"


words = Question(
    _intervals,
    lambda table: "Five claims, each on five seeds or more, with their intervals. Give the five words, in a list.",
    lambda table: [_says(row) for row in table.itertuples()],
    {
        "this is p-value thinking: you asked whether an interval is clear of zero, and the claim has a margin":
            lambda table: [_by_zero(row) for row in table.itertuples()],
        "you took undecided for no difference: an interval on both sides of a margin fails nothing":
            lambda table: [_says(row).replace("undecided", "fails") for row in table.itertuples()],
        "you judged by the middle: the whole interval must lie where the claim puts it":
            lambda table: [_by_middle(row) for row in table.itertuples()],
    },
    RULE,
    lambda table: table[["claimed", "low", "high"]],
)  # fmt: skip


def _undecided(generator: np.random.Generator, record: Record) -> dict[str, float]:
    margin = generator.integers(5, 30) / 10
    low, high = -margin * generator.uniform(0.2, 0.6), margin * generator.uniform(1.4, 2.4)
    found = {"margin": margin, "low": low, "high": high, "mean": (low + high) / 2.2}
    return {name: round(value, 2) for name, value in found.items()}


excluded = Question(
    _undecided,
    lambda case: "A is claimed to be better by more than {margin:g}. The mean difference is {mean:g}, its interval "
    "[{low:g}, {high:g}], so the claim is undecided. What is the largest true difference that these seeds do not speak "
    "against?".format(**case),
    lambda case: case["high"],
    {
        "you took undecided for no difference: the seeds speak against nothing within the interval": lambda case: 0.0,
        "that is the mean, the best guess: the truth may well lie above it": lambda case: case["mean"],
        "that is what was claimed: seeds do not know of a margin": lambda case: case["margin"],
    },
    RULE,
)  # fmt: skip


def _twenty(generator: np.random.Generator, record: Record) -> tuple[Claim, pd.DataFrame]:
    """A claim, and differences above its margin in the mean."""
    claim = Claim("A is better than B.", "points", "A", "higher", "B", margin=generator.integers(2, 5) / 10)
    return claim, _row(claim.margin + generator.normal(generator.uniform(0.7, 1.7), 0.9, 20))


def _row(found: NDArray[np.float64]) -> pd.DataFrame:
    """Differences, a column for each seed."""
    return pd.DataFrame([found.round(2)], index=["A − B"]).rename_axis("seed", axis=1)


def _judged(claim: Claim, table: pd.DataFrame) -> Verdict:
    found = table.T.reset_index().set_axis(["seed", claim.metric], axis=1)
    return judge(claim, pd.concat([found.assign(method="A"), found.assign(method="B", points=0.0)]), LOOKS)


def _peeked(case: tuple[Claim, pd.DataFrame]) -> int:
    found = case[1].to_numpy(float)[0]
    return next((n for n in range(5, 21) if interval(found[:n])[0] > case[0].margin), 20)


stop = Question(
    _twenty,
    lambda case: f"A is claimed to be better by more than {case[0].margin:g}. These are differences on twenty "
    "seeds, as they came in. With how many seeds does the rule end?",
    lambda case: _judged(*case).seeds,
    {
        "this is peeking: you stopped where it first holds, and the rule looks at 5, 10 and 20 alone": _peeked,
        "after the first look the interval is near its border, so the rule asks for more": lambda case: LOOKS[0],
        "more seeds are never wrong, but the rule had ended before":
            lambda case: LOOKS[-1] if _judged(*case).seeds < LOOKS[-1] else math.nan,  # else it is no mistake
    },
    RULE,
    lambda case: case[1],
)  # fmt: skip


def _moved(generator: np.random.Generator, record: Record) -> tuple[Claim, Claim, pd.DataFrame]:
    """A claim as it was written, as it is told afterwards, and the differences of five seeds."""
    before = Claim("A is better than B.", "points", "A", "higher", "B", margin=generator.integers(8, 20) / 10)
    found = generator.normal(before.margin * generator.uniform(0.7, 1.2), 0.3 * before.margin, 5)
    return before, replace(before, margin=round(before.margin / 2, 2)), _row(found)


margin = Question(
    _moved,
    lambda case: f"Before the run somebody wrote: more than {case[0].margin:g}. Five seeds later they say that they "
    f"had meant {case[1].margin:g}, which is a gain, too. Which word goes on record?",
    lambda case: _judged(case[0], case[2]).word,
    {"you moved the margin after looking: what was written before is judged": lambda case: (
        _judged(case[1], case[2]).word)},
    OWN,
    lambda case: case[2],
)  # fmt: skip


def _four(generator: np.random.Generator, record: Record) -> pd.DataFrame:
    """What four representations tell, in per cent."""
    start = generator.uniform(45, 65)
    found = {"chance": generator.integers(5, 20), "raw input": generator.uniform(70, 90), "untrained encoder": start,
             "trained encoder": start + generator.uniform(5, 20)}  # fmt: skip
    return pd.DataFrame(found, index=["kNN, %"]).round(1)


gain = Question(
    _four,
    lambda table: "How many points did training add?",
    lambda table: table["trained encoder"].item() - table["untrained encoder"].item(),
    {
        "the untrained baseline is missing: an encoder tells much before its first step":
            lambda table: table["trained encoder"].item() - table["chance"].item(),
        "that is the lead over the raw input, which says whether an encoder is worth having":
            lambda table: table["trained encoder"].item() - table["raw input"].item(),
        "that is what it reached, not what training added": lambda table: table["trained encoder"].item(),
    },
    EXAMPLE,
    lambda table: table,
)  # fmt: skip


def _run(generator: np.random.Generator, record: Record) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """The first verdict of the reader's record, and the differences that it has looked at, high where claimed high."""
    verdict = record["verdicts"][0]
    claim = Claim(**{each.name: verdict[each.name] for each in fields(Claim)})
    found = differences(claim, pd.DataFrame(record["rows"]))[: verdict["seeds"]]
    return verdict, -found if claim.expect == "lower" else found


own = Question(
    _run,
    lambda case: f"Your own run: of the {case[0]['seeds']} seeds that your verdict looked at, how many satisfy your "
    "claim by themselves?",
    lambda case: round(case[0]["share"] * case[0]["seeds"]),
    {
        "you counted seeds on the right side of zero; the claim asks for its margin": lambda case: (case[1] > 0).sum(),
        "that is how many were looked at": lambda case: case[0]["seeds"],
        "that is their share: how many are they?": lambda case: case[0]["share"],
    },
    OWN,
)  # fmt: skip


def _reach(case: tuple[dict[str, Any], NDArray[np.float64]]) -> float:
    low, high = interval(case[1])
    return max(-low, high) if case[0]["expect"] == "equal" else low


reach = Question(
    _run,
    lambda case: "Your own run, once more, and the seeds of your verdict: with which margin would your claim just "
    "hold? (This number is a finding. To claim it takes new seeds.)",
    _reach,
    {
        "that is the mean: with such a margin every other repetition would lie on the wrong side":
            lambda case: case[1].mean(),
        "that is the margin that you wrote down": lambda case: case[0]["margin"],
    },
    RULE,
)  # fmt: skip
