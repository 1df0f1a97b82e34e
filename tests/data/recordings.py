"""Spoken digits as they are published, a few and short, for tests."""

import wave
from pathlib import Path


def write(folder: Path) -> Path:
    """The folder of recordings below a data folder, 16-bit mono at 8 kHz.

    Two takes for training and one for the test of each digit, each a constant of its own.
    """
    found = folder / "free-spoken-digit-dataset" / "recordings"
    found.mkdir(parents=True)
    for digit in range(10):
        for speaker, take in (("theo", 0), ("jackson", 5), ("theo", 49)):
            with wave.open(str(found / f"{digit}_{speaker}_{take}.wav"), "wb") as sound:
                sound.setparams((1, 2, 8000, 0, "NONE", ""))
                sound.writeframes((b"%c\0" % (digit + 1)) * (1000 + 500 * digit))
    return found
