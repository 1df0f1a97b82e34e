"""Points made harder by mixing: the hardest pair of each anchor, and the mixtures some losses are fed with."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.arguments import require, require_known, values_are_at_hand
from cl_explore.losses.unit import unit
from cl_explore.takes import Count, Positive, Share, takes

Mining = Literal["masked", "authors"]


class HardPairs(NamedTuple):
    """For each row a harder positive and a harder negative than the batch holds, with their soft labels."""

    positives: Tensor
    """(N, D) between the hardest positive and the hardest negative."""
    negatives: Tensor
    """(N, D) a random other row with a little of the anchor in it."""
    positive_targets: Tensor
    """(N, C) the share of each class in `positives`."""
    negative_targets: Tensor
    """(N, C) the share of each class in `negatives`."""


@takes
def beta(*shape: Count, a: Positive, b: Positive, generator: torch.Generator) -> Tensor:
    """Random shares from the Beta(a, b) distribution, of mean a / (a + b): float64 on the generator's device.

    >>> draws = beta(1000, a=2, b=8, generator=torch.Generator().manual_seed(0))
    >>> bool((draws.mean() - 0.2).abs() < 0.02)
    True
    """
    x, y = (
        torch._standard_gamma(
            torch.full(shape, float(value), dtype=torch.float64, device=generator.device), generator=generator
        )
        for value in (a, b)
    )
    return x / (x + y)


def mix(points: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """share_i points[first_i] + (1 - share_i) points[second_i]: points (N, D), the rest (M,); returns (M, D)."""
    require(points=(points, "N D"), first=(first, "ids M"), second=(second, "ids M"), share=(share, "M"))
    for name, rows in {"first": first, "second": second}.items():
        if values_are_at_hand(rows) and rows.max() >= len(points):
            raise ValueError(f"{name} must be smaller than {len(points)}, the rows of points, got {int(rows.max())}")
    return torch.lerp(points[second], points[first], share.to(points)[:, None])


@takes
def hardest_pairs(features: Tensor, labels: Tensor, *, mining: Mining = "masked") -> tuple[Tensor, Tensor]:
    """The least similar row of the own class and the most similar row of another class, by cosine.

    features (N, D), labels (N,); returns two index tensors (N,). A row without a positive, or without a negative, is
    its own. mining "authors": as Core-tuning's code finds them, with a zero in place of every cosine that is not asked
    for; after a ReLU, where none is below 0, such a zero is the least, and the row that is found is the row itself or
    one of another class.

    >>> hardest_pairs(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]]), torch.tensor([0, 0, 0, 1]))
    (tensor([2, 2, 0, 3]), tensor([3, 3, 3, 1]))
    """
    require(features=(features, "N D"), labels=(labels, "ids N"))
    x = unit(features.detach())
    cosine = x @ x.T
    rows = torch.arange(len(x), device=x.device)
    same = labels[:, None] == labels
    positive = same & (rows[:, None] != rows)
    if mining == "authors":
        least = (cosine * positive).argmin(1)
        return torch.where(least == 0, rows, least), (cosine * ~same).argmax(1)
    return (
        torch.where(positive.any(1), cosine.masked_fill(~positive, torch.inf).argmin(1), rows),
        torch.where(same.all(1), rows, cosine.masked_fill(same, -torch.inf).argmax(1)),
    )


@takes
def hard_pairs(
    features: Tensor,
    labels: Tensor,
    *,
    num_classes: Count,
    alpha: Positive = 1.0,
    least: Share = 0.8,
    mining: Mining = "masked",
    generator: torch.Generator,
) -> HardPairs:
    """Core-tuning's mixtures of features (before classifier and projection head), with gradient to the features.

    features (N, D), labels (N,) in [0, num_classes). Hard positive of a row: a Beta(alpha, alpha) mixture of its
    hardest positive with its hardest negative. Hard negative: a random other row, of which at least `least` is kept,
    mixed with the row itself. Give `focal_supcon` both after projection, and cross-entropy their soft labels. mining:
    see `hardest_pairs`. Source: Zhang et al. 2021 (2102.06605).

    >>> features, labels = torch.randn(6, 4), torch.arange(6) % 2
    >>> pairs = hard_pairs(features, labels, num_classes=2, generator=torch.Generator().manual_seed(0))
    >>> pairs.positives.shape, bool(pairs.positive_targets.sum(1).allclose(torch.ones(6)))
    (torch.Size([6, 4]), True)
    """
    require(features=(features, "N D"), labels=(labels, "ids N"))
    require_known(labels, num_classes, "num_classes")
    rows = torch.arange(len(features), device=features.device)
    targets = F.one_hot(labels, num_classes).to(features.dtype)
    positive, negative = hardest_pairs(features, labels, mining=mining)
    partner = torch.randperm(len(features), generator=generator, device=generator.device).to(features.device)
    pull = beta(len(features), a=alpha, b=alpha, generator=generator)
    keep = beta(len(features), a=alpha, b=alpha, generator=generator).clamp(min=least)
    return HardPairs(
        mix(features, positive, negative, pull),
        mix(features, partner, rows, keep),
        mix(targets, positive, negative, pull),
        mix(targets, partner, rows, keep),
    )
