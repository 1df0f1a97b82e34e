"""What losses that choose, weigh or sort their negatives are to each other, and those of structure."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.decoupled import dhel
from cl_explore.losses.hypersphere import alignment
from cl_explore.losses.identities.web import Sides, identity, points, strangers
from cl_explore.losses.infonce import info_nce, nt_xent
from cl_explore.losses.mochi import Mixes, mix_hard_negatives, mochi
from cl_explore.losses.multiview import mv_dhel, mv_infonce
from cl_explore.losses.negatives import debiased, g_simclr, hard, mcl, selfie
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.truncation import hard_simple, hard_truncated, simple


@identity
def mv_dhel_of_two_views_is_dhel(z: Tensor, y: Tensor, tau: float) -> Sides:
    return mv_dhel(z, temperature=tau, reduction="none"), dhel(z, temperature=tau, reduction="none")


@identity
def dhel_without_the_second_energy_is_dcl_within_the_view(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = dhel.parts(z, temperature=tau)
    x = F.normalize(z[:, 0], dim=-1)
    within = row_lse(x, x, 1 / tau, exclude=["self"]) - (x * F.normalize(z[:, 1], dim=-1)).sum(1) / tau
    return (parts["energy"] - parts["alignment"]).view(-1, 2)[:, 0], within


@identity
def mv_infonce_sums_what_nt_xent_takes_apart(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Two views: NT-Xent averages a ratio for each view; MV-InfoNCE has one ratio of the two sums."""
    each = nt_xent.parts(z, temperature=tau)
    energies = (each["loss"] + each["positive"] / tau).view(-1, 2)
    pull = each["positive"].view(-1, 2)[:, 0] / tau + math.log(2)
    return mv_infonce(z, temperature=tau), (energies.logsumexp(1) - pull).mean()


@identity
def mv_infonce_across_two_views_is_info_nce_of_the_sums(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = F.normalize(z, dim=-1)
    s = x[:, 0] @ x[:, 1].T / tau
    both = torch.logaddexp(s.logsumexp(1), s.logsumexp(0)) - s.diagonal() - math.log(2)
    return mv_infonce(z, temperature=tau, denominator="cross_view"), both.mean()


@identity
def debiased_without_false_negatives_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = debiased(z, temperature=tau, tau_plus=0.0, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


@identity
def hard_without_hardness_is_debiased(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = hard(z, temperature=tau, tau_plus=0.1, beta=0.0, reduction="none")
    return left, debiased(z, temperature=tau, tau_plus=0.1, reduction="none")


@identity
def hard_without_both_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    return hard(z, temperature=tau, tau_plus=0.0, beta=0.0), nt_xent(z, temperature=tau)


@identity
def hard_with_held_weights_has_the_same_value(z: Tensor, y: Tensor, tau: float) -> Sides:
    return hard(z, temperature=tau, weight_grad="detach"), hard(z, temperature=tau)


@identity
def debiased_at_its_floor_is_a_constant_of_the_positive(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Views equal and tau_plus near 1: n exp(-1 / tau) negatives are left beside exp(1 / tau)."""
    n = 2 * len(z) - 2
    value = debiased(z[:, :1].expand(-1, 2, -1), temperature=tau, tau_plus=0.99)
    return value, torch.tensor(n * math.exp(-2 / tau), dtype=z.dtype).log1p()


@identity
def hard_truncated_of_all_negatives_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = hard_truncated(z, temperature=tau, alpha=1.0, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


@identity
def hard_truncated_to_one_negative_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = hard_truncated.parts(z, temperature=tau, alpha=1e-9)
    nearest = torch.einsum("nd,nmd->nm", points(z), strangers(z)).amax(1)
    return parts["loss"], F.softplus((nearest - parts["positive"]) / tau)


@identity
def hard_truncated_of_a_memory_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    memory = z.flatten(0, 1).roll(1, -1)
    each = hard_truncated(z, memory, temperature=tau, alpha=1.0, reduction="none").view(-1, 2)[:, 0]
    return each, info_nce(z[:, 0], z[:, 1], memory, temperature=tau, reduction="none")


@identity
def hard_simple_of_all_negatives_is_simple(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = hard_simple(z, alpha=1.0, weight=tau, reduction="none")
    return left, simple(z, weight=tau, reduction="none")


@identity
def simple_without_repulsion_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    return simple(z, weight=0.0, reduction="none"), alignment(z, alpha=2.0, reduction="none") / 2 - 1


@identity
def mochi_without_synthesis_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, positive, queue = z[:, 0], z[:, 1], z.flatten(0, 1).roll(1, -1)
    left = mochi(query, positive, queue, temperature=tau, reduction="none")
    return left, info_nce(query, positive, queue, temperature=tau, reduction="none")


@identity
def mochi_without_a_queue_is_info_nce_in_the_batch(z: Tensor, y: Tensor, tau: float) -> Sides:
    return mochi(z[:, 0], z[:, 1], temperature=tau), info_nce(z[:, 0], z[:, 1], temperature=tau)


@identity
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


@identity
def g_simclr_of_unique_labels_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = g_simclr(z, torch.arange(len(z)), temperature=tau, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


@identity
def g_simclr_of_one_cluster_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    value = g_simclr(z, torch.zeros_like(y), temperature=tau)
    return value, torch.zeros_like(value)


@identity
def g_simclr_is_nt_xent_without_the_masked_samples(z: Tensor, y: Tensor, tau: float) -> Sides:
    """The first sample's loss in a batch from which the others of its cluster were taken out."""
    y = torch.cat([y[:1], y[1:]])
    kept = torch.cat([torch.tensor([True]), y[1:] != y[0]])
    left = g_simclr(z, y, temperature=tau, reduction="none")[:2]
    return left, nt_xent(z[kept], temperature=tau, reduction="none")[:2]


@identity
def mcl_of_one_group_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = mcl(z, torch.zeros_like(y), temperature=tau, reduction="none")
    return left, nt_xent(z, temperature=tau, reduction="none")


@identity
def mcl_of_groups_of_one_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    value = mcl(z, torch.arange(len(z)), temperature=tau)
    return value, torch.zeros_like(value)


@identity
def mcl_is_nt_xent_within_the_group(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Group by group; the mean of the whole batch weighs each by its size."""
    group = torch.arange(len(z)) % 2
    left = mcl(z, group, temperature=tau)
    each = torch.stack([nt_xent(z[group == own], temperature=tau) for own in range(2)])
    return left, (each * group.bincount()).sum() / len(z)


@identity
def selfie_of_one_image_is_info_nce_of_raw_products(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, key = z[:, 0], z[:, 1]
    left = selfie(query, key, torch.zeros_like(y), temperature=tau, reduction="none")
    return left, info_nce(query, key, temperature=tau, normalize=False, reduction="none")


@identity
def selfie_of_images_with_one_hole_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    value = selfie(z[:, 0], z[:, 1], torch.arange(len(z)), temperature=tau, reduction="none")
    return value, torch.zeros_like(value)


@identity
def selfie_does_not_mind_what_all_patches_of_an_image_share(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, key, image = z[:, 0], z[:, 1], torch.arange(len(z)) % 2
    shared = key + z[:2, 0][image]
    return selfie(query, shared, image, temperature=tau), selfie(query, key, image, temperature=tau)
