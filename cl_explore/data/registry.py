"""The list of data sets: each is declared by a decorator and loaded by its name."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from cl_explore.data.dataset import Dataset
from cl_explore.names import unknown
from cl_explore.takes import takes

Loader = TypeVar("Loader", bound=Callable[..., Dataset])
_loaders: dict[str, Callable[..., Dataset]] = {}


def dataset(loader: Loader) -> Loader:
    """Record `loader(split, **options)` under its function name, so that `load` finds it."""
    _loaders[loader.__name__] = loader
    return loader


def names() -> list[str]:
    """The names that `load` knows."""
    return sorted(_loaders)


@takes
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
