"""Pairs of a real and a generated picture (vectors of an object before a background, drawings, photographs), and views.

The generator is a stand-in of which all is known: it redraws the background, moves the object, and now and then, as
real generators do, shows another one.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Batch, Dataset
from cl_explore.data.batch import Samples
from cl_explore.data.factor_world import SHAPES, STYLES, Factors, alpha, render, sample, vary
from cl_explore.methods import Method, Step
from cl_explore.papers.genview.method import foreground_share, noise_level
from cl_explore.views import Views
from cl_explore.views.noisy import Noisy

CLASSES, LATENT, FEATURES = 10, 12, 48
GROUND, POSE, OBJECT = ("style", "bhue", "freq", "phase", "bang"), ("x", "y", "rot"), ("shape", "hue", "bright")
SIZE = 16


class World(NamedTuple):
    """What is learned from and what it is tested on.

    pairs: x of `real` and `generated`, and of descriptors where there are any; its factor `kept` is 1 where both show
        the same object
    train: the real ones of the pairs alone
    test: unseen ones
    """

    pairs: Dataset
    train: Dataset
    test: Dataset


def vectors(seed: int, *, samples: int = 2000, corrupted: float = 0.3, unseen: int = 1000) -> World:
    """An object (class mean of 8 dimensions, .5 within the class, 4 of pose) before a background of 12 dimensions.

    One sees tanh(object A + 1.3 background A') in 48 numbers with noise of .1, both maps standard normal. What is
    generated has pose noise of .2, a background drawn anew with probability .6, and an object of another class with
    probability `corrupted`. Descriptors, 24 numbers, are the object and the background themselves.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def chance(n: int, share: float) -> Tensor:
        return torch.rand(n, generator=generator) < share

    means = normal(CLASSES, 8)
    maps = normal(2, LATENT, FEATURES)

    def objects(labels: Tensor) -> Tensor:
        return torch.cat([means[labels] + 0.5 * normal(len(labels), 8), normal(len(labels), LATENT - 8)], dim=1)

    def seen(latents: Tensor) -> Tensor:
        own, ground = latents.chunk(2, dim=1)
        return (own @ maps[0] + 1.3 * ground @ maps[1]).tanh() + 0.1 * normal(len(latents), FEATURES)

    def plain(x: Tensor, labels: Tensor) -> Dataset:
        return Dataset("vectors", x, labels, torch.arange(len(x)), tuple(f"object {kind}" for kind in range(CLASSES)))

    labels, others = (torch.randint(CLASSES, (n,), generator=generator) for n in (samples, unseen))
    own, ground = objects(labels), normal(samples, LATENT)
    real = torch.cat([own, ground], dim=1)
    kept = ~chance(samples, corrupted)
    away = (labels + torch.randint(1, CLASSES, (samples,), generator=generator)) % CLASSES
    moved = torch.cat([own[:, :8], own[:, 8:] + 0.2 * normal(samples, LATENT - 8)], dim=1)
    fresh = chance(samples, 0.6)[:, None]
    made = torch.cat(
        [torch.where(kept[:, None], moved, objects(away)), torch.where(fresh, normal(samples, LATENT), ground)], dim=1
    )
    train = plain(seen(real), labels)
    x = {"real": train.x, "generated": seen(made), "real tokens": real, "generated tokens": made}
    test = plain(seen(torch.cat([objects(others), normal(unseen, LATENT)], dim=1)), others)
    return World(_pairs(train, x, kept), train, test)


def drift(level: Tensor, share: Tensor) -> Tensor:
    """The chance (N,) that noise of a level turns an object of that share of the picture into another one.

    A reconstruction of what the paper says in words: more noise changes more, and a small object sooner.
    """
    return (level / 250 * (1 - share)).clamp(0, 1)


def redraw(f: Factors, level: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Factors, Tensor]:
    """Factors of what a generator makes of pictures with factors f, and whether the object is kept (N,).

    Background and pose go further from the old ones the higher the `level` (N,); `drift` says how often another object
    comes, of another shape and colour.
    """
    n = len(level)
    reach = (level / 500 + 0.2).clamp(max=1)
    fresh = vary(f, generator, resample=(*GROUND, *POSE, *OBJECT))
    fresh["shape"] = (f["shape"] + torch.randint(1, len(SHAPES), (n,), generator=generator)) % len(SHAPES)
    coins = torch.rand(2, n, generator=generator)
    kept = coins[0] >= drift(level, share)
    for name in OBJECT:
        fresh[name] = torch.where(kept, f[name], fresh[name])
    for name in POSE:
        turn = fresh[name] - f[name]
        if name == "rot":
            turn = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi
        fresh[name] = f[name] + 0.5 * reach * turn
    for name in GROUND:
        fresh[name] = torch.where(coins[1] < reach, fresh[name], f[name])
    return fresh, kept


def pictures(seed: int, *, samples: int = 1200, level: int | None = None, unseen: int = 1000) -> World:
    """Drawn pictures (3, 16, 16) of a shape before a dim background, and what a generator makes of them.

    The foreground's share is that of its alpha mask, such that 40 % of all pixels are foreground. level: of noise, for
    all; if None what `noise_level` says of the share.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(n: int) -> Factors:
        return sample(n, generator, scale=0.4 + 0.5 * torch.rand(n, generator=generator))

    def shown(f: Factors) -> Dataset:
        x = render(f, SIZE, 0.03, generator)
        return Dataset("pictures", x, f["shape"], torch.arange(len(x)), SHAPES, f)

    f = drawn(samples)
    train, test = shown(f), shown(drawn(unseen))
    share = foreground_share(alpha(f, SIZE).flatten(1))
    levels = noise_level(share) if level is None else torch.full_like(f["shape"], level)
    made, kept = redraw(f, levels, share, generator)
    x = {"real": train.x, "generated": render(made, SIZE, 0.03, generator)}
    return World(_pairs(train, x, kept), train, test)


def photographs(seed: int, dataset: str, *, samples: int, corrupted: float = 0.3) -> tuple[World, Dataset]:
    """Photographs, each with another one of its class in place of a generated one, and as many others with labels.

    With probability `corrupted` the other one is of another class. The second part is what a frozen network may learn
    from. Raises FileNotFoundError saying where the data set is to be had if it is missing.
    """
    generator = torch.Generator().manual_seed(seed)
    whole, unseen = data.load(dataset, "train"), data.load(dataset, "test")
    order = torch.randperm(len(whole), generator=generator)
    train, apart, pool = (whole.subset(rows) for rows in order.tensor_split([samples, 2 * samples]))
    kept = torch.rand(samples, generator=generator) >= corrupted
    away = torch.randint(1, whole.num_classes, (samples,), generator=generator)
    wanted = torch.where(kept, train.labels, (train.labels + away) % whole.num_classes)
    rows = torch.empty(samples, dtype=torch.int64)
    for kind in range(whole.num_classes):
        mine, theirs = wanted == kind, (pool.labels == kind).nonzero()[:, 0]
        rows[mine] = theirs[torch.randint(len(theirs), (int(mine.sum()),), generator=generator)]
    test = unseen.subset(torch.randperm(len(unseen), generator=generator)[:samples])
    return World(_pairs(train, {"real": train.x, "generated": pool.x[rows]}, kept), train, test), apart


def _pairs(train: Dataset, x: dict[str, Tensor], kept: Tensor) -> Dataset:
    return replace(train, x=x, kind={}, index=torch.arange(len(kept)), factors={"kept": kept.long()})


@dataclass(frozen=True)
class OneGenerated:
    """Two views of a pair of pictures, `real` and `generated`, of which the second may stand for the first.

    base: the views that are made of whatever picture it is
    chance: with which one of both views, either one, is of the generated picture
    noise: of the descriptors, where they come along as `real tokens` and `generated tokens`
    """

    base: Views[Any]
    chance: float = 1.0
    noise: float = 0.5

    def __call__(self, x: dict[str, Tensor], generator: torch.Generator, n_views: int) -> Samples:
        """Views (B, 2, ...) of the pictures (B, ...); with descriptors, a dictionary of `seen` and `tokens`."""
        real, device = x["real"], generator.device
        drawn = torch.rand(2, len(real), generator=generator, device=device).to(real.device)
        made = (drawn[0] < self.chance)[:, None] & (
            (drawn[1] < 0.5)[:, None] == torch.tensor([True, False]).to(real.device)
        )

        def chosen(real: Tensor, generated: Tensor) -> Tensor:
            both = made.view(*made.shape, *[1] * (real.ndim - 1))
            return torch.where(both, generated[:, None], real[:, None])

        seen = self.base(chosen(real, x["generated"]).flatten(0, 1), generator, 1).view(len(real), 2, *real.shape[1:])
        if "real tokens" not in x:
            return seen
        tokens = chosen(x["real tokens"], x["generated tokens"])
        noise = torch.randn(tokens.shape, generator=generator, device=device).to(tokens)
        return {"seen": seen, "tokens": tokens + self.noise * noise}


class Reader(Method):
    """A small network that learns to read pictures from labels, to be frozen: a stand-in for CLIP."""

    def __init__(self, channels: int, outputs: int, strides: tuple[int, ...] = (2, 2, 1), width: int = 32) -> None:
        layers: list[nn.Module] = []
        for stride in strides:
            layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels, width = width, 64
        super().__init__(nn.Sequential(*layers), nn.Conv2d(channels, outputs, 1), Noisy(), n_views=1)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Cross-entropy of the label, from the mean over all cells."""
        return Step(F.cross_entropy(self.head(self.encoder(batch.x)).mean((2, 3)), batch.labels), {})


class SceneReader(Reader):
    """Reads pictures with factors cell by cell: the object's shape, and the background's style and hue."""

    def __init__(self) -> None:
        super().__init__(3, len(SHAPES) + len(STYLES) + 2)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Cross-entropy of what each cell shows, by its share, and the squared error of the background's hue."""
        f = batch.factors
        kinds, hue = self.head(self.encoder(batch.x)).split([len(SHAPES) + len(STYLES), 2], dim=1)
        cover = F.adaptive_avg_pool2d(alpha(dict(f), SIZE), kinds.shape[2:])[:, None]
        shape, style = (
            F.one_hot(f[name], len(names)).to(cover)[:, :, None, None]
            for name, names in (("shape", SHAPES), ("style", STYLES))
        )
        angle = 2 * math.pi * f["bhue"]
        wanted = torch.stack([angle.cos(), angle.sin()], dim=1)[:, :, None, None]
        error = ((hue - wanted).square().mean(1, keepdim=True) * (1 - cover)).mean()
        return Step(F.cross_entropy(kinds, torch.cat([cover * shape, (1 - cover) * style], dim=1)) + error, {})
