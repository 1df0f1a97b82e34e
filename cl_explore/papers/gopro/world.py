"""Captioned pictures of the factor world, a small CLIP trained on them, and the views that prompts are held still over.

The model is trained where backgrounds are flat or graded and dim; prompts are learned where they are striped or
checkered and brighter. Or a model of emoji in two drawing styles, whose prompts are learned and tried on a third style.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Dataset
from cl_explore.data.emoji import EMOJI, STYLES
from cl_explore.data.emoji import words as emoji_words
from cl_explore.data.factor_world import SHAPES, render, sample
from cl_explore.losses import CLIP
from cl_explore.methods import TwoTower
from cl_explore.nn import Transformer
from cl_explore.papers.gopro.method import FrozenCLIP
from cl_explore.train import fit
from cl_explore.views import PADDING, ImageViews

PHRASE = ("a", "photo", "of", "a")
COLOURS = ("red", "yellow", "green", "cyan", "blue", "pink")
GROUNDS = ("flat", "graded", "striped", "checkered")
WORDS = ("", "mask", "a", "photo", "of", "on", *COLOURS, *SHAPES, *GROUNDS)
"""By token; the first two are no words."""
KNOWN = 4
"""Shapes that prompts are trained on, the first; the others are new."""
WIDTH, LONGEST = 48, 10
Domain = Literal["familiar", "shifted"]


def tokens(*words: str) -> Tensor:
    """The numbers of words, (L,) int64."""
    return torch.tensor([WORDS.index(word) for word in words])


def pictures(count: int, generator: Generator, domain: Domain = "familiar", **fixed: Tensor) -> Dataset:
    """Pictures (3, 16, 16) with captions (N, 8), labelled by shape.

    A caption names the shape; colour and background are told of every second picture each.
    """
    first, bright = {"familiar": (0, 0.35), "shifted": (2, 0.5)}[domain]
    style = first + torch.randint(2, (count,), generator=generator)
    f = sample(count, generator, "easy", style=style, bgscale=bright, **fixed)
    told = torch.rand(2, count, generator=generator) < 0.5
    captions = torch.full((count, 8), PADDING)
    colour = (f["hue"] * len(COLOURS)).round().long() % len(COLOURS)
    for row in range(count):
        words = [*PHRASE, *[COLOURS[colour[row]]] * bool(told[0, row]), SHAPES[f["shape"][row]]]
        words += ["on", GROUNDS[style[row]]] * bool(told[1, row])
        captions[row, : len(words)] = tokens(*words)
    x = {"image": render(f, 16, 0.03, generator), "caption": captions}
    kind = {"image": "image", "caption": "tokens"}
    return Dataset("captioned shapes", x, f["shape"], torch.arange(count), SHAPES, {}, kind)


class Captions(nn.Module):
    """Tokens (N, L) -> (N, D): a transformer of one layer, the mean over words, a linear map."""

    def __init__(self, words: int = len(WORDS), features: int = WIDTH) -> None:
        super().__init__()
        self.vectors = nn.Embedding(words, WIDTH, padding_idx=PADDING)
        self.transformer, self.out = Transformer(WIDTH, length=LONGEST), nn.Linear(WIDTH, features)
        self.out_features = features

    def read(self, vectors: Tensor, padding: Tensor | None = None) -> Tensor:
        """The embedding of word vectors (N, L, W); padding: (N, L) bool, places without a word."""
        seen = self.transformer(vectors, padding)
        if padding is None:
            return self.out(seen.mean(1))
        word = (~padding).to(seen)[..., None]
        return self.out((seen * word).sum(1) / word.sum(1))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.vectors(tokens), tokens == PADDING)


class Stages(nn.Module):
    """Pictures (N, 3, H, W) -> (N, 48): three convolutions of 24, 48 and 48 channels, the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 24, WIDTH, WIDTH)
        self.stages = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(before, after, 3, 2 if place else 1, 1), nn.BatchNorm2d(after), nn.ReLU())
            for place, (before, after) in enumerate(pairwise(sizes))
        ))  # fmt: skip
        self.out_features = WIDTH

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x).mean((2, 3))


CHANNELS = [24, WIDTH, WIDTH]


def one_view(x: Tensor, generator: Generator, n_views: int) -> Tensor:
    """The sample as it is."""
    return x[:, None]


def pretrained(train: Dataset, seed: int, epochs: int = 12, *, words: int = len(WORDS)) -> FrozenCLIP:
    """A small CLIP, its temperature learned, trained on captioned pictures and then frozen."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        image, caption = Stages(), Captions(words)
        encoder: dict[str, nn.Module] = {"image": image, "caption": caption}
        head: dict[str, nn.Module] = {"image": nn.Linear(WIDTH, WIDTH), "caption": nn.Identity()}
        loss = CLIP(temperature=0.1)
        method = TwoTower(encoder, head, loss, dict.fromkeys(encoder, one_view))
    fit(method, train, epochs=epochs, batch_size=125, lr=3e-3, seed=seed, snapshots=0, progress=False)
    method.cpu()
    return FrozenCLIP(image.stages, head["image"], caption, loss.log_scale.exp().item())


@dataclass(frozen=True)
class PromptViews:
    """Three views of pictures (B, 3, H, W): as they are, cropped and recoloured, and mixed of chains of operations.

    strength: of both augmentations. 1: the crops and colours of MoCo v3, and AugMix.
    augmix: "each" mixes each picture; "first" mixes B times the first of the batch, as the authors' code does by a
        slip, so that prompts of all pictures are compared with those of one.
    """

    strength: float = 1.0
    augmix: Literal["each", "first"] = "each"

    def __post_init__(self) -> None:
        if self.augmix not in ("each", "first"):
            raise ValueError(f"augmix must be 'each' or 'first', got {self.augmix!r}")

    def __call__(self, x: Tensor, generator: Generator, n_views: int = 3) -> Tensor:
        """(B, 3, 3, H, W)."""
        recoloured = moco(self.strength)(x, generator, 1)[:, 0]
        mixed = augmix(x if self.augmix == "each" else x[:1].expand_as(x), generator, self.strength)
        return torch.stack([x, recoloured, mixed], 1)


@cache
def moco(strength: float) -> ImageViews:
    """The views of MoCo v3."""
    return ImageViews(
        crop_area=0.08, crop_ratio=4 / 3, flip=0.5, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1,
        grey=0.2, blur=2.0, blur_probability=0.5, strength=strength,
    )  # fmt: skip


def augmix(x: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """Pictures (B, C, H, W) in [0, 1] between themselves and a mixture of three chains of one to three operations.

    Weights of the chains are Dirichlet(1, 1, 1), the share of the mixture is Beta(1, 1), drawn for each picture.
    Operations: turn, shear and move along both axes, stretch the contrast, coarsen or invert bright values.
    """
    count = len(x)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=generator.device).to(x)

    weight = -(1 - drawn(3, count)).log()
    weight, share = weight / weight.sum(0), strength * drawn(count)
    length = (1 + 3 * drawn(3 * count)).long()
    made = x.repeat(3, 1, 1, 1)  # the three chains, one after another
    for place in range(3):
        changed = operate(made, (8 * drawn(3 * count)).long(), strength * (2 * drawn(3 * count) - 1))
        made = torch.where((place < length)[:, None, None, None], changed, made)
    mixture = (weight[..., None, None, None] * made.unflatten(0, (3, count))).sum(0)
    return torch.lerp(x, mixture, share.clamp(max=1)[:, None, None, None])


def operate(x: Tensor, kind: Tensor, size: Tensor) -> Tensor:
    """One operation on each picture (B, C, H, W): its kind (B,), 0 to 7, and its size (B,), -1 to 1."""
    theta = torch.eye(2, 3).to(x).repeat(len(x), 1, 1)
    zero = torch.zeros_like(size)
    turn, shear_x, shear_y, move_x, move_y = (torch.where(kind == number, size, zero) for number in range(5))
    angle = turn * math.pi / 6
    theta[:, 0, 0], theta[:, 1, 1] = angle.cos(), angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = 0.3 * shear_x - angle.sin(), 0.3 * shear_y + angle.sin()
    theta[:, 0, 2], theta[:, 1, 2] = move_x / 3, move_y / 3
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    low, high = moved.amin((2, 3), keepdim=True), moved.amax((2, 3), keepdim=True)
    steps = (2 ** (5 - 3 * size.abs()).round())[:, None, None, None]
    border = (1 - size.abs() / 2)[:, None, None, None]
    others = {
        5: (moved - low) / (high - low).clamp(min=1e-6),
        6: (moved * steps).floor().clamp(max=steps - 1) / (steps - 1),
        7: torch.where(moved > border, 1 - moved, moved),
    }
    for number, other in others.items():
        moved = torch.where((kind == number)[:, None, None, None], other, moved)
    return moved


class World(NamedTuple):
    """A frozen model and what its prompts are learned and tried on.

    clip: trained in the familiar domain. few: labelled pictures of the known classes. unseen: of all classes. Both of
    the other domain, with pictures alone as x; labels below `known` are known.
    names: (C,), tokens of the classes. context: (M, W), vectors of "a photo of a".
    """

    clip: FrozenCLIP
    few: Dataset
    unseen: Dataset
    names: Tensor
    context: Tensor
    known: int
    familiar: Dataset


def shapes(seed: int, *, pairs: int = 2000, epochs: int = 12, shots: int = 8, unseen: int = 800) -> World:
    """The world drawn by `seed`: a model trained on so many pairs, and `shots` pictures of each of 4 known shapes."""
    generator = Generator().manual_seed(seed)
    clip = pretrained(pictures(pairs, generator), seed, epochs)
    shape = torch.arange(shots * KNOWN) % KNOWN
    few, test = pictures(len(shape), generator, "shifted", shape=shape), pictures(unseen, generator, "shifted")
    home = pictures(unseen, generator)
    parts = [bare(part) for part in (few, test, home)]
    return World(clip, parts[0], parts[1], tokens(*SHAPES), clip.text.vectors(tokens(*PHRASE)), KNOWN, parts[2])


def bare(captioned: Dataset) -> Dataset:
    """The pictures without their captions."""
    x: Any = captioned.x
    return Dataset(captioned.name, x["image"], captioned.labels, captioned.index, captioned.class_names)


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
    found, vocabulary = EMOJI.load("all", size=16), emoji_words()
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
