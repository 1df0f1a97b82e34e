"""Transformers of tokens: patches, words, moments. Layer norm comes first, and nothing is dropped."""

import torch
from torch import Tensor, nn

from cl_explore.takes import Count, Number, takes


class Transformer(nn.Module):
    """Layers of attention: tokens (N, L, width) to as many of the same width, each of which has seen the others.

    >>> Transformer(8, depth=2, heads=2, length=5)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    @takes
    def __init__(self, width: Count, depth: Count = 1, heads: Count = 4, *, length: Number = 0) -> None:
        """How large it is; its hidden layers have 2 width features.

        length: most tokens of a sample, each place with a learned vector; 0 for none: order is then without meaning
        Raises: ValueError if width is no multiple of heads
        """
        if width % heads:
            raise ValueError(f"width must be a multiple of the {heads} heads, got {width}")
        super().__init__()
        self.out_features = width
        self.position = nn.Parameter(0.02 * torch.randn(length, width)) if length else None
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(depth)
        )

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """Tokens (N, L, width) -> (N, L, width). padding: (N, L) bool, true for tokens that no other may see."""
        if self.position is not None:
            if tokens.shape[1] > len(self.position):
                raise ValueError(f"tokens must be at most {len(self.position)} a sample, got {tokens.shape[1]}")
            tokens = tokens + self.position[: tokens.shape[1]]
        for layer in self.layers:
            tokens = layer(tokens, src_key_padding_mask=padding)
        return tokens


class AttentionPool(nn.Module):
    """Tokens (N, L, width) -> (N, width): what a learned token of its own makes of the others in a transformer.

    Several pools may share one transformer.
    """

    @takes
    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        self.transformer, self.out_features = transformer, transformer.out_features
        self.summary = nn.Parameter(0.02 * torch.randn(self.out_features))

    def forward(self, tokens: Tensor) -> Tensor:
        summary = self.summary.expand(len(tokens), 1, -1)
        return self.transformer(torch.cat([summary, tokens], dim=1))[:, 0]
