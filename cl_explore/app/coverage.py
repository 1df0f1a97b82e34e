"""The table of the papers and what there is of each, for the terminal and the README."""

import json
from collections import Counter

from cl_explore import papers
from cl_explore.app import layout

RECORDS = (layout.PACKAGE.parent / "data" if layout.IN_CLONE else layout.PACKAGE) / "scorecard"
COLUMNS = ("paper", "losses", "lesson", "study", "panel", "claims")


def rows() -> list[tuple[str, ...]]:
    """One line of text cells for each paper, in the order of COLUMNS; imports no study and no panel."""
    found = []
    for slug in papers.slugs():
        paper = papers.get(slug)
        parts = ("yes" if papers.has(slug, part) else "" for part in ("study", "panel"))
        found.append((slug, ", ".join(paper.losses), paper.lesson or "", *parts, verdicts(slug)))
    return found


def verdicts(slug: str) -> str:
    """What the recorded scorecard says of a paper's claims, such as "7 holds, 1 undecided"; "" without a record."""
    record = RECORDS / f"{slug}.json"
    if not record.exists():
        return ""
    words = Counter(claim["word"] for claim in json.loads(record.read_text(encoding="utf-8"))["verdicts"])
    return ", ".join(f"{words[word]} {word}" for word in ("holds", "fails", "undecided") if words[word])


def table() -> str:
    """The coverage of the papers, for a terminal."""
    lines = [COLUMNS, *rows()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def markdown() -> str:
    """The coverage of the papers, for the README."""
    cells = []
    for slug, losses, lesson, study, panel, claims in rows():
        paper = papers.get(slug)
        title = f"[{paper.title}](https://arxiv.org/abs/{paper.arxiv}), {paper.year}"
        named = ", ".join(f"`{name}`" for name in losses.split(", ") if name)
        cells.append((f"**{paper.name}**<br>{title}", named, lesson, study, panel, claims))
    lines = [COLUMNS, ("---",) * len(COLUMNS), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
