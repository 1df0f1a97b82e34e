"""Graphs whose nodes have features: blocks with noisy edges, nearest neighbours of digits, citations."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset, Published
from cl_explore.data.published import Layout
from cl_explore.geometry.distances import distance_factors
from cl_explore.geometry.neighbours import nearest
from cl_explore.names import unknown

UNSEEN = 4
"""One node in so many is left out of the graph."""


def world(name: str, seed: int, samples: int | None = None, k: int = 3) -> tuple[Dataset, Dataset]:
    """A graph, and nodes that it lacks, without edges; both count from 0.

    name: "blocks" (drawn by `seed`), "cora" or "citeseer", or "digits" or "usps", whose graph joins each image with the
        k nearest.
    seed: also says which nodes are left out.
    samples: so many nodes at most, of which one in four is left out.
    Raises: ValueError for an unknown name, FileNotFoundError naming all places if the data are missing
    """
    if name not in SOURCES:
        raise unknown("graph", name, SOURCES)
    source = SOURCES[name](seed)
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))[:samples]
    left, kept = (source.subset(rows.sort().values) for rows in order.tensor_split([len(order) // UNSEEN]))
    none = torch.empty(2, 0, dtype=torch.int64)
    x = kept.x.flatten(1)
    edges = kept.edges if kept.edges is not None else neighbours(x, k)
    graph = replace(kept, x=x, kind=None, index=torch.arange(len(x)), edges=edges)
    return graph, replace(left, x=left.x.flatten(1), kind=None, index=torch.arange(len(left)), edges=none)


def blocks(seed: int, nodes: int = 480, inside: float = 8.0, outside: float = 4.0) -> Dataset:
    """An attributed stochastic block model of 4 equal classes: one edge in three joins two classes.

    inside, outside: mean number of neighbours of the own class, and of others.
    x: a class mean of length 2 in 16 dimensions, with unit noise, and 16 dimensions of noise alone.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(nodes) % 4
    means = 2 * F.normalize(torch.randn(4, 16, generator=generator), dim=1)
    x = torch.randn(nodes, 32, generator=generator) + F.pad(means, (0, 16))[labels]
    chance = torch.where(labels[:, None] == labels, inside / (nodes / 4 - 1), outside / (0.75 * nodes))
    edges = (torch.rand(nodes, nodes, generator=generator) < chance).triu(1).nonzero().T
    return Dataset("blocks", x, labels, torch.arange(nodes), ("A", "B", "C", "D"), edges=edges)


def neighbours(x: Tensor, k: int) -> Tensor:
    """Edges (2, N k) from each of the points x (N, D) to the k that are nearest to it."""
    own = torch.arange(len(x))
    found = nearest(*distance_factors(x), k, own=own).rows
    return torch.stack([own.repeat_interleave(k), found.flatten()])


def citations(name: str) -> Dataset:
    """Papers as nodes, the words in them as features (0 or 1), their fields as labels; citations join them.

    name: "cora" (2,708 papers, 1,433 words, 7 fields) or "citeseer" (3,312 or more papers, 3,703 words, 6 fields).
    Source: Sen et al. 2008, the files NAME.content and NAME.cites of LINQS; no licence is stated, cite the authors.
    Raises: FileNotFoundError naming all places if it is missing, ValueError naming the line if a file is damaged
    Note: citations of papers without words are left out, as are those of a paper by itself.
    """
    return CITATIONS[name].load("all")


def usps() -> Dataset:
    """All digits of `data.load("usps")`, those of the training part first."""
    train, test = (data.load("usps", split) for split in ("train", "test"))
    x, labels = torch.cat([train.x, test.x]), torch.cat([train.labels, test.labels])
    return replace(train, x=x, labels=labels, index=torch.arange(len(x)))


def _read_citations(folder: Path, split: str, name: str) -> Dataset:
    content, cites = (folder / f"{name}.{part}" for part in ("content", "cites"))
    papers, pairs = (_table(file, count) for file, count in zip((content, cites), COUNT[name], strict=True))
    _require_columns(content, papers, max(len(papers[0]), 3))
    _require_columns(cites, pairs, 2)
    row = {paper[0]: place for place, paper in enumerate(papers)}
    fields = sorted({paper[-1] for paper in papers})
    edges = [(row[a], row[b]) for a, b in pairs if a in row and b in row and a != b]
    x = torch.from_numpy(np.array([paper[1:-1] for paper in papers]).astype(np.float32))
    labels = torch.tensor([fields.index(paper[-1]) for paper in papers])
    return Dataset(name, x, labels, torch.arange(len(x)), tuple(fields), edges=torch.tensor(edges).T)


def _table(file: Path, least: int) -> list[list[str]]:
    """The words of each line of a file that is published with so many lines, or more in a later version."""
    rows = [line.split() for line in file.read_text(encoding="utf-8").split("\n")[:-1]]  # a line without its end is cut
    if len(rows) < max(least, 1):
        raise ValueError(f"{file} must have {least} lines, got {len(rows)}: it is half written, get it again")
    return rows


def _require_columns(file: Path, rows: list[list[str]], width: int) -> None:
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise ValueError(f"{file}, line {number}, must have {width} columns, got {len(row)}: get it again")


def _published(name: str) -> Published:
    files = {"all": (f"{name}.content", f"{name}.cites")}
    read = partial(_read_citations, name=name)
    advice = f"unpack https://linqs-data.soe.ucsc.edu/public/lbc/{name}.tgz"
    return Published(
        name, (Layout(read, files),), (name, ""), advice=advice, licence="none is stated; cite Sen et al. 2008"
    )


CITATIONS = {name: _published(name) for name in ("cora", "citeseer")}
COUNT = {"cora": (2708, 5429), "citeseer": (3312, 4732)}
"""Papers, and citations with those of papers without words, in the published files."""


SOURCES: dict[str, Callable[[int], Dataset]] = {
    "blocks": blocks,
    "cora": lambda seed: citations("cora"),
    "citeseer": lambda seed: citations("citeseer"),
    "digits": lambda seed: data.load("digits", "train"),
    "usps": lambda seed: usps(),
}
