"""The reading edition: chapters, contents and search as a folder of pages that work without a network."""

import base64
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from cl_explore.app import cells, layout, markdown, pipeline, symbols
from cl_explore.app.cells import LOADER, OPENING, TEMPLATES
from cl_explore.app.symbols import Symbol


@dataclass(frozen=True)
class Chapter:
    """A notebook as a chapter.

    name: the stem of its file.
    heading: its first heading, or its name.
    number, title: what stands in the heading before and after the dot.
    question: the line in bold below the heading, "" without one.
    """

    name: str
    heading: str
    number: str
    title: str
    question: str


class Heading(NamedTuple):
    """A heading of a page, with the words from it to the next one."""

    level: int
    id: str
    title: str
    text: str


def chapter(notebook: Path) -> Chapter:
    """The chapter of a notebook, which need not have been executed."""
    cells = nbformat.read(notebook, as_version=4).cells
    for cell in cells:
        if cell.cell_type == "markdown" and (opening := OPENING.match(cell.source)):
            number, title, question = (part or "" for part in opening.group("number", "title", "question"))
            return Chapter(notebook.stem, " · ".join(filter(None, [number, title])), number, title, question)
    return Chapter(notebook.stem, notebook.stem, "", notebook.stem, "")


@dataclass
class Site:
    """A folder of pages with one frame.

    chapters: the course, in order.
    sections: titles and addresses of the other parts.
    folder: where the course is, "" or "notebooks/"; addresses are counted from the site's root.
    found: what was said on the pages made so far, for the search.
    pictures: the first picture of each chapter made so far, as base64.
    """

    chapters: Sequence[Chapter]
    sections: Sequence[tuple[str, str]] = ()
    folder: str = ""
    found: dict[str, tuple[str, list[Heading]]] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def page(
        self, address: str, title: str, body: str, *, entries: Sequence[Mapping[str, str]] = (), section: str = ""
    ) -> str:
        """A whole page: the body in its frame.

        entries: what the contents at the side list (place, title, number); the chapters if empty.
        section: the address of the section that it belongs to.
        """
        body = markdown.anchored(body)
        headings = outline(body)
        self.found[address] = (title, headings)
        listed = entries or [
            {"place": f"{self.folder}{each.name}.html", "title": each.title, "number": each.number}
            for each in self.chapters
        ]
        return TEMPLATES.get_template("page.html.j2").render(
            site=self,
            address=address,
            root="../" * address.count("/"),
            title=title,
            body=body,
            entries=listed,
            section=section,
            headings=[heading for heading in headings if heading.level == 2 and heading.id],
        )

    def chapter(self, notebook: NotebookNode, told: Chapter, error: str | None = None) -> str:
        """The page of an executed notebook; what stopped it stands at the top."""
        place = self.chapters.index(told)
        known = symbols.meanings(told.name[3:])
        used = symbols.used(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        self.pictures.update((told.name, picture) for picture in cells.pictures(notebook)[:1])
        body = TEMPLATES.get_template("chapter.html.j2").render(
            chapter=told,
            error=error,
            drawing=pipeline.drawing(layout.parts().get(told.name[3:], ())),
            cells=cells.html(notebook, self.leads_on),
            symbols=self.rows(symbol for letter, symbol in known.items() if letter in used),
            before=self.chapters[place - 1] if place else None,
            after=self.chapters[place + 1] if place + 1 < len(self.chapters) else None,
        )
        return self.page(f"{self.folder}{told.name}.html", told.heading, body, section=f"{self.folder}index.html")

    def leads_on(self, file: str) -> bool:
        """Whether a file that a chapter links to is one of the site: a chapter, or anything where the site has more."""
        return file in {f"{each.name}.ipynb" for each in self.chapters} or bool(self.folder and file.startswith("../"))

    def rows(self, listed: Iterable[Symbol]) -> list[dict[str, Any]]:
        """Symbols as the pages show them, each once."""
        chapters = {each.name[3:]: each for each in self.chapters}
        return [
            {
                "tex": markdown.html(f"${symbol.tex}$"),
                "meaning": markdown.html(symbol.meaning),
                "chapter": chapters.get(symbol.lesson),
                "only": symbol.only,
            }
            for symbol in dict.fromkeys(listed)
        ]

    def symbols(self) -> str:
        """The page of all symbols."""
        body = TEMPLATES.get_template("symbols.html.j2").render(symbols=self.rows(symbols.read()))
        return self.page(f"{self.folder}symbols.html", "Symbols", body, section=f"{self.folder}index.html")

    def contents(self, results: Iterable[Any], parameters: str) -> str:
        """The page that invites: a picture and a question a chapter, and what became of each."""
        cards = [
            {
                "chapter": told,
                "result": result,
                "picture": f"pictures/{told.name}.png" if told.name in self.pictures else "",
                "strip": told.name in self.pictures and is_strip(self.pictures[told.name]),
                "drawing": pipeline.drawing(layout.parts().get(told.name[3:], ())),
            }
            for told, result in zip(self.chapters, results, strict=True)
        ]
        body = TEMPLATES.get_template("contents.html.j2").render(
            cards=cards, drawing=pipeline.drawing(pipeline.PARTS), parameters=parameters
        )
        address = f"{self.folder}index.html"
        return self.page(address, "The course", body, section=address)

    def furnish(self, root: Path) -> None:
        """Write what all pages share: style, script, the index of the search and the pictures of the contents."""
        for name in ("book.css", "book.js"):
            (root / name).write_text(LOADER.get_source(TEMPLATES, name)[0], encoding="utf-8")
        index = [
            [address + (f"#{heading.id}" if heading.level > 1 else ""), title, heading.title, heading.text]
            for address, (title, headings) in sorted(self.found.items())
            for heading in headings
        ]
        text = f"var searchIndex = {json.dumps(index, ensure_ascii=False)};\n"
        (root / "search.js").write_text(text, encoding="utf-8", errors="replace")
        folder = root / self.folder / "pictures"
        folder.mkdir(exist_ok=True)
        for name, picture in self.pictures.items():
            (folder / f"{name}.png").write_bytes(base64.b64decode(picture))


def is_strip(picture: str) -> bool:
    """Whether a picture, PNG as base64, is more than three times as wide as it is high."""
    width, height = struct.unpack(">2I", base64.b64decode(picture)[16:24])
    return width > 3 * height


def outline(html: str) -> list[Heading]:
    """The headings of a page's body with what is said below each; code, styles and drawings are left out."""
    reader = Outline()
    reader.feed(html)
    return [
        Heading(level, id, " ".join(title.split()), " ".join(text.split())) for level, id, title, text in reader.said
    ]


class Outline(HTMLParser):
    """Collects level, id, title and text of every heading of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[list[Any]] = []
        self.ignored = 0
        self.in_heading = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("h1", "h2", "h3"):
            self.said.append([int(tag[1]), dict(attributes).get("id") or "", "", ""])
            self.in_heading = True
        self.ignored += tag in ("pre", "script", "style", "svg", "nav")

    def handle_endtag(self, tag: str) -> None:
        self.in_heading = self.in_heading and tag not in ("h1", "h2", "h3")
        self.ignored -= tag in ("pre", "script", "style", "svg", "nav")

    def handle_data(self, data: str) -> None:
        if self.said and not self.ignored and data != "¶":
            self.said[-1][2 if self.in_heading else 3] += data if self.in_heading else f"{data} "
