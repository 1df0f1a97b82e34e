"""The spectral loss against numbers, a loop, closed forms and the spectrum it factorises."""

import math

import pytest
import torch
from loops import Inputs, one, random, simplex
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor

from cl_explore.losses import spectral


def spectral_call(x: Inputs, case: Case) -> Tensor:
    (query, key), mu = x.values(), case["params"]["mu"]
    return spectral(query, key, radius="free") if isinstance(mu, str) else spectral(query, key, mu=mu)


GOLDEN = [Golden("spectral", spectral_call)]
test_golden = golden(GOLDEN)


def loop_spectral(x: Inputs, mu: float) -> list[float]:
    def inside(row: Tensor) -> Tensor:
        return row * min(1.0, math.sqrt(mu) / float(row.norm()))

    q, k = [inside(row) for row in x["query"]], [inside(row) for row in x["key"]]
    divisor = mu if math.isfinite(mu) else 1
    return [
        (-2 * float(q[i] @ k[i]) + sum(float(q[i] @ k[j]) ** 2 for j in range(6) if j != i) / 5) / divisor
        for i in range(6)
    ]


REFERENCES = [
    Reference(spectral, {"mu": 1.2}, lambda x: loop_spectral(x, 1.2)),
    Reference(spectral, {"radius": "free"}, lambda x: loop_spectral(x, math.inf)),
]
test_loop = loops(REFERENCES)


def test_minimum_of_the_spectral_loss_is_the_spectrum_of_the_augmentation_graph() -> None:
    """Every pair of augmentations as often as the graph joins it: minus the squared leading eigenvalues, summed."""
    generator = torch.Generator().manual_seed(0)
    views_of_samples = torch.randint(0, 4, (3, 5), generator=generator)  # how often each sample gives each of 5 views
    joined = views_of_samples.T @ views_of_samples
    left, right = joined.nonzero().T
    rows = torch.stack([left, right]).repeat_interleave(joined[left, right], dim=1).repeat(1, 500)
    degree = joined.sum(1).double()
    spectrum = torch.linalg.eigvalsh(joined / (degree[:, None] * degree).sqrt()).flip(0)
    f = torch.randn(5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([f], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        value = spectral(f[rows[0]], f[rows[1]], radius="free")
        value.backward()
        return value

    optimiser.step(step)
    assert float(step().detach()) == pytest.approx(-float(spectrum[:2].square().sum()), abs=1e-3)


def test_landmarks() -> None:
    assert float(spectral(one(8, 4), one(8, 4))) == pytest.approx(-1)
    assert float(spectral(torch.eye(8), torch.eye(8))) == -2
    assert float(spectral(simplex(8), simplex(8))) == pytest.approx(-2 + 1 / 49)


def test_too_little_to_compare() -> None:
    with pytest.raises(ValueError, match="key must have at least 2 rows"):
        spectral(random(1, 4), random(1, 4))
