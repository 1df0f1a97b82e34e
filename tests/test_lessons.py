"""One list orders the lessons; numbers, links and the course's table follow from it."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import build
import lessons
import nbformat
import pytest
from nbformat.v4 import new_output

from cl_explore import papers

ROOT = Path(__file__).parents[1]
OPENING = "# %% [markdown]\n# # {title}\n#\n# **{question}**\n#\n# Text.\n"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Three lessons, the first with the table and a link to the last."""
    tmp_path = tmp_path / "notebooks"
    (tmp_path / "src").mkdir(parents=True)
    for slug in ("first", "second", "third"):
        source = OPENING.format(title=slug.capitalize(), question=f"What is {slug}?")
        (tmp_path / "src" / f"{slug}.py").write_text(source)
    with (tmp_path / "src" / "first.py").open("a") as source:
        source.write("# Read [the third](slug:third).\n#\n# <!-- the course -->\n")
    (tmp_path / "lessons.txt").write_text("first\nsecond\nthird\n")
    return tmp_path


def test_numbers_titles_and_questions_come_from_list_and_sources(course: Path) -> None:
    found = lessons.read(course)
    assert [lesson.name for lesson in found.values()] == ["00_first", "01_second", "02_third"]
    assert (found["second"].title, found["second"].question) == ("Second", "What is second?")


def test_links_table_and_the_next_lesson_are_written_out(course: Path) -> None:
    found = lessons.read(course)
    first, last = (lessons.convert(slug, found, course) for slug in ("first", "third"))
    assert first.cells[0].source.startswith("# 00 · First\n\n**What is first?**\n")
    assert "Read [the third](02_third.ipynb)." in first.cells[0].source
    assert first.cells[0].source.endswith(lessons.table(found))
    assert "| 01 | [Second](01_second.ipynb) | What is second? |" in lessons.table(found)
    assert first.cells[1].source == "**Next:** [Second](01_second.ipynb). What is second?"
    assert len(last.cells) == 1


def test_what_does_not_agree_is_refused(course: Path) -> None:
    def refused(match: str, **files: str) -> None:
        for name, text in files.items():
            (course / {"txt": "lessons.txt", "py": "src/second.py"}[name]).write_text(text)
        with pytest.raises(ValueError, match=match):
            lessons.convert("second", lessons.read(course), course)

    refused(r"lessons\.txt must list each source .* once, see third", txt="first\nsecond\n")
    refused(r"lessons\.txt must list each source .* once, see second", txt="first\nsecond\nsecond\nthird\n")
    refused(r"lessons\.txt must list each source .* once, see fourth", txt="first\nsecond\nthird\nfourth\n")
    refused(r"second\.py must open with its title", txt="first\nsecond\nthird\n", py="# %% [markdown]\n# # Second\n")
    wrong = OPENING.format(title="Second", question="Why?") + "# [x](slug:fourth)\n"
    refused("slug:fourth links to no lesson of the list: first, second, third", py=wrong)


def test_an_inserted_lesson_changes_numbers_only(tmp_path: Path) -> None:
    """On a copy of the course: outputs, ids and texts of all other notebooks stay, and no source is touched."""
    for name in ("src", "lessons.txt"):
        copy = shutil.copytree if (ROOT / "notebooks" / name).is_dir() else shutil.copy
        copy(ROOT / "notebooks" / name, tmp_path / name)
    for lesson in (course := lessons.read(tmp_path)).values():
        notebook = lessons.convert(lesson.slug, course, tmp_path)
        for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
            cell.outputs = [new_output("stream", text=f"result {number}")]
        nbformat.write(notebook, tmp_path / f"{lesson.name}.ipynb")
    before = {path.stem: path.read_text() for path in tmp_path.glob("*.ipynb")}
    lines = (tmp_path / "lessons.txt").read_text().splitlines()
    (tmp_path / "lessons.txt").write_text("\n".join([*lines[:2], "inserted", *lines[2:]]))
    slugs = [line.split()[0] for line in lines]
    (tmp_path / "src" / "inserted.py").write_text(OPENING.format(title="Inserted", question="What is new?"))
    build.update_text(lessons.read(tmp_path), tmp_path)

    after = {path.stem: path.read_text() for path in tmp_path.glob("*.ipynb")}
    assert sorted(after) == [f"{number + (number > 1):02}_{slug}" for number, slug in enumerate(slugs)]

    def without_numbers(text: str) -> str:
        text = re.sub(r"\d\d(_\w+\.ipynb)", r"NN\1", text)  # links
        return re.sub(r"# \d\d · |\| \d\d \|", "NN", text)  # titles and the table's first column

    for number, slug in enumerate(slugs):
        old, new = before[f"{number:02}_{slug}"], after[f"{number + (number > 1):02}_{slug}"]
        if number == 0:
            row = '    "| 02 | [Inserted](02_inserted.ipynb) | What is new? |\\n",\n'
            assert row in new
            new = new.replace(row, "")
        if number == 1:
            last = '"**Next:** [Inserted](02_inserted.ipynb). What is new?"'
            assert last in new
            new = new.replace(last, re.search(r'"\*\*Next:\*\* .*"', old)[0])
        assert without_numbers(new) == without_numbers(old), slug


def test_a_known_repository_gives_links_to_colab_and_binder_made_from_the_file_name(course: Path) -> None:
    with (course / "src" / "second.py").open("a") as source:
        source.write("\n# %%\n1\n")
    plain = lessons.convert("second", lessons.read(course), course)
    (project := course.parent / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/someone/cl_explore/"\n'
    )
    linked = lessons.convert("second", lessons.read(course), course)
    colab = "https://colab.research.google.com/github/someone/cl_explore/blob/main/notebooks/01_second.ipynb"
    binder = "https://mybinder.org/v2/gh/someone/cl_explore/main?labpath=notebooks/01_second.ipynb"
    added = f"\n\n[Open in Colab]({colab}) · [Open in Binder]({binder})"
    assert linked.cells[0].source == plain.cells[0].source + added
    assert [cell.source for cell in plain.cells if cell.cell_type == "code"] == ["1"]
    tags = [cell.metadata.get("tags") for cell in linked.cells if cell.cell_type == "code"]
    assert tags == [["install"], None]
    project.write_text('[project]\nurls = { Repository = "https://example.org/x" }\n')
    with pytest.raises(ValueError, match=r"Repository must be https://github\.com/OWNER/NAME, from where Colab reads"):
        lessons.convert("second", lessons.read(course), course)


def test_every_paper_names_a_lesson_of_the_list() -> None:
    told = {slug: papers.get(slug).lesson for slug in papers.slugs()}
    assert {slug: lesson for slug, lesson in told.items() if lesson not in {None, *lessons.read()}} == {}


@pytest.fixture(params=lessons.read())
def cells(request: pytest.FixtureRequest) -> list[tuple[str, list[str]]]:
    """The text and the tags of a lesson's code cells."""
    notebook = lessons.unnumbered(ROOT / "notebooks" / "src" / f"{request.param}.py")
    return [(cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells if cell.cell_type == "code"]


def test_bets_come_before_the_claims_that_settle_them(cells: list[tuple[str, list[str]]]) -> None:
    made = {match[1]: at for at, (text, _) in enumerate(cells) for match in re.finditer(r"^(\w+) = bet\(", text, re.M)}
    settled = {name: at for at, (text, _) in enumerate(cells) for name in made if f"{name}.settle(" in text}
    assert len(made) >= 2
    assert settled.keys() == made.keys()
    assert all(made[name] < settled[name] for name in made), "a cell lies between the question and its answer"
    assert all("claim" in cells[at][1] for at in settled.values())
    assert sum("tally()" in text for text, _ in cells) == 1


def test_trained_numbers_stand_beside_the_input_and_an_untrained_network(cells: list[tuple[str, list[str]]]) -> None:
    code = "\n".join(text for text, _ in cells)
    if re.search(r"train\.fit\(|bench\.compare\(", code):
        assert re.search(r"raw (input|pixels)|baselines\(", code)
        assert re.search(r"untrained|baselines\(", code)


SLOW = (
    "datasets", "jinja2", "jupyterlab", "lightning_fabric", "matplotlib.pyplot", "nbconvert", "numba", "papermill",
    "plotly.basedatatypes", "requests", "scipy", "sklearn", "sympy", "torch._dynamo", "torch._inductor", "torch.onnx",
    "umap",
)  # fmt: skip
"""What no lesson's first cell is to wait for: the function that needs one of them imports it."""


def test_lessons_open_without_what_takes_long_to_import() -> None:
    lines = []
    for slug in lessons.read():
        notebook = lessons.unnumbered(ROOT / "notebooks" / "src" / f"{slug}.py")
        first = next(cell.source for cell in notebook.cells if cell.cell_type == "code" and not cell.metadata)
        lines += [ast.unparse(node) for node in ast.parse(first).body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = f"import sys; print(*(module for module in {SLOW} if module in sys.modules))"
    code = "\n".join(["import torch, IPython.display", *dict.fromkeys(lines), found])  # torch cannot be done without
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [], "python -X importtime tells which module imports it"


WORDS = (ROOT / "notebooks" / "words.md").read_text(encoding="utf-8")
UNUSED = re.findall(r"^\| (.*?) \|", WORDS.split("## Words it does not use")[1], re.MULTILINE)[2:]
UNWANTED = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ', '.join(UNUSED).split(', ')))})(?!\w)", re.IGNORECASE)


def prose(markdown: str) -> str:
    """The text without code, links' addresses and references."""
    text = markdown.partition("\n## References")[0]
    return re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)


def texts(code: str) -> str:
    """The strings of a Python source."""
    nodes = ast.walk(ast.parse(code))
    return "\n".join(
        prose(each.value) for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )


@pytest.mark.parametrize("slug", lessons.read())
def test_lessons_and_their_exercises_use_the_words_of_the_course(slug: str) -> None:
    notebook = lessons.unnumbered(ROOT / "notebooks" / "src" / f"{slug}.py")
    said = [(prose if cell.cell_type == "markdown" else texts)(cell.source) for cell in notebook.cells]
    said.append(texts((ROOT / "notebooks" / "exercises" / f"{slug}.py").read_text(encoding="utf-8")))
    assert UNWANTED.findall("\n".join(said)) == [], "see notebooks/words.md"


def test_panels_and_pages_use_the_words_of_the_course() -> None:
    panels = [*ROOT.glob("cl_explore/papers/*/panel.py"), *ROOT.glob("cl_explore/widgets/*.py")]
    said = {path: texts(path.read_text(encoding="utf-8")) for path in panels}
    said |= {
        path: prose(path.read_text(encoding="utf-8")) for path in (ROOT / "README.md", ROOT / "docs" / "scaling.md")
    }
    assert {path.name: found for path, text in said.items() if (found := UNWANTED.findall(text))} == {}
