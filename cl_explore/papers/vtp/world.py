"""Pictures with captions: shapes whose factors are named by words, and emoji with their names and tags."""

import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset
from cl_explore.data.captions import captions
from cl_explore.data.emoji import EMOJI
from cl_explore.data.factor_world import SHAPES, render, sample

KINDS = {"shape": 6, "hue": 6, "style": 4, "bhue": 6}
SIZE = 16


def shapes(seed: int, samples: int = 1500, unseen: int = 500) -> tuple[Dataset, Dataset]:
    """Pictures (3, 16, 16) in [0, 1] of six shapes and six hues on backgrounds of four textures and six hues.

    Labels are the shapes. A caption has a word for each of the four, and two that say nothing.

    samples, unseen: of the part to learn from and the part to test with
    """
    generator = Generator().manual_seed(seed)

    def part(n: int) -> Dataset:
        kinds = {name: torch.randint(count, (n,), generator=generator) for name, count in KINDS.items()}
        hues = {name: kinds[name] / KINDS[name] for name in ("hue", "bhue")}
        drawn = sample(n, generator, "easy", shape=kinds["shape"], style=kinds["style"], bgscale=0.6, **hues)
        words = captions(torch.stack(list(kinds.values()), 1), tuple(KINDS.values()), generator)
        return _joined("shapes", render(drawn, SIZE), words, kinds["shape"], SHAPES[:6])

    return part(samples), part(unseen)


def emoji(seed: int) -> tuple[Dataset, Dataset]:
    """Noto's emoji (3, 16, 16) in [0, 1] on white with the words of their names and tags; labels are ten groups.

    Every fifth sign is to test with, whatever the seed.
    Raises: as `EMOJI.load`
    """
    parts = []
    for split in ("train", "test"):
        part = EMOJI.load(split, size=SIZE)
        assert isinstance(part.x, dict)
        parts.append(_joined("emoji", part.x["noto"] / 255, part.x["text"], part.labels, part.class_names))
    return parts[0], parts[1]


def _joined(name: str, image: Tensor, text: Tensor, labels: Tensor, classes: tuple[str, ...]) -> Dataset:
    kinds = {"image": "image", "text": "tokens"}
    return Dataset(name, {"image": image, "text": text}, labels, torch.arange(len(labels)), classes, kind=kinds)
