"""What is said of a name that nobody knows."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known: it says which names come nearest, whatever case and hyphens."""
    plain = {_plain(each): each for each in known}
    nearest = [repr(plain[each]) for each in difflib.get_close_matches(_plain(name), plain, n=3, cutoff=0.5)]
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ";"
    return ValueError(f"unknown {kind} {name!r}{hint} known: {', '.join(plain.values())}")


def _plain(name: object) -> str:
    return str(name).lower().replace("-", "_")
