"""Alignment, uniformity and KoLeo against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
from loops import Inputs, each_anchor, one, random, unit
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor

from cl_explore.losses import align_uniform, alignment, koleo, uniformity


def both(x: Inputs, case: Case) -> Tensor:
    p, z = case["params"], torch.stack(list(x.values())[:2], dim=1)
    if "alpha" not in p:
        return uniformity(x["z0"], t=p["t"])
    if "t" not in p:
        return alignment(z, alpha=p["alpha"])
    return align_uniform(z, alpha=p["alpha"], t=p["t"], weight=p["unif_w"])


def behaviour(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    if "alpha" in p:
        return alignment(torch.stack(list(x.values())[:2], dim=1), alpha=p["alpha"])
    return uniformity(x["x"], t=p["t"])


GOLDEN = [
    Golden("align-uniform", both),
    Golden("behaviour-of-contrastive-loss", behaviour, lambda case: case["name"].startswith(("align", "uniform"))),
    # DINOv2 adds 1e-8 to each coordinate of the difference before the norm: about 1e-8 in value and slope.
    Golden("koleo", lambda x, case: koleo(x["z"], eps=case["params"]["eps"]), tolerance=5e-8),
]
test_golden = golden(GOLDEN)


def loop_alignment(x: Inputs, alpha: float) -> list[float]:
    z = unit(x["z"])

    def value(b: int, v: int) -> float:
        d = [float((z[b, v] - z[b, u]).norm()) ** alpha for u in range(z.shape[1]) if u != v]
        return sum(d) / len(d)

    return each_anchor(z, value)


def loop_uniformity(x: Inputs, t: float) -> list[float]:
    z = unit(x["z"])
    n = range(len(z))

    def value(_: int, v: int) -> float:
        potentials = [math.exp(-t * float((z[i, v] - z[j, v]).norm()) ** 2) for i in n for j in n if j != i]
        return math.log(sum(potentials) / len(potentials))

    return each_anchor(z, value)


def loop_koleo(x: Inputs) -> list[float]:
    z = unit(x["z"])
    return each_anchor(
        z, lambda b, v: -math.log(min(float((z[b, v] - z[j, v]).norm()) for j in range(len(z)) if j != b) + 1e-3)
    )


REFERENCES = [
    Reference(alignment, {"alpha": 2.0}, lambda x: loop_alignment(x, 2)),
    Reference(alignment, {"alpha": 1.0}, lambda x: loop_alignment(x, 1), views=3),
    Reference(uniformity, {"t": 3.0}, lambda x: loop_uniformity(x, 3)),
    Reference(
        align_uniform,
        {"alpha": 2.0, "t": 2.0, "weight": 0.5},
        lambda x: [a + 0.5 * u for a, u in zip(loop_alignment(x, 2), loop_uniformity(x, 2), strict=True)],
    ),
    Reference(koleo, {"eps": 1e-3}, loop_koleo),
]
test_loop = loops(REFERENCES)


def test_koleo_pushes_both_ends_apart_and_leaves_duplicates() -> None:
    x = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    each = koleo(x, reduction="none")
    (slope,) = torch.autograd.grad(each[0], x)
    assert slope[0, 1] < 0 < slope[1, 1], "a step against the gradient moves the first up and its neighbour down"
    assert (slope[2] == 0).all()
    duplicates = torch.ones(3, 2, requires_grad=True)
    assert float(koleo(duplicates).detach()) == pytest.approx(8 * math.log(10), rel=1e-6)
    assert torch.autograd.grad(koleo(duplicates), duplicates)[0].abs().max() == 0


def test_koleo_is_uniformity_at_an_infinitely_sharp_kernel() -> None:
    """The log mean potential of an anchor over -t tends to the squared distance of its nearest neighbour."""
    x = random(8, 3)
    potential = uniformity.parts(x, t=1e7)["potential"]
    torch.testing.assert_close(-0.5 * (-potential / 1e7).log(), koleo(x, reduction="none"), atol=1e-5, rtol=0)


def test_koleo_averages_views() -> None:
    z = random(5, 3, 4)
    torch.testing.assert_close(koleo(z), torch.stack([koleo(z[:, v]) for v in range(3)]).mean())


def test_value_of_a_collapsed_batch() -> None:
    for loss in (alignment, uniformity, align_uniform):
        assert float(loss(one(8, 2, 4))) == pytest.approx(0, abs=1e-12)
    assert float(koleo(one(8, 2, 4))) == pytest.approx(8 * math.log(10), rel=1e-7)


def test_bounds() -> None:
    b = 16
    assert alignment.bounds() == pytest.approx((0, 0), abs=1e-12)
    assert uniformity.bounds(samples=b, t=2.0) == pytest.approx((0, -2 * 2 * b / (b - 1)), abs=1e-9)
    assert koleo.bounds(samples=b)[1] == pytest.approx(-math.log(math.sqrt(2 * b / (b - 1))), abs=1e-7)
