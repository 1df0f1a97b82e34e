"""The numbers that the prose of a lesson quotes, and where on its page they come from.

A number in a sentence is one that the page shows (in an output above it, of its section), or one of the page's code and
formulas, or the sentence cites a paper. Exercises give numbers of their own and are left out, as are references.
"""

import re
from collections.abc import Iterator
from html import unescape

from nbformat import NotebookNode

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.DOTALL)
NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->|<[^>]*>"  # code, links, marks
    r"|^#.*?$|^\|.*?$|^\*\*Next:.*?$",  # headings, tables
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.,-])(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?([ \u00a0]?%)?(?!\w)")
SHARES = {"half": 1 / 2, "a third": 1 / 3, "two thirds": 2 / 3, "a quarter": 1 / 4, "three quarters": 3 / 4}
SHARE = re.compile(rf"\b({'|'.join(SHARES)})\b", re.IGNORECASE)
SHARE_WITHIN = 0.05  # what lies no further from 3/4 may be called three quarters
CITES = re.compile(r"\b(?:19|20)\d\d\b|\]\(https://arxiv\.org/")
SENTENCE = re.compile(r"(?<=[.:?!)*])\s+(?=[A-Z*(\"“])|\n\n")
LAST = re.compile(r"^## (?:Exercises|References)", re.MULTILINE)

Number = tuple[str, float, float]
"""As it is written, its value (80 % is 0.8), and how far another may lie from it that is the same when rounded."""


def numbers(text: str) -> Iterator[Number]:
    """The numbers of a text in digits.

    >>> [(text, value) for text, value, _ in numbers("of 2,000 pictures .61, which is 61 %")]
    [('2,000', 2000.0), ('.61', 0.61), ('61 %', 0.61)]
    """
    for match in NUMBER.finditer(text):
        whole, decimals, percent = match.groups()
        if whole or decimals:
            unit = 0.01 if percent else 1.0
            value = float((whole or "").replace(",", "") + (decimals or "")) * unit
            yield match[0], value, unit * 0.5 * 0.1 ** (len(decimals or ".") - 1)


def quoted(sentence: str) -> Iterator[Number]:
    """The numbers of a sentence, in digits or as a share in words."""
    yield from numbers(sentence)
    for match in SHARE.finditer(sentence):
        yield match[0], SHARES[match[0].lower()], SHARE_WITHIN


def values(*texts: str) -> list[float]:
    """The values of all numbers of the texts."""
    return [value for text in texts for _, value, _ in numbers(text)]


def shown(cell: NotebookNode) -> Iterator[str]:
    """What the outputs of a cell say; a question to bet on is no result."""
    if "bet(" in cell.source and ".settle(" not in cell.source:
        return
    for output in cell.outputs:
        data = output.get("data", {})
        yield output.get("text") or data.get("text/plain", "")
        page = re.sub(r"<style.*?</style>", "", data.get("text/html", ""), flags=re.DOTALL)
        yield unescape(re.sub(r"<[^>]*>", " ", page))


def stray(notebook: NotebookNode) -> list[str]:
    """The numbers of the prose that come from nowhere on the page, each with its sentence."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    settings = values(*code, *(formula for text in prose for formula in FORMULA.findall(text)))
    results: list[float] = []
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            results += values(*shown(cell))
            continue
        for number, section in enumerate(re.split(r"^(?=## )", cell.source, flags=re.MULTILINE)):
            if LAST.match(section):
                return found
            if number:
                results = []
            for sentence in SENTENCE.split(section):
                words = " ".join(NOT_PROSE.sub(" ", FORMULA.sub(" ", sentence)).split())
                for text, value, within in quoted(words) if not CITES.search(sentence) else ():
                    if all(abs(value - other) > within * (1 + 1e-6) for other in [*settings, *results]):
                        found.append(f"{text} in: {words}")
    return found
