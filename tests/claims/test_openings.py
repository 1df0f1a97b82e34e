"""What a record leaves open, by the words of its verdicts."""

from typing import Any

import pytest

from cl_explore import papers
from cl_explore.app.coverage import RECORDS
from cl_explore.claims import scorecard
from cl_explore.claims.openings import opening


def verdict(word: str, seeds: int = 5, near: bool = False) -> dict[str, Any]:
    claimed = {
        "text": f"It {word}.",
        "metric": "kNN",
        "method": "new",
        "baseline": "old",
        "expect": "higher",
        "margin": 0.1,
    }
    return {**claimed, "word": word, "seeds": seeds, "near": near, "difference": 0.2, "low": 0.05, "high": 0.4}


def record(*verdicts: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"study": "cacr", "settings": settings, "verdicts": list(verdicts)}


@pytest.mark.parametrize(
    ("verdicts", "settings", "known", "question", "command"),
    [
        (["holds", "fails", "undecided"], {}, "undecided after 5", "What do 20 seeds say?", "study cacr --seeds 20"),
        (["holds", "fails"], {"epochs": 15}, "fails after 5", "Does it fail with epochs = 30, too?",
         "study cacr --set epochs=30"),
        (["holds"], {"samples": 9, "digit_epochs": 15}, "holds after 5", "Does it hold with digit_epochs = 7, too?",
         "study cacr --set digit_epochs=7"),
        (["holds"], {"epochs": (8,), "steps": 1}, "holds after 5", "What do seeds say that nobody has seen?",
         "scorecard cacr --seeds-from 20"),
    ],
)  # fmt: skip
def test_the_least_settled_claim_is_asked_about(
    verdicts: list[str], settings: dict[str, Any], known: str, question: str, command: str
) -> None:
    asked = opening(record(*map(verdict, verdicts), **settings))
    assert asked == (f"It {verdicts[-1]}.", f"kNN: new − old, +0.2 [+0.05, +0.4], claimed > 0.1: {known} seeds",
                     question, f"cl-explore {command}")  # fmt: skip


def test_undecided_with_all_seeds_asks_for_new_ones_and_near_comes_first() -> None:
    assert opening(record(verdict("undecided", 20), epochs=4)).command == "cl-explore scorecard cacr --seeds-from 20"
    near = verdict("holds", near=True) | {"text": "Near."}
    assert opening(record(verdict("holds"), near)).claim == "Near."
    with pytest.raises(ValueError, match="the record of cacr must have verdicts, got none"):
        opening(record())


def test_every_recorded_paper_has_one() -> None:
    records = [each for each in scorecard.read(RECORDS) if each["preset"] == "laptop"]
    assert {each["study"] for each in records} <= set(papers.slugs())
    for each in records:
        assert opening(each).claim in {verdict["text"] for verdict in each["verdicts"]}
