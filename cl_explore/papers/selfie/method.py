"""Selfie: patches are taken out of an image, and a network says which of them belongs into which hole.

No code of the authors is published: this follows the equations as they are retold. How many patches are taken out, the
layers of the pooling and the width are choices made here.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Dataset
from cl_explore.evaluate.embedding import batches, device_of
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import Skeleton
from cl_explore.takes import Count, settle, takes

Patches = dict[str, Tensor]
"""`patch` (B, N, C, p, p), those that are missing first, and `place` (B, N), which of the N places each is from."""


def cut(x: Tensor, grid: int) -> Tensor:
    """Images (B, C, H, W) as patches (B, grid * grid, C, H / grid, W / grid), row by row.

    Raises: ValueError if a side is no multiple of `grid`
    """
    height, width = x.shape[2:]
    if height % grid or width % grid:
        raise ValueError(f"grid must divide both sides of the images, {height} x {width}, got {grid}")
    tiles = x.unfold(2, height // grid, height // grid).unfold(3, width // grid, width // grid)
    return tiles.movedim(1, 3).flatten(1, 2)


@dataclass(frozen=True)
class Holes:
    """Images cut into grid x grid patches, of which `masked` are taken out, others in each image.

    Raises: ValueError unless at least two are missing, for one hole leaves no choice, and at least one is visible
    """

    grid: Count = 4
    masked: Count = 4

    def __post_init__(self) -> None:
        settle(self)
        if not 2 <= self.masked < self.grid**2:
            raise ValueError(f"masked must be from 2 to {self.grid**2 - 1}, to choose from, got {self.masked}")

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int = 1) -> Patches:
        """The patches of images x (B, C, H, W); patches are cut before any network sees them, so that none leaks."""
        patch = cut(x, self.grid)
        drawn = torch.rand(patch.shape[:2], generator=generator, device=generator.device)
        place = drawn.argsort(1).to(x.device)
        return {"patch": patch[torch.arange(len(x), device=x.device)[:, None], place], "place": place}


class PatchNetwork(nn.Module):
    """Three convolutions: of a patch (N, C, p, p) the mean over its pixels (N, width); for any image `maps` as well."""

    @takes
    def __init__(self, channels: Count = 3, width: Count = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((channels, width // 2, 2), (width // 2, width, 2), (width, width, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers, self.out_features = nn.Sequential(*layers), width

    def forward(self, patches: Tensor) -> Tensor:
        last = patches.contiguous(memory_format=torch.channels_last)  # half as long for images so small
        return self.layers(last).mean((2, 3))

    def maps(self, images: Tensor) -> Tensor:
        """What of whole images (N, C, H, W) is kept for later tasks: means over the four quarters (N, 4 width)."""
        return F.adaptive_avg_pool2d(self.layers(images), 2).flatten(1)


class MeanPool(nn.Module):
    """Tokens (N, L, D) -> (N, D), their mean: what attention is compared with."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(1)


class Selfie(Skeleton):
    """The visible patches, pooled, and the place of a hole are the query; the missing patches are the candidates.

    encoder: of a patch, with `maps`; head: pools tokens (B, L, D) to (B, D); augment: `Holes`. z (B, 2 m, D) holds the
    query of each of the m holes, v = u + e, then the patches that were taken out, h, in the same order. A place is the
    sum of a learned vector of its row and one of its column. `forward` reads whole images.
    """

    serves = Skeleton.serves | {"query", "key", "group"}
    expects = frozenset({"query"})
    encoder: PatchNetwork
    augment: Holes

    def __init__(
        self,
        encoder: PatchNetwork,
        head: nn.Module,
        loss: Any,
        augment: Holes,
        *,
        distractors: Literal["image", "batch"] = "image",
        placed: Literal["query", "both"] = "query",
        **options: Any,
    ) -> None:
        """What a `Skeleton` does not take already.

        distractors: whose missing patches are the candidates: those of the same image, or of the whole batch.
        placed: to what places are added: "both" gives the answer away, and is here to show it.
        Raises: ValueError for another option
        """
        if distractors not in ("image", "batch"):
            raise ValueError(f"distractors must be 'image' or 'batch', got {distractors!r}")
        if placed not in ("query", "both"):
            raise ValueError(f"placed must be 'query' or 'both', got {placed!r}")
        super().__init__(encoder, head, loss, augment, **options)
        self.distractors, self.placed = distractors, placed
        size = augment.grid, encoder.out_features
        self.rows, self.columns = (nn.Parameter(torch.randn(size) / encoder.out_features**0.5) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """h (N, 4 width) of whole images; see `on_whole_images`, which fits the batch norm to them."""
        return self.encoder.maps(x)

    def project(self, h: Tensor) -> Tensor:
        """h itself: the pooling takes no part in what is kept."""
        return h

    def draw_views(self, x: Any, generator: torch.Generator) -> Patches:
        """Patches and places: see `Holes`."""
        return self.augment(x, generator)

    def embed(self, views: Any) -> tuple[Tensor, Tensor]:
        """h (b, N, D) of all patches, those that are missing first, and z (b, 2 m, D)."""
        patch, place, missing = views["patch"], views["place"], self.augment.masked
        h = self.encoder(patch.flatten(0, 1)).unflatten(0, place.shape)
        e = self.rows[place // self.augment.grid] + self.columns[place % self.augment.grid]
        query = self.head(h[:, missing:] + e[:, missing:])[:, None] + e[:, :missing]
        key = h[:, :missing] + e[:, :missing] if self.placed == "both" else h[:, :missing]
        return h, torch.cat([query, key], dim=1)

    def scores(self, z: Tensor) -> Tensor:
        """Products of holes and candidates (B, m, m) of z (B, 2 m, D); the right patch of a hole has its number."""
        query, key = z.chunk(2, dim=1)
        return query @ key.mT

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        z, missing = embedded.z, self.augment.masked
        if need == "group":
            image = torch.arange(len(z), device=z.device) if self.distractors == "image" else embedded.index * 0
            return image.repeat_interleave(missing)
        if need in ("query", "key"):
            return z.chunk(2, dim=1)[need == "key"].flatten(0, 1)
        return super().provide(need, embedded)

    def extra_repr(self) -> str:
        return f"distractors={self.distractors!r}, placed={self.placed!r}, {super().extra_repr()}"


class WholeImages(nn.Module):
    """A patch network on whole images: what is kept after training. Maps x (N, C, H, W) to h (N, 4 width)."""

    def __init__(self, network: PatchNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.maps(x)

    def project(self, h: Tensor) -> Tensor:
        """h itself."""
        return h


def on_whole_images(method: Selfie, images: Dataset) -> WholeImages:
    """A copy of the patch network whose batch norm has the statistics of whole images, which patches do not have."""
    network = copy.deepcopy(method.encoder)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
    with torch.no_grad():
        for batch in batches(images, device_of(network)):
            network.train().maps(batch.x)
    return WholeImages(network.eval())
