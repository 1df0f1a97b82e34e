"""The reading edition: what a page shows, folds and leaves out, and what stands around it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cl_explore.app import book, cells, course, layout, pipeline
from cl_explore.app.book import Chapter, Site

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FIRST = Chapter("00_first", "00 · First", "00", "First", "Why first?")
NEXT = Chapter("01_next", "01 · Next", "01", "Next", "Why then?")


def picture() -> NotebookNode:
    return new_output("display_data", {"image/png": PNG}, metadata={"image/png": {"alt": 'a "red" dot'}})


def page(*cells: NotebookNode, told: Chapter = FIRST, error: str | None = None) -> str:
    return Site([FIRST, NEXT]).chapter(new_notebook(cells=list(cells)), told, error)


class Tags(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_a_chapter_is_read_from_its_first_heading(tmp_path: Path) -> None:
    def told(text: str) -> tuple[str, ...]:
        nbformat.write(new_notebook(cells=[new_code_cell("1"), new_markdown_cell(text)]), tmp_path / "03_x.ipynb")
        found = book.chapter(tmp_path / "03_x.ipynb")
        return found.heading, found.number, found.title, found.question

    assert told("# 03 · A x\n\n**Why x?**\n\nText.") == ("03 · A x", "03", "A x", "Why x?")
    assert told("# Plain\n\nText, and **not asked?**") == ("Plain", "", "Plain", "")
    assert told("no heading") == ("03_x", "", "03_x", "")


def test_pages_ask_nothing_of_the_web() -> None:
    """Formulas are in the page itself, and nothing on it is loaded from another host."""
    html = page(new_markdown_cell(r"Let $\tau \to 0$: $$\sum_i e^{s_i/\tau}$$ but not `$HOME`."))
    assert html.count("<math") == 2
    assert "$HOME" in html
    assert not re.search(r"""<(script|link|img)[^>]*(src|href)=["']?(https?:)?//""", html)


def test_links_between_notebooks_lead_to_pages_that_there_are() -> None:
    text = (
        "[next](01_next.ipynb), [absent](07_absent.ipynb), [up](../a/b.md#c), [elsewhere](https://host/01_next.ipynb)"
    )
    html = page(new_markdown_cell(text))
    assert '<a href="01_next.html">next</a>, absent, up,' in html
    assert 'href="https://host/01_next.ipynb"' in html


def test_a_page_has_landmarks_and_one_heading_and_leads_on() -> None:
    html = page(new_markdown_cell("# 00 · First\n\n**Why first?**\n\nSo."), new_markdown_cell("**Next**", id="next"))
    tags = Tags(html)
    assert [len(tags.all(tag)) for tag in ("main", "h1")] == [1, 1]
    assert tags.all("html") == [{"lang": "en"}]
    assert tags.all("a")[0] == {"class": "skip", "href": "#main"}
    assert {each["aria-label"] for each in tags.all("nav")} == {"Contents", "Previous and next"}
    turns = {each["rel"]: each["href"] for each in tags.all("a") if "rel" in each}
    assert turns == {"next": "01_next.html"}
    current = [each["href"] for each in tags.all("a") if each.get("aria-current")]
    assert current == ["00_first.html"]
    assert html.count("Why first?") == 1
    assert "<strong>Next</strong>" not in html, "the frame says it"


@pytest.mark.parametrize(
    ("source", "metadata", "folded"),
    [
        ("preset: str = 'laptop'", {"tags": ["parameters"]}, "Parameters and imports"),
        ("import torch\n\nplots.use()", {}, "Parameters and imports"),
        ("first = bet(\n    'Why?', ['a', 'b'])\nfirst", {}, "Code of this bet"),
        ("figure = plots.circle(z)\nplots.show(figure, alt='Points')", {}, "Code of this picture"),
        ("axes = 1", {"jupyter": {"source_hidden": True}}, "Code of this picture"),
        ("z = 1\nplots.show(plots.circle(z))", {}, ""),
        ("def f(:", {}, ""),
        ("", {}, ""),
    ],
)
def test_setup_bets_and_plots_are_folded(source: str, metadata: dict, folded: str) -> None:
    html = page(new_code_cell(source, metadata=metadata))
    assert cells.fold(new_code_cell(source, metadata=metadata)) == folded
    assert re.findall(r'<details class="code"><summary>(.*?)</summary>', html) == ([folded] if folded else [])


def test_what_sets_up_is_folded_once() -> None:
    html = page(
        new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
        new_code_cell("seed = 7", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("import torch"),
    )
    assert html.count("<details") == 1
    assert html.index("<summary>") < html.index(">7<") < html.index("torch")


def test_claims_and_errors_stand_out() -> None:
    error = new_output(
        "error", ename="AssertionError", evalue="one is <less>", traceback=["\x1b[31mone is <less>\x1b[0m"]
    )
    html = page(new_code_cell("assert 1 > 2", metadata={"tags": ["claim"]}, outputs=[error]), error="cell 1\n<less>")
    assert 'class="cell claim"' in html
    assert "one is &lt;less&gt;" in html
    assert '<a href="#failed">in this cell</a><pre>cell 1\n&lt;less&gt;</pre>' in html
    assert html.count('id="failed"') == 1
    marker = new_markdown_cell("An Exception", metadata={"tags": ["papermill-error-cell-tag"]})
    assert "An Exception" not in page(marker)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two chapters, the second of which failed, with contents and search."""
    made = Site([FIRST, NEXT])
    for told, error in ((FIRST, None), (NEXT, "cell 2 of 3: x\nValueError: <x>")):
        text = "## Why τ?\n\nBecause of `tau`.\n\n```\nsecret\n```\n\n### A <b>detail</b>\n\nSmall."
        notebook = new_notebook(cells=[new_markdown_cell(text), new_code_cell("1", outputs=[picture()])])
        course.write(tmp_path / f"{told.name}.html", made.chapter(notebook, told, error))
    results = [course.Result(told.name, told.heading, 1.6, error) for told, error in ((FIRST, None), (NEXT, "<x>"))]
    course.write(tmp_path / "index.html", made.contents(results, "preset = smoke"))
    course.write(tmp_path / "symbols.html", made.symbols())
    made.furnish(tmp_path)
    return tmp_path


def test_contents_invite_with_a_picture_and_a_question_a_chapter(site: Path) -> None:
    html = (site / "index.html").read_text(encoding="utf-8")
    assert [each["src"] for each in Tags(html).all("img")] == ["pictures/00_first.png", "pictures/01_next.png"]
    assert (site / "pictures" / "00_first.png").read_bytes().startswith(b"\x89PNG")
    assert "Why first?" in html
    assert "failed in &lt;x&gt;" in html
    assert "Executed with preset = smoke" in html


def test_search_knows_every_section_by_address_title_and_text(site: Path) -> None:
    text = (site / "search.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("var searchIndex = ").removesuffix(";\n"))
    assert ["00_first.html#why-τ", "00 · First", "Why τ?", "Because of tau ."] in index
    assert ["A detail", "Small."] in [entry[2:] for entry in index]
    assert "secret" not in text


def test_all_that_a_page_links_to_is_there(site: Path) -> None:
    pages = {path.name: Tags(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}
    assert len(pages) == 4
    for name, tags in pages.items():
        for tag, attribute in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
            for target in (each.get(attribute) or "" for each in tags.all(tag)):
                file = target.partition("#")[0]
                assert not file or file.startswith("data:") or (site / file).exists() or file.endswith(".ipynb"), (
                    name,
                    target,
                )


def test_the_drawing_lights_up_the_part_that_a_chapter_is_about() -> None:
    drawing = pipeline.drawing(["views", "loss"])
    assert (drawing.count('class="lit"'), drawing.count('class="dim"')) == (2, 3)
    assert "Lit up: views, loss." in drawing
    with pytest.raises(ValueError, match=r"unknown part 'los'; did you mean 'loss'\?"):
        pipeline.drawing(["los"])


def test_every_lesson_is_about_a_part() -> None:
    told = layout.parts()
    assert set(told) == {path.stem[3:] for path in layout.find()}
    assert all(parts and set(parts) <= set(pipeline.PARTS) for parts in told.values())


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_of_text_stands_out_from_every_ground(scheme: int) -> None:
    css = (layout.PACKAGE / "app" / "templates" / "book.css").read_text(encoding="utf-8")
    named = {name: pair for name, *pair in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);", css)}
    code = re.findall(r"^\.highlight.*color: light-dark\((#\w{6}), (#\w{6})\)", css, re.MULTILINE)
    texts = [named[name][scheme] for name in ("ink", "muted", "accent", "good", "bad")]
    for text in texts + [pair[scheme] for pair in code]:
        for ground in ("paper", "wash"):
            low, high = sorted([luminance(text), luminance(named[ground][scheme])])
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {ground}"
