"""Classes that come task by task, a word beside each sample: drawn digits as if they were sounds, and spoken ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.names import unknown
from cl_explore.nn import MLP, BagOfTokens, ConvNet, projection_head
from cl_explore.views import MASK
from cl_explore.views.base import as_numbers

FIRST = MASK + 1
BANDS, WINDOW, HOP = 32, 256, 128
WIDTH, EMBEDDING = 64, 32


class World(NamedTuple):
    """Tasks to be learned one after another, of samples with `audio` and `text`, which is the word of their class.

    train, test: of all classes.
    tasks: the classes of each.
    buffer: rows of `train` that are kept when their task is over, equally many of each class.
    """

    train: Dataset
    test: Dataset
    tasks: Sequence[Tensor]
    buffer: Tensor

    def seen(self, task: int, *, replay: bool = True) -> Dataset:
        """What a task is learned from: all samples of its classes, and those that the buffer has of earlier ones.

        The factor `rehearsal` is 1 for the latter, else 0. replay: without it there are none of them.
        """
        new = torch.isin(self.train.labels, self.tasks[task]).nonzero()[:, 0]
        old = self.kept(task) if replay else new[:0]
        chosen = self.train.subset(torch.cat([new, old]))
        rehearsal = (torch.arange(len(chosen)) >= len(new)).long()
        return replace(chosen, factors={**chosen.factors, "rehearsal": rehearsal})

    def kept(self, tasks: int) -> Tensor:
        """The buffer's rows of `train` after so many tasks."""
        return self.buffer[torch.isin(self.train.labels[self.buffer], self.known(tasks))]

    def known(self, tasks: int) -> Tensor:
        """The classes of the first tasks."""
        return torch.cat([self.tasks[0][:0], *self.tasks[:tasks]])


def world(name: str, seed: int, *, tasks: int, kept: int, samples: int | None = None) -> World:
    """Digits, drawn ("digits") or spoken ("spoken digits"), in so many tasks.

    seed: draws the order of the classes, and the buffer.
    kept: samples of each class in the buffer.
    samples: of the training part, at most; None takes all.
    Raises: ValueError for an unknown name, tasks outside 2 to 10, or a buffer that a class is too small for;
        FileNotFoundError saying where recordings are to be had if they are missing
    """
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    if not 2 <= tasks <= 10:
        raise ValueError(f"tasks must be from 2 to the 10 classes, got {tasks}")
    generator = Generator().manual_seed(seed)
    order = torch.randperm(10, generator=generator)
    train, test = (_worded(part) for part in WORLDS[name]())
    train = train.subset(torch.randperm(len(train), generator=generator)[:samples])
    return World(train, test, order.tensor_split(tasks), _some(train.labels, kept, generator))


def _some(labels: Tensor, each: int, generator: Generator) -> Tensor:
    classes, sizes = labels.unique(return_counts=True)
    if not 1 <= each <= sizes.min():
        raise ValueError(f"kept must be from 1 to the {sizes.min()} samples of the smallest class, got {each}")
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == one][:each] for one in classes])


def _worded(part: Dataset) -> Dataset:
    x = {"audio": part.x, "text": FIRST + part.labels[:, None]}
    return replace(part, x=x, kind={"audio": part.kind, "text": "tokens"})


def drawn() -> tuple[Dataset, Dataset]:
    """Scikit-learn's digits as 64 numbers each, to learn from and to test with."""
    parts = (data.load("digits", split) for split in ("train", "test"))
    train, test = (replace(part, x=part.x.flatten(1), kind="vector") for part in parts)
    return train, test


def spoken() -> tuple[Dataset, Dataset]:
    """Free Spoken Digits as spectrograms (32, 33), each band standardised by the training part."""
    parts = [data.load("spoken_digits", split) for split in ("train", "test")]
    spectra = [spectrogram(as_numbers(part.x[:, 0])) for part in parts]
    deviation, mean = torch.std_mean(spectra[0], dim=(0, 2), keepdim=True)
    train, test = (
        replace(part, x=(x - mean) / deviation, kind="series") for part, x in zip(parts, spectra, strict=True)
    )
    return train, test


def spectrogram(sound: Tensor) -> Tensor:
    """The logarithm of the power in 32 bands of equal width (N, 32, T) of sound (N, samples).

    Windows of 256 samples, one every 128.
    """
    window = torch.hann_window(WINDOW)
    power = torch.stft(sound, WINDOW, HOP, window=window, return_complex=True).abs().square()
    return (F.adaptive_avg_pool1d(power[:, 1:].transpose(1, 2), BANDS).transpose(1, 2) + 1e-6).log()


def networks(train: Dataset) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """Encoders and heads: of drawn digits 64-128-64, of spectrograms convolutions and the mean over time; of a word its
    vector of 32 numbers. Both heads end in 32 numbers.
    """
    x = train.x["audio"]
    encoder = MLP([x.shape[1], 128, WIDTH], batch_norm=False) if x.ndim == 2 else ConvNet(BANDS, WIDTH // 2, 2, dims=1)
    words = BagOfTokens(FIRST + train.num_classes, EMBEDDING)
    heads = {"audio": projection_head(WIDTH, WIDTH, EMBEDDING), "text": projection_head(EMBEDDING, WIDTH, EMBEDDING)}
    return {"audio": encoder, "text": words}, {**heads}


WORLDS: dict[str, Callable[[], tuple[Dataset, Dataset]]] = {"digits": drawn, "spoken digits": spoken}
