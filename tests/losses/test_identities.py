"""The web of identities: which loss equals which other one, and when."""

import math

import pytest
import torch
import torch.nn.functional as F
from batches import Identity, proof
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore import losses

Sides = tuple[Tensor, Tensor]


def flat(z: Tensor) -> Tensor:
    return F.normalize(z, dim=-1).flatten(0, 1)


def nt_xent_is_softplus_of_dcl(z: Tensor, y: Tensor, tau: float) -> Sides:
    each = losses.dcl(z, temperature=tau, reduction="none")
    return losses.nt_xent(z, temperature=tau, reduction="none"), F.softplus(each)


def supcon_of_unique_labels_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    return losses.supcon(z, torch.arange(len(z)), temperature=tau), losses.nt_xent(z, temperature=tau)


def supcon_in_of_unique_labels_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    unique = torch.arange(len(z))
    return losses.supcon_in(z, unique, temperature=tau), losses.supcon(z, unique, temperature=tau)


def views_of_supcon_are_samples_with_repeated_labels(z: Tensor, y: Tensor, tau: float) -> Sides:
    return losses.supcon(z, y, temperature=tau), losses.supcon(flat(z), y.repeat_interleave(2), temperature=tau)


def nt_xent_is_info_nce_with_every_other_point_a_negative(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = flat(z)
    partner = F.normalize(z, dim=-1).flip(1).flatten(0, 1)
    sample = torch.arange(len(z)).repeat_interleave(2)
    negatives = torch.stack([x[sample != sample[i]] for i in range(len(x))])
    return (
        losses.nt_xent(z, temperature=tau, reduction="none"),
        losses.info_nce(x, partner, negatives, temperature=tau, reduction="none"),
    )


def info_nce_with_one_negative_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, key, negative = (F.normalize(part, dim=-1) for part in (z[:, 0], z[:, 1], z.roll(1, 0)[:, 0]))
    gap = ((query * negative).sum(1) - (query * key).sum(1)) / tau
    return losses.info_nce(query, key, negative[:, None], temperature=tau, reduction="none"), F.softplus(gap)


def dclw_of_wide_sigma_is_dcl(z: Tensor, y: Tensor, tau: float) -> Sides:
    return losses.dclw(z, temperature=tau, sigma=1e12, reduction="none"), losses.dcl(
        z, temperature=tau, reduction="none"
    )


def dclw_weights_average_to_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    weight = losses.dclw.parts(z, sigma=tau)["weight"]
    return weight.mean(), torch.ones_like(weight[0])


def varcon_without_kl_is_cross_entropy_to_batch_centroids(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, own = flat(z), y.repeat_interleave(2)
    classes, own = own.unique(return_inverse=True)
    centroids = F.normalize(torch.stack([x[own == c].mean(0) for c in range(len(classes))]), dim=1)
    return (
        losses.varcon(z, y, temperature=tau, epsilon=0.0, kl_weight=0),
        F.cross_entropy(x @ centroids.T / tau, own),
    )


def varcon_is_kl_plus_nll(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = losses.varcon.parts(z, y, temperature=tau, epsilon=tau / 2)
    return parts["loss"], parts["kl"] + parts["nll"]


def varcon_of_the_doubled_batch_is_varcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    twice = losses.varcon(torch.cat([z, z]), torch.cat([y, y]), temperature=tau, epsilon=tau / 5)
    return twice, losses.varcon(z, y, temperature=tau, epsilon=tau / 5)


def alignment_squared_is_two_minus_two_cosines(z: Tensor, y: Tensor, tau: float) -> Sides:
    cosine = losses.nt_xent.parts(z)["positive"]
    return losses.alignment(z, alpha=2.0, reduction="none"), 2 - 2 * cosine


def align_uniform_is_the_sum(z: Tensor, y: Tensor, tau: float) -> Sides:
    return (
        losses.align_uniform(z, t=tau * 10, weight=0.7),
        losses.alignment(z) + 0.7 * losses.uniformity(z, t=tau * 10),
    )


def uniformity_is_the_log_mean_of_its_potentials(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = losses.uniformity.parts(z, t=tau * 10)
    potential = parts["potential"].view(len(z), 2)
    return parts["loss"].view(len(z), 2)[0], potential.exp().mean(0).log()


def triplet_softplus_of_tables_is_the_sorted_hinge_when_hard(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Triplets whose swap never helps: the O(N^3) table and the O(N^2 log N) sort sum the same hinges."""
    x = flat(z)
    y = y.repeat_interleave(2)
    distance = (x[:, None] - x).norm(dim=-1)
    same = y[:, None] == y
    positive = same & ~torch.eye(len(x), dtype=torch.bool)
    table = (distance[:, :, None] - distance[:, None] + tau).relu() * (positive[:, :, None] & ~same[:, None])
    return losses.triplet(x, y, margin=tau), table.sum() / (positive.sum(1) * (~same).sum(1)).sum()


IDENTITIES: list[Identity] = [
    nt_xent_is_softplus_of_dcl,
    supcon_of_unique_labels_is_nt_xent,
    supcon_in_of_unique_labels_is_supcon,
    views_of_supcon_are_samples_with_repeated_labels,
    nt_xent_is_info_nce_with_every_other_point_a_negative,
    info_nce_with_one_negative_is_softplus,
    dclw_of_wide_sigma_is_dcl,
    dclw_weights_average_to_one,
    varcon_without_kl_is_cross_entropy_to_batch_centroids,
    varcon_is_kl_plus_nll,
    varcon_of_the_doubled_batch_is_varcon,
    alignment_squared_is_two_minus_two_cosines,
    align_uniform_is_the_sum,
    uniformity_is_the_log_mean_of_its_potentials,
    triplet_softplus_of_tables_is_the_sorted_hinge_when_hard,
]


test_identity = proof(IDENTITIES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_nt_xent_gradient_is_the_decoupled_one_times_the_coupling(seed: int, tau: float) -> None:
    z = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)
    parts = losses.dcl.parts(z, temperature=tau)
    each = losses.nt_xent(z, temperature=tau, reduction="none")
    for anchor in range(12):
        (coupled,) = torch.autograd.grad(each[anchor], z, retain_graph=True)
        (free,) = torch.autograd.grad(parts["loss"][anchor], z, retain_graph=True)
        torch.testing.assert_close(coupled, parts["coupling"][anchor].detach() * free, atol=1e-9, rtol=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_supcon_in_is_never_above_out(seed: int, tau: float) -> None:
    z = torch.randn(9, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = torch.arange(9) % 3
    inside, outside = (loss(z, y, temperature=tau, reduction="none") for loss in (losses.supcon_in, losses.supcon))
    assert (inside <= outside + 1e-12).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.06, 1.0))
def test_varcon_target_stays_inside_its_bounds(seed: int, tau: float) -> None:
    z = torch.randn(12, 1, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    parts = losses.varcon.parts(z, torch.arange(12) % 4, temperature=tau, epsilon=0.05)
    assert (parts["kl"] >= -1e-12).all()
    assert ((parts["tau2"] >= tau - 0.05) & (parts["tau2"] <= tau + 0.05)).all()
    order = parts["confidence"].argsort()
    assert (parts["tau2"][order].diff() >= 0).all(), "a sample the model is surer of must get the softer target"


def test_limits_of_the_temperature() -> None:
    """tau to 0: (nearest negative - positive) / tau; tau to infinity: the plain attract-repel loss plus log N."""
    z = F.normalize(torch.randn(1, 2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=-1)
    negatives = F.normalize(torch.randn(9, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64), dim=-1)
    query, key = z[:, 0], z[:, 1]
    positive, negative = float(query @ key.T), (query @ negatives.T)[0]
    cold = losses.info_nce(query, key, negatives, temperature=1e-4) * 1e-4
    torch.testing.assert_close(float(cold), max(float(negative.max()) - positive, 0.0), atol=1e-3, rtol=0)
    tau = 1e4
    hot = float(losses.info_nce(query, key, negatives, temperature=tau))
    simple = torch.log(torch.tensor(10.0, dtype=torch.float64)) + (float(negative.sum()) - 9 * positive) / (10 * tau)
    torch.testing.assert_close(hot, float(simple), atol=1e-7, rtol=0)


def test_bounds_are_the_closed_forms() -> None:
    """Simplex of B samples or C classes: cosines 1 and -1/(B-1), hence every perfect value in closed form."""
    b, tau = 16, 0.3
    gap = b / (b - 1) / tau
    collapsed, perfect = losses.nt_xent.bounds(samples=b, temperature=tau)
    assert collapsed == pytest.approx(math.log(2 * b - 1))
    assert perfect == pytest.approx(math.log1p((2 * b - 2) * math.exp(-gap)))
    collapsed, perfect = losses.info_nce.bounds(samples=b, temperature=tau)
    assert (collapsed, perfect) == pytest.approx((math.log(b), math.log1p((b - 1) * math.exp(-gap))))
    collapsed, perfect = losses.dcl.bounds(samples=b, temperature=tau)
    assert (collapsed, perfect) == pytest.approx((math.log(2 * b - 2), math.log(2 * b - 2) - gap))
    assert losses.alignment.bounds() == pytest.approx((0, 0), abs=1e-12)
    collapsed, perfect = losses.uniformity.bounds(samples=b, t=2.0)
    assert (collapsed, perfect) == pytest.approx((0, -2 * 2 * b / (b - 1)), abs=1e-9)
    assert losses.triplet.bounds(margin=0.25) == pytest.approx((0.25, 0))
    collapsed, perfect = losses.supcon.bounds(samples=b, classes=4, temperature=tau)
    assert collapsed == pytest.approx(math.log(2 * b - 1))
    assert perfect == pytest.approx(math.log(7 + 24 * math.exp(-4 / 3 / tau)))
