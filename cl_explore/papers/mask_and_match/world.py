"""Handwritten formulas whose symbols have known places, views that keep places, and an encoder of their cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.data.published import Layout as Form
from cl_explore.data.published import Published
from cl_explore.papers.mask_and_match.method import AttentionPool, GridEncoder
from cl_explore.views.base import Views, normal, uniform

HEIGHT, WIDTH, CELL, DIGIT = 24, 40, 4, 8
FEATURES = 48
SYMBOLS = 2
"""Digits of a formula of this world."""


class Layout(NamedTuple):
    """Where a structure has its two digits (row, column of the upper left pixel), and its strokes between two points
    (row, column, row, column), before they are moved.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    strokes: tuple[tuple[int, int, int, int], ...] = ()


LAYOUTS = {
    "a + b": Layout((8, 6), (8, 26), ((12, 17, 12, 23), (9, 20, 15, 20))),
    "a − b": Layout((8, 6), (8, 26), ((12, 17, 12, 23),)),
    "a to the b": Layout((11, 12), (2, 21)),
    "a sub b": Layout((4, 12), (13, 21)),
    "a over b": Layout((1, 16), (14, 16), ((11, 12, 11, 27),)),
    "root of ab": Layout((9, 14), (9, 23), ((12, 6, 19, 9), (19, 9, 6, 11), (6, 11, 6, 32))),
}


def formulas(seed: int, split: str, samples: int) -> Dataset:
    """Pictures (N, 1, 24, 40) in [0, 1] of two of scikit-learn's digits in one of six structures, which is the label.

    split: "train" or "test", whose digits are written by the same people, but none is in both
    Factors: `symbol 0` and `symbol 1`, the digits, and `cell 0` and `cell 1`, the cells where their middles lie, of a
        grid of 6 x 10, counted row by row. Structures move by 4 pixels at most, each digit and end of a stroke by 1.
    """
    source = data.load("digits", split)
    generator = Generator().manual_seed(2 * seed + (split == "test"))
    kinds = torch.randint(len(LAYOUTS), (samples,), generator=generator)
    drawn = torch.randint(len(source), (samples, SYMBOLS), generator=generator)
    layouts = list(LAYOUTS.values())
    x = torch.zeros(samples, HEIGHT, WIDTH)
    corners = torch.zeros(samples, SYMBOLS, 2, dtype=torch.int64)
    moves = torch.randint(-4, 5, (samples, 2), generator=generator) // torch.tensor([2, 1])
    room = torch.tensor([HEIGHT - DIGIT, WIDTH - DIGIT])
    for number, (kind, rows, move) in enumerate(zip(kinds.tolist(), drawn, moves, strict=True)):
        layout = layouts[kind]
        for place, corner in enumerate((layout.first, layout.second)):
            shaken = torch.tensor(corner) + move + torch.randint(-1, 2, (2,), generator=generator)
            corners[number, place] = shaken.clamp(min=torch.zeros(2, dtype=torch.int64), max=room)
            top, left = corners[number, place].tolist()
            box = x[number, top : top + DIGIT, left : left + DIGIT]
            torch.maximum(box, source.x[rows[place], 0], out=box)
        for stroke in layout.strokes:
            ends = torch.tensor(stroke).view(2, 2) + move + torch.randint(-1, 2, (2, 2), generator=generator)
            draw(x[number], ends.float(), ink=float(0.7 + 0.3 * torch.rand((), generator=generator)))
    cells = (corners + DIGIT // 2) // CELL
    factors = {
        **{f"symbol {place}": source.labels[drawn[:, place]] for place in range(SYMBOLS)},
        **{f"cell {place}": cells[:, place] @ torch.tensor([WIDTH // CELL, 1]) for place in range(SYMBOLS)},
    }
    return Dataset("formulas", x[:, None], kinds, torch.arange(samples), tuple(LAYOUTS), factors)


def draw(picture: Tensor, points: Tensor, ink: float = 1.0) -> None:
    """A line through n >= 2 points (n, 2), row and column in pixels, into a picture (H, W); what is outside is cut."""
    steps = 2 * int((points[1:] - points[:-1]).abs().max().ceil()) + 1
    share = torch.linspace(0, 1, steps)[:, None, None]
    along = (points[:-1] + share * (points[1:] - points[:-1])).flatten(0, 1)
    row, column = along.round().long().unbind(1)
    inside = (row >= 0) & (row < picture.shape[0]) & (column >= 0) & (column < picture.shape[1])
    picture[row[inside], column[inside]] = picture[row[inside], column[inside]].clamp(min=ink)


class Written(NamedTuple):
    """A formula as it was written: its traces (n, 2), row and column, and of each symbol its name and its traces."""

    writer: str
    latex: str
    traces: list[Tensor]
    symbols: list[tuple[str, list[int]]]


STRUCTURES = ("flat", "power", "index", "fraction", "root", "several")
COMMANDS = {"power": "^", "index": "_", "fraction": r"\frac", "root": r"\sqrt"}
KNOWN = ("-", "1", "2", "x", "=", "n", "(", ")", "a", "+", "0", r"\sqrt", "3", "b", "5", "y", "4", "d", "i", "c")
PAGE = (32, 96)
MOST, WIDEST = 12, 4.5
"""Symbols of a formula, and its width over its height, at most."""


def crohme(split: str) -> Dataset:
    """Pictures (N, 1, 32, 96) of CROHME's handwritten formulas of 2 to 12 symbols, fitted to the page; every fourth
    writer is in the test part, and what an unknown hand wrote in none.

    Labels: the structure of STRUCTURES that the LaTeX shows
    Factors: `symbol k` and `cell k` of the k-th symbol, as those of `formulas`; -1 where there is none of KNOWN
    Source: the training set of Mouchere et al. 2013 to 2016, InkML files
    Raises: FileNotFoundError naming all places if it is missing
    """
    return CROHME.load(split)


def _read(folder: Path, split: str) -> Dataset:
    written = _written(folder)
    writers = sorted({one.writer for one in written})
    held_out = set(writers[::4])
    chosen = [one for one in written if (one.writer in held_out) == (split == "test")]
    x = torch.zeros(len(chosen), 1, *PAGE)
    symbols, cells = torch.full((2, MOST, len(chosen)), -1).unbind()
    for number, (one, picture) in enumerate(zip(chosen, x[:, 0], strict=True)):
        traces = list(_fitted(one.traces))
        for trace in traces:
            draw(picture, torch.cat([trace[:1], trace]))  # a dot is a line, too
        for place, (name, parts) in enumerate(one.symbols):
            if name in KNOWN:
                low, high = torch.cat([traces[part] for part in parts]).aminmax(dim=0)
                row, column = ((low + high) / 2 / CELL).long().tolist()
                symbols[place, number], cells[place, number] = KNOWN.index(name), row * (PAGE[1] // CELL) + column
    factors = {f"symbol {place}": column for place, column in enumerate(symbols)}
    factors |= {f"cell {place}": column for place, column in enumerate(cells)}
    labels = torch.tensor([structure(one.latex) for one in chosen])
    return Dataset("CROHME", x, labels, torch.arange(len(x)), STRUCTURES, factors)


@cache
def _written(folder: Path) -> list[Written]:
    files = sorted((folder / INK_FILES).rglob("*.inkml"))
    return [one for file in files if (one := ink(file)) and _fits(one)]


def structure(latex: str) -> int:
    """Which of STRUCTURES a formula has."""
    found = [name for name, command in COMMANDS.items() if command in latex]
    return STRUCTURES.index("several" if len(found) > 1 else found[0] if found else "flat")


def ink(file: Path) -> Written | None:
    """What an InkML file of CROHME holds; None if it does not say who wrote it, or not every symbol's traces."""
    root = ElementTree.parse(file).getroot()
    notes = {note.get("type"): (note.text or "").strip() for note in root.findall("{*}annotation")}
    traces: list[Tensor] = []
    number: dict[str | None, int] = {}
    for trace in root.findall("{*}trace"):
        number[trace.get("id")] = len(traces)
        points = [list(map(float, point.split()[1::-1])) for point in (trace.text or "").split(",")]
        traces.append(torch.tensor(points))
    symbols = [
        (
            group.findtext("{*}annotation", "").strip(),
            [number[view.get("traceDataRef")] for view in group.findall("{*}traceView")],
        )
        for group in root.findall("{*}traceGroup/{*}traceGroup")
    ]
    if not notes.get("writer") or not all(parts for _, parts in symbols):
        return None
    return Written(f"{file.parent.name} {notes['writer']}", notes.get("truth", ""), traces, symbols)


def _fits(one: Written) -> bool:
    low, high = torch.cat(one.traces).aminmax(dim=0)
    height, width = (high - low).tolist()
    return 2 <= len(one.symbols) <= MOST and width <= WIDEST * height


def _fitted(traces: list[Tensor]) -> Iterator[Tensor]:
    """Traces in the middle of the page, with a rim of two pixels."""
    low, high = torch.cat(traces).aminmax(dim=0)
    room = torch.tensor(PAGE) - 5.0
    scale = (room / (high - low).clamp(min=1e-6)).min()
    for trace in traces:
        yield (trace - (low + high) / 2) * scale + (torch.tensor(PAGE) - 1) / 2


INK_FILES = "TrainINKML"
CROHME = Published(
    "crohme",
    (Form(_read, dict.fromkeys(("train", "test"), (INK_FILES,))),),
    ("crohme", ""),
    advice="fetch the CROHME 2016 package of the TC-11 online resources (tc11.cvc.uab.es) and unpack its training set",
    licence="CC BY-NC-SA 3.0; cite Mouchere et al. 2016",
)


class InkParameters(NamedTuple):
    """What was drawn for pictures (N, C, H, W): gain (N, 1, 1, 1), thick (N, 1, 1, 1) bool, noise (N, C, H, W)."""

    gain: Tensor
    thick: Tensor
    noise: Tensor


@dataclass(frozen=True, kw_only=True)
class InkViews(Views[InkParameters]):
    """Views of pictures (B, C, H, W) that change ink and leave every place as it is; strength scales each.

    gain: the picture is multiplied by a number uniform in 1 +- gain.
    thick: probability that strokes become a pixel wider on each side, at half their grey.
    noise: standard deviation of Gaussian noise.
    """

    stored = torch.uint8
    gain: float = 0.3
    thick: float = 0.3
    noise: float = 0.12

    def _apply(self, x: Tensor, parameters: InkParameters) -> Tensor:
        gain, thick, noise = parameters
        wider = torch.maximum(x, F.max_pool2d(x, 3, 1, 1) / 2)
        return torch.where(thick, wider, x) * gain + noise

    def _draw(self, x: Tensor, generator: Generator) -> InkParameters:
        first, second = (uniform(generator, x, len(x), 1, 1, 1) for _ in range(2))
        gain = 1 + self.strength * self.gain * (2 * first - 1)
        return InkParameters(
            gain, second < self.strength * self.thick, self.strength * self.noise * normal(generator, x)
        )

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4:
            raise ValueError(f"x must have shape (B, C, H, W), got {tuple(x.shape)}")


def networks(train: Dataset, *, attention: bool = False) -> tuple[nn.Module, nn.Module]:
    """An encoder whose cells of 4 pixels see 23 around them, pooled by attention or the mean, and a linear head.

    Four convolutions of 24, 24, 48 and 48 features, of which the first two halve both sides.
    """
    layers: list[nn.Module] = []
    for before, after, stride in ((1, 24, 2), (24, 24, 2), (24, FEATURES, 1), (FEATURES, FEATURES, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(6, after), nn.ReLU()]
    mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    grid, head = nn.Sequential(*layers), nn.Linear(FEATURES, 32)
    return GridEncoder(grid, AttentionPool(FEATURES) if attention else mean, FEATURES), head
