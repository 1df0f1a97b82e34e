"""Emoji as pairs of picture and text: 1,906 signs, each drawn in three styles, with its English name and tags.

The same sign in another style is a real positive pair; a style left out of training is a shift of domain.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.published import Layout, Published

STYLES = ("noto", "twemoji", "openmoji")
GROUPS = (
    "smileys-emotion", "people-body", "component", "animals-nature", "food-drink", "travel-places", "activities",
    "objects", "symbols", "flags",
)  # fmt: skip
SIZE, COLUMNS = 64, 48  # pixels of a side; signs in a row of a sheet
SHEETS = ("emoji.jsonl", *(f"{style}.webp" for style in STYLES))
PACKAGES = (
    "emojibase-data/en/data.json",
    "emoji-datasource-google/img/google/64",
    "emoji-datasource-twitter/img/twitter/64",
    "openmoji-72x72-color",
)


def vocabulary(texts: Sequence[Sequence[str]]) -> list[str]:
    """All words of the texts, the most frequent first, equally frequent ones by the alphabet."""
    count = Counter(word for text in texts for word in text)
    return sorted(count, key=lambda word: (-count[word], word))


def _text(sign: dict[str, Any]) -> list[str]:
    """The words of its name, then those of its tags, each once, in small letters and digits."""
    spaced = " ".join([sign["label"], *sign.get("tags", [])]).lower()
    return list(dict.fromkeys("".join(c if c.isalnum() else " " for c in spaced).split()))


def _listed(folder: Path) -> list[dict[str, Any]]:
    """The signs, one a line, in the order of the sheets' cells."""
    return [json.loads(line) for line in (folder / SHEETS[0]).read_text(encoding="utf-8").splitlines()]


def _sheets(folder: Path, split: str, size: int = 32) -> Dataset:
    """Of one sheet of pictures for each style."""
    signs, x = _listed(folder), {}
    shape = (-(-len(signs) // COLUMNS) * SIZE, COLUMNS * SIZE, 4)
    for style in STYLES:
        file = folder / f"{style}.webp"
        sheet = _picture(file)
        if sheet.shape != shape:
            raise ValueError(f"{file} must be {shape[1]} pixels wide and {shape[0]} high, got {sheet.shape[1::-1]}")
        cells = sheet.reshape(-1, SIZE, COLUMNS, SIZE, 4).swapaxes(1, 2)
        x[style] = cells.reshape(-1, SIZE, SIZE, 4)[: len(signs)]
    return _made(signs, x, split, size)


def _common(folder: Path) -> list[dict[str, Any]]:
    """The signs that all styles draw, in the order of Unicode; colours of skin by themselves are none."""
    found = json.loads((folder / PACKAGES[0]).read_text(encoding="utf-8"))
    drawn = set.intersection(*(set(_files(folder / part)) for part in PACKAGES[1:]))
    signs = [sign for sign in found if sign.get("group", 2) != 2 and _code(sign["hexcode"]) in drawn]
    if not signs:
        raise ValueError(f"{folder} must hold pictures named like the signs of {PACKAGES[0]}, such as 1f600.png")
    return [sign | {"group": GROUPS[sign["group"]]} for sign in sorted(signs, key=lambda sign: sign["order"])]


def _packages(folder: Path, split: str, size: int = 32) -> Dataset:
    """Of the single pictures of the packages."""
    signs, x = _common(folder), {}
    for style, part in zip(STYLES, PACKAGES[1:], strict=True):
        files = _files(folder / part)
        x[style] = np.stack([_picture(files[_code(sign["hexcode"])], SIZE) for sign in signs])
    return _made(signs, x, split, size)


def _files(folder: Path) -> dict[str, Path]:
    return {_code(file.stem): file for file in folder.glob("*.png")}


def _code(name: str) -> str:
    """A sign's code points as all publishers agree on: without the one that only asks for a coloured picture."""
    return name.upper().replace("-FE0F", "")


def _picture(file: Path, size: int | None = None) -> NDArray[np.uint8]:
    """Its pixels (H, W, 4), brought to a size."""
    if not file.is_file():  # a pipe would wait for somebody
        raise ValueError(f"{file} must be a picture: get it again")
    try:
        with Image.open(file) as opened:
            pixels = opened.convert("RGBA")
    except (ValueError, OSError, SyntaxError) as error:
        raise ValueError(f"{file} is no picture, or damaged ({error}): get it again") from error
    return np.asarray(pixels.resize((size, size), Image.Resampling.LANCZOS) if size else pixels)


def _made(signs: list[dict[str, Any]], pictures: dict[str, NDArray[np.uint8]], split: str, size: int) -> Dataset:
    """The data set of signs (N) and their pictures (N, 64, 64, 4) by style."""
    if size < 1 or SIZE % size:
        raise ValueError(f"size must divide {SIZE}, got {size}")
    texts = [_text(sign) for sign in signs]
    number = {word: row for row, word in enumerate(vocabulary(texts), start=2)}  # 0 is padding and 1 the mask
    rows = [torch.tensor([number[word] for word in text]) for text in texts]
    kinds = list(dict.fromkeys(sign["subgroup"] for sign in signs))
    x = {style: _small(rgba, size) for style, rgba in pictures.items()}
    x["text"] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    whole = Dataset(
        "emoji",
        x,
        torch.tensor([GROUPS.index(sign["group"]) for sign in signs]),
        torch.arange(len(signs)),
        GROUPS,
        {"subgroup": torch.tensor([kinds.index(sign["subgroup"]) for sign in signs])},
        {"text": "tokens"},
    )
    test = whole.index % 5 == 4
    return whole if split == "all" else whole.subset(test if split == "test" else ~test)


def _small(rgba: NDArray[np.uint8], size: int) -> Tensor:
    """Pictures (N, 64, 64, 4) on white, as (N, 3, size, size) uint8: each pixel is the mean of those it covers."""
    made = []
    for some in torch.tensor(rgba).split(256):
        colour, alpha = some[..., :3].float(), some[..., 3:].float() / 255
        flat = (colour * alpha + 255 * (1 - alpha)).permute(0, 3, 1, 2)
        made.append(torch.nn.functional.avg_pool2d(flat, SIZE // size).round().to(torch.uint8))
    return torch.cat(made)


EMOJI = Published(
    "emoji",
    (
        Layout(_sheets, dict.fromkeys(("train", "test", "all"), SHEETS)),
        Layout(_packages, dict.fromkeys(("train", "test", "all"), PACKAGES)),
    ),
    ("emoji", "node_modules"),
    advice="npm install emojibase-data@17 emoji-datasource-google@16 emoji-datasource-twitter@16 there, and unpack "
    "openmoji-72x72-color.zip of https://github.com/hfg-gmuend/openmoji/releases beside them as openmoji-72x72-color",
    licence="Noto Emoji Apache 2.0, Twemoji CC BY 4.0, OpenMoji CC BY-SA 4.0; names and tags MIT and Unicode",
)
"""`EMOJI.load(split, size=32)`: x has the pictures (N, 3, size, size) uint8 of each of STYLES and tokens `text`.

Labels are the GROUPS, the factor `subgroup` is finer. Every fifth sign is the part `test`, the others `train`; `all`
has both. Raises FileNotFoundError saying where it is to be had, ValueError for damaged files or a size that does not
divide 64.
"""


def words() -> list[str]:
    """The words of the texts, as files on disk have them: the word at place k is token k + 2.

    Raises: FileNotFoundError and ValueError as `EMOJI.load` does
    """
    layout, place = EMOJI.find("all")
    return vocabulary([_text(sign) for sign in (_listed if layout.read is _sheets else _common)(place)])
