"""The statistics of paired seeds: coverage, closed forms, and the words at the boundaries."""

import math

import numpy as np
import pandas as pd
import pytest

from cl_explore.claims import page
from cl_explore.claims.verdict import LOOKS, Claim, differences, interval, is_near, judge


def rows(method: list[float], baseline: list[float]) -> pd.DataFrame:
    """Results m of the methods "new" and "old", a seed each."""
    both = [("new", method), ("old", baseline)]
    return pd.DataFrame([{"seed": s, "method": name, "m": v} for name, values in both for s, v in enumerate(values)])


def claim(expect: str = "higher", margin: float = 0.0, baseline: str | float = "old") -> Claim:
    return Claim("New beats old.", "m", "new", expect, baseline, margin)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "low", "high"), [(4, 0.83, 0.90), (5, 0.91, 0.96), (20, 0.93, 0.97)])
def test_the_interval_covers_the_mean_as_often_as_it_says(n: int, low: float, high: float) -> None:
    """95 % is claimed; from five values on at least 91 % is kept, with four it is not: hence FEWEST_SEEDS."""
    generator = np.random.default_rng(1)
    trials = 400
    covered = 0
    for _ in range(trials):
        bounds = interval(generator.normal(3.0, 2.0, n))
        covered += bounds[0] <= 3.0 <= bounds[1]
    assert low < covered / trials < high


def test_the_interval_of_five_values_in_closed_form() -> None:
    """The expanded percentile is Φ(-√(5/4) t(.025; 4)) = .00096. Of the 5^5 resamples one is all minimum, and five are
    minimum but for one second smallest: their cumulative shares, .0003 and .0019, lie on either side of it.
    """
    values = np.array([0.1, 0.5, 0.7, 1.6, 2.0])
    assert interval(values) == pytest.approx(((4 * 0.1 + 0.5) / 5, (4 * 2.0 + 1.6) / 5))


def test_the_interval_moves_and_scales_with_the_values_and_is_always_the_same() -> None:
    values = np.array([0.1, 0.5, 0.7, 1.6, 2.0, 2.2])
    low, high = interval(values)
    np.testing.assert_allclose(interval(3 * values - 7), (3 * low - 7, 3 * high - 7))
    assert interval(values) == (low, high)
    assert interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_differences_are_paired_by_seed_in_any_order() -> None:
    table = rows([1.0, 2.0, 4.0], [0.5, 2.5, 1.0]).sample(frac=1, random_state=0)
    np.testing.assert_allclose(differences(claim(), table), [0.5, -0.5, 3.0])
    np.testing.assert_allclose(differences(claim(baseline=1.5), table), [-0.5, 0.5, 2.5])


@pytest.mark.parametrize(
    ("expect", "margin", "found", "word", "share"),
    [
        ("higher", 0.0, [0.1, 0.2, 0.3, 0.1, 0.2], "holds", 1.0),
        ("higher", 0.0, [-0.1, 0.2, 0.3, 0.1, 0.2], "undecided", 0.8),
        ("higher", 0.0, [-0.1, -0.2, -0.3, -0.1, -0.2], "fails", 0.0),
        ("higher", 0.0, [0.0] * 5, "fails", 0.0),
        ("higher", 0.1, [0.1] * 5, "fails", 0.0),
        ("higher", 0.1, [0.11, 0.2, 0.3, 0.12, 0.2], "holds", 1.0),
        ("higher", 0.1, [0.01, 0.2, 0.3, 0.1, 0.2], "undecided", 0.6),
        ("lower", 0.0, [-0.1, -0.2, -0.3, -0.1, -0.2], "holds", 1.0),
        ("lower", 0.5, [-0.1, -0.2, -0.3, -0.1, -0.2], "fails", 0.0),
        ("lower", 0.0, [0.1, -0.2, -0.3, -0.1, -0.2], "undecided", 0.8),
        ("equal", 0.1, [0.05, -0.05, 0.0, 0.02, -0.09], "holds", 1.0),
        ("equal", 0.1, [0.05, -0.05, 0.0, 0.02, 0.4], "undecided", 0.8),
        ("equal", 0.1, [-0.2, 0.2, -0.2, 0.2, 0.0], "undecided", 0.2),
        ("equal", 0.1, [0.1, 0.2, 0.3, 0.1, 0.2], "fails", 0.0),
        ("equal", 0.1, [-0.1] * 5, "fails", 0.0),
        ("equal", 0.1, [0.3 - 0.2] * 5, "fails", 0.0),  # in floating point 0.09999999999999998
        ("higher", 0.1, [0.1 + 1e-9] * 5, "fails", 0.0),
    ],
)
def test_words(expect: str, margin: float, found: list[float], word: str, share: float) -> None:
    verdict = judge(claim(expect, margin, baseline=0.0), rows(found, [0.0] * 5))
    assert verdict.word == word
    assert verdict.share == pytest.approx(share)
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low - 1e-12 <= verdict.difference <= verdict.high + 1e-12
    assert verdict.difference == pytest.approx(np.mean(found))


def test_fewer_than_five_seeds_decide_nothing() -> None:
    assert judge(claim(), rows([9.0, 9.1, 9.2, 9.3], [0.0] * 4)).word == "undecided"
    single = judge(claim(), rows([9.0], [0.0]))
    assert (single.word, single.low, single.high, single.share) == ("undecided", None, None, 1.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows([1.0], [1.0]).rename(columns={"m": "other"}), "unknown metric 'm'; known: other"),
        (pd.concat([rows([1.0], [1.0])] * 2), "rows must name a method once for each seed, got new, old twice"),
        (rows([1.0, math.nan], [1.0, 2.0]), "finite m of 'new' for every seed"),
        (rows([1.0, 2.0], [1.0]), "finite m of 'old' for every seed"),
        (rows([1.0], []), "unknown method 'old'; known: new"),
    ],
)
def test_rows_that_do_not_fit_a_claim_are_refused(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(claim(), table)


def test_claims_that_could_not_be_judged_are_refused() -> None:
    with pytest.raises(ValueError, match="margin must be positive to say what counts as equal, got 0"):
        claim("equal")
    with pytest.raises(ValueError, match="margin must be at least 0, got -1"):
        claim("higher", -1)
    with pytest.raises(ValueError, match="preset must be 'laptop' or 'real', got 'smoke'"):
        Claim("New beats old.", "m", "new", "higher", "old", preset="smoke")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expect must be 'higher', 'lower' or 'equal', got 'more'"):
        claim("more")


@pytest.mark.parametrize(
    ("expect", "margin", "low", "high", "near"),
    [  # the border, then an interval just near it and one just clear of it, on either side
        ("higher", 0.0, -1.0, 1.0, True),  # across
        ("higher", 0.0, 0.99, 2.99, True),  # half the width, 1, from 0
        ("higher", 0.0, 1.01, 3.01, False),
        ("higher", 0.0, -2.99, -0.99, True),
        ("higher", 0.0, -3.01, -1.01, False),
        ("higher", 0.1, 0.199, 0.209, True),  # the margin, .1, from .1
        ("higher", 0.1, 0.201, 0.211, False),
        ("higher", 0.1, -0.009, 0.001, True),
        ("higher", 0.1, -0.019, -0.001, False),
        ("higher", 0.1, 0.29, 0.69, True),  # half the width is more than the margin
        ("higher", 0.1, 0.31, 0.71, False),
        ("lower", 0.1, -0.209, -0.199, True),
        ("lower", 0.1, -0.211, -0.201, False),
        ("lower", 0.1, -0.001, 0.009, True),
        ("lower", 0.1, 0.001, 0.019, False),
        ("equal", 1.0, -0.49, 0.49, False),  # .51 from both borders
        ("equal", 1.0, -0.51, 0.51, True),
        ("equal", 1.0, 0.8, 0.88, False),  # .12 from +1
        ("equal", 1.0, -0.94, -0.8, True),  # .06 from -1, half the width is .07
        ("equal", 1.0, 1.06, 1.2, True),
        ("equal", 1.0, 1.08, 1.2, False),
        ("equal", 1.0, -1.2, -1.08, False),
        ("equal", 1.0, -1.5, 1.5, True),
        ("higher", 0.0, 0.0, 0.0, True),  # seeds that do not differ
        ("higher", 0.0, 0.1, 0.1, False),
    ],
)
def test_near_is_a_matter_of_distance_to_the_border(
    expect: str, margin: float, low: float, high: float, near: bool
) -> None:
    assert is_near(claim(expect, margin), low, high) == near
    shift = {"higher": 2 * margin, "lower": -2 * margin, "equal": 0.0}[expect]
    assert is_near(claim(expect, margin), shift - high, shift - low) == near  # mirrored at the border


def test_a_clear_claim_is_never_looked_at_again() -> None:
    clear, against = [1.0, 1.1, 0.9, 1.0, 1.05], [-9.0] * 15
    first = judge(claim(), rows(clear, [0.0] * 5))
    assert (first.word, first.near, first.seeds) == ("holds", False, 5)
    assert judge(claim(), rows(clear + against, [0.0] * 20), LOOKS) == first
    assert judge(claim(), rows(clear + against, [0.0] * 20)).word == "fails"  # had it been asked


def test_a_near_claim_is_looked_at_until_it_is_clear_or_seeds_end() -> None:
    near, clear = [0.1, -0.1, 0.2, 0.0, 0.3], [2.0] * 5
    for later, word, seeds in (([], "undecided", 5), ([5.0] * 5, "holds", 10), ([0.0] * 15, "undecided", 20)):
        verdict = judge(claim(), rows(near + later, [0.0] * (5 + len(later))), LOOKS)
        assert (verdict.word, verdict.seeds) == (word, seeds)
        assert judge(claim("lower"), rows(near + later, [0.0] * (5 + len(later))), LOOKS).seeds == seeds
    assert judge(claim(), rows(near + clear + near, [0.0] * 15), LOOKS).seeds == 10  # fifteen is no look
    assert judge(claim(), rows([0.1], [0.0]), LOOKS).seeds == 1


def test_the_rule_is_wrong_less_often_than_a_single_look() -> None:
    """On the border every word but "undecided" is chance: by the rule 5 %, by one look at five seeds 8 %."""
    trials, by_rule, at_once = 100, [], []
    for trial in range(trials):
        table = rows(np.random.default_rng(trial).normal(size=20).tolist(), [0.0] * 20)
        by_rule.append(judge(claim(), table, LOOKS).word)
        at_once.append(judge(claim(), table[table["seed"] < 5]).word)
    rule, once = ((trials - words.count("undecided")) / trials for words in (by_rule, at_once))
    assert (rule, once) == pytest.approx((0.05, 0.08), abs=0.025)
    assert abs(by_rule.count("holds") - by_rule.count("fails")) / trials < 0.05
    assert "5 % of the time by the whole rule, and 8 % of the time" in page.HEAD.replace("\n", " ")
