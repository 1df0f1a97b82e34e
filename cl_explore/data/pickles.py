"""What a pickle of published data holds; nothing of it is built but lists, dictionaries, texts and numbers."""

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
"""What a pickle of such a file may do."""
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
    form: str

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in NUMPY:
            return _Noted()
        if (module, name) == ("_codecs", "encode"):
            return _latin
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no {self.form} file needs")


def _latin(text: str, _: str) -> bytes:
    """Bytes as Python 3 writes them for Python 2: as a text of as many letters."""
    return text.encode("latin1")


def array(noted: Any, *kinds: str) -> np.ndarray:
    """The array of one of these types, such as "<f8", of which a pickle holds the parts; any error if there is none.

    NumPy would take its word for what they are.
    """
    _, shape, kind, columns_first, content = noted.state
    letters = [part if isinstance(part, str) else part.decode() for part in (kind.state[1], kind.arguments[0])]
    if (name := "".join(letters)) not in kinds or type(content) is not bytes:
        raise ValueError(f"an array of {name}")
    return np.frombuffer(bytearray(content), name).reshape(shape, order="F" if columns_first else "C")


def byte_rows(noted: Any, file: Path) -> np.ndarray:
    """The array of bytes (N, 3072) of which a pickle holds the parts."""
    try:
        rows = array(noted, "|u1")
        if rows.ndim != 2 or rows.shape[1] != 3072:
            raise ValueError("another shape")
        return rows
    except Exception as error:  # anything can be in these places
        raise ValueError(f"{file} must hold data, an array of bytes (N, 3072): delete it and get it again") from error


def unpickle(file: Path, needed: list[str], form: str = "CIFAR") -> dict[str, Any]:
    """What the file holds by these names; of an array that NumPy saved (.npy), what its only element holds.

    form: what the file is of, for errors.
    """
    try:
        stream = BytesIO(file.read_bytes())
        if file.suffix == ".npy":
            np.lib.format.read_magic(stream)
            np.lib.format.read_array_header_1_0(stream)
        reader = _OnlyNotes(stream, encoding="bytes")
        reader.form = form
        batch = reader.load()
        if isinstance(batch, _Noted):
            (batch,) = batch.state[4]
        if not isinstance(batch, dict):
            raise ValueError("it lacks everything")
        named = {name.decode() if isinstance(name, bytes) else name: value for name, value in batch.items()}
        if lacking := set(needed) - named.keys():
            raise ValueError(f"it lacks {lacking}")
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        why = str(error) or "Ran out of input"
        raise ValueError(f"{file} is damaged or not a {form} file ({why}): delete it and get it again") from error
    return {name: named[name] for name in needed}
