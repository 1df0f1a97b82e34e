"""Bad input is refused by name, with what came and what is needed."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from cl_explore import geometry as g

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 0, 0, 1, 1, 1])
NAN = X.clone()
NAN[4, 2] = torch.nan

OF_POINTS = [
    g.uniformity,
    g.spectrum,
    g.effective_rank,
    g.participation_ratio,
    g.alpha_req,
    g.summary,
    lambda x: g.knn_overlap(x, x, 1),
    lambda x: g.knn_graph(x, 1),
    lambda x: g.tolerance(x, Y),
    lambda x: g.dispersion(x, Y),
    lambda x: g.centroid_similarity(x, Y),
    lambda x: g.neural_collapse(x, Y),
]
OF_CLASSES = [g.tolerance, g.dispersion, g.centroid_similarity, g.neural_collapse, g.summary]


@pytest.mark.parametrize("measure", OF_POINTS)
def test_embeddings(measure: Callable) -> None:
    with pytest.raises(TypeError, match="x must be a tensor or array, got set"):
        measure({1.0})
    with pytest.raises(TypeError, match=r"x must be floating point, got torch.int64"):
        measure(np.ones((6, 3), dtype=np.int64))
    with pytest.raises(ValueError, match=r"x must be \(N, D\), got shape \(3, 2, 3\)"):
        measure(X.view(3, 2, 3))
    with pytest.raises(ValueError, match="x must hold at least 2 samples, got 1"):
        measure(X[:1])


@pytest.mark.parametrize("measure", [m for m in OF_POINTS[1:] if m not in (g.summary, OF_POINTS[8])])
def test_non_finite(measure: Callable) -> None:
    with pytest.raises(ValueError, match="x must be finite, got 1 of 6 rows with NaN or infinity"):
        measure(NAN)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_differentiable_measures_hand_on_what_is_not_finite(bad: float) -> None:
    """They do not look at the values, which would make a device wait in a training step."""
    for x in (torch.where(NAN.isnan(), bad, X), torch.full_like(X, bad)):
        for normalize in (True, False):
            for value in (
                g.uniformity(x, normalize=normalize),
                g.alignment(x.view(3, 2, 3), normalize=normalize),
                g.tolerance(x, Y, normalize=normalize),
                g.tolerance(x, Y, reading="literal", normalize=normalize),
            ):
                assert not value.isfinite()
        assert not g.class_means(x, Y)[1].isfinite().all()
        assert not g.nearest(X, x, 1).products.isfinite().all() or bad < 0  # infinitely far away is no neighbour
        assert not g.nearest(x, X, 1).products[4].isfinite().any()


@pytest.mark.parametrize("measure", OF_CLASSES)
def test_labels(measure: Callable) -> None:
    with pytest.raises(TypeError, match="labels must be a tensor or array, got set"):
        measure(X, {0, 1})
    with pytest.raises(TypeError, match=r"labels must be integers, got torch.float32"):
        measure(X, Y.float())
    with pytest.raises(ValueError, match=r"labels must be \(6,\), one per row of x, got shape \(5,\)"):
        measure(X, Y[:5])
    with pytest.raises(ValueError, match=r"labels must be \(6,\), one per row of x, got shape \(6, 1\)"):
        measure(X, Y[:, None])
    with pytest.raises(ValueError, match="labels must be 0 or more, got -1"):
        measure(X, Y - 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: g.alignment(X), r"z must be \(B, V, D\) with at least 1 sample and 2 views, got shape \(6, 3\)"),
        (lambda: g.alignment(X[:, None]), r"at least 1 sample and 2 views, got shape \(6, 1, 3\)"),
        (lambda: g.alignment(X.view(3, 2, 3)[:0]), r"at least 1 sample and 2 views, got shape \(0, 2, 3\)"),
        (lambda: g.alignment(X.view(3, 2, 3), alpha=0), "alpha must be positive and finite, got 0"),
        (lambda: g.alignment(X.view(3, 2, 3), alpha=math.inf), "alpha must be positive and finite, got inf"),
        (lambda: g.uniformity(X, t=0), "t must be positive and finite, got 0"),
        (lambda: g.uniformity(X, t=math.nan), "t must be positive and finite, got nan"),
        (lambda: g.uniformity(X, t=math.inf), "t must be positive and finite, got inf"),
        (lambda: g.neural_collapse(X, Y, NAN[3:5]), "weights must be finite, got NaN or infinity"),
        (lambda: g.neural_collapse(X, Y, X[:2], NAN[3:5, 2]), "bias must be finite, got NaN or infinity"),
        (lambda: g.tolerance(X, torch.arange(6)), "at least 2 samples, got 6 classes of one sample each"),
        (lambda: g.tolerance(X, Y, reading="strict"), 'reading must be "conditional" or "literal", got \'strict\''),
        (lambda: g.dispersion(X, 0 * Y), "labels must name at least 2 classes, got 1"),
        (lambda: g.neural_collapse(X, 0 * Y), "labels must name at least 2 classes, got 1"),
        (lambda: g.neural_collapse(X, torch.tensor([0, 0, 1, 1, 2, 3])), "every class at least 2 samples, got 2 with"),
        (lambda: g.neural_collapse(X, Y, X[:3]), r"weights must be \(2, 3\), got shape \(3, 3\)"),
        (lambda: g.neural_collapse(X, Y, X[:2], X[:3, 0]), r"bias must be \(2,\), got shape \(3,\)"),
        (lambda: g.neural_collapse(X, Y, bias=X[:2, 0]), "bias needs weights, got a bias alone"),
        (lambda: g.knn_graph(X, 6), r"k must lie between 1 and 5 \(a point has no more neighbours\), got 6"),
        (lambda: g.knn_graph(X, 0), "k must lie between 1 and 5"),
        (lambda: g.knn_overlap(X, X, -1), "k must lie between 1 and 5"),
        (lambda: g.knn_overlap(X, X[:5], 2), "x and y must hold the same points, got 6 and 5 rows"),
        (lambda: g.knn_overlap(X, NAN, 2), "y must be finite"),
        (lambda: g.alpha_req(X, first=0), "1 <= first < last <= 3"),
        (lambda: g.alpha_req(X, first=2, last=2), "got 2 and 2"),
        (lambda: g.alpha_req(X, last=4), "got 1 and 4"),
    ],
)
def test_arguments(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
