"""Clips of three streams, each with a bag of captions most of which describe other clips: made ones, and spoken digits.

The spoken digits are real: recordings beside images and words of the same digit.
"""

import re
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.data.kinds import Tokens
from cl_explore.data.published import Layout, Published

ACTIONS, COLOURS, FILLERS, FEATURES = 12, 8, 20, 40
NOISE = 0.6
FIRST = 2  # token 0 fills rows up, 1 is the mask
VOCABULARY = FIRST + ACTIONS + COLOURS + FILLERS
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SAMPLES = 4096  # of a recording: half a second, which three of four last no longer than


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
        heard = RECORDINGS.load(split)
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
        return Dataset("spoken digits", x, heard.labels, heard.index, DIGITS, factors, kind)

    return World(part("train"), part("test"))


def read_recordings(folder: Path, split: str) -> Dataset:
    """Recordings (N, 1, SAMPLES), int16 at 8 kHz, cut or filled with silence, of `recordings/DIGIT_SPEAKER_TAKE.wav`.

    Takes 0 to 4 are the test part; the factor `speaker` numbers the names in their order. ValueError names a file of
    another form.
    """
    files = sorted((folder / "recordings").glob("*.wav"))
    for file in files:
        if not (re.fullmatch(r"\d_[^_]+_\d+", file.stem) and file.is_file()):
            raise ValueError(f"{file} must be named DIGIT_SPEAKER_TAKE.wav and a file, such as 7_jackson_32.wav")
    digits, speakers, takes = zip(*(file.stem.split("_") for file in files), strict=True) if files else ((), (), ())
    rows = [row for row, take in enumerate(takes) if (int(take) < 5) == (split == "test")]
    if not rows:
        raise ValueError(f"{folder / 'recordings'} must hold recordings for {split}, got {len(files)} files")
    x = torch.zeros(len(rows), 1, SAMPLES, dtype=torch.int16)
    for place, row in enumerate(rows):
        heard = _heard(files[row])
        x[place, 0, : len(heard)] = torch.from_numpy(heard)
    names = sorted(set(speakers))
    labels = torch.tensor([int(digits[row]) for row in rows])
    speaker = torch.tensor([names.index(speakers[row]) for row in rows])
    return Dataset("spoken digits", x, labels, torch.tensor(rows), DIGITS, {"speaker": speaker}, "waveform")


def _heard(file: Path) -> NDArray[np.int16]:
    """The first SAMPLES of a recording, or all if it is shorter."""
    try:
        with wave.open(str(file)) as sound:
            form = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
            heard = np.frombuffer(sound.readframes(SAMPLES), dtype="<i2").astype(np.int16)
            whole = len(heard) == min(SAMPLES, sound.getnframes())
    except (EOFError, ValueError, wave.Error) as error:
        raise ValueError(f"{file} is no recording, or damaged ({error}): get it again") from error
    if form != (8000, 1, 2):
        raise ValueError(f"{file} must be 16-bit mono at 8 kHz")
    if not whole:
        raise ValueError(f"{file} is half written: get it again")
    return heard


RECORDINGS = Published(
    "free-spoken-digit-dataset",
    (Layout(read_recordings, {"train": ("recordings",), "test": ("recordings",)}),),
    folders=("free-spoken-digit-dataset", "fsdd"),
    advice="git clone https://github.com/Jakobovski/free-spoken-digit-dataset there (12 MB)",
    licence="CC BY-SA 4.0",
)
