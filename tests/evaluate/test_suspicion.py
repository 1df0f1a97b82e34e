"""Planted wrong labels are found; what has no label is left alone."""

import pytest
import torch
from torch import Tensor

from cl_explore.evaluate import suspicious_labels
from cl_explore.geometry import knn_graph


def world(seed: int, wrong: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    """Three clusters of 200 points, their classes, and the rows whose label was moved on to the next class."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(3).repeat_interleave(200)
    x = torch.eye(3, 16)[true] + 0.1 * torch.randn(600, 16, generator=generator)
    rows = torch.randperm(600, generator=generator)[:wrong].sort().values
    labels = true.clone()
    labels[rows] = (labels[rows] + 1) % 3
    return x, labels, rows


@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_labels_are_found_with_their_true_class(seed: int) -> None:
    x, labels, wrong = world(seed)
    found = suspicious_labels(knn_graph(x, 15), labels)
    hits = torch.isin(found.rows, wrong)
    assert hits.sum() >= 0.95 * len(wrong)
    assert hits.double().mean() >= 0.95
    assert (found.suggested[hits] == (labels[found.rows[hits]] - 1) % 3).all()
    assert (found.margins.diff() <= 0).all()


def test_texts_and_numbers_tell_the_same() -> None:
    x, labels, _ = world(0)
    graph = knn_graph(x, 15)
    of_texts = suspicious_labels(graph, ["abc"[label] for label in labels])
    for one, other in zip(of_texts, suspicious_labels(graph, labels), strict=True):
        assert torch.equal(one, other)


def test_samples_without_a_label_neither_vote_nor_are_suspected() -> None:
    x, labels, wrong = world(0)
    labels[wrong] = -1
    graph = knn_graph(x, 15)
    assert not torch.isin(suspicious_labels(graph, labels).rows, wrong).any()
    labels[labels == 1] = -1
    assert 1 not in suspicious_labels(graph, labels).suggested
    assert len(suspicious_labels(graph, torch.full((600,), -1)).rows) == 0


def test_bad_arguments_are_named() -> None:
    x, labels, _ = world(0)
    with pytest.raises(TypeError, match="graph must be a KNNGraph, got"):
        suspicious_labels(x, labels)
    with pytest.raises(ValueError, match=r"labels must be \(600,\), one per row of graph"):
        suspicious_labels(knn_graph(x, 15), labels[:5])
