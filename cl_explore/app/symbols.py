"""The symbols of the course, from notebooks/symbols.toml: their meanings, where they come first, which a page uses."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cl_explore.app import layout
from cl_explore.app.markdown import CODE, FORMULA

GREEK = "alpha beta gamma delta epsilon eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega Delta Sigma ell"
WORDS = re.compile(r"\\(?:text|mathrm|operatorname)\{[^}]*\}|(?<![a-zA-Z\\])e(?=\^)")  # and Euler's number
LETTER = re.compile(r"\\math(?:cal|bb)(?: |\{)?[A-Z]|\\[a-zA-Z]+|[A-Za-z]")


@dataclass(frozen=True)
class Symbol:
    """A symbol, or several that belong together.

    tex: how it is written, such as s_{ij}.
    meaning: Markdown.
    lesson: the slug of the lesson that introduces it.
    only: whether it has this meaning in that lesson alone.
    """

    tex: str
    meaning: str
    lesson: str
    only: bool

    @property
    def letters(self) -> list[str]:
        """The letters that it defines; those of indices are others' matter."""
        return [letters(part)[0] for part in self.tex.split(", ")]


def letters(tex: str) -> list[str]:
    r"""The letters that stand for something in a formula, in order.

    >>> letters(r"\frac1\tau \log e^{s_i} + \mathcal L_\text{out}")
    ['\\tau', 's', 'i', '\\mathcal L']
    """
    found = (letter.replace("{", " ") for letter in LETTER.findall(WORDS.sub(" ", tex)))
    return [each for each in found if not each.startswith("\\") or each[1:] in GREEK.split() or "\\math" in each]


def used(texts: Iterable[str]) -> set[str]:
    """The letters in the formulas of Markdown texts."""
    formulas = (block or inline for text in texts for block, inline in FORMULA.findall(CODE.sub("", text)))
    return {letter for formula in formulas for letter in letters(formula)}


@cache
def read() -> list[Symbol]:
    """All symbols, in the order of the file."""
    table = tomllib.loads((layout.NOTEBOOKS / "symbols.toml").read_text(encoding="utf-8"))
    found = []
    for lesson, entries in table.items():
        local = entries.pop("only", {})
        found += [Symbol(tex, meaning, lesson, False) for tex, meaning in entries.items()]
        found += [Symbol(tex, meaning, lesson, True) for tex, meaning in local.items()]
    return found


def meanings(slug: str) -> dict[str, Symbol]:
    """What each letter means in a lesson: what it alone says, else what was introduced up to it."""
    order = list(layout.parts())
    if slug not in order:
        return {}
    until = order[: order.index(slug) + 1]
    everywhere = [symbol for symbol in read() if not symbol.only and symbol.lesson in until]
    here = [symbol for symbol in read() if symbol.only and symbol.lesson == slug]
    return {letter: symbol for symbol in everywhere + here for letter in symbol.letters}
