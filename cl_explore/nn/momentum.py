"""A slowly moving copy of a network, the source of keys and targets in momentum methods."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cl_explore.takes import Share, takes


class Momentum(nn.Module):
    """Exponential moving average of a module's parameters (MoCo, 1911.05722, eq. 2): p <- decay p + (1 - decay) q.

    Buffers (batch-norm statistics) are copied, not averaged. The copy's parameters take no gradient. Only the copy is
    part of the state; the module followed is remembered but belongs to whoever owns it. `decay` may be changed later.
    """

    @takes
    def __init__(self, module: nn.Module, decay: Share = 0.99) -> None:
        """module: the network to follow; ValueError unless decay is in [0, 1] (1 never moves, 0 copies)."""
        super().__init__()
        self.decay = decay
        self.copy = copy.deepcopy(module).requires_grad_(False)
        self._followed = (module,)  # in a tuple, so that it is not registered as a child and saved twice
        self.out_features = getattr(module, "out_features", None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the copy gives, without a graph."""
        with torch.no_grad():
            return self.copy(*args, **kwargs)

    @torch.no_grad()
    def update(self) -> None:
        """Move the copy one step towards the module it follows."""
        (module,) = self._followed
        # all at once: a kernel for each of hundreds of small tensors costs more than the arithmetic
        averages: list[Tensor] = list(self.copy.parameters())
        if averages:
            torch._foreach_lerp_(averages, tuple(module.parameters()), 1 - self.decay)
        statistics: list[Tensor] = list(self.copy.buffers())
        if statistics:
            torch._foreach_copy_(statistics, tuple(module.buffers()))

    def extra_repr(self) -> str:
        return f"decay={self.decay}"
