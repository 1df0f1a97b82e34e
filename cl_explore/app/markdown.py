"""Markdown as HTML that needs nothing else: formulas are MathML, and links between sources lead to their pages."""

import re
from collections import Counter
from html import unescape

from latex2mathml.converter import convert as mathml
from nbconvert.filters import markdown2html

HEADING = re.compile(r'<(h[1-6]) id="[^"]*">(.*?)<a class="anchor-link" [^>]*>[^<]*</a></\1>', re.DOTALL)
CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$((?:[^$\n]|\n(?!\n))+)\$", re.DOTALL)
SOURCE_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*?)\.(?:md|ipynb)((?:#[^)\s]*)?)\)")


def html(markdown: str) -> str:
    """Markdown, with formulas, as HTML."""
    return markdown2html(typeset(SOURCE_LINK.sub(r"](\1.html\2)", markdown)))


def anchored(page: str) -> str:
    """A page whose headings have the names that code hosts give them, no two the same.

    >>> anchored(html("# A `b`?")).strip()
    '<h1 id="a-b">A <code>b</code>?<a class="anchor-link" href="#a-b" aria-label="Link to this section">¶</a></h1>'
    """
    seen: Counter[str] = Counter()

    def heading(match: re.Match[str]) -> str:
        tag, title = match.groups()
        name = re.sub(r"[^\w\- ]", "", unescape(re.sub("<[^>]*>", "", title)).lower()).strip().replace(" ", "-")
        number = f"-{seen[name]}" if seen[name] else ""
        seen[name] += 1
        link = f'<a class="anchor-link" href="#{name}{number}" aria-label="Link to this section">¶</a>'
        return f'<{tag} id="{name}{number}">{title}{link}</{tag}>'

    return HEADING.sub(heading, page)


def typeset(markdown: str) -> str:
    """Markdown with its TeX formulas, between $ or $$, as MathML; code is left alone.

    A formula in a line may go on in the next one.

    >>> typeset("`$HOME` and $x$")
    '`$HOME` and <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>'
    """

    def formula(match: re.Match[str]) -> str:
        block, inline = match.groups()
        return mathml(block, display="block") if block else mathml(inline)

    pieces = CODE.split(markdown)
    pieces[::2] = [FORMULA.sub(formula, text) for text in pieces[::2]]
    return "".join(pieces)
