"""Exercises of the lesson negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.app.exercises import SIMILARITIES, Exercise, points


def _share_of_the_positive(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    return torch.cat([positive[None], negatives]).div(temperature).softmax(0)[0]


coupling = Exercise(
    lambda positive, negatives, temperature: 1 - _share_of_the_positive(positive, negatives, temperature),
    lambda: [(torch.tensor(0.8), SIMILARITIES, 0.1), (torch.tensor(0.2), SIMILARITIES, 0.5)],
    {"that is the probability of the positive: q is what is left": _share_of_the_positive},
)

false_share = Exercise(
    lambda classes: 1 / classes,
    lambda: [(10,), (100,)],
    {"that is the share of true negatives": lambda classes: 1 - 1 / classes},
)

mix = Exercise(
    lambda query, negative, share: F.normalize(share * query + (1 - share) * negative, dim=-1),
    lambda: [(F.normalize(points()[0, 0], dim=0), F.normalize(points()[1, 0], dim=0), 0.3)],
    {
        "the mixture lies inside the sphere: give it length 1": lambda query, negative, share: (
            share * query + (1 - share) * negative
        ),
        "you swapped the two: `share` belongs to the query": lambda query, negative, share: F.normalize(
            (1 - share) * query + share * negative, dim=-1
        ),
    },
)
