"""What losses led by numbers, lists or a teacher are to each other."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.continual import multimodal_supcon, nspt, ntpt
from cl_explore.losses.identities.web import Sides, identity, partners, points, strangers
from cl_explore.losses.listwise import listwise_kl, listwise_wasserstein
from cl_explore.losses.regression import rnc, supremix

PLAIN: dict[str, Any] = {"distance_weight": "off", "mix_negatives": "off", "mix_positives": "off"}


@identity
def rnc_of_equal_targets_is_a_full_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = z.flatten(0, 1)
    logits = (-torch.cdist(x, x) / tau).fill_diagonal_(-torch.inf)
    n = len(x)
    pairs = -logits.log_softmax(1)[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    return rnc(z, torch.zeros_like(z[:, 0, 0]), temperature=tau, reduction="none"), pairs.mean(1)


@identity
def rnc_sees_only_the_order_of_targets(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = y.to(z.dtype)  # distances 0, 1 and 2: any increasing map of them will do
    return rnc(z, targets, temperature=tau), rnc(z, 8 - 4 * targets, temperature=tau)


@identity
def rnc_of_views_is_that_of_repeated_targets(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = y.to(z.dtype)
    return rnc(z, targets, temperature=tau), rnc(z.flatten(0, 1), targets.repeat_interleave(2), temperature=tau)


@identity
def supremix_without_weight_and_mixtures_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    return supremix(z, y.to(z.dtype), temperature=tau, **PLAIN), losses.supcon(z, y, temperature=tau)


@identity
def supremix_of_unique_targets_without_weight_and_mixtures_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = torch.arange(len(z), dtype=z.dtype)
    return supremix(z, targets, temperature=tau, **PLAIN), losses.nt_xent(z, temperature=tau)


@identity
def supremix_with_no_anchor_in_its_mixtures_counts_negatives_twice(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = torch.arange(len(z), dtype=z.dtype)
    knobs: dict[str, Any] = PLAIN | {"mix_negatives": "on", "reduction": "none"}
    twice = strangers(z).repeat(1, 2, 1)
    return (
        supremix(z, targets, temperature=tau, anchor_share=0.0, **knobs),
        losses.info_nce(points(z), partners(z), twice, temperature=tau, reduction="none"),
    )


@identity
def supremix_mixes_a_positive_out_of_two_neighbours(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Targets 0, 1, 3: the middle one has the mixture 2/3 and 1/3 of its neighbours for a positive."""
    x = F.normalize(z[:3, 0], dim=-1)
    targets = torch.tensor([0.0, 1.0, 3.0], dtype=z.dtype)
    knobs: dict[str, Any] = PLAIN | {"mix_positives": "on"}
    left = supremix(x, targets, temperature=tau, window=2.5, reduction="none", **knobs)[1:2]
    mixture = (2 * x[[0]] + x[[2]]) / 3
    right = losses.info_nce(x[[1]], mixture, x[[0, 2]], temperature=tau, normalize=False, reduction="none")
    return left, right


def lists(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, their lists of three passages, and levels 0 to 3."""
    passages = torch.stack([z[:, 1], z[:, 0] + z[:, 1], z[:, 1].roll(1, 0) - z[:, 0]], 1)
    return z[:, 0], passages, torch.arange(3 * len(z)).view(-1, 3) % 4


def scores_as_products(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Query and passages (of any length) whose inner products are the scores (N, N k)."""
    return scores, torch.eye(scores.shape[1], dtype=scores.dtype).view(len(scores), k, -1)


@identity
def listwise_wasserstein_is_blind_to_the_order_of_queries(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, passages, relevance = lists(z)
    left = listwise_wasserstein(query, passages, relevance, temperature=tau)
    return left, listwise_wasserstein(query.roll(1, 0), passages, relevance, temperature=tau)


@identity
def listwise_wasserstein_of_the_levels_themselves_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    relevance = lists(z)[2]
    levels = torch.zeros(len(z), len(z), 3, dtype=z.dtype)
    levels[range(len(z)), range(len(z))] = relevance.to(z.dtype)
    query, passages = scores_as_products(levels.flatten(1) * tau + z[:, 0, :1], 3)
    left = listwise_wasserstein(query, passages, relevance, temperature=tau, normalize=False)
    return left, torch.zeros_like(left)


@identity
def listwise_wasserstein_of_two_columns_compares_mean_and_deviation(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Two queries of one passage: shares p and 1 - p, a Gaussian in one dimension seen twice."""
    query, passages = z[:2, 0], z[:2, 1:]
    left = listwise_wasserstein(query, passages, torch.ones(2, 1, dtype=torch.long), temperature=tau)
    scores = F.normalize(query, dim=1) @ F.normalize(passages[:, 0], dim=1).T
    p = (scores / tau).softmax(1)[:, 0]
    t = torch.eye(2, dtype=z.dtype).softmax(1)[:, 0]
    return left, 2 * ((p.mean() - t.mean()).square() + (p.std() - t.std()).square())


@identity
def listwise_kl_is_a_part_of_listwise_wasserstein(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = listwise_wasserstein.parts(*lists(z), temperature=tau)
    return parts["kl"], listwise_kl(*lists(z), temperature=tau, reduction="none")


@identity
def listwise_kl_of_one_best_passage_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, passages, _ = lists(z)
    relevance = torch.tensor([[1, 0, 0]]).expand(len(z), 3)
    negatives = F.normalize(passages, dim=-1).flatten(0, 1)
    rest = torch.stack([torch.cat([negatives[: 3 * i], negatives[3 * i + 1 :]]) for i in range(len(z))])
    left = listwise_kl(query, passages, relevance, temperature=tau, label_scale=1e3, reduction="none")
    return left, losses.info_nce(query, passages[:, 0], rest, temperature=tau, reduction="none")


@identity
def literal_nspt_with_the_student_for_a_teacher_is_ntpt(z: Tensor, y: Tensor, tau: float) -> Sides:
    old = (torch.arange(len(z)) % 2).long()
    return (
        nspt(z, y, z, old, temperature=tau, denominator="literal", reduction="none"),
        ntpt(z, y, z, old, temperature=tau, reduction="none"),
    )


@identity
def nspt_of_unique_labels_is_softplus_of_its_decoupled_form(z: Tensor, y: Tensor, tau: float) -> Sides:
    unique = torch.arange(len(z))
    decoupled = nspt(z[:, 0], unique, z[:, 1], temperature=tau, denominator="no_positive", reduction="none")
    return nspt(z[:, 0], unique, z[:, 1], temperature=tau, reduction="none"), F.softplus(decoupled, threshold=100)


@identity
def nspt_of_unique_labels_is_info_nce_with_the_students_as_negatives(z: Tensor, y: Tensor, tau: float) -> Sides:
    student, teacher = z[:, 0], z[:, 1]
    left = nspt(student, torch.arange(len(z)), teacher, temperature=tau, reduction="none")
    return left, losses.info_nce(student, teacher, strangers(student[:, None]), temperature=tau, reduction="none")


@identity
def ntpt_of_unique_labels_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = ntpt(z[:, 0], torch.arange(len(z)), z[:, 1], temperature=tau, reduction="none")
    return left, losses.info_nce(z[:, 0], z[:, 1], temperature=tau, reduction="none")


@identity
def ntpt_is_one_direction_of_multimodal_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    both = multimodal_supcon(z, y, temperature=tau, reduction="none").view(-1, 2)
    return ntpt(z[:, 0], y, z[:, 1], temperature=tau, reduction="none"), both[:, 0]


@identity
def multimodal_supcon_of_unique_labels_is_info_nce_both_ways(z: Tensor, y: Tensor, tau: float) -> Sides:
    one, other = z[:, 0], z[:, 1]
    both = (losses.info_nce(one, other, temperature=tau) + losses.info_nce(other, one, temperature=tau)) / 2
    return multimodal_supcon(z, torch.arange(len(z)), temperature=tau), both
