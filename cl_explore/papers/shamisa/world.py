"""Pictures and what spoils them: dead leaves and photographs, four kinds of distortion, and chains of these."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore.data import Dataset, Published
from cl_explore.data.pixels import opened, pixels
from cl_explore.data.published import Layout
from cl_explore.methods import JointEmbedding
from cl_explore.papers.shamisa.method import Tuples
from cl_explore.views.base import normal, uniform

TOP = 4
"""The largest level; between whole ones, what is calibrated is interpolated."""
Law = Literal["gaussian", "uniform", "discrete"]


class Kind(NamedTuple):
    """A kind of distortion. Pictures are (..., S, S) in [0, 1], values broadcast against them.

    values: at the levels 0 to 4, rising.
    change: change(pictures, values, generator) -> pictures.
    whole: whether only whole values exist; the level is then that of the value once rounded.
    """

    values: tuple[float, float, float, float, float]
    change: Callable[[Tensor, Tensor, Generator], Tensor]
    whole: bool = False

    def settled(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """The values of these levels, and the levels that they really have."""
        known = torch.tensor(self.values, dtype=level.dtype, device=level.device)
        below = level.long().clamp(0, TOP - 1)
        value = known[below] + (level - below) * (known[below + 1] - known[below])
        if not self.whole:
            return value, level
        value = value.round()
        below = (torch.bucketize(value, known, right=True) - 1).clamp(0, TOP - 1)
        return value, below + (value - known[below]) / (known[below + 1] - known[below])


def _blurred(x: Tensor, width: Tensor, generator: Generator) -> Tensor:
    place = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)
    rows = (-((place[:, None] - place) ** 2) / (2 * width**2)).softmax(-1)
    return rows @ x @ rows.transpose(-1, -2)


def _pixelated(x: Tensor, block: Tensor, generator: Generator) -> Tensor:
    place = torch.arange(x.shape[-1], device=x.device) // block
    rows = (place.transpose(-1, -2) == place).to(x.dtype)
    rows = rows / rows.sum(-1, keepdim=True)
    return rows @ x @ rows.transpose(-1, -2)


def _noisy(x: Tensor, deviation: Tensor, generator: Generator) -> Tensor:
    shape = torch.broadcast_shapes(x.shape, deviation.shape)
    return x + deviation * normal(generator, x.expand(shape))


def _faded(x: Tensor, lost: Tensor, generator: Generator) -> Tensor:
    mean = x.mean((-2, -1), keepdim=True)
    return mean + (1 - lost) * (x - mean)


KINDS = {
    "blur": Kind((0.1, 0.6, 1.0, 1.6, 2.4), _blurred),
    "noise": Kind((0.0, 0.05, 0.1, 0.16, 0.24), _noisy),
    "pixels": Kind((1, 2, 3, 4, 6), _pixelated, whole=True),
    "contrast": Kind((0.0, 0.25, 0.45, 0.62, 0.75), _faded),
}
"""One of each of four of the authors' seven groups, which hold 26 functions; values are for pictures of 24 pixels."""


def distort(x: Tensor, kind: str, level: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Pictures (..., S, S) distorted in one way, in [0, 1], and the levels that they really have.

    level: from 0 to 4, of the shape of x without its last two sides, or one that broadcasts to it
    """
    value, found = KINDS[kind].settled(level)
    return KINDS[kind].change(x, value[..., None, None], generator).clamp(0, 1), found


@dataclass(frozen=True)
class Distorted:
    """Views of pictures (B, C, S, S): themselves, and distorted by the compositions of their tuple.

    tuples: how many pictures share compositions, and how many of these and of levels there are. With two scales the
        pictures are twice as large as the views: their middle, and the whole at half resolution.
    lengths: chances of chains of one distortion, two, ...; the paper draws 1 to 7 alike.
    law: of levels: |N(0, 2.5)| cut off at 4, uniform, or whole numbers.

    A chain has its kinds in random order, each once; at one of its places, drawn alike, the level varies, elsewhere it
    is fixed.
    """

    tuples: Tuples
    lengths: tuple[float, ...] = (0.6, 0.4)
    law: Law = "gaussian"

    def __post_init__(self) -> None:
        if self.law not in get_args(Law):
            raise ValueError(f"law must be one of {', '.join(get_args(Law))}, got {self.law!r}")
        if not (1 <= len(self.lengths) <= len(KINDS) and min(self.lengths) >= 0 and sum(self.lengths) > 0):
            raise ValueError(f"lengths must be 1 to {len(KINDS)} chances, some above 0, got {self.lengths}")

    def __call__(self, x: Tensor, generator: Generator, n_views: int) -> dict[str, Tensor]:
        """`picture` (B, n_views, C, S, S) and `level` (B, n_views), 0 for a reference.

        Raises: ValueError unless n_views is `tuples.each` and B a multiple of the contents of a tuple
        """
        contents, scales, chains, steps = self.tuples
        if n_views != self.tuples.each or len(x) % contents:
            need = f"{self.tuples.each} views of a multiple of {contents} pictures"
            raise ValueError(f"x and n_views must be for {need}, got {n_views} of {len(x)}")
        seen = [self.plain(x)] if scales == 1 else [self.plain(x), F.avg_pool2d(x, 2)]
        clean = torch.stack(seen, 1).unflatten(0, (-1, contents))  # (groups, contents, scales, C, S, S)
        order, varying, levels = self._drawn(len(clean), generator, x)
        # every composition with its pictures: (groups, chains, contents, scales, steps, C, S, S)
        made = clean[:, None, :, :, None].repeat(1, chains, 1, 1, steps, 1, 1, 1)
        varied = torch.zeros_like(levels[0])
        for place, number in product(range(len(levels)), range(len(KINDS))):
            rows = order[place] == number
            made[rows], settled = distort(
                made[rows], list(KINDS)[number], levels[place][rows][:, None, None, :, None], generator
            )
            here = varying[rows] == place
            varied[rows] = torch.where(here[:, None], settled[:, 0, 0, :, 0], varied[rows])
        pictures = torch.cat([clean[:, :, :, None], made.movedim(1, 3).flatten(3, 4)], 3)
        level = F.pad(varied.flatten(1), (1, 0)).repeat_interleave(contents, 0).repeat(1, scales)
        return {"picture": pictures.flatten(2, 3).flatten(0, 1), "level": level}

    def _drawn(self, groups: int, generator: Generator, like: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Kinds (places, groups, chains), -1 where a chain has ended; which place varies; levels of each place."""
        _, _, chains, steps = self.tuples
        places = len(self.lengths)
        order = uniform(generator, like, groups, chains, len(KINDS)).argsort(-1)[..., :places].movedim(-1, 0)
        ends = torch.tensor(self.lengths).to(like).cumsum(0) / sum(self.lengths)
        length = 1 + torch.bucketize(uniform(generator, like, groups, chains), ends[:-1], right=True)
        varying = (uniform(generator, like, groups, chains) * length).long()
        free, fixed = (self._levels(generator, like, places, groups, chains, n) for n in (steps, 1))
        at = torch.arange(places, device=like.device)[:, None, None]
        levels = torch.where((varying == at)[..., None], free, fixed)
        return order.masked_fill(at >= length, -1), varying, [*levels]

    def _levels(self, generator: Generator, like: Tensor, *shape: int) -> Tensor:
        if self.law == "gaussian":
            return (2.5 * normal(generator, like.new_empty(shape))).abs().clamp(max=TOP)
        drawn = uniform(generator, like, *shape)
        return TOP * drawn if self.law == "uniform" else ((TOP + 1) * drawn).floor()

    def plain(self, x: Tensor) -> Tensor:
        """The pictures as they are, at full resolution."""
        side = x.shape[-1] // 4
        return x if self.tuples.scales == 1 else x[..., side:-side, side:-side]


class Instances(JointEmbedding):
    """The contrast that SHAMISA is compared with: every distorted picture is a sample of its own.

    Its two views are the picture flipped or not, and moved by up to 2 pixels, what leaves on one side coming back on
    the other: nothing that changes how it is distorted.
    """

    def __init__(self, *parts: Any, tuples: Tuples, **options: Any) -> None:
        """parts, options: as of `JointEmbedding`; tuples: as of `Shamisa`."""
        super().__init__(*parts, **options)
        self.tuples = tuples

    def draw_views(self, x: Tensor, generator: Generator) -> Tensor:
        """Views (B tuples.each, 2, C, S, S) of pictures (B, C, S, S)."""
        made = self.augment(x, generator, self.tuples.each)["picture"].flatten(0, 1)
        rows, side = made.repeat_interleave(self.n_views, 0), made.shape[-1]
        drawn = uniform(generator, rows, 3, len(rows))
        place = torch.arange(side, device=x.device)
        down, across = ((place - 2 + (5 * one[:, None]).long()) % side for one in drawn[:2])
        across = torch.where(drawn[2][:, None] < 0.5, across.flip(1), across)
        each = torch.arange(len(rows), device=x.device)[:, None, None]
        moved = rows.movedim(1, -1)[each, down[:, :, None], across[:, None]].movedim(-1, 1)
        return moved.unflatten(0, (-1, self.n_views))


def leaves(seed: int, number: int, side: int = 24, discs: int = 60) -> Tensor:
    """Grey pictures (N, 1, S, S) of leaves that have fallen on each other, drawn by `seed`: edges at all scales.

    Discs of random grey, with radii r of density r^-3 from 1.5 pixels to half the side; the dead leaves by which
    cameras are tested.
    """
    generator = Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    found = torch.rand(number, 1, 1, generator=generator).expand(-1, side, side)
    small, large = 1.5**-2, (side / 2) ** -2
    for _ in range(discs):
        grey, across, down, share = torch.rand(4, number, 1, 1, generator=generator)
        square = 1 / (small + share * (large - small))
        inside = (x - side * across) ** 2 + (y - side * down) ** 2 < square
        found = torch.where(inside, grey, found)
    return found[:, None].contiguous()


TRAIN = ("astronaut.png", "brick.png", "camera.png", "coffee.png", "coins.png", "grass.png", "motorcycle_left.png")
TEST = ("chelsea.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "rocket.jpg")
LEARNED_FROM = {"train": (*TRAIN, "china.jpg"), "test": (*TEST, "flower.jpg")}
"""Photographs, the last of each part from scikit-learn."""
SHORT = 256  # to which the shorter side is resized
FLAT = 0.05  # of a standard deviation below this, a crop shows nothing to spoil


def _installed(folder: Path, split: str, *, number: int, side: int, generator: Generator) -> Dataset:
    """Crops from the photographs of a part."""
    import sklearn  # a second, which drawn pictures need not wait for

    shipped = Path(sklearn.__file__).parent / "datasets" / "images"
    found = []
    for name in LEARNED_FROM[split]:
        place = shipped if name in ("china.jpg", "flower.jpg") else folder
        image = opened(place / name)
        scale = SHORT / min(image.size)
        grey = pixels(image.resize((round(image.width * scale), round(image.height * scale))), 1, None)[0]
        found.append(torch.tensor(grey, dtype=torch.float32) / 255)
    crops: list[Tensor] = []
    labels = []
    while len(crops) < number:
        which = len(crops) % len(found)
        photo = found[which]
        top, left = (int(torch.randint(size - side + 1, (), generator=generator)) for size in photo.shape)
        crop = photo[top : top + side, left : left + side]
        if crop.std() >= FLAT:
            crops.append(crop)
            labels.append(which)
    names = tuple(Path(name).stem for name in LEARNED_FROM[split])
    return Dataset("photographs", torch.stack(crops)[:, None], torch.tensor(labels), torch.arange(number), names)


_PACKAGE = find_spec("skimage")
PHOTOGRAPHS = Published(
    name="photographs",
    layouts=(Layout(_installed, {"train": TRAIN, "test": TEST}),),
    folders=("skimage/data", "skimage"),
    elsewhere=tuple(Path(place) / "data" for place in (_PACKAGE and _PACKAGE.submodule_search_locations) or ()),
    advice="pip install scikit-image, whose wheel has them in skimage/data; scikit-learn's two are here already",
    licence="each photograph's own, by the docstrings of skimage.data: public domain or CC0; scikit-learn's CC BY 2.0",
)
"""The photographs that scikit-image ships: they are read as files, the package is not imported."""


def contents(world: str, seed: int, number: int, unseen: int, side: int) -> tuple[Dataset, Dataset]:
    """Pictures (N, 1, S, S) to learn from and others to test with: "leaves", or crops of "photographs".

    No photograph is in both parts. Raises: FileNotFoundError saying how to get the photographs
    """
    if world == "photographs":
        generator = Generator().manual_seed(seed)
        parts = zip(("train", "test"), (number, unseen), strict=True)
        seen, new = (PHOTOGRAPHS.load(split, number=n, side=side, generator=generator) for split, n in parts)
        return seen, new
    drawn = leaves(seed, number + unseen, side)
    sides = [drawn[first:last] for first, last in pairwise((0, number, number + unseen))]
    made = [Dataset("leaves", x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)), ("",)) for x in sides]
    return made[0], made[1]


def spoiled(pictures: Dataset, seed: int) -> Dataset:
    """Each picture distorted in one way, drawn alike, at a level uniform in [0, 4], which is the factor `level`.

    Labels are the kinds of distortion.
    """
    generator = Generator().manual_seed(seed)
    kind = torch.randint(len(KINDS), (len(pictures),), generator=generator)
    level = TOP * torch.rand(len(pictures), generator=generator)
    x, found = pictures.x.clone(), level.clone()
    for number, name in enumerate(KINDS):
        rows = kind == number
        x[rows], settled = distort(pictures.x[rows], name, level[rows][:, None], generator)
        found[rows] = settled[:, 0]
    return Dataset(f"spoiled {pictures.name}", x, kind, pictures.index, tuple(KINDS), {"level": found})


def ladders(pictures: Tensor, seed: int, steps: int = 5) -> tuple[Tensor, Tensor]:
    """Pictures (P, kinds, steps, C, S, S) at equally spaced levels of every kind, and these levels (kinds, steps)."""
    generator = Generator().manual_seed(seed)
    level = torch.linspace(0, TOP, steps)
    made = [distort(pictures[:, None], kind, level[:, None], generator) for kind in KINDS]
    return torch.stack([x for x, _ in made], 1), torch.stack([found[:, 0] for _, found in made])
