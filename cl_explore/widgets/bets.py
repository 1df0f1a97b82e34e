"""Bets: a reader says what a run will find before it runs, and then sees both."""

import os
from collections.abc import Sequence
from html import escape

import anywidget
import traitlets
from IPython.display import display

from cl_explore.names import unknown
from cl_explore.takes import takes
from cl_explore.widgets.wire import source

STYLE = "border-left:4px solid #0072B2;padding:2px 14px;margin:6px 0"
MADE: dict[str, "Bet"] = {}
"""The bets of this process by their question, for the tally."""


class Bet(anywidget.AnyWidget):
    """A question with options, of which the reader may pick one before the answer is known: see `bet`.

    pick: what was picked, "" before.
    outcome: what was found, "" before.
    """

    _esm = source("bet.js")
    _css = ".clx-bet label { display: block; margin: 4px 0; } .clx-bet { border: 1px solid #888; border-radius: 6px; }"
    question = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    pick = traitlets.Unicode().tag(sync=True)
    outcome = ""

    def settle(self, outcome: str) -> None:
        """Show what was bet beside what was found; ValueError for an outcome that was no option."""
        if outcome not in self.options:
            raise unknown("outcome", outcome, self.options)
        self.outcome = outcome
        found = f"the run found: {outcome}."
        text = f"You bet on: {self.pick} {'✓' if self.pick == outcome else '✗'} And {found}" if self.pick else found
        say(text[0].upper() + text[1:])

    def _ipython_display_(self) -> None:
        listed = "".join(f"<li>{escape(option)}</li>" for option in self.options)
        page = f'<div class="clx-options" style="{STYLE}"><b>Bet: {escape(self.question)}</b><ul>{listed}</ul></div>'
        display({"text/html": page, "text/plain": f"{self.question} {' / '.join(self.options)}"}, raw=True)
        if "CL_EXPLORE_STATIC" not in os.environ:
            bundle, metadata = self._repr_mimebundle_() or ({}, {})
            display(bundle | {"text/plain": ""}, raw=True, metadata=metadata)


@takes
def bet(question: str, options: Sequence[str]) -> Bet:
    """A bet to be shown in front of the cell that decides it; that cell calls its `settle`.

    Nothing waits for the reader. In a live notebook the pick is remembered; elsewhere the options are listed.

    question: one sentence that ends in a question mark.
    options: two or more, all different.
    Raises: ValueError for anything else.

    >>> tail = bet("Heads or tails?", ["heads", "tails"])
    >>> tail.pick = "tails"
    >>> tail.outcome = "tails"
    """
    if not question.endswith("?"):
        raise ValueError(f"question must end in a question mark, got {question!r}")
    if len(options) < 2 or len(set(options)) < len(options):
        raise ValueError(f"options must be two or more, all different, got {list(options)}")
    MADE[question] = Bet(question=question, options=list(options))
    return MADE[question]


def tally() -> None:
    """Show how many of the notebook's bets were won."""
    picked = [each for each in MADE.values() if each.pick and each.outcome]
    won = sum(each.pick == each.outcome for each in picked)
    say(f"You won {won} of {len(picked)} bets." if picked else "In this run nobody has bet. Which would you have won?")


def say(text: str) -> None:
    """Show a sentence that stands out."""
    display({"text/html": f'<p style="{STYLE}">{escape(text)}</p>', "text/plain": text}, raw=True)
