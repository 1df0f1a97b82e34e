"""Clips of three streams, each with a bag of captions most of which describe other clips: made ones, and spoken digits.

The spoken digits are real: recordings beside images and words of the same digit.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.data.kinds import Tokens

ACTIONS, COLOURS, FILLERS, FEATURES = 12, 8, 20, 40
NOISE = 0.6
FIRST = 2  # token 0 fills rows up, 1 is the mask
VOCABULARY = FIRST + ACTIONS + COLOURS + FILLERS


class Bags(Tokens):
    """Bags of P captions of L tokens each, (N, P, L)."""

    name, axes = "bags of captions", "N, P, L"


class World(NamedTuple):
    """Clips to learn from, with bags of captions, and unseen ones, each with its own caption.

    train: x of video, audio and text (N, P, L); its factor `place` is where the first fitting caption of a bag is.
    test: x of video, audio and text (N, L).
    """

    train: Dataset
    test: Dataset


def bags(own: Tensor, others: Tensor, fitting: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Captions (N, P, L) in random order and where the first of the fitting ones is (N,).

    own: (N, P, L), P captions of each clip itself, of which the first `fitting` are kept. others: (N, L), one caption
    of every clip; the rest of a bag are captions of other clips, drawn without regard to what they say.
    """
    n, size = own.shape[:2]
    if not 0 <= fitting <= size:
        raise ValueError(f"fitting must be from 0 to the {size} captions of a bag, got {fitting}")
    away = torch.randint(1, n, (n, size), generator=generator)
    captions = others[(torch.arange(n)[:, None] + away) % n]
    captions[:, :fitting] = own[:, :fitting]
    order = torch.rand(n, size, generator=generator).argsort(1)
    shuffled = captions.gather(1, order[..., None].expand_as(captions))
    return shuffled, (order == 0).long().argmax(1)


def feature_streams(
    seed: int,
    *,
    clips: int = 2500,
    unseen: int = 600,
    candidates: int = 5,
    fitting: int = 1,
    frames: int | None = None,
    actions: int = ACTIONS,
    colours: int = COLOURS,
) -> World:
    """Clips of an action and a colour: a video that shows both, a sound of the action alone, captions of both.

    A stream is tanh(W latent) in 40 numbers with noise of .6; a caption is the words of action and colour and two that
    say nothing, in that order. candidates, fitting: captions in a bag, and how many of them describe the clip.
    frames: the video as so many, (N, 40, T), each with so much noise that their mean has noise of .6.
    """
    generator = torch.Generator().manual_seed(seed)
    both, heard = (torch.randn(size, FEATURES, generator=generator) for size in (actions + colours, actions))

    def part(name: str, n: int, size: int, fitting: int) -> Dataset:
        action = torch.randint(actions, (n,), generator=generator)
        colour = torch.randint(colours, (n,), generator=generator)
        sounds = F.one_hot(action, actions).float()
        seen = (torch.cat([sounds, F.one_hot(colour, colours)], dim=1) @ both).tanh()[..., None]
        noise = torch.randn(n, FEATURES, frames or 1, generator=generator)
        video = seen + NOISE * (frames or 1) ** 0.5 * noise
        audio = (sounds @ heard).tanh() + NOISE * torch.randn(n, FEATURES, generator=generator)
        words = torch.stack([FIRST + action, FIRST + ACTIONS + colour], dim=1)[:, None].expand(-1, size, -1)
        fillers = torch.randint(FILLERS, (n, size, 2), generator=generator) + FIRST + ACTIONS + COLOURS
        own = torch.cat([words, fillers], dim=2)
        text, place = bags(own, own[:, 0], fitting, generator)
        factors = {"action": action, "colour": colour, "place": place}
        names = tuple(f"action {a}, colour {c}" for a in range(actions) for c in range(colours))
        x = {
            "video": video if frames else video[..., 0],
            "audio": audio,
            "text": text if name == "train" else own[:, 0],
        }
        kind = {"text": Bags() if name == "train" else "tokens"} | ({"video": "series"} if frames else {})
        return Dataset(f"streams ({name})", x, action * colours + colour, torch.arange(n), names, factors, kind)

    return World(part("train", clips, candidates, fitting), part("test", unseen, 2, 1))


def spoken_digits(seed: int, *, clips: int | None = None, candidates: int = 5, fitting: int = 1) -> World:
    """Recordings of spoken digits as sound, an image of the same digit as video, words as captions.

    Recordings: Free Spoken Digits, takes 0 to 4 for the test as published. Images: scikit-learn's digits (1, 8, 8);
    `seed` draws which goes with which recording, and the bags. clips: only so many recordings of each part.
    Raises FileNotFoundError saying where the recordings are to be had if they are missing.
    """
    generator = torch.Generator().manual_seed(seed)

    def part(split: str) -> Dataset:
        heard = data.load("spoken_digits", split)
        chosen = torch.randperm(len(heard), generator=generator)[:clips]
        heard, images = heard.subset(chosen), data.load("digits", split)
        rows = torch.empty(len(heard), dtype=torch.int64)
        for digit in range(10):
            mine, theirs = heard.labels == digit, (images.labels == digit).nonzero()[:, 0]
            drawn = torch.randint(len(theirs), (int(mine.sum()),), generator=generator)
            rows[mine] = theirs[drawn]
        own = (FIRST + heard.labels)[:, None, None].expand(-1, candidates, 1)
        text, place = bags(own, own[:, 0], fitting, generator)
        x = {"video": images.x[rows], "audio": heard.x, "text": text if split == "train" else own[:, 0]}
        kind = {"audio": "waveform", "text": Bags() if split == "train" else "tokens"}
        factors = {**heard.factors, "action": heard.labels, "place": place}
        return Dataset("spoken digits", x, heard.labels, heard.index, heard.class_names, factors, kind)

    return World(part("train"), part("test"))
