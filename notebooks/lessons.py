"""The lessons as notebooks that are not executed: their order, and with it numbers, links and the table of the course.

`lessons.txt` lists their slugs, each with the parts of the pipeline that it is about. The source of a lesson,
`src/SLUG.py`, opens with its title and its question, links to another as `[text](slug:temperature)`, and shows the
table of the course where it says `<!-- the course -->`. Where pyproject.toml names the repository on GitHub
(`[project.urls]`, `Repository`), each notebook links to itself in Colab and Binder, and begins with a cell that
installs cl_explore where it is missing.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

HERE = Path(__file__).parent
OPENING = re.compile(r"# %% \[markdown\]\n# # (?P<title>.+)\n#\n# \*\*(?P<question>.+\?)\*\*\n")
LINK = re.compile(r"\]\(slug:(.*?)\)")
TABLE = "<!-- the course -->"
COLAB = "[Open in Colab](https://colab.research.google.com/github/{place}/blob/main/notebooks/{name}.ipynb)"
BINDER = "[Open in Binder](https://mybinder.org/v2/gh/{place}/main?labpath=notebooks/{name}.ipynb)"
INSTALL = """\
# Where cl_explore is missing, as on Colab, this installs it in a minute or two; elsewhere it does nothing.
import importlib.util

if importlib.util.find_spec("cl_explore") is None:
    %pip install --quiet "cl_explore @ git+{address}"
"""
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Lesson:
    """A lesson of the course.

    slug: its name wherever it is spoken of.
    number: its place in the list, from 0.
    title, question: the first two lines of its source.
    """

    slug: str
    number: int
    title: str
    question: str

    @property
    def name(self) -> str:
        """The stem of its notebook, such as 02_temperature."""
        return f"{self.number:02}_{self.slug}"


def read(here: Path = HERE) -> dict[str, Lesson]:
    """The lessons by slug, in order; ValueError where list and sources disagree or a source opens otherwise."""
    slugs = [line.split()[0] for line in (here / "lessons.txt").read_text(encoding="utf-8").splitlines()]
    sources = {path.stem: path for path in (here / "src").glob("*.py")}
    if sorted(slugs) != sorted(sources):
        odd = sorted(set(slugs) ^ set(sources)) or [slug for slug in sources if slugs.count(slug) > 1]
        raise ValueError(f"lessons.txt must list each source of {here / 'src'} once, see {', '.join(odd)}")
    found = {}
    for number, slug in enumerate(slugs):
        opening = OPENING.match(sources[slug].read_text(encoding="utf-8"))
        if opening is None:
            raise ValueError(f"{slug}.py must open with its title, '# # ...', and its question, '# **...?**'")
        found[slug] = Lesson(slug, number, **opening.groupdict())
    return found


def convert(slug: str, course: Mapping[str, Lesson], here: Path = HERE) -> NotebookNode:
    """The notebook of a lesson: numbered, with links and table written out and the next lesson at its end."""
    notebook = unnumbered(here / "src" / f"{slug}.py")
    for cell in (cell for cell in notebook.cells if cell.cell_type == "markdown"):
        cell.source = write_out(cell.source, course)
    notebook.cells[0].source = f"# {course[slug].number:02} · " + notebook.cells[0].source.removeprefix("# ")
    if address := repository(here.parent / "pyproject.toml"):
        open_elsewhere(notebook, course[slug].name, address)
    if after := [lesson for lesson in course.values() if lesson.number == course[slug].number + 1]:
        text = f"**Next:** [{after[0].title}]({after[0].name}.ipynb). {after[0].question}"
        notebook.cells.append(new_markdown_cell(text, id="next"))
    return notebook


def repository(project: Path) -> str:
    """The repository's address in pyproject.toml, "" where there is none; ValueError for one that is not on GitHub."""
    about = tomllib.loads(project.read_text(encoding="utf-8"))["project"] if project.is_file() else {}
    address = about.get("urls", {}).get("Repository", "").removesuffix("/")
    if address and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        raise ValueError(f"Repository must be https://github.com/OWNER/NAME, from where Colab reads, got {address}")
    return address


def open_elsewhere(notebook: NotebookNode, name: str, address: str) -> None:
    """Add links that open the notebook in Colab and Binder, and the cell that installs cl_explore there."""
    place = address.removeprefix("https://github.com/")
    links = [link.format(place=place, name=name) for link in (COLAB, BINDER)]
    notebook.cells[0].source += "\n\n" + " · ".join(links)
    first = next(at for at, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    source = INSTALL.format(address=address).strip()
    folded = {"tags": ["install"], "jupyter": {"source_hidden": True}}
    notebook.cells.insert(first, new_code_cell(source, id="install", metadata=folded))


def unnumbered(source: Path) -> NotebookNode:
    """The notebook of a percent-format script.

    A cell's id is made from its text, so that converting twice, here or elsewhere, gives the same notebook.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        same = sum(other.source == cell.source for other in notebook.cells[:number])
        cell.id = hashlib.sha256(f"{cell.source}\0{same}".encode()).hexdigest()[:12]
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in ("tags", "jupyter") if key in cell.metadata}
        )
    return notebook


def write_out(text: str, course: Mapping[str, Lesson]) -> str:
    """Markdown of a source with its links and the table written out; ValueError for a link to no lesson."""

    def link(match: re.Match[str]) -> str:
        if match[1] not in course:
            raise ValueError(f"slug:{match[1]} links to no lesson of the list: {', '.join(course)}")
        return f"]({course[match[1]].name}.ipynb)"

    return LINK.sub(link, text).replace(TABLE, table(course))


def table(course: Mapping[str, Lesson], folder: str = "") -> str:
    """The lessons with their questions; links lead to notebooks in `folder`."""
    rows = [
        f"| {lesson.number:02} | [{lesson.title}]({folder}{lesson.name}.ipynb) | {lesson.question} |"
        for lesson in course.values()
    ]
    return "\n".join(["| | lesson | question |", "|---|---|---|", *rows])
