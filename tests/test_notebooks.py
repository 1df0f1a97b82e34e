"""The committed notebooks agree with their sources and are fit to be read; and the builder that makes them."""

import re
from itertools import pairwise
from pathlib import Path

import build
import lessons
import nbformat
import papermill
import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
COURSE = lessons.read()
MOST_BYTES = 1_000_000
MOST_PICTURES = 12


@pytest.fixture(params=COURSE)
def slug(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def path(slug: str) -> Path:
    return ROOT / "notebooks" / f"{COURSE[slug].name}.ipynb"


@pytest.fixture
def notebook(path: Path, slug: str) -> NotebookNode:
    assert path.is_file(), f"{path} is not built: make notebooks ARGS={slug}"
    return nbformat.read(path, as_version=4)


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_notebook_agrees_with_its_source(slug: str, notebook: NotebookNode) -> None:
    def cells(of: NotebookNode) -> list[tuple[str, str, dict]]:
        return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in of.cells]

    assert cells(notebook) == cells(lessons.convert(slug, COURSE)), f"stale: make notebooks ARGS={slug}"


def test_there_is_no_notebook_without_a_lesson() -> None:
    built = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert built == {lesson.name for lesson in COURSE.values()}


def test_notebook_ran_to_its_end(notebook: NotebookNode) -> None:
    code = build.code_of(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


def test_notebook_declares_preset_and_seed(path: Path, notebook: NotebookNode) -> None:
    declared = papermill.inspect_notebook(str(path))
    assert {name: declared[name]["inferred_type_name"] for name in ("preset", "seed")} == {
        "preset": "str",
        "seed": "int",
    }
    assert declared["preset"]["default"] == '"laptop"'
    assert "parameters" in build.code_of(notebook)[0].metadata.get("tags", [])


def test_every_picture_has_alt_text(notebook: NotebookNode) -> None:
    pictures = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    assert 1 <= len(pictures) <= MOST_PICTURES
    for picture in pictures:
        assert 30 <= len(picture.metadata.get("image/png", {}).get("alt", "")) <= 200, picture.data["text/plain"]


def test_a_picture_stands_behind_every_panel_in_plain_nbconvert_too(notebook: NotebookNode) -> None:
    panels = [cell for cell in notebook.cells if cell.cell_type == "code" and re.search(r"Panel\(", cell.source)]
    assert panels
    for cell in panels:
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert pictures, f"no picture behind {cell.source}"
        alone = nbformat.v4.new_notebook(cells=[cell])
        page, _ = HTMLExporter(template_name="basic").from_notebook_node(alone)
        assert page.count("data:image/png;base64,") == len(pictures)


def test_every_notebook_but_the_last_leads_to_the_next(path: Path, notebook: NotebookNode) -> None:
    names = [lesson.name for lesson in COURSE.values()]
    after = dict(pairwise(names)).get(path.stem)
    (*_, last) = (cell.source for cell in notebook.cells)
    assert last.startswith("**Next:** [") == (after is not None)
    assert after is None or f"]({after}.ipynb)" in last


def test_notebook_holds_no_widget_state_and_is_small(path: Path, notebook: NotebookNode) -> None:
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    text = path.read_text()
    assert "application/vnd.jupyter.widget" not in text
    assert len(text.encode()) <= MOST_BYTES


TINY = """\
# %% [markdown]
# # Tiny
#
# **How small?**

# %% tags=["parameters"]
preset: str = "laptop"
seed: int = 0

# %% tags=["claim"]
import sys
from IPython.display import HTML, display
print(preset, seed)
print("a warning", file=sys.stderr)
display(HTML("<b id='T_0a1b2_row0'>a table</b>"))
display({"text/html": "<script>draw()</script>", "text/plain": "a panel"}, raw=True)
preset * 2
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where 00_tiny was built and 01_wrong was not, because it fails."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "src").mkdir()
    (folder / "lessons.txt").write_text("tiny\nwrong\n")
    (folder / "src" / "tiny.py").write_text(TINY)
    (folder / "src" / "wrong.py").write_text(TINY + "\n# %%\nassert False\n")
    nbformat.write(new_notebook(cells=[new_markdown_cell("as it was")]), folder / "01_wrong.ipynb")
    assert build.build(here=folder) == 1
    return folder


def test_build_keeps_text_and_drops_panels_warnings_and_timings(tiny: Path) -> None:
    built = nbformat.read(tiny / "00_tiny.ipynb", as_version=4)
    assert [cell.cell_type for cell in built.cells] == ["markdown", "code", "code", "markdown"]
    assert [cell.metadata.get("tags") for cell in built.cells] == [None, ["parameters"], ["claim"], None]
    assert [set(cell.metadata) - {"tags"} for cell in built.cells] == [set(), set(), set(), set()]
    texts = [output.get("text") or dict(output.data) for output in outputs(built)]
    assert texts[0] == "laptop 0\n"
    assert texts[1]["text/html"] == "<b id='T_2_1_row0'>a table</b>"
    assert texts[2] == {"text/plain": "a panel"}
    assert texts[3] == {"text/plain": "'laptoplaptop'"}
    assert [cell.execution_count for cell in built.cells[1:3]] == [1, 2]
    assert outputs(built)[3].execution_count == 2
    assert len(texts) == 4


def test_build_does_not_touch_a_notebook_that_fails(tiny: Path) -> None:
    assert [cell.source for cell in nbformat.read(tiny / "01_wrong.ipynb", as_version=4).cells] == ["as it was"]


def test_cell_ids_are_the_same_every_time_and_differ(tmp_path: Path) -> None:
    source = tmp_path / "twins.py"
    source.write_text("# %%\n1\n\n# %%\n1\n\n# %%\n2\n")
    first, second = ([cell.id for cell in lessons.unnumbered(source).cells] for _ in range(2))
    assert first == second
    assert len(set(first)) == 3
    source.write_text("# %%\n0\n\n# %%\n1\n\n# %%\n1\n\n# %%\n2\n")
    assert [cell.id for cell in lessons.unnumbered(source).cells][1:] == first


def test_only_text_is_updated_without_executing(tiny: Path) -> None:
    source, built = tiny / "src" / "tiny.py", tiny / "00_tiny.ipynb"
    before = nbformat.read(built, as_version=4)
    source.write_text(TINY.replace("How small?", "How very small?"))
    build.update_text(lessons.read(tiny), tiny)
    after = nbformat.read(built, as_version=4)
    assert "How very small?" in after.cells[0].source
    assert after.cells[1:] == before.cells[1:]
    source.write_text(TINY.replace("preset * 2", "preset * 3"))
    build.update_text(lessons.read(tiny), tiny)
    assert nbformat.read(built, as_version=4) == after, "code that changed has to run"
    source.write_text(TINY)
    nbformat.write(before, built)


def test_the_cell_that_installs_is_no_reason_to_execute(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = tiny / "00_tiny.ipynb"
    before = nbformat.read(built, as_version=4)
    with monkeypatch.context() as patch:
        patch.setattr(lessons, "repository", lambda project: "https://github.com/someone/cl_explore")
        build.update_text(lessons.read(tiny), tiny)
    after = nbformat.read(built, as_version=4)
    assert [cell.metadata.get("tags") for cell in after.cells[:2]] == [None, ["install"]]
    assert after.cells[2:] == before.cells[1:]
    nbformat.write(before, built)


def test_progress_bars_are_dropped() -> None:
    bar = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0%| | 0/3"})
    assert build.passing(bar)
    assert not build.passing(new_output("stream", name="stdout", text="3 %"))


def test_an_unknown_name_is_refused(tiny: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no lesson absent in lessons\.txt; there are: tiny, wrong"):
        build.build(["absent"], here=tiny)


def test_clean_refuses_another_notebook() -> None:
    longer, shorter = (nbformat.v4.new_notebook(cells=[new_code_cell() for _ in range(count)]) for count in (2, 1))
    with pytest.raises(ValueError, match="zip"):
        build.clean(longer, shorter)
