"""The command line: `cl-explore lab`, `course`, `papers`, `study`, `scorecard`, `runs`, `report` and `doctor`."""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cl_explore
from cl_explore import papers
from cl_explore.app import kept_runs, layout, report

PRESETS = ("smoke", "laptop", "real")


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
        description="Open JupyterLab on the first notebook. A clone opens its own; elsewhere they are laid out in a "
        "folder first. What you edited there is never touched. Other options, such as --no-browser, --port 8900 or "
        "--ip 0.0.0.0, are handed to JupyterLab.",
    )
    lab_parser.add_argument("--folder", type=Path, help="lay the notebooks out here (default: ./cl_explore_course)")
    lab_parser.add_argument(
        "--update", action="store_true", help="bring notebooks up to date that you did not edit, and say what was done"
    )
    lab_parser.set_defaults(run=lab)

    course_parser = commands.add_parser(
        "course",
        help="execute the notebooks without a browser",
        description="Execute the notebooks and write them, with web pages and an index, to a folder. The exit code is "
        "1 if a notebook fails.",
    )
    course_parser.add_argument("names", nargs="*", metavar="notebook", help="such as temperature (default: all)")
    course_parser.add_argument("--preset", choices=("smoke", "laptop"), default="laptop", help="default: laptop")
    course_parser.add_argument("--seed", type=int, default=0, help="default: 0")
    course_parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    course_parser.add_argument("--out", type=Path, default=Path("build/course"), help="default: build/course")
    course_parser.set_defaults(run=course)

    papers_parser = commands.add_parser(
        "papers",
        help="list the papers and what there is of each",
        description="List the papers with their losses, lesson, study and panel, and how many claims were recorded.",
    )
    papers_parser.set_defaults(run=list_papers)

    study_parser = commands.add_parser(
        "study",
        help="test the claims of one paper at small scale",
        description="Train a paper's method and its baselines over paired seeds, say which of its claims hold, and "
        "write the results and a figure to a folder. Without a name: list the studies.",
    )
    study_parser.add_argument("slug", nargs="?", metavar="study", help="such as behaviour-of-contrastive-loss")
    study_parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="another setting: epochs=5"
    )
    study_parser.add_argument("--seeds", type=int, help="how many (default: 5, for the preset smoke 1)")
    study_parser.add_argument("--out", type=Path, default=Path("build/study"), help="default: build/study")
    study_parser.set_defaults(run=study)

    scorecard_parser = commands.add_parser(
        "scorecard",
        help="test the claims of all papers and record what was found",
        description="Run all studies, or those named, and write a JSON record of each. What was interrupted goes on "
        "where it stopped.",
    )
    scorecard_parser.add_argument(
        "slugs", nargs="*", metavar="study", help="default: all, for the preset real all that have real data"
    )
    scorecard_parser.add_argument(
        "--out",
        type=Path,
        help="default: data/scorecard, data/scorecard/real for the preset real, build/scorecard/smoke for smoke; with "
        "--seeds or --seeds-from nothing is written unless a folder is named",
    )
    scorecard_parser.add_argument("--seeds", type=int, help="how many (default: five, more if near the border)")
    scorecard_parser.add_argument(
        "--seeds-from", type=int, metavar="N", help="the first of them: 20 and on are in no record (default: 0)"
    )
    scorecard_parser.set_defaults(run=scorecard)
    for each in (study_parser, scorecard_parser):
        each.add_argument("--preset", choices=PRESETS, default="laptop", help="default: laptop")
        each.add_argument("--jobs", type=int, default=2, help="seeds at a time (default: 2)")

    kept_runs.add(commands)
    report.add(commands)

    doctor_parser = commands.add_parser(
        "doctor",
        help="check the installation and say what to do about what is missing",
        description="Check packages, device, data sets and the run store. The exit code is 1 if something is broken "
        "that the course needs.",
    )
    doctor_parser.set_defaults(run=doctor)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an output cannot show is a ? there, and ends no run
            stream.reconfigure(errors="replace")
    options, rest = parser.parse_known_args(arguments)
    options.line = "cl-explore " + " ".join(sys.argv[1:] if arguments is None else arguments)
    if rest and options.command != "lab":
        parser.error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        code = options.run(options, rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # what reads the output, such as head, has had enough; nor is the rest flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell says of a program that ended so
    except (ValueError, FileNotFoundError, FileExistsError, ModuleNotFoundError) as error:
        print(f"cl-explore {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def lab(options: argparse.Namespace, rest: list[str]) -> int:
    """Serve JupyterLab until it is stopped."""
    first, *_ = layout.find()
    root = first.parents[1]
    if options.folder or not layout.IN_CLONE:
        root = (options.folder or Path("cl_explore_course")).resolve()
        told = layout.lay_out(root, update=options.update)
        first = root / first.name
        print(f"the course is in {root}")
        if options.update:
            print("\n".join(f"{name}: {what}" for name, what in told.items()) or "all notebooks are up to date")
        elif outdated := [name for name, what in told.items() if what == layout.OUTDATED]:
            print(f"{layout.OUTDATED}: {', '.join(outdated)}; `cl-explore lab --update` brings them up to date")
    elif options.update:
        raise ValueError("--update is for notebooks that were laid out; those of a clone change with git pull")
    from jupyterlab.labapp import LabApp

    settings = {
        "ServerApp.root_dir": root,
        "ServerApp.kernel_websocket_connection_class": "cl_explore.app.connection.PromptConnection",
        # by its address, so that the link in the terminal leads to the notebook too
        "LabApp.default_url": f"/lab/tree/{first.relative_to(root).as_posix()}",
    }
    LabApp.launch_instance([*(f"--{name}={value}" for name, value in settings.items()), *rest])
    return 0


def course(options: argparse.Namespace, rest: list[str]) -> int:
    """Execute notebooks and report on them."""
    notebooks = layout.find(options.names)
    from cl_explore.app.course import run, summary

    start = time.perf_counter()
    results = run(notebooks, options.out, jobs=options.jobs, preset=options.preset, seed=options.seed)
    print(f"\npreset {options.preset}, {time.perf_counter() - start:.0f} s, pages in {options.out}/index.html")
    print(summary(results))
    return int(any(result.error for result in results))


def list_papers(options: argparse.Namespace, rest: list[str]) -> int:
    """Print what there is of each paper."""
    from cl_explore.app.coverage import table

    print(table())
    return 0


def study(options: argparse.Namespace, rest: list[str]) -> int:
    """Run one study and tell its rows and verdicts, or list the studies."""
    if options.slug is None:
        print("\n".join(f"{slug:34} {papers.get(slug).title}" for slug in papers.slugs() if papers.has(slug, "study")))
        return 0
    chosen = papers.study(options.slug)
    from cl_explore.claims import figures, page
    from cl_explore.claims import scorecard as records
    from cl_explore.claims.study import SEEDS

    changes = dict(_setting(text) for text in options.changes)
    seeds = SEEDS[options.preset][0] if options.seeds is None else options.seeds
    (record,) = records.run(
        [chosen], options.preset, seeds=seeds, jobs=options.jobs, command=options.line, changes=changes
    )
    written = records.write(record, options.out)
    picture = options.out / f"{options.slug}.png"
    figures.save(chosen.draw, record["rows"], picture)
    for table in page.tables(record):
        print(f"{table.to_string()}\n")
    print("\n".join(map(page.line, record["verdicts"])))
    print(f"\n{written} and {picture}")
    return 0


def _setting(text: str) -> tuple[str, object]:
    """NAME=VALUE: the value as JSON (5, 0.1, null), else as text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set must be NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def scorecard(options: argparse.Namespace, rest: list[str]) -> int:
    """Run studies and record them; the exit code says only whether they ran, not whether their claims hold."""
    from tqdm.auto import tqdm

    from cl_explore.claims import page
    from cl_explore.claims import scorecard as records

    card = Path("data/scorecard")
    standard = {"laptop": card, "real": card / "real", "smoke": Path("build/scorecard/smoke")}[options.preset]
    own = options.seeds is not None or options.seeds_from is not None  # not by the rule, or on other seeds
    out = standard if options.out is None and not own else options.out

    def done(record: records.Record) -> None:
        if out is not None:
            records.write(record, out)
        tqdm.write("\n".join([f"\n{record['title']}: {page.counts(record)}", *map(page.line, record["verdicts"])]))

    start = time.perf_counter()
    every = (papers.study(slug) for slug in papers.slugs() if papers.has(slug, "study"))
    found = records.run(
        [papers.study(slug) for slug in options.slugs] or [study for study in every if study.has(options.preset)],
        options.preset,
        seeds=options.seeds,
        seeds_from=options.seeds_from or 0,
        jobs=options.jobs,
        command=options.line,
        on_record=done,
    )
    claims = page.counts({"verdicts": [verdict for record in found for verdict in record["verdicts"]]})
    where = "not recorded (--out FOLDER does)" if out is None else f"recorded in {out}"
    print(f"\n{len(found)} studies in {time.perf_counter() - start:.0f} s, {where}; of their claims {claims}")
    return 0


def doctor(options: argparse.Namespace, rest: list[str]) -> int:
    """Check the installation."""
    from cl_explore.app.doctor import examine

    return examine()
