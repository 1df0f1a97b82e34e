"""Retrievers of graded lists: one encoder for a query and its passages, whose levels of relevance are known."""

from typing import Any

import torch
from torch import Tensor

from cl_explore.methods.method import Embedded, Step
from cl_explore.methods.skeleton import Skeleton

RELEVANT = 2
"""From this level on a passage counts as relevant where labels are binary."""


def levels(relevance: Tensor) -> dict[str, Tensor]:
    """Relevance (N, K) as factors of a data set of lists, one for each place in a list."""
    return {_name(place): column for place, column in enumerate(relevance.T)}


def _name(place: int) -> str:
    return f"level {place}"


class GradedLists(Skeleton):
    """A query and a list of passages in each sample, through one encoder, for a list-wise loss.

    Views are the sides of a list: the query first, then its K passages, which factors made by `levels` grade. The order
    of passages does not matter to the loss, so that none is drawn.
    """

    serves = Skeleton.serves | {"query", "passages", "relevance"}

    def __init__(self, *parts: Any, passages: int, shift: int = 0, **options: Any) -> None:
        """What it knows.

        parts, options: see `Skeleton`.
        passages: K, of a list.
        shift: by how many places queries move on among the lists of a batch; unless 0, none meets its own list.
        """
        super().__init__(*parts, **options | {"n_views": 1 + passages})
        self.shift = shift

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        if need == "query":
            return embedded.z[:, 0].roll(self.shift, 0)
        if need == "passages":
            return embedded.z[:, 1:]
        if need == "relevance":
            return self.relevance(embedded)
        return super().provide(need, embedded)

    def relevance(self, embedded: Embedded) -> Tensor:
        """The level (B, K) of each passage of the lists, int64."""
        return torch.stack([self._factor(_name(place), embedded) for place in range(self.n_views - 1)], dim=1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, shift={self.shift}"


class BinaryLists(GradedLists):
    """InfoNCE on the same lists, for which a passage is relevant, from level 2 on, or not.

    Each step draws from every list one relevant passage, the positive, and one that is not; negatives are the latter of
    all lists and the positives of the others. A list must hold both kinds.
    Source: the baseline `infonce` of the authors' code, where all other passages of a list are negatives
    """

    serves = GradedLists.serves | {"key", "negatives"}

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch, of which it draws query, positive and negative."""
        relevant = self.relevance(embedded) >= RELEVANT
        chance = torch.rand(relevant.shape, generator=embedded.generator, device=embedded.generator.device)
        chance = chance.to(embedded.z.device)
        places = [chance.masked_fill(~kind, -1).argmax(1) + 1 for kind in (relevant, ~relevant)]
        rows = torch.arange(len(relevant), device=relevant.device)[:, None]
        columns = torch.stack([torch.zeros_like(places[0]), *places], dim=1)
        return super().compare(embedded._replace(z=embedded.z[rows, columns]))

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        if need == "key":
            return embedded.z[:, 1]
        if need == "negatives":
            _, positive, negative = embedded.z.unbind(1)
            n = len(positive)
            others = (torch.arange(n)[:, None] + torch.arange(1, n)) % n
            return torch.cat([positive[others.to(positive.device)], negative.expand(n, -1, -1)], dim=1)
        return super().provide(need, embedded)
