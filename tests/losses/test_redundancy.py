"""Barlow Twins and VICReg against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
from loops import Inputs, one, random
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops, views
from torch import Tensor

from cl_explore.losses import barlow_twins, vicreg


def barlow_twins_call(x: Inputs, case: Case) -> Tensor:
    return barlow_twins(views(x, "z0", "z1"), redundancy=case["params"]["lambd"])


def vicreg_call(x: Inputs, case: Case) -> Tensor:
    p, z = case["params"], views(x, "z0", "z1")
    return vicreg(z, invariance=p["sim"], variance=p["std"], covariance=p["cov"], gamma=p["gamma"])


GOLDEN = [Golden("barlow-twins", barlow_twins_call), Golden("vicreg", vicreg_call)]
test_golden = golden(GOLDEN)


def test_correlation_of_barlow_twins() -> None:
    for start in ("B6", "B8", "z1 ="):
        case = cases("barlow-twins", start)[0]
        close(barlow_twins.parts(views(leaves(case), "z0", "z1"))["correlation"], case["outputs"]["c"], case["name"])


def loop_barlow_twins(x: Inputs) -> list[float]:
    z, total = x["z"], 0.0
    for i in range(4):
        for j in range(4):
            a, b = z[:, 0, i] - z[:, 0, i].mean(), z[:, 1, j] - z[:, 1, j].mean()
            root = math.sqrt((float(a @ a) / 6 + 1e-5) * (float(b @ b) / 6 + 1e-5))
            c = float(a @ b) / 6 / root
            total += (1 - c) ** 2 if i == j else 0.05 * c**2
    return [total] * 12


def loop_vicreg(x: Inputs) -> list[float]:
    z, shared = x["z"], 0.0
    for v in (0, 1):
        for i in range(4):
            for j in range(4):
                c = float((z[:, v, i] - z[:, v, i].mean()) @ (z[:, v, j] - z[:, v, j].mean())) / 5
                shared += 5 * max(0.8 - math.sqrt(c + 1e-4), 0) / 4 / 2 if i == j else 2 * c**2 / 4
    return [float((z[b, 0] - z[b, 1]).square().sum()) / 4 * 3 + shared for b in range(6) for _ in (0, 1)]


REFERENCES = [
    Reference(barlow_twins, {"redundancy": 0.05}, loop_barlow_twins),
    Reference(vicreg, {"invariance": 3.0, "variance": 5.0, "covariance": 2.0, "gamma": 0.8}, loop_vicreg),
]
test_loop = loops(REFERENCES)


def test_barlow_twins_of_opposite_and_of_rescaled_views() -> None:
    z = random(64, 3)
    opposite = barlow_twins.parts(torch.stack([z, -z], 1))
    assert float(opposite["on_diagonal"][0]) == pytest.approx(4 * 3, rel=1e-4)
    both = torch.stack([z, z + 0.3 * random(64, 3, seed=1)], 1)
    moved = both * torch.tensor([2.0, 30.0, 0.5], dtype=torch.float64) + torch.tensor([5.0, -1.0, 0.0])
    torch.testing.assert_close(barlow_twins(moved), barlow_twins(both), atol=1e-4, rtol=0)
    white = torch.linalg.qr(z - z.mean(0)).Q * 8
    assert float(barlow_twins(torch.stack([white, white], 1))) == pytest.approx(0, abs=1e-8)


def test_vicreg_leaves_alone_what_is_spread_and_uncorrelated() -> None:
    z = random(64, 3)
    white = torch.linalg.qr(z - z.mean(0)).Q * math.sqrt(63)
    parts = vicreg.parts(torch.stack([white, white + 1.0], 1))
    assert float(parts["variance"].max()) == 0
    assert float(parts["covariance"].max()) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(parts["invariance"], torch.ones(128, dtype=torch.float64))


def test_value_of_a_collapsed_batch() -> None:
    assert float(barlow_twins(one(8, 2, 4))) == pytest.approx(4)
    assert float(vicreg(one(8, 2, 4))) == pytest.approx(25 * 0.99)
