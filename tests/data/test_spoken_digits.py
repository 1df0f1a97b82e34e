"""Free Spoken Digits: cut or filled with silence, takes 0 to 4 for the test, and files of another form are named."""

import wave
from pathlib import Path

import pytest
import recordings
import torch
from damage import Form, complaints

from cl_explore import data
from cl_explore.data import spoken_digits


def test_recordings_are_cut_or_filled_with_silence(own: Path) -> None:
    recordings.write(own)
    train, test = (data.load("spoken_digits", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (20, 10)
    assert train.x.shape == (20, 1, spoken_digits.SAMPLES)
    assert torch.equal(train.x[:, 0, 0].long(), train.labels + 1)
    short = train.x[train.labels == 0][0, 0]
    assert short[:1000].eq(1).all()
    assert short[1000:].eq(0).all()
    assert train.x[train.labels == 9].ne(0).all()
    assert train.factors["speaker"].unique().tolist() == [0, 1]
    assert train.class_names[7] == "seven"


def test_recordings_that_are_missing_or_spoilt_are_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = recordings.write(own)
    with wave.open(str(folder / "0_theo_0.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
    with pytest.raises(ValueError, match=r"0_theo_0\.wav must be 16-bit mono at 8 kHz"):
        data.load("spoken_digits", "test")
    (folder / "noise.wav").write_bytes(b"")
    with pytest.raises(ValueError, match=r"noise\.wav must be named DIGIT_SPEAKER_TAKE\.wav"):
        data.load("spoken_digits")
    monkeypatch.setenv("CL_EXPLORE_DATA", str(folder))
    with pytest.raises(FileNotFoundError, match=r"(?s)free-spoken-digit-dataset.*CC BY-SA.*git clone https://github"):
        data.load("spoken_digits")


def test_damaged_recordings_are_named(own: Path) -> None:
    file = recordings.write(own) / "7_theo_0.wav"
    spoken = Form(file, lambda: data.load("spoken_digits", "test").fingerprint(), one=True)
    assert complaints(spoken, own) == []
