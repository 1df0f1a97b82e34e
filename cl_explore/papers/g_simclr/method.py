"""G-SimCLR: batches whose samples come from different clusters, so that fewer negatives are of the anchor's class.

Source: the authors' notebooks and slides; where these differ, a switch says so.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.data.groups import ranked
from cl_explore.methods import JointEmbedding, Method

Exhausted = Literal["straddle", "drop", "resample"]


def rank_batches(
    groups: Tensor,
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    on_exhausted: Exhausted = "straddle",
) -> Tensor:
    """Rows (n * batch_size,) for an epoch: the first of every group, the second of every group, ..., cut into batches.

    groups: (N,) int64, the group of each row
    generator: draws who is first in a group, which group comes first, and the order of the batches; None keeps the
        order of rows and groups, and with it one order for all epochs, as the authors' code does
    on_exhausted: what happens once a group has no more members. "straddle": the others go on, and the last batches hold
        several of one group, as in the authors' code; "drop": that is the end of the epoch; "resample": small groups
        give members again, and of large ones not all are met, N // groups of each.
    Raises: ValueError if not one batch is full, or for another on_exhausted
    Note: Groups of equal size, no fewer than batch_size: no batch holds two of one group. One group: random batches.
    """
    if on_exhausted not in ("straddle", "drop", "resample"):
        raise ValueError(f"on_exhausted must be 'straddle', 'drop' or 'resample', got {on_exhausted!r}")
    rows, group, rank, sizes = ranked(groups, generator)
    place = torch.arange(len(sizes))
    if generator is not None:
        place = torch.randperm(len(sizes), generator=generator, device="cpu")
    if on_exhausted == "resample":
        turn, first = torch.arange(len(rows) // len(sizes))[:, None], sizes.cumsum(0) - sizes
        found = rows[(first + turn % sizes)[:, place].flatten()]
    else:
        found = rows[(rank * len(sizes) + place[group]).argsort()]
        if on_exhausted == "drop":
            found = found[: len(sizes) * int(sizes.min())]
    if len(found) < batch_size:
        raise ValueError(
            f"batch_size must be at most {len(found)}, the rows that {len(sizes)} groups of {int(sizes.min())} to "
            f"{int(sizes.max())} give under on_exhausted={on_exhausted!r}, got {batch_size}"
        )
    batches = found[: len(found) // batch_size * batch_size].view(-1, batch_size)
    if generator is not None:
        batches = batches[torch.randperm(len(batches), generator=generator, device="cpu")]
    return batches.flatten()


class GSimCLR(JointEmbedding):
    """A contrast whose batches hold samples of different groups; the groups are the labels of what it is trained on."""

    def __init__(
        self, *parts: Any, reshuffle: bool = True, on_exhausted: Exhausted = "straddle", **options: Any
    ) -> None:
        """parts, options: see `JointEmbedding`.

        reshuffle: draw the batches anew for each epoch; False: the same ones in all epochs, as the authors' code does,
            though its slides speak of random sampling
        on_exhausted: see `rank_batches`
        """
        super().__init__(*parts, **options)
        self.reshuffle, self.on_exhausted = reshuffle, on_exhausted

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """As `rank_batches`."""
        drawn = generator if self.reshuffle else None
        return rank_batches(dataset.labels, batch_size, drawn, on_exhausted=self.on_exhausted)

    def extra_repr(self) -> str:
        return f"reshuffle={self.reshuffle}, on_exhausted={self.on_exhausted!r}, {super().extra_repr()}"


def pseudo_labels(autoencoder: Method, dataset: Dataset, clusters: int, seed: int = 0) -> Tensor:
    """Clusters (N,) that k-means finds in the embeddings z of samples as they are; nobody's labels are looked at.

    Raises: ValueError as `evaluate.kmeans`
    """
    return evaluate.kmeans(evaluate.embed(autoencoder, dataset).z, clusters, seed=seed, normalize=False)


def false_negatives(labels: Tensor, batch_size: int, groups: Tensor | None = None) -> Tensor:
    """Of the pairs in each batch, the share that has one label (n,), float64.

    labels: (n * batch_size,) int64, of an epoch's samples batch by batch; batch_size at least 2
    groups: likewise; pairs of one group are masked and do not count. A batch without any other pair has none: 0
    """
    y = labels.view(-1, batch_size)
    same = y[:, :, None] == y[:, None]
    counted = torch.ones(batch_size, batch_size, dtype=torch.bool).triu(1).expand_as(same)
    if groups is not None:
        g = groups.view(-1, batch_size)
        counted = counted & (g[:, :, None] != g[:, None])
    return (same & counted).sum((1, 2)).double() / counted.sum((1, 2)).clamp(min=1)
