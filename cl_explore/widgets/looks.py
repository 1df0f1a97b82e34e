"""Colours and markers of points that stand for samples: by class, or by a number."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore.given import numbers as numbers_of
from cl_explore.plots.style import SEQUENTIAL, class_look

SHADES = 32  # steps of the colour scale
LONGEST = 32  # letters of a name in a legend or below an axis
NAMED = 20  # classes that a legend names; more would hide the picture


def short(name: str) -> str:
    """The name, cut where it would fill a picture."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


class Colours(NamedTuple):
    """How n points are coloured.

    look: the fields of `marks.Points` that say it.
    title: what the colours say.
    said: (n,) what they say of each point, texts or numbers.
    scale: (low, high) of numbers.
    """

    look: dict[str, Any]
    title: str
    said: Sequence[str] | NDArray[np.floating]
    scale: tuple[float, float] | None = None


def class_colours(labels: NDArray[np.int64], classes: Mapping[int, str], title: str = "class") -> Colours:
    """Colour and marker say the class; unlabelled points, -1, are grey."""
    looks = [class_look(label) if label >= 0 else ("#9a9a9a", "o") for label in classes]
    group, names = np.searchsorted(list(classes), labels), list(classes.values())
    colours, markers = zip(*looks, strict=True)
    look = {"colour": colours, "marker": markers, "group": group, "name": [short(name) for name in names[:NAMED]]}
    return Colours(look, title, [names[place] for place in group])


def value_colours(name: str, values: NDArray[np.floating], low: float, high: float) -> Colours:
    """The colour says the number `values` (n,) on a scale from low to high."""
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    shades = [to_hex(shade) for shade in mpl.colormaps[SEQUENTIAL](np.linspace(0, 1, SHADES))]
    group = np.clip((share * SHADES).astype(np.int64), 0, SHADES - 1)
    return Colours({"colour": shades, "group": group}, name, values, (low, high))


def numbers(name: str, value: ArrayLike | Tensor, snapshots: int, count: int) -> NDArray[np.float64]:
    """The numbers as (1, n) or (S, n); ValueError unless they have one of these shapes, or (n,), and are finite."""
    given = numbers_of(value, f"values[{name!r}]").detach().cpu().double().numpy()
    if given.shape not in ((count,), (snapshots, count)):
        raise ValueError(f"values[{name!r}] must have shape ({count},) or ({snapshots}, {count}), got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"values[{name!r}] must be finite, got NaN or infinity")
    return np.atleast_2d(given)
