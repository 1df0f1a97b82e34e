"""Neighbour measures against points on a line and circle, SciPy's skewness and scikit-learn's neighbours."""

import numpy as np
import pytest
import torch
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from cl_explore.geometry import hubness, knn_overlap, nearest, neighbours


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sklearn_neighbours(x: Tensor, k: int, metric: str) -> np.ndarray:
    return NearestNeighbors(n_neighbors=k, metric=metric).fit(x).kneighbors(return_distance=False)


@pytest.mark.parametrize("pairs", [1, 300, 2**22])
@pytest.mark.parametrize(("normalize", "metric"), [(True, "cosine"), (False, "euclidean")])
def test_against_sklearn(monkeypatch: pytest.MonkeyPatch, pairs: int, normalize: bool, metric: str) -> None:
    monkeypatch.setattr(neighbours, "PAIRS", pairs)
    x, y, k = random(90, 5), random(90, 3, seed=1), 7
    of_x, of_y = sklearn_neighbours(x, k, metric), sklearn_neighbours(y, k, metric)
    shared = np.mean([len(set(a) & set(b)) / k for a, b in zip(of_x, of_y, strict=True)])
    assert knn_overlap(x, y, k, normalize=normalize).item() == pytest.approx(shared, abs=1e-15)
    h = hubness(x, k, normalize=normalize)
    assert h.counts.tolist() == np.bincount(of_x.ravel(), minlength=90).tolist()
    assert h.skewness.item() == pytest.approx(skew(h.counts), abs=1e-12)


@pytest.mark.parametrize("pairs", [1, 100, 2**22])
def test_a_point_is_left_out_of_its_own_neighbours(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr(neighbours, "PAIRS", pairs)
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
    h = hubness(x, 1, normalize=False)
    assert h.counts[0] == 10
    assert h.counts.sum() == 11
    assert h.skewness > 2.5


def test_a_regular_polygon_has_none() -> None:
    angle = 2 * torch.pi * torch.arange(12, dtype=torch.float64) / 12
    h = hubness(torch.stack((angle.cos(), angle.sin()), 1), 2)
    assert h.counts.tolist() == [2] * 12
    assert h.skewness == 0


def test_a_narrow_cone_in_float32() -> None:
    near = random(60, 4) * 1e-3
    cone = torch.cat((near, torch.ones(60, 1)), 1).float()  # squared distances of 1e-6, at float32's rounding of 1
    assert knn_overlap(cone, near, 5, normalize=False) > 0.95
