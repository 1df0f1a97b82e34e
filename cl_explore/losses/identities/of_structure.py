"""What losses with a state, a weighing, a sort or two codes are to each other."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.attraction import cacr, cacr_momentum
from cl_explore.losses.decoupled import dcl
from cl_explore.losses.hypersphere import alignment, uniformity
from cl_explore.losses.identities.web import Sides, identity, points, strangers
from cl_explore.losses.infonce import info_nce
from cl_explore.losses.sorting import groco, soft_sort
from cl_explore.losses.structure import attribute_alignment, sepclr
from cl_explore.losses.temperature import isogclr, sogclr


@identity
def sogclr_objective_is_dcl_up_to_scale(z: Tensor, y: Tensor, tau: float) -> Sides:
    objective = sogclr.parts(z, temperature=tau)["objective"]
    return objective, tau * (dcl(z, temperature=tau, reduction="none") - math.log(2 * len(z) - 2))


@identity
def sogclr_gradient_is_that_of_dcl_times_tau(z: Tensor, y: Tensor, tau: float) -> Sides:
    z = z.requires_grad_()
    (left,) = torch.autograd.grad(sogclr(z, temperature=tau), z)
    (right,) = torch.autograd.grad(dcl(z, temperature=tau), z)
    return left, tau * right


@identity
def isogclr_is_sogclr_plus_rho_tau(z: Tensor, y: Tensor, tau: float) -> Sides:
    robust, plain = (loss.parts(z, temperature=tau) for loss in (isogclr, sogclr))
    return robust["objective"] - 0.3 * tau, plain["objective"]


@identity
def temperature_gradient_is_rho_minus_kl(z: Tensor, y: Tensor, tau: float) -> Sides:
    slope = isogclr.parts(z, temperature=tau, rho=0.7)["temperature_gradient"]
    p = (torch.einsum("nd,nmd->nm", points(z), strangers(z)) / tau).softmax(1)
    return slope, 0.7 - (p * (p * p.shape[1]).log()).sum(1)


@identity
def sogclr_of_one_visit_forgets_its_state(z: Tensor, y: Tensor, tau: float) -> Sides:
    unseen = torch.full((len(z),), -torch.inf, dtype=z.dtype)
    return sogclr(z, unseen, temperature=tau, gamma=0.3), sogclr(z, temperature=tau)


@identity
def cacr_attraction_of_two_views_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    return cacr.parts(z, tau_pos=5 * tau)["attraction"], alignment(z, alpha=2.0, reduction="none")


@identity
def cacr_without_weights_is_a_mean_of_distances(z: Tensor, y: Tensor, tau: float) -> Sides:
    """The second view of the others is the memory: 2 - 2 cosines, hence twice the simple loss."""
    value = cacr(z, tau_pos=0.0, tau_neg=0.0, beta=tau)
    x = F.normalize(z, dim=-1)
    s = x[:, 0] @ x[:, 1].T
    mean = (s.sum() - s.trace()) / (len(z) * (len(z) - 1))
    return value, 2 - 2 * s.diagonal().mean() - tau * (2 - 2 * mean)


@identity
def cacr_of_all_pairs_does_not_mind_the_order_of_views(z: Tensor, y: Tensor, tau: float) -> Sides:
    knobs: dict[str, Any] = {"tau_pos": tau, "tau_neg": 3 * tau, "pairs": "all"}
    return cacr(z, **knobs), cacr(z.flip(1), **knobs)


@identity
def cacr_of_sharp_weights_repels_the_nearest(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = cacr.parts(z, tau_neg=1e9, beta=tau)
    cost = parts["negative_cost"].view(len(z), 2, 2, len(z))[:, 0, 1]
    own = torch.eye(len(z), dtype=torch.bool)
    return parts["repulsion"].view(-1, 2)[:, 0], -2 * tau * cost.masked_fill(own, torch.inf).amin(1)


@identity
def cacr_momentum_of_one_query_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = cacr_momentum(z[:, 0], z[:, 1], temperature=tau, reduction="none")
    return left, 2 * tau * info_nce(z[:, 0], z[:, 1], temperature=tau, reduction="none")


@identity
def cacr_momentum_of_equal_queries_is_the_one_of_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    knobs: dict[str, Any] = {"temperature": tau, "cost": "euclidean"}
    return cacr_momentum(z[:, :1].expand(-1, 3, -1), z[:, 1], **knobs), cacr_momentum(z[:, 0], z[:, 1], **knobs)


@identity
def groco_of_one_negative_is_an_arctangent(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = F.normalize(z, dim=-1)
    positive = (x[:, 0] * x[:, 1]).sum(1)[:, None]
    own = torch.eye(len(z), dtype=torch.bool)
    nearest = torch.stack([(x[:, v] @ x[:, v].T).masked_fill(own, -torch.inf).amax(1) for v in range(2)], 1)
    chance = 0.5 + torch.atan((positive - nearest) / tau) / math.pi
    return groco(z, hardest=1, steepness=1 / tau, reduction="none"), -chance.log().flatten()


@identity
def groco_of_equal_similarities_is_a_constant(z: Tensor, y: Tensor, tau: float) -> Sides:
    equal = z[:1, :1].expand(z.shape)
    return groco(equal, hardest=3, steepness=1 / tau), groco(torch.ones_like(z), hardest=3)


@identity
def soft_permutations_are_doubly_stochastic(z: Tensor, y: Tensor, tau: float) -> Sides:
    _, permutation = soft_sort(z.flatten(1), 1 / tau)
    sums = torch.cat([permutation.sum(-1), permutation.sum(-2)])
    return sums, torch.ones_like(sums)


@identity
def a_steep_soft_sort_sorts(z: Tensor, y: Tensor, tau: float) -> Sides:
    numbers = z.flatten(1)
    # Neighbours at a distance d of each other still exchange 1 / (pi steepness d) of their values.
    return soft_sort(numbers, 1e15)[0], numbers.sort(1).values


@identity
def sepclr_without_targets_is_alignment_plus_uniformity(z: Tensor, y: Tensor, tau: float) -> Sides:
    salient = torch.zeros_like(z)
    left = sepclr(z, salient, torch.zeros_like(y), temperature=tau, joint_weight=0)
    return left, alignment(z, alpha=2.0) / (2 * tau) + 2 * uniformity(z, t=1 / (2 * tau))


@identity
def sepclr_salient_terms_of_targets_are_alignment_and_uniformity(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = sepclr.parts(z, F.normalize(z.roll(1, -1), dim=-1), torch.ones_like(y), temperature=tau)
    turned = z.roll(1, -1)
    expected = torch.stack([alignment(turned, alpha=2.0) / (2 * tau), uniformity(turned, t=1 / (2 * tau))])
    return torch.stack([parts[f"salient_{name}"].mean() for name in ("alignment", "uniformity")]), expected


@identity
def sepclr_joint_entropy_without_salient_code_is_that_of_the_potentials(z: Tensor, y: Tensor, tau: float) -> Sides:
    joint = sepclr.parts(z, torch.zeros_like(z), y, temperature=tau)["joint_entropy"]
    potential = uniformity.parts(z, t=1 / (2 * tau))["potential"]
    return joint, ((1 + (len(z) - 1) * potential.exp()) / len(z)).log()


@identity
def sepclr_informationless_is_half_the_square_norm_over_tau(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = sepclr.parts(z, z, y, temperature=tau)
    return parts["informationless"].mean(), z[y == 0].square().sum(-1).mean() / (2 * tau)


@identity
def sepclr_dropped_pairs_are_those_of_value_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Background pairs are at distance 0: kept, they add their number to the sum."""
    keep, drop = (
        sepclr.parts(z, z, y, temperature=tau, background_pairs=which)["salient_uniformity"][:2]
        for which in ("keep", "drop")
    )
    background, pairs = int((y == 0).sum()), len(z) * (len(z) - 1)
    ones = background * (background - 1)
    return keep, ((drop.exp() * (pairs - ones) + ones) / pairs).log()


@identity
def attribute_alignment_of_one_target_is_the_mean_square_distance(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = z.flatten(0, 1)
    mean = (x[:, None] - x).square().sum(-1).sum() / (len(x) * (len(x) - 1))
    return attribute_alignment(z, torch.full((len(z),), tau, dtype=z.dtype)), mean


@identity
def attribute_alignment_of_far_targets_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Only the views of a sample share its target."""
    each = attribute_alignment(F.normalize(z, dim=-1), torch.arange(len(z)).to(z.dtype) * 100, reduction="none")
    return each, alignment(z, alpha=2.0, reduction="none") / (2 * len(z) - 1)
