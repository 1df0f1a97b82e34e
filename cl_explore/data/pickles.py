"""What a pickle of CIFAR holds, read without building anything of it but lists, dictionaries, texts and numbers."""

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

NUMPY = ("ndarray", "dtype", "_reconstruct")
OPCODES = (
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET",
    "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_TUPLE", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
)  # fmt: skip
"""What a pickle of a CIFAR file may do."""
CODES = [ord(getattr(pickle, name)) for name in OPCODES]


class _Noted:
    """Stands for what a pickle builds of NumPy: it notes what is given to it, and builds nothing of it."""

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any

    def __call__(self, *arguments: Any) -> "_Noted":
        made = _Noted()
        made.arguments = arguments
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _OnlyNotes(pickle._Unpickler):  # the one in Python can be told what not to do
    """Unpickles lists, dicts, texts and notes of arrays, and refuses everything else."""

    dispatch: ClassVar = {code: pickle._Unpickler.dispatch[code] for code in CODES}

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in NUMPY:
            return _Noted()
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file needs")


def byte_rows(array: Any, file: Path) -> np.ndarray:
    """The array of bytes (N, 3072) of which a pickle holds the parts: NumPy would take its word for what they are."""
    try:
        _, shape, kind, columns_first, content = array.state
        if kind.arguments[0] not in (b"u1", "u1") or type(content) is not bytes or shape[1:] != (3072,):
            raise ValueError("other types")
        return np.frombuffer(bytearray(content), np.uint8).reshape(shape, order="F" if columns_first else "C")
    except Exception as error:  # anything can be in these places
        raise ValueError(f"{file} must hold data, an array of bytes (N, 3072): delete it and get it again") from error


def unpickle(file: Path, needed: list[str]) -> dict[str, Any]:
    """What the file holds by these names."""
    try:
        batch = _OnlyNotes(BytesIO(file.read_bytes()), encoding="bytes").load()
        if not isinstance(batch, dict) or (lacking := {name.encode() for name in needed} - batch.keys()):
            raise ValueError(f"it lacks {lacking if isinstance(batch, dict) else 'everything'}")
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        why = str(error) or "Ran out of input"
        raise ValueError(f"{file} is damaged or not a CIFAR file ({why}): delete it and get it again") from error
    return {name: batch[name.encode()] for name in needed}
