"""The course runner: it executes notebooks headless, several at a time, and writes web pages."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from plotly.offline import get_plotlyjs
from tqdm import tqdm

from cl_explore.app import book
from cl_explore.app.book import Chapter, Site

CELL_TIMEOUT = 1800  # seconds: a cell that takes half an hour hangs
KERNEL_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # notebooks run side by side, and threads of two kernels on one core hinder each other
}
ADDED_TAGS = {"injected-parameters", "papermill-error-cell-tag"}


@dataclass(frozen=True)
class Result:
    """What became of one notebook: its name, its first heading, wall seconds, and what stopped it (None: nothing)."""

    name: str
    title: str
    seconds: float
    error: str | None


class OwnKernel(AsyncKernelManager):
    """A kernel run by this very interpreter, whatever other kernels are installed under the name "python3"."""

    started: ClassVar[list["OwnKernel"]] = []
    static: ClassVar[str] = "all"  # panels write themselves as HTML that moves without a kernel

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.started.append(self)

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            **get_kernel_dict(["--IPKernelApp.log_level=CRITICAL"]),
            env=KERNEL_ENVIRONMENT | {"CL_EXPLORE_STATIC": self.static},
        )

    def kill(self) -> None:
        """Stop the kernel at once, from any thread; nothing happens if it does not run."""
        if self.has_kernel and isinstance(self.provisioner, LocalProvisioner) and self.provisioner.pid is not None:
            os.kill(self.provisioner.pid, signal.SIGTERM)


class BriefKernel(OwnKernel):
    """One in which panels write only what they need no further experiment for, for pages that nobody reads."""

    static = "made"


def check(notebooks: Sequence[Path], parameters: Mapping[str, str | int]) -> None:
    """Raise FileNotFoundError or ValueError unless the notebooks are there, differ in name and declare the parameters.

    Papermill itself accepts a parameter that the cell tagged `parameters` does not declare, and only warns.
    """
    if not notebooks:
        raise ValueError("notebooks must name at least one notebook, got none")
    if len({notebook.stem for notebook in notebooks}) < len(notebooks):
        raise ValueError(f"notebooks must differ in name, got {', '.join(map(str, notebooks))}")
    for notebook in notebooks:
        if not notebook.is_file():
            raise FileNotFoundError(f"there is no notebook {notebook}")
        if unknown := sorted(parameters.keys() - papermill.inspect_notebook(str(notebook)).keys()):
            raise ValueError(f"{notebook.name} must declare {', '.join(unknown)} in the cell tagged `parameters`")


def run(
    notebooks: Sequence[Path],
    out: Path,
    *,
    jobs: int = 2,
    report: Callable[[str], None] = print,
    **parameters: str | int,
) -> list[Result]:
    """Execute notebooks, `jobs` at a time, with parameters such as preset="smoke", seed=0.

    Each is written to `out` as .ipynb and .html, whole or up to the cell that failed; `index.html` invites to them all.
    `report` is called with one line as each ends. A notebook that fails, or that the disk does not take, stops no
    other. Before anything runs, ValueError is raised for jobs < 1 and for parameters that a notebook does not declare,
    FileNotFoundError for a notebook that is missing.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    check(notebooks, parameters)
    out.mkdir(parents=True, exist_ok=True)
    (out / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    site = Site([book.chapter(notebook) for notebook in notebooks])
    results: dict[str, Result] = {}
    # one process starts all kernels: kernels started by different processes may be given the same ports
    with ThreadPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(execute, notebook.resolve(), out.resolve(), parameters, site, told)
            for notebook, told in zip(notebooks, site.chapters, strict=True)
        ]
        try:
            with tqdm(total=len(futures), unit="notebook", disable=None) as bar:
                for future in as_completed(futures):
                    result = future.result()
                    results[result.name] = result
                    with tqdm.external_write_mode(file=sys.stdout):
                        report(line(result))
                    bar.update()
        except BaseException:  # Ctrl-C above all: leave no kernel behind, and keep what was written
            pool.shutdown(wait=False, cancel_futures=True)
            for kernel in OwnKernel.started:
                kernel.kill()
            raise
    ordered = [results[notebook.stem] for notebook in notebooks]
    try:
        listed = ", ".join(f"{name} = {value}" for name, value in parameters.items())
        write(out / "index.html", site.contents(ordered, listed))
        write(out / "symbols.html", site.symbols())
        site.furnish(out)
    except OSError as failure:
        report(f"{out / 'index.html'} could not be written: {failure}")
    return ordered


def execute(notebook: Path, out: Path, parameters: Mapping[str, str | int], site: Site, told: Chapter) -> Result:
    """Execute one notebook in a kernel of its own and write `out`/name.ipynb and `out`/name.html."""
    target = out / notebook.name
    target.unlink(missing_ok=True)
    start = time.perf_counter()
    error = None
    try:
        papermill.execute_notebook(
            str(notebook),
            str(target),
            parameters=dict(parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=120,
            execution_timeout=CELL_TIMEOUT,
            kernel_manager_class=BriefKernel if parameters.get("preset") == "smoke" else OwnKernel,
            # not papermill's cwd=, which moves the whole process and all its threads
            resources={"metadata": {"path": str(notebook.parent)}},
        )
    except PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}"
    except Exception as failure:  # a kernel that died, a cell that timed out: the notebook failed, the others go on
        error = f"{type(failure).__name__}: {failure}"
    seconds = time.perf_counter() - start
    try:
        done = nbformat.read(target if target.exists() else notebook, as_version=4)
        place = failing_cell(done)
    except (OSError, ValueError) as failure:  # a disk that was full
        done, place = nbformat.read(notebook, as_version=4), f"writing {target.name}"
        error = error or f"{type(failure).__name__}: {failure}"
    if error is not None:
        error = f"{place}\n{error}"
    try:
        write(target.with_suffix(".html"), site.chapter(done, told, error))
    except OSError as failure:
        error = error or f"writing its page\n{type(failure).__name__}: {failure}"
    return Result(notebook.stem, told.heading, seconds, error)


def write(path: Path, text: str) -> None:
    """Write a page; signs that no encoding has, of odd file names, become question marks."""
    path.write_text(text, encoding="utf-8", errors="replace")


def failing_cell(notebook: NotebookNode) -> str:
    """Number (from 1, as in the notebook before its execution) and first line of the cell at which it stopped."""
    cells = [cell for cell in notebook.cells if not ADDED_TAGS & set(cell.metadata.get("tags", []))]
    for number, cell in reversed(list(enumerate(cells, start=1))):
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("status", "pending") != "pending":
            return f"cell {number} of {len(cells)}: {cell.source.partition(chr(10))[0]}"
    return "its start, before the first cell"


def line(result: Result) -> str:
    """One line for a notebook that passed; the cell and the error on lines of their own for one that failed."""
    state = "passed" if result.error is None else f"FAILED in {result.error}".replace("\n", "\n    ")
    text = f"{result.name:<32} {result.seconds:6.1f} s  {state}"
    return text.encode(errors="replace").decode()  # some file names hold signs that cannot be printed


def summary(results: Sequence[Result]) -> str:
    """All notebooks with their seconds, and a closing line that counts those that passed and failed."""
    failed = sum(result.error is not None for result in results)
    return "\n".join([*map(line, results), f"notebooks: {len(results) - failed} passed, {failed} failed"])
