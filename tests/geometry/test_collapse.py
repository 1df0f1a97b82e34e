"""Neural collapse against the simplex, where all is zero, and against the matrices of the definition."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.geometry import neural_collapse

C, D = 5, 7


def simplex() -> Tensor:
    """C unit vectors in D dimensions with cosines -1/(C-1): a simplex equiangular tight frame."""
    basis = torch.linalg.qr(torch.randn(D, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    return (C / (C - 1)) ** 0.5 * (torch.eye(C).double() - 1 / C) @ basis.T


def noisy(seed: int = 0, per_class: int = 9) -> tuple[Tensor, Tensor]:
    gen = torch.Generator().manual_seed(seed)
    labels = torch.arange(C * per_class) % C
    means = 2 * torch.randn(C, D, generator=gen, dtype=torch.float64)
    return means[labels] + torch.randn(len(labels), D, generator=gen, dtype=torch.float64), labels


@pytest.mark.parametrize("sizes", [[2] * C, [2, 9, 4, 30, 2]])
def test_simplex_is_full_collapse(sizes: list[int]) -> None:
    labels = torch.arange(C).repeat_interleave(torch.tensor(sizes))
    offset = 3 + torch.arange(D)
    weights = 0.3 * simplex()  # nearest-mean classifier of the offset simplex, up to scale
    nc = neural_collapse((simplex() + offset)[labels], labels, weights, -weights @ offset.double())
    for zero in (nc.nc1, nc.nc2_equinorm, nc.nc2_equiangular, nc.nc2_max_angle, nc.nc3):
        assert zero is not None
        assert zero.item() == pytest.approx(0, abs=1e-14)
    assert nc.nc4 == 1


def test_the_definition_with_matrices() -> None:
    x, labels = noisy()
    gen = torch.Generator().manual_seed(5)
    weights, bias = torch.randn(C, D, generator=gen), torch.randn(C, generator=gen)
    nc = neural_collapse(x, labels, weights, bias)

    means = torch.stack([x[labels == c].mean(0) for c in range(C)])
    m = means - x.mean(0)  # classes are equally large here
    s_within = (x - means[labels]).T @ (x - means[labels]) / len(x)
    s_between = m.T @ m / C
    assert nc.nc1.item() == pytest.approx(torch.trace(s_within @ torch.linalg.pinv(s_between)).item() / C, rel=1e-10)
    assert nc.nc2_equinorm.item() == pytest.approx((m.norm(dim=1).std(correction=0) / m.norm(dim=1).mean()).item())
    cosines = (F.normalize(m) @ F.normalize(m).T)[~torch.eye(C, dtype=torch.bool)]
    assert nc.nc2_equiangular.item() == pytest.approx(cosines.std(correction=0).item())
    assert nc.nc2_max_angle.item() == pytest.approx((cosines + 1 / (C - 1)).abs().mean().item())
    assert nc.nc3 is not None
    assert nc.nc3.item() == pytest.approx((weights / weights.norm() - m / m.norm()).square().sum().item(), rel=1e-6)
    named = (x.float() @ weights.T + bias).argmax(1)
    nearest = torch.cdist(x, means).argmin(1)
    assert 0 < (named == nearest).double().mean() < 1
    assert nc.nc4 == (named == nearest).double().mean()


def test_variability_of_known_variances() -> None:
    x = torch.tensor([[1.0, 0.5], [1, -0.5], [-1, 0.1], [-1, -0.1]])  # spread only across the line of the means
    labels = torch.tensor([0, 0, 1, 1])
    assert neural_collapse(x, labels).nc1 == 0
    # all spread along the line: variances 0.25 and 0.01 within, mean 0.13, and 1 between, over C = 2
    assert neural_collapse(x.sum(1, keepdim=True), labels).nc1.item() == pytest.approx(0.065, abs=1e-7)


def test_classes_weigh_the_same() -> None:
    x, labels = noisy()
    again = torch.cat((torch.arange(len(x)), torch.where(labels == 2)[0]))  # class 2 twice
    before, after = neural_collapse(x, labels), neural_collapse(x[again], labels[again])
    for name in ("nc1", "nc2_equinorm", "nc2_equiangular", "nc2_max_angle"):
        assert getattr(before, name).item() == pytest.approx(getattr(after, name).item(), rel=1e-12)


def test_self_duality_ignores_scale_and_sees_sign() -> None:
    x, labels = noisy()
    means = torch.stack([x[labels == c].mean(0) for c in range(C)])
    m = means - means.mean(0)
    dual, opposed = neural_collapse(x, labels, 7 * m).nc3, neural_collapse(x, labels, -m).nc3
    assert dual is not None
    assert opposed is not None
    assert dual.item() == pytest.approx(0, abs=1e-14)
    assert opposed.item() == pytest.approx(4, abs=1e-12)


def test_without_classifier() -> None:
    nc = neural_collapse(*noisy())
    assert nc.nc3 is None
    assert nc.nc4 is None


def test_two_classes_are_always_antipodal() -> None:
    x, labels = noisy()
    nc = neural_collapse(x, labels % 2)
    assert (nc.nc2_equinorm.item(), nc.nc2_max_angle.item()) == pytest.approx((0, 0), abs=1e-13)


def test_coinciding_means() -> None:
    x = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert math.isnan(neural_collapse(x, torch.tensor([0, 0, 1, 1])).nc1.item())
