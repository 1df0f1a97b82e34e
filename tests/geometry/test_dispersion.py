"""Class dispersion and centroid similarity against closed forms and a loop over classes."""

import pytest
import torch
import torch.nn.functional as F

from cl_explore.geometry import centroid_similarity, class_means, dispersion, spectrum

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 1
LABELS = torch.tensor([3] * 20 + [0] * 12 + [8] * 7 + [5])  # unequal, unsorted, one class of a single sample


@pytest.mark.parametrize("normalize", [True, False])
def test_within_and_between_add_up_to_the_total_variance(normalize: bool) -> None:
    x = F.normalize(X, dim=1) if normalize else X
    d = dispersion(X, LABELS, normalize=normalize)
    total = (x - x.mean(0)).square().sum(1).mean()
    assert (d.within + d.between).item() == pytest.approx(total.item(), rel=1e-14)
    assert spectrum(x).sum().item() == pytest.approx(total.item(), rel=1e-13)
    if normalize:
        assert total.item() == pytest.approx(1 - x.mean(0).square().sum().item(), rel=1e-13)


def test_class_means_by_a_loop_over_classes() -> None:
    expected = torch.stack([X[label == LABELS].mean(0) for label in (0, 3, 5, 8)])
    torch.testing.assert_close(class_means(X, LABELS), expected)
    torch.testing.assert_close(class_means(X[:, 0], LABELS), expected[:, 0])
    torch.testing.assert_close(class_means(X.view(40, 2, 3).numpy(), LABELS.numpy()), expected.view(4, 2, 3))


def test_definitions_by_a_loop_over_classes() -> None:
    d = dispersion(X, LABELS, normalize=False)
    between = 0.0
    for i, label in enumerate((0, 3, 5, 8)):
        own = X[label == LABELS]
        assert d.per_class[i].item() == pytest.approx((own - own.mean(0)).square().sum(1).mean().item(), abs=1e-13)
        between += len(own) / 40 * (own.mean(0) - X.mean(0)).square().sum().item()
    sizes = torch.tensor([12, 20, 1, 7])
    assert d.within.item() == pytest.approx((sizes * d.per_class).sum().item() / 40, rel=1e-14)
    assert d.between.item() == pytest.approx(between, rel=1e-13)
    assert d.ratio.item() == pytest.approx(d.within.item() / between, rel=1e-13)
    assert d.per_class[2] == 0


def test_closed_form() -> None:
    x = torch.tensor([[0.0, 1], [0, 3], [4, 2], [4, 2]])
    d = dispersion(x, torch.tensor([0, 0, 1, 1]), normalize=False)
    assert (d.within.item(), d.between.item(), d.ratio.item()) == (0.5, 4, 0.125)
    assert d.per_class.tolist() == [1, 0]


def test_gradient() -> None:
    assert torch.autograd.gradcheck(lambda x: dispersion(x, LABELS).ratio, X.clone().requires_grad_())


def test_centroid_similarity() -> None:
    x = torch.tensor([[2.0, 0], [0, 1], [0, 5], [0, 7], [-1, 0]])  # class means at 45°, 90° and 180° on the circle
    cosines = centroid_similarity(x, torch.tensor([0, 0, 1, 1, 2]))
    half = 0.5**0.5
    expected = torch.tensor([[1, half, -half], [half, 1, 0], [-half, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(cosines, expected, rtol=0, atol=1e-7)
    raw = centroid_similarity(x, torch.tensor([0, 0, 1, 1, 2]), normalize=False)  # first mean is now (2, 1) / 2
    assert raw[0, 1].item() == pytest.approx(5**-0.5, abs=1e-7)
