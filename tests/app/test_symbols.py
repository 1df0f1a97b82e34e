"""Every symbol of a lesson is defined, where it is said to be introduced, and with one meaning."""

from collections import Counter

import lessons
import pytest

from cl_explore.app import layout, symbols

# letters that papers use for different things; a lesson says its own meaning, and this list may only shrink
REUSED = {"k", "n", "p", "q", "r", "u", "w", r"\gamma", r"\tau"}
SLUGS = list(layout.parts())


def letters_of(slug: str) -> set[str]:
    notebook = lessons.unnumbered(layout.NOTEBOOKS / "src" / f"{slug}.py")
    return symbols.used(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_letters_of_a_formula() -> None:
    assert symbols.letters(r"s_{ij} = z_i^\top z_j") == ["s", "i", "j", "z", "i", "z", "j"]
    assert symbols.letters(r"\mathrm{KL}(p) - \text{ELBO} \le \max e^x") == ["p", "x"]
    assert symbols.letters(r"\mathbb{E} \mathcal L e_y") == [r"\mathbb E", r"\mathcal L", "e", "y"]
    assert symbols.used(["`$a$` and $b$, $$c\n= d$$", "```\n$x$\n```"]) == {"b", "c", "d"}


@pytest.mark.parametrize("slug", SLUGS)
def test_every_symbol_of_a_lesson_is_defined(slug: str) -> None:
    assert letters_of(slug) - symbols.meanings(slug).keys() == set()


def test_a_symbol_has_one_meaning() -> None:
    everywhere = Counter(letter for symbol in symbols.read() if not symbol.only for letter in symbol.letters)
    assert max(everywhere.values()) == 1
    defined = Counter(letter for symbol in symbols.read() for letter in symbol.letters)
    assert {letter for letter, count in defined.items() if count > 1} == REUSED


@pytest.mark.parametrize("symbol", symbols.read(), ids=lambda symbol: f"{symbol.lesson}: {symbol.tex}")
def test_a_symbol_occurs_where_it_is_introduced(symbol: symbols.Symbol) -> None:
    assert symbol.lesson in SLUGS
    assert set(symbol.letters) <= letters_of(symbol.lesson)
