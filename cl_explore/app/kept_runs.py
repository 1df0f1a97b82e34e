"""`cl-explore runs`: the runs that the store keeps, from the command line."""

import argparse
from pathlib import Path

from cl_explore.disk import kept_runs, run_store

WIDTHS = (16, 6, 9, 24, 24, 6, 10, 4)  # letters of each column of the list


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Enter the command and its own commands."""
    parser = commands.add_parser(
        "runs",
        help="list, show, export or delete the runs that were kept",
        description="The runs that `fit` has kept in the store (CL_EXPLORE_RUNS, else the user's cache).",
    )
    parser.set_defaults(run=list_runs)
    parts = parser.add_subparsers(metavar="what to do (default: list them)")
    show_parser = parts.add_parser("show", help="all settings of a run, and how it ended")
    show_parser.set_defaults(run=show)
    export_parser = parts.add_parser("export", help="write its encoder for other programs")
    export_parser.add_argument("name", help="or the beginning of it")
    export_parser.add_argument("path", type=Path, help="ending in .pt, .safetensors, .pt2 or .onnx, or a folder's")
    export_parser.add_argument("--shape", help="of one sample, as 3,32,32: for .pt2 and .onnx")
    export_parser.set_defaults(run=export)
    delete_parser = parts.add_parser("delete", help="delete runs: one, or those that are old or large")
    delete_parser.add_argument("--days", type=float, help="those kept longer ago")
    delete_parser.add_argument("--megabytes", type=float, help="those that take more")
    delete_parser.set_defaults(run=delete)
    show_parser.add_argument("name", help="or the beginning of it")
    delete_parser.add_argument("name", nargs="?", help="or the beginning of it")


def list_runs(options: argparse.Namespace, rest: list[str]) -> int:
    """Print a line for each run, the newest first."""
    rows = kept_runs(run_store())
    lines = [
        [name, *(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values())]
        for name, row in rows.items()
    ]
    for line in [["run", *next(iter(rows.values()))], *lines] if rows else [["no runs are kept"]]:
        print("  ".join(text.ljust(width) for text, width in zip(line, WIDTHS, strict=False)).rstrip())
    return 0


def show(options: argparse.Namespace, rest: list[str]) -> int:
    """Print the method and settings of a run, its last step and what was measured last."""
    from cl_explore import train

    run = train.open_run(options.name)
    print(run.method)
    settings = {name: value for name, value in run.config.items() if name not in ("method", "objects", "source")}
    print("\n".join(f"{name}: {value}" for name, value in settings.items()))
    for table in (run.history, run.epochs):
        if len(table):
            print(f"\n{table.tail(1).to_string(index=False)}")
    return 0


def export(options: argparse.Namespace, rest: list[str]) -> int:
    """Write the encoder of a run to a file or folder."""
    from cl_explore import train

    try:
        shape = tuple(map(int, options.shape.split(","))) if options.shape else None
    except ValueError:
        raise ValueError(f"--shape must be whole numbers with commas between them, got {options.shape!r}") from None
    print(train.export(train.open_run(options.name), options.path, shape))
    return 0


def delete(options: argparse.Namespace, rest: list[str]) -> int:
    """Delete one run, or all that are older and larger than was said."""
    from cl_explore import train

    if (options.name is None) == (options.days is None and options.megabytes is None):
        raise ValueError("name one run, or say --days, --megabytes or both")
    table = train.runs()
    old_and_large = (table["days"] > (options.days or 0)) & (table["megabytes"] > (options.megabytes or 0))
    gone = list(table.index[old_and_large]) if options.name is None else [options.name]
    for name in gone:
        train.delete_run(name)
    print(f"{len(gone)} of {len(table)} runs deleted")
    return 0
