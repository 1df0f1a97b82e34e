"""Bring your own embeddings: arrays, tensors, data frames, or files of them."""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_explore.data.arrays import images as pictures_of
from cl_explore.data.arrays import numbered
from cl_explore.data.pixels import opened, pixels
from cl_explore.given import floats, numbers
from cl_explore.takes import takes

SIDE = 32  # pixels of a picture that is read from a file


@dataclass(frozen=True, eq=False)
class Vectors:
    """N vectors of your own, and what is known of each.

    x: (N, D) float32 or float64
    labels: (N,) int64, -1 for those without one
    class_names: by label
    images: (N, 1 or 3, h, w), uint8 or floats in [0, 1], or None
    texts: N texts, or None
    """

    x: Tensor
    labels: Tensor
    class_names: tuple[str, ...] = ()
    images: Tensor | None = None
    texts: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> "Vectors":
        """Only these rows, (M,) int64, in their order."""
        images = None if self.images is None else self.images[rows]
        texts = None if self.texts is None else tuple(self.texts[row] for row in rows.tolist())
        return Vectors(self.x[rows], self.labels[rows], self.class_names, images, texts)


@takes
def read_vectors(source: Any, labels: Any = None, *, images: Any = None, texts: Any = None) -> Vectors:
    """Embeddings from wherever they are.

    source: an array, tensor or nested list (N, D) of floating-point numbers; a pandas DataFrame, whose columns of
        numbers are the vectors, or else its one column of lists; a Hugging Face data set likewise; or the path of a
        .npy, .npz, .csv, .parquet or .safetensors file of such. Of several arrays in a file the one with two axes and
        most numbers is taken.
    labels: (N,) integers, -1 for none, or texts; or the name of a column, or of an array of the file, that holds them.
    images: (N, C, H, W), (N, H, W, C) or (N, H, W), paths of N files, or the name of what holds either.
    texts: N texts, or the name of a column.

    Raises FileNotFoundError for a path that leads to no file, ValueError for files that cannot be read, numbers that
    are not finite and lengths that differ, TypeError for other things.

    >>> import numpy as np
    >>> read_vectors(np.eye(3), ["a", "b", "a"]).labels
    tensor([0, 1, 0])
    """
    table = _file(Path(source)) if isinstance(source, str | PathLike) else _table(source)
    named = {"labels": labels, "images": images, "texts": texts}
    given = {name: table.column(name, value) if isinstance(value, str) else value for name, value in named.items()}
    taken = [value for value in named.values() if isinstance(value, str)]
    x = floats(table.vectors([*taken]), "source", "N D", finite=True).detach().cpu()
    if not len(x):
        raise ValueError("source must have rows, got none")
    coded, names = numbered(given["labels"], len(x))
    return Vectors(x, coded, names, _pictures(given["images"], len(x)), _texts(given["texts"], len(x)))


@dataclass(frozen=True)
class _Table:
    """Columns by name, and the vectors that are left when some are something else."""

    columns: dict[str, Any]
    vectors: Callable[[list[str]], Any]
    """What is left as vectors, without the columns of these names."""

    def column(self, argument: str, name: str) -> Any:
        if name not in self.columns:
            known = ", ".join(map(repr, list(self.columns)[:20])) or "no names"
            raise ValueError(f"{argument} must name a column of source, which has {known}; got {name!r}")
        return self.columns[name]


def _file(path: Path) -> _Table:
    path = path.expanduser()
    readers = {".npy": _npy, ".npz": _arrays, ".safetensors": _arrays, ".csv": _frame_of, ".parquet": _frame_of}
    if path.suffix not in readers:
        raise ValueError(f"source must be a file ending in {', '.join(readers)}, got {path.name!r}")
    if not path.is_file():
        raise FileNotFoundError(f"source must be a file, but there is none at {path}")
    try:
        return readers[path.suffix](path)
    except ImportError as error:
        package = "pyarrow" if path.suffix == ".parquet" else "safetensors"
        raise ModuleNotFoundError(f"{path.suffix} files need {package}: pip install {package}") from error
    except (OSError, EOFError, UnicodeError, ValueError) as error:
        raise ValueError(f"source {path} cannot be read: {error}") from error
    except Exception as error:
        if type(error).__name__ in ("SafetensorError", "ArrowInvalid", "BadZipFile", "ParserError"):
            raise ValueError(f"source {path} cannot be read: {error}") from error
        raise


def _npy(path: Path) -> _Table:
    array = np.load(path, allow_pickle=False)
    return _Table({}, lambda taken: array)


def _arrays(path: Path) -> _Table:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    else:
        from safetensors.torch import load_file

        arrays = load_file(path)

    def vectors(taken: list[str]) -> Any:
        left = [array for name, array in arrays.items() if name not in taken and array.ndim == 2]
        if not left:
            shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items())
            raise ValueError(f"source must hold an array (N, D), got {shapes or 'none'}")
        return max(left, key=lambda array: array.shape[0] * array.shape[1])

    return _Table(arrays, vectors)


def _frame_of(path: Path) -> _Table:
    import pandas as pd

    return _table(pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path))


def _table(source: Any) -> _Table:
    """A data frame, a Hugging Face data set, or else an array."""
    if hasattr(source, "column_names") and hasattr(source, "to_pandas"):
        source = source.to_pandas()
    if not hasattr(source, "iloc") or not hasattr(source, "columns"):
        return _Table({}, lambda taken: source)

    def vectors(taken: list[str]) -> Any:
        if not len(source):
            raise ValueError(f"source must have rows, got a table of none, with columns {list(source.columns)[:20]}")
        left = [name for name in source.columns if name not in taken]
        numeric = [name for name in left if source[name].dtype.kind in "fiu"]
        lists = [name for name in left if source[name].dtype == object and np.ndim(source[name].iloc[0]) == 1]
        if numeric and not lists:
            return source[numeric].to_numpy(dtype=np.float32, na_value=np.nan)
        if len(lists) != 1:
            kinds = ", ".join(f"{name} ({source[name].dtype})" for name in left[:20])
            raise ValueError(f"source must have columns of numbers, or one column of lists of them, got {kinds}")
        lengths = sorted({len(one) for one in source[lists[0]]})
        if len(lengths) > 1:
            raise ValueError(f"source must hold vectors of one length in column {lists[0]!r}, got {lengths[:5]}")
        return np.stack([np.asarray(one, dtype=np.float32) for one in source[lists[0]]])

    return _Table({str(name): source[name] for name in source.columns}, vectors)


def _items(argument: str, value: Any, count: int) -> list[Any]:
    """The `count` items of an argument; TypeError for what has none, ValueError for more or fewer."""
    if isinstance(value, dict | set | bytes) or not hasattr(value, "__len__") or not getattr(value, "shape", "some"):
        raise TypeError(f"{argument} must be a list or an array, or name a column, got {type(value).__name__}")
    if len(value) != count:
        raise ValueError(f"{argument} must be {count}, one for each row of source, got {len(value)}")
    return [*value]


def _pictures(images: Any, count: int) -> Tensor | None:
    """Pictures from numbers, or from files, of SIDE pixels each."""
    if images is None:
        return None
    items = _items("images", images, count)
    if all(isinstance(item, str | PathLike) for item in items):
        return torch.from_numpy(np.stack([_picture(Path(path)) for path in items]))
    try:
        return pictures_of(numbers(images, "images"))
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("x must", "images must")) from None


def _picture(path: Path) -> np.ndarray:
    try:
        with opened(path) as image:
            return pixels(image, 3, SIDE)
    except FileNotFoundError:
        raise FileNotFoundError(f"images must be paths of files, but there is none at {path}") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"images must be readable, but {path} is not: {error}") from error


def _texts(texts: Any, count: int) -> tuple[str, ...] | None:
    if texts is None:
        return None
    items = ["" if text is None or text is np.nan else text for text in _items("texts", texts, count)]
    if strange := [item for item in items if not isinstance(item, str)]:
        raise TypeError(f"texts must be texts, got {strange[0]!r:.60}")
    return tuple(items)
