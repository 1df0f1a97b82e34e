"""Sentences of people: pairs they graded (SICK, SemEval STS), and five captions of each image (Multi30k).

`SICK.load(split)`, `STS.load("test")` and `MULTI30K.load(split)` give tokens x (N, S, 32) of S sentences in a row.
"""

import gzip
import re
import zlib
from pathlib import Path

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.kinds import Tokens
from cl_explore.data.published import Layout, Published

WORDS = 2**14
"""Numbers that words are hashed to."""
LENGTH = 32
JUDGED = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")


class Sentences(Tokens):
    """A query and its passages, a pair, or captions of one image, as token numbers."""

    name, axes = "lists of tokens", "N, S, L"


def tokens(sentence: str) -> list[int]:
    """Its first 32 words, in lower case, hashed to numbers from 2 on; rows are filled up with 0."""
    words = re.findall(r"[^\W_]+", sentence.lower())[:LENGTH]
    return [2 + zlib.crc32(word.encode()) % WORDS for word in words] + [0] * (LENGTH - len(words))


def read_pairs(folder: Path, split: str) -> Dataset:
    """SICK: pairs of sentences x (N, 2, 32), with how related people found them, `score` from 1 to 5.

    The factors `first` and `second` number the sentences of the split. Labels are what people judged, of JUDGED.
    """
    file = folder / SICK.layouts[0].files[split][0]
    rows = [line.split("\t") for line in _lines(file)[1:]]
    if any(len(row) < 5 for row in rows) or not rows:
        raise ValueError(f"{file} must have the columns pair_ID, sentence_A, sentence_B, relatedness_score, ...")
    if unknown := {row[4].strip() for row in rows} - set(JUDGED):
        raise ValueError(f"{file} must judge each pair as one of {JUDGED}, got {min(unknown)!r}")
    labels = torch.tensor([JUDGED.index(row[4].strip()) for row in rows])
    return _pairs("SICK", [(row[1], row[2], float(row[3])) for row in rows], labels, JUDGED)


def read_sets(folder: Path, split: str) -> Dataset:
    """SemEval STS 2012 to 2016: judged pairs of all test sets, as `read_pairs`; `score` from 0 to 5.

    The label is the set, such as 2014/images. Pairs that were not judged are left out.
    """
    files = sorted(folder.glob("201[2-6]/*.test.tsv"))
    rows, of = [], []
    for place, file in enumerate(files):
        for line in _lines(file):
            score, *sentences = line.split("\t")
            if len(sentences) < 2:
                raise ValueError(f"{file} must have a score and two sentences in each line, got {line[:60]!r}")
            if score:
                rows.append((sentences[0], sentences[1], float(score)))
                of.append(place)
    names = tuple(f"{file.parent.name}/{file.name.removesuffix('.test.tsv')}" for file in files)
    return _pairs("STS", rows, torch.tensor(of), names)


def _lines(file: Path) -> list[str]:
    """The lines of a text; ValueError for what is no file, and for a text that breaks off within a line."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not text.endswith("\n"):
        raise ValueError(f"{file} must be a text that ends with a whole line: get it again")
    return text.splitlines()


def _pairs(name: str, rows: list[tuple[str, str, float]], labels: Tensor, names: tuple[str, ...]) -> Dataset:
    number: dict[str, int] = {}
    ids = torch.tensor([[number.setdefault(sentence, len(number)) for sentence in row[:2]] for row in rows])
    x = torch.tensor([tokens(sentence) for sentence in number])[ids]
    factors = {"first": ids[:, 0], "second": ids[:, 1], "score": torch.tensor([row[2] for row in rows])}
    return Dataset(name, x, labels, torch.arange(len(rows)), names, factors, Sentences())


def read_captions(folder: Path, split: str) -> Dataset:
    """Multi30k: the five English captions of each image, x (N, 5, 32)."""
    captions = []
    for number in NUMBERS:
        plain = folder / f"{CAPTIONS[split]}.{number}.en"
        packed = plain.with_name(f"{plain.name}.gz")
        try:
            content = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{packed} cannot be read ({error}): get it again") from error
        if not content.endswith(b"\n"):
            raise ValueError(f"{folder / plain.name} must end with a whole line: get it again")
        captions.append([tokens(line) for line in content.decode("utf-8").split("\n") if line.strip()])
    if len({len(part) for part in captions}) > 1:
        raise ValueError(f"{folder} must hold as many captions in each file, got {[len(part) for part in captions]}")
    x = torch.tensor(captions).transpose(0, 1)
    labels = torch.zeros(len(x), dtype=torch.int64)
    return Dataset("Multi30k captions", x, labels, torch.arange(len(x)), ("an image",), kind=Sentences())


def two_captions(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    """Some captions (B, V, L) of the five of each image (B, 5, L), as its views."""
    chance = torch.rand(x.shape[:2], generator=generator, device=generator.device).to(x.device)
    places = chance.argsort(1)[:, :n_views]
    return x[torch.arange(len(x), device=x.device)[:, None], places]


NUMBERS = range(1, 6)
CAPTIONS = {"train": "train", "test": "test_2016"}
CLONE = "git clone https://github.com/brmson/dataset-sts there"
SICK = Published(
    "SICK",
    (Layout(read_pairs, {"train": ("SICK_train.txt",), "test": ("SICK_test_annotated.txt",)}),),
    folders=("dataset-sts/data/sts/sick2014", "sts/sick2014"),
    advice=CLONE,
    licence="CC BY-NC-SA 3.0",
)
STS = Published(
    "SemEval STS",
    (Layout(read_sets, {"test": tuple(str(year) for year in range(2012, 2017))}),),
    folders=("dataset-sts/data/sts/semeval-sts", "sts"),
    advice=CLONE,
    licence="by part: CC BY-SA 3.0, research use",
)
MULTI30K = Published(
    "Multi30k captions",
    tuple(
        Layout(
            read_captions, {split: tuple(f"{file}.{k}.en{end}" for k in NUMBERS) for split, file in CAPTIONS.items()}
        )
        for end in (".gz", "")
    ),
    folders=("dataset/data/task2/raw", "multi30k/task2/raw"),
    advice="git clone https://github.com/multi30k/dataset there",
    licence="none stated; for researchers and educators, not commercial",
)
