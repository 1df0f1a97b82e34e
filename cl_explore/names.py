"""What is said of a name that nobody knows."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known: it says which names come nearest."""
    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ";"
    return ValueError(f"unknown {kind} {name!r}{hint} known: {', '.join(known)}")
