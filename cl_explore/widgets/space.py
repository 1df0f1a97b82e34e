"""The snapshots of a run as points of one space: maps, votes and measures of them, each computed once."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import geometry
from cl_explore.plots.layouts import Layout, layout
from cl_explore.widgets.neighbourhood import VOTERS, Vote, centroid_distance, vote


class Space:
    """Snapshots (S, n, D) of the same samples with labels (n,), and the same as unit vectors."""

    def __init__(self, points: Tensor, labels: Tensor) -> None:
        self.points, self.unit = points, F.normalize(points, dim=2)
        self._labels = labels
        self.several = len(labels.unique()) > 1 and int(labels.min()) >= 0  # classes, and all samples in one of them
        self.map, self.vote, self.distances = cache(self._map), cache(self._vote), cache(self._distances)
        self.measures, self._directions = cache(self._measures), cache(self._leading)

    def _map(self, kind: str, dims: int) -> Layout:
        return layout(self.points, kind, dims)

    def _vote(self, place: int) -> Vote:
        return vote(self.unit[place], self._labels)

    def _distances(self) -> NDArray[np.float32]:
        """Distance of every sample to its class centroid, at every snapshot (S, n), on the sphere."""
        return np.stack([centroid_distance(x, self._labels) for x in self.unit])

    def _measures(self, place: int) -> list[tuple[str, str]]:
        """Numbers of all dimensions, not of the map: uniformity, and the spread of classes where there are some."""
        x = self.points[place]
        few = x[:: -(-len(x) // VOTERS)]  # uniformity takes all pairs
        shown = [("−uniformity", f"{-geometry.uniformity(few).item():.2f}")]
        if self.several:
            spread = geometry.dispersion(x, self._labels)
            shown.append(("within-class spread", f"{spread.within.item():.3f}"))
            shown.append(("between-class spread", f"{spread.between.item():.3f}"))
        return shown

    def rounded(self, place: int, most: int) -> NDArray[np.int8]:
        """The unit vectors of a snapshot in 127ths, along `most` leading directions if they have more dimensions."""
        unit = self.unit[place]
        seen = unit @ self._directions(most) if most < unit.shape[1] else unit
        return (127 * seen).round().to(torch.int8).numpy()

    def _leading(self, count: int) -> Tensor:
        every = self.unit.flatten(0, 1)
        return torch.linalg.eigh(every.T @ every).eigenvectors[:, -count:]
