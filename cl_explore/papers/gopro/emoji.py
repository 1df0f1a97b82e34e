"""Emoji: a model of two drawing styles with names and tags, whose prompts are learned and tried on a third style."""

from typing import Any

import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset
from cl_explore.data.emoji import EMOJI, STYLES, words
from cl_explore.papers.gopro.world import LONGEST, PHRASE, World, bare, pretrained

NAMES = ("flag", "animal", "food", "heart", "face", "hand", "button", "clock")
"""The words that are classes, the first four of them known: every second one by how many signs have it."""
MOST = 40
"""Pictures of a class to test with, at most: there are many flags."""


def signs(seed: int, *, epochs: int, shots: int) -> World:
    """A model of all signs in Noto's and Twemoji's style, and OpenMoji's drawings of those that one of `NAMES` names.

    Captions are "a photo of a" and the first six words. The seed draws `shots` pictures of each known class to learn
    from, and at most 40 others of every class to test with.
    Raises: as `EMOJI.load`, and ValueError if a class has no picture left to test with
    """
    found, vocabulary = EMOJI.load("all", size=16), words()
    x: Any = found.x
    token = {word: place for place, word in enumerate(vocabulary, start=2)}
    phrase, names = (torch.tensor([token[word] for word in some]) for some in (PHRASE, NAMES))
    said = x["text"][:, : LONGEST - len(phrase)]
    caption = torch.cat([phrase.expand(len(said), -1), said], dim=1)
    kinds = (said[:, :, None] == names).any(1)
    labels = torch.where(kinds.sum(1) == 1, kinds.int().argmax(1), -1)

    def drawn(*styles: str) -> Dataset:
        image = torch.cat([x[style] for style in styles]) / 255
        given = {"image": image, "caption": caption.repeat(len(styles), 1)}
        rows = found.index.repeat(len(styles))
        kind = {"image": "image", "caption": "tokens"}
        return Dataset("emoji", given, labels.repeat(len(styles)), rows, NAMES, {}, kind)

    few, unseen = _split(labels, shots, Generator().manual_seed(seed))
    clip = pretrained(drawn(*STYLES[:2]), seed, epochs, words=len(vocabulary) + 2)
    new, home = bare(drawn(STYLES[2])), bare(drawn(STYLES[0]))
    context = clip.text.vectors(phrase)
    return World(clip, new.subset(few), new.subset(unseen), names, context, len(NAMES) // 2, home.subset(unseen))


def _split(labels: Tensor, shots: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rows of the known classes to learn from, and of all classes to test with."""
    few, unseen = [], []
    for kind, name in enumerate(NAMES):
        rows = (labels == kind).nonzero()[:, 0]
        if len(rows) <= shots:
            raise ValueError(f"shots must leave pictures of {name!r} to test with, got {shots} of {len(rows)}")
        rows = rows[torch.randperm(len(rows), generator=generator)]
        if kind < len(NAMES) // 2:
            few.append(rows[:shots])
        unseen.append(rows[shots : shots + MOST])
    return torch.cat(few), torch.cat(unseen)
