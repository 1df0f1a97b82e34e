"""SigLIP against the authors' numbers, a loop and closed forms, and its learnable scale and bias."""

import math

import pytest
import torch
from loops import Inputs, cosines, inputs, one, random, simplex, softplus
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor

from cl_explore.losses import SigLIP, siglip


def siglip_call(x: Inputs, case: Case) -> Tensor:
    return siglip(x["image"], x["text"], temperature=(-x["log_scale"]).exp(), bias=x["bias"])


GOLDEN = [Golden("siglip", siglip_call)]
test_golden = golden(GOLDEN)


def loop_siglip(x: Inputs) -> list[float]:
    s = cosines(x["query"], x["key"])
    return [
        sum(math.log(1 + math.exp(-(1 if i == j else -1) * (s[i][j] / 0.3 - 2))) for j in range(6)) for i in range(6)
    ]


REFERENCES = [Reference(siglip, {"temperature": 0.3, "bias": -2.0}, loop_siglip)]
test_loop = loops(REFERENCES)


def test_siglip_at_the_start_and_alone() -> None:
    q, k = random(64, 32), random(64, 32, seed=1)
    assert float(siglip(q, k)) == pytest.approx(10, abs=1)
    alone = siglip(q[:1], q[:1])
    assert float(alone) == pytest.approx(softplus(10 - 10))
    # Four orthogonal pairs: each is pulled with 1 - 1/4 and pushed three times with 1/4, so the bias stands still.
    q, k = torch.eye(8, dtype=torch.float64).split(4)
    bias = torch.tensor(-math.log(3), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(siglip(q, k, bias=bias), bias)
    assert float(slope) == pytest.approx(0, abs=1e-12)


def test_gradient_to_the_bias() -> None:
    x, bias = inputs(), torch.tensor(-1.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: siglip(x["query"], x["key"], bias=b, temperature=0.5), bias)


def test_landmarks() -> None:
    assert float(siglip(one(8, 4), one(8, 4))) == pytest.approx(8 * math.log(2))
    z, tau = simplex(8), 0.3
    assert float(siglip(z, z, temperature=tau, bias=-1.0)) == pytest.approx(
        softplus(1 - 1 / tau) + 7 * softplus(-1 / 7 / tau - 1)
    )


def test_siglip_learns_scale_and_bias() -> None:
    criterion = SigLIP()
    query, key = random(5, 4), random(5, 4, seed=1)
    torch.testing.assert_close(criterion(query, key), siglip(query, key))
    optimiser = torch.optim.SGD(criterion.parameters(), lr=0.1)
    start = float(criterion(query, key).detach())
    for _ in range(20):
        optimiser.zero_grad()
        criterion(query, key).backward()
        optimiser.step()
    assert float(criterion(query, key).detach()) < start
    assert float(criterion.bias.detach()) != -10


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="temperature must be positive and finite, got nan"):
        SigLIP(temperature=float("nan"))
