"""A bet is remembered, settled and counted, and listed where nobody can bet."""

from typing import Any

import pytest

from cl_explore.widgets import bet, tally
from cl_explore.widgets.bets import MADE


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is displayed."""
    bundles: list[dict[str, Any]] = []
    monkeypatch.setattr("cl_explore.widgets.bets.display", lambda data, **_: bundles.append(data))
    MADE.clear()
    return bundles


def test_a_settled_bet_shows_pick_and_outcome(shown: list[dict[str, Any]]) -> None:
    made = bet("Which is nearer?", ["a < b", "b"])
    made.settle("b")
    made.pick = "a < b"
    made.settle("b")
    made.settle("a < b")
    assert [each["text/plain"] for each in shown] == [
        "The run found: b.",
        "You bet on: a < b ✗ And the run found: b.",
        "You bet on: a < b ✓ And the run found: a < b.",
    ]
    assert "a &lt; b" in shown[1]["text/html"]


def test_the_tally_counts_each_question_once(shown: list[dict[str, Any]]) -> None:
    tally()
    for pick in ("x", "y", "x"):  # the cell is run again
        first = bet("One?", ["x", "y"])
        first.pick = pick
        first.settle("y")
    second = bet("Two?", ["x", "y"])
    tally()
    second.pick = "y"
    second.settle("y")
    tally()
    texts = [each["text/plain"] for each in shown]
    assert texts[0] == "In this run nobody has bet. Which would you have won?"
    assert [text for text in texts if "You won" in text] == ["You won 0 of 1 bets.", "You won 1 of 2 bets."]


def test_options_are_listed_where_no_kernel_draws_them(
    shown: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bet("What is <b>?", ["a", "b"])
    made._ipython_display_()
    assert [sorted(each) for each in shown] == [
        ["text/html", "text/plain"],
        ["application/vnd.jupyter.widget-view+json", "text/plain"],
    ]
    assert "What is &lt;b&gt;?" in shown[0]["text/html"]
    assert "<li>a</li><li>b</li>" in shown[0]["text/html"]
    monkeypatch.setenv("CL_EXPLORE_STATIC", "all")
    made._ipython_display_()
    assert len(shown) == 3


@pytest.mark.parametrize(
    ("question", "options", "message"),
    [
        ("What", ["a", "b"], "question must end in a question mark, got 'What'"),
        ("What?", ["a"], r"options must be two or more, all different, got \['a'\]"),
        ("What?", ["a", "a"], "options must be two or more"),
    ],
)
def test_what_is_no_bet_is_refused(question: str, options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bet(question, options)


def test_an_outcome_must_be_an_option() -> None:
    with pytest.raises(ValueError, match="unknown outcome 'c'; known: a, b"):
        bet("What?", ["a", "b"]).settle("c")
