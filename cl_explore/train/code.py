"""Code as a key sees it: what its instructions do, which names they read, and whose it is."""

import builtins
import dis
import hashlib
import importlib
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache, reduce
from importlib import metadata
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal, NamedTuple

from cl_explore.train import imports

INSTALLED = {
    *(sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    *site.getsitepackages(),
    site.getusersitepackages(),
}
UNSEEN = {"eval", "exec", "globals", "__import__"}
"""Built-in functions whose caller may read any name."""


class Code(NamedTuple):
    """digest: of the instructions, nested code included, without docstrings, file names and line numbers.

    names: what is looked up around the function, each with the attributes that follow at once: ("np", "pi").
    imported: (level, module, name or None) of imports inside the function.
    """

    digest: str
    names: tuple[tuple[str, ...], ...]
    imported: tuple[tuple[int, str, str | None], ...]


@lru_cache(8192)
def read(code: CodeType) -> Code:
    """What a code object does and reads."""
    text: list[object] = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & 0xFF]
    text.append(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + 2])
    text.append(code.co_exceptiontable)
    names: dict[tuple[str, ...], None] = {}
    imported: dict[tuple[int, str, str | None], None] = {}
    chain: tuple[str, ...] = ()
    constants: list[Any] = []
    for step in dis.get_instructions(code):
        value = step.argval
        if isinstance(value, CodeType):
            nested = read(value)
            names.update(dict.fromkeys(nested.names))
            imported.update(dict.fromkeys(nested.imported))
            value = nested.digest
        text += [step.opname, _text(value)]
        if chain and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            chain = (*chain, value)
            continue
        if chain:
            names[chain] = None
        chain = (value,) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS") else ()
        if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            constants.append(value)
        elif step.opname == "IMPORT_NAME":
            level, wanted = constants[-2:]
            imported.update(dict.fromkeys((level, value, each) for each in wanted or (None,)))
    return Code(hashlib.sha256(repr(text).encode()).hexdigest(), tuple(names), tuple(imported))


def _text(value: object) -> str:
    """A constant in words that are the same in every session: sets have no order."""
    if isinstance(value, frozenset):
        return f"set {sorted(map(_text, value))}"
    return f"({', '.join(map(_text, value))},)" if isinstance(value, tuple) else repr(value)


def looked_up(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function reads from outside by name; LookupError where that cannot be seen."""
    for name, *attributes in read(function.__code__).names:
        if name in function.__globals__:
            yield name, _through(function.__globals__[name], attributes)
        elif name in UNSEEN and hasattr(builtins, name):
            raise LookupError(f"{function.__qualname__} calls {name}, so that it may read anything")


def brought_in(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function imports, by module; None for an installed module, which need not be loaded, or a missing one."""
    for level, name, wanted in read(function.__code__).imported:
        module = resolve_name("." * level + name, function.__globals__["__package__"]) if level else name
        found = None if whose(module) == "installed" else _imported(module)
        yield module, found and _through(found, [] if wanted is None else [wanted])


def _through(value: Any, attributes: Iterable[str]) -> Any:
    """`value.a.b` as far as it leads through modules: what an object gives is part of the object."""
    for attribute in attributes:
        if not isinstance(value, ModuleType) or not hasattr(value, attribute):
            break
        value = getattr(value, attribute)  # also what the module loads only when it is asked, as numpy does np.strings
    return value


def _imported(module: str) -> ModuleType | None:
    try:  # the function will do the same
        return importlib.import_module(module)
    except ImportError:
        return None


def whose(module: str | None) -> Literal["room", "installed", "own"]:
    """Whether a module, by its full name, belongs to a room, to an installed package, or to the reader.

    The floors above the rooms count as the reader's: their code is followed function by function.
    """
    package = package_of(module)
    if package == imports.PACKAGE:
        return "room" if imports.in_room(str(module)) else "own"
    return "installed" if package and _is_installed(package) else "own"


def package_of(module: str | None) -> str:
    """The top-level package of a module, "" if its name is none."""
    return module.partition(".")[0] if isinstance(module, str) else ""


@cache
def _is_installed(package: str) -> bool:
    if package in sys.builtin_module_names:
        return True
    loaded = sys.modules.get(package) or find_spec(package)
    places = (getattr(loaded, name, None) for name in ("__file__", "origin", "__path__", "submodule_search_locations"))
    place = next((each if isinstance(each, str) else next(iter(each), None) for each in places if each), None)
    known = package in sys.stdlib_module_names
    if place is None or place == "frozen":
        return known
    return any(Path(place).is_relative_to(each) for each in INSTALLED) and (known or version(package) is not None)


@cache
def version(package: str) -> str | None:
    """The version of an installed top-level package; None of Python's own and of those that have none."""
    if package in sys.stdlib_module_names:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(package)
        return metadata.version(names[0]) if names else None


def is_named(x: Any) -> bool:
    """Whether a class or function is what its own name stands for, so that its module's code says all of it."""
    try:
        return reduce(getattr, x.__qualname__.split("."), sys.modules[x.__module__]) is x
    except (AttributeError, KeyError, TypeError):
        return False


def is_own(x: Any) -> bool:
    """Whether this is a function of the reader's."""
    return isinstance(x, FunctionType) and whose(x.__module__) == "own"
