"""Views of tokens: some are left out, some are masked; padding stays padding."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.views.base import Views, uniform

PADDING, MASK = 0, 1
"""The token numbers that are no words: what fills a row up to its length, and what stands for a hidden token."""


class TokenParameters(NamedTuple):
    """What was drawn for tokens (N, L): which to leave out and which to mask, both (N, L) bool."""

    drop: Tensor
    mask: Tensor


@dataclass(frozen=True, kw_only=True)
class TokenViews(Views[TokenParameters]):
    """Views of tokens (B, L), int64, 0 = padding at the end of a row.

    drop: probability with which a token is left out; those behind it move up. One of each row always stays.
    mask: probability with which a token becomes 1, the mask.

    >>> TokenViews(drop=0.5)(torch.tensor([[5, 6, 7, 0]]), torch.Generator().manual_seed(0)).shape
    torch.Size([1, 2, 4])
    """

    integer = True
    drop: float = 0.1
    mask: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drop > 1 or self.mask > 1:
            raise ValueError(f"drop and mask are probabilities, at most 1, got {self.drop} and {self.mask}")

    def _apply(self, x: Tensor, parameters: TokenParameters) -> Tensor:
        """Mask the tokens x (N, L), then leave out; padding is neither masked nor moved in between."""
        drop, mask = parameters
        x = x.masked_fill(mask & (x != PADDING), MASK).masked_fill(drop, PADDING)
        return x.gather(1, drop.long().argsort(dim=1, stable=True))

    def _draw(self, x: Tensor, generator: torch.Generator) -> TokenParameters:
        dropped, masked = uniform(generator, torch.empty(0, device=x.device, dtype=torch.float32), 2, *x.shape)
        dropped = dropped.masked_fill(x == PADDING, -1)
        last = dropped == dropped.amax(dim=1, keepdim=True)
        chance = min(self.strength, 1.0)
        return TokenParameters(
            (dropped >= 0) & (dropped < chance * self.drop) & ~last,
            masked < chance * self.mask,
        )

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2:
            raise ValueError(f"x must have shape (B, L), got {tuple(x.shape)}")
