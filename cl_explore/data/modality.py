"""What is known of a kind of samples: how it is checked, turned into numbers and shown, and what it is trained with."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cl_explore.names import unknown
from cl_explore.views import Views

KINDS: dict[str, "Modality"] = {}
"""The kinds of samples, by name."""


class Modality(ABC):
    """A kind of samples x (N, ...).

    name: what `Dataset` calls it. axes: of x. dtypes: in which x may be stored.
    bounds: between which floats must lie, if they must.

    `encoder`, `weak` and `hard` give the defaults for samples like x: a small network with `out_features`, views in
    which it can find a sample again, and views in which that is hard.
    """

    name: ClassVar[str]
    axes: ClassVar[str]
    dtypes: ClassVar[tuple[torch.dtype, ...]] = (torch.float32,)
    bounds: ClassVar[tuple[int, int] | None] = None

    def check(self, x: Tensor, argument: str = "x") -> None:
        """ValueError, naming the argument, unless x are samples of this kind."""
        if not isinstance(x, Tensor) or x.layout != torch.strided:
            raise TypeError(f"{argument} must be a dense tensor, got {getattr(x, 'layout', type(x).__name__)}")
        if x.ndim != self.axes.count(",") + 1 or x.numel() == 0:
            raise ValueError(
                f"{argument} must have shape ({self.axes}) with N >= 1 for {self.name}, got {tuple(x.shape)}"
            )
        if x.dtype not in self.dtypes:
            allowed = " or ".join(str(dtype).removeprefix("torch.") for dtype in self.dtypes)
            raise ValueError(f"{argument} must be {allowed} for {self.name}, got {x.dtype}")
        if x.is_floating_point():
            low, high = (bound.item() for bound in torch.aminmax(x))
            if self.bounds and not (low >= self.bounds[0] and high <= self.bounds[1]):
                need = f"{argument} must be in {list(self.bounds)} for float {self.name}s"
                raise ValueError(f"{need}, got values in [{low:g}, {high:g}]")
            if not abs(high - low) < float("inf"):
                raise ValueError(f"{argument} must be finite, got nan or inf")

    @abstractmethod
    def encoder(self, x: Tensor) -> nn.Module: ...

    @abstractmethod
    def weak(self, x: Tensor) -> Views[Any]: ...

    @abstractmethod
    def hard(self, x: Tensor) -> Views[Any]: ...

    def thumbnails(self, x: Tensor) -> Tensor | None:
        """Small pictures (N, 1 or 3, h, w), bytes or in [0, 1], of the samples; None if they cannot be seen so."""
        return None


def known(modality: type[Modality]) -> type[Modality]:
    """Record a kind of samples, so that `Dataset` knows it by its name."""
    KINDS[modality.name] = modality()
    return modality


def recognise(x: Any, given: Any, argument: str = "x") -> Any:
    """The kind of the samples x, by name if x is a dictionary, after a check that they are such.

    given: a name of KINDS, or a kind of one's own; None (in a dictionary also: left out) for what cannot be mistaken:
        vectors, float32 (N, F), and images, uint8 or float32 (N, C, H, W).

    Raises ValueError or TypeError for what is unknown, unfit or could be several kinds.
    """
    if isinstance(x, dict):
        named = {} if given is None else given
        if not isinstance(named, dict):
            raise TypeError(f"kind must be a dictionary as {argument} is one, got {given!r}")
        if not x:
            raise ValueError(f"{argument} must be a tensor or a dictionary of at least one, got {{}}")
        if strange := named.keys() - x.keys():
            raise unknown("part of x in kind", min(strange), x)
        return {name: recognise(part, named.get(name), f"{argument}[{name!r}]") for name, part in x.items()}
    if not isinstance(x, Tensor):
        raise TypeError(f"{argument} must be a tensor, got {type(x).__name__}")
    if isinstance(given, str) and given not in KINDS:
        raise unknown("kind", given, KINDS)
    modality = _unmistakable(x, argument) if given is None else KINDS[given] if isinstance(given, str) else given
    if not isinstance(modality, Modality):
        raise TypeError(f"kind must be a name or a Modality for {argument}, got {given!r}")
    modality.check(x, argument)
    return modality


def _unmistakable(x: Tensor, argument: str) -> Modality:
    if x.ndim == 2 and x.dtype == torch.float32:
        return KINDS["vector"]
    if x.ndim == 4 and x.dtype in (torch.float32, torch.uint8):
        return KINDS["image"]
    others = ", ".join(f"{kind.name} ({kind.axes})" for name, kind in KINDS.items() if name not in ("vector", "image"))
    shape = f"{argument} must have shape (N, F) or (N, C, H, W), got {tuple(x.shape)}"
    dtype = f"{argument} must be float32, or uint8 for images, got {x.dtype} of {x.ndim} dimensions"
    raise ValueError(f"{dtype if x.ndim in (2, 4) else shape}; for other samples name their kind, one of {others}")
