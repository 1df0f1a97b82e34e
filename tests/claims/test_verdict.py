"""The statistics of paired seeds: coverage, closed forms, and the words at the boundaries."""

import math

import numpy as np
import pandas as pd
import pytest

from cl_explore.claims.verdict import Claim, differences, interval, judge


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
        (rows([1.0], [1.0]).rename(columns={"m": "other"}), "rows must have the metric 'm'"),
        (pd.concat([rows([1.0], [1.0])] * 2), "rows must name a method once for each seed, got new, old twice"),
        (rows([1.0, math.nan], [1.0, 2.0]), "finite m of 'new' for every seed"),
        (rows([1.0, 2.0], [1.0]), "finite m of 'old' for every seed"),
        (rows([1.0], []), "finite m of 'old' for every seed"),
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
