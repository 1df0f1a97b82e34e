"""The list of data sets: each is declared by a decorator and loaded by its name."""

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import TypeVar

from cl_explore.data.dataset import Dataset

Loader = TypeVar("Loader", bound=Callable[..., Dataset])
_loaders: dict[str, Callable[..., Dataset]] = {}


def dataset(loader: Loader) -> Loader:
    """Record `loader(split, **options)` under its function name, so that `load` finds it."""
    _loaders[loader.__name__] = loader
    return loader


def names() -> list[str]:
    """The names that `load` knows."""
    return sorted(_loaders)


def load(name: str = "digits", split: str = "train", **options: object) -> Dataset:
    """Load the data set called `name`; nothing is downloaded unless its options ask for it.

    Raises ValueError for an unknown name or split, TypeError for an option that the data set does not have.

    >>> load("digits").x.shape
    torch.Size([1437, 1, 8, 8])
    """
    if name not in _loaders:
        raise unknown("data set", name, names())
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    accepted = [option for option in inspect.signature(_loaders[name]).parameters if option != "split"]
    for option in options:
        if option not in accepted:
            raise TypeError(f"data set {name!r} has no option {option!r}; it accepts: {', '.join(accepted) or 'none'}")
    return _loaders[name](split, **options)


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known: it says which names come nearest."""
    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ";"
    return ValueError(f"unknown {kind} {name!r}{hint} known: {', '.join(known)}")
