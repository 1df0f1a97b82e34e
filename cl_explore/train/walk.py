"""Follows objects for a key: what each is, down to its numbers, and all that it leads to."""

import copyreg
import functools
import hashlib
import inspect
import operator
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cl_explore.train import imports
from cl_explore.train.code import brought_in, is_named, is_own, looked_up, package_of, read, whose

NUMBERS = (type(None), type(...), type(NotImplemented), bool, int, float, complex)
DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
INSIDE: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    list: tuple,
    property: operator.attrgetter("fget", "fset", "fdel"),
    staticmethod: lambda x: (x.__func__,),
    classmethod: lambda x: (x.__func__,),
    functools.cached_property: lambda x: (x.func,),
    type(functools.cache(len)): lambda x: (x.__wrapped__,),  # what it remembers follows from what it computes
    types.MethodType: lambda x: (x.__self__, x.__func__),
    types.MethodWrapperType: lambda x: (x.__self__, x.__name__),
    types.MappingProxyType: lambda x: (dict(x),),
    types.CellType: lambda x: () if x == types.CellType() else (x.cell_contents,),
    types.CodeType: lambda x: (read(x).digest,),
    weakref.ReferenceType: lambda x: (x(),),
    inspect.Signature: lambda x: tuple((each.name, int(each.kind), each.default) for each in x.parameters.values()),
}
"""What counts of objects of these types."""

HEAP = 1 << 9  # the flag of classes written in Python


class Walk:
    """Feeds a hash with what objects are; each is entered once, later its number stands for it.

    modules (of rooms) and packages (installed): whose code was met. unsure: what cannot be compared, and why.
    """

    def __init__(self, seen: Mapping[int, tuple[int, Any]] = types.MappingProxyType({})) -> None:
        self.hash = hashlib.sha256()
        self.seen = dict(seen)  # id -> (number, object): objects made on the way must live on, or ids would come again
        self.memory: dict[int, int] = {}  # address -> number, to see which tensors share it
        self.modules: set[str] = set()
        self.packages: set[str] = set()
        self.unsure: list[str] = []
        self._path: list[str] = []

    def put(self, *parts: object) -> None:
        for part in parts:
            content = part if isinstance(part, bytes) else str(part).encode(errors="surrogatepass")
            self.hash.update(b"%d:" % len(content))
            self.hash.update(content)

    def named(self, things: Mapping[str, Any]) -> None:
        """Things with names whose order means nothing."""
        for name in sorted(things):
            self.put(name)
            self.value(things[name], name)

    def value(self, x: Any, name: str = "") -> None:
        """One object and all that it leads to; nothing more once something was met that cannot be compared."""
        if self.unsure:
            return
        self._path.append(name)
        try:
            self._value(x)
        except Exception as error:
            where = ".".join(filter(None, self._path))
            self.unsure.append(
                f"{where} ({type(x).__name__}) cannot be compared between sessions: {_first_line(error)}"
            )
        self._path.pop()

    def _value(self, x: Any) -> None:
        kind = type(x)
        self.put(kind.__name__)
        if kind in NUMBERS:
            self.put(repr(x))
        elif kind in (str, bytes):
            self.put(x)
        elif kind is tuple:
            self._items(x)
        elif kind in (frozenset, set):
            self._set(x)
        elif kind.__module__ == "typing" or kind in (types.GenericAlias, types.UnionType, torch.layout):
            self.put(repr(x))
        elif isinstance(x, DESCRIPTORS):
            self.put(x.__objclass__.__qualname__, x.__name__)
        elif id(x) in self.seen:
            self.put("again", self.seen[id(x)][0])
        else:
            self.seen[id(x)] = len(self.seen), x
            self._new(x)

    def _new(self, x: Any) -> None:
        kind = type(x)
        if kind in INSIDE:
            self._items(INSIDE[kind](x))
        elif kind is dict:
            self.put(len(x))
            for name, value in x.items():
                self.value(name)
                self.value(value, str(name) if type(name) in (str, int) else "")
        elif isinstance(x, type):
            self._class(x)
        elif kind is types.FunctionType:
            self._function(x)
        elif kind is types.BuiltinFunctionType:
            self._builtin(x)
        elif isinstance(x, types.ModuleType):
            self._module(x)
        elif isinstance(x, Tensor):
            self._tensor(x)
        elif isinstance(x, np.ndarray):
            self._array(x)
        elif isinstance(x, nn.Module):
            self.value(kind)
            self.named(_numbered({name: each for name, each in vars(x).items() if name != "_compiled_call_impl"}))
        else:
            self._object(x)

    def _items(self, x: Iterable[Any]) -> None:
        items = list(x)
        self.put(len(items))
        for place, each in enumerate(items):
            self.value(each, str(place))

    def _set(self, x: set[Any] | frozenset[Any]) -> None:
        if all(type(each) in (*NUMBERS, str, bytes) for each in x):
            self.put(*sorted(map(repr, x)))
            return
        found = []
        for each in x:  # each by itself: the order in which a set gives its members differs between sessions
            walk = Walk(self.seen | {id(x): (len(self.seen), x)})
            walk.value(each)
            found.append(walk.hash.hexdigest())
            self.modules |= walk.modules
            self.packages |= walk.packages
            self.unsure += walk.unsure
        self.put(*sorted(found))

    def _object(self, x: Any) -> None:
        """An object by its class and attributes, one of an installed or compiled class by what pickle would keep."""
        kind = type(x)
        if whose(getattr(x, "__module__", None)) == "installed" and is_named(x):  # a compiled function
            self._place(x.__module__)
            self.put(x.__module__, x.__qualname__)
            return
        self.value(kind)
        compiled = any(not base.__flags__ & HEAP for base in kind.__mro__[:-1])
        if whose(kind.__module__) != "installed":
            self._state(object.__getstate__(x))  # not its own, which may leave out what decides
            if not compiled:
                return
        parts: Any = copyreg.dispatch_table[kind](x) if kind in copyreg.dispatch_table else x.__reduce_ex__(4)
        if isinstance(parts, str):
            self.put(kind.__module__, parts)
            return
        make, arguments, state, items, pairs = (*parts, None, None, None)[:5]
        self.value(make)
        self.value(arguments)
        self._state(state)
        self._items(items or ())
        self._items(pairs or ())

    def _state(self, state: Any) -> None:
        parts = state if type(state) is tuple else (state,)
        self.put(len(parts))
        for part in parts:
            if type(part) is dict and all(type(name) is str for name in part):
                self.named({name: each for name, each in part.items() if name not in ("__doc__", "__annotations__")})
            else:
                self.value(part)

    def _class(self, x: type) -> None:
        self.put(x.__module__, x.__qualname__)
        place = self._place(x.__module__)
        members = {name: member for name, member in vars(x).items() if _decides(name, member)}
        if place != "own" and is_named(x):
            self.named({name: each for name, each in members.items() if is_own(each)})  # put there from outside
            return
        self.value(type(x))
        self._items(x.__bases__)
        self.named(members)

    def _function(self, x: types.FunctionType) -> None:
        self.put(x.__module__, x.__qualname__)
        place = self._place(x.__module__)
        if place == "installed" and is_named(x):
            return
        self.put(read(x.__code__).digest)
        self._items(x.__closure__ or ())
        self.value(x.__defaults__)
        self.value(x.__kwdefaults__)
        self.value(vars(x))
        if place != "own":
            return
        for name, each in looked_up(x):
            self.put(name)
            self.value(each, name)
            if x.__name__ != "__init__":  # which has run, and left what it found in attributes
                self._tables(each)
        for name, each in brought_in(x):
            self._place(name)
            self.value(each, name)

    def _tables(self, x: Any) -> None:
        """A function of a room may find things by name (`losses.get`), in tables that its source does not show."""
        if isinstance(x, types.FunctionType) and whose(x.__module__) == "room":
            self._items(each for _, each in looked_up(inspect.unwrap(x)) if isinstance(each, dict))

    def _builtin(self, x: types.BuiltinFunctionType) -> None:
        self.put(x.__module__, x.__qualname__)
        self._place(x.__module__)
        if x.__self__ is not None and not isinstance(x.__self__, type | types.ModuleType):
            self.value(x.__self__)

    def _module(self, x: types.ModuleType) -> None:
        self.put(x.__name__)
        if self._place(x.__name__) == "own" and x.__name__ != imports.PACKAGE:
            self.named({name: each for name, each in vars(x).items() if not name.startswith("__")})

    def _place(self, module: str | None) -> str:
        place = whose(module)
        if place == "room":
            self.modules.add(str(module))
        elif place == "installed":
            self.packages.add(package_of(module))
        return place

    def _tensor(self, x: Tensor) -> None:
        if x.grad_fn is not None:
            raise ValueError("it was computed with a graph for gradients")
        self.value(type(x))
        self.put(x.dtype, tuple(x.shape), x.requires_grad)
        if x.layout != torch.strided or x.is_quantized:
            self._items(x.__reduce_ex__(4)[1])
        else:
            self.put(x.stride(), x.storage_offset(), self._at(x.untyped_storage().data_ptr()))
            plain = x.detach().as_subclass(Tensor).cpu().resolve_conj().resolve_neg().contiguous()
            self.hash.update(plain.view(-1).view(torch.uint8).numpy().data)
        hooks = [list((getattr(x, name) or {}).values()) for name in ("_backward_hooks", "_post_accumulate_grad_hooks")]
        self._items([x.grad, *hooks])
        self.named(vars(x))

    def _array(self, x: NDArray[Any]) -> None:
        self.value(type(x))
        self.put(x.dtype.descr, x.shape, x.strides)
        if x.dtype.hasobject:
            self.value(x.tolist())
            return
        root = x
        while isinstance(root.base, np.ndarray):
            root = root.base
        start = root.__array_interface__["data"][0]
        self.put(self._at(start), x.__array_interface__["data"][0] - start)
        self.put(x.tobytes())
        self.named(getattr(x, "__dict__", {}))

    def _at(self, address: int) -> int:
        return self.memory.setdefault(address, len(self.memory)) if address else -1


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _decides(name: str, member: Any) -> bool:
    """Whether a member of a class is one that its author wrote, and not kept there by Python itself."""
    written = isinstance(member, types.FunctionType | staticmethod | classmethod | property)
    return name != "_abc_impl" and (written or not (name.startswith("__") and name.endswith("__")))


def _numbered(attributes: dict[str, Any]) -> dict[str, Any]:
    """A module's attributes, its hooks named by their order: their own numbers count up over the whole session."""
    numbers: dict[int, int] = {}

    def hooks(of: dict[int, Any]) -> list[tuple[int, Any]]:
        return [(numbers.setdefault(number, len(numbers)), hook) for number, hook in of.items()]

    return {
        name: hooks(value) if isinstance(value, dict) and "hooks" in name else value
        for name, value in sorted(attributes.items())
    }
