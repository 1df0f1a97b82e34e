"""Scenes at the level of features: regions of one thing each, uneven in points, seen by frozen pixels and by a lidar.

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
