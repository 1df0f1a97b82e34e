"""Here live the colours and markers of points that stand for samples: by class, or by a number."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore.plots.style import SEQUENTIAL, class_look

SHADES = 32  # steps of the colour scale


def class_colours(labels: NDArray[np.int64], classes: Mapping[int, str], title: str = "class") -> dict[str, Any]:
    """Look of every point, `group` (n,), where the colour and marker say the class; unlabelled points, -1, are grey."""
    looks = [class_look(label) if label >= 0 else ("#9a9a9a", "o") for label in classes]
    group = np.searchsorted(list(classes), labels)
    return {
        "group": group.astype(np.min_scalar_type(len(looks))),
        "looks": [{"colour": colour, "marker": marker} for colour, marker in looks],
        "names": list(classes.values()),
        "colour": title,
        "values": group,
        "scale": None,
    }


def value_colours(name: str, values: NDArray[np.floating], low: float, high: float) -> dict[str, Any]:
    """Look of every point, `group` (n,), where the colour says the number `values` (n,) on a scale from low to high."""
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    shades = mpl.colormaps[SEQUENTIAL](np.linspace(0, 1, SHADES))
    return {
        "group": np.clip((share * SHADES).astype(np.int64), 0, SHADES - 1).astype(np.uint8),
        "looks": [{"colour": to_hex(shade), "marker": "o"} for shade in shades],
        "names": [],
        "colour": name,
        "values": values,
        "scale": [low, high],
    }


def numbers(name: str, value: ArrayLike | Tensor, snapshots: int, count: int) -> NDArray[np.float64]:
    """The numbers as (1, n) or (S, n); ValueError unless they have one of these shapes, or (n,), and are finite."""
    given = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    if given.shape not in ((count,), (snapshots, count)):
        raise ValueError(f"values[{name!r}] must have shape ({count},) or ({snapshots}, {count}), got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"values[{name!r}] must be finite, got NaN or infinity")
    return np.atleast_2d(given)
