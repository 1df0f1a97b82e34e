"""Make build/site: course, panels, losses, scorecard and the library's interface under one roof, for a static host.

    python docs/site.py [--course build/course] [--out build/site]

`make site` executes the course first. Addresses are those of the repository: docs/losses.md becomes docs/losses.html,
and what a page links to or shows is copied beside it. A link that leads nowhere is an error.
"""

import argparse
import re
import runpy
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pdoc
import pdoc.render

from cl_explore.app import book, cells, markdown
from cl_explore.app.book import Site
from cl_explore.app.course import Result, run, summary, write

ROOT = Path(__file__).parents[1]
SECTIONS = [
    ("Course", "notebooks/index.html"),
    ("Panels", "docs/gallery.html"),
    ("Losses", "docs/losses.html"),
    ("Scorecard", "docs/scorecard.html"),
    ("Interface", "api/cl_explore.html"),
]
MORE = [
    ("Words", "notebooks/words.html"),
    ("Your own data and parts", "docs/own_data.html"),
    ("Your own embeddings", "docs/own_embeddings.html"),
    ("While it trains, and afterwards", "docs/training.html"),
    ("From a laptop to a cluster", "docs/scaling.html"),
    ("VarCon's tables", "docs/varcon_tables.html"),
    ("Data sets", "data/README.html"),
    ("Benchmarks", "benchmarks/README.html"),
    ("Beside its peers", "docs/comparison.html"),
    ("Taking part", "CONTRIBUTING.html"),
    ("Getting help", "SUPPORT.html"),
    ("Security", "SECURITY.html"),
    ("Changes", "CHANGELOG.html"),
]
CARDS = {
    "Course": ("docs/panels/RedrawPanel.png", "Chapters that ask, let you bet, and check every claim on the run."),
    "Panels": ("docs/panels/TemperaturePanel.png", "Drag a temperature and watch points move, here in the page."),
    "Losses": ("docs/losses/nt_xent.svg", "Each with its formula, its knobs and the way it pushes points."),
    "Scorecard": ("docs/scorecard/varcon.png", "What papers claim, tested at small scale over paired seeds."),
    "Interface": ("docs/panels/LossComparePanel.png", "Every function and class of the library, from its docstrings."),
}


class Page(HTMLParser):
    """Collects what a page links to or loads, and the places in it that can be linked to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.places: list[str] = []
        self.without_alt = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.targets += [found[name] or "" for name in ("href", "src") if name in found]
        self.places += [found["id"] or ""] if "id" in found else []
        self.without_alt += tag == "img" and "alt" not in found

    def local(self) -> list[tuple[str, str, str]]:
        """Each target that is not elsewhere, its file ("" for the page itself) and the place in it ("" for the top)."""
        here = [(target, *target.partition("#")) for target in self.targets if not re.match(r"\w+:|//", target)]
        return [(target, unquote(file), unquote(place)) for target, file, _, place in here]


def pages(folder: Path) -> dict[Path, Page]:
    """The pages of a written folder by their place."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}


def dangling(found: Mapping[Path, Page]) -> list[tuple[Path, str]]:
    """The pages of a folder with each target that leads to no file or to no place in it."""
    wrong = []
    for path, page in found.items():
        for target, file, place in page.local():
            end = (path.parent / file).resolve() if file else path.resolve()
            if not end.is_file() or (place and end in found and place not in found[end].places):
                wrong.append((path, target))
    return sorted(set(wrong))


def broken(folder: Path) -> list[str]:
    """What is wrong with a written folder: links within it that lead nowhere, and pictures without alt text."""
    found = pages(folder)
    return [f"{path.relative_to(folder)}: there is no {target}" for path, target in dangling(found)] + [
        f"{path.relative_to(folder)}: {page.without_alt} pictures without alt text"
        for path, page in found.items()
        if page.without_alt
    ]


def document(site: Site, source: Path, listed: Sequence[dict[str, str]], section: str = "") -> str:
    """The page of a Markdown file of the repository."""
    text = source.read_text(encoding="utf-8")
    if source.name == "README.md" and source.parent == ROOT:
        text = front(text)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    body = markdown.html(text)
    address = place(source)
    return site.page(
        address, title[1] if title else address, f'<div class="prose">{body}</div>', entries=listed, section=section
    )


def place(source: Path) -> str:
    """The address of the page of a Markdown file; the README is the first page."""
    return "index.html" if source == ROOT / "README.md" else source.relative_to(ROOT).with_suffix(".html").as_posix()


def named(sheet: Path) -> str:
    """The short name of a study, which stands in brackets at the end of its sheet's title."""
    title = sheet.read_text(encoding="utf-8").partition("\n")[0]
    return title.removeprefix("# ").rpartition("(")[2].replace(")", "")


def front(readme: str) -> str:
    """The README with cards that lead into the site, and without the table of panels, which has a page of its own."""
    cards = ""
    for name, address in SECTIONS:
        picture, text = CARDS[name]
        tall = " strip" if "panels" in picture else ""
        cards += f'<li><a href="{address}"><span class="picture{tall}"><img src="{picture}" alt=""></span>'
        cards += f"<h2>{name}</h2><p>{text}</p></a></li>"
    without = re.sub(r"<!-- the gallery.*?<!-- end of the gallery -->", "", readme, flags=re.DOTALL)
    return without.replace("## Two commands", f'<ul class="cards">{cards}</ul>\n\n## Two commands', 1)


def fields(docstring: str) -> str:
    """A docstring whose fields, one a line, are a list in Markdown.

    >>> fields("A loss.\\n\\nz: (B, D)\\nSource: Chen et al.")
    'A loss.\\n\\n- **z**: (B, D)\\n- **Source**: Chen et al.'
    """
    summary, blank, rest = docstring.partition("\n\n")
    rest, code, examples = rest.partition(">>> ")
    return (
        summary + blank + re.sub(r"^([A-Za-z_][\w`, *]*): ", r"- **\1**: ", rest, flags=re.MULTILINE) + code + examples
    )


def interface(out: Path, modules: Iterable[str]) -> None:
    """Write the pages of the library's modules."""
    pdoc.render.configure(docformat="markdown", template_directory=ROOT / "docs" / "api")
    pdoc.render.env.filters["fields"] = fields
    pdoc.pdoc(*modules, output_directory=out)
    for path, target in dangling(
        pages(out)
    ):  # members that pdoc mentions and does not show, such as those of a private base
        if "#" in target:
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f'href="{target}"', ""), encoding="utf-8")


def build(
    course: Path, gallery: Path, out: Path, modules: Sequence[str] = ("cl_explore", "!cl_explore.__main__")
) -> None:
    """Write the whole site.

    course: the folder of the executed notebooks.
    gallery: the executed notebook of the panels.
    modules: what the pages of the interface are about.
    """
    shutil.rmtree(out, ignore_errors=True)
    notebooks = sorted(course.glob("[0-9][0-9]_*.ipynb"))
    site = Site([book.chapter(path) for path in notebooks], SECTIONS, "notebooks/")
    (out / "notebooks").mkdir(parents=True)
    results = []
    for path, told in zip(notebooks, site.chapters, strict=True):
        executed = nbformat.read(path, as_version=4)
        seconds = executed.metadata.get("papermill", {}).get("duration", 0)
        results.append(Result(told.name, told.heading, seconds, None))
        write(out / "notebooks" / f"{path.stem}.html", site.chapter(executed, told))
        shutil.copy(path, out / "notebooks")
    settings = nbformat.read(notebooks[0], as_version=4).metadata.get("papermill", {}).get("parameters", {})
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    write(out / "notebooks" / "index.html", site.contents(results, listed))
    write(out / "notebooks" / "symbols.html", site.symbols())

    def save(address: str, html: str) -> None:
        (out / address).parent.mkdir(parents=True, exist_ok=True)
        write(out / address, html)

    everywhere = [{"title": title, "place": address} for title, address in [("Start", "index.html"), *SECTIONS, *MORE]]
    sheets = sorted((ROOT / "docs" / "scorecard").glob("*.md"))
    studies = [{"title": "Scorecard", "place": "docs/scorecard.html"}]
    studies += [{"title": named(sheet), "place": place(sheet)} for sheet in sheets]
    for name in ("README.md", "docs/losses.md", *(address.replace(".html", ".md") for _, address in MORE)):
        save(place(ROOT / name), document(site, ROOT / name, everywhere, place(ROOT / name)))
    for source in (ROOT / "docs" / "scorecard.md", *sheets):
        save(place(source), document(site, source, studies, "docs/scorecard.html"))
    panels = cells.html(nbformat.read(gallery, as_version=4))
    save(
        "docs/gallery.html",
        site.page(
            "docs/gallery.html",
            "The panels",
            f"<h1>The panels</h1>{panels}",
            entries=everywhere,
            section="docs/gallery.html",
        ),
    )
    site.furnish(out)
    for path, page in pages(out).items():
        for _, file, _ in page.local():
            target = (path.parent / file).resolve()
            source = ROOT / target.relative_to(out.resolve()) if target.is_relative_to(out.resolve()) else target
            if not target.exists() and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    interface(out / "api", modules)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--course", type=Path, default=ROOT / "build" / "course")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    options = parser.parse_args()
    folder = options.out.parent / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    unexecuted = folder / "unexecuted.ipynb"
    nbformat.write(runpy.run_path(str(ROOT / "docs" / "panels.py"))["notebook"](), unexecuted)
    results = run([unexecuted], folder / "pages")
    if results[0].error:
        print(summary(results))
        return 1
    build(options.course, folder / "pages" / "unexecuted.ipynb", options.out)
    wrong = broken(options.out)
    written = len(list(options.out.rglob("*.html")))
    print("\n".join([*wrong, f"{written} pages in {options.out}/index.html, {len(wrong)} links broken"]))
    return min(1, len(wrong))


if __name__ == "__main__":
    sys.exit(main())
