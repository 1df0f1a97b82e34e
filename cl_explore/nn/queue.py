"""A first-in-first-out memory of keys, the pool of negatives in momentum contrast."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Queue(nn.Module):
    """The last `size` keys seen (MoCo, 1911.05722), as unit vectors `keys` (size, dim) without gradient.

    Starts as random directions. `keys` and `pointer` (the row that the next key replaces, the oldest one) are
    persistent buffers. `enqueue` writes in place: call it after the backward pass of a loss that used `keys`.
    """

    keys: Tensor
    pointer: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        for name, value in (("size", size), ("dim", dim)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.out_features = dim
        self.register_buffer("keys", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put in keys (n, dim), any n, made unit vectors; the oldest leave. ValueError if the shape does not fit."""
        size, dim = self.keys.shape
        if keys.ndim != 2 or keys.shape[1] != dim:
            raise ValueError(f"keys must have shape (n, {dim}), got {tuple(keys.shape)}")
        # more keys than places: only the last `size` of them would survive, and rows must not repeat below
        skipped = max(len(keys) - size, 0)
        rows = (self.pointer + torch.arange(skipped, len(keys), device=self.keys.device)) % size
        self.keys[rows] = F.normalize(keys[skipped:], dim=1).to(self.keys.dtype)
        self.pointer.copy_((self.pointer + len(keys)) % size)

    def extra_repr(self) -> str:
        return "size={}, dim={}".format(*self.keys.shape)
