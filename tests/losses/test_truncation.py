"""Hard-truncated and simple losses against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
from loops import Inputs, anchors, cosine, each_anchor, one, others, random
from proofs import Case, Golden, Reference, golden, loops, views
from torch import Tensor

from cl_explore.losses import hard_simple, hard_truncated, nt_xent, simple


def first_view(each: Tensor) -> Tensor:
    return each.view(-1, 2)[:, 0].mean()


def behaviour(x: Inputs, case: Case) -> Tensor:
    """The file's repulsion weight is 1 over the number of negatives kept: the mean, weight 1."""
    p, kind = case["params"], case["name"].rsplit("_", 2)[0]
    z, memory = views(x, "x_anchor", "x_positive"), x["x_memory"]
    alpha = p["top_k"] / len(memory)
    if kind == "simple":
        return first_view(simple(z, memory, reduction="none"))
    if kind == "hard_simple":
        return first_view(hard_simple(z, memory, alpha=alpha, reduction="none"))
    return first_view(hard_truncated(z, memory, temperature=p["tau"], alpha=alpha, reduction="none"))


GOLDEN = [
    Golden("behaviour-of-contrastive-loss", behaviour, lambda case: case["name"].startswith(("hard", "simple"))),
]
test_golden = golden(GOLDEN)


def loop_truncated(x: Inputs, kept: int, simple: bool) -> list[float]:
    z = x["z"]

    def value(b: int, v: int) -> float:
        near = sorted((cosine(z[b, v], z[j, u]) for j, u in others(z, b)), reverse=True)[:kept]
        positive = cosine(z[b, v], z[b, 1 - v])
        if simple:
            return sum(near) / kept - positive
        return math.log(1 + sum(math.exp((s - positive) / 0.2) for s in near))

    return each_anchor(z, value)


REFERENCES = [
    Reference(hard_truncated, {"temperature": 0.2, "alpha": 0.3}, lambda x: loop_truncated(x, 3, False)),
    Reference(hard_truncated, {"temperature": 0.2, "alpha": 0.28}, lambda x: loop_truncated(x, 3, False)),
    Reference(hard_simple, {"alpha": 0.3}, lambda x: loop_truncated(x, 3, True)),
    Reference(simple, {}, lambda x: loop_truncated(x, 10, True)),
]
test_loop = loops(REFERENCES)


def test_anatomy() -> None:
    z = random(6, 2, 4)
    near = [sorted((cosine(z[b, v], z[j, u]) for j, u in others(z, b)), reverse=True) for b, v in anchors(z)]
    assert hard_truncated.parts(z, alpha=0.3)["threshold"].tolist() == pytest.approx([row[2] for row in near])
    assert simple.parts(z)["negative"].tolist() == pytest.approx([sum(row) / 10 for row in near])


def test_value_of_a_collapsed_batch() -> None:
    z = one(8, 2, 5)
    assert float(hard_truncated(z, alpha=0.2)) == pytest.approx(math.log(1 + 3))
    for loss in (simple, hard_simple):
        assert float(loss(z, weight=3.0)) == pytest.approx(2)


def test_bounds() -> None:
    b, tau = 16, 0.3
    far = -1 / (b - 1)
    gap = (1 - far) / tau
    assert hard_truncated.bounds(b, alpha=0.2, temperature=tau)[1] == pytest.approx(math.log1p(6 * math.exp(-gap)))
    assert simple.bounds(b, weight=2.0) == pytest.approx((1, -1 + 2 * far))


def test_hot_and_cold_limits() -> None:
    """Temperature to infinity: NT-Xent is the simple loss; sharper sorting puts the gradient on fewer negatives."""
    z = random(8, 2, 5, seed=1)
    tau, terms = 1e5, 15
    hot = (nt_xent(z, temperature=tau) - math.log(terms)) * tau * terms / (terms - 1)
    torch.testing.assert_close(hot, simple(z), atol=1e-5, rtol=0)
    cold = hard_truncated(z, temperature=1e-4, alpha=1.0, reduction="none") * 1e-4
    parts = hard_truncated.parts(z, alpha=1e-9)
    torch.testing.assert_close(cold, (parts["threshold"] - parts["positive"]).relu(), atol=1e-3, rtol=0)


def test_what_may_be_kept() -> None:
    z = random(6, 2, 4)
    for loss in (hard_truncated, hard_simple):
        with pytest.raises(ValueError, match=r"alpha must be positive and at most 1 and finite, got 1\.5"):
            loss(z, alpha=1.5)
    for loss in (hard_truncated, simple, hard_simple):
        with pytest.raises(ValueError, match=r"negatives must have shape \(M, D\) here, shared by all anchors"):
            loss(z, random(12, 3, 4))
