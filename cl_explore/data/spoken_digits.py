"""Free Spoken Digits: recordings of ten words by a few speakers, real and small."""

import re
import wave
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cl_explore.data.dataset import Dataset
from cl_explore.data.published import Layout, Published
from cl_explore.data.registry import dataset

SAMPLES = 4096  # of a recording: half a second, which three of four last no longer than
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataset
def spoken_digits(split: str) -> Dataset:
    """3,000 recordings (1, 4096), int16 at 8 kHz, of ten words by six speakers: cut, or filled with silence.

    Takes 0 to 4 of each word and speaker are the test part, as published; the factor `speaker` numbers the names in
    their order.
    Source: Jackson et al., Free Spoken Digit Dataset, https://github.com/Jakobovski/free-spoken-digit-dataset
    Raises: FileNotFoundError saying where it is to be had if it is missing, ValueError naming a file of another form
    """
    return SPOKEN_DIGITS.load(split)


def _read(folder: Path, split: str) -> Dataset:
    """Of `recordings/DIGIT_SPEAKER_TAKE.wav`; ValueError names a file of another form."""
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
    return Dataset("spoken_digits", x, labels, torch.tensor(rows), CLASS_NAMES, {"speaker": speaker}, "waveform")


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


SPOKEN_DIGITS = Published(
    "spoken_digits",
    (Layout(_read, {"train": ("recordings",), "test": ("recordings",)}),),
    folders=("free-spoken-digit-dataset", "fsdd"),
    advice="git clone https://github.com/Jakobovski/free-spoken-digit-dataset there (12 MB)",
    licence="CC BY-SA 4.0",
)
