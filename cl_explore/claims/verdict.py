"""Claims, and the verdict of paired seeds on each: holds, fails or undecided."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cl_explore.names import unknown

FEWEST_SEEDS = 5
"""Fewer seeds decide nothing: a 95 % bootstrap interval of the mean of four covers it less than 90 % of the time."""
LOOKS = (5, 10, 20)
"""How many seeds a claim is looked at with, in turn, until its interval is clear of the border."""
RESAMPLES = 20_000
ROUNDING = 1e-6
"""A difference that exceeds a margin by less does not exceed it: the hits and misses of accuracies often lie on it."""


@dataclass(frozen=True)
class Claim:
    """A sentence that numbers can contradict, fixed before they are seen.

    text: the sentence. metric: the column it is about. method: the row it is about. baseline: the row that it is
    compared with at equal seed, or a fixed number. expect: whether metric(method) - metric(baseline) must be "higher"
    than +margin, "lower" than -margin, or "equal", between the two. negative: the claim says that something does *not*
    help, or that the paper's gain is not to be seen here. preset: whose rows it is about ("smoke" tries those of
    "laptop").
    """

    text: str
    metric: str
    method: str
    expect: Literal["higher", "lower", "equal"]
    baseline: str | float
    margin: float = 0.0
    negative: bool = False
    preset: Literal["laptop", "real"] = "laptop"

    def __post_init__(self) -> None:
        if self.expect not in ("higher", "lower", "equal"):
            raise ValueError(f"expect must be 'higher', 'lower' or 'equal', got {self.expect!r}")
        if self.preset not in ("laptop", "real"):
            raise ValueError(f"preset must be 'laptop' or 'real', got {self.preset!r}")
        least = "positive to say what counts as equal" if self.expect == "equal" else "at least 0"
        if not (self.margin > 0 or (self.margin == 0 and self.expect != "equal")):
            raise ValueError(f"margin must be {least}, got {self.margin}")


@dataclass(frozen=True)
class Verdict:
    """What the seeds say of a claim.

    word: "holds" if the interval lies wholly where the claim puts the difference, "fails" if wholly elsewhere, else
    "undecided"; with fewer than five seeds always "undecided". difference: the mean over seeds of metric(method) -
    metric(baseline). low, high: its 95 % interval, None for a single seed. share: of the seeds, how many satisfy the
    claim by themselves. near: whether the interval is so near the border that more seeds are asked for, see `is_near`.
    """

    word: Literal["holds", "fails", "undecided"]
    difference: float
    low: float | None
    high: float | None
    share: float
    seeds: int
    near: bool


def differences(claim: Claim, rows: pd.DataFrame) -> NDArray[np.float64]:
    """metric(method) - metric(baseline), one for each seed in ascending order, of rows with columns seed and method.

    Raises ValueError for an unknown metric or method, naming the nearest, and if a method is missing for some seed,
    stands there twice, or its metric is not a finite number.
    """
    if claim.metric not in rows:
        raise unknown("metric", claim.metric, rows.columns.drop(["seed", "method"]))
    if twice := sorted(set(rows["method"][rows.duplicated(["seed", "method"])])):
        raise ValueError(f"rows must name a method once for each seed, got {', '.join(twice)} twice")
    table = rows.pivot(index="seed", columns="method", values=claim.metric)
    sides: list[NDArray[np.float64] | float] = []
    for side in (claim.method, claim.baseline):
        if isinstance(side, str):
            if side not in table:
                raise unknown("method", side, dict.fromkeys(rows["method"]))
            values = table[side].to_numpy(float)
            if not np.isfinite(values).all():
                raise ValueError(f"rows must give a finite {claim.metric} of {side!r} for every seed, got {values}")
            sides.append(values)
        else:
            sides.append(side)
    return np.asarray(sides[0] - sides[1])


def interval(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float]:
    """Bootstrap interval of the mean of values (n,), n >= 2: expanded percentiles, the same for the same values.

    Plain percentiles are too narrow for few values (5 values: 95 % said, 83 % covered). The expanded ones ask for more
    extreme percentiles, as far out as Student's t would go: five normal values are covered 93 % of the time, twenty
    95 %. Source: Hesterberg 2015, "What teachers should know about the bootstrap", section 3.3.
    """
    from scipy import stats  # half a second, which those who only train need not wait for

    n = len(values)
    tail = stats.norm.cdf(stats.t.ppf((1 - confidence) / 2, n - 1) * math.sqrt(n / (n - 1)))
    means = values[_resamples(n)].mean(1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


@cache
def _resamples(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(n, size=(RESAMPLES, n))


def is_near(claim: Claim, low: float, high: float) -> bool:
    """Whether an interval is so near the border of a claim that more seeds are asked for.

    The border is where the claim puts it: the difference +margin for "higher", -margin for "lower", both for "equal".
    Near is what lies no farther from it than the margin or half the interval's own width, whichever is more. For
    "equal" it is half the width alone: all that is within the band is within one margin of its borders. On which side
    of the border the interval lies does not count.
    """
    borders = {"higher": (claim.margin,), "lower": (-claim.margin,), "equal": (-claim.margin, claim.margin)}
    half = (high - low) / 2
    reach = half if claim.expect == "equal" else max(half, claim.margin)
    return min(max(low - border, border - high, 0.0) for border in borders[claim.expect]) <= reach + ROUNDING


def judge(claim: Claim, rows: pd.DataFrame, looks: Sequence[int] = ()) -> Verdict:
    """The verdict of rows, one for each seed and method, on a claim.

    looks: with how many of the seeds to look, in ascending order: the first look whose interval is not near the border
        is the verdict, else the last that there are seeds for. Without looks, or with fewer seeds than the first asks
        for, all seeds are looked at once.
    Raises: ValueError as `differences`
    """
    found = differences(claim, rows)
    counts = [count for count in looks if count <= len(found)] or [len(found)]
    verdicts = (_look(claim, found[:count]) for count in counts)
    return next(verdict for verdict in verdicts if not verdict.near or verdict.seeds == counts[-1])


def _look(claim: Claim, found: NDArray[np.float64]) -> Verdict:
    mean, share, seeds = float(found.mean()), float(_satisfied(claim, found).mean()), len(found)
    if seeds < 2:
        return Verdict("undecided", mean, None, None, share, seeds, near=False)
    low, high = interval(found)
    word = word_of(claim, low, high) if seeds >= FEWEST_SEEDS else "undecided"
    return Verdict(word, mean, low, high, share, seeds, is_near(claim, low, high))


def _satisfied(claim: Claim, difference: NDArray[np.float64]) -> NDArray[np.bool_]:
    if claim.expect == "equal":
        return np.abs(difference) < claim.margin - ROUNDING
    return (difference if claim.expect == "higher" else -difference) > claim.margin + ROUNDING


def word_of(claim: Claim, low: float, high: float) -> Literal["holds", "fails", "undecided"]:
    """What an interval of the difference, low to high, says of a claim, whatever its number of seeds."""
    ends = _satisfied(claim, np.array([low, high]))
    if ends.all():
        return "holds"
    if claim.expect == "equal":
        outside = low >= claim.margin - ROUNDING or high <= ROUNDING - claim.margin
        return "fails" if outside else "undecided"
    return "undecided" if ends.any() else "fails"
