"""Samples of one or several parts, and the batches of them that a method is given."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from cl_explore.views.base import as_numbers

Samples = Any
"""What is seen of N samples: a tensor (N, ...), or several in a dictionary, such as image and caption, of equal N.

Not declared as a union: code for one modality reads it as a tensor, code for several by name.
"""


def each(change: Callable[[Tensor], Tensor], x: Samples) -> Samples:
    """The samples with every tensor of theirs changed."""
    return {name: change(part) for name, part in x.items()} if isinstance(x, dict) else change(x)


class Batch(NamedTuple):
    """Rows of a data set.

    x: (B, ...), or by name: ready for a network.
    labels, index: (B,), both int64.
    factors: the columns of the data set's factors, each (B,).
    edges: (2, E), those of a graph's edges whose both ends are in the batch, from place to place in it.
    """

    x: Samples
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a batch
    factors: Mapping[str, Tensor] = {}
    edges: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor of it changed."""
        factors = {name: change(column) for name, column in self.factors.items()}
        edges = None if self.edges is None else change(self.edges)
        return Batch(each(change, self.x), change(self.labels), change(self.index), factors, edges)

    def as_numbers(self) -> "Batch":
        """The batch with bytes, 16-bit integers and floats of other sizes as float32."""
        return self._replace(x=each(_ready, self.x))


def _ready(part: Tensor) -> Tensor:
    return part.float() if part.is_floating_point() else as_numbers(part)
