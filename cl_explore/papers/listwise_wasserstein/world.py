"""Worlds of graded lists: two attributes of which one counts double, plain similarity, and sentences people graded."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.data import Dataset
from cl_explore.data.kinds import Vector
from cl_explore.data.sentences import LENGTH, MULTI30K, SICK, Sentences
from cl_explore.papers.listwise_wasserstein.method import RELEVANT, levels

VALUES, CODE, NUISANCE, FEATURES = 30, 8, 8, 32
PASSAGES = 4
COSINES = (0.9, 0.6, 0.3, 0.0)
"""Of the passages of level 3, 2, 1 and 0 with their query, where relevance is plain similarity."""


class Lists(Vector):
    """A query and its passages as rows of numbers."""

    name, axes = "lists of vectors", "N, 1 + K, F"


class World(NamedTuple):
    """Lists to learn from, and unseen ones.

    train, test: x (N, 1 + K, ...), a query and its passages, with factors as `method.levels` makes them.
    relevance: (N, N K) int64, of each passage of the unseen lists to each of their queries.
    """

    train: Dataset
    test: Dataset
    relevance: Tensor


@dataclass(frozen=True)
class Looks:
    """Looks at codes: noise and eight numbers that mean nothing, drawn anew, all mixed into 32 numbers.

    noise: standard deviation, on the codes.
    seed: of the mixing.
    """

    seed: int
    noise: float = 0.5

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        """tanh((code + noise, nuisance) W) (B, 1 + K, 32) of codes x (B, 1 + K, 16); as many as there are."""
        latent = x.shape[2] + NUISANCE
        mixing = torch.randn(latent, FEATURES, generator=torch.Generator().manual_seed(self.seed)) / latent**0.5
        drawn = torch.randn(*x.shape[:2], latent, generator=generator, device=generator.device).to(x)
        drawn[..., : x.shape[2]] *= self.noise
        return ((F.pad(x, (0, NUISANCE)) + drawn) @ mixing.to(x)).tanh()


def attributes(seed: int, lists: int = 400, unseen: int = 100) -> World:
    """Things of two attributes A and B; the level of a passage is 2 [A as in the query] + [B as in the query].

    Each value of an attribute has a random code of 8 numbers; x is the codes of both. The passages of a list match in
    A and B, A, B, nothing. Binary labels, relevant from level 2 on, say nothing of B.
    """
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(2, VALUES, CODE, generator=generator)

    def part(n: int) -> tuple[Dataset, Tensor]:
        query = torch.randint(VALUES, (n, 1, 2), generator=generator)
        away = torch.randint(1, VALUES, (n, PASSAGES, 2), generator=generator)
        away *= torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        values = torch.cat([query, (query + away) % VALUES], dim=1)
        x = torch.cat([codes[place][values[..., place]] for place in range(2)], dim=2)
        return _lists("two attributes", x), values

    train, _ = part(lists)
    test, values = part(unseen)
    same = values[:, :1] == values[:, 1:].flatten(0, 1)
    return World(train, test, (same * torch.tensor([2, 1])).sum(2))


def similarity(seed: int, lists: int = 400, unseen: int = 100) -> World:
    """Things of 16 numbers; the level of a passage is how similar it is: COSINES in a list, thresholds between them."""
    generator = torch.Generator().manual_seed(seed)

    def part(n: int) -> Dataset:
        query, drawn = (torch.randn(n, k, 2 * CODE, generator=generator) for k in (1, PASSAGES))
        unit = F.normalize(query, dim=2)
        across = drawn - (drawn * unit).sum(2, keepdim=True) * unit
        cosine = torch.tensor(COSINES)[:, None]
        passages = cosine * unit + (1 - cosine.square()).sqrt() * F.normalize(across, dim=2)
        return _lists("one similarity", torch.cat([query, passages * query.norm(dim=2, keepdim=True)], dim=1))

    train, test = part(lists), part(unseen)
    unit = F.normalize(test.x, dim=2)
    cosine = unit[:, 0] @ unit[:, 1:].flatten(0, 1).T
    return World(train, test, (cosine / COSINES[2]).round().clamp(0, 3).long())


def _lists(name: str, x: Tensor) -> Dataset:
    """Lists whose passages are of level 3, 2, 1 and 0."""
    n = len(x)
    graded = levels(torch.tensor([3, 2, 1, 0]).expand(n, -1).clone())
    labels = torch.zeros(n, dtype=torch.int64)
    return Dataset(name, x, labels, torch.arange(n), ("a list",), graded, Lists())


def graded(score: Tensor) -> Tensor:
    """Levels 0 to 3 of scores from 1 to 5, in equal steps and rounded; how scores become levels is a reconstruction."""
    return ((score - 1) * 3 / 4).round().long()


def partners(pairs: Dataset) -> tuple[Tensor, Tensor, Tensor]:
    """For each sentence of several judged pairs: its tokens (Q, L), its partners' (Q, P, L) and their levels (Q, P).

    P is the largest number of partners; level -1 fills shorter lists up. Partners come best first.
    """
    ids = torch.cat([pairs.factors["first"], pairs.factors["second"]])
    own, other = pairs.x.transpose(0, 1).flatten(0, 1), pairs.x.flip(1).transpose(0, 1).flatten(0, 1)
    score = pairs.factors["score"].repeat(2)
    order = score.argsort(descending=True, stable=True)
    order = order[ids[order].argsort(stable=True)]
    counts = ids.bincount()
    start = counts.cumsum(0) - counts
    rank = torch.arange(len(ids)) - start[ids[order]]
    several = counts > 1
    row = several.cumsum(0) - 1
    kept = several[ids[order]]
    places = row[ids[order][kept]], rank[kept]
    query = own[order[start[several]]]
    listed = query.new_zeros(len(query), int(counts.max()), LENGTH)
    found = listed.new_full(listed.shape[:2], -1)
    listed[places], found[places] = other[order[kept]], graded(score[order[kept]])
    return query, listed, found


def judged(seed: int) -> Dataset:
    """Lists of SICK's training pairs: a sentence, its best, worst and middle partner, captions of level 0 to fill up.

    Only sentences with a relevant partner make a list; the seed draws the captions.
    """
    query, listed, found = partners(SICK.load("train"))
    has = found[:, 0] >= RELEVANT
    query, listed, found = query[has], listed[has], found[has]
    count = (found >= 0).sum(1)
    rows = torch.arange(len(query))[:, None]
    chosen = torch.stack([torch.zeros_like(count), count // 2, count - 1], dim=1)
    chosen[:, 1:] = chosen[:, 1:].where(torch.stack([count > 2, count > 1], dim=1), -1)
    captions = MULTI30K.load("train").x.flatten(0, 1)
    drawn = captions[
        torch.randint(len(captions), (len(query), PASSAGES), generator=torch.Generator().manual_seed(seed))
    ]
    known = chosen >= 0
    drawn[:, :3] = listed[rows, chosen].where(known[..., None], drawn[:, :3])
    relevance = torch.zeros(len(query), PASSAGES, dtype=torch.int64)
    relevance[:, :3] = found[rows, chosen].where(known, 0)
    x = torch.cat([query[:, None], drawn], dim=1)
    labels = torch.zeros(len(x), dtype=torch.int64)
    return Dataset("SICK lists", x, labels, torch.arange(len(x)), ("a list",), levels(relevance), Sentences())
