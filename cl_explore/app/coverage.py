"""The table of the papers and what there is of each, for the terminal and the README."""

import json
from collections import Counter
from functools import cache
from typing import Any

from cl_explore import papers
from cl_explore.app import layout

RECORDS = (layout.PACKAGE.parent / "data" if layout.IN_CLONE else layout.PACKAGE) / "scorecard"
COLUMNS = ("paper", "losses", "lesson", "study", "panel", "claims", "seeds")


def rows() -> list[tuple[str, ...]]:
    """One line of text cells for each paper, in the order of COLUMNS; imports no study and no panel."""
    found = []
    for slug in papers.slugs():
        paper = papers.get(slug)
        parts = ("yes" if papers.has(slug, part) else "" for part in ("study", "panel"))
        found.append((slug, ", ".join(paper.losses), paper.lesson or "", *parts, verdicts(slug), seeds(slug)))
    return found


def verdicts(slug: str) -> str:
    """What the recorded scorecard says of a paper's claims, such as "7 holds, 1 undecided"; "" without a record."""
    words = Counter(claim["word"] for claim in _claims(slug))
    return ", ".join(f"{words[word]} {word}" for word in ("holds", "fails", "undecided") if words[word])


def seeds(slug: str) -> str:
    """How many seeds a paper's claims took on the recorded scorecard, such as "5 or 20"; "" without a record."""
    return " or ".join(map(str, sorted({claim["seeds"] for claim in _claims(slug)})))


@cache
def _claims(slug: str) -> list[dict[str, Any]]:
    records = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.rglob(f"{slug}.json")))
    return [claim for record in records for claim in record["verdicts"]]


def table() -> str:
    """The coverage of the papers, for a terminal."""
    lines = [COLUMNS, *rows()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def markdown() -> str:
    """The coverage of the papers, for the README: the claims link to the page of the scorecard."""
    cells = []
    for slug, losses, lesson, study, panel, claims, taken in rows():
        paper = papers.get(slug)
        title = f"[{paper.title}](https://arxiv.org/abs/{paper.arxiv}), {paper.year}"
        named = ", ".join(f"`{name}`" for name in losses.split(", ") if name)
        found = f"[{claims}](docs/scorecard/{slug}.md)" if claims else ""
        cells.append((f"**{paper.name}**<br>{title}", named, lesson, study, panel, found, taken))
    lines = [COLUMNS, ("---",) * len(COLUMNS), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
