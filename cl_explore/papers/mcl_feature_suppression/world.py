"""Pictures with a tag: bits drawn for each sample, which every view of it shares, and networks that see both."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from cl_explore.claims.bench import splits
from cl_explore.data import Dataset
from cl_explore.methods import Augment
from cl_explore.nn import MLP, projection_head

FEATURES = 32
"""Of an encoder in one stage."""


def tagged(seed: int, dataset: str, samples: int, bits: int, amplitude: float) -> tuple[Dataset, Dataset]:
    """The train and test part of a data set of pictures, at most so many samples of each, with a tag drawn by the seed.

    x: `image` as it is, and `tag` (N, bits) of +-amplitude; the factor `code` (N,) is the tag as a number.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for part in splits(dataset, samples):
        drawn = torch.randint(2, (len(part), bits), generator=generator)
        x = {"image": part.x, "tag": amplitude * (2.0 * drawn - 1)}
        code = (drawn << torch.arange(bits)).sum(1)
        parts.append(replace(part, x=x, factors={"code": code}))
    return parts[0], parts[1]


@dataclass(frozen=True)
class SharedTag:
    """Views of tagged pictures: of the image as `augment` draws them, of the tag itself each time."""

    augment: Augment

    def __call__(self, x: dict[str, Tensor], generator: torch.Generator, n_views: int) -> dict[str, Tensor]:
        tag = x["tag"][:, None].expand(-1, n_views, -1)
        return {"image": self.augment(x["image"], generator, n_views), "tag": tag}


class Joined(nn.Module):
    """What a network makes of the image, flattened, and the tag after it: (N, F + bits)."""

    def __init__(self, pictures: nn.Module) -> None:
        super().__init__()
        self.pictures = pictures

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        return torch.cat([self.pictures(x["image"]).flatten(1), x["tag"]], dim=1)


def convolutions(channels: int) -> nn.Module:
    """Three convolutions that halve both sides; groups are normalised, as batch norm would see one group at a time."""
    layers: list[nn.Module] = []
    for before, after in ((channels, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.ReLU()]
    return nn.Sequential(*layers)


def networks(train: Dataset, features: int = FEATURES) -> tuple[nn.Module, nn.Module]:
    """An encoder of tagged pictures and its head: an MLP, after convolutions if the pictures have colours."""
    x: Any = train.rows(torch.arange(1)).as_numbers().x
    pictures = convolutions(3) if x["image"].shape[1] == 3 else nn.Identity()
    joined = Joined(pictures)
    with torch.no_grad():
        width = joined(x).shape[1]
    return nn.Sequential(joined, MLP([width, 128, features], batch_norm=False)), projection_head(features, 64, 32)
