"""Every number in the prose of the course is computed on its page, or set there, or quoted from a paper."""

from pathlib import Path

import lessons
import nbformat
import pytest
import quoted
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
COURSE = lessons.read()
RESULT = "raw pixels   61.2 %\ntrained      0.912"


def page(prose: str, code: str = "show(20)", result: str = RESULT) -> NotebookNode:
    """A lesson of two sections; `prose` stands below the result of the second."""
    output = new_output("execute_result", {"text/plain": "", "text/html": f"<style>#a1 7.5%</style><td>{result}</td>"})
    return new_notebook(
        cells=[
            new_markdown_cell("# 07 · Title\n\n## 1 · First"),
            new_code_cell("", outputs=[new_output("stream", text="0.333")]),
            new_markdown_cell("## 2 · Second"),
            new_code_cell(code, outputs=[output]),
            new_markdown_cell(prose),
        ]
    )


@pytest.mark.parametrize(
    "prose",
    [
        "Pixels reach 61 %, training 91 %.",
        "Pixels reach 61.2 %, which is .612 and 0.61.",
        "The 20 nearest vote.",
        "Wang & Liu (2021) report 75.3 %.",
        "They report 75.3 %, see [the paper](https://arxiv.org/abs/2012.09740).",
        "Formulas count themselves: $8 \\cdot 7 / 2 = 28$ pairs, 28 in all.",
        "Code as `k = 75` and ```\n75\n``` is not prose.",
        "## Exercises\n\n**1.** Take 75 points.",
        "## References\n\n- Chen et al., 75 pages.",
    ],
)
def test_a_number_comes_from_outputs_settings_formulas_or_a_paper(prose: str) -> None:
    assert quoted.stray(page(prose)) == []


@pytest.mark.parametrize(
    ("prose", "number"),
    [
        ("Pixels reach 62 %.", "62 %"),
        ("Pixels reach 61.3 %.", "61.3 %"),
        ("Training reaches 0.92.", "0.92"),
        ("Of 2,000 pictures.", "2,000"),
        ("Three quarters can be read.", "Three quarters"),
        ("The first section printed 0.333.", "0.333"),
        ("A style is no result: 7.5%.", "7.5%"),
        ("Wang & Liu (2021) see more. Here it is 75.3 %.", "75.3 %"),
        ("Below a heading nothing is shown yet.\n\n## 3 · Third\n\nPixels reach 61 %.", "61 %"),
    ],
)
def test_a_number_from_nowhere_is_named_with_its_sentence(prose: str, number: str) -> None:
    (found,) = quoted.stray(page(prose))
    assert found.startswith(f"{number} in: ")


def test_prose_that_a_changed_result_makes_wrong_is_found() -> None:
    prose = "Half of it can be read off the pixels (49 %), three quarters by training."
    assert quoted.stray(page(prose, result="pixels 48.7 %, trained 76.1 %")) == []
    found = quoted.stray(page(prose, result="pixels 44.1 %, trained 69.0 %"))
    assert [line.partition(" in: ")[0] for line in found] == ["49 %", "Half", "three quarters"]


def test_a_question_to_bet_on_is_no_result() -> None:
    asked = page("It is 61 %.", code='first = bet("How much?", ["61 %"])')
    assert quoted.stray(asked) == [], "the code says it too"
    asked.cells[3].source = "first = bet(question, options)"
    assert [line.partition(" in: ")[0] for line in quoted.stray(asked)] == ["61 %"]


@pytest.mark.parametrize("slug", COURSE)
def test_every_number_of_the_course_is_computed_on_its_page(slug: str) -> None:
    """The text of the source beside the outputs of the built notebook, so that both must agree now."""
    built = nbformat.read(ROOT / "notebooks" / f"{COURSE[slug].name}.ipynb", as_version=4)
    outputs = {cell.source: cell.outputs for cell in built.cells if cell.cell_type == "code"}
    lesson = lessons.convert(slug, COURSE)
    for cell in (cell for cell in lesson.cells if cell.cell_type == "code"):
        cell.outputs = outputs.get(cell.source, [])
    assert quoted.stray(lesson) == []
