"""DCL, DCLW and DHEL against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Inputs, cosine, e, each_anchor, one, others
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops
from torch import Tensor

from cl_explore.losses import dcl, dclw, dhel, nt_xent


def decoupled(x: Inputs, case: Case) -> Tensor:
    p, z = case["params"], torch.stack(list(x.values())[:2], dim=1)
    if "sigma" in p:
        return dclw(z, temperature=p["temperature"], sigma=p["sigma"])
    return dcl(z, temperature=p["temperature"])


GOLDEN = [Golden("decoupled-contrastive-learning", decoupled)]  # those of DHEL: test_multiview.py
test_golden = golden(GOLDEN)


def test_weight_of_dclw_and_its_live_gradient() -> None:
    for case in cases("decoupled-contrastive-learning"):
        if "sigma" not in case["params"]:
            continue
        x, extra = leaves(case), case["extra"]
        z = torch.stack(list(x.values())[:2], dim=1)
        knobs = {"temperature": case["params"]["temperature"], "sigma": case["params"]["sigma"]}
        close(dclw.parts(z, **knobs)["weight"][::2], extra["weight"], case["name"])
        dclw(z, **knobs, weight_grad="live").backward()
        for name, leaf in x.items():
            close(leaf.grad, extra[f"grad_live_weight_{name}"], case["name"])


def loop_decoupled(x: Inputs, sigma: float) -> list[float]:
    z = x["z"]
    s = [cosine(z[b, 0], z[b, 1]) for b in range(len(z))]
    mean = sum(math.exp(each / sigma) for each in s) / len(z)

    def value(b: int, v: int) -> float:
        weight = 1.0 if math.isinf(sigma) else 2 - math.exp(s[b] / sigma) / mean
        return -weight * s[b] / 0.2 + math.log(sum(e(z[b, v], z[j, u]) for j, u in others(z, b)))

    return each_anchor(z, value)


def loop_dhel(x: Inputs) -> list[float]:
    z = x["z"]

    def value(b: int, _: int) -> float:
        energies = [sum(e(z[b, v], z[j, v]) for j in range(len(z)) if j != b) for v in (0, 1)]
        return sum(map(math.log, energies)) - cosine(z[b, 0], z[b, 1]) / 0.2

    return each_anchor(z, value)


REFERENCES = [
    Reference(dcl, {"temperature": 0.2}, lambda x: loop_decoupled(x, math.inf)),
    Reference(dclw, {"temperature": 0.2, "sigma": 0.5}, lambda x: loop_decoupled(x, 0.5)),
    Reference(dhel, {"temperature": 0.2}, loop_dhel),
]
test_loop = loops(REFERENCES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_nt_xent_gradient_is_the_decoupled_one_times_the_coupling(seed: int, tau: float) -> None:
    z = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)
    parts = dcl.parts(z, temperature=tau)
    each = nt_xent(z, temperature=tau, reduction="none")
    for anchor in range(12):
        (coupled,) = torch.autograd.grad(each[anchor], z, retain_graph=True)
        (free,) = torch.autograd.grad(parts["loss"][anchor], z, retain_graph=True)
        torch.testing.assert_close(coupled, parts["coupling"][anchor].detach() * free, atol=1e-9, rtol=1e-7)


def test_value_of_a_collapsed_batch() -> None:
    for loss in (dcl, dclw):
        assert float(loss(one(8, 2, 4))) == pytest.approx(math.log(14))
    assert float(dhel(one(8, 2, 4), temperature=0.5)) == pytest.approx(2 * math.log(7) + 2)


def test_bounds() -> None:
    """Simplex of B samples: cosines 1 and -1 / (B - 1)."""
    b, tau = 16, 0.3
    far = -1 / (b - 1)
    collapsed, perfect = dcl.bounds(samples=b, temperature=tau)
    assert (collapsed, perfect) == pytest.approx((math.log(2 * b - 2), math.log(2 * b - 2) - (1 - far) / tau))
    assert dclw.bounds(samples=b, temperature=tau) == pytest.approx((collapsed, perfect))
    assert dhel.bounds(b, temperature=tau)[1] == pytest.approx(2 * math.log(b - 1) + 2 * far / tau - 1 / tau)
