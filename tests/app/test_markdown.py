"""Markdown of lessons and documents: every formula is set, and links and headings are those of pages."""

import lessons
import pytest

from cl_explore.app import layout, markdown


def test_links_between_sources_lead_to_pages() -> None:
    assert 'href="b/README.html#c"' in markdown.html("[a](b/README.md#c)")
    assert 'href="https://host/a.md"' in markdown.html("[a](https://host/a.md)")


def test_headings_of_one_name_get_different_places() -> None:
    page = markdown.anchored(markdown.html("## Same `x`\n\n## Same x"))
    assert [f'<h2 id="{name}">' in page for name in ("same-x", "same-x-1")] == [True, True]


def test_a_formula_may_break_over_a_line_but_not_over_a_paragraph() -> None:
    assert markdown.typeset("$a +\nb$").startswith("<math")
    assert markdown.typeset("5 $ and\n\n6 $") == "5 $ and\n\n6 $"


@pytest.mark.parametrize("slug", layout.parts())
def test_no_dollar_is_left_over_in_a_lesson(slug: str) -> None:
    notebook = lessons.unnumbered(layout.NOTEBOOKS / "src" / f"{slug}.py")
    for cell in (cell for cell in notebook.cells if cell.cell_type == "markdown"):
        assert "$" not in "".join(markdown.CODE.split(markdown.typeset(cell.source))[::2])
