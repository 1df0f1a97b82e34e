"""The command line lives here: `cl-explore lab`, `course` and `doctor`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cl_explore

NOTEBOOKS = Path(cl_explore.__file__).parents[1] / "notebooks"
FIRST_NOTEBOOK = "00_start_here.ipynb"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 if all is well, 1 if something failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="cl-explore", description="See, touch and measure how contrastive learning works."
    )
    parser.add_argument("--version", action="version", version=f"cl_explore {cl_explore.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    lab_parser = commands.add_parser(
        "lab",
        help="open the course in JupyterLab",
        description=f"Open JupyterLab on {FIRST_NOTEBOOK}. Other options, such as --no-browser, --port 8900 or "
        "--ip 0.0.0.0, are handed to JupyterLab.",
    )
    lab_parser.set_defaults(run=lab)

    course_parser = commands.add_parser(
        "course",
        help="execute the notebooks without a browser",
        description="Execute the notebooks and write them, with web pages and an index, to a folder. The exit code is "
        "1 if a notebook fails.",
    )
    course_parser.add_argument("names", nargs="*", metavar="notebook", help="such as 02_temperature (default: all)")
    course_parser.add_argument("--preset", choices=("smoke", "laptop"), default="laptop", help="default: laptop")
    course_parser.add_argument("--seed", type=int, default=0, help="default: 0")
    course_parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    course_parser.add_argument("--out", type=Path, default=Path("build/course"), help="default: build/course")
    course_parser.set_defaults(run=course)

    doctor_parser = commands.add_parser(
        "doctor",
        help="check the installation and say what to do about what is missing",
        description="Check packages, device, data sets and the run store. The exit code is 1 if something is broken "
        "that the course needs.",
    )
    doctor_parser.set_defaults(run=doctor)

    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "lab":
        parser.error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        return options.run(options, rest)
    except (ValueError, FileNotFoundError) as error:
        print(f"cl-explore {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def find_notebooks(names: Sequence[str] = ()) -> list[Path]:
    """The notebooks called `names` (with or without .ipynb), or all; FileNotFoundError if one, or all, are missing."""
    found = {path.stem: path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise FileNotFoundError(f"there are no notebooks in {NOTEBOOKS}: run from a clone of the repository")
    if missing := [name for name in names if Path(name).stem not in found]:
        raise FileNotFoundError(f"there is no notebook {', '.join(missing)}; there are: {', '.join(found)}")
    return [found[Path(name).stem] for name in names] or list(found.values())


def lab(options: argparse.Namespace, rest: list[str]) -> int:
    """Serve JupyterLab until it is stopped."""
    first = NOTEBOOKS / FIRST_NOTEBOOK
    if not first.is_file():
        raise FileNotFoundError(f"there is no notebook {first}: run from a clone of the repository")
    from jupyterlab.labapp import LabApp

    # by its address, so that the link in the terminal leads to the notebook too
    address = f"/lab/tree/{NOTEBOOKS.name}/{FIRST_NOTEBOOK}"
    LabApp.launch_instance([f"--ServerApp.root_dir={NOTEBOOKS.parent}", f"--LabApp.default_url={address}", *rest])
    return 0


def course(options: argparse.Namespace, rest: list[str]) -> int:
    """Execute notebooks and report on them."""
    notebooks = find_notebooks(options.names)
    from cl_explore.course import run, summary

    start = time.perf_counter()
    results = run(notebooks, options.out, jobs=options.jobs, preset=options.preset, seed=options.seed)
    print(f"\npreset {options.preset}, {time.perf_counter() - start:.0f} s, pages in {options.out}/index.html")
    print(summary(results))
    return int(any(result.error for result in results))


def doctor(options: argparse.Namespace, rest: list[str]) -> int:
    """Check the installation."""
    from cl_explore.doctor import examine

    return examine()
