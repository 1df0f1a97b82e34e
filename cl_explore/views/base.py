"""What all augmentations share: changes are drawn, then made, and one number sets their strength."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, kw_only=True)
class Views(ABC, Generic[Drawn]):
    """A random change of each sample by itself; calling it gives several views of each.

    strength: multiplies the size of every change, and up to 1 its probability too; 0 changes nothing at all.
    integer: whether samples are int64 instead of floating point.

    `parameters` draws what will be done to each row, `apply` does it, a call does both.
    """

    strength: float = 1.0
    integer: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{setting.name} must be at least 0 and finite, got {value}")

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int = 2) -> Tensor:
        """Views (B, n_views, ...) of the samples x (B, ...), on x's device.

        Random numbers are drawn on the generator's device, which may be another: one generator state, one result.
        Raises TypeError if x is no tensor of the right type or the generator none, ValueError for other bad input.
        """
        if n_views < 1:
            raise ValueError(f"n_views must be at least 1, got {n_views}")
        self._check(x, generator)
        rows = x.repeat_interleave(n_views, dim=0)
        return self.apply(rows, self._draw(rows, generator)).unflatten(0, (len(x), n_views))

    def parameters(self, x: Tensor, generator: torch.Generator) -> Drawn:
        """Draw what is to be done to each row of x (N, ...); raises the errors of a call."""
        self._check(x, generator)
        return self._draw(x, generator)

    @abstractmethod
    def apply(self, x: Tensor, parameters: Drawn) -> Tensor:
        """Do to the rows of x (N, ...) what was drawn for them."""

    @abstractmethod
    def _draw(self, x: Tensor, generator: torch.Generator) -> Drawn: ...

    def _check(self, x: Tensor, generator: torch.Generator) -> None:
        if not isinstance(x, Tensor) or not (x.dtype == torch.int64 if self.integer else x.is_floating_point()):
            found = x.dtype if isinstance(x, Tensor) else type(x).__name__
            need = "an int64 tensor" if self.integer else "a floating point tensor"
            raise TypeError(f"x must be {need}, got {found}; Dataset.batch turns bytes into floats")
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")


def require_picture(x: Tensor) -> None:
    """Raise `ValueError` unless all of x (...) lies in [0, 1], which NaN does not: views crop, erase and clamp it away.

    On the CPU only: elsewhere, looking at the values would make the host wait for the device.
    """
    if x.device.type == "cpu":
        low, high = (bound.item() for bound in torch.aminmax(x))
        if not (low >= 0 and high <= 1):
            raise ValueError(f"x must be in [0, 1], got values in [{low:g}, {high:g}]")
