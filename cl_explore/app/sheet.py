"""A graded sheet: questions whose numbers are drawn for each reader, or come from a run of the reader's own.

Those of a lesson stand in `notebooks/exercises/SLUG.py`, an assignment each: `spread = Question(...)`. An answer is
computed when it is asked for, so there is none to copy.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from IPython.display import display

from cl_explore.app.exercises import defined
from cl_explore.claims.scorecard import Record
from cl_explore.names import unknown

DRAWS = 200
CLOSE = 0.01  # of the right number: answers may be rounded
Word = str | float


@dataclass(frozen=True)
class Question:
    """A question about material that differs from reader to reader.

    case: case(generator, record) -> the material: drawn, or taken from the record of the reader's run.
    ask: ask(case) -> the question, with all that its answer takes but the table.
    truth: truth(case) -> the right answer: a number, a word, or a list of them.
    mistakes: from what to say to a wrong answer that people give.
    again: which section of the lesson to read again.
    table: table(case) -> what is shown below the question, a DataFrame, or None.
    """

    case: Callable[[np.random.Generator, Record], Any]
    ask: Callable[[Any], str]
    truth: Callable[[Any], Any]
    mistakes: Mapping[str, Callable[[Any], Any]]
    again: str
    table: Callable[[Any], Any] = lambda case: None

    def draw(self, reader: str, record: Record) -> Any:
        """This reader's material: the first draw in which every mistake gives another answer, else the last one."""
        generator = np.random.default_rng([*hashlib.sha256(reader.encode()).digest()])
        for _ in range(DRAWS):
            case = self.case(generator, record)
            answers = [_listed(answer(case)) for answer in (self.truth, *self.mistakes.values())]
            if not any(_same(a, b) for at, a in enumerate(answers) for b in answers[:at]):
                break
        return case

    def grade(self, answer: Any, case: Any) -> str | None:
        """What is wrong with an answer, or None if nothing is."""
        if answer is None or answer is ...:
            return "not answered yet: replace the dots"
        given, right = _listed(answer), _listed(self.truth(case))
        if len(given) != len(right):
            return f"the answer should be {_form(right)}, yours is {answer!r}"
        if any(isinstance(one, str) != isinstance(other, str) for one, other in zip(given, right, strict=True)):
            return f"the answer should be {_form(right)}, yours is {answer!r}"
        if _same(given, right):
            return None
        wrong = [at for at in range(len(right)) if not _same(given[at : at + 1], right[at : at + 1])]
        slips = {remark: _listed(mistake(case)) for remark, mistake in self.mistakes.items()}
        for at in (range(len(right)), wrong):  # what explains all of it comes first
            for remark, slip in slips.items():
                if all(_same(given[each : each + 1], slip[each : each + 1]) for each in at):
                    return remark
        return f"{len(right) - len(wrong)} of {len(right)} are right" if len(right) > 1 else "that is not it"


def _listed(answer: Any) -> list[Word]:
    several = answer if isinstance(answer, list | tuple) else [answer]
    return [each.strip().lower() if isinstance(each, str) else float(each) for each in several]


def _same(one: list[Word], other: list[Word]) -> bool:
    return all(a == b if isinstance(a, str) or isinstance(b, str) else math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-6)
               for a, b in zip(one, other, strict=True))  # fmt: skip


def _form(right: list[Word]) -> str:
    kind = "word" if isinstance(right[0], str) else "number"
    return f"one {kind}" if len(right) == 1 else f"a list of {len(right)} {kind}s"


class Sheet:
    """The questions of a lesson, put to one reader."""

    def __init__(self, slug: str, reader: str, record: Record) -> None:
        """Draw this reader's numbers.

        slug: of the lesson.
        reader: any text, such as a name; another one gets other numbers.
        record: of a run of the reader's own, as `claims.scorecard.run` gives it.
        Raises: ValueError for a lesson that is not there, TypeError for a reader that is no text
        """
        if not isinstance(reader, str):
            raise TypeError(f"reader must be a text, got {type(reader).__name__}")
        self.questions = defined(slug, Question)
        self.cases = {name: each.draw(f"{reader}\0{name}", record) for name, each in self.questions.items()}
        self.wrong = dict.fromkeys(self.questions, 0)
        self.right: set[str] = set()

    def ask(self) -> None:
        """Show all questions with their tables."""
        for number, (name, question) in enumerate(self.questions.items(), start=1):
            head, text = f"{number}. {name}", question.ask(self.cases[name])
            display({"text/html": f"<p><b>{head}</b> {escape(text)}</p>", "text/plain": f"{head}: {text}"}, raw=True)
            if (table := question.table(self.cases[name])) is not None:
                display(table)

    def given(self, name: str) -> Any:
        """The table of a question, to compute with; ValueError with the nearest names for an unknown question."""
        return self._known(name).table(self.cases[name])

    def answer(self, name: str, answer: Any) -> None:
        """Print whether an answer is right, and if not, what is wrong; ValueError for an unknown question.

        answer: a number, a word, or a list of them; numbers may be off by a hundredth of themselves.
        """
        wrong = self._known(name).grade(answer, self.cases[name])
        if wrong is None:
            self.right.add(name)
        elif answer is not None and answer is not ... and name not in self.right:
            self.wrong[name] += 1
        print(f"✗ {name}: {wrong}" if wrong else f"✓ {name}: right")

    @property
    def points(self) -> float:
        """One for each question that was answered rightly at once, half for each that took more tries."""
        return sum(0.5 if self.wrong[name] else 1.0 for name in self.right)

    def score(self) -> None:
        """Print the points, and what to read again: where an answer was wrong, or is missing."""
        print(f"{self.points:g} of {len(self.questions)} points")
        for name, question in self.questions.items():
            if name not in self.right or self.wrong[name]:
                what = "right after more than one try" if name in self.right else "open"
                print(f"  {name}: {what}; read again: {question.again}")

    def _known(self, name: str) -> Question:
        if name not in self.questions:
            raise unknown("question", name, self.questions)
        return self.questions[name]
