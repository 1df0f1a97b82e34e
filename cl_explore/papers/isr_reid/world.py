"""Frame pairs with people that leave: vectors that a camera spoils, and characters that two people drew."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from cl_explore.data import Dataset, Published
from cl_explore.data.archives import pictures_in
from cl_explore.data.decoded import decoded
from cl_explore.data.published import Layout
from cl_explore.names import unknown
from cl_explore.nn import MLP, ConvNet

PEOPLE, FEATURES, DRAWERS = 6, 32, 20
STRANGERS = 300
"""People of the test part, none of whom is met in training."""


def world(name: str, seed: int, videos: int, leave: float) -> tuple[Dataset, Dataset]:
    """Frame pairs to train on, and people never met there, seen by camera 0 and then, in the same order, by camera 1.

    name: "street", vectors; or "omniglot", characters as people and drawers as cameras
    leave: the chance of each person to have gone by the second frame
    Raises: ValueError for another name, FileNotFoundError naming all places if the data are missing
    """
    if name == "street":
        street = Street(seed, leave=leave)
        return street.videos(videos), street.strangers()
    if name == "omniglot":
        return pages(seed, videos, leave), foreign(seed)
    raise unknown("world", name, ("street", "omniglot"))


def crowd(videos: int, people: int, leave: float, generator: Generator) -> Tensor:
    """Who is in the two frames of each video, (V, 2, people): numbers below 2 * people, each once in a frame.

    leave: the chance of each person to have gone by the second frame; somebody new stands in that place. Places are
        shuffled.
    """
    first = torch.arange(people).expand(videos, -1)
    gone = torch.rand(videos, people, generator=generator) < leave
    second = first + people * gone
    shuffled = torch.rand(videos, people, generator=generator).argsort(1)
    return torch.stack([first, second.gather(1, shuffled)], 1)


@dataclass(frozen=True)
class Street:
    """People seen as vectors of 32 numbers: tanh(identity A + nuisance B) + the camera's offset + noise.

    identity: 10 normal numbers, the person's own. nuisance: 8 normal numbers times `nuisance`, drawn for each crop, as
    pose and light. The maps A and B and the offsets of 6 cameras are drawn by `seed`.
    """

    seed: int = 0
    people: int = PEOPLE
    leave: float = 0.4
    nuisance: float = 0.9
    noise: float = 0.15

    def crops(self, identity: Tensor, camera: Tensor, generator: Generator) -> Tensor:
        """What is seen (N, 32) of people (N, 10) by cameras (N,), numbered from 0 to 5."""
        fixed = Generator().manual_seed(self.seed)
        a, b, offset = (torch.randn(rows, FEATURES, generator=fixed) for rows in (10, 8, 6))
        pose = self.nuisance * torch.randn(len(identity), 8, generator=generator)
        clean = (identity @ a / 10**0.5 + pose @ b / 8**0.5).tanh() + 0.5 * offset[camera]
        return clean + self.noise * torch.randn(clean.shape, generator=generator)

    def videos(self, count: int) -> Dataset:
        """So many frame pairs, each of one camera and of people met nowhere else."""
        generator = Generator().manual_seed(self.seed + 1)
        who = crowd(count, self.people, self.leave, generator) + 2 * self.people * torch.arange(count)[:, None, None]
        identity = torch.randn(2 * self.people * count, 10, generator=generator)
        camera = torch.randint(6, (count,), generator=generator)
        labels = who.flatten()
        x = self.crops(identity[labels], camera.repeat_interleave(2 * self.people), generator)
        return in_frames("street", x, labels, (count, self.people))

    def strangers(self) -> Dataset:
        """300 people whom `videos` never shows, each seen once by camera 0 and then once by camera 1."""
        generator = Generator().manual_seed(self.seed + 2)
        identity = torch.randn(STRANGERS, 10, generator=generator).repeat(2, 1)
        camera = torch.arange(2).repeat_interleave(STRANGERS)
        return queries_and_gallery("strangers", self.crops(identity, camera, generator), camera)


def in_frames(name: str, x: Tensor, labels: Tensor, shape: tuple[int, int]) -> Dataset:
    """Crops, video by video and frame by frame, with the factors that say so; shape: videos, and people in a frame."""
    count, people = shape
    names, own = labels.unique(return_inverse=True)
    factors = {
        "video": torch.arange(count).repeat_interleave(2 * people),
        "frame": torch.arange(2).repeat_interleave(people).repeat(count),
    }
    return Dataset(name, x, own, torch.arange(len(x)), tuple(map(str, names.tolist())), factors)


def queries_and_gallery(name: str, x: Tensor, camera: Tensor) -> Dataset:
    """As many people by camera 0 as by camera 1, in the same order."""
    people = len(x) // 2
    labels = torch.arange(people).repeat(2)
    return Dataset(name, x, labels, torch.arange(len(x)), tuple(map(str, range(people))), {"camera": camera})


def pages(seed: int, count: int, leave: float) -> Dataset:
    """Two drawers of one alphabet, six characters each: frame pairs of drawings, drawn by `seed`."""
    generator = Generator().manual_seed(seed)
    known = omniglot("train")
    alphabet = known.factors["alphabet"][::DRAWERS]
    who = crowd(count, PEOPLE, leave, generator)
    rows = []
    for video, chosen in enumerate(torch.randint(int(alphabet.max()) + 1, (count,), generator=generator)):
        there = torch.nonzero(alphabet == chosen)[:, 0]
        people = there[torch.randperm(len(there), generator=generator)]
        drawers = torch.randperm(DRAWERS, generator=generator)[:2]
        rows.append(people[who[video]] * DRAWERS + drawers[:, None])
    drawn = torch.cat(rows).flatten()
    return in_frames("omniglot", known.x[drawn], known.labels[drawn], (count, PEOPLE))


def foreign(seed: int) -> Dataset:
    """The 659 characters of other alphabets, each by one drawer and then by another; the seed draws these two."""
    unseen = omniglot("test")
    drawers = torch.randperm(DRAWERS, generator=Generator().manual_seed(seed))[:2, None]
    rows = torch.arange(0, len(unseen), DRAWERS) + drawers
    camera = torch.arange(2).repeat_interleave(rows.shape[1])
    return queries_and_gallery("foreign characters", unseen.x[rows.flatten()], camera)


def omniglot(split: str) -> Dataset:
    """Handwritten characters (1, 28, 28), ink as 255: of 30 alphabets in the train part, of 20 others in the test part.

    Every character has 20 rows, one for each drawer of its alphabet; the factor `alphabet` numbers these.
    Source: Lake, Salakhutdinov and Tenenbaum 2015, the files of github.com/brendenlake/omniglot; MIT licence.
    Raises: FileNotFoundError naming all places if it is missing, ValueError naming the file if it is incomplete
    """
    return OMNIGLOT.load(split)


def _read(folder: Path, split: str, ending: str) -> Dataset:
    """Names end in ALPHABET/CHARACTER/NUMBER_DRAWER.png, in a folder or in a zip of it."""
    file = folder / f"{FILES[split]}{ending}"
    x, names = decoded(pictures_in(file), channels=1, size=28)
    alphabets, characters, drawings = zip(*(name.split("/")[-3:] for name in names), strict=True)
    drawers = [int(Path(name).stem.partition("_")[2]) for name in drawings]
    if drawers != list(range(1, DRAWERS + 1)) * (len(names) // DRAWERS) or len(names) != COUNT[split]:
        raise ValueError(f"{file} must hold {COUNT[split]} drawings, {DRAWERS} of each character, got {len(names)}")
    place = {name: number for number, name in enumerate(dict.fromkeys(alphabets))}
    called = list(dict.fromkeys(map("/".join, zip(alphabets, characters, strict=True))))
    labels = torch.arange(len(names)) // DRAWERS
    factors = {"alphabet": torch.tensor([place[name] for name in alphabets])}
    return Dataset("Omniglot", 255 - x, labels, torch.arange(len(x)), tuple(called), factors)


FILES = {"train": "images_background", "test": "images_evaluation"}
COUNT = {"train": 19280, "test": 13180}
OMNIGLOT = Published(
    "omniglot",
    tuple(
        Layout(partial(_read, ending=ending), {split: (f"{name}{ending}",) for split, name in FILES.items()})
        for ending in (".zip", "")
    ),
    ("omniglot", ""),
    advice="fetch both zips from https://github.com/brendenlake/omniglot (python/)",
    licence="MIT; cite Lake et al. 2015",
)


def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """The encoder 32-64-64-16 of vectors; of drawings convolutions and a linear head to 64 numbers, as ISR's is linear.

    ISR's encoder is a Swin-B with a linear head to 512.
    """
    if train.x.ndim == 2:
        return MLP([FEATURES, 64, 64, 16], batch_norm=False), nn.Identity()
    return (encoder := ConvNet(1)), nn.Linear(encoder.out_features, 64)
