"""What can be turned on a loss, a number or a switch: what is legal, and in which form it reaches the formula."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cl_explore.losses.arguments import values_are_at_hand
from cl_explore.takes import PLAIN, plain, settle

if TYPE_CHECKING:
    Scalar = Any  # in the body of a loss it is a tensor, while its default in the signature is a number
else:
    Scalar = float | Tensor

SIDES = {"query", "key", "context", "candidates"}
"""Arguments that can be taken from the views of a sample."""


@dataclass(frozen=True)
class Knob:
    """A number that a learner may turn: `low` and `high` span its slider, `log` makes the slider logarithmic.

    Values outside the slider are legal as long as they are finite and from `minimum` to `maximum`, both included; a
    `log` knob is positive. With `per_anchor` the knob may also be a tensor of one number for each anchor.
    """

    name: str
    low: float
    high: float
    log: bool = False
    help: str = ""
    minimum: float = -math.inf
    maximum: float = math.inf
    per_anchor: bool = False

    def __post_init__(self) -> None:
        for field, kind in {
            "name": str,
            "low": float,
            "high": float,
            "log": bool,
            "help": str,
            "per_anchor": bool,
        }.items():
            read = plain(field, given := getattr(self, field), PLAIN[kind])
            object.__setattr__(self, field, given if isinstance(given, int) else read)  # whole limits read as such
        for field in ("minimum", "maximum"):  # which may be infinite
            if not isinstance(limit := getattr(self, field), Real) or isinstance(limit, bool) or math.isnan(limit):
                raise TypeError(f"{field} must be a number, got {type(limit).__name__}")
        if not self.low <= self.high:
            raise ValueError(f"high must be at least low, {self.low:g}, got {self.high:g}")

    @property
    def range(self) -> str:
        """The legal values in words."""
        least = "positive" if self.log else f"at least {self.minimum:g}" if self.minimum > -math.inf else ""
        most = f"at most {self.maximum:g}" if self.maximum < math.inf else ""
        return " and ".join(filter(None, (least, most, "finite")))

    def check(self, value: Any, anchors: int) -> None:
        """Raise `TypeError` or `ValueError` unless `value` is a legal number, or a tensor of 1 or `anchors` of them."""
        if isinstance(value, Tensor):
            if not value.is_floating_point():
                raise TypeError(f"{self.name} must be floating point, got a tensor of {value.dtype}")
            own = f" or one for each of the {anchors} anchors" if self.per_anchor else ""
            if value.ndim and not (own and value.shape == (anchors,)):
                raise ValueError(f"{self.name} must be one number{own}, got a tensor of shape {tuple(value.shape)}")
            if not values_are_at_hand(value):
                return
            least, most = map(float, torch.aminmax(value.detach()))
        elif isinstance(value, Real) and not isinstance(value, bool):
            least = most = float(value)
        else:
            raise TypeError(f"{self.name} must be a number, got {type(value).__name__}")
        legal = (least > 0 if self.log else least >= self.minimum) and most <= self.maximum
        if not (legal and -math.inf < least <= most < math.inf):
            wrong = most if most > self.maximum else least
            raise ValueError(f"{self.name} must be {self.range}, got {wrong:g}")


@dataclass(frozen=True)
class Choice:
    """A switch between named variants of a loss."""

    name: str
    options: tuple[str, ...]
    help: str = ""

    def __post_init__(self) -> None:
        settle(self)

    def check(self, value: Any, anchors: int) -> None:
        """Raise `ValueError` unless `value` is one of the options (`anchors` plays no part)."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError(f"{self.name} must be one of {', '.join(map(repr, self.options))}, got {value!r}")


def as_tensor(name: str, value: float | Tensor, like: Tensor) -> Tensor:
    """A knob as a tensor of the dtype and device of `like`. A number is written there: no copy waits for the device."""
    if isinstance(value, Tensor):
        if value.is_meta and not like.is_meta:
            raise ValueError(f"{name} must hold a number, got a tensor on the meta device")
        return value.to(like)
    return torch.scalar_tensor(float(value), dtype=like.dtype, device=like.device)


def as_number(name: str, value: float | Tensor, like: Tensor) -> float:
    """A knob as a Python number. `TypeError` for a tensor: it would lose its gradient and wait for the device."""
    if isinstance(value, Tensor):
        raise TypeError(f"{name} must be a Python number, got a tensor")
    return float(value)


def as_whole_number(name: str, value: float | Tensor, like: Tensor) -> int:
    """A knob as the nearest whole number, which is what a slider means."""
    return round(as_number(name, value, like))


READERS: dict[Any, Callable[..., Any]] = {
    Scalar: as_tensor,
    inspect.Parameter.empty: as_tensor,
    float: as_number,
    int: as_whole_number,
}
"""What the annotation of a knob in the signature of a loss makes of the value it is called with."""
