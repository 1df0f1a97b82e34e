"""What every method is: an encoder, a head, views, and a step that turns a batch into a loss."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cl_explore.data import Batch, Dataset
from cl_explore.data.batch import Samples, each
from cl_explore.given import result_of
from cl_explore.methods.gather import gather
from cl_explore.takes import Count, takes
from cl_explore.views.draw import draw_views

Augment = Callable[[Any, torch.Generator, int], Any]
"""augment(x (B, ...), generator, n_views) -> views (B, V, ...); of several tensors by name, each so."""


class Embedded(NamedTuple):
    """A batch, embedded. Where several processes train together, its first four fields are those of the joined batch.

    z: (B, V, D), embeddings of the views, with gradient.
    labels, index: (B,), int64.
    factors: the columns of the data set's factors, each (B,).
    h: (b, V, H), representations of this process's own views; of a method of several encoders by name.
    views: (b, V, ...), what they were made of, by name if the samples are.
    generator: drew the views, and draws what else a step leaves to chance.
    """

    z: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a batch
    factors: Mapping[str, Tensor]
    h: Any
    views: Any
    generator: torch.Generator


class Step(NamedTuple):
    """What one batch gave: `loss`, a scalar with gradient, and `metrics`, scalars without, by name."""

    loss: Tensor
    metrics: dict[str, Tensor]


class Method(nn.Module):
    """A way to train an encoder contrastively; subclasses say in `step` how a batch becomes a loss.

    All state (queues, momentum copies, learnable temperatures) lives in parameters and persistent buffers, so that
    `state_dict` holds everything a trained method is. `knobs` are the numbers a panel may turn while it trains.
    """

    knobs: dict[str, Any]

    @takes
    def __init__(self, encoder: nn.Module, head: nn.Module, augment: Augment, n_views: Count = 2) -> None:
        """encoder maps a batch x to h (N, H), head maps h to z (N, D); `nn.Identity()` is a head too."""
        super().__init__()
        self.encoder, self.head, self.augment, self.n_views = encoder, head, augment, n_views
        self.knobs = {}

    def forward(self, x: Samples) -> Tensor:
        """The representation h (N, H) of x (N, ...): what is kept after training."""
        return self.encoder(x)

    def project(self, h: Tensor) -> Tensor:
        """The embedding z (N, D) of h (N, H), before normalisation: what the loss compares."""
        return self.head(h)

    @property
    def recomputes(self) -> bool:
        """Whether the backward pass calls the networks again, which CUDA graphs cannot follow."""
        return False

    def networks(self) -> list[nn.Module]:
        """What is worth compiling: the modules whose calls do the work."""
        return [self.encoder, self.head]

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """Rows of the data set (n * batch_size,) for one epoch, batch by batch, on the CPU: n is the same every time.

        Here all are shuffled, and those of an incomplete last batch left out; a subclass may choose who meets whom.
        """
        rows = torch.randperm(len(dataset), generator=generator, device="cpu")
        return rows[: len(dataset) // batch_size * batch_size]

    def draw_views(self, x: Samples, generator: torch.Generator) -> Samples:
        """Views (B, V, ...) of the samples x (B, ...); ValueError if `augment` gives anything else."""
        return draw_views(self.augment, x, generator, self.n_views)

    def embed(self, views: Samples) -> tuple[Any, Tensor]:
        """h (b, V, H) and z (b, V, D) of views (b, V, ...), which go through the networks as one batch."""
        shape = next(iter(views.values()) if isinstance(views, dict) else iter([views])).shape[:2]
        h, z = self.encode(each(lambda part: part.flatten(0, 1), views))
        return of_views("encoder", h, shape), of_views("head", z, shape)

    def encode(self, x: Samples) -> tuple[Tensor, Tensor]:
        """h (N, H) and z (N, D) of x (N, ...)."""
        h = result_of("encoder", self(x))
        return h, result_of("head", self.project(h))

    def embed_views(self, batch: Batch, generator: torch.Generator) -> Embedded:
        """Views of a batch, drawn with `generator`, and their embeddings; z carries the gradient.

        Where several processes train together, `batch` is this one's share and z is of the joined batch.
        """
        views = self.draw_views(batch.x, generator)
        h, z = self.embed(views)
        joined, labels, index, *columns = gather(z, batch.labels, batch.index, *batch.factors.values())
        factors = dict(zip(batch.factors, columns, strict=True))
        return Embedded(joined, labels, index, factors, h, views, generator)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Loss and metrics of a batch; all randomness of the views comes from `generator`, on the batch's device.

        Where several processes train together, `batch` is this one's share, and `embed_views` gives the joined one.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(batch, generator)")

    def after_step(self) -> None:
        """Called after each step of the optimiser: the place to move momentum copies and fill queues."""


def of_views(network: str, rows: Tensor, shape: Sequence[int]) -> Tensor:
    """What a network made of b * V views, (b * V, F), as (b, V, F); ValueError naming the network for another shape."""
    if rows.ndim != 2 or len(rows) != shape[0] * shape[1]:
        raise ValueError(
            f"{network} must give one row of features for each of {shape[0]} x {shape[1]} views, "
            f"({shape[0] * shape[1]}, features), got shape {tuple(rows.shape)}"
        )
    return rows.unflatten(0, shape)
