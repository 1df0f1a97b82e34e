"""What a record leaves open: the claim that is least settled, and how to go on with it."""

from typing import Any, NamedTuple

from cl_explore.claims.page import found, other, wanted
from cl_explore.claims.scorecard import Record
from cl_explore.claims.verdict import LOOKS

LENGTHS = ("epochs", "steps", "rounds")
"""How the settings that say how long is trained end."""


class Opening(NamedTuple):
    """An open question of a paper.

    claim: its sentence.
    known: what the record says of it.
    question: what the record does not say.
    command: the line for a terminal that tries it.
    """

    claim: str
    known: str
    question: str
    command: str


def opening(record: Record) -> Opening:
    """The first undecided claim of a record, else the first that failed, is near its border, or holds, and what to ask.

    Raises: ValueError for a record without verdicts
    """
    if not record["verdicts"]:
        raise ValueError(f"the record of {record['study']} must have verdicts, got none")
    verdict = min(record["verdicts"], key=_settled)
    word, seeds, slug = verdict["word"], verdict["seeds"], record["study"]
    about = f"{verdict['metric']}: {verdict['method']} − {other(verdict)}"  # some sentences lean on the one before
    known = f"{about}, {found(verdict)}, claimed {wanted(verdict)}: {word} after {seeds} seeds"
    longer = _length(record["settings"])
    if word == "undecided" and seeds < LOOKS[-1]:
        question, command = f"What do {LOOKS[-1]} seeds say?", f"cl-explore study {slug} --seeds {LOOKS[-1]}"
    elif word == "undecided" or longer is None:
        question = "What do seeds say that nobody has seen?"
        command = f"cl-explore scorecard {slug} --seeds-from {LOOKS[-1]}"
    else:
        name, value = longer
        value = 2 * value if word == "fails" else value // 2
        question = f"Does it {'fail' if word == 'fails' else 'hold'} with {name} = {value}, too?"
        command = f"cl-explore study {slug} --set {name}={value}"
    return Opening(verdict["text"], known, question, command)


def _settled(verdict: dict[str, Any]) -> tuple[int, bool]:
    return ("undecided", "fails", "holds").index(verdict["word"]), not verdict["near"]


def _length(settings: dict[str, Any]) -> tuple[str, int] | None:
    """The first setting that says how long is trained, and its value, if it can be halved."""
    lengths = [(name, value) for name, value in settings.items() if name.endswith(LENGTHS)]
    return next(((name, value) for name, value in lengths if isinstance(value, int) and value > 1), None)
