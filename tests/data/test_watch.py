"""The watch: windows keep their recording's order, no person is in both parts, and files of another form are named."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import Form, complaints

from cl_explore import data
from cl_explore.data import watch


def write(own: Path, **changed: object) -> Path:
    """The published form in small: 20 recordings, of which step t has the numbers t + channel / 10 + 1000 recording."""
    steps = [np.arange(float(watch.SHORTEST + number))[:, None] for number in range(20)]
    series = [np.asfortranarray(1000 * n + time + np.arange(6) / 10) for n, time in enumerate(steps)]
    held = {"X": series, "y": np.arange(20) % 7, "subject": np.arange(20) // 2 + 1, "side": np.arange(20.0) % 2}
    file = own / "seglearn" / "data" / watch.FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.array(held | changed, dtype=object), allow_pickle=True)
    return file


def test_windows_are_cut_from_recordings_and_people_kept_apart(own: Path) -> None:
    write(own)
    train, test = (data.load("watch", split, length=200, step=150, held=[3, 10]) for split in ("train", "test"))
    assert test.factors["subject"].unique().tolist() == [3, 10]
    assert train.factors["subject"].unique().tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
    assert torch.equal(torch.cat([train.index, test.index]).sort().values, torch.arange(len(train) + len(test)))
    for part in (train, test):
        recording, start = part.factors["recording"], part.factors["start"]
        value = 1000 * recording[:, None, None] + start[:, None, None] + torch.arange(6)[:, None] / 10
        torch.testing.assert_close(part.x, value + torch.arange(200))
        assert torch.equal(part.labels, recording % 7)
        assert torch.equal(part.factors["side"], recording % 2)
    assert start[recording == 19].tolist() == [0, 150, 300, 450, 600, 750]
    assert len(data.load("watch")) == 14 * 9
    assert data.load("watch").modality.name == "series"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"held": [11]}, r"held must be some of the people 1 to 10, each once and not all, got \(11,\)"),
        ({"held": [1, 1]}, "each once"),
        ({"held": range(1, 11)}, "not all"),
        ({"held": []}, "some of the people"),
        ({"length": 948}, "length must be between 1 and 947, got 948"),
        ({"step": 0}, "step must be at least 1"),
    ],
)
def test_windows_and_people_that_cannot_be_are_named(given: dict[str, object], said: str, own: Path) -> None:
    with pytest.raises(ValueError, match=said):
        data.load("watch", **given)


@pytest.mark.parametrize(
    "changed",
    [
        {"X": [np.zeros((950, 3))] * 20},
        {"X": [np.zeros((900, 6))] * 20},
        {"X": [np.full((950, 6), np.nan)] * 20},
        {"X": [np.zeros((950, 6), object)] * 20},
        {"X": [np.zeros((950, 6))] * 19},
        {"y": np.arange(20)},
        {"subject": list(range(20))},
    ],
    ids=["three channels", "short", "gaps", "objects", "one too few", "other classes", "a list"],
)
def test_files_of_another_form_are_named(changed: dict[str, object], own: Path) -> None:
    file = write(own, **changed)
    with pytest.raises(ValueError, match=rf"{re.escape(str(file))} must hold recordings X \(T, 6\), T >= 947"):
        data.load("watch")


def test_damaged_and_missing_files_are_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SHORTEST", 100)
    file = write(own)
    assert complaints(Form(file, lambda: data.load("watch", "test").fingerprint()), own) == []
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)watch_dataset.npy.*BSD-3.*pip install --no-deps --target"):
        data.load("watch")
