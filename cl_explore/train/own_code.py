"""What the reader's own classes and functions in a method do, since their repr does not say it."""

import functools
import inspect
import re
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import nn

INSTALLED = tuple(sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib"))
MODULE = vars(nn.Module()).keys()
PLAIN = (bool, int, float, str, bytes, tuple, list, dict, type(None))


def own_code(method: nn.Module) -> str:
    """Text that changes when the behaviour of code from notebooks and scripts changes that `method` runs.

    Followed are the classes of its modules and attributes, its functions (also as a loss or augmentation), and the
    functions, classes and plain values that these take from their surroundings or hold; not installed packages.
    """
    texts: dict[Any, str] = {}
    for module in method.modules():
        for value in (module, *vars(module).values()):
            _follow(value, texts)
    return without_addresses("\n".join(texts.values()))


def without_addresses(text: str) -> str:
    """A repr without the places in memory that some objects put there."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _follow(value: Any, texts: dict[Any, str]) -> None:
    value = value.func if isinstance(value, functools.partial) else value  # its repr names the rest
    value = value.__self__ if isinstance(value, MethodType) else value
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, FunctionType):
        if value not in texts and _is_own(value):
            names = inspect.getclosurevars(value)
            around = {**names.globals, **names.nonlocals}
            texts[value] = f"{_bytecode(value.__code__)} {value.__defaults__} {value.__kwdefaults__} {_plain(around)}"
            for each in around.values():
                _follow(each, texts)
        return
    for cls in (value if isinstance(value, type) else type(value)).__mro__:
        if cls not in texts and _is_own(cls):
            texts[cls] = cls.__qualname__
            for member in vars(cls).values():
                _follow(member, texts)
    if id(value) not in texts and _is_own(type(value)) and hasattr(value, "__dict__"):
        texts[id(value)] = str(_plain(vars(value)))
        for each in vars(value).values():
            _follow(each, texts)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in values.items() if isinstance(each, PLAIN) and name not in MODULE}


def _is_own(thing: type | FunctionType) -> bool:
    if thing.__module__ == "__main__" or thing.__module__.startswith("cl_explore.papers."):
        return True  # `package_source` leaves the papers out, so that one of them may change and the others' runs stay
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    if file is None or thing.__module__.split(".")[0] == "cl_explore":
        return False
    return not any(Path(file).is_relative_to(place) for place in INSTALLED)


def _bytecode(code: CodeType) -> str:
    # not the source: two lambdas on one line share theirs, and a session without files has none
    inner = [_bytecode(each) for each in code.co_consts if isinstance(each, CodeType)]
    constants = [
        sorted(map(repr, each)) if isinstance(each, frozenset) else each  # the order of a set differs between sessions
        for each in code.co_consts
        if not isinstance(each, CodeType)
    ]
    return f"{code.co_code.hex()} {code.co_names} {constants} {inner}"
