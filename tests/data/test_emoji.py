"""Emoji: both forms give the same set, a fifth of it is the test part, and what is missing or damaged is named."""

from pathlib import Path

import pytest
from PIL import Image
from signs import SIGNS, packages, sheets

from cl_explore.data import emoji


def test_both_forms_give_the_same_pictures_and_texts(own: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"(?s)npm install emojibase-data.*openmoji-72x72|licence.*CC BY-SA"):
        emoji.EMOJI.load("train")
    folder = sheets(own)
    one, words = emoji.EMOJI.load("all", size=4), emoji.words()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    packages(own)
    assert emoji.EMOJI.load("all", size=4).fingerprint() == one.fingerprint()
    assert emoji.words() == words
    assert one.x["noto"].shape == (5, 3, 4, 4)
    assert one.x["openmoji"][2, :, 0, 0].tolist() == [80, 60, 9]
    assert one.x["openmoji"][2, :, 3, 0].tolist() == [255, 255, 255]  # transparent is white
    said = [[words[token - 2] for token in row if token] for row in one.x["text"].tolist()]
    assert said[:3] == [["grinning", "face", "grin"], ["flag", "cook", "islands", "ck"], ["red", "heart"]]
    assert words[:3] == ["cat", "face", "pet"]  # twice each, so the first
    assert [one.class_names[label] for label in one.labels] == [sign["group"] for sign in SIGNS]
    assert emoji.EMOJI.load("test").index.tolist() == [4]
    assert emoji.EMOJI.load("train").index.tolist() == [0, 1, 2, 3]


def test_what_is_damaged_is_named(own: Path) -> None:
    folder = sheets(own)
    with pytest.raises(ValueError, match="size must divide 64, got 7"):
        emoji.EMOJI.load("all", size=7)
    Image.new("RGBA", (64, 64)).save(folder / "noto.webp")
    with pytest.raises(ValueError, match=r"noto\.webp must be 3072 pixels wide and 64 high, got \(64, 64\)"):
        emoji.EMOJI.load("all")
    (folder / "noto.webp").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"noto\.webp is no picture, or damaged"):
        emoji.EMOJI.load("all")
    (folder / "emoji.jsonl").write_text("<html>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"emoji cannot be read from emoji\.jsonl"):
        emoji.EMOJI.load("all")
    (folder / "noto.webp").unlink()
    root = packages(own)
    file = next((root / emoji.PACKAGES[1]).glob("1f431.png"))
    file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"1f431\.png is no picture, or damaged"):
        emoji.EMOJI.load("all")
    for file in (root / emoji.PACKAGES[2]).iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"must hold pictures named like the signs"):
        emoji.EMOJI.load("all")
