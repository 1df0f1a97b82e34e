"""The course's exercises: every solution printed in a notebook passes its check, and every known mistake is told so."""

import re
from pathlib import Path

import pytest

from cl_explore import exercises
from cl_explore.exercises import EXERCISES, Exercise, check

SOURCES = sorted((Path(__file__).parents[1] / "notebooks" / "src").glob("[0-9]*.py"))
PRELUDE = "import math\nimport torch\nimport torch.nn.functional as F\nfrom cl_explore import losses\n"


def solutions(source: Path) -> list[str]:
    """The Python blocks inside the <details> of a notebook's markdown."""
    lines = [line.removeprefix("#").removeprefix(" ") for line in source.read_text().splitlines() if line[:1] == "#"]
    details = re.findall(r"<details>.*?</details>", "\n".join(lines), flags=re.DOTALL)
    return [code for block in details for code in re.findall(r"```python\n(.*?)```", block, flags=re.DOTALL)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_solutions_pass_and_stubs_wait(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = re.findall(r'^check\("(\w+)"', source.read_text(), flags=re.MULTILINE)
    solved = []
    for code in solutions(source):
        exec(PRELUDE + code, {"check": check})
        verdict = re.fullmatch(r"✓ (\w+): right\n", said := capsys.readouterr().out)
        assert verdict, said
        solved.append(verdict[1])
    assert asked == solved, "every exercise has its solution, in order"
    assert 3 <= len(asked) <= 5


def test_every_exercise_is_asked_somewhere() -> None:
    asked = [name for source in SOURCES for name in re.findall(r'^check\("(\w+)"', source.read_text(), re.MULTILINE)]
    assert sorted(asked) == sorted(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_known_mistakes_are_recognised(name: str) -> None:
    exercise = EXERCISES[name]
    for remark, mistake in exercise.mistakes.items():
        answer = mistake if exercise.trials() != [()] else mistake()
        assert exercise.grade(answer) == remark


def test_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
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
    with pytest.raises(ValueError, match="name must be that of an exercise such as negatives"):
        check("negative", 1)


def test_a_wrong_answer_shows_where_it_is_worst() -> None:
    exercise = Exercise(lambda x: x, lambda: [(exercises.torch.tensor([1.0, 2.0, 3.0]),)])
    assert exercise.grade(lambda x: exercises.torch.tensor([1.0, 2.5, 1.0])) == "you have 1 where 3 is right"
