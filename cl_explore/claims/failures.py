"""The page of what failed: each claim that did with what it teaches, then what is undecided."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cl_explore.claims.page import agreeing, found, markdown, near, other, stem, title, wanted
from cl_explore.claims.scorecard import Record
from cl_explore.claims.verdict import LOOKS

HEAD = """# What failed, and what that teaches

{failed} of {count} claims failed. A claim fails if the whole interval of the difference lies where the claim does not
put it, which has four kinds: {kinds}. In the first, there was less to see than the claim asked for; a failed
*negative* claim is one that we made against a method, or against its paper. What is said under a claim is what its
record lets conclude, or a look at further seeds that is called so. Numbers are means over all seeds of the record,
which may be more than the verdict needed. All this is about a small world and small networks before it is about the
paper. *Near* marks a verdict whose interval is near the border of the claim.
"""

UNDECIDED = """## Undecided

{undecided} claims have an interval on both sides of their border, all after the {most} seeds that the rule
[asks](../scorecard.md#how-many-seeds) for.
"""

KINDS = ("in the direction claimed, within the margin", "no difference", "in the other direction", "no tie")


def kind(verdict: Mapping[str, Any]) -> str:
    """In which of four ways a claim failed.

    >>> kind({"expect": "lower", "low": -0.02, "high": -0.01}), kind({"expect": "lower", "low": 0.01, "high": 0.02})
    ('in the direction claimed, within the margin', 'in the other direction')
    >>> kind({"expect": "higher", "low": -0.01, "high": 0.02}), kind({"expect": "equal", "low": 0.1, "high": 0.2})
    ('no difference', 'no tie')
    """
    if verdict["expect"] == "equal":
        return KINDS[3]
    if verdict["low"] <= 0 <= verdict["high"]:
        return KINDS[1]
    return KINDS[0 if (verdict["low"] > 0) == (verdict["expect"] == "higher") else 2]


def failed(verdict: dict[str, Any], lesson: str) -> str:
    """A claim that failed, by how much, and what it teaches."""
    negative = " *(negative)*" if verdict["negative"] else ""
    return (
        f"**{verdict['text']}**{negative}\n{verdict['metric']}: {verdict['method']} − {other(verdict)}; claimed "
        f"{wanted(verdict)}, found {found(verdict)}, seeds {agreeing(verdict)}: {kind(verdict)}{near(verdict)}.\n\n"
        f"> {lesson}"
    )


def listed(chosen: Sequence[tuple[Record, dict[str, Any]]]) -> str:
    """A table of verdicts with their records."""
    lines = [
        [f"[{stem(record)}]({stem(record)}.md)", v["text"], wanted(v), found(v), agreeing(v), v["word"]]
        for record, v in chosen
    ]
    return markdown(["study", "claim", "claimed", "found", "seeds", "verdict"], lines)


def page(records: Sequence[Record], lessons: Mapping[str, Mapping[str, str]]) -> str:
    """docs/scorecard/failed.md; lessons: what each failed claim teaches, by slug and text.

    Raises: KeyError for a failed claim without a lesson
    """
    every = [(record, verdict) for record in records for verdict in record["verdicts"]]
    fails = [(record, verdict) for record, verdict in every if verdict["word"] == "fails"]
    undecided = [(record, verdict) for record, verdict in every if verdict["word"] == "undecided"]
    kinds = Counter(kind(verdict) for _, verdict in fails)
    counts = {
        "count": len(every),
        "failed": len(fails),
        "kinds": ", ".join(f"{name} ({kinds[name]})" for name in KINDS),
        "undecided": len(undecided),
        "most": LOOKS[-1],
    }
    paragraphs = [HEAD.format(**counts)]
    for record in records:
        own = [verdict for owner, verdict in fails if owner is record]
        if own:
            paragraphs.append(f"## [{title(record)}]({stem(record)}.md)")
            paragraphs += [failed(verdict, lessons[record["study"]][verdict["text"]]) for verdict in own]
    paragraphs += [UNDECIDED.format(**counts), listed(undecided)]
    return "\n\n".join(part.strip() for part in paragraphs) + "\n"
