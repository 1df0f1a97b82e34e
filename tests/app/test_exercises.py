"""The course's exercises: every solution printed in a notebook passes its check, and every known mistake is told so."""

import re
from pathlib import Path

import lessons
import pytest
import torch

from cl_explore.app.exercises import Exercise, checker, lesson

SRC = Path(__file__).parents[2] / "notebooks" / "src"
SLUGS = list(lessons.read())
EXERCISES = [(slug, name) for slug in SLUGS for name in lesson(slug)]
PRELUDE = "import math\nimport torch\nimport torch.nn.functional as F\nfrom cl_explore import losses\n"


def solutions(source: str) -> list[str]:
    """The Python blocks inside the <details> of a notebook's markdown."""
    lines = [line.removeprefix("#").removeprefix(" ") for line in source.splitlines() if line[:1] == "#"]
    details = re.findall(r"<details>.*?</details>", "\n".join(lines), flags=re.DOTALL)
    return [code for block in details for code in re.findall(r"```python\n(.*?)```", block, flags=re.DOTALL)]


@pytest.mark.parametrize("slug", SLUGS)
def test_solutions_pass_and_every_exercise_of_the_lesson_is_asked(
    slug: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (SRC / f"{slug}.py").read_text()
    assert f'\ncheck = checker("{slug}")\n' in source
    asked = re.findall(r'^check\("(\w+)"', source, flags=re.MULTILINE)
    solved = []
    for code in solutions(source):
        exec(PRELUDE + code, {"check": checker(slug)})
        verdict = re.fullmatch(r"✓ (\w+): right\n", said := capsys.readouterr().out)
        assert verdict, said
        solved.append(verdict[1])
    assert asked == solved == list(lesson(slug)), "every exercise has its solution, in order"
    assert 3 <= len(asked) <= 5


def test_every_file_of_exercises_belongs_to_a_lesson() -> None:
    assert {path.stem for path in (SRC.parent / "exercises").glob("*.py")} <= set(SLUGS)


@pytest.mark.parametrize(("slug", "name"), EXERCISES)
def test_the_known_mistakes_are_recognised(slug: str, name: str) -> None:
    exercise = lesson(slug)[name]
    for remark, mistake in exercise.mistakes.items():
        answer = mistake if exercise.trials() != [()] else mistake()
        assert exercise.grade(answer) == remark


def test_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    check = checker("start_here")
    for name, answer, verdict in [
        ("negatives", ..., "✗ negatives: not answered yet: replace the dots"),
        ("collapsed", lambda samples: None, "✗ collapsed: not answered yet: replace the dots"),
        ("negatives", 7, "✗ negatives: you have 7 where 254 is right"),
        ("cosine", lambda x, y: 1 / 0, "✗ cosine: your code raised ZeroDivisionError: division by zero"),
        ("cosine", lambda x, y: x[0], "✗ cosine: the answer should have shape (6, 4), yours has (5,)"),
        ("negatives", 254, "✓ negatives: right"),
    ]:
        check(name, answer)
        assert capsys.readouterr().out == verdict + "\n"
    with pytest.raises(ValueError, match=r"unknown exercise .*; did you mean .negatives"):
        check("negative", 1)


def test_names_are_those_of_one_lesson() -> None:
    with pytest.raises(ValueError, match=r"unknown exercise .negatives."):
        checker("temperature")("negatives", 254)
    with pytest.raises(ValueError, match="unknown lesson 'temperatur'; did you mean 'temperature'"):
        checker("temperatur")


def test_a_wrong_answer_shows_where_it_is_worst() -> None:
    exercise = Exercise(lambda x: x, lambda: [(torch.tensor([1.0, 2.0, 3.0]),)])
    assert exercise.grade(lambda x: torch.tensor([1.0, 2.5, 1.0])) == "you have 1 where 3 is right"
