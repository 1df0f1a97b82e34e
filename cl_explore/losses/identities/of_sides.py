"""What losses of pairs, of two sides, with a queue or without negatives are to each other."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses import alignment, info_nce, triplet
from cl_explore.losses.assignment import sinkhorn, swav
from cl_explore.losses.devices import collossl
from cl_explore.losses.hypersphere import koleo
from cl_explore.losses.identities.web import Sides, identity, points
from cl_explore.losses.infonce import cpc
from cl_explore.losses.modalities import clip, mil_nce
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.queued import moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.sigmoid import siglip
from cl_explore.losses.spectral import spectral
from cl_explore.losses.text_label import label_nce


def unit(z: Tensor) -> Tensor:
    return F.normalize(z, dim=-1)


@identity
def n_pair_without_penalty_is_info_nce_of_raw_embeddings(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    raw = info_nce(q, k, temperature=1.0, normalize=False, reduction="none")
    return n_pair(q, k, l2=0.0, reduction="none"), raw


@identity
def n_pair_on_a_sphere_is_info_nce_whose_temperature_is_the_radius(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = (unit(z) / math.sqrt(tau)).unbind(1)
    return n_pair(q, k, l2=tau), info_nce(q, k, temperature=tau) + 2


@identity
def cpc_of_the_identity_is_info_nce_of_raw_embeddings(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    identity = torch.eye(z.shape[2], dtype=z.dtype)
    return (
        cpc(q, k, identity, temperature=tau, reduction="none"),
        info_nce(q, k, temperature=tau, normalize=False, reduction="none"),
    )


@identity
def critic_of_cpc_may_move_into_the_context(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    critic = torch.linspace(-1, 1, z.shape[2] ** 2, dtype=z.dtype).view(z.shape[2], -1)
    return cpc(q, k, critic, temperature=tau), cpc(q @ critic, k, temperature=tau)


@identity
def clip_is_the_mean_of_two_info_nces(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    both = [info_nce(a, b, temperature=tau, reduction="none") for a, b in ((q, k), (k, q))]
    return clip(q, k, temperature=tau, reduction="none"), (both[0] + both[1]) / 2


@identity
def clip_does_not_know_which_side_is_which(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    return clip(q, k, temperature=tau, reduction="none"), clip(k, q, temperature=tau, reduction="none")


@identity
def mil_nce_of_single_candidates_is_clip(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    return (
        mil_nce(q, k[:, None], temperature=tau, reduction="none"),
        clip(q, k, temperature=tau, reduction="none"),
    )


@identity
def mil_nce_of_queries_with_single_candidates_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    return (
        mil_nce(q, k[:, None], temperature=tau, direction="query", reduction="none"),
        info_nce(q, k, temperature=tau, reduction="none"),
    )


@identity
def mil_nce_of_repeated_candidates_is_that_of_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z[:, 0], z[:, 1:]
    return mil_nce(q, k.expand(-1, 5, -1), temperature=tau), mil_nce(q, k, temperature=tau)


@identity
def collossl_of_its_own_batch_is_mil_nce_of_queries(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z[:, 0], z
    return collossl(q, k, temperature=tau), mil_nce(q, k, temperature=tau, direction="query")


@identity
def joint_mil_nce_adds_the_odds_of_the_two_directions(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z[:, 0], z
    one = mil_nce(q, k, temperature=tau, direction="query", reduction="none")
    both = mil_nce(q, k, temperature=tau, direction="both", reduction="none")
    joint = mil_nce(q, k, temperature=tau, direction="joint", reduction="none")
    return joint, torch.logaddexp(one, 2 * both - one)


@identity
def moco_is_info_nce_with_the_queue_as_negatives(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    queue = z.flatten(0, 1)[:5]
    return (
        moco(q, k, queue, temperature=tau, reduction="none"),
        info_nce(q, k, queue, temperature=tau, reduction="none"),
    )


@identity
def siglip_is_binary_cross_entropy_over_all_pairs(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = unit(z).unbind(1)
    logits = q @ k.T / tau - 3
    match = torch.eye(len(z), dtype=z.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, match, reduction="sum") / len(z)
    return siglip(q, k, temperature=tau, bias=-3.0), entropy


@identity
def siglip_does_not_know_which_side_is_which(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    return siglip(q, k, temperature=tau, bias=-2.0), siglip(k, q, temperature=tau, bias=-2.0)


@identity
def nnclr_whose_queue_is_the_batch_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Everyone is its own neighbour, so the anchors are the projections themselves, one view at a time."""
    p = z.roll(1, 2)
    queue = z.flatten(0, 1)
    directions = [info_nce(z[:, v], p[:, 1 - v], temperature=tau, reduction="none") for v in (0, 1)]
    return nnclr(z, p, queue, temperature=tau, reduction="none"), torch.stack(directions, 1).flatten()


@identity
def byol_is_two_plus_twice_simsiam(z: Tensor, y: Tensor, tau: float) -> Sides:
    p = z.roll(1, 2)
    return byol(z, p, reduction="none"), 2 + 2 * simsiam(z, p, reduction="none")


@identity
def byol_without_a_predictor_has_the_value_of_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    return byol(z, z, reduction="none"), alignment(z, alpha=2.0, reduction="none")


@identity
def invariance_of_vicreg_is_alignment_of_raw_embeddings_by_dimension(z: Tensor, y: Tensor, tau: float) -> Sides:
    alone = vicreg(z, invariance=1.0, variance=0.0, covariance=0.0, reduction="none")
    return alone, alignment(z, alpha=2.0, normalize=False, reduction="none") / z.shape[2]


@identity
def barlow_twins_is_the_distance_of_the_correlations_from_the_identity(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = barlow_twins.parts(z, redundancy=1.0)
    gap = parts["correlation"] - torch.eye(z.shape[2], dtype=z.dtype)
    return parts["loss"][0], gap.square().sum()


@identity
def pull_of_the_spectral_loss_on_the_sphere_is_alignment(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z.unbind(1)
    pull = spectral.parts(q, k, radius="free", normalize=True)["pull"]
    return pull + 2, alignment(z, alpha=2.0, reduction="none")[::2]


@identity
def mu_of_the_spectral_loss_weighs_the_push_on_the_sphere(z: Tensor, y: Tensor, tau: float) -> Sides:
    """On the sphere of radius sqrt(mu), divided by mu, mu stands before the squared cosines."""
    mu = 10 * tau
    q, k = (10 * unit(z)).unbind(1)
    parts = spectral.parts(q, k, radius="free", normalize=True)
    return spectral(q, k, mu=mu, reduction="none"), parts["pull"] + mu * parts["push"]


@identity
def koleo_of_two_samples_is_minus_the_log_of_their_distance(z: Tensor, y: Tensor, tau: float) -> Sides:
    two = z[:2]
    distance = (unit(two)[0] - unit(two)[1]).norm(dim=-1)
    return koleo(two, eps=tau, reduction="none").view(2, 2)[0], -(distance + tau).log()


@identity
def swav_of_one_prototype_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    value = swav(z, z[:1, 0], temperature=tau, reduction="none")
    return value, torch.zeros_like(value)


@identity
def swav_of_soft_codes_is_the_distance_from_equal_shares(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = z[:3, 0]
    logits = points(z) @ unit(w).T / tau
    return swav(z, w, temperature=tau, epsilon=1e12, reduction="none"), -logits.log_softmax(1).mean(1)


@identity
def sinkhorn_of_balanced_codes_is_one_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    """A circulant matrix of scores has equal column sums to begin with."""
    row = unit(z)[:, 0, 0]
    scores = torch.stack([row.roll(shift) for shift in range(len(row))])
    return sinkhorn(scores, epsilon=tau, iterations=3), (scores / tau).softmax(1)


def three(z: Tensor) -> tuple[Tensor, Tensor]:
    """Two points of one class and a stranger: two anchors, each with one positive and one negative."""
    return z[:3, 0], torch.tensor([0, 0, 1])


@identity
def generalized_lifted_of_single_pairs_is_the_triplet_loss(z: Tensor, y: Tensor, tau: float) -> Sides:
    return lifted(*three(z), margin=tau, form="generalized"), triplet(*three(z), margin=tau)


@identity
def soft_triplets_are_the_exponentials_of_generalized_lifted(z: Tensor, y: Tensor, tau: float) -> Sides:
    """A margin of 2 and more keeps the hinge open; the softplus of a single triplet is that of the open hinge."""
    x, labels = three(z)
    j = lifted(x, labels, margin=tau + 2, form="generalized", reduction="none")[:2]
    soft = triplet(x, labels, margin=tau + 2, hinge="softplus", reduction="none")[:2]
    return F.softplus(j), soft


@identity
def circle_of_one_pair_each_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, labels = three(z)
    s, m, gamma = unit(x) @ unit(x).T, 0.3, 1 / tau
    near = -gamma * (1 + m - s[0, 1]).relu() * (s[0, 1] - 1 + m)
    far = gamma * (s[:2, 2] + m).relu() * (s[:2, 2] - m)
    return circle(x, labels, margin=m, gamma=gamma, reduction="none")[:2], F.softplus(near + far)


@identity
def circle_of_the_batch_sees_each_pair_once(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, labels = three(z)
    s, m, gamma = unit(x) @ unit(x).T, 0.3, 1 / tau
    near = -gamma * (1 + m - s[0, 1]).relu() * (s[0, 1] - 1 + m)
    far = gamma * (s[:2, 2] + m).relu() * (s[:2, 2] - m)
    return circle(x, labels, margin=m, gamma=gamma, scope="batch"), F.softplus(near + far.logsumexp(0))


@identity
def multi_similarity_of_unique_labels_only_pushes(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = z[:, 0]
    parts = multi_similarity.parts(x, torch.arange(len(x)), beta=1 / tau)
    logits = (unit(x) @ unit(x).T - 0.5) / tau
    logits = logits.masked_fill(torch.eye(len(x), dtype=torch.bool), -torch.inf)
    return parts["loss"], tau * F.softplus(logits.logsumexp(1))


@identity
def mining_keeps_all_pairs_when_its_slack_is_wide(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Cosines are at most 2 apart; every anchor has a second view and, labels 0 and 1 occurring, a negative."""
    mined = multi_similarity(z, y, beta=1 / tau, margin=2.1, mining="hard", reduction="none")
    return mined, multi_similarity(z, y, beta=1 / tau, reduction="none")


@identity
def label_nce_of_a_batch_is_info_nce_of_raw_products(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k = z[:, 0], z[:, 1]
    left = label_nce(q, k, temperature=tau, reduction="none")
    return left, info_nce(q, k, temperature=tau, normalize=False, reduction="none")


@identity
def label_nce_with_one_negative_ranks_by_a_soft_margin(z: Tensor, y: Tensor, tau: float) -> Sides:
    q, k, far = z[:, 0], z[:, 1], z[:, :1].flip(0)
    ranking, margin = (label_nce(q, k, far, temperature=tau, objective=how) for how in ("ranking", "soft margin"))
    return ranking, margin
