"""Films of which is known what happens in them: shapes that turn, grow or blink, and pen strokes replayed."""

import math
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore.data import Dataset, Published
from cl_explore.data.factor_world import SHAPES, render, sample
from cl_explore.data.published import Layout
from cl_explore.takes import Count, takes

FRAMES, SIDE, PEN_SIDE = 20, 12, 16
KINDS = ("square", "triangle", "bar")
ACTIONS = ("turn right", "turn left", "grow", "shrink", "blink fast", "blink slowly")
WAYS = ("forwards", "backwards", "twice as fast, twice")
Happening = Literal["acting", "switching", "drifting"]


@takes
def films(count: Count, generator: Generator, happening: Happening = "acting") -> Dataset:
    """Films (20, 3, 12, 12) of a square, a triangle or a bar on one dim background, uint8, labelled by action.

    happening: "acting", one action of six from a random phase; "switching", another one from the 11th frame on, and
        the label is the first; "drifting", in place of actions slow motion in one of six directions.
    Source: the setting is our own. The factor `shape` is below 3. The background is one for all, since each film's own
        would tell films apart by itself.
    """
    action = torch.randint(len(ACTIONS), (count,), generator=generator)
    shape = torch.randint(len(KINDS), (count,), generator=generator)
    numbers = torch.tensor([SHAPES.index(kind) for kind in KINDS])
    f = sample(count, generator, shape=numbers[shape], style=0, bhue=0.6, hue=0.1, bright=0.7, scale=0.5)
    step = torch.arange(FRAMES)
    later = (action + torch.randint(1, len(ACTIONS), (count,), generator=generator)) % len(ACTIONS)
    changed = (step >= FRAMES // 2) & (happening == "switching")
    phase = torch.rand(count, 1, generator=generator)
    still = {name: column[:, None].expand(-1, FRAMES) for name, column in f.items()}
    if happening == "drifting":
        angle, way = action[:, None] * (2 * math.pi / len(ACTIONS)), 0.05 * (step - (FRAMES - 1) / 2)
        moved = {"x": 0.5 * still["x"] + angle.cos() * way, "y": 0.5 * still["y"] + angle.sin() * way}
    else:
        moved = _acted(torch.where(changed, later[:, None], action[:, None]), phase, step)
    shown = {name: column.flatten() for name, column in (still | moved).items()}
    x = render(shown, SIDE).mul_(255).round_().byte().unflatten(0, (count, FRAMES))
    return Dataset(f"films ({happening})", x, action, torch.arange(count), ACTIONS, {"shape": shape}, "video")


def _acted(action: Tensor, phase: Tensor, step: Tensor) -> dict[str, Tensor]:
    """Rotation, size and brightness in each frame (N, T) of what happens there; phase: (N, 1), a share of a turn."""
    turning = (action == 0).float() - (action == 1).float()
    growing = (action == 2).float() - (action == 3).float()
    pace = torch.where(action == 4, math.pi, torch.where(action == 5, 1.2, 0.0))
    saw = torch.remainder(phase + growing.cumsum(1) / 6, 1)
    wave = (pace * (step + 0.5) + 2 * math.pi * phase).sin().sign()
    return {
        "rot": 2 * math.pi * phase + 0.5 * turning.cumsum(1),
        "scale": torch.where(growing == 0, 0.5, 0.3 + 0.4 * saw),
        "bright": torch.where(pace == 0, 0.7, 0.7 + 0.25 * wave),
    }


def pen_films(split: str, count: int | None = None, seed: int = 0) -> Dataset:
    """Characters drawn by a pen, as films (20, 1, 16, 16), ink as 255, labelled by how they are replayed.

    split: "train", by the first ten drawers of each character; "test", by the other ten.
    count: only so many drawings, which the seed draws; it also draws how each is replayed: forwards, backwards, or
        forwards in half the time and then once more. The factor `shape` is the alphabet.
    Raises: FileNotFoundError naming all places if the strokes are missing, ValueError for what is no drawing of them
    """
    whole = STROKES.load(split)
    generator = Generator().manual_seed(2 * seed + (split == "test"))
    chosen = whole.subset(torch.randperm(len(whole), generator=generator)[:count])
    way = torch.randint(len(WAYS), (len(chosen),), generator=generator)
    step = torch.arange(FRAMES)
    order = torch.stack([step, FRAMES - 1 - step, (2 * step + 1) % FRAMES])[way]
    assert isinstance(chosen.x, Tensor)
    x = chosen.x[torch.arange(len(chosen))[:, None], order]
    return Dataset("pen films", x, way, chosen.index, WAYS, {"shape": chosen.labels}, "video")


def drawn(text: str) -> NDArray[np.uint8]:
    """A drawing as a film (20, 1, 16, 16): what the pen has left behind after each twentieth of the time.

    text: lines "x,y,t" in pixels of 105 and milliseconds, y below 0, between START and BREAK, as published
    Raises: ValueError for a text without such lines
    """
    lines = [line.split(",") for line in text.split() if "," in line]
    x, y, t = np.array(lines, float).reshape(-1, 3).T
    if not len(t):
        raise ValueError("a drawing must have lines x,y,t, got none")
    film = np.zeros((FRAMES, 1, PEN_SIDE, PEN_SIDE), np.uint8)
    column, row = (np.clip(place * PEN_SIDE / 105, 0, PEN_SIDE - 1).astype(int) for place in (x, -y))
    past = np.minimum((t - t.min()) / max(np.ptp(t), 1) * FRAMES, FRAMES - 1).astype(int)
    film[past, 0, row, column] = 255
    return np.maximum.accumulate(film)


def _read(source: Path, split: str, texts: Callable[[Path], dict[str, str]], name: str) -> Dataset:
    """Files are called ALPHABET/CHARACTER/NUMBER_DRAWER.txt."""
    found = sorted(texts(source / name).items())
    late = split == "test"
    kept = [(path.split("/")[-3], text) for path, text in found if (int(path[-6:-4]) > 10) == late]
    alphabets = sorted({alphabet for alphabet, _ in kept})
    x = torch.from_numpy(np.stack([drawn(text) for _, text in kept]))
    labels = torch.tensor([alphabets.index(alphabet) for alphabet, _ in kept])
    return Dataset("strokes", x, labels, torch.arange(len(x)), tuple(alphabets), kind="video")


def _in_folder(folder: Path) -> dict[str, str]:
    return {path.as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*_*.txt")}


def _in_zip(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist() if name.endswith(".txt")}


STROKES = Published(
    "omniglot_strokes",
    tuple(
        Layout(partial(_read, texts=texts, name=name), dict.fromkeys(("train", "test"), (name,)))
        for stem in ("strokes_background", "strokes_background_small1")
        for name, texts in ((f"{stem}.zip", _in_zip), (stem, _in_folder))
    ),
    ("omniglot", ""),
    advice="fetch strokes_background.zip or strokes_background_small1.zip from "
    "https://github.com/brendenlake/omniglot (python/)",
    licence="MIT; cite Lake et al. 2015",
)
