"""Emoji with the words of their names and tags: learned in two drawing styles, looked up in a third one."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.study import Row
from cl_explore.data import Dataset
from cl_explore.data.emoji import EMOJI, STYLES
from cl_explore.methods import Method, TwoTower
from cl_explore.methods.two_tower import ByName
from cl_explore.views import ImageViews

KNOWN, UNSEEN = "own text in ten, known signs", "own text in ten, unseen signs"
SIZE = 16
STRONG = ImageViews.simclr()


@dataclass(frozen=True)
class Drawings:
    """A drawing, then views of it as strong as SimCLR's."""

    views: int

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        """Pictures (B, 3, H, W) -> (B, 1 + views, 3, H, W)."""
        return torch.cat([x[:, None], STRONG(x, generator, self.views)], dim=1) if self.views else x[:, None]


def drawings() -> tuple[Dataset, Dataset]:
    """Noto's and Twemoji's drawings (3, 16, 16) in [0, 1] of four fifths of the signs, and OpenMoji's of all.

    The part to test with is labelled by whether its sign is known in other styles (0) or unseen (1).
    Raises: as `EMOJI.load`
    """
    parts = []
    for split, styles in (("train", STYLES[:2]), ("all", STYLES[2:])):
        found = EMOJI.load(split, size=SIZE)
        assert isinstance(found.x, dict)
        image = torch.cat([found.x[style] for style in styles]) / 255
        index, text = found.index.repeat(len(styles)), found.x["text"].repeat(len(styles), 1)
        parts.append(Dataset(f"emoji, {split}", {"image": image, "text": text}, (index % 5 == 4).long(), index,
                             ("known", "unseen"), kind={"text": "tokens"}))  # fmt: skip
    return parts[0], parts[1]


def _rates(image: Tensor, text: Tensor, test: Dataset) -> Row:
    """How often the own text (N, D) is among the ten nearest to a picture (N, D), of known signs and of unseen ones."""
    parts = {KNOWN: test.labels == 0, UNSEEN: test.labels == 1}
    return {name: evaluate.recall(image[some], text[some], 10) for name, some in parts.items()}


def own_text(method: Method, train: Dataset, test: Dataset) -> Row:
    """How often a drawing in the new style is near its own text: by h where that was trained, else by z."""
    assert isinstance(method, TwoTower)
    assert isinstance(method.augment, ByName)
    assert isinstance(test.x, dict)
    views = method.augment.augments["image"]
    head = "local" if isinstance(views, Drawings) and views.views else "clean"
    with torch.no_grad():
        z = [getattr(method.head[name], head)(method.encoder[name](test.x[name])) for name in ("image", "text")]
    return _rates(z[0], z[1], test)


def raw(train: Dataset, test: Dataset) -> Row:
    """The same by the text of the nearest drawing to learn from: cosines of ink, then of which words are said."""
    assert isinstance(train.x, dict)
    assert isinstance(test.x, dict)
    ink = [F.normalize(1 - part["image"].flatten(1), dim=1) for part in (test.x, train.x)]
    nearest = (ink[0] @ ink[1].T).argmax(1)
    size = int(max(part["text"].max() for part in (train.x, test.x))) + 1
    said, own = (torch.zeros(len(text), size).scatter_(1, text, 1.0) for text in (train.x["text"], test.x["text"]))
    return {"method": "raw input", **_rates(said[nearest][:, 1:], own[:, 1:], test)}
