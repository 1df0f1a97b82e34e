"""Make docs/panels/*.png and the README's gallery from the gallery and the screenshots of the browser tests.

    python docs/panels.py

`make test-browser` takes the screenshots; `make screens` runs its gallery alone and then this.
"""

import runpy
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from cl_explore import papers

HERE = Path(__file__).parent
SCREENS = HERE.parent / "build" / "screens"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- the gallery, written by make screens -->", "<!-- end of the gallery -->"


def keep(screen: Image.Image, file: Path) -> None:
    """Write a picture of a page in 256 colours: a third of the bytes."""
    # by median cut, as other ways tint pale surfaces
    small = screen.convert("RGB").quantize(method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


def library() -> NotebookNode:
    """The panels of docs/gallery.py, which belong to no paper, as a notebook that is not executed."""
    return runpy.run_path(str(HERE.parent / "notebooks" / "lessons.py"))["unnumbered"](HERE / "gallery.py")


def of_papers() -> NotebookNode:
    """The panels of papers, one of each that has one."""
    cells = []
    for slug in papers.slugs():
        if papers.has(slug, "panel"):
            panel = papers.panel(slug)
            sentence = (panel.__doc__ or "").partition("\n")[0]
            cells.append(new_markdown_cell(f"## {panel.__name__}\n\n{sentence}"))
            cells.append(new_code_cell(f"from {panel.__module__} import {panel.__name__}\n\n{panel.__name__}()"))
    return new_notebook(cells=cells, metadata=library().metadata)


def notebook() -> NotebookNode:
    """The gallery as a notebook, not executed: the library's panels, then those of papers."""
    found = library()
    found.cells += of_papers().cells
    return found


def examples(shown: NotebookNode) -> dict[str, str]:
    """The sentence on every panel of a notebook of them, by the panel's name, in order."""
    sections = (cell.source[3:].split("\n\n") for cell in shown.cells if cell.source.startswith("## "))
    return {name: " ".join(text.split()) for name, text in sections}


def section() -> str:
    """The README's gallery, two panels in a row."""
    shown = [
        f"![{text}](docs/panels/{name}.png)<br>**`{name}`**: {text}" for name, text in examples(notebook()).items()
    ]
    rows = [f"| {' | '.join([*shown[i : i + 2], ''][:2])} |" for i in range(0, len(shown), 2)]
    return "\n".join([BEGIN, "| | |", "|---|---|", *rows, "", END])


def main() -> None:
    (HERE / "panels").mkdir(exist_ok=True)
    for old in (HERE / "panels").glob("*.png"):
        old.unlink()
    for name in examples(notebook()):
        with Image.open(SCREENS / f"{name}.png") as screen:
            keep(screen, HERE / "panels" / f"{name}.png")
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(before + section() + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
