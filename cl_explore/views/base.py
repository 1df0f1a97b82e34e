"""What all augmentations share: changes are drawn, then made, and one number sets their strength."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor

from cl_explore.losses.catalogue import without_autocast
from cl_explore.takes import Count, Reader, plain, reader_of, settle

Drawn = TypeVar("Drawn")
COUNT = cast(Reader, reader_of(Count))
FULL_SCALE = {torch.uint8: 255, torch.int16: 32768}
"""What stands for 1 where numbers in [0, 1] or [-1, 1] are stored as integers."""


def as_numbers(x: Tensor) -> Tensor:
    """Samples as they go into a network: bytes in [0, 1], 16-bit sound in [-1, 1], others as they are."""
    return x.float() / FULL_SCALE[x.dtype] if x.dtype in FULL_SCALE else x


def uniform(generator: torch.Generator, like: Tensor, *shape: int) -> Tensor:
    """Numbers in [0, 1), drawn in float32 on the generator's device, then in the type and on the device of `like`."""
    return torch.rand(*shape, generator=generator, device=generator.device, dtype=torch.float32).to(like)


def normal(generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal numbers in the shape of `like`, drawn as by `uniform`."""
    return torch.randn(like.shape, generator=generator, device=generator.device, dtype=torch.float32).to(like)


def require_within(x: Tensor, bounds: tuple[float, float]) -> None:
    """ValueError unless samples lie between the bounds, which NaN does not; accelerators are not asked."""
    if x.device.type != "cpu":
        return
    low, high = (bound.item() for bound in torch.aminmax(x))
    if not (low >= bounds[0] and high <= bounds[1]):
        raise ValueError(f"x must be in {list(bounds)}, got values in [{low:g}, {high:g}]")


@dataclass(frozen=True, kw_only=True)
class Views(ABC, Generic[Drawn]):
    """A random change of each sample by itself; calling it gives several views of each.

    strength: multiplies the size of every change, and up to 1 its probability too; 0 changes nothing at all.
    integer: whether samples are int64 instead of floating point.
    stored: the type of integers, if any, that stand for floating point samples (see `as_numbers`).
    bounds: between which samples must lie, if they must, which NaN does not: views crop, erase and clamp it away. On
        accelerators it is not looked at, as that would stall them.

    `parameters` draws what will be done to each row, `apply` does it, a call does both: in float32 or better, whatever
    the samples come in, and also under autocast.
    """

    strength: float = 1.0
    integer: ClassVar[bool] = False
    stored: ClassVar[torch.dtype | None] = None
    bounds: ClassVar[tuple[float, float] | None] = None

    def __post_init__(self) -> None:
        settle(self)
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{setting.name} must be at least 0 and finite, got {value}")

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int = 2) -> Tensor:
        """Views (B, n_views, ...) of the samples x (B, ...), on x's device.

        Random numbers are drawn on the generator's device, which may be another: one generator state, one result.
        Raises TypeError if x is no tensor of the right type or the generator none, ValueError for other bad input.
        """
        n_views = plain("n_views", n_views, COUNT)
        x = self._ready(x, generator)
        rows = x.repeat_interleave(n_views, dim=0)
        return self.apply(rows, self._draw(rows, generator)).unflatten(0, (len(x), n_views))

    def parameters(self, x: Tensor, generator: torch.Generator) -> Drawn:
        """Draw what is to be done to each row of x (N, ...); raises the errors of a call."""
        return self._draw(self._ready(x, generator), generator)

    def apply(self, x: Tensor, parameters: Drawn) -> Tensor:
        """Do to the rows of x (N, ...) what was drawn for them."""
        made: Any = without_autocast(x.device.type, self._apply, x=self._numbers(x), parameters=parameters)
        return made

    @abstractmethod
    def _apply(self, x: Tensor, parameters: Drawn) -> Tensor: ...

    @abstractmethod
    def _draw(self, x: Tensor, generator: torch.Generator) -> Drawn: ...

    def _ready(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The samples in the type that views are computed in, after all checks."""
        if not isinstance(x, Tensor) or not (
            x.dtype == torch.int64 if self.integer else x.is_floating_point() or x.dtype == self.stored
        ):
            found = x.dtype if isinstance(x, Tensor) else type(x).__name__
            need = "an int64 tensor" if self.integer else "a floating point tensor"
            also = f"; {self.stored} is read as well" if self.stored else ""
            raise TypeError(f"x must be {need}, got {found}{also}")
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")
        if x.layout != torch.strided or x.ndim == 0:
            raise TypeError(f"x must be a dense tensor of samples (B, ...), got {x.layout} of shape {tuple(x.shape)}")
        x = self._numbers(x)
        self._check(x)
        if self.bounds:
            require_within(x, self.bounds)
        return x

    def _numbers(self, x: Tensor) -> Tensor:
        return x if self.integer else as_numbers(x).to(torch.promote_types(x.dtype, torch.float32))

    def _check(self, x: Tensor) -> None:
        """ValueError unless the samples have the right shape."""
