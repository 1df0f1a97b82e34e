"""What EmbeddingPanel shows: the snapshots of a run, or vectors of the reader's own."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore import geometry
from cl_explore.data import Dataset, Vectors, read_vectors
from cl_explore.train import Run
from cl_explore.widgets.chosen import Samples
from cl_explore.widgets.looks import numbers
from cl_explore.widgets.space import Space
from cl_explore.widgets.thumbnails import pixels

NEAR = 15  # neighbours that two embeddings may share
SHARED = f"neighbours shared, of {NEAR}"
MOST = 5000  # vectors that are drawn; of more, every second, third, ...


class Shown(NamedTuple):
    """The same n samples at S moments.

    what: in words. steps: S numbers of optimiser steps, none if there was no training.
    spaces: points and measures by name. titles: of the spaces, by the same names.
    labels: (n,) int64. samples: what else is known of each. values: by name, (1, n) or (S, n).
    others: the spaces of another embedding of the same samples, by the same names, or none.
    """

    what: str
    steps: list[int]
    spaces: dict[str, Space]
    titles: dict[str, str]
    labels: Tensor
    samples: Samples
    values: dict[str, NDArray[np.float64]]
    others: dict[str, Space]


def spread_over(count: int) -> Tensor:
    """The rows that are drawn of so many, (n,): at most MOST, all as far apart."""
    return torch.arange(0, count, -(-count // MOST))


def of_run(run: Run, dataset: Dataset | None, values: Mapping[str, ArrayLike | Tensor]) -> Shown:
    """The snapshots of a run; see `EmbeddingPanel`."""
    shots = run.snapshots
    count, found = len(shots.labels), sorted(set(shots.labels.tolist()))
    if not len(shots.steps):
        raise ValueError("run has no snapshots: train with fit(..., snapshots=12)")
    classes = {label: "unlabelled" if label < 0 else f"class {label}" for label in found}
    seen = None
    if dataset is not None:
        rows = rows_of(shots.index, dataset)
        classes |= {label: dataset.class_names[label] for label in found if label >= 0}
        values = {name: value.cpu()[rows] for name, value in dataset.factors.items()} | dict(values)
        seen = dataset.thumbnails(rows)
    place = np.searchsorted(found, shots.labels.numpy())
    spaces = {
        "z": Space(F.normalize(shots.z, dim=2), shots.labels),
        "h": Space(shots.h, shots.labels),
    }  # z as losses see
    samples = Samples(classes, place, shots.index.numpy(), None if seen is None else pixels(seen))
    read = {name: numbers(name, value, len(shots.steps), count) for name, value in values.items()}
    titles = {"z": "embedding z, unit length", "h": "representation h"}
    steps = shots.steps.tolist()
    return Shown(f"{count} samples through training", steps, spaces, titles, shots.labels, samples, read, {})


def of_vectors(vectors: Vectors, values: Mapping[str, ArrayLike | Tensor], other: Vectors | None) -> Shown:
    """At most MOST vectors of the reader's own, one in so many if they are more, and other vectors of the same."""
    count = len(vectors)
    if other is not None and len(other) != count:
        raise ValueError(f"other must hold the same {count} samples as source, got {len(other)}")
    read = {name: numbers(name, value, 1, count) for name, value in values.items()}
    rows = spread_over(count)
    few = vectors.take(rows)
    found = sorted(set(few.labels.tolist()))
    names = {label: "unlabelled" if label < 0 else few.class_names[label] for label in found}
    place = np.searchsorted(found, few.labels.numpy())
    images = None if few.images is None else pixels(few.images)
    spaces = _spaces(few)
    others = {} if other is None else _spaces(other.take(rows))
    read = {name: value[:, rows] for name, value in read.items()}
    if others and len(few) > NEAR + 1:
        shared = geometry.shared_neighbours(spaces["unit"].points[0], others["unit"].points[0], NEAR)
        read[SHARED] = shared.double()[None].numpy()
    titles = {"unit": "your vectors at unit length", "x": "your vectors as they are"}
    samples = Samples(names, place, rows.numpy(), images, few.texts)
    what = f"{len(few)} samples" if len(few) == count else f"{len(few)} of {count} samples"
    return Shown(what, [], spaces, titles, few.labels, samples, read, others)


def _spaces(vectors: Vectors) -> dict[str, Space]:
    x = vectors.x.float()[None]
    return {"unit": Space(F.normalize(x, dim=2), vectors.labels), "x": Space(x, vectors.labels)}


def shown(
    source: Any,
    dataset: Dataset | None,
    values: Mapping[str, ArrayLike | Tensor] | None,
    known: Mapping[str, Any],
    other: Any,
) -> Shown:
    """A run with its data set, or a reader's own vectors with what is `known` of them, as for `data.read_vectors`."""
    if isinstance(source, Run):
        if given := [name for name, value in {**known, "other": other}.items() if value is not None]:
            raise ValueError(f"{given[0]} must come with vectors; of a run, dataset brings labels and pictures along")
        return of_run(source, dataset, values or {})
    if dataset is not None:
        raise ValueError("dataset must come with a run; with vectors give labels=, images= or texts=")
    vectors = source if isinstance(source, Vectors) else read_vectors(source, **known)
    if other is not None and not isinstance(other, Vectors):
        try:
            other = read_vectors(other)
        except (TypeError, ValueError, FileNotFoundError) as error:
            raise type(error)(str(error).replace("source", "other")) from error
    return of_vectors(vectors, values or {}, other)


def rows_of(index: Tensor, dataset: Dataset) -> Tensor:
    """At which rows of the data set the samples numbered `index` (n,) are; ValueError if one is not there."""
    there, order = dataset.index.cpu().sort()
    place = torch.searchsorted(there, index).clamp(max=len(there) - 1)
    missing = index[there[place] != index]
    if len(missing):
        raise ValueError(
            f"dataset {dataset.name!r} must hold every sample of the run's snapshots, "
            f"but {len(missing)} are not in it, the first is index {int(missing[0])}"
        )
    return order[place]
