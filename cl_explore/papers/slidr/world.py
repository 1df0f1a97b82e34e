"""Scenes at the level of features, of which every region is one thing, and rendered streets that a lidar scans.

No lidar recordings are at hand that are free to use; nuScenes and SemanticKITTI, which the paper uses, ask for a
registration and forbid commercial use.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset

NAMES = ("road", "building", "plants", "car", "person", "bicycle")
SHARES = (0.35, 0.30, 0.15, 0.10, 0.06, 0.04)
"""Of the regions that are one of each class."""
POINTS = (60.0, 40.0, 20.0, 10.0, 5.0, 4.0)
"""The median number of points of a region of each class; log-normal, so that density is very uneven."""
REGIONS = 30
"""Of a scene."""
PIXELS, FEATURES, INPUTS = 20, 16, 24
RARE = (3, 4, 5)
STREET, SKY = ("road", "building", "plants", "car", "person"), 5
HIGH, WIDE, HORIZON = 24, 40, 8
SIZES = ((36, 40), (22, 16), (10, 20), (14, 5))
"""Height and width of a building, a plant, a car and a person, in pixels at a distance of 1."""
RELIEF = (0.0, 0.1, 0.08, 0.03)
"""How far their surfaces are from flat, as a share of the distance."""
THINGS, FARTHEST, KEPT = 7, 16.0, 1.5


class Scenes(NamedTuple):
    """What a camera and a lidar saw.

    points: a sample a point (N, 24), labelled; factors "scene", "region" and "paired", the region of its pixel.
    pixels: (R, 20, 16), frozen features of the pixels of every region.
    kinds: (R,), the class of every region.
    """

    points: Dataset
    pixels: Tensor
    kinds: Tensor


def own_class(labels: Tensor) -> float:
    """The share of an anchor's negatives that have its own class, of samples with these labels (N,)."""
    counts = labels.bincount().double()
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def scenes(seed: int, count: int, wrong: float = 0.0, part: int = 0) -> Scenes:
    """So many scenes of 30 regions; a share `wrong` of the points falls on the pixel of another region of its scene.

    seed: decides what classes look like to the camera and to the lidar; with `part`, what is in the scenes.
    Raises: ValueError for a share outside 0 to 1
    """
    if not 0 <= wrong <= 1:
        raise ValueError(f"wrong must be from 0 to 1, got {wrong}")
    look, drawn = (Generator().manual_seed(1000 * seed + number) for number in (0, 1 + part))
    codes = torch.randn(len(NAMES), INPUTS, generator=look)
    classes = torch.randn(len(NAMES), FEATURES, generator=look)
    total = count * REGIONS
    kinds = torch.multinomial(torch.tensor(SHARES), total, replacement=True, generator=drawn)
    instance = torch.randn(total, 1, FEATURES, generator=drawn)
    white = torch.randn(total, PIXELS, FEATURES, generator=drawn)
    pixels = classes[kinds][:, None] + 0.7 * instance + 1.5 * white
    spread = (0.5 * torch.randn(total, generator=drawn)).exp()
    sizes = (torch.tensor(POINTS)[kinds] * spread).round().clamp(min=1).long()
    region = torch.arange(total).repeat_interleave(sizes)
    x = torch.tanh(0.6 * codes[kinds[region]] + torch.randn(len(region), INPUTS, generator=drawn))
    strays = torch.rand(len(region), generator=drawn) < wrong
    shift = torch.randint(1, REGIONS, region.shape, generator=drawn)
    other = region // REGIONS * REGIONS + (region + shift) % REGIONS
    paired = torch.where(strays, other, region)
    factors = {"scene": region // REGIONS, "region": region, "paired": paired}
    points = Dataset("scenes", x, kinds[region], torch.arange(len(x)), NAMES, factors)
    return Scenes(points, pixels, kinds)


def streets(seed: int, count: int, part: int = 0) -> Dataset:
    """Streets: a road and seven things painted far to near, what a frozen network sees of them, and a lidar's scan.

    seed, part: as of `scenes`. The lidar keeps a pixel with a probability of 1.5 by its distance, at most 0.9, and
    nothing of the sky.
    Samples: "scan" (N, 4, 24, 40), whether there is a point, its distance, how much it reflects, and its row; "image"
    (N, 3, 24, 40); of each of the 960 pixels, row by row: "pixels" (N, 16, 960), frozen features, and "kind"
    (N, 1, 960), a place in STREET, or SKY.
    """
    look, drawn = (Generator().manual_seed(1000 * seed + number) for number in (500, 501 + part))
    classes = torch.randn(SKY + 1, FEATURES, generator=look)
    colours, shine = torch.rand(SKY + 1, 3, generator=look), torch.rand(SKY + 1, generator=look)
    kind, thing, far = (torch.stack(each) for each in zip(*(_street(drawn) for _ in range(count)), strict=True))
    own, tint = (torch.randn(count, THINGS + 2, size, generator=drawn) for size in (FEATURES, 3))
    at = torch.arange(count)[:, None, None], thing
    white, noise = (torch.randn(count, HIGH, WIDE, size, generator=drawn) for size in (FEATURES, 3))
    pixels = classes[kind] + 0.7 * own[at] + 1.5 * white
    image = colours[kind] + 0.1 * tint[at] + 0.05 * noise
    kept = (torch.rand(kind.shape, generator=drawn) < (KEPT / far).clamp(max=0.9)) & (kind != SKY)
    reflected = shine[kind] + 0.15 * torch.randn(kind.shape, generator=drawn)
    row = torch.linspace(0, 1, HIGH)[:, None].expand_as(far)
    scan = torch.stack([kept.float(), kept * (far / FARTHEST), kept * reflected, row], dim=1).clamp(0, 1)
    x = {"scan": scan, "image": image.movedim(3, 1).clamp(0, 1), "pixels": pixels.flatten(1, 2).mT.contiguous(),
         "kind": kind.flatten(1)[:, None].float()}  # fmt: skip
    kinds = {"pixels": "series", "kind": "series"}
    return Dataset("streets", x, torch.zeros(count).long(), torch.arange(count), ("street",), kind=kinds)


def _street(drawn: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The kind of each pixel, the thing that it shows (the road is 7, the sky 8) and its distance, each (24, 40)."""

    def draw(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (THINGS,), generator=drawn)

    down = torch.arange(HIGH)[:, None].expand(HIGH, WIDE)
    below = down >= HORIZON
    kind, thing = torch.where(below, 0, SKY), torch.where(below, THINGS, THINGS + 1)
    far = torch.where(below, FARTHEST / (down - HORIZON + 1).clamp(min=1), FARTHEST)
    kinds, feet, middles = draw(0, len(SIZES)), draw(HORIZON + 1, HIGH - 1).sort().values, draw(0, WIDE)
    rough = torch.randn(HIGH, WIDE, generator=drawn).abs()
    for number, (what, foot, middle) in enumerate(zip(kinds.tolist(), feet.tolist(), middles.tolist(), strict=True)):
        distance = FARTHEST / (foot - HORIZON + 1)
        high, wide = (max(2, round(size / distance)) for size in SIZES[what])
        rows, columns = slice(max(0, foot - high + 1), foot + 1), slice(max(0, middle - wide // 2), middle + wide // 2)
        across = (torch.arange(WIDE)[columns] - middle) / wide
        relief = (
            rough[rows, columns] if STREET[what + 1] == "plants" else 4 * across.square().expand_as(far[rows, columns])
        )
        kind[rows, columns], thing[rows, columns] = what + 1, number
        far[rows, columns] = distance * (1 + RELIEF[what] * relief)
    return kind, thing, far
