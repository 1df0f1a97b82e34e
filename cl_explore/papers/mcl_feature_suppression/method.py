"""MCL: train again among samples that agree in what is learned already, and keep the encoders of all stages.

The authors' code holds the form for CLIP alone; how a stage of SimCLR starts is a reconstruction.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.data.groups import in_groups, ranked
from cl_explore.methods import JointEmbedding, Method

Incomplete = Literal["join", "drop"]


def refine(groups: Tensor, clusters: Tensor, count: int) -> Tensor:
    """The groups of the next stage: samples stay together that a stage has put into one cluster, g K + k.

    groups: (N,) int64 from 0 on, whose digits in base K are the clusters of all stages before
    clusters: (N,) int64 in [0, count), of the last stage
    count: K
    Raises: ValueError for a cluster outside that range, or groups whose numbers would outgrow int64

    >>> refine(torch.tensor([0, 1, 2]), torch.tensor([2, 0, 1]), 3)
    tensor([2, 3, 7])
    """
    if clusters.min() < 0 or clusters.max() >= count:
        low, high = clusters.aminmax()
        raise ValueError(f"clusters must be in [0, {count}), got {low} to {high}")
    if int(groups.max()) >= 2**63 // count:
        raise ValueError(f"groups must be below 2^63 / {count}, to be told apart in int64, got {groups.max()}")
    return groups * count + clusters


def group_batches(
    groups: Tensor, batch_size: int, generator: torch.Generator, *, incomplete: Incomplete = "join"
) -> Tensor:
    """Rows (n * batch_size,) for an epoch: first batches of one group each, a batch of every group in turn.

    groups: (N,) int64, the group of each row; inside a group the rows are shuffled
    incomplete: what becomes of those that fill no batch of their group: they are joined to batches of several groups,
        which are laid end to end in a drawn order and cut ("join", where less than a batch is left out), or left out
        ("drop"), as in the authors' code: of a group smaller than a batch nothing is ever seen
    Raises: ValueError if not one batch is full
    """
    rows, group, rank, sizes = ranked(groups, generator)
    turn = rank // batch_size
    whole = turn < (sizes // batch_size)[group]
    found = rows[whole][turn[whole].argsort(stable=True)]
    if incomplete == "join":
        place = torch.randperm(len(sizes), generator=generator, device="cpu")
        rest = rows[~whole][place[group[~whole]].argsort(stable=True)]
        found = torch.cat([found, rest[: len(rest) // batch_size * batch_size]])
    if not len(found):
        raise ValueError(
            f"batch_size must be at most the {int(sizes.max())} samples of the largest of {len(sizes)} groups, got "
            f"{batch_size}"
        )
    return found


def alike(groups: Tensor, code: Tensor) -> float:
    """Of the pairs of samples within a group (N,), the share that has the same code (N,)."""
    together = (torch.stack(keys).unique(dim=1, return_counts=True)[1] for keys in ((groups,), (groups, code)))
    pairs, same = ((sizes * (sizes - 1)).sum().item() for sizes in together)
    return same / pairs


class Grouped(JointEmbedding):
    """A contrast whose batches are filled group by group; the groups are the labels of what it is trained on."""

    def __init__(self, *parts: Any, incomplete: Incomplete = "join", **options: Any) -> None:
        """parts, options: see `JointEmbedding`. incomplete: see `group_batches`."""
        super().__init__(*parts, **options)
        self.incomplete: Incomplete = incomplete

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """As `group_batches`."""
        return group_batches(dataset.labels, batch_size, generator, incomplete=self.incomplete)

    def extra_repr(self) -> str:
        return f"incomplete={self.incomplete!r}, {super().extra_repr()}"


Trained = Callable[[int, Dataset, Method | None], Method]
"""trained(stage, seen, last): a method trained on data whose labels are the groups; last: that of the stage before."""


def learn_in_stages(train: Dataset, trained: Trained, *, stages: int, clusters: int) -> tuple[list[Method], Tensor]:
    """The method of each stage, and the groups (N,) of the last one; those of the first stage are one.

    After a stage its embeddings z of all samples, as they are, not augmented, are clustered by k-means on the sphere.

    stages: S, at least 1
    clusters: K; must be able to tell the values of the suppressing feature apart
    """
    found: list[Method] = []
    groups = torch.zeros(len(train), dtype=torch.int64)
    for stage in range(stages):
        if found:
            z = evaluate.embed(found[-1], train).z
            groups = refine(groups, evaluate.kmeans(z, clusters), clusters)
        found.append(trained(stage, in_groups(train, groups), found[-1] if found else None))
    return found, groups


class SideBySide(nn.Module):
    """Encoders of several stages, whose features are joined: maps x to h (N, the sum of their features)."""

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def forward(self, x: Any) -> Tensor:
        return torch.cat([encoder(x) for encoder in self.encoders], dim=1)
