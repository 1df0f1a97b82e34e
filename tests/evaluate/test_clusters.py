import numpy as np
import pytest
import torch

from cl_explore.evaluate import agreement, kmeans, ward
from cl_explore.evaluate import clusters as module

LABELS = torch.arange(40) % 4


def corners(noise=0.01):
    """Two superclasses at right angles, of two classes each that lie a little apart."""
    places = torch.tensor([[1.0, 0.3, 0.0], [1.0, -0.3, 0.0], [0.0, 0.3, 1.0], [0.0, -0.3, 1.0]])
    return places[LABELS] + noise * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


def test_agreement_does_not_mind_the_names_of_clusters():
    assert agreement(torch.tensor([5, 7, 0, 2])[LABELS], LABELS) == pytest.approx((1, 1, 1, 1))


def test_agreement_by_hand():
    """Clusters of 3 + 1 and 0 + 2 samples of two classes: one sample of six lies in the wrong cluster."""
    found, labels = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    accuracy, ari, nmi, homogeneity = agreement(found, labels)
    assert accuracy == pytest.approx(5 / 6)
    assert ari == pytest.approx((4 - 6 * 7 / 15) / ((6 + 7) / 2 - 6 * 7 / 15))  # pairs together: 4 in both, 7 and 6
    within = -(4 / 6) * (0.75 * np.log(0.75) + 0.25 * np.log(0.25))  # entropy of the class in the first cluster
    entropy, of_found = np.log(2), -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert homogeneity == pytest.approx(1 - within / entropy)
    assert nmi == pytest.approx((entropy - within) / ((entropy + of_found) / 2))


def test_each_of_many_clusters_can_be_matched_once_only():
    labels = torch.arange(8) // 4
    singles, one = agreement(torch.arange(8), labels), agreement(torch.zeros(8, dtype=torch.int64), labels)
    assert singles.accuracy == 2 / 8
    assert singles.homogeneity == pytest.approx(1)
    assert one.accuracy == 4 / 8
    assert one.homogeneity == pytest.approx(0)


def test_ward_finds_classes_and_superclasses_in_one_tree():
    coarse, fine = ward(corners(), 2, 4)
    assert agreement(coarse, LABELS // 2) == pytest.approx((1, 1, 1, 1))
    assert agreement(fine, LABELS) == pytest.approx((1, 1, 1, 1))
    assert coarse.unique().tolist() == [0, 1]


def test_ward_is_that_of_scikit_learn():
    from sklearn.cluster import AgglomerativeClustering

    x = torch.nn.functional.normalize(torch.randn(60, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    theirs = AgglomerativeClustering(n_clusters=7).fit_predict(x.numpy())
    assert agreement(ward(x, 7)[0], theirs).ari == 1


def test_kmeans_finds_classes_and_repeats_itself():
    assert agreement(kmeans(corners(), 4), LABELS) == pytest.approx((1, 1, 1, 1))
    wide = corners(noise=0.5)
    assert torch.equal(kmeans(wide, 5, seed=3), kmeans(wide, 5, seed=3))


@pytest.mark.parametrize("method", [lambda x, **how: ward(x, 2, **how)[0], lambda x, **how: kmeans(x, 2, **how)])
def test_length_counts_only_if_asked_for(method):
    x = torch.tensor([[1.0, 0.0], [9.0, 0.0], [0.0, 1.0], [0.0, 1.1]])
    assert agreement(method(x), torch.tensor([0, 0, 1, 1])).accuracy == 1
    assert agreement(method(x, normalize=False), torch.tensor([0, 1, 0, 0])).accuracy == 1


def test_errors_name_what_is_wrong(monkeypatch):
    with pytest.raises(ValueError, match=r"labels must be \(3,\), one per row of found, got shape \(2,\)"):
        agreement(torch.arange(3), torch.arange(2))
    for call in (lambda: ward(corners(), 41), lambda: kmeans(corners(), 41)):
        with pytest.raises(ValueError, match=r"counts? must be from 1 to the number of samples \(40\), got 41"):
            call()
    monkeypatch.setattr(module, "MOST", 39)
    with pytest.raises(ValueError, match="at most 39 samples for Ward's method, got 40"):
        ward(corners(), 2)
