"""Methods with one encoder whose views are compared: SimCLR, SupCon, VarCon, DCL, SwAV, SogCLR, ..."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from cl_explore import losses
from cl_explore.data.batch import Samples, each
from cl_explore.methods.method import Augment, Embedded
from cl_explore.methods.skeleton import Skeleton
from cl_explore.takes import Count, takes


class JointEmbedding(Skeleton):
    """One encoder, `n_views` views of each sample, one loss.

    A loss of two sides gets the first view as query (or context) and the second as key, one of candidates all others;
    a loss of a salient code gets the second half of the features of z as such, and the first half as z.
    """

    serves = Skeleton.serves | {"query", "key", "context", "candidates", "salient"}

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss | nn.Module,
        augment: Augment,
        n_views: Count = 2,
        *,
        chunk: Count | None = None,
        **options: Any,
    ) -> None:
        """loss, options: see `Skeleton`.

        chunk: embed so many views at a time, forget what the network computed on the way and compute it again when the
        gradient comes (GradCache, Gao et al. 2021, 2101.06983): a large batch then costs the memory of a small one and
        a third more time. Dropout and autocast are replayed; batch norm sees chunks, and counts each twice in its
        running statistics. A single view that would be left over at the end joins the chunk before.
        """
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}")
        super().__init__(encoder, head, loss, augment, n_views, **options)
        self.chunk = chunk

    @property
    def recomputes(self) -> bool:
        """Whether it embeds in chunks."""
        return self.chunk is not None

    def encode(self, x: Samples) -> tuple[Tensor, Tensor]:
        """As `Method.encode`: at once, or in chunks that are computed again for the gradient."""
        encode, size = super().encode, self.chunk
        if size is None:
            return encode(x)

        if size == 1 and any(isinstance(part, _BatchNorm) and part.training for part in self.modules()):
            raise ValueError("chunk must be at least 2 for batch norm, which takes its statistics over it, got 1")
        whole = len(next(iter(x.values()))) if isinstance(x, dict) else len(x)
        starts = list(range(0, whole, size))
        if 1 < size < whole and starts[-1] == whole - 1:
            starts.pop()

        def rows(start: int, end: int) -> Samples:
            return each(lambda part: part[start:end], x)

        chunks = (checkpoint(encode, rows(*ends), use_reentrant=False) for ends in pairwise([*starts, whole]))
        h, z = zip(*chunks, strict=True)
        return torch.cat(h), torch.cat(z)

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        z = embedded.z
        if need in ("query", "context"):
            return z[:, 0]
        if need == "key":
            return z[:, 1]
        if need == "candidates":
            return z[:, 1:]
        if "salient" in self.given and need in ("z", "salient"):
            return z.chunk(2, dim=2)[need == "salient"]
        return super().provide(need, embedded)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, chunk={self.chunk}"
