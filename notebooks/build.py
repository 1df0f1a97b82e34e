"""Make notebooks/NN_slug.ipynb from notebooks/src/slug.py: convert, execute, clean, write.

    python notebooks/build.py [--text] [--preset laptop] [--jobs 2] [slug ...]

The sources are percent-format scripts, their numbers come from lessons.txt. Where only text, number or links of a
notebook changed they are brought up to date without executing it; with --text nothing else is done. A notebook is
replaced only when all its cells ran.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import lessons
import nbformat
from lessons import Lesson
from nbformat import NotebookNode

from cl_explore.app.cells import WIDGET_MIME
from cl_explore.app.course import ADDED_TAGS, run, summary

HERE = Path(__file__).parent


def clean(executed: NotebookNode, unexecuted: NotebookNode) -> NotebookNode:
    """The notebook to commit: cells as in the source, with their pictures and texts but no panels, bars and timings."""
    for count, (cell, new) in enumerate(zip(code_of(executed), code_of(unexecuted), strict=True), start=1):
        new.execution_count = count  # counted anew: the cell with the injected parameters is gone
        new.outputs = [output for output in cell.outputs if not passing(output)]
        for place, output in enumerate(new.outputs):
            if "execution_count" in output:
                output.execution_count = count
            html = output.get("data", {}).get("text/html", "")
            if "<script" in html:
                del output.data["text/html"]  # a panel: its picture stays
            elif html:  # pandas calls a table anew at every execution
                output.data["text/html"] = re.sub(r"\bT_[0-9a-f]{5}", f"T_{count}_{place}", html)
    return unexecuted


def code_of(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells, but for those that papermill added and the one that installs, which does nothing here."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in code if not {"install", *ADDED_TAGS} & set(cell.metadata.get("tags", []))]


def passing(output: NotebookNode) -> bool:
    """Whether an output means something only while the notebook runs: a progress bar or a warning."""
    return WIDGET_MIME in output.get("data", {}) or output.get("name") == "stderr"


def update_text(course: Mapping[str, Lesson], here: Path = HERE) -> None:
    """Give built notebooks the numbers of the list, and those whose code is that of the source its text.

    Nothing is executed, so outputs stay as they are.
    """
    for path in sorted(here.glob("[0-9][0-9]_*.ipynb")):
        slug = path.stem[3:]
        if slug not in course:
            continue
        built, new = nbformat.read(path, as_version=4), lessons.convert(slug, course, here)
        old_code, new_code = code_of(built), code_of(new)
        if [cell.source for cell in old_code] == [cell.source for cell in new_code]:
            for old, cell in zip(old_code, new_code, strict=True):
                cell.outputs, cell.execution_count = old.outputs, old.execution_count
            nbformat.write(new, path)
        path.rename(here / f"{course[slug].name}.ipynb")


def build(slugs: Sequence[str] = (), *, preset: str = "laptop", jobs: int = 2, here: Path = HERE) -> int:
    """Build the notebooks of these lessons, or of all, into the folder `here`; the number of those that failed."""
    course = lessons.read(here)
    if unknown := [slug for slug in slugs if slug not in course]:
        raise SystemExit(f"there is no lesson {', '.join(unknown)} in lessons.txt; there are: {', '.join(course)}")
    update_text(course, here)
    notebooks = {course[slug].name: lessons.convert(slug, course, here) for slug in slugs or course}
    with tempfile.TemporaryDirectory() as folder:
        unexecuted, executed = Path(folder, "unexecuted"), Path(folder, "executed")
        unexecuted.mkdir()
        for name, notebook in notebooks.items():
            nbformat.write(notebook, unexecuted / f"{name}.ipynb")
        results = run([unexecuted / f"{name}.ipynb" for name in notebooks], executed, jobs=jobs, preset=preset)
        for result in results:
            if result.error is None:
                done = nbformat.read(executed / f"{result.name}.ipynb", as_version=4)
                nbformat.write(clean(done, notebooks[result.name]), here / f"{result.name}.ipynb")
    print(summary(results))
    return sum(result.error is not None for result in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slugs", nargs="*", metavar="slug", help="default: all")
    parser.add_argument("--text", action="store_true", help="execute nothing: bring text, numbers and links up to date")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.text:
        update_text(lessons.read())
    else:
        sys.exit(min(1, build(options.slugs, preset=options.preset, jobs=options.jobs)))
