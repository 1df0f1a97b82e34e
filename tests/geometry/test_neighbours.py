"""Neighbour measures against points on a line and circle, SciPy's skewness and scikit-learn's neighbours."""

import numpy as np
import pytest
import torch
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from cl_explore.geometry import hubness, knn_graph, knn_overlap, near_duplicates, nearest, neighbours, outlier_scores


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sklearn_neighbours(x: Tensor, k: int, metric: str) -> np.ndarray:
    return NearestNeighbors(n_neighbors=k, metric=metric).fit(x).kneighbors(return_distance=False)


@pytest.mark.parametrize(("pairs", "tile"), [(1, 7), (300, 16), (2**22, 2048)])
@pytest.mark.parametrize(("normalize", "metric"), [(True, "cosine"), (False, "euclidean")])
def test_against_sklearn(monkeypatch: pytest.MonkeyPatch, pairs: int, tile: int, normalize: bool, metric: str) -> None:
    monkeypatch.setattr(neighbours, "PAIRS", pairs)
    monkeypatch.setattr(neighbours, "TILE", tile)
    x, y, k = random(90, 5), random(90, 3, seed=1), 7
    of_x, of_y = sklearn_neighbours(x, k, metric), sklearn_neighbours(y, k, metric)
    shared = np.mean([len(set(a) & set(b)) / k for a, b in zip(of_x, of_y, strict=True)])
    assert knn_overlap(x, y, k, normalize=normalize).item() == pytest.approx(shared, abs=1e-15)
    graph = knn_graph(x, k, normalize=normalize)
    h = hubness(graph)
    assert h.counts.tolist() == np.bincount(of_x.ravel(), minlength=90).tolist()
    assert h.skewness.item() == pytest.approx(skew(h.counts), abs=1e-12)


@pytest.mark.parametrize(("pairs", "tile"), [(1, 1), (1, 6), (100, 2), (2**22, 2048)])
def test_a_point_is_left_out_of_its_own_neighbours(monkeypatch: pytest.MonkeyPatch, pairs: int, tile: int) -> None:
    monkeypatch.setattr(neighbours, "PAIRS", pairs)
    monkeypatch.setattr(neighbours, "TILE", tile)
    y = torch.nn.functional.normalize(random(20, 4), dim=1)
    x, own = torch.cat((y[5:8], -y[:1])), torch.tensor([5, 6, 7, -1])
    rows, products = nearest(x, y, 3, own)
    cosines = x @ y.T
    cosines[[0, 1, 2], [5, 6, 7]] = -2
    expected = cosines.topk(3)
    assert torch.equal(rows, expected.indices)
    torch.testing.assert_close(products, expected.values)
    assert nearest(x, y, 1).rows[:3, 0].tolist() == [5, 6, 7]
    with pytest.raises(ValueError, match="k must lie between 1 and 19"):
        nearest(y, y, 20, torch.arange(20))


def test_same_and_opposite_neighbourhoods() -> None:
    x = random(30, 4)
    assert knn_overlap(x, x, 5) == 1
    assert knn_overlap(x, 3 * x, 5) == 1  # cosine does not see length
    assert knn_overlap(x, x.flip(1), 29) == 1  # all others are neighbours
    line = torch.tensor([[0.0], [1], [10], [11]])
    crossed = torch.tensor([[0.0], [10], [1], [11]])
    assert knn_overlap(line, crossed, 1, normalize=False) == 0
    assert knn_overlap(line, crossed, 2, normalize=False) == 0.75


def test_unrelated_points_share_by_chance() -> None:
    n, k = 1000, 50
    assert knn_overlap(random(n, 8), random(n, 8, seed=1), k).item() == pytest.approx(k / (n - 1), rel=0.1)


def test_a_star_has_one_hub() -> None:
    x = torch.cat((torch.zeros(1, 10), torch.eye(10)))  # the centre is nearest to all the tips
    h = hubness(knn_graph(x, 1, normalize=False))
    assert h.counts[0] == 10
    assert h.counts.sum() == 11
    assert h.skewness > 2.5


def test_a_regular_polygon_has_none() -> None:
    angle = 2 * torch.pi * torch.arange(12, dtype=torch.float64) / 12
    h = hubness(knn_graph(torch.stack((angle.cos(), angle.sin()), 1), 2))
    assert h.counts.tolist() == [2] * 12
    assert h.skewness == 0


def test_a_narrow_cone_in_float32() -> None:
    near = random(60, 4) * 1e-3
    cone = torch.cat((near, torch.ones(60, 1)), 1).float()  # squared distances of 1e-6, at float32's rounding of 1
    assert knn_overlap(cone, near, 5, normalize=False) > 0.95


def test_distances_of_the_graph_are_those_of_its_rows() -> None:
    x = random(40, 6).float()
    rows, distances = knn_graph(x, 5)
    unit = torch.nn.functional.normalize(x, dim=1)
    torch.testing.assert_close(distances, (unit[rows] - unit[:, None]).norm(dim=2), atol=1e-5, rtol=0)
    assert (distances.diff(dim=1) >= 0).all()
    rows, distances = knn_graph(x, 5, normalize=False)
    torch.testing.assert_close(distances, (x[rows] - x[:, None]).norm(dim=2), atol=1e-5, rtol=0)


def planted(copies: int = 4, strays: int = 6) -> tuple[Tensor, list[list[int]], list[int]]:
    """Points of two clusters in 32 dimensions, with groups of near-copies of some, and strays far from both."""
    centres = torch.nn.functional.normalize(random(2, 32, seed=1), dim=1)
    x = centres.repeat_interleave(200, 0) + 0.07 * random(400, 32, seed=2)
    groups, parts = [], [x]
    for first in (3, 250):
        groups.append([first, *range(sum(map(len, parts)), sum(map(len, parts)) + copies)])
        parts.append(x[first] + 0.002 * random(copies, 32, seed=first))
    begin = sum(map(len, parts))
    return torch.cat([*parts, random(strays, 32, seed=3)]), groups, list(range(begin, begin + strays))


def test_planted_duplicates_and_outliers_are_found_and_nothing_else() -> None:
    x, groups, strays = planted()
    graph = knn_graph(x, 10)
    assert [group.tolist() for group in near_duplicates(graph)] == groups
    assert (outlier_scores(graph) > 5).nonzero().flatten().tolist() == strays


def test_chained_duplicates_are_one_group_and_groups_come_by_size() -> None:
    line = torch.tensor([0.0, 0.9, 1.8, 2.7, 10, 10.5, 20])[:, None]
    groups = near_duplicates(knn_graph(line, 2, normalize=False), distance=1)
    assert [group.tolist() for group in groups] == [[0, 1, 2, 3], [4, 5]]
    assert near_duplicates(knn_graph(line, 2, normalize=False), distance=0.1) == []


def test_a_lattice_has_no_outliers() -> None:
    angle = 2 * torch.pi * torch.arange(12, dtype=torch.float64) / 12
    ring = torch.stack((angle.cos(), angle.sin()), 1)
    assert outlier_scores(knn_graph(ring.round(decimals=12), 2)).abs().max() < 5
