"""Digits and photographs of which few have labels, and two views of unseen ones that should find each other."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.methods import Augment
from cl_explore.nn import ConvNet, projection_head
from cl_explore.views import HardViews, ImageViews


class World(NamedTuple):
    """given: samples to train with, of whose labels nobody makes use. test: unseen ones. views: of these, two of each.

    augment: what draws views for the contrast without labels.
    tuning: what draws those that are fine-tuned on: digits as they are, photographs cut out and mirrored.
    """

    given: Dataset
    test: Dataset
    views: tuple[Dataset, Dataset]
    augment: Augment
    tuning: Augment


def world(seed: int, dataset: str, samples: int, unseen: int) -> World:
    """So many samples of the training part, drawn by the seed, and unseen ones: of the test part, then of the rest."""
    generator = torch.Generator().manual_seed(seed)
    train, test = (data.load(dataset, split) for split in ("train", "test"))
    order = torch.randperm(len(train), generator=generator)
    given, test = train.subset(order[:samples]), test.subset(torch.randperm(len(test), generator=generator)[:unseen])
    if unseen > len(test) and samples < len(train):
        test = joined(test, train.subset(order[samples : samples + unseen - len(test)]))
    x: Tensor = test.batch(torch.arange(len(test))).x
    augment: Augment = HardViews(shift=1, erased=0, intensity=0.2)
    tuning: Augment = HardViews(strength=0)
    if x.shape[1] == 3:
        augment, tuning = ImageViews.simclr(strength=0.5), ImageViews(crop_area=0.5, crop_ratio=4 / 3, flip=0.5)
    seen = augment(x, generator, 2)
    return World(given, test, (replace(test, x=seen[:, 0]), replace(test, x=seen[:, 1])), augment, tuning)


def joined(one: Dataset, other: Dataset) -> Dataset:
    """The pictures of both, one after the other."""
    x, labels, index = (torch.cat([getattr(one, name), getattr(other, name)]) for name in ("x", "labels", "index"))
    return replace(one, x=x, labels=labels, index=index, factors={})


def labelled(given: Dataset, shots: int) -> Dataset:
    """The first samples of each class, so many; ValueError if a class has fewer."""
    rows = [torch.where(given.labels == label)[0][:shots] for label in range(given.num_classes)]
    if (fewest := min(map(len, rows))) < shots:
        raise ValueError(f"shots must be at most {fewest}, the samples of the rarest class, got {shots}")
    return given.subset(torch.cat(rows))


def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """Three convolutions, their mean h of 64 features none of which is below 0, and a head 64-64-32."""
    assert isinstance(train.x, Tensor)
    encoder = ConvNet(train.x.shape[1])
    return encoder, projection_head(encoder.out_features, encoder.out_features, 32)
