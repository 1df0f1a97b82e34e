import pytest
import torch

from cl_explore.evaluate import few_label_accuracy, knn_accuracy, linear_accuracy

LABELS = torch.arange(80) % 2


def places():
    """One class in two places: one label cannot know of both, ten do."""
    place = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.1]])[torch.arange(80) % 4]
    return place + 0.01 * torch.randn(80, 3, generator=torch.Generator().manual_seed(0))


def test_more_labels_know_more():
    h = places()
    assert few_label_accuracy(h, LABELS, h, LABELS, shots=1).nearest < 0.9
    assert few_label_accuracy(h, LABELS, h, LABELS, shots=10).nearest == 1


def test_a_draw_of_all_is_the_whole_probe_and_repeats_itself():
    h, test = places(), places() + 0.2 * torch.randn(80, 3, generator=torch.Generator().manual_seed(1))
    whole = few_label_accuracy(h, LABELS, test, LABELS, shots=40, draws=1)
    assert whole.nearest == knn_accuracy(h, LABELS, test, LABELS, k=1)
    assert whole.logistic == pytest.approx(linear_accuracy(h, LABELS, test, LABELS), abs=1e-9)
    first = few_label_accuracy(h, LABELS, test, LABELS, shots=2, seed=5)
    assert first == few_label_accuracy(h, LABELS, test, LABELS, shots=2, seed=5)
    assert first != few_label_accuracy(h, LABELS, test, LABELS, shots=2, seed=6)


def test_draws_differ_and_are_averaged():
    h, test = places(), places() + 0.2 * torch.randn(80, 3, generator=torch.Generator().manual_seed(1))
    first, second = (few_label_accuracy(h, LABELS, test, LABELS, shots=1, draws=1, seed=seed) for seed in (0, 1))
    both = few_label_accuracy(h, LABELS, test, LABELS, shots=1, draws=2)
    assert first.nearest != second.nearest
    assert both.nearest == pytest.approx((first.nearest + second.nearest) / 2)


def test_errors_name_what_is_wrong():
    h = places()
    with pytest.raises(ValueError, match="train_labels must hold 41 samples of each class, got 40 of class 0"):
        few_label_accuracy(h, LABELS, h, LABELS, shots=41)
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        few_label_accuracy(h, LABELS, h, LABELS, shots=1, draws=0)
