"""Ctrl-C, the kernel's stop button and the request to end (SIGTERM), held back until a step is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def held_back() -> Iterator[Callable[[], int]]:
    """Inside, the first signal is only remembered, and its number (0: none) asked for by calling what is given;
    a second one strikes.

    On the way out a request to end is met: the process ends by that signal, as it would have without. Does nothing in
    other threads than the main one, which get no signals, and for a signal that someone else handles.
    """
    asked: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt

    usual: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main = threading.current_thread() is threading.main_thread()
    ours = [number for number, handler in usual.items() if main and signal.getsignal(number) is handler]
    for number in ours:
        signal.signal(number, remember)
    try:
        yield lambda: asked[0] if asked else 0
    finally:
        for number in ours:
            signal.signal(number, usual[number])
        if signal.SIGTERM in asked:
            signal.raise_signal(signal.SIGTERM)
