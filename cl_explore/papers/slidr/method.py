"""SLidR: points and pixels are pooled by superpixel, and the regions contrasted; PPKT contrasts point and pixel.

Source: Sautier et al. 2203.16258 and the authors' code, `loss_superpixels_average` and `NCELoss`. Of the authors' data
pipeline (ResNet, MinkUNet, SLIC on driving scenes) only what the loss sees is here: frozen features of pixels.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Batch, Dataset
from cl_explore.data.batch import Samples
from cl_explore.losses.similarity import group_sums
from cl_explore.methods import Augment, Method, Step
from cl_explore.methods.skeleton import width
from cl_explore.takes import Count, Number, Positive, takes

SMALL = 1e-6
"""What the authors add to the number of members of a region before they divide by it."""


class Pooled(NamedTuple):
    """What is contrasted: the regions that hold at least one point.

    points: (Q, C), the mean of the points of each.
    pixels: (Q, C), the mean of its pixels.
    regions: (Q,), their numbers, ascending.
    """

    points: Tensor
    pixels: Tensor
    regions: Tensor


def pool(points: Tensor, pixels: Tensor, of_point: Tensor, of_pixel: Tensor, *, renormalise: bool = False) -> Pooled:
    """The means of points and of pixels by region; a region without points is neither anchor nor negative.

    points: (N, C), of unit length; a point that lies in several images has a row for each
    pixels: (P, C), of unit length
    of_point, of_pixel: (N,) and (P,) int64 from 0 on, the region of each, with numbers of its own in each image
    renormalise: whether means are brought to unit length, as others do; in the authors' code their length stays, and
        a region whose members disagree counts less
    Raises: ValueError for rows that do not fit, or no points
    """
    for name, rows, region in (("point", points, of_point), ("pixel", pixels, of_pixel)):
        if rows.ndim != 2 or region.shape != rows.shape[:1]:
            raise ValueError(f"of_{name} must name the region of each row of {name}s, got {tuple(region.shape)} for "
                             f"{tuple(rows.shape)}")  # fmt: skip
    if points.shape[1] != pixels.shape[1]:
        raise ValueError(f"pixels must have {points.shape[1]} dimensions, as points have, got {pixels.shape[1]}")
    if not len(points):
        raise ValueError("points must hold at least one point, got none")
    regions, place = of_point.unique(return_inverse=True)
    mine = torch.isin(of_pixel, regions)
    sides = (points, place), (pixels[mine], torch.searchsorted(regions, of_pixel[mine]))
    means = []
    for rows, group in sides:
        counts = group_sums(rows.new_ones(len(rows), 1), group, len(regions))
        mean = group_sums(rows, group, len(regions)) / (counts + SMALL)
        means.append(F.normalize(mean, dim=1) if renormalise else mean)
    return Pooled(means[0], means[1], regions)


def contrast(anchors: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """InfoNCE in one direction without normalisation: anchors (Q, C), points or regions of points, name their own key.

    Of one row alone the loss and its gradient are 0.

    >>> contrast(torch.ones(1, 3), torch.ones(1, 3), 0.07)
    tensor(0.)
    """
    return F.cross_entropy(anchors @ keys.T / temperature, torch.arange(len(anchors), device=anchors.device))


def in_images(superpixels: Tensor, pairs: Tensor, regions: int) -> tuple[Tensor, Tensor]:
    """The region of each pair (N,) and of each pixel (M H W,), numbered on from image to image.

    superpixels: (M, H, W) int64, the region of each pixel in its image, from 0 to `regions` - 1
    pairs: (N, 3) int64, the image, row and column that each point falls on
    Raises: ValueError for a superpixel that is not below `regions`, which would be one of the next image
    """
    if not 0 <= int(superpixels.min()) <= int(superpixels.max()) < regions:
        raise ValueError(f"superpixels must be from 0 to {regions - 1}, got {superpixels.min()} to {superpixels.max()}")
    offset = regions * torch.arange(len(superpixels), device=superpixels.device)
    numbered = superpixels + offset[:, None, None]
    return numbered[tuple(pairs.T)], numbered.flatten()


def superpixels(images: Tensor, rows: int = 5, columns: int = 8, compactness: float = 0.2, rounds: int = 4) -> Tensor:
    """SLIC: k-means of colour and place, from a grid of rows by columns; the superpixel of each pixel, (M, H, W).

    images: (M, 3, H, W).
    compactness: how far in colour counts as much as one cell of the grid in place.
    Source: Achanta et al. 2012; here a pixel may join any superpixel of its image, not only one nearby.
    """
    high, wide = images.shape[2:]
    place = torch.stack(torch.meshgrid(torch.arange(high) * rows / high, torch.arange(wide) * columns / wide,
                                       indexing="ij")).to(images)  # fmt: skip
    seen = torch.cat([images, compactness * place.expand(len(images), -1, -1, -1)], dim=1).flatten(2).mT
    cell = (place[0].long() * columns + place[1].long()).flatten().expand(len(images), -1)
    middles = seen.new_zeros(())  # no cell of the grid is empty; what becomes so stays where it was
    for _ in range(rounds):
        members = F.one_hot(cell, rows * columns).to(seen)
        counts = members.sum(1)[..., None]
        middles = torch.where(counts > 0, members.mT @ seen / counts.clamp(min=1), middles)
        cell = torch.cdist(seen, middles).argmin(2)
    return cell.unflatten(1, (high, wide))


class SLidR(Method):
    """Points learn from frozen pixels, region by region: a region of points is the anchor, regions of pixels its keys.

    A sample is a point. The data set's factor "scene" numbers scenes from 0 on; "paired" is the region of
    the pixel where a point falls. Pixels never change: of the image side only the linear layer is trained.
    """

    pixels: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: Any,
        augment: Augment,
        *,
        pixels: Tensor,
        width: int = 24,
        temperature: float = 0.07,
        renormalise: bool = False,
    ) -> None:
        """encoder, head: of the points; loss: not used, the method has its own.

        pixels: (R, K, F), frozen features of K pixels of every region.
        width: of what the head makes, to which pixels are mapped.
        renormalise: see `pool`.
        Raises: ValueError for a temperature that is not above 0
        """
        super().__init__(encoder, head, augment, n_views=1)
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature, self.renormalise = temperature, renormalise
        self.register_buffer("pixels", pixels)
        self.image_head = nn.Linear(pixels.shape[2], width)

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """Points of an epoch, region by region, whole scenes in a drawn order; the ends are left out."""
        scene = dataset.factors["scene"].long()
        turns = torch.randperm(int(scene.max()) + 1, generator=generator, device="cpu")
        order = turns[scene].argsort(stable=True)
        return order[: len(order) // batch_size * batch_size]

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The contrast of a batch of points with the pixels where they fall."""
        embedded = self.embed_views(batch, generator)
        points = F.normalize(embedded.z[:, 0], dim=1)
        return Step(self.distil(points, embedded.factors["paired"].long(), generator), {})

    def image(self, pixels: Tensor) -> Tensor:
        """What points are compared with (..., C), of unit length, of frozen features (..., F)."""
        return F.normalize(self.image_head(pixels), dim=-1)

    def distil(self, points: Tensor, paired: Tensor, generator: torch.Generator) -> Tensor:
        """The loss of points (N, C) that fall on these regions (N,)."""
        met, place = paired.unique(return_inverse=True)
        pixels = self.image(self.pixels[met])
        of_pixel = torch.arange(len(met), device=met.device).repeat_interleave(pixels.shape[1])
        pooled = pool(points, pixels.flatten(0, 1), place, of_pixel, renormalise=self.renormalise)
        return contrast(pooled.points, pooled.pixels, self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, renormalise={self.renormalise}"


class PPKT(SLidR):
    """The same, point by point: 512 drawn points of a batch, each against one pixel of its region, no pooling."""

    PAIRS = 512

    def distil(self, points: Tensor, paired: Tensor, generator: torch.Generator) -> Tensor:
        rows = torch.randperm(len(points), generator=generator, device=points.device)[: self.PAIRS]
        pixel = torch.randint(self.pixels.shape[1], rows.shape, generator=generator, device=points.device)
        return contrast(points[rows], self.image(self.pixels[paired[rows], pixel]), self.temperature)


class RangeNetwork(nn.Module):
    """Four convolutions of 3 by 3, dilated, on a range image: scans (N, 4, H, W) to features (N, 32, H, W)."""

    out_features = 32

    def __init__(self) -> None:
        super().__init__()
        sizes = ((4, 1), (32, 2), (32, 4), (32, 1))
        layers = [nn.Conv2d(size, 32, 3, padding=far, dilation=far) for size, far in sizes]
        self.layers = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class OnStreets(Method):
    """SLidR of range images, or PPKT if it draws pairs: points fall on images, which are cut into superpixels.

    Samples: "scan" (N, 4, H, W), of which the first channel is above 0 where there is a point; "pixels" (N, F, H * W),
    frozen features; "superpixel" (N, 1, H * W).
    """

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: Any,
        augment: Augment,
        *,
        features: Count,
        pairs: Number = 0,
        shift: Number = 0,
        temperature: Positive = 0.07,
    ) -> None:
        """encoder: of scans, to a map; head: of one point's features; loss, augment: not used.

        features: F. pairs: how many are drawn of a batch, 0 for regions instead of pairs.
        shift: by how many columns the calibration is wrong.
        """
        super().__init__(encoder, head, augment, n_views=1)
        self.pairs, self.shift, self.temperature = pairs, shift, temperature
        self.image_head = nn.Linear(features, width(head))

    def forward(self, x: Samples) -> Tensor:
        """The mean of the points of each scan, (N, 32)."""
        assert isinstance(x, dict)
        there = x["scan"][:, :1] > 0
        return (self.encoder(x["scan"]) * there).sum((2, 3)) / there.sum((2, 3)).clamp(min=1)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The contrast of the points of a batch with the pixels where they fall."""
        assert isinstance(batch.x, dict)
        there = batch.x["scan"][:, 0] > 0
        points = F.normalize(self.head(self.encoder(batch.x["scan"]).movedim(1, -1)[there]), dim=1)
        pixels = F.normalize(self.image_head(batch.x["pixels"].mT), dim=-1).unflatten(1, there.shape[1:])
        image, row, column = there.nonzero().T
        fallen = torch.stack([image, row, (column + self.shift).clamp(max=there.shape[2] - 1)], dim=1)
        if self.pairs:
            drawn = torch.randperm(len(points), generator=generator, device=points.device)[: self.pairs]
            return Step(contrast(points[drawn], pixels[tuple(fallen[drawn].T)], self.temperature), {})
        cut = batch.x["superpixel"].long().view(there.shape)
        of_point, of_pixel = in_images(cut, fallen, int(cut.max()) + 1)
        pooled = pool(points, pixels.flatten(0, 2), of_point, of_pixel)
        return Step(contrast(pooled.points, pooled.pixels, self.temperature), {})
