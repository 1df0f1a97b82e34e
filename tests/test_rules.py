"""Every rule of a lesson that its source can be asked about; that each is found when it is broken, too."""

import inspect
import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import lessons
import pytest
from nbformat import NotebookNode

from cl_explore import papers, widgets
from cl_explore.app.markdown import typeset

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Text:
    """A lesson's source: its name, its cells, and its prose without code and formulas."""

    slug: str
    cells: list[NotebookNode]

    @property
    def markdown(self) -> list[str]:
        return [cell.source for cell in self.cells if cell.cell_type == "markdown"]

    @property
    def prose(self) -> str:
        return "\n\n".join(self.markdown)


def read_text(slug: str) -> Text:
    return Text(slug, lessons.unnumbered(ROOT / "notebooks" / "src" / f"{slug}.py").cells)


@pytest.fixture(params=lessons.read())
def text(request: pytest.FixtureRequest) -> Text:
    return read_text(request.param)


WORKED = re.compile(
    r"\b[Pp]ress \*\*|\bTurn |\bturn (?:the|up|down)|\b(?:[Dd]rag|[Tt]ick|[Cc]lick|[Ss]witch|Lower|Change)\b"
)
WITHOUT_KERNEL = {"TemperaturePanel": "τ", "SweepPanel": "slider", "QualityPanel": "γ", "SpherePanel": "weight"}
SIGNS = {r"\tau": "τ", r"\rho": "ρ", r"\gamma": "γ", "^+": "⁺", "^-": "⁻", "_1": "₁"}


def panels_of(text: Text) -> list[tuple[str, str]]:
    """The prose right before each panel, and the name of the panel."""
    found = []
    for before, cell in pairwise(text.cells):
        match = re.search(r"(\w+Panel)\(", cell.source) if cell.cell_type == "code" else None
        if match:
            found.append((before.source if before.cell_type == "markdown" else "", match[1]))
    return found


def lacking(prose: str, panel: str) -> list[str]:
    """What the prose before a panel says of controls that is not so, on a live page or without a kernel."""
    wrong = []
    of_papers = [papers.panel(slug) for slug in papers.slugs() if papers.has(slug, "panel")]
    known = {kind.__name__: kind for kind in of_papers} | vars(widgets)
    source = inspect.getsource(sys.modules[known[panel].__module__])
    for paragraph in (" ".join(part.split()) for part in re.split(r"\n\n|^#.*$", prose, flags=re.MULTILINE)):
        told = [sentence for sentence in re.split(r"(?<=[.?:!]) ", paragraph) if WORKED.search(sentence)]
        for sentence in told:
            for name in re.findall(r"press \*\*(\w+)\*\*", sentence):
                wrong += [] if f'"{name}"' in source else [f"{panel} has no button {name}"]
            for sign in re.findall(r"\$(\\(?:tau|rho|gamma)(?:\^[+-]|_1)?)\$", sentence):
                for tex, letter in SIGNS.items():
                    sign = sign.replace(tex, letter)
                wrong += [] if sign in source else [f"{panel} has no control {sign}"]
            if "live page" not in paragraph.lower() and WITHOUT_KERNEL.get(panel, "\0") not in _plain(sentence):
                wrong.append(f"a page without a kernel cannot do this: {sentence}")
    return wrong


def _plain(sentence: str) -> str:
    for tex, letter in SIGNS.items():
        sentence = sentence.replace(tex, letter)
    return sentence


def unbalanced(markdown: str) -> list[str]:
    """What is left of TeX where formulas are written as MathML: dollars and commands."""
    page = re.sub(r"```.*?```|`[^`]*`|<math.*?</math>", "", typeset(markdown), flags=re.DOTALL)
    return re.findall(r"\$[^\n]*|\\[a-zA-Z]+[^\n]*", page)


def badly_set(text: Text) -> list[str]:
    """Which rules for exercises a lesson breaks."""
    tail = text.prose.partition("\n## Exercises\n")[2].partition("\n## References")[0]
    numbers = re.findall(r"^\*\*(\d+)\.\*\*", tail, re.MULTILINE)
    wrong = []
    if numbers != [str(number) for number in range(1, len(numbers) + 1)] or not 3 <= len(numbers) <= 5:
        wrong.append(f"three to five exercises, numbered from 1, not {numbers}")
    marks = " ".join(re.findall(r"^\*\*\d+\.\*\* \((.*?)\.\)", tail, re.MULTILINE)).lower()
    wrong += [f"no exercise is marked ({kind})" for kind in ("an experiment", "to think about") if kind not in marks]
    for cell in text.markdown:
        if re.search(r"</details>.*^\*\*\d+\.\*\* (?!\()", cell, re.DOTALL | re.MULTILINE):
            wrong.append(f"a solution stands in the cell of the next question: {cell[:60]}")
    return wrong


def wrongly_built(text: Text) -> list[str]:
    """Which rules for the parts of a lesson it breaks."""
    course, wrong = lessons.read(), []
    numbers = re.findall(r"^## (\d+) · ", text.prose, re.MULTILINE)
    if numbers != [str(number) for number in range(1, len(numbers) + 1)]:
        wrong.append(f"sections must be numbered from 1, not {numbers}")
    needs = re.search(r"\*\*You need\*\*(.*?)(?:\n\n|$)", text.prose, re.DOTALL)
    needed = re.findall(r"slug:(\w+)", needs[1] if needs else "")
    wrong += [f"it needs {slug}, which comes later" for slug in needed
              if course[slug].number >= course[text.slug].number]  # fmt: skip
    if needs is None:
        wrong.append("it does not say what the reader needs")
    code = "\n".join(cell.source for cell in text.cells if cell.cell_type == "code")
    if not re.search(r"torch\.testing\.assert_close\(|same\(", code):
        wrong.append("nothing by hand is asserted equal to the library's")
    if not panels_of(text):
        wrong.append("there is no panel")
    if not re.search(r"## References\n.*\]\(https://arxiv\.org/abs/", text.prose, re.DOTALL):
        wrong.append("there are no references")
    return wrong


def test_controls_that_are_named_are_there(text: Text) -> None:
    assert [wrong for prose, panel in panels_of(text) for wrong in lacking(prose, panel)] == []


def test_no_sign_of_tex_is_left_on_the_page(text: Text) -> None:
    assert [rest for cell in text.markdown for rest in unbalanced(cell)] == []


def test_exercises_are_three_to_five_with_an_experiment_and_an_open_question(text: Text) -> None:
    assert badly_set(text) == []


def test_a_lesson_has_its_parts(text: Text) -> None:
    assert wrongly_built(text) == []


def test_planted_violations_are_found() -> None:
    assert lacking("On a live page press **jump**.", "SpherePanel") == ["SpherePanel has no button jump"]
    assert lacking("Now drag $\\tau_1$ on a live page.", "SpherePanel") == ["SpherePanel has no control τ₁"]
    assert len(lacking("Press **start**.", "SpherePanel")) == 1
    assert lacking("On a live page press **start**.", "SpherePanel") == []
    assert unbalanced("It costs $5.") == ["$5."]
    assert unbalanced("a $x$ and `$HOME` and $$y$$") == []
    assert unbalanced("\\alpha without dollars") == ["\\alpha without dollars"]
    good = read_text("temperature")

    def changed(old: str, new: str) -> Text:
        assert old in good.prose or any(old in cell.source for cell in good.cells)
        cells = [NotebookNode(cell, source=cell.source.replace(old, new)) for cell in good.cells]
        return Text(good.slug, cells)

    for old, new, wrong in (
        ("**2.** ", "**7.** ", "three to five exercises, numbered from 1"),
        ("(An experiment, and", "(Now", "no exercise is marked (an experiment)"),
    ):
        assert wrong in " ".join(badly_set(changed(old, new)))
    for old, new, wrong in (
        ("## 2 · ", "## 5 · ", "sections must be numbered from 1"),
        ("slug:losses_from_scratch", "slug:varcon", "it needs varcon, which comes later"),
        ("**You need**", "Read", "it does not say what the reader needs"),
        ("torch.testing.assert_close", "print", "nothing by hand is asserted"),
        ("Panel(", "(", "there is no panel"),
        ("https://arxiv.org", "https://example.org", "there are no references"),
    ):
        assert wrong in " ".join(wrongly_built(changed(old, new)))
