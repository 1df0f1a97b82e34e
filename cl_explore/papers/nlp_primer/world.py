"""Texts in which a single "not" says which verdict follows, and looks at texts: words taken out, or kept as labels."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.data import Dataset
from cl_explore.views import PADDING, TokenViews

TOPICS, TOPIC_WORDS, ADJECTIVES, FILLERS = 12, 10, 6, 60
NOT = 2
"""The number of the word "not"; topics, adjectives, verdicts and fillers follow in this order."""
FIRST_ADJECTIVE = NOT + 1 + TOPICS * TOPIC_WORDS
GOOD = tuple(range(FIRST_ADJECTIVE + ADJECTIVES, FIRST_ADJECTIVE + ADJECTIVES + 3))
BAD = tuple(range(GOOD[-1] + 1, GOOD[-1] + 4))
FIRST_FILLER = BAD[-1] + 1
VOCABULARY = FIRST_FILLER + FILLERS
VERDICT = 9
"""The place of the verdict in a text; only "not" comes behind it, if it is there."""


class World(NamedTuple):
    """Texts to learn from, and the same texts and unseen ones without their verdicts.

    train: with verdicts; seen, unseen: without, to be probed. Labels are 0 (bad) or 1 (good), `topic` is a factor.
    """

    train: Dataset
    seen: Dataset
    unseen: Dataset


def negations(seed: int, texts: int = 1000, unseen: int = 500) -> World:
    """Texts of four words of a topic, an adjective, four fillers, a verdict, and in half of them "not": then it is bad.

    The k-th of the ten words of a topic comes 1/k as often as the first; all else is drawn evenly.
    """
    generator = torch.Generator().manual_seed(seed)
    zipf = 1 / torch.arange(1.0, TOPIC_WORDS + 1)

    def part(n: int) -> tuple[Dataset, Dataset]:
        def drawn(first: int, many: int, count: int = 1) -> Tensor:
            return first + torch.randint(many, (n, count), generator=generator)

        topic, negated = drawn(0, TOPICS), drawn(0, 2)
        of_topic = torch.multinomial(zipf, 4 * n, replacement=True, generator=generator).view(n, 4)
        x = torch.cat(
            [
                NOT + 1 + topic * TOPIC_WORDS + of_topic,
                drawn(FIRST_ADJECTIVE, ADJECTIVES),
                drawn(FIRST_FILLER, FILLERS, 4),
                drawn(0, 3) + torch.where(negated == 1, BAD[0], GOOD[0]),
                negated * NOT,
            ],
            dim=1,
        )
        factors = {"topic": topic[:, 0]}
        full = Dataset("negations", x, 1 - negated[:, 0], torch.arange(n), ("bad", "good"), factors, "tokens")
        return full, replace(full, x=torch.cat([x[:, :VERDICT], x[:, VERDICT + 1 :]], dim=1))

    train, seen = part(texts)
    return World(train, seen, part(unseen)[1])


def negated(x: Tensor) -> Tensor:
    """Texts (N, L) of `negations` that say the opposite: "not", the last word, is left out or put in."""
    return torch.cat([x[:, :-1], NOT - x[:, -1:]], dim=1)


@dataclass(frozen=True)
class Removed:
    """Two views of tokens: the text without a word drawn at random, and that word, its pseudo-label, alone."""

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        """(B, 2, L) of tokens x (B, L); each must have a word at least."""
        chance = torch.rand(x.shape, generator=generator, device=generator.device).to(x.device)
        place = chance.masked_fill(x == PADDING, -1).argmax(1, keepdim=True)
        word = torch.zeros_like(x)
        word[:, :1] = x.gather(1, place)
        left = x.scatter(1, place, PADDING)
        left = left.gather(1, (left == PADDING).long().argsort(dim=1, stable=True))
        return torch.stack([left, word], dim=1)


@dataclass(frozen=True)
class Crops:
    """Views of tokens that are spans of the text: a neighbouring stretch of a document is a positive.

    share: of the words of a text, how many a span has, rounded up.
    """

    share: float = 0.5

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        """(B, V, L) of tokens x (B, L), spans at places drawn for each view."""
        words = (x != PADDING).sum(1)[:, None]
        size = (self.share * words).ceil().long()
        chance = torch.rand(len(x), n_views, generator=generator, device=generator.device).to(x.device)
        start = (chance * (words - size + 1)).long()[..., None]
        along = torch.arange(x.shape[1], device=x.device)
        rows = x[:, None].expand(-1, n_views, -1).gather(2, (start + along).clamp(max=x.shape[1] - 1))
        return rows.masked_fill(along >= size[..., None], PADDING)


def dropped(share: float) -> TokenViews:
    """Views of tokens that leave each word out with this probability."""
    return TokenViews(drop=share, mask=0.0)
