"""Losses against prototypes and the concentration of clusters where pencil and paper give the answer."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import one, random, simplex, square

from cl_explore.losses import arcface, cluster_concentration, cosface, normalized_softmax, proto_nce, proxy_nca


def test_value_of_a_perfect_batch() -> None:
    """Points at their prototypes, those on a simplex."""
    c, tau = 5, 0.3
    labels, w = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3, 4]), simplex(5)
    z = w[labels][:, None].expand(-1, 2, -1)
    gap = math.log1p((c - 1) * math.exp(-c / (c - 1) / tau))
    for loss in (normalized_softmax, proto_nce):
        assert float(loss(z, labels, w, temperature=tau)) == pytest.approx(gap)
    far = 2 * c / (c - 1)
    assert float(proxy_nca(z, labels, w, temperature=0.7)) == pytest.approx(math.log(c - 1) - far / 0.7)
    angular = math.log1p((c - 1) * math.exp((-1 / (c - 1) - math.cos(0.5)) / tau))
    assert float(arcface(z, labels, w, temperature=tau, margin=0.5)) == pytest.approx(angular)
    shifted = math.log1p((c - 1) * math.exp((0.35 - c / (c - 1)) / tau))
    assert float(cosface(z, labels, w, temperature=tau, margin=0.35)) == pytest.approx(shifted)


def test_value_of_a_collapsed_batch() -> None:
    labels, c, tau = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]), 3, 0.3
    z, w = one(8, 2, 4), one(3, 4)
    for loss in (normalized_softmax, proto_nce):
        assert float(loss(z, labels, w, temperature=tau)) == pytest.approx(math.log(c))
    assert float(proxy_nca(z, labels, w)) == pytest.approx(math.log(c - 1))
    assert float(proxy_nca(z, labels, w, denominator="all")) == pytest.approx(math.log(c))
    angular = math.log1p((c - 1) * math.exp((1 - math.cos(0.5)) / tau))
    assert float(arcface(z, labels, w, temperature=tau)) == pytest.approx(angular)
    assert float(cosface(z, labels, w, temperature=tau)) == pytest.approx(math.log1p((c - 1) * math.exp(0.35 / tau)))


def test_arcface_beyond_the_half_circle_keeps_falling() -> None:
    """Opposite to its prototype a point still gains by turning towards it: the target falls with the angle."""
    angle = torch.linspace(0, math.pi, 200, dtype=torch.float64)
    z = torch.stack([angle.cos(), angle.sin()], 1)
    w = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    target = arcface.parts(z, torch.zeros(200, dtype=torch.long), w, margin=0.5)["target"]
    assert (target.diff() < 0).all()
    torch.testing.assert_close(target[:100], (angle + 0.5).cos()[:100])


def test_arcface_has_a_slope_at_its_prototype() -> None:
    """The cosine's slope of the arc cosine is infinite there; the chord's is not."""
    w = torch.eye(3, 4)
    for nudge in (0.0, 1e-7, 1e-3):
        z = (w + nudge * torch.eye(3, 4).roll(1, 1)).requires_grad_()
        value = arcface(z, torch.arange(3), w)
        value.backward()
        assert z.grad is not None
        assert z.grad.norm() < 64, "no more than the scale"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_a_margin_never_makes_the_task_easier(seed: int, tau: float) -> None:
    z, y, w = random(9, 2, 4, seed=seed), torch.arange(9) % 3, random(3, 4, seed=seed + 1)
    bare = normalized_softmax(z, y, w, temperature=tau, reduction="none")
    for loss in (arcface, cosface):
        small, large = (loss(z, y, w, temperature=tau, margin=m, reduction="none") for m in (0.1, 0.3))
        assert (small >= bare - 1e-12).all()
        assert (large >= small - 1e-12).all()


def test_one_prototype_leaves_nothing_to_tell_apart() -> None:
    z, labels, one = random(4, 2, 3).requires_grad_(), torch.zeros(4, dtype=torch.long), random(1, 3)
    for loss in (normalized_softmax, arcface, cosface, proto_nce):
        value = loss(z, labels, one)
        assert value == 0
        assert (torch.autograd.grad(value, z)[0] == 0).all()
    with pytest.raises(ValueError, match="prototypes must have at least 2 rows to tell apart, got 1"):
        proxy_nca(z, labels, one)


def test_cluster_concentration() -> None:
    """Against the formula in loops: singletons get the largest spread, percentiles clip, the mean is 1."""
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    labels = torch.cat([torch.arange(12), torch.randint(0, 9, (28,), generator=generator)])  # 9 to 11 hold one point
    prototypes = torch.randn(13, 3, generator=generator, dtype=torch.float64)  # and 12 none
    spread = []
    for c in range(13):
        members = [math.sqrt(square(z[i].tolist(), prototypes[c].tolist())) for i in range(40) if labels[i] == c]
        spread.append(sum(members) / len(members) / math.log(len(members) + 10) if len(members) > 1 else 0)
    spread = [s or max(spread) for s in spread]
    ordered = sorted(spread)

    def percentile(share: float) -> float:
        place = share * 12
        low = int(place)
        return ordered[low] + (place - low) * (ordered[min(low + 1, 12)] - ordered[low])

    clipped = [min(max(s, percentile(0.1)), percentile(0.9)) for s in spread]
    expected = torch.tensor(clipped, dtype=torch.float64) * 13 / sum(clipped)
    torch.testing.assert_close(cluster_concentration(z, labels, prototypes), expected)
    ones = cluster_concentration(prototypes, torch.arange(13), prototypes)
    torch.testing.assert_close(ones, torch.ones(13, dtype=torch.float64))


def test_a_cluster_without_a_centre() -> None:
    with pytest.raises(ValueError, match="labels must be smaller than 3, the size of prototypes"):
        cluster_concentration(random(4, 2), torch.arange(4), random(3, 2))
