"""Interrupts of a kernel that runs no cell: it ignores them, whatever works in its background stops."""

import signal
from collections.abc import Callable

_stops: list[Callable[[], object]] = []


def heed(stop: Callable[[], object]) -> None:
    """Call `stop` when the kernel is interrupted, if it would ignore that; to be called in the main thread.

    Say so again and again: a kernel sets its own handler back after every cell.
    """
    if stop not in _stops:
        _stops.append(stop)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, _on_interrupt)


def ignore(stop: Callable[[], object]) -> None:
    """Call `stop` no more; to be called in the main thread."""
    if stop in _stops:
        _stops.remove(stop)
    if not _stops and signal.getsignal(signal.SIGINT) is _on_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_interrupt(*_: object) -> None:
    for stop in _stops:
        stop()
