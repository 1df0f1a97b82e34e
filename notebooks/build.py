"""Make notebooks/NN_name.ipynb from notebooks/src/NN_name.py: convert, execute, clean, write.

    python notebooks/build.py [--preset laptop] [--jobs 2] [NN_name ...]

The sources are percent-format scripts. A notebook is replaced only when all its cells ran.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from cl_explore.app.course import ADDED_TAGS, WIDGET_MIME, run, summary

HERE = Path(__file__).parent
PANEL = "An interactive panel: run this cell to move it."  # its scripts are large, and code hosts do not run them
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def convert(source: Path) -> NotebookNode:
    """The notebook of a source, not executed.

    A cell's id is made from its text, so that building twice, here or elsewhere, gives the same notebook.
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


def clean(executed: NotebookNode, unexecuted: NotebookNode) -> NotebookNode:
    """The notebook to commit: cells as in the source, with their pictures and texts but no panels, bars and timings."""
    ran = [cell for cell in executed.cells if not ADDED_TAGS & set(cell.metadata.get("tags", []))]
    count = 0
    for cell, new in zip(ran, unexecuted.cells, strict=True):
        if new.cell_type == "code":
            count += 1  # counted anew: the cell with the injected parameters is gone
            new.execution_count = count
            new.outputs = [output for output in cell.outputs if not passing(output)]
            for output in new.outputs:
                if "execution_count" in output:
                    output.execution_count = count
                if "<script" in "".join(output.get("data", {}).get("text/html", "")):
                    output.data = nbformat.from_dict({"text/plain": PANEL})
    return unexecuted


def passing(output: NotebookNode) -> bool:
    """Whether an output means something only while the notebook runs: a progress bar or a warning."""
    return WIDGET_MIME in output.get("data", {}) or output.get("name") == "stderr"


def build(names: Sequence[str] = (), *, preset: str = "laptop", jobs: int = 2, here: Path = HERE) -> int:
    """Build the named notebooks, or all, into the folder `here`; the number of those that failed."""
    found = {path.stem: path for path in sorted((here / "src").glob("*.py"))}
    if unknown := [name for name in names if name not in found]:
        raise SystemExit(f"there is no source {', '.join(unknown)} in {here / 'src'}; there are: {', '.join(found)}")
    notebooks = {name: convert(found[name]) for name in names or found}
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
    parser.add_argument("names", nargs="*", metavar="NN_name", help="default: all")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    sys.exit(min(1, build(options.names, preset=options.preset, jobs=options.jobs)))
