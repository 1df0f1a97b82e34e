import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from cl_explore.evaluate import knn_accuracy, linear_accuracy, linear_f1, linear_iou
from cl_explore.geometry import neighbours

PROBES = [knn_accuracy, linear_accuracy]


def blobs(n, spread, seed, classes=4, dim=8):
    generator = np.random.default_rng(seed)
    means = 3 * np.eye(classes, dim)
    labels = np.arange(n) % classes
    return means[labels] + spread * generator.normal(size=(n, dim)), labels


@pytest.mark.parametrize("probe", PROBES)
def test_separated_classes_are_found_and_random_labels_are_not(probe):
    train, test = blobs(400, 0.3, 0), blobs(200, 0.3, 1)
    assert probe(*train, *test) == 1
    shuffled = np.random.default_rng(2).permutation(train[1])
    assert abs(probe(train[0], shuffled, *test) - 0.25) < 0.15


@pytest.mark.parametrize("probe", PROBES)
def test_arrays_tensors_and_any_class_numbers_give_the_same(probe):
    (train, y), (test, t) = blobs(120, 1.5, 0), blobs(80, 1.5, 1)
    wanted = probe(train, y, test, t)
    assert 0.4 < wanted < 1
    tensors = [torch.tensor(part) for part in (train, y, test, t)]
    assert probe(*tensors) == wanted
    assert probe(train, 10 * y + 3, test, 10 * t + 3) == wanted


@pytest.mark.parametrize("k", [1, 5, 20])
def test_knn_is_the_weighted_cosine_vote_of_scikit_learn(k):
    (train, y), (test, t) = blobs(150, 2.0, 0), blobs(90, 2.0, 1)
    reference = KNeighborsClassifier(k, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07), algorithm="brute")
    assert knn_accuracy(train, y, test, t, k) == pytest.approx(reference.fit(train, y).score(test, t), abs=1e-9)


def test_knn_by_hand():
    angles = torch.tensor([0.0, 0.4, 0.5, 3.0])
    train = torch.stack([angles.cos(), angles.sin()], 1)
    query = torch.tensor([[1.0, 0.0]])
    weight = [math.exp(math.cos(a)) for a in angles.tolist()]
    assert weight[0] < weight[1] + weight[2]  # at temperature 1 the two outvote the one
    labels = [0, 1, 1, 2]
    assert knn_accuracy(train, labels, query, [0], k=1) == 1
    assert knn_accuracy(train, labels, query, [1], k=3, temperature=1.0) == 1
    assert knn_accuracy(train, labels, query, [0], k=3, temperature=0.01) == 1
    assert knn_accuracy(100 * train, labels, 1e-3 * query, [0], k=3, temperature=0.01) == 1


def test_knn_is_the_same_in_chunks(monkeypatch):
    (train, y), (test, t) = blobs(150, 2.0, 0), blobs(90, 2.0, 1)
    whole = knn_accuracy(train, y, test, t)
    monkeypatch.setattr(neighbours, "PAIRS", 150 * 7)
    assert knn_accuracy(train, y, test, t) == whole


@pytest.mark.parametrize("probe", PROBES)
def test_a_class_never_trained_on_counts_as_wrong(probe):
    train, y = blobs(40, 0.1, 0)
    assert probe(train, y, train, np.where(y == 3, 9, y)) == 0.75


def test_linear_probe_does_not_depend_on_scale_and_offset_of_features():
    (train, y), (test, t) = blobs(120, 1.5, 0), blobs(80, 1.5, 1)
    scale = 10.0 ** np.arange(-4, 4)
    moved = linear_accuracy(scale * train + 7, y, scale * test + 7, t)
    assert moved == linear_accuracy(train, y, test, t)


BAD = {
    "flat": (lambda a: {"train_h": a["train_h"].ravel()}, r"train_h must be \(N, D\), got shape \(96,\)"),
    "labels": (
        lambda a: {"test_labels": a["test_labels"][:5]},
        r"test_labels must be \(8,\), one per row of test_h, got shape \(5,\)",
    ),
    "float labels": (
        lambda a: {"train_labels": a["train_labels"] * 1.0},
        "train_labels must be integers, got torch.float64",
    ),
    "unlabelled": (lambda a: {"train_labels": a["train_labels"] - 1}, "train_labels must be 0 or more, got -1"),
    "widths": (lambda a: {"test_h": a["test_h"][:, :3]}, "test_h must have 8 features like train_h, got 3"),
    "nan": (
        lambda a: {"test_h": np.where(np.eye(8), np.nan, a["test_h"])},
        "test_h must be finite, got 8 of 8 rows",
    ),
    "inf": (lambda a: {"train_h": a["train_h"] * np.inf}, "train_h must be finite, got 12 of 12 rows"),
    "empty": (lambda a: {"test_h": a["test_h"][:0]}, "test_h must hold at least 1 sample, got 0"),
}


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(probe, case):
    (train, y), (test, t) = blobs(12, 1, 0), blobs(8, 1, 1)
    arguments = {"train_h": train, "train_labels": y, "test_h": test, "test_labels": t}
    change, message = BAD[case]
    with pytest.raises(TypeError if "integers" in message else ValueError, match=message):
        probe(**arguments | change(arguments))


def test_bad_settings_are_named():
    train, y = blobs(12, 1, 0)
    for k in (0, 13):
        with pytest.raises(ValueError, match=rf"k must be from 1 to the number of training samples \(12\), got {k}"):
            knn_accuracy(train, y, train, y, k=k)
    for bad in (0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"temperature must be positive and finite, got {bad}"):
            knn_accuracy(train, y, train, y, k=1, temperature=bad)
        with pytest.raises(ValueError, match=f"C must be positive and finite, got {bad}"):
            linear_accuracy(train, y, train, y, C=bad)
    with pytest.raises(ValueError, match="at least 2 classes, got only class 0"):
        linear_accuracy(train, 0 * y, train, y)
    with pytest.raises(TypeError, match="train_h must be floating point"):
        knn_accuracy(train.astype(int), y, train, y)


def test_macro_f1_weighs_classes_alike() -> None:
    """One rare class that the probe never names costs as much as a frequent one."""
    train = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    test, found = torch.tensor([[0.0]] * 8 + [[1.0]] * 2), torch.tensor([0] * 8 + [1, 2])
    y = torch.tensor([0, 0, 1, 1])
    assert linear_accuracy(train, y, test, found) == pytest.approx(0.9)
    assert linear_f1(train, y, test, found) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert linear_iou(train, y, test, found).tolist() == pytest.approx([1, 1 / 2, 0])
