"""Captions of worlds whose factors are known: one word for each factor, then words that say nothing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cl_explore.takes import Count, takes

FIRST = 2  # token of the first word, as 0 is padding and 1 the mask


@takes
def captions(
    classes: Tensor, counts: Sequence[Count], generator: torch.Generator, fillers: int = 2, of: Count = 44
) -> Tensor:
    """Captions (N, K + fillers) int64 of rows of classes (N, K): value v of factor k is word v of that factor.

    counts: how many values each factor has; the words of a factor follow those of the one before, from token 2 on.
    fillers: words that are drawn anew for each caption, of `of` others that come last.
    Raises: ValueError for classes outside their counts

    >>> captions(torch.tensor([[1, 0], [0, 2]]), (2, 3), torch.Generator(), fillers=0)
    tensor([[3, 4],
            [2, 6]])
    """
    sizes = torch.tensor(counts)
    if classes.ndim != 2 or classes.shape[1] != len(counts) or not ((classes >= 0) & (classes < sizes)).all():
        raise ValueError(f"classes must be (N, {len(counts)}), each from 0 to below {tuple(counts)}")
    words = classes + FIRST + sizes.cumsum(0) - sizes
    extra = torch.randint(of, (len(classes), fillers), generator=generator) + FIRST + int(sizes.sum())
    return torch.cat([words, extra], dim=1)
