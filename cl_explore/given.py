"""Arrays as people have them, brought to tensors: all that is unambiguous is taken, the rest refused by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Array = Tensor | ArrayLike
"""A tensor, a NumPy array, a pandas column or frame, or a list: of numbers, or of texts where labels are meant."""


def numbers(x: Array, name: str) -> Tensor:
    """Numbers of any type as a tensor. Raises TypeError for texts, and for what is no array."""
    read = _read(x, name)
    if isinstance(read, np.ndarray):
        raise TypeError(f"{name} must be numbers of equal shapes, got {read.dtype} of shape {read.shape}")
    return read


def floats(x: Array, name: str, axes: str = "", *, finite: bool = False) -> Tensor:
    """Floating-point numbers as a tensor, in float32, or float64 if they came so; of the given axes, such as "N D".

    Raises TypeError for other numbers or none, ValueError for other axes and, where `finite` (the question makes a GPU
    wait), for NaN and infinity.
    """
    tensor = numbers(x, name)
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {tensor.dtype}")
    if axes and (tensor.ndim != len(axes.split()) or 0 in tensor.shape[1:]):
        raise ValueError(f"{name} must be ({', '.join(axes.split())}), got shape {tuple(tensor.shape)}")
    if finite:
        require_finite(name, tensor)
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def require_finite(name: str, rows: Tensor) -> None:
    """Raise ValueError if one of `rows` (N, ...), the argument or data called `name`, holds NaN or infinity."""
    if not (good := rows.isfinite()).all():
        bad = len(rows) - int(good.view(len(rows), -1).all(1).sum())
        raise ValueError(f"{name} must be finite, got {bad} of {len(rows)} rows with NaN or infinity")


def result_of(network: str, made: Any) -> Tensor:
    """What the network of that name made of a batch; TypeError, with the line to write, unless it is a tensor."""
    if isinstance(made, Tensor):
        return made
    rows = ".last_hidden_state[:, 0]" if hasattr(made, "last_hidden_state") else "[0]"
    raise TypeError(
        f"{network} must give a tensor (N, features), got {_kind(made)}: wrap it in a module whose forward says which "
        f"of its results is meant, such as `return self.{network}(x){rows}`"
    )


def require_float32(method: torch.nn.Module) -> None:
    """Raise TypeError, naming a weight, if the networks of a method compute in another type than its samples."""
    named: Callable[[], list[torch.nn.Module]] = getattr(method, "networks", lambda: [method])
    computing = {id(weight) for network in named() for weight in network.parameters()}
    for name, weight in method.named_parameters():
        if id(weight) in computing and weight.is_floating_point() and weight.dtype != torch.float32:
            found = f"{str(weight.dtype).removeprefix('torch.')} in {name}"
            raise TypeError(
                f"method must have weights in float32, as its samples are, got {found}: call method.float() first"
            )


def integers(x: Array, name: str) -> Tensor:
    """Whole numbers of any type as int64. Raises TypeError for others, ValueError for those that int64 cannot hold."""
    tensor = numbers(x, name)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {tensor.dtype}")
    whole = tensor.to(torch.int64)
    if tensor.dtype == torch.uint64 and (whole < 0).any():
        raise ValueError(f"{name} must be below 2**63, got larger numbers")
    return whole


def places(rows: Array | Iterable[int], count: int) -> Tensor:
    """Row numbers (m,) int64, from numbers in any collection or a mask (count,) over all rows.

    Raises: TypeError for anything else, ValueError for a mask of another length or rows that are not there (which a GPU
        is not asked)
    """
    plain: Any = rows
    if not hasattr(plain, "__array__") and isinstance(plain, Iterable) and not isinstance(plain, str | bytes | Mapping):
        plain = list(plain)
    chosen = numbers(plain, "rows")
    if chosen.dtype == torch.bool:
        if chosen.shape != (count,):
            raise ValueError(f"rows as a mask must be ({count},), got shape {tuple(chosen.shape)}")
        return chosen.nonzero().squeeze(1)
    if chosen.ndim != 1:
        raise ValueError(f"rows must be numbers (m,) or a mask ({count},), got shape {tuple(chosen.shape)}")
    chosen = integers(chosen, "rows") if len(chosen) else chosen.long()
    if chosen.device.type == "cpu" and len(chosen):
        low, high = map(int, chosen.aminmax())
        if not 0 <= low <= high < count:
            raise ValueError(f"rows must be from 0 to {count - 1}, got {low} to {high}")
    return chosen


def classes(
    given: Mapping[str, Array],
    of: Mapping[str, int] | None = None,
    *,
    names: Sequence[str] | None = None,
    least: float = 0,
) -> tuple[list[Tensor], tuple[str, ...]]:
    """Labels (N,), integers, truth values or texts, as int64 tensors, and the names of the classes.

    given: by the name of the argument; texts of all of them share one numbering, their places in `names` or, without
        names, in the categories that a column of a data frame declares, else in alphabetical order
    of: for each, the name of the argument whose rows it labels, and how many they are
    least: the smallest number allowed
    Raises: TypeError unless all are integers or all are texts; ValueError for another shape, smaller numbers or a text
        that is not among the names

    >>> classes({"train_labels": ["dog", "cat"], "test_labels": ["dog"]})
    ([tensor([1, 0]), tensor([1])], ('cat', 'dog'))
    """
    read = {name: _read(labels, name) for name, labels in given.items()}
    rows = list(of.items()) if of else [("", -1)] * len(read)
    for (name, labels), (owner, count) in zip(read.items(), rows, strict=True):
        if labels.ndim != 1 or (of and len(labels) != count):
            need = f"({count},), one per row of {owner}" if of else "(N,)"
            raise ValueError(f"{name} must be {need}, got shape {tuple(labels.shape)}")
    texts = {name: labels for name, labels in read.items() if isinstance(labels, np.ndarray)}
    if names is None and len(given) == 1:
        names = declared(*given.values())
    if not texts:
        coded = [
            integers(x.long() if isinstance(x, Tensor) and x.dtype == torch.bool else x, n) for n, x in read.items()
        ]
        for name, part in zip(read, coded, strict=True):
            if len(part) and part.min() < least:
                raise ValueError(f"{name} must be {least} or more, got {int(part.min())}; leave unlabelled rows out")
        return coded, tuple(names or ())
    for name, labels in read.items():
        if isinstance(labels, Tensor):
            raise TypeError(f"{name} must be texts as {next(iter(texts))} are, got {labels.dtype}")
    found, places = np.unique(np.concatenate(list(texts.values())), return_inverse=True)
    known = tuple(found.tolist() if names is None else names)
    place = {text: number for number, text in enumerate(known)}
    if strange := [text for text in found.tolist() if text not in place]:
        raise ValueError(f"class_names must hold every label, but {strange[0]!r} is missing")
    joined = torch.from_numpy(np.array([place[text] for text in found.tolist()], dtype=np.int64)[places])
    return list(joined.split([len(labels) for labels in texts.values()])), known


def declared(labels: Any) -> Sequence[str] | None:
    """The categories, if they are texts, that a column of a data frame declares, in their order; None without any."""
    categories = getattr(getattr(labels, "cat", labels), "categories", None)
    return list(categories) if categories is not None and all(isinstance(each, str) for each in categories) else None


def _read(x: Array, name: str) -> Tensor | NDArray[np.str_]:
    """A tensor of numbers of any type (of its own memory, unless x is one), or an array of texts."""
    if isinstance(x, Tensor):
        if x.layout != torch.strided or x.is_meta or x.is_quantized:
            raise TypeError(f"{name} must be a dense tensor with values, got {x.layout} of {x.dtype} on {x.device}")
        if x.is_complex():
            raise TypeError(f"{name} must be real numbers, got {x.dtype}")
        if x.ndim == 0:
            raise ValueError(f"{name} must have rows, got one number (shape ())")
        return x.cpu() if x.device.type == "mps" else x  # where there is no float64
    if np.ma.is_masked(x):
        raise ValueError(f"{name} must be complete, got a masked array: drop or fill what is masked")
    try:
        if isinstance(x, list | tuple) and x and all(isinstance(part, Tensor) for part in x):
            return torch.stack(list(x))
        array = np.array(x, order="C")
        if array.dtype.kind in "UT" and not isinstance(x, np.ndarray):
            array = np.array(x, dtype=object)  # without the conversion of the numbers among texts
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} must be numbers or texts in rows of one length, got {_kind(x)}: {error}") from None
    if array.ndim == 0:
        raise TypeError(f"{name} must be a tensor or array, got {_kind(x)}")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind in "OUT":
        return _of_objects(array, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got {array.dtype}")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _of_objects(array: NDArray[Any], name: str) -> Tensor | NDArray[np.str_]:
    """What an array of Python objects holds, if it is all numbers or all texts."""
    parts = array.ravel().tolist()
    if all(isinstance(part, str) for part in parts):
        return array.astype(str)
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, Real):
            mixed = "numbers alone or texts alone" if isinstance(part, str) else "numbers or texts without gaps"
            raise TypeError(f"{name} must be {mixed}, got {part!r} ({_kind(part)})")
    numbers = np.array(parts)
    if numbers.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers of 64 bits, got larger ones")
    return torch.from_numpy(numbers.reshape(array.shape))


def _kind(x: object) -> str:
    return type(x).__name__
