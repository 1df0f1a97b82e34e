"""`cl-explore report`: look at embeddings of your own."""

import argparse
from pathlib import Path

from cl_explore.disk import whole


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Enter the command."""
    parser = commands.add_parser(
        "report",
        help="look at embeddings of your own: geometry, duplicates, outliers, wrong labels",
        description="Read embeddings from a .npy, .npz, .csv, .parquet or .safetensors file and write one page about "
        "them: a map, their geometry, near-duplicates, outliers, labels that are probably wrong, hubs and clusters.",
    )
    parser.add_argument("file", type=Path)
    for name, what in (("labels", "class"), ("images", "path of a picture"), ("texts", "text")):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"the column (or array) that holds the {what} of each")
    parser.add_argument("--layout", choices=("umap", "pca"), default="umap", help="of the map (default: umap)")
    parser.add_argument("-o", "--out", type=Path, default=Path("report.html"), help="default: report.html")
    parser.set_defaults(run=report)


def report(options: argparse.Namespace, rest: list[str]) -> int:
    """Write the page; nothing is written unless it is whole."""
    if not options.out.parent.is_dir():
        raise FileNotFoundError(f"--out must lie in a folder that is there, but {options.out.parent} is none")
    from cl_explore.data import read_vectors

    vectors = read_vectors(options.file, options.labels, images=options.images, texts=options.texts)
    from cl_explore.app.report_page import page  # takes seconds, which a file that cannot be read need not wait for

    text = page(vectors, options.file.name, options.layout)
    with whole(options.out) as new:
        new.write_text(text, encoding="utf-8")
    print(f"{options.out}: {len(text) / 1e6:.1f} MB")
    return 0
