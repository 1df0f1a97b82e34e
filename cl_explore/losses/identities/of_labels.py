"""What losses led by labels, targets, prototypes, lists or a teacher are to each other."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.graph import FLOOR, scgc
from cl_explore.losses.identities.web import Sides, identity, points, strangers
from cl_explore.losses.longtail import bcl, logit_adjusted, paco
from cl_explore.losses.prototypes import arcface, cosface, normalized_softmax, proto_nce, proxy_nca
from cl_explore.losses.supervised import focal_supcon, soft_nn, soft_supcon


def prototypes(z: Tensor) -> Tensor:
    """Four vectors that depend on z but are none of its points."""
    return z[:4, 0] + z[:4].sum(0).sum(0) + torch.eye(4, z.shape[2], dtype=z.dtype)


@identity
def soft_nn_is_supcon_in_but_for_the_number_of_positives(z: Tensor, y: Tensor, tau: float) -> Sides:
    twin = torch.cat([y, y])  # so that every point has a positive
    z = torch.cat([z, z.flip(1) + 0.1])
    number = 2 * torch.bincount(twin)[twin].repeat_interleave(2) - 1
    left = soft_nn(z, twin, temperature=2 * tau, reduction="none")
    return left + number.to(z.dtype).log(), losses.supcon_in(z, twin, temperature=tau, reduction="none")


@identity
def soft_nn_of_raw_points_is_nca(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, label = z.flatten(0, 1), y.repeat_interleave(2)
    p = (-(x[:, None] - x).square().sum(-1) / (10 * tau)).fill_diagonal_(-torch.inf).softmax(1)
    nca = -(p * (label[:, None] == label)).sum(1).log()
    return soft_nn(z, y, temperature=10 * tau, normalize=False, reduction="none"), nca


@identity
def scgc_of_classes_is_soft_nn_but_for_a_floor(z: Tensor, y: Tensor, tau: float) -> Sides:
    neighbours = soft_nn.parts(z, y, temperature=2 * tau)["positive"]
    weights = (y[:, None] == y).to(z.dtype)
    value = scgc(z, weights, inv_temperature=1 / tau, self_pairs="drop", reduction="none")
    return value, -(neighbours + FLOOR).log()


@identity
def soft_supcon_of_labels_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Whatever the weight of a class."""
    weights = (y[:, None] == y) * (1.0 + y)
    return soft_supcon(z, weights, temperature=tau), losses.supcon(z, y, temperature=tau)


@identity
def soft_supcon_without_weights_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = soft_supcon(z, temperature=tau, reduction="none")
    return left, losses.nt_xent(z, temperature=tau, reduction="none")


@identity
def soft_supcon_is_linear_in_the_shares_of_positives(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Of tables whose rows have one sum, the weights are the shares."""
    x, n = z[:, 0], len(z)
    tables = [torch.eye(n, dtype=z.dtype).roll(k, 1) + torch.eye(n, dtype=z.dtype).roll(-k, 1) for k in (1, 2)]
    left = soft_supcon(x, 0.3 * tables[0] + 0.7 * tables[1], temperature=tau)
    one, two = (soft_supcon(x, table, temperature=tau) for table in tables)
    return left, 0.3 * one + 0.7 * two


@identity
def focal_supcon_without_focus_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    return focal_supcon(z, y, temperature=tau, gamma=0), losses.supcon(z, y, temperature=tau)


@identity
def focal_supcon_divided_by_all_is_smaller_by_the_share_of_positives(z: Tensor, y: Tensor, tau: float) -> Sides:
    share = (2 * torch.bincount(y)[y].repeat_interleave(2) - 1).to(z.dtype) / (2 * len(z))
    left = focal_supcon(z, y, temperature=tau, divide="all", reduction="none")
    return left, share * focal_supcon(z, y, temperature=tau, reduction="none")


@identity
def focal_supcon_with_negatives_is_that_of_the_joined_batch(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Mixtures whose soft label nobody shares are no anchors, only columns."""
    mixtures = z[:, 0] + z[:, 1].roll(1, 0)
    joined = torch.cat([points(z), F.normalize(mixtures, dim=-1)])
    labels = torch.cat([y.repeat_interleave(2), torch.arange(len(z)) + 100])
    return focal_supcon(z, y, None, mixtures, temperature=tau), focal_supcon(joined, labels, temperature=tau)


@identity
def focal_supcon_with_positives_of_unique_labels_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    """One view, one hard positive each: InfoNCE whose negatives are the other anchors and the others' positives."""
    x, own = (F.normalize(part, dim=-1) for part in (z[:, 0], z[:, 1]))
    negatives = torch.cat([strangers(x[:, None]), strangers(own[:, None])], 1)
    return (
        focal_supcon(x, torch.arange(len(x)), own, temperature=tau, gamma=0, reduction="none"),
        losses.info_nce(x, own, negatives, temperature=tau, reduction="none"),
    )


@identity
def softplus_of_proxy_nca_is_proxy_nca_over_all(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    each = proxy_nca(z, y, w, temperature=tau, reduction="none")
    return F.softplus(each, threshold=100), proxy_nca(z, y, w, temperature=tau, denominator="all", reduction="none")


@identity
def proxy_nca_over_all_is_normalized_softmax_at_half_the_temperature(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        proxy_nca(z, y, w, temperature=2 * tau, denominator="all", reduction="none"),
        normalized_softmax(z, y, w, temperature=tau, reduction="none"),
    )


@identity
def normalized_softmax_of_two_classes_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    w, label = prototypes(z)[:2], y.clamp(max=1)
    cosine = points(z) @ F.normalize(w, dim=1).T
    own = label.repeat_interleave(2)[:, None]
    difference = (cosine.gather(1, 1 - own) - cosine.gather(1, own))[:, 0] / tau
    left = normalized_softmax(z, label, w, temperature=tau, reduction="none")
    return left, F.softplus(difference, threshold=100)


@identity
def normalized_softmax_to_batch_centroids_is_varcon_without_kl(z: Tensor, y: Tensor, tau: float) -> Sides:
    classes, own = y.unique(return_inverse=True)
    centroids = torch.stack([points(z)[(own == c).repeat_interleave(2)].mean(0) for c in range(len(classes))])
    return (
        normalized_softmax(z, own, centroids, temperature=tau),
        losses.varcon(z, y, temperature=tau, epsilon=0.0, kl_weight=0),
    )


@identity
def arcface_without_a_margin_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        arcface(z, y, w, temperature=tau, margin=0, reduction="none"),
        normalized_softmax(z, y, w, temperature=tau, reduction="none"),
    )


@identity
def cosface_without_a_margin_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        cosface(z, y, w, temperature=tau, margin=0, reduction="none"),
        normalized_softmax(z, y, w, temperature=tau, reduction="none"),
    )


@identity
def arcface_is_cosface_with_the_margin_of_each_angle(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    parts = arcface.parts(z, y, w, temperature=tau, margin=0.4)
    margin = parts["positive"] - parts["target"]
    return parts["loss"], cosface(z, y, w, temperature=tau, margin=margin, reduction="none")


@identity
def proto_nce_without_concentration_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return proto_nce(z, y, w, temperature=tau), normalized_softmax(z, y, w, temperature=tau)


@identity
def proto_nce_of_equal_concentrations_is_a_temperature(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    equal = torch.full((len(w),), 1.7, dtype=z.dtype)
    return proto_nce(z, y, w, equal, temperature=tau), proto_nce(z, y, w, temperature=1.7 * tau)


@identity
def proto_nce_of_one_cluster_a_sample_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, key = z[:, 0], z[:, 1]
    left = proto_nce(query, torch.arange(len(z)), key, temperature=tau, reduction="none")
    return left, losses.info_nce(query, key, temperature=tau, reduction="none")


@identity
def logit_adjusted_of_equal_counts_is_cross_entropy(z: Tensor, y: Tensor, tau: float) -> Sides:
    logits = z[:, 0] @ prototypes(z).T / tau
    left = logit_adjusted(logits, y, torch.full((4,), 30), strength=tau, reduction="none")
    return left, F.cross_entropy(logits, y, reduction="none")


@identity
def logit_adjusted_is_cross_entropy_with_repeated_classes(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Strength 1: as if each class had as many equal logits as samples, any of which may be right."""
    logits, counts = z[:, 0] @ prototypes(z).T, torch.tensor([5, 1, 3, 2])
    repeated = logits.repeat_interleave(counts, 1).softmax(1)
    classes = torch.arange(4).repeat_interleave(counts)
    right = -(repeated * (classes == y[:, None])).sum(1).log()
    return logit_adjusted(logits, y, counts, reduction="none"), right


@identity
def paco_of_classifier_only_is_logit_adjusted(z: Tensor, y: Tensor, tau: float) -> Sides:
    logits, counts = z[:, 0] @ prototypes(z).T, torch.tensor([50, 20, 5, 1])
    left = paco(
        z[:, 0], y, logits, z[:, 1], counts=counts, temperature=tau, alpha=0, beta=0.7, gamma=0, reduction="none"
    )
    return left, logit_adjusted(logits, y, counts, reduction="none")


@identity
def paco_without_its_classifier_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    logits = torch.full((len(z), 4), -100.0, dtype=z.dtype)
    each = paco(z[:, 0], y, logits, temperature=tau, alpha=1, beta=1e-14, gamma=1, reduction="none")
    several = torch.bincount(y)[y] > 1
    return each[several].mean(), losses.supcon(z[:, 0], y, temperature=tau) if several.any() else each[several].mean()


@identity
def bcl_of_points_at_their_centres_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        bcl(w[y], y, w, temperature=tau, reduction="none"),
        normalized_softmax(w[y], y, w, temperature=tau, reduction="none"),
    )


@identity
def bcl_does_not_see_the_size_of_a_class(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Points at their centres: twice as many of class 0 change nothing for the others."""
    w = prototypes(z)
    more = torch.cat([y, y[y == 0]])
    right = bcl(w[more], more, w, temperature=tau, reduction="none")[: len(y)]
    return bcl(w[y], y, w, temperature=tau, reduction="none"), right
