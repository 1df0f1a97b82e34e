"""The graded sheet: answers are computed for each reader, known mistakes are named, points are counted."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from cl_explore.app.exercises import defined
from cl_explore.app.sheet import Question, Sheet
from cl_explore.claims.verdict import Claim, judge

CLAIM = Claim("New beats old.", "m", "new", "higher", "old", margin=0.25)
ROWS = [
    {"seed": seed, "method": name, "m": value}
    for name, values in (("new", [1.0, 1.3, 0.9, 1.6, 1.1, 1.25]), ("old", [0.7, 1.1, 1.0, 0.6, 0.95, 0.25]))
    for seed, value in enumerate(values)
]
RECORD: dict[str, Any] = {
    "verdicts": [{**asdict(CLAIM), **asdict(judge(CLAIM, pd.DataFrame(ROWS)))}],
    "rows": ROWS,
}
NAMES = list(defined("capstone", Question))
READERS = ("Ada", "Ben", "Chi")
MANY = [chr(ord("a") + number) for number in range(16)]
OWN = {"own", "reach"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", READERS)
def test_the_right_answer_is_right_and_every_mistake_is_called_by_its_name(name: str, reader: str) -> None:
    question = defined("capstone", Question)[name]
    case = question.draw(f"{reader}\0{name}", RECORD)
    assert question.grade(question.truth(case), case) is None
    assert question.grade(..., case) == "not answered yet: replace the dots"
    for remark, mistake in question.mistakes.items():
        slip = mistake(case)
        assert slip != slip or question.grade(slip, case) == remark  # nan where this reader cannot make it


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OWN])
def test_readers_get_numbers_of_their_own_and_always_the_same(name: str) -> None:
    sheets = [Sheet("capstone", reader, RECORD) for reader in (*READERS, READERS[0])]
    shown = [str(sheet.given(name)) + sheet.questions[name].ask(sheet.cases[name]) for sheet in sheets]
    assert len(set(shown)) == len(READERS)
    assert shown[0] == shown[-1]


@pytest.mark.parametrize(("name", "answers"), [("stop", {10, 20}), ("margin", {"fails", "undecided"})])
def test_where_answers_are_few_no_single_one_serves_all_readers(name: str, answers: set[Any]) -> None:
    question = defined("capstone", Question)[name]
    assert answers <= {question.truth(question.draw(f"{reader}\0{name}", RECORD)) for reader in MANY}


def test_a_list_is_wrong_by_the_mistake_that_explains_all_wrong_words() -> None:
    words = defined("capstone", Question)["words"]
    case = words.draw("Ada", RECORD)
    right = words.truth(case)
    at = right.index("undecided")
    one = [*right[:at], "fails", *right[at + 1 :]]
    assert words.grade([word.upper() for word in right], case) is None
    assert str(words.grade(one, case)).startswith("you took undecided for no difference")
    assert words.grade(["maybe", *right[1:]], case) == "4 of 5 are right"
    assert words.grade(right[:2], case) == f"the answer should be a list of 5 words, yours is {right[:2]!r}"
    assert words.grade([1, 2, 3, 4, 5], case) == "the answer should be a list of 5 words, yours is [1, 2, 3, 4, 5]"


def test_points_and_what_to_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    sheet = Sheet("capstone", "Ada", RECORD)
    own = sheet.questions["own"].truth(sheet.cases["own"])
    sheet.answer("gain", ...)
    sheet.answer("gain", 10_000)
    sheet.answer("gain", sheet.questions["gain"].truth(sheet.cases["gain"]))
    sheet.answer("own", own)
    sheet.answer("own", own + 1)  # what is right stays so
    assert sheet.points == 1.5
    capsys.readouterr()
    sheet.ask()
    assert "<b>1. difference</b> A is claimed to be better than B." in capsys.readouterr().out
    sheet.score()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1.5 of {len(NAMES)} points"
    assert len(lines) == len(NAMES)
    assert "  gain: right after more than one try; read again: section 3 (the example)" in lines
    with pytest.raises(ValueError, match="unknown question 'gian'; did you mean 'gain'"):
        sheet.answer("gian", 1)
    with pytest.raises(TypeError, match="reader must be a text, got int"):
        Sheet("capstone", 7, RECORD)  # type: ignore[arg-type]
