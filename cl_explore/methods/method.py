"""What every method is: an encoder, a head, views, and a step that turns a batch into a loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cl_explore.data import Batch

Augment = Callable[[Tensor, torch.Generator, int], Tensor]
"""augment(x (B, ...), generator, n_views) -> views (B, V, ...)."""


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

    def __init__(self, encoder: nn.Module, head: nn.Module, augment: Augment) -> None:
        """encoder maps a batch x to h (N, H), head maps h to z (N, D); `nn.Identity()` is a head too."""
        super().__init__()
        self.encoder, self.head, self.augment = encoder, head, augment
        self.knobs = {}

    def forward(self, x: Tensor) -> Tensor:
        """The representation h (N, H) of x (N, ...): what is kept after training."""
        return self.encoder(x)

    def project(self, h: Tensor) -> Tensor:
        """The embedding z (N, D) of h (N, H), before normalisation: what the loss compares."""
        return self.head(h)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Loss and metrics of a batch; all randomness of the views comes from `generator`, on the batch's device.

        Where several processes train together, `batch` is this one's share: `gather` what the loss compares.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(batch, generator)")

    def after_step(self) -> None:
        """Called after each step of the optimiser: the place to move momentum copies and fill queues."""
