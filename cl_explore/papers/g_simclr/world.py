"""Digits and photographs for G-SimCLR: their networks, their auto-encoders and their views."""

import torch
from torch import nn

from cl_explore.claims.bench import splits
from cl_explore.data import Dataset
from cl_explore.methods import Augment
from cl_explore.methods.autoencoder import AutoEncoder
from cl_explore.nn import MLP, ConvNet, projection_head
from cl_explore.train import fit
from cl_explore.views import HardViews, ImageViews

NOISE = {"digits": 0.2, "photographs": 0.01}
"""Standard deviation of what the auto-encoder takes off again; that of photographs is the authors'."""


def shuffled(seed: int, dataset: str, samples: int) -> tuple[Dataset, Dataset]:
    """The train and test part, at most so many samples of each; the training part in an order drawn by the seed."""
    train, test = splits(dataset, samples)
    return train.subset(torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))), test


def views(train: Dataset) -> Augment:
    """Of digits a shift by a pixel, +-20 % of gain and noise; of photographs those of SimCLR."""
    return ImageViews.simclr() if in_colour(train) else HardViews(shift=1, erased=0, intensity=0.2, noise=0.15)


def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """Encoder and head: of digits 64-128-32 and 32-64-32; of photographs convolutions, and the authors' head.

    The authors' encoder is a ResNet-20; convolutions stand for it that a processor trains in minutes.
    """
    if in_colour(train):
        return (encoder := ConvNet(3)), MLP([encoder.out_features, 256, 128, 50], batch_norm=False)
    return MLP([64, 128, 32], batch_norm=False), projection_head(32, 64, 32)


def in_colour(train: Dataset) -> bool:
    """Whether samples are photographs (3, 32, 32) and not digits (1, 8, 8)."""
    assert isinstance(train.x, torch.Tensor)
    return train.x.shape[1] == 3


def autoencoder(train: Dataset) -> AutoEncoder:
    """Of digits 64-64-16 and back to 64; of photographs the authors': three convolutions, and the mean of their map."""
    if not in_colour(train):
        back = nn.Sequential(nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8)))
        return AutoEncoder(MLP([64, 64, 16], batch_norm=False), nn.Identity(), back, NOISE["digits"])
    down: list[nn.Module] = []
    up: list[nn.Module] = [nn.Unflatten(1, (128, 4, 4))]
    for before, after in ((3, 32), (32, 64), (64, 128)):
        down += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    for before, after in ((128, 64), (64, 32), (32, 3)):
        up += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1)]
        up += [nn.BatchNorm2d(after), nn.ReLU()] if after > 3 else []
    mean = nn.Sequential(nn.Unflatten(1, (128, 16)), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    return AutoEncoder(nn.Sequential(*down, nn.Flatten()), mean, nn.Sequential(*up), NOISE["photographs"])


def pretrained(seed: int, train: Dataset, epochs: int) -> AutoEncoder:
    """The auto-encoder after training; the seed decides its weights and batches."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        made = autoencoder(train)
    fit(made, train, epochs=epochs, batch_size=64, lr=2e-3, seed=seed, snapshots=0, progress=False)
    return made
