"""Plain arguments, checked by their annotations before any work: numbers, options, texts, sequences, objects."""

import functools
import inspect
import math
import operator
import reprlib
from collections.abc import Callable, Mapping, Sequence, Set
from numbers import Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from cl_explore.given import Array

P = ParamSpec("P")
R = TypeVar("R")


class Range(NamedTuple):
    """The numbers from `least`, or above it, to `most`."""

    least: float
    most: float = math.inf
    above: bool = False

    def __str__(self) -> str:
        if self.most < math.inf:
            return f"between {self.least} and {self.most}"
        return "positive" if self.above and self.least == 0 else f"{'above' if self.above else 'at least'} {self.least}"


Count = Annotated[int, Range(1)]
Number = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Positive = Annotated[float, Range(0, above=True)]
Amount = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]


class Reader(NamedTuple):
    """What is needed, in words, and the function that gives an argument its plain form.

    read: raises TypeError for another kind of thing, ValueError saying what its value must be
    line: what to write in place of another kind of thing, to have what is needed; "" where nothing is known
    """

    need: str
    read: Callable[[Any], Any]
    line: Callable[[Any], str] = lambda given: ""


LINES: dict[type, Callable[[Any], str]] = {}
"""The `line` of readers of objects of these classes."""


def takes(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with its plain arguments brought to the types of their annotations, or refused by name.

    NumPy's numbers and tensors of no dimension become Python's, sequences of them tuples. What is annotated as an array
    or as anything is the function's own business. Raises TypeError, and ValueError for a number that is out of its
    `Range` or not finite and for an unknown option.

    >>> @takes
    ... def draw(count: Count, share: Share = 0.5) -> int:
    ...     return count
    >>> draw(np.int64(3))
    3
    >>> draw(0)
    Traceback (most recent call last):
    ValueError: count must be at least 1, got 0
    """
    signature = inspect.signature(function)
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}

    @functools.cache
    def readers() -> dict[str, Reader]:
        hints = get_type_hints(function, include_extras=True)
        plain = {name for name, kind in kinds.items() if kind is not inspect.Parameter.VAR_KEYWORD}
        return {name: reader for name, hint in hints.items() if name in plain and (reader := reader_of(hint))}

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Python's own words for what is missing or too much
        for name, value in bound.arguments.items():
            if (reader := readers().get(name)) is None:
                continue
            several = kinds[name] is inspect.Parameter.VAR_POSITIONAL
            read = tuple(plain(name, one, reader) for one in value) if several else plain(name, value, reader)
            bound.arguments[name] = read
        return function(*bound.args, **bound.kwargs)

    return checked


def settle(record: Any) -> None:
    """Check the fields of a (frozen) dataclass in the same way, in its `__post_init__`."""
    for name, hint in get_type_hints(type(record), include_extras=True).items():
        if name in vars(record) and (reader := reader_of(hint)):
            object.__setattr__(record, name, plain(name, getattr(record, name), reader))


def plain(name: str, value: Any, reader: Reader) -> Any:
    """The argument called `name` in its plain form; TypeError or ValueError where it has none."""
    try:
        return reader.read(value)
    except ValueError as error:
        raise ValueError(f"{name} must be {error}, got {_shown(value)}") from None
    except (TypeError, RuntimeError):
        line = reader.line(value)
        write = f": write {name}={line}" if line else ""
        raise TypeError(f"{name} must be {reader.need}, got {_shown(value)}{write}") from None


def reader_of(hint: Any) -> Reader | None:
    """How an argument annotated so is read; None where that is left to the function."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner, limits = reader_of(parts[0]), parts[1]
        need = f"{limits} and finite" if parts[0] is float and limits.most == math.inf else str(limits)
        return inner and Reader(inner.need, functools.partial(_within, limits, need, inner.read))
    if origin in (Union, UnionType):
        if set(get_args(Array)) <= set(parts):
            return None
        readers = [reader for part in parts if part is not NoneType and (reader := reader_of(part))]
        if len(readers) < len(parts) - (NoneType in parts):
            return None
        needs = " or ".join(reader.need for reader in readers)
        return Reader(needs, functools.partial(_either, readers, NoneType in parts), readers[0].line)
    if origin is Literal:
        two = " or ".join(f'"{option}"' for option in parts)
        need = two if len(parts) < 3 else f"one of {', '.join(map(str, parts))}"
        return Reader(need, functools.partial(_option, parts, need))
    if origin in (Sequence, list, tuple):
        if (one := reader_of(parts[0])) is None:
            return Reader("a sequence", _sequence)
        read = one.read
        return Reader(f"a sequence, each {one.need}", lambda value: tuple(map(read, _sequence(value))))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        each = reader_of(parts[1])
        return Reader(f"a map, each value {each.need}" if each else "a map", functools.partial(_map, each))
    kind = Callable if origin is Callable else origin or hint
    if kind in PLAIN:
        return PLAIN[kind]
    if not isinstance(kind, type) or kind in (object, Any) or getattr(kind, "_is_protocol", False):
        return None
    need = f"a{'n' * (kind.__name__[0] in 'AEIO')} {kind.__name__}"
    return Reader(need, functools.partial(_instance, kind), LINES.get(kind, lambda given: ""))


def _whole(value: Any) -> int:
    if getattr(value, "ndim", 0) or isinstance(value, bool) or getattr(value, "dtype", None) == torch.bool:
        raise TypeError
    number = operator.index(value)
    if abs(number) >= 2**63:
        raise ValueError("below 2**63")
    return number


def _number(value: Any) -> float:
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0 and not getattr(value, "requires_grad", False):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("finite")
    return number


def _within(limits: Range, need: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        number = read(value)
    except ValueError:
        raise ValueError(need) from None
    if not (number > limits.least if limits.above else number >= limits.least) or number > limits.most:
        raise ValueError(need)
    return number


def _either(readers: list[Reader], none: bool, value: Any) -> Any:
    if value is None and none:
        return None
    for reader in readers:
        try:
            return reader.read(value)
        except TypeError:
            continue
    raise TypeError


def _option(options: tuple[Any, ...], need: str, value: Any) -> Any:
    if not isinstance(value, str) or value not in options:
        raise ValueError(need)
    return value


def _sequence(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | Set | Mapping) or not hasattr(value, "__len__"):
        raise TypeError
    return tuple(value)


def _map(each: Reader | None, value: Any) -> Any:
    for one in _instance(Mapping, value).values():
        if each:
            each.read(one)
    return value


def _callable(value: Any) -> Any:
    if not callable(value):
        raise TypeError
    return value


def _instance(kind: type | UnionType, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _switch(value: Any) -> bool:
    return bool(_instance(bool | np.bool_, value))


PLAIN: dict[Any, Reader] = {
    bool: Reader("True or False", _switch),
    int: Reader("a whole number", _whole),
    float: Reader("a number", _number),
    str: Reader("a string", functools.partial(_instance, str)),
    Callable: Reader("a function", _callable),
}


def _shown(value: Any) -> str:
    """A text or a number itself, of others only the kind."""
    return reprlib.repr(value) if isinstance(value, str | Real | complex | None) else type(value).__name__
