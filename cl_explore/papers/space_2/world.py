"""Dialogs that are drawn: a tree of labels, and a bag of words that tells it."""

from typing import NamedTuple

import torch
from torch import Generator, nn

from cl_explore.data import Dataset
from cl_explore.papers.space_2.method import Frame, SubSpaces

DOMAINS = ("hotel", "restaurant", "taxi", "train")
INTENTS = ("inform", "request", "book", "change", "cancel")
SLOTS = ("area", "price", "day", "time", "people", "stars")
VALUES = tuple("12345678")
LABELS = (*DOMAINS, *INTENTS, *SLOTS, *VALUES)
SYNONYMS, FILLERS, FILLED = 3, 120, 10
WORDS = SYNONYMS * len(LABELS) + FILLERS
FEATURES = 64


class Dialogs(NamedTuple):
    """Dialogs and their trees: the labels of `data` are domain and intent, its x counts words, (N, 189)."""

    data: Dataset
    frames: list[Frame]


def dialogs(seed: int, count: int, part: int = 0) -> Dialogs:
    """Dialogs of one domain, one intent and one to three slots with a value each, all drawn evenly.

    Each label is told by one of its three words, which values share among all slots, and ten of 120 further words stand
    between them.

    part: another number draws other dialogs.
    """
    generator = Generator().manual_seed(2 * seed + part)

    def draw(below: int) -> int:
        return int(torch.randint(below, (1,), generator=generator))

    frames: list[Frame] = []
    x, labels = torch.zeros(count, WORDS), torch.zeros(count, dtype=torch.int64)
    for row in range(count):
        domain, intent = draw(len(DOMAINS)), draw(len(INTENTS))
        slots = torch.randperm(len(SLOTS), generator=generator)[: 1 + draw(3)].tolist()
        pairs = [(SLOTS[slot], VALUES[draw(len(VALUES))]) for slot in slots]
        frames.append({DOMAINS[domain]: {INTENTS[intent]: {slot: [{"value": value}] for slot, value in pairs}}})
        said = [LABELS.index(label) for label in (DOMAINS[domain], INTENTS[intent], *sum(pairs, ()))]
        words = [SYNONYMS * label + draw(SYNONYMS) for label in said]
        words += [WORDS - FILLERS + draw(FILLERS) for _ in range(FILLED)]
        x[row] = torch.bincount(torch.tensor(words), minlength=WORDS)
        labels[row] = len(INTENTS) * domain + intent
    names = tuple(f"{domain} {intent}" for domain in DOMAINS for intent in INTENTS)
    return Dialogs(Dataset("dialogs", x, labels, torch.arange(count), names), frames)


def networks(train: Dataset, *, spaces: int = 1, size: int = 32) -> tuple[nn.Module, nn.Module]:
    """A layer of 64 features, and a head onto so many spaces of `size` dimensions."""
    return nn.Sequential(nn.Linear(train.x.shape[1], FEATURES), nn.ReLU()), SubSpaces(FEATURES, size, spaces)
