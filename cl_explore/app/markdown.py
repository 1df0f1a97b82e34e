"""Markdown as HTML that needs nothing else: formulas are MathML, and links between sources lead to their pages."""

import re

from latex2mathml.converter import convert as mathml
from nbconvert.filters import markdown2html

SOURCE_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*?)\.(?:md|ipynb)((?:#[^)\s]*)?)\)")


def html(markdown: str) -> str:
    """Markdown, with formulas, as HTML."""
    return markdown2html(typeset(SOURCE_LINK.sub(r"](\1.html\2)", markdown)))


def typeset(markdown: str) -> str:
    """Markdown with its TeX formulas, between $ or $$, as MathML; code is left alone.

    >>> typeset("`$HOME` and $x$")
    '`$HOME` and <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>'
    """

    def formula(match: re.Match[str]) -> str:
        block, inline = match.groups()
        return mathml(block, display="block") if block else mathml(inline)

    pieces = re.split(r"(```.*?```|`[^`]*`)", markdown, flags=re.DOTALL)
    pieces[::2] = [re.sub(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", formula, text, flags=re.DOTALL) for text in pieces[::2]]
    return "".join(pieces)
