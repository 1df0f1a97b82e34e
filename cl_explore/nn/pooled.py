"""Encoders of samples made of parts: each part by itself, then the mean or the largest over the parts."""

from typing import Literal

from torch import Tensor, nn

from cl_explore.takes import Count, takes


class Pooled(nn.Module):
    """One network for all parts of a sample: the frames of a video, the points of a cloud.

    Maps (N, P, ...) to (N, out_features), whatever P; the order of the parts does not matter.

    >>> import torch
    >>> from cl_explore.nn import MLP
    >>> Pooled(MLP([3, 32, 16]), "max")(torch.randn(4, 50, 3)).shape
    torch.Size([4, 16])
    """

    @takes
    def __init__(self, part: nn.Module, pool: Literal["mean", "max"] = "mean") -> None:
        """part: maps (M, ...) to (M, F) and says F as `out_features`; ValueError for another pool."""
        super().__init__()
        if not hasattr(part, "out_features"):
            raise ValueError(f"part must say its out_features, got a {type(part).__name__} without")
        self.part, self.pool, self.out_features = part, pool, part.out_features

    def forward(self, x: Tensor) -> Tensor:
        parts = self.part(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return parts.mean(dim=1) if self.pool == "mean" else parts.amax(dim=1)

    def extra_repr(self) -> str:
        return f"pool={self.pool!r}"


class BagOfTokens(nn.EmbeddingBag):
    """The mean of learned vectors, one for each token number; padding (0) does not count.

    Maps tokens (N, L), int64, to (N, out_features).

    >>> import torch
    >>> BagOfTokens(100, 16)(torch.tensor([[5, 6, 0], [7, 0, 0]])).shape
    torch.Size([2, 16])
    """

    @takes
    def __init__(self, vocabulary: Count, features: Count = 64) -> None:
        """vocabulary: one more than the largest token number."""
        super().__init__(vocabulary, features, mode="mean", padding_idx=0)
        self.out_features = features
