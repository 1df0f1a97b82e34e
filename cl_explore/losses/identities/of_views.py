"""What losses of views and labels are to each other."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.identities.web import Sides, identity, partners, points, strangers


@identity
def nt_xent_is_softplus_of_dcl(z: Tensor, y: Tensor, tau: float) -> Sides:
    each = losses.dcl(z, temperature=tau, reduction="none")
    return losses.nt_xent(z, temperature=tau, reduction="none"), F.softplus(each)


@identity
def supcon_of_unique_labels_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    return losses.supcon(z, torch.arange(len(z)), temperature=tau), losses.nt_xent(z, temperature=tau)


@identity
def supcon_in_of_unique_labels_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    unique = torch.arange(len(z))
    return losses.supcon_in(z, unique, temperature=tau), losses.supcon(z, unique, temperature=tau)


@identity
def views_of_supcon_are_samples_with_repeated_labels(z: Tensor, y: Tensor, tau: float) -> Sides:
    return losses.supcon(z, y, temperature=tau), losses.supcon(points(z), y.repeat_interleave(2), temperature=tau)


@identity
def nt_xent_is_info_nce_with_every_other_point_a_negative(z: Tensor, y: Tensor, tau: float) -> Sides:
    return (
        losses.nt_xent(z, temperature=tau, reduction="none"),
        losses.info_nce(points(z), partners(z), strangers(z), temperature=tau, reduction="none"),
    )


@identity
def info_nce_with_one_negative_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, key, negative = (F.normalize(part, dim=-1) for part in (z[:, 0], z[:, 1], z.roll(1, 0)[:, 0]))
    gap = ((query * negative).sum(1) - (query * key).sum(1)) / tau
    return losses.info_nce(query, key, negative[:, None], temperature=tau, reduction="none"), F.softplus(gap)


@identity
def dclw_of_wide_sigma_is_dcl(z: Tensor, y: Tensor, tau: float) -> Sides:
    return losses.dclw(z, temperature=tau, sigma=1e12, reduction="none"), losses.dcl(
        z, temperature=tau, reduction="none"
    )


@identity
def dclw_weights_average_to_one(z: Tensor, y: Tensor, tau: float) -> Sides:
    weight = losses.dclw.parts(z, sigma=tau)["weight"]
    return weight.mean(), torch.ones_like(weight[0])


@identity
def varcon_without_kl_is_cross_entropy_to_batch_centroids(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, own = points(z), y.repeat_interleave(2)
    classes, own = own.unique(return_inverse=True)
    centroids = F.normalize(torch.stack([x[own == c].mean(0) for c in range(len(classes))]), dim=1)
    return (
        losses.varcon(z, y, temperature=tau, epsilon=0.0, kl_weight=0),
        F.cross_entropy(x @ centroids.T / tau, own),
    )


@identity
def varcon_is_kl_plus_nll(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = losses.varcon.parts(z, y, temperature=tau, epsilon=tau / 2)
    return parts["loss"], parts["kl"] + parts["nll"]


@identity
def varcon_of_the_doubled_batch_is_varcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    twice = losses.varcon(torch.cat([z, z]), torch.cat([y, y]), temperature=tau, epsilon=tau / 5)
    return twice, losses.varcon(z, y, temperature=tau, epsilon=tau / 5)


@identity
def alignment_squared_is_two_minus_two_cosines(z: Tensor, y: Tensor, tau: float) -> Sides:
    cosine = losses.nt_xent.parts(z)["positive"]
    return losses.alignment(z, alpha=2.0, reduction="none"), 2 - 2 * cosine


@identity
def align_uniform_is_the_sum(z: Tensor, y: Tensor, tau: float) -> Sides:
    return (
        losses.align_uniform(z, t=tau * 10, weight=0.7),
        losses.alignment(z) + 0.7 * losses.uniformity(z, t=tau * 10),
    )


@identity
def uniformity_is_the_log_mean_of_its_potentials(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = losses.uniformity.parts(z, t=tau * 10)
    potential = parts["potential"].view(len(z), 2)
    return parts["loss"].view(len(z), 2)[0], potential.exp().mean(0).log()


@identity
def triplet_by_sorting_is_the_sum_over_all_triplets(z: Tensor, y: Tensor, tau: float) -> Sides:
    """The O(N^2 log N) sort and the O(N^3) table sum the same hinges."""
    x = points(z)
    y = y.repeat_interleave(2)
    distance = (x[:, None] - x).norm(dim=-1)
    same = y[:, None] == y
    positive = same & ~torch.eye(len(x), dtype=torch.bool)
    table = (distance[:, :, None] - distance[:, None] + tau).relu() * (positive[:, :, None] & ~same[:, None])
    return losses.triplet(x, y, margin=tau), table.sum() / (positive.sum(1) * (~same).sum(1)).sum()
