"""What all marks have in common: arrays that keep their lengths, a name, an opacity and a text under the pointer."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Dash = Literal["solid", "dashed", "dotted", "dashdot"]
Column = Annotated[Any, "numbers that a mark keeps as float32: an array, a tensor or a sequence (n,)"]
THEME = ("ink", "muted", "grid", "paper")
"""Colours that a page names itself: dark on a light page, light on a dark one."""


@dataclass(frozen=True, eq=False)
class Mark:
    """What all marks share.

    name: text beside the mark's look in the legend of its chart, or one for each of its colours; "" keeps it out.
    alpha: opacity, 0 to 1.
    hover: text of an item under the pointer, in which `{size}` is the item's value of `fields["size"]`.
    fields: numbers (to three digits) or texts of the items, (n,) each.
    """

    _: KW_ONLY
    name: str | Sequence[str] = ""
    alpha: float = 1.0
    hover: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be 0 to 1, got {self.alpha}")
        for name in _arrays(type(self)):  # type: ignore[arg-type]  # a class has a hash, whatever its objects have
            if getattr(self, name) is not None:
                self._set(name, _floats(getattr(self, name), f"{self.kind} {name}"))
        lengths = {name: len(value) for name, value in self._items().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{self.kind} need as many of each, got {lengths}")
        count = next(iter(lengths.values()), 0)
        given: dict[str, Any] = {}
        for name, column in self.fields.items():
            given[name] = [str(v) for v in column] if _texts(column) else _floats(column, f"fields[{name!r}]")
        for name, column in given.items():
            if len(column) != count:
                raise ValueError(f"fields[{name!r}] must hold {count} items, got {len(column)}")
        self._set("fields", given)

    @property
    def kind(self) -> str:
        """The mark's name in the page: "points" for Points."""
        return type(self).__name__.lower()

    def span(self, axis: Literal["x", "y"]) -> NDArray[np.float32]:
        """The values that an axis without a range of its own must show."""
        value = getattr(self, axis, None)
        return np.empty(0, np.float32) if value is None else np.atleast_1d(value)

    def _items(self) -> dict[str, Any]:
        """The arrays that hold one entry for each item."""
        names = ("x", "y", "z", "dx", "dy", "dz", "group", "height", "text")
        found = {name: getattr(self, name, None) for name in names}
        return {name: value for name, value in found.items() if value is not None and np.ndim(value) == 1}

    def _axis(self) -> Literal["x", "y"]:
        """The one axis that a mark across the chart has a place on."""
        x, y = (getattr(self, axis) is not None for axis in ("x", "y"))
        if x == y:
            raise ValueError(f"{self.kind} needs either x or y")
        return "x" if x else "y"

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _looks(self) -> None:
        """`group` as unsigned integers, checked against `colour`, which becomes a tuple, and `marker`."""
        colours = (self.colour,) if isinstance(self.colour, str) else tuple(self.colour)  # type: ignore[attr-defined]
        self._set("colour", colours)
        group = getattr(self, "group", None)
        if group is None:
            return
        numbers = np.asarray(group)
        if numbers.ndim != 1 or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(colours)):
            raise ValueError(f"group must be (n,) places in the {len(colours)} colours")
        self._set("group", numbers.astype(np.min_scalar_type(len(colours))))


@cache
def _arrays(kind: Any) -> tuple[str, ...]:
    """The fields of a kind of mark that hold floats."""
    return tuple(own.name for own in fields(kind) if own.type in (Column, Column | None))


def _floats(value: ArrayLike, name: str) -> Any:
    array = np.asarray(value, dtype=np.float32)
    if array.ndim > 1:
        raise ValueError(f"{name} must be a number or (n,), got shape {array.shape}")
    if np.isinf(array).any():
        raise ValueError(f"{name} must not be infinite")
    return array if array.ndim else array.item()


def _texts(column: Any) -> bool:
    return not isinstance(column, np.ndarray) and len(column) > 0 and isinstance(column[0], str)


def finite(value: Any, name: str) -> float:
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)
