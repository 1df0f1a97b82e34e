"""Spectral measures against planted singular values and the eigenvalues of NumPy's covariance."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cl_explore.geometry import alpha_req, effective_rank, participation_ratio, spectrum


def planted(singular: Tensor, n: int, centred: bool, seed: int = 0) -> Tensor:
    """Points (n, D) float64 with the given D singular values, and with mean 0 if `centred`."""
    gen = torch.Generator().manual_seed(seed)
    left = torch.randn(n, len(singular), generator=gen, dtype=torch.float64)
    left = torch.linalg.qr(left - left.mean(0) if centred else left).Q
    right = torch.linalg.qr(torch.randn(len(singular), len(singular), generator=gen, dtype=torch.float64)).Q
    return left * singular @ right


def ones(k: int, zeros: int = 0) -> Tensor:
    return torch.cat((torch.ones(k), torch.zeros(zeros))).double()


@pytest.mark.parametrize("shape", [(50, 8), (6, 10)])
def test_spectrum_is_that_of_the_covariance(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1) + 100
    expected = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1][: min(shape)]
    np.testing.assert_allclose(spectrum(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("k", "zeros"), [(1, 4), (3, 5), (8, 0)])
def test_k_equal_singular_values(k: int, zeros: int) -> None:
    assert effective_rank(planted(ones(k, zeros), 30, centred=False)).item() == pytest.approx(k, rel=1e-12)
    assert participation_ratio(planted(ones(k, zeros), 30, centred=True)).item() == pytest.approx(k, rel=1e-12)


def test_effective_rank_of_two_unequal_values() -> None:
    x = planted(torch.tensor([3.0, 1.0]).double(), 10, centred=False)
    assert effective_rank(x).item() == pytest.approx(4 / 3**0.75, rel=1e-12)  # exp of the entropy of (3/4, 1/4)


def test_participation_ratio_of_two_unequal_values() -> None:
    x = planted(torch.tensor([3.0, 1.0]).double(), 10, centred=True)
    assert participation_ratio(x).item() == pytest.approx(100 / 82, rel=1e-12)  # eigenvalues 9 : 1


def test_isotropic_gaussian() -> None:
    d, n = 20, 20_000
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    expected = d / (1 + d / n)  # the mean square of the sample eigenvalues is 1 + d/n
    assert participation_ratio(x).item() == pytest.approx(expected, rel=2e-3)
    assert effective_rank(x).item() == pytest.approx(d, rel=1e-3)


def test_effective_rank_sees_the_mean_and_participation_ratio_does_not() -> None:
    x = planted(ones(5), 40, centred=True)
    assert participation_ratio(x + 30).item() == pytest.approx(5, rel=1e-10)
    assert effective_rank(x + 1000).item() < 1.1


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 2.7])
@pytest.mark.parametrize("limits", [{}, {"first": 3}, {"first": 5, "last": 20}])
def test_planted_power_law(alpha: float, limits: dict[str, int]) -> None:
    index = torch.arange(1, 41, dtype=torch.float64)
    x = planted(index ** (-alpha / 2), 60, centred=True)  # eigenvalues are squares
    assert alpha_req(x, **limits).item() == pytest.approx(alpha, abs=1e-11)


def test_alpha_req_reads_only_its_range() -> None:
    index = torch.arange(1, 41, dtype=torch.float64)
    eigenvalues = index**-1.5
    eigenvalues[:2], eigenvalues[30:] = 7, 1e-6
    x = planted(eigenvalues.sqrt(), 60, centred=True)
    assert alpha_req(x, 3, 30).item() == pytest.approx(1.5, abs=1e-11)
    assert alpha_req(x).item() != pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_alpha_req_stops_at_the_rank(dtype: torch.dtype) -> None:
    index = torch.arange(1, 13, dtype=torch.float64)
    singular = torch.cat((index**-0.5, torch.zeros(20).double()))
    x = (planted(singular, 500, centred=True) + 3).to(dtype)
    assert alpha_req(x).item() == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match=r"last <= 12 \(rank of the centred x\), got 1 and 13"):
        alpha_req(x, last=13)


def test_one_point() -> None:
    x = torch.full((5, 3), 0.1)
    assert effective_rank(x).item() == pytest.approx(1, abs=1e-6)
    assert math.isnan(participation_ratio(x).item())
    with pytest.raises(ValueError, match="rank of the centred x"):
        alpha_req(x)
