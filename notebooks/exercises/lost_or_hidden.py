"""Exercises of the lesson lost_or_hidden."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.app.exercises import Exercise, points

others = Exercise(
    lambda samples, bits: (samples - 1) / 2**bits,
    lambda: [(64, 6), (250, 3)],
    {
        "the anchor itself is no other sample: leave it out": lambda samples, bits: samples / 2**bits,
        "so many bits make 2 ** bits different tags": lambda samples, bits: (samples - 1) / bits,
        "the tags are told apart by all bits together: one bit alone halves the number": lambda samples, bits: (
            (samples - 1) / 2
        ),
        "count samples, not their views": lambda samples, bits: (2 * samples - 2) / 2**bits,
    },
)


def _refined(groups: Tensor, clusters: Tensor, count: int) -> Tensor:
    return groups * count + clusters


refined = Exercise(
    _refined,
    lambda: [(torch.tensor([0, 0, 1, 1, 2, 7]), torch.tensor([0, 3, 0, 3, 1, 2]), 4)],
    {
        "(group 0, cluster 3) and (group 1, cluster 2) would be one group: give each pair a number of its own": (
            lambda groups, clusters, count: groups + clusters
        ),
        "there may be more groups than clusters: multiply the group, not the cluster": lambda groups, clusters, count: (
            clusters * count + groups
        ),
        "the groups of before must stay apart: these are the new clusters alone": lambda groups, clusters, count: (
            clusters
        ),
    },
)


def _joint(common: Tensor, salient: Tensor, temperature: float) -> Tensor:
    distance = torch.cdist(common, common).square() + torch.cdist(salient, salient).square()
    return (-distance / (2 * temperature)).exp().mean(1).log().mean()


def _joint_of_one_logarithm(common: Tensor, salient: Tensor, temperature: float) -> Tensor:
    distance = torch.cdist(common, common).square() + torch.cdist(salient, salient).square()
    return (-distance / (2 * temperature)).exp().mean().log()


def _joint_of_distances(common: Tensor, salient: Tensor, temperature: float) -> Tensor:
    distance = torch.cdist(common, common) + torch.cdist(salient, salient)
    return (-distance / (2 * temperature)).exp().mean(1).log().mean()


def _sum_of_both(common: Tensor, salient: Tensor, temperature: float) -> Tensor:
    nothing = torch.zeros_like(salient)
    return _joint(common, nothing, temperature) + _joint(salient, nothing, temperature)


joint = Exercise(
    _joint,
    lambda: [(F.normalize(points()[:, 0], dim=1), 0.3 * points(6, seed=1)[:, 0], 0.5)],
    {
        "take the logarithm for each sample, then the mean: yours is a single logarithm": _joint_of_one_logarithm,
        "the distances are squared": _joint_of_distances,
        "that is the crowding of each code by itself: add the distances before the exponential": _sum_of_both,
    },
)
