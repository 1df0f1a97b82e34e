"""The web of identities of the losses of negatives, many views, own temperatures, sorting and structure."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from batches import Identity, proof
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore.losses.attraction import cacr, cacr_momentum
from cl_explore.losses.catalogue import Loss
from cl_explore.losses.decoupled import dcl, dhel
from cl_explore.losses.hypersphere import alignment, uniformity
from cl_explore.losses.infonce import info_nce, nt_xent
from cl_explore.losses.mochi import Mixes, draw_mixes, mix_hard_negatives, mochi
from cl_explore.losses.multiview import mv_dhel, mv_infonce
from cl_explore.losses.negatives import debiased, g_simclr, hard
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.sorting import groco, soft_sort
from cl_explore.losses.structure import attribute_alignment, sepclr
from cl_explore.losses.temperature import isogclr, sogclr
from cl_explore.losses.truncation import hard_simple, hard_truncated, simple

Sides = tuple[Tensor, Tensor]


def flat(z: Tensor) -> Tensor:
    return F.normalize(z, dim=-1).flatten(0, 1)


def partner(z: Tensor) -> Tensor:
    return F.normalize(z, dim=-1).flip(1).flatten(0, 1)


def other_samples(z: Tensor) -> Tensor:
    """The points of the other samples of each anchor, (N, N - V, D)."""
    x, sample = flat(z), torch.arange(len(z)).repeat_interleave(z.shape[1])
    return torch.stack([x[sample != sample[i]] for i in range(len(x))])


def mv_dhel_of_two_views_is_dhel(z: Tensor, y: Tensor, tau: float) -> Sides:
    return mv_dhel(z, temperature=tau, reduction="none"), dhel(z, temperature=tau, reduction="none")


def dhel_without_the_second_energy_is_dcl_within_the_view(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = dhel.parts(z, temperature=tau)
    x = F.normalize(z[:, 0], dim=-1)
    within = row_lse(x, x, 1 / tau, exclude=["self"]) - (x * F.normalize(z[:, 1], dim=-1)).sum(1) / tau
    return (parts["energy"] - parts["alignment"]).view(-1, 2)[:, 0], within


def mv_infonce_sums_what_nt_xent_takes_apart(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Two views: NT-Xent averages a ratio for each view; MV-InfoNCE has one ratio of the two sums."""
    each = nt_xent.parts(z, temperature=tau)
    energies = (each["loss"] + each["positive"] / tau).view(-1, 2)
    pull = each["positive"].view(-1, 2)[:, 0] / tau + math.log(2)
    return mv_infonce(z, temperature=tau), (energies.logsumexp(1) - pull).mean()


def mv_infonce_across_two_views_is_info_nce_of_the_sums(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = F.normalize(z, dim=-1)
    s = x[:, 0] @ x[:, 1].T / tau
    both = torch.logaddexp(s.logsumexp(1), s.logsumexp(0)) - s.diagonal() - math.log(2)
    return mv_infonce(z, temperature=tau, denominator="cross_view"), both.mean()


def debiased_without_false_negatives_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = debiased(z, temperature=tau, tau_plus=0.0, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


def hard_without_hardness_is_debiased(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = hard(z, temperature=tau, tau_plus=0.1, beta=0.0, reduction="none")
    return left, debiased(z, temperature=tau, tau_plus=0.1, reduction="none")


def hard_without_both_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    return hard(z, temperature=tau, tau_plus=0.0, beta=0.0), nt_xent(z, temperature=tau)


def hard_with_held_weights_has_the_same_value(z: Tensor, y: Tensor, tau: float) -> Sides:
    return hard(z, temperature=tau, weight_grad="detach"), hard(z, temperature=tau)


def debiased_at_its_floor_is_a_constant_of_the_positive(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Views equal and tau_plus near 1: n exp(-1 / tau) negatives are left beside exp(1 / tau)."""
    n = 2 * len(z) - 2
    value = debiased(z[:, :1].expand(-1, 2, -1), temperature=tau, tau_plus=0.99)
    return value, torch.tensor(n * math.exp(-2 / tau), dtype=z.dtype).log1p()


def hard_truncated_of_all_negatives_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = hard_truncated(z, temperature=tau, alpha=1.0, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


def hard_truncated_to_one_negative_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = hard_truncated.parts(z, temperature=tau, alpha=1e-9)
    nearest = torch.einsum("nd,nmd->nm", flat(z), other_samples(z)).amax(1)
    return parts["loss"], F.softplus((nearest - parts["positive"]) / tau)


def hard_truncated_of_a_memory_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    memory = z.flatten(0, 1).roll(1, -1)
    each = hard_truncated(z, memory, temperature=tau, alpha=1.0, reduction="none").view(-1, 2)[:, 0]
    return each, info_nce(z[:, 0], z[:, 1], memory, temperature=tau, reduction="none")


def hard_simple_of_all_negatives_is_simple(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = hard_simple(z, alpha=1.0, weight=tau, reduction="none")
    return left, simple(z, weight=tau, reduction="none")


def simple_without_repulsion_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    return simple(z, weight=0.0, reduction="none"), alignment(z, alpha=2.0, reduction="none") / 2 - 1


def mochi_without_synthesis_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, positive, queue = z[:, 0], z[:, 1], z.flatten(0, 1).roll(1, -1)
    left = mochi(query, positive, queue, temperature=tau, reduction="none")
    return left, info_nce(query, positive, queue, temperature=tau, reduction="none")


def mochi_without_a_queue_is_info_nce_in_the_batch(z: Tensor, y: Tensor, tau: float) -> Sides:
    return mochi(z[:, 0], z[:, 1], temperature=tau), info_nce(z[:, 0], z[:, 1], temperature=tau)


def mixes_that_mix_nothing_repeat_negatives(z: Tensor, y: Tensor, tau: float) -> Sides:
    """A pair mix of share 1 is its first negative, a query mix of share 0 its negative."""
    query, positive, queue = z[:, 0], z[:, 1], z.flatten(0, 1).roll(1, -1)
    ranks = torch.arange(3).expand(len(z), 3)
    shares = torch.ones(len(z), 3)
    recipe = Mixes(3, torch.stack([ranks, ranks.flip(1)]), shares, ranks, 0 * shares)
    nearest = (F.normalize(query, dim=1) @ F.normalize(queue, dim=1).T).topk(3).indices
    copies = queue[nearest].repeat(1, 2, 1)
    negatives = torch.cat([queue.expand(len(z), -1, -1), copies], 1)
    left = mochi(query, positive, queue, mix_hard_negatives(query, queue, recipe), temperature=tau)
    return left, info_nce(query, positive, negatives, temperature=tau)


def g_simclr_of_unique_labels_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = g_simclr(z, torch.arange(len(z)), temperature=tau, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


def g_simclr_of_one_cluster_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    value = g_simclr(z, torch.zeros_like(y), temperature=tau)
    return value, torch.zeros_like(value)


def g_simclr_is_nt_xent_without_the_masked_samples(z: Tensor, y: Tensor, tau: float) -> Sides:
    """The first sample's loss in a batch from which the others of its cluster were taken out."""
    y = torch.cat([y[:1], y[1:]])
    kept = torch.cat([torch.tensor([True]), y[1:] != y[0]])
    left = g_simclr(z, y, temperature=tau, reduction="none")[:2]
    return left, nt_xent(z[kept], temperature=tau, reduction="none")[:2]


def sogclr_objective_is_dcl_up_to_scale(z: Tensor, y: Tensor, tau: float) -> Sides:
    objective = sogclr.parts(z, temperature=tau)["objective"]
    return objective, tau * (dcl(z, temperature=tau, reduction="none") - math.log(2 * len(z) - 2))


def sogclr_gradient_is_that_of_dcl_times_tau(z: Tensor, y: Tensor, tau: float) -> Sides:
    z = z.requires_grad_()
    (left,) = torch.autograd.grad(sogclr(z, temperature=tau), z)
    (right,) = torch.autograd.grad(dcl(z, temperature=tau), z)
    return left, tau * right


def isogclr_is_sogclr_plus_rho_tau(z: Tensor, y: Tensor, tau: float) -> Sides:
    robust, plain = (loss.parts(z, temperature=tau) for loss in (isogclr, sogclr))
    return robust["objective"] - 0.3 * tau, plain["objective"]


def temperature_gradient_is_rho_minus_kl(z: Tensor, y: Tensor, tau: float) -> Sides:
    slope = isogclr.parts(z, temperature=tau, rho=0.7)["temperature_gradient"]
    p = (torch.einsum("nd,nmd->nm", flat(z), other_samples(z)) / tau).softmax(1)
    return slope, 0.7 - (p * (p * p.shape[1]).log()).sum(1)


def sogclr_of_one_visit_forgets_its_state(z: Tensor, y: Tensor, tau: float) -> Sides:
    unseen = torch.full((len(z),), -torch.inf, dtype=z.dtype)
    return sogclr(z, unseen, temperature=tau, gamma=0.3), sogclr(z, temperature=tau)


def cacr_attraction_of_two_views_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    return cacr.parts(z, tau_pos=5 * tau)["attraction"], alignment(z, alpha=2.0, reduction="none")


def cacr_without_weights_is_a_mean_of_distances(z: Tensor, y: Tensor, tau: float) -> Sides:
    """The second view of the others is the memory: 2 - 2 cosines, hence twice the simple loss."""
    value = cacr(z, tau_pos=0.0, tau_neg=0.0, beta=tau)
    x = F.normalize(z, dim=-1)
    s = x[:, 0] @ x[:, 1].T
    mean = (s.sum() - s.trace()) / (len(z) * (len(z) - 1))
    return value, 2 - 2 * s.diagonal().mean() - tau * (2 - 2 * mean)


def cacr_of_all_pairs_does_not_mind_the_order_of_views(z: Tensor, y: Tensor, tau: float) -> Sides:
    knobs = {"tau_pos": tau, "tau_neg": 3 * tau, "pairs": "all"}
    return cacr(z, **knobs), cacr(z.flip(1), **knobs)


def cacr_of_sharp_weights_repels_the_nearest(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = cacr.parts(z, tau_neg=1e9, beta=tau)
    cost = parts["negative_cost"].view(len(z), 2, 2, len(z))[:, 0, 1]
    own = torch.eye(len(z), dtype=torch.bool)
    return parts["repulsion"].view(-1, 2)[:, 0], -2 * tau * cost.masked_fill(own, torch.inf).amin(1)


def cacr_momentum_of_one_query_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = cacr_momentum(z[:, 0], z[:, 1], temperature=tau, reduction="none")
    return left, 2 * tau * info_nce(z[:, 0], z[:, 1], temperature=tau, reduction="none")


def cacr_momentum_of_equal_queries_is_the_one_of_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    knobs = {"temperature": tau, "cost": "euclidean"}
    return cacr_momentum(z[:, :1].expand(-1, 3, -1), z[:, 1], **knobs), cacr_momentum(z[:, 0], z[:, 1], **knobs)


def groco_of_one_negative_is_an_arctangent(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = F.normalize(z, dim=-1)
    positive = (x[:, 0] * x[:, 1]).sum(1)[:, None]
    own = torch.eye(len(z), dtype=torch.bool)
    nearest = torch.stack([(x[:, v] @ x[:, v].T).masked_fill(own, -torch.inf).amax(1) for v in range(2)], 1)
    chance = 0.5 + torch.atan((positive - nearest) / tau) / math.pi
    return groco(z, hardest=1, steepness=1 / tau, reduction="none"), -chance.log().flatten()


def groco_of_equal_similarities_is_a_constant(z: Tensor, y: Tensor, tau: float) -> Sides:
    equal = z[:1, :1].expand(z.shape)
    return groco(equal, hardest=3, steepness=1 / tau), groco(torch.ones_like(z), hardest=3)


def soft_permutations_are_doubly_stochastic(z: Tensor, y: Tensor, tau: float) -> Sides:
    _, permutation = soft_sort(z.flatten(1), 1 / tau)
    sums = torch.cat([permutation.sum(-1), permutation.sum(-2)])
    return sums, torch.ones_like(sums)


def a_steep_soft_sort_sorts(z: Tensor, y: Tensor, tau: float) -> Sides:
    numbers = z.flatten(1)
    # Neighbours at a distance d of each other still exchange 1 / (pi steepness d) of their values.
    return soft_sort(numbers, 1e15)[0], numbers.sort(1).values


def sepclr_without_targets_is_alignment_plus_uniformity(z: Tensor, y: Tensor, tau: float) -> Sides:
    salient = torch.zeros_like(z)
    left = sepclr(z, salient, torch.zeros_like(y), temperature=tau, joint_weight=0)
    return left, alignment(z, alpha=2.0) / (2 * tau) + 2 * uniformity(z, t=1 / (2 * tau))


def sepclr_salient_terms_of_targets_are_alignment_and_uniformity(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = sepclr.parts(z, F.normalize(z.roll(1, -1), dim=-1), torch.ones_like(y), temperature=tau)
    turned = z.roll(1, -1)
    expected = torch.stack([alignment(turned, alpha=2.0) / (2 * tau), uniformity(turned, t=1 / (2 * tau))])
    return torch.stack([parts[f"salient_{name}"].mean() for name in ("alignment", "uniformity")]), expected


def sepclr_joint_entropy_without_salient_code_is_that_of_the_potentials(z: Tensor, y: Tensor, tau: float) -> Sides:
    joint = sepclr.parts(z, torch.zeros_like(z), y, temperature=tau)["joint_entropy"]
    potential = uniformity.parts(z, t=1 / (2 * tau))["potential"]
    return joint, ((1 + (len(z) - 1) * potential.exp()) / len(z)).log()


def sepclr_informationless_is_half_the_square_norm_over_tau(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = sepclr.parts(z, z, y, temperature=tau)
    return parts["informationless"].mean(), z[y == 0].square().sum(-1).mean() / (2 * tau)


def sepclr_dropped_pairs_are_those_of_value_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Background pairs are at distance 0: kept, they add their number to the sum."""
    keep, drop = (
        sepclr.parts(z, z, y, temperature=tau, background_pairs=which)["salient_uniformity"][:2]
        for which in ("keep", "drop")
    )
    background, pairs = int((y == 0).sum()), len(z) * (len(z) - 1)
    ones = background * (background - 1)
    return keep, ((drop.exp() * (pairs - ones) + ones) / pairs).log()


def attribute_alignment_of_one_target_is_the_mean_square_distance(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = z.flatten(0, 1)
    mean = (x[:, None] - x).square().sum(-1).sum() / (len(x) * (len(x) - 1))
    return attribute_alignment(z, torch.full((len(z),), tau, dtype=z.dtype)), mean


def attribute_alignment_of_far_targets_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Only the views of a sample share its target."""
    each = attribute_alignment(F.normalize(z, dim=-1), torch.arange(len(z)).to(z.dtype) * 100, reduction="none")
    return each, alignment(z, alpha=2.0, reduction="none") / (2 * len(z) - 1)


IDENTITIES: list[Identity] = [
    mv_dhel_of_two_views_is_dhel,
    dhel_without_the_second_energy_is_dcl_within_the_view,
    mv_infonce_sums_what_nt_xent_takes_apart,
    mv_infonce_across_two_views_is_info_nce_of_the_sums,
    debiased_without_false_negatives_is_nt_xent,
    hard_without_hardness_is_debiased,
    hard_without_both_is_nt_xent,
    hard_with_held_weights_has_the_same_value,
    debiased_at_its_floor_is_a_constant_of_the_positive,
    hard_truncated_of_all_negatives_is_nt_xent,
    hard_truncated_to_one_negative_is_softplus,
    hard_truncated_of_a_memory_is_info_nce,
    hard_simple_of_all_negatives_is_simple,
    simple_without_repulsion_is_alignment,
    mochi_without_synthesis_is_info_nce,
    mochi_without_a_queue_is_info_nce_in_the_batch,
    mixes_that_mix_nothing_repeat_negatives,
    g_simclr_of_unique_labels_is_nt_xent,
    g_simclr_of_one_cluster_is_zero,
    g_simclr_is_nt_xent_without_the_masked_samples,
    sogclr_objective_is_dcl_up_to_scale,
    sogclr_gradient_is_that_of_dcl_times_tau,
    isogclr_is_sogclr_plus_rho_tau,
    temperature_gradient_is_rho_minus_kl,
    sogclr_of_one_visit_forgets_its_state,
    cacr_attraction_of_two_views_is_alignment,
    cacr_without_weights_is_a_mean_of_distances,
    cacr_of_all_pairs_does_not_mind_the_order_of_views,
    cacr_of_sharp_weights_repels_the_nearest,
    cacr_momentum_of_one_query_is_info_nce,
    cacr_momentum_of_equal_queries_is_the_one_of_one,
    groco_of_one_negative_is_an_arctangent,
    groco_of_equal_similarities_is_a_constant,
    soft_permutations_are_doubly_stochastic,
    a_steep_soft_sort_sorts,
    sepclr_without_targets_is_alignment_plus_uniformity,
    sepclr_salient_terms_of_targets_are_alignment_and_uniformity,
    sepclr_joint_entropy_without_salient_code_is_that_of_the_potentials,
    sepclr_informationless_is_half_the_square_norm_over_tau,
    sepclr_dropped_pairs_are_those_of_value_one,
    attribute_alignment_of_one_target_is_the_mean_square_distance,
    attribute_alignment_of_far_targets_is_alignment,
]


test_identity = proof(IDENTITIES)


def batch(seed: int, samples: int = 8, views: int = 2) -> tuple[Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, views, 5, generator=generator, dtype=torch.float64)
    return z, torch.arange(samples) % 3, generator


def same(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9)


Call = Callable[[Tensor, Tensor], Tensor]
OF_VIEWS: dict[str, Call] = {
    # name: one number for each anchor of z (B, V, D), sample-major
    "mv_infonce": lambda z, y: mv_infonce(z, reduction="none"),
    "mv_dhel": lambda z, y: mv_dhel(z, reduction="none"),
    "g_simclr": lambda z, y: g_simclr(z, y, reduction="none"),
    "cacr of all pairs": lambda z, y: cacr(z, pairs="all", reduction="none"),
    "cacr_momentum": lambda z, y: cacr_momentum(z, z.sum(1).exp(), reduction="none"),
    "groco": lambda z, y: groco(z, hardest=4, reduction="none"),
    "sepclr": lambda z, y: sepclr(z, z.exp(), y, reduction="none"),
    "attribute_alignment": lambda z, y: attribute_alignment(z, y.to(z.dtype), reduction="none"),
}
OF_TWO_VIEWS: dict[str, Call] = {
    "dhel": lambda z, y: dhel(z, reduction="none"),
    "debiased": lambda z, y: debiased(z, reduction="none"),
    "hard": lambda z, y: hard(z, reduction="none"),
    "hard_truncated": lambda z, y: hard_truncated(z, alpha=0.3, reduction="none"),
    "hard_simple": lambda z, y: hard_simple(z, alpha=0.3, reduction="none"),
    "simple": lambda z, y: simple(z, reduction="none"),
    "sogclr": lambda z, y: sogclr(z, y.to(z.dtype), reduction="none"),
    "isogclr": lambda z, y: isogclr(z, y.to(z.dtype), reduction="none"),
}
EVERY = [(call, views) for views, table in ((4, OF_VIEWS), (2, OF_TWO_VIEWS)) for call in table.values()]
every_loss = pytest.mark.parametrize(("call", "views"), EVERY, ids=[*OF_VIEWS, *OF_TWO_VIEWS])
seeded = settings(max_examples=10, deadline=None)


@every_loss
@seeded
@given(st.integers(0, 10_000))
def test_order_of_samples_and_of_views(call: Call, views: int, seed: int) -> None:
    z, y, generator = batch(seed, views=views)
    rows, turn = (torch.randperm(n, generator=generator) for n in (len(z), views))
    same(call(z[rows][:, turn], y[rows]), call(z, y).view(len(z), views)[rows][:, turn].flatten())


@pytest.mark.parametrize(
    ("call", "views"), [row for row in EVERY if row[0] not in (OF_VIEWS["sepclr"], OF_VIEWS["cacr_momentum"])]
)
@seeded
@given(st.integers(0, 10_000))
def test_rotation_of_space(call: Call, views: int, seed: int) -> None:
    z, y, generator = batch(seed, views=views)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    same(call(z @ rotation, y), call(z, y))


@seeded
@given(st.integers(0, 10_000))
def test_rotation_of_each_code(seed: int) -> None:
    z, y, generator = batch(seed)
    one, two = (torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))[0] for _ in range(2))
    same(sepclr(z @ one, z.exp() @ two, y), sepclr(z, z.exp(), y))
    key = z.sum(1).exp()
    same(cacr_momentum(z @ one, key @ one), cacr_momentum(z, key))


@pytest.mark.parametrize("name", [name for name in [*OF_VIEWS, *OF_TWO_VIEWS] if name != "attribute_alignment"])
def test_length_of_raw_inputs(name: str) -> None:
    call = (OF_VIEWS | OF_TWO_VIEWS)[name]
    z, y, generator = batch(0)
    lengths = torch.rand(8, 2, 1, generator=generator, dtype=torch.float64) * 10 + 0.1
    if name == "sepclr":  # the salient code is raw, by design
        same(sepclr(z * lengths, z, y), sepclr(z, z, y))
        assert not torch.allclose(sepclr(z, z * lengths, y), sepclr(z, z, y))
    elif name == "cacr_momentum":
        same(cacr_momentum(z * lengths, z[:, 0] * lengths[:, 1]), cacr_momentum(z, z[:, 0]))
    else:
        same(call(z * lengths, y), call(z, y))


COLLAPSED: list[tuple[Call, float]] = [
    # on 8 samples of 2 equal views, classes 0, 1, 2, 0, 1, ...
    (lambda z, y: dhel(z, temperature=0.5), 2 * math.log(7) + 2),
    (lambda z, y: mv_dhel(z[:, :1].expand(-1, 4, -1), temperature=0.5), 4 * math.log(7) + 3 / 0.5 - math.log(6)),
    (lambda z, y: mv_infonce(z[:, :1].expand(-1, 4, -1)), math.log(31 / 3)),
    (lambda z, y: mv_infonce(z[:, :1].expand(-1, 4, -1), denominator="cross_view"), math.log(8)),
    (lambda z, y: debiased(z), math.log(15)),
    (lambda z, y: hard(z), math.log(15)),
    (lambda z, y: hard_truncated(z, alpha=0.2), math.log(1 + 3)),
    (lambda z, y: simple(z, weight=3.0), 2.0),
    (lambda z, y: hard_simple(z, weight=3.0), 2.0),
    (lambda z, y: g_simclr(z, torch.arange(8) // 2), math.log(15 - 2)),
    (lambda z, y: mochi(z[:, 0], z[:, 1], z[:5, 0], z[:, :1].expand(-1, 4, -1)), math.log(1 + 5 + 4)),
    (lambda z, y: mochi(z[:, 0], z[:, 1], None, z[:, :1].expand(-1, 4, -1)), math.log(8 + 4)),
    (lambda z, y: sogclr(z), 0.0),
    (lambda z, y: isogclr.parts(z, rho=0.4, temperature=0.5)["objective"].mean(), 0.2),
    (lambda z, y: cacr(z), 0.0),
    (lambda z, y: cacr_momentum(z, z[:, 0], temperature=0.3), 0.6 * math.log(8)),
    (lambda z, y: cacr_momentum(z, z[:, 0], cost="euclidean"), 0.0),
    (lambda z, y: groco(z, hardest=1), math.log(2)),
    (lambda z, y: sepclr(z, 0 * z, y), 0.0),
    (lambda z, y: attribute_alignment(z, y.to(z.dtype)), 0.0),
]


@pytest.mark.parametrize(("call", "expected"), COLLAPSED)
def test_value_of_a_collapsed_batch(call: Call, expected: float) -> None:
    z, y, _ = batch(3)
    assert float(call(z[:1, :1].expand(8, 2, 5), y)) == pytest.approx(expected, abs=1e-12)


def test_bounds_are_the_closed_forms() -> None:
    """Simplex of B samples: cosines 1 and -1 / (B - 1)."""
    b, tau = 16, 0.3
    far = -1 / (b - 1)
    gap = (1 - far) / tau
    assert dhel.bounds(b, temperature=tau)[1] == pytest.approx(2 * math.log(b - 1) + 2 * far / tau - 1 / tau)
    assert mv_dhel.bounds(b, views=3, temperature=tau)[1] == pytest.approx(
        3 * math.log(b - 1) + 3 * far / tau - 1 / tau - math.log(3)
    )
    assert debiased.bounds(b, tau_plus=0.0, temperature=tau) == pytest.approx(
        (math.log(2 * b - 1), math.log1p((2 * b - 2) * math.exp(-gap)))
    )
    assert hard_truncated.bounds(b, alpha=0.2, temperature=tau)[1] == pytest.approx(math.log1p(6 * math.exp(-gap)))
    assert simple.bounds(b, weight=2.0) == pytest.approx((1, -1 + 2 * far))
    assert cacr.bounds(b, beta=0.5) == pytest.approx((0, -0.5 * (2 - 2 * far)), abs=1e-12)
    assert sogclr.bounds(b) == pytest.approx((0, far - 1), abs=1e-12)
    assert groco.bounds(b, hardest=1, steepness=2.0)[1] == pytest.approx(
        -math.log(0.5 + math.atan(2 * (1 - far)) / math.pi)
    )


@pytest.mark.parametrize("steepness", [1.0, 5.0, 50.0])
def test_how_much_of_groco_is_the_network(steepness: float) -> None:
    """Ten negatives and a positive, all equal: 0.202 at any steepness. Even negatives at -1 and a positive at 1 are
    no less than 0.147 when it is 1: the value says little about the order."""
    equal = torch.ones(11, 2, 3, dtype=torch.float64)
    assert float(groco(equal, steepness=steepness)) == pytest.approx(0.202, abs=5e-4)
    opposed = torch.cat([equal[:1], -equal[1:]])
    best = float(groco(opposed, steepness=steepness, reduction="none")[0])
    assert best < 0.2
    if steepness == 1:
        assert best == pytest.approx(0.147, abs=5e-4)


def test_hot_and_cold_limits() -> None:
    """Temperature to infinity: NT-Xent is the simple loss; sharper sorting puts the gradient on fewer negatives."""
    z, _, _ = batch(1)
    tau, terms = 1e5, 15
    hot = (nt_xent(z, temperature=tau) - math.log(terms)) * tau * terms / (terms - 1)
    torch.testing.assert_close(hot, simple(z), atol=1e-5, rtol=0)
    cold = hard_truncated(z, temperature=1e-4, alpha=1.0, reduction="none") * 1e-4
    parts = hard_truncated.parts(z, alpha=1e-9)
    torch.testing.assert_close(cold, (parts["threshold"] - parts["positive"]).relu(), atol=1e-3, rtol=0)


def test_a_steeper_sort_attends_to_the_nearest_negatives() -> None:
    """Share of the negatives' gradient that falls on the 4 nearest of 10, by steepness."""
    x = torch.cat([torch.linspace(-0.6, 0.5, 10, dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)])
    shares = []
    for steepness in (1.0, 10.0, 50.0):
        leaf = x.clone().requires_grad_()
        chance = soft_sort(leaf, steepness)[1][:, 10]
        (-chance[10].log() - (1 - chance[:10]).log().sum()).backward()
        assert leaf.grad is not None
        pull = leaf.grad[:10].abs()
        shares.append(float(pull[-4:].sum() / pull.sum()))
        assert float(leaf.grad.sum()) == pytest.approx(0, abs=1e-12), "sorting does not mind a shift of all numbers"
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.1


def test_synthetic_negatives_never_lower_the_loss_and_send_nothing_back() -> None:
    z, _, _ = batch(2)
    queue = z.flatten(0, 1).roll(1, -1).requires_grad_()
    query = z[:, 0].clone().requires_grad_()
    recipe = draw_mixes(8, hardest=6, pairs=3, queries=3, generator=torch.Generator().manual_seed(0))
    synthetic = mix_hard_negatives(query, queue, recipe)
    parts = mochi.parts(query, z[:, 1], queue.detach(), synthetic)
    assert (parts["loss"] > parts["real"]).all()
    parts["loss"].sum().backward()
    assert queue.grad is None, "nothing flows through the mixes"
    query.grad = None
    expected = torch.autograd.grad(mochi(query, z[:, 1], queue.detach(), synthetic.clone()), query)[0]
    found = torch.autograd.grad(mochi(query, z[:, 1], queue.detach(), mix_hard_negatives(query, queue, recipe)), query)
    same(found[0], expected)


def test_a_noisy_view_is_attracted_more_the_larger_tau_pos() -> None:
    z, _, generator = batch(4, samples=32)
    z = z[:, :1].expand(-1, 5, -1) + 0.1 * torch.randn(32, 5, 5, generator=generator, dtype=torch.float64)
    z[:, 4] += torch.randn(32, 5, generator=generator, dtype=torch.float64)
    mean = [
        float(cacr.parts(z, tau_pos=tau)["positive_weight"].view(32, 5, 5)[:, :4, 4].mean()) for tau in (0.0, 1.0, 4.0)
    ]
    assert mean[0] == pytest.approx(0.25)
    assert mean == sorted(mean)
    assert mean[1] > 0.26


@pytest.mark.parametrize("loss", [sogclr, isogclr], ids=lambda loss: loss.name)
def test_a_larger_average_weighs_negatives_less(loss: Loss) -> None:
    """The moving average stands for the negatives the batch does not hold: twice the mean, half the weight."""
    z, _, _ = batch(6)
    now = loss.parts(z)["log_mean"]
    twice = now.view(-1, 2).exp()
    past = (2 * twice[:, 0] / 0.5 - twice[:, 0]).log()  # so that (1 - gamma) past + gamma now = 2 now for view 0
    halved = loss.parts(z, past, gamma=0.5)
    plain = loss.parts(z)
    repulsion, whole = (parts["loss"] + parts["positive"] for parts in (halved, plain))
    same(repulsion.view(-1, 2)[:, 0], whole.view(-1, 2)[:, 0] / 2)
