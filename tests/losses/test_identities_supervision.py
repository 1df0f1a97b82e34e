"""Which loss led by labels, targets, prototypes, lists or a teacher equals which other one, and when."""

import torch
import torch.nn.functional as F
from batches import Identity, proof
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.continual import multimodal_supcon, nspt, ntpt
from cl_explore.losses.listwise import listwise_kl, listwise_wasserstein
from cl_explore.losses.longtail import bcl, logit_adjusted, paco
from cl_explore.losses.prototypes import arcface, cosface, normalized_softmax, proto_nce, proxy_nca
from cl_explore.losses.regression import rnc, supremix
from cl_explore.losses.supervised import focal_supcon, soft_nn

Sides = tuple[Tensor, Tensor]
PLAIN = {"distance_weight": "off", "mix_negatives": "off", "mix_positives": "off"}


def flat(z: Tensor) -> Tensor:
    return F.normalize(z, dim=-1).flatten(0, 1)


def others(x: Tensor) -> Tensor:
    """For each row all the other rows, (N, N - 1, D)."""
    return torch.stack([torch.cat([x[:i], x[i + 1 :]]) for i in range(len(x))])


def prototypes(z: Tensor) -> Tensor:
    """Four vectors that depend on z but are none of its points."""
    return z[:4, 0] + z[:4].sum(0).sum(0) + torch.eye(4, z.shape[2], dtype=z.dtype)


def soft_nn_is_supcon_in_but_for_the_number_of_positives(z: Tensor, y: Tensor, tau: float) -> Sides:
    twin = torch.cat([y, y])  # so that every point has a positive
    z = torch.cat([z, z.flip(1) + 0.1])
    number = 2 * torch.bincount(twin)[twin].repeat_interleave(2) - 1
    left = soft_nn(z, twin, temperature=2 * tau, reduction="none")
    return left + number.to(z.dtype).log(), losses.supcon_in(z, twin, temperature=tau, reduction="none")


def soft_nn_of_raw_points_is_nca(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, label = z.flatten(0, 1), y.repeat_interleave(2)
    p = (-(x[:, None] - x).square().sum(-1) / (10 * tau)).fill_diagonal_(-torch.inf).softmax(1)
    nca = -(p * (label[:, None] == label)).sum(1).log()
    return soft_nn(z, y, temperature=10 * tau, normalize=False, reduction="none"), nca


def focal_supcon_without_focus_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    return focal_supcon(z, y, temperature=tau, gamma=0), losses.supcon(z, y, temperature=tau)


def focal_supcon_divided_by_all_is_smaller_by_the_share_of_positives(z: Tensor, y: Tensor, tau: float) -> Sides:
    share = (2 * torch.bincount(y)[y].repeat_interleave(2) - 1).to(z.dtype) / (2 * len(z))
    left = focal_supcon(z, y, temperature=tau, divide="all", reduction="none")
    return left, share * focal_supcon(z, y, temperature=tau, reduction="none")


def focal_supcon_with_negatives_is_that_of_the_joined_batch(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Mixtures whose soft label nobody shares are no anchors, only columns."""
    mixtures = z[:, 0] + z[:, 1].roll(1, 0)
    joined = torch.cat([flat(z), F.normalize(mixtures, dim=-1)])
    labels = torch.cat([y.repeat_interleave(2), torch.arange(len(z)) + 100])
    return focal_supcon(z, y, None, mixtures, temperature=tau), focal_supcon(joined, labels, temperature=tau)


def focal_supcon_with_positives_of_unique_labels_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    """One view, one hard positive each: InfoNCE whose negatives are the other anchors and the others' positives."""
    x, own = (F.normalize(part, dim=-1) for part in (z[:, 0], z[:, 1]))
    negatives = torch.cat([others(x), others(own)], 1)
    return (
        focal_supcon(x, torch.arange(len(x)), own, temperature=tau, gamma=0, reduction="none"),
        losses.info_nce(x, own, negatives, temperature=tau, reduction="none"),
    )


def softplus_of_proxy_nca_is_proxy_nca_over_all(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    each = proxy_nca(z, y, w, temperature=tau, reduction="none")
    return F.softplus(each, threshold=100), proxy_nca(z, y, w, temperature=tau, denominator="all", reduction="none")


def proxy_nca_over_all_is_normalized_softmax_at_half_the_temperature(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        proxy_nca(z, y, w, temperature=2 * tau, denominator="all", reduction="none"),
        normalized_softmax(z, y, w, temperature=tau, reduction="none"),
    )


def normalized_softmax_of_two_classes_is_softplus(z: Tensor, y: Tensor, tau: float) -> Sides:
    w, label = prototypes(z)[:2], y.clamp(max=1)
    cosine = flat(z) @ F.normalize(w, dim=1).T
    own = label.repeat_interleave(2)[:, None]
    difference = (cosine.gather(1, 1 - own) - cosine.gather(1, own))[:, 0] / tau
    left = normalized_softmax(z, label, w, temperature=tau, reduction="none")
    return left, F.softplus(difference, threshold=100)


def normalized_softmax_to_batch_centroids_is_varcon_without_kl(z: Tensor, y: Tensor, tau: float) -> Sides:
    classes, own = y.unique(return_inverse=True)
    centroids = torch.stack([flat(z)[(own == c).repeat_interleave(2)].mean(0) for c in range(len(classes))])
    return (
        normalized_softmax(z, own, centroids, temperature=tau),
        losses.varcon(z, y, temperature=tau, epsilon=0.0, kl_weight=0),
    )


def arcface_without_a_margin_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        arcface(z, y, w, temperature=tau, margin=0, reduction="none"),
        normalized_softmax(z, y, w, temperature=tau, reduction="none"),
    )


def cosface_without_a_margin_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        cosface(z, y, w, temperature=tau, margin=0, reduction="none"),
        normalized_softmax(z, y, w, temperature=tau, reduction="none"),
    )


def arcface_is_cosface_with_the_margin_of_each_angle(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    parts = arcface.parts(z, y, w, temperature=tau, margin=0.4)
    margin = parts["positive"] - parts["target"]
    return parts["loss"], cosface(z, y, w, temperature=tau, margin=margin, reduction="none")


def proto_nce_without_concentration_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return proto_nce(z, y, w, temperature=tau), normalized_softmax(z, y, w, temperature=tau)


def proto_nce_of_equal_concentrations_is_a_temperature(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    equal = torch.full((len(w),), 1.7, dtype=z.dtype)
    return proto_nce(z, y, w, equal, temperature=tau), proto_nce(z, y, w, temperature=1.7 * tau)


def proto_nce_of_one_cluster_a_sample_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, key = z[:, 0], z[:, 1]
    left = proto_nce(query, torch.arange(len(z)), key, temperature=tau, reduction="none")
    return left, losses.info_nce(query, key, temperature=tau, reduction="none")


def logit_adjusted_of_equal_counts_is_cross_entropy(z: Tensor, y: Tensor, tau: float) -> Sides:
    logits = z[:, 0] @ prototypes(z).T / tau
    left = logit_adjusted(logits, y, torch.full((4,), 30), strength=tau, reduction="none")
    return left, F.cross_entropy(logits, y, reduction="none")


def logit_adjusted_is_cross_entropy_with_repeated_classes(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Strength 1: as if each class had as many equal logits as samples, any of which may be right."""
    logits, counts = z[:, 0] @ prototypes(z).T, torch.tensor([5, 1, 3, 2])
    repeated = logits.repeat_interleave(counts, 1).softmax(1)
    classes = torch.arange(4).repeat_interleave(counts)
    right = -(repeated * (classes == y[:, None])).sum(1).log()
    return logit_adjusted(logits, y, counts, reduction="none"), right


def paco_of_classifier_only_is_logit_adjusted(z: Tensor, y: Tensor, tau: float) -> Sides:
    logits, counts = z[:, 0] @ prototypes(z).T, torch.tensor([50, 20, 5, 1])
    left = paco(
        z[:, 0], y, logits, z[:, 1], counts=counts, temperature=tau, alpha=0, beta=0.7, gamma=0, reduction="none"
    )
    return left, logit_adjusted(logits, y, counts, reduction="none")


def paco_without_its_classifier_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    logits = torch.full((len(z), 4), -100.0, dtype=z.dtype)
    each = paco(z[:, 0], y, logits, temperature=tau, alpha=1, beta=1e-14, gamma=1, reduction="none")
    several = torch.bincount(y)[y] > 1
    return each[several].mean(), losses.supcon(z[:, 0], y, temperature=tau) if several.any() else each[several].mean()


def bcl_of_points_at_their_centres_is_normalized_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    w = prototypes(z)
    return (
        bcl(w[y], y, w, temperature=tau, reduction="none"),
        normalized_softmax(w[y], y, w, temperature=tau, reduction="none"),
    )


def bcl_does_not_see_the_size_of_a_class(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Points at their centres: twice as many of class 0 change nothing for the others."""
    w = prototypes(z)
    more = torch.cat([y, y[y == 0]])
    right = bcl(w[more], more, w, temperature=tau, reduction="none")[: len(y)]
    return bcl(w[y], y, w, temperature=tau, reduction="none"), right


def rnc_of_equal_targets_is_a_full_softmax(z: Tensor, y: Tensor, tau: float) -> Sides:
    x = z.flatten(0, 1)
    logits = (-torch.cdist(x, x) / tau).fill_diagonal_(-torch.inf)
    n = len(x)
    pairs = -logits.log_softmax(1)[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    return rnc(z, torch.zeros_like(z[:, 0, 0]), temperature=tau, reduction="none"), pairs.mean(1)


def rnc_sees_only_the_order_of_targets(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = y.to(z.dtype)  # distances 0, 1 and 2: any increasing map of them will do
    return rnc(z, targets, temperature=tau), rnc(z, 8 - 4 * targets, temperature=tau)


def rnc_of_views_is_that_of_repeated_targets(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = y.to(z.dtype)
    return rnc(z, targets, temperature=tau), rnc(z.flatten(0, 1), targets.repeat_interleave(2), temperature=tau)


def supremix_without_weight_and_mixtures_is_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    return supremix(z, y.to(z.dtype), temperature=tau, **PLAIN), losses.supcon(z, y, temperature=tau)


def supremix_of_unique_targets_without_weight_and_mixtures_is_nt_xent(z: Tensor, y: Tensor, tau: float) -> Sides:
    targets = torch.arange(len(z), dtype=z.dtype)
    return supremix(z, targets, temperature=tau, **PLAIN), losses.nt_xent(z, temperature=tau)


def supremix_with_no_anchor_in_its_mixtures_counts_negatives_twice(z: Tensor, y: Tensor, tau: float) -> Sides:
    x, sample = flat(z), torch.arange(len(z)).repeat_interleave(2)
    partner = F.normalize(z, dim=-1).flip(1).flatten(0, 1)
    negatives = torch.stack([x[sample != sample[i]] for i in range(len(x))])
    knobs = PLAIN | {"mix_negatives": "on"}
    left = supremix(
        z, torch.arange(len(z), dtype=z.dtype), temperature=tau, anchor_share=0.0, reduction="none", **knobs
    )
    return left, losses.info_nce(x, partner, negatives.repeat(1, 2, 1), temperature=tau, reduction="none")


def supremix_mixes_a_positive_out_of_two_neighbours(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Targets 0, 1, 3: the middle one has the mixture 2/3 and 1/3 of its neighbours for a positive."""
    x = F.normalize(z[:3, 0], dim=-1)
    targets = torch.tensor([0.0, 1.0, 3.0], dtype=z.dtype)
    knobs = PLAIN | {"mix_positives": "on"}
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


def listwise_wasserstein_is_blind_to_the_order_of_queries(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, passages, relevance = lists(z)
    left = listwise_wasserstein(query, passages, relevance, temperature=tau)
    return left, listwise_wasserstein(query.roll(1, 0), passages, relevance, temperature=tau)


def listwise_wasserstein_of_the_levels_themselves_is_zero(z: Tensor, y: Tensor, tau: float) -> Sides:
    relevance = lists(z)[2]
    levels = torch.zeros(len(z), len(z), 3, dtype=z.dtype)
    levels[range(len(z)), range(len(z))] = relevance.to(z.dtype)
    query, passages = scores_as_products(levels.flatten(1) * tau + z[:, 0, :1], 3)
    left = listwise_wasserstein(query, passages, relevance, temperature=tau, normalize=False)
    return left, torch.zeros_like(left)


def listwise_wasserstein_of_two_columns_compares_mean_and_deviation(z: Tensor, y: Tensor, tau: float) -> Sides:
    """Two queries of one passage: shares p and 1 - p, a Gaussian in one dimension seen twice."""
    query, passages = z[:2, 0], z[:2, 1:]
    left = listwise_wasserstein(query, passages, torch.ones(2, 1, dtype=torch.long), temperature=tau)
    scores = F.normalize(query, dim=1) @ F.normalize(passages[:, 0], dim=1).T
    p = (scores / tau).softmax(1)[:, 0]
    t = torch.eye(2, dtype=z.dtype).softmax(1)[:, 0]
    return left, 2 * ((p.mean() - t.mean()).square() + (p.std() - t.std()).square())


def listwise_kl_is_a_part_of_listwise_wasserstein(z: Tensor, y: Tensor, tau: float) -> Sides:
    parts = listwise_wasserstein.parts(*lists(z), temperature=tau)
    return parts["kl"], listwise_kl(*lists(z), temperature=tau, reduction="none")


def listwise_kl_of_one_best_passage_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    query, passages, _ = lists(z)
    relevance = torch.tensor([[1, 0, 0]]).expand(len(z), 3)
    negatives = F.normalize(passages, dim=-1).flatten(0, 1)
    rest = torch.stack([torch.cat([negatives[: 3 * i], negatives[3 * i + 1 :]]) for i in range(len(z))])
    left = listwise_kl(query, passages, relevance, temperature=tau, label_scale=1e3, reduction="none")
    return left, losses.info_nce(query, passages[:, 0], rest, temperature=tau, reduction="none")


def literal_nspt_with_the_student_for_a_teacher_is_ntpt(z: Tensor, y: Tensor, tau: float) -> Sides:
    old = (torch.arange(len(z)) % 2).long()
    return (
        nspt(z, y, z, old, temperature=tau, denominator="literal", reduction="none"),
        ntpt(z, y, z, old, temperature=tau, reduction="none"),
    )


def nspt_of_unique_labels_is_softplus_of_its_decoupled_form(z: Tensor, y: Tensor, tau: float) -> Sides:
    unique = torch.arange(len(z))
    decoupled = nspt(z[:, 0], unique, z[:, 1], temperature=tau, denominator="no_positive", reduction="none")
    return nspt(z[:, 0], unique, z[:, 1], temperature=tau, reduction="none"), F.softplus(decoupled, threshold=100)


def nspt_of_unique_labels_is_info_nce_with_the_students_as_negatives(z: Tensor, y: Tensor, tau: float) -> Sides:
    student, teacher = z[:, 0], z[:, 1]
    left = nspt(student, torch.arange(len(z)), teacher, temperature=tau, reduction="none")
    return left, losses.info_nce(student, teacher, others(student), temperature=tau, reduction="none")


def ntpt_of_unique_labels_is_info_nce(z: Tensor, y: Tensor, tau: float) -> Sides:
    left = ntpt(z[:, 0], torch.arange(len(z)), z[:, 1], temperature=tau, reduction="none")
    return left, losses.info_nce(z[:, 0], z[:, 1], temperature=tau, reduction="none")


def ntpt_is_one_direction_of_multimodal_supcon(z: Tensor, y: Tensor, tau: float) -> Sides:
    both = multimodal_supcon(z, y, temperature=tau, reduction="none").view(-1, 2)
    return ntpt(z[:, 0], y, z[:, 1], temperature=tau, reduction="none"), both[:, 0]


def multimodal_supcon_of_unique_labels_is_info_nce_both_ways(z: Tensor, y: Tensor, tau: float) -> Sides:
    one, other = z[:, 0], z[:, 1]
    both = (losses.info_nce(one, other, temperature=tau) + losses.info_nce(other, one, temperature=tau)) / 2
    return multimodal_supcon(z, torch.arange(len(z)), temperature=tau), both


IDENTITIES: list[Identity] = [
    soft_nn_is_supcon_in_but_for_the_number_of_positives,
    soft_nn_of_raw_points_is_nca,
    focal_supcon_without_focus_is_supcon,
    focal_supcon_divided_by_all_is_smaller_by_the_share_of_positives,
    focal_supcon_with_negatives_is_that_of_the_joined_batch,
    focal_supcon_with_positives_of_unique_labels_is_info_nce,
    softplus_of_proxy_nca_is_proxy_nca_over_all,
    proxy_nca_over_all_is_normalized_softmax_at_half_the_temperature,
    normalized_softmax_of_two_classes_is_softplus,
    normalized_softmax_to_batch_centroids_is_varcon_without_kl,
    arcface_without_a_margin_is_normalized_softmax,
    cosface_without_a_margin_is_normalized_softmax,
    arcface_is_cosface_with_the_margin_of_each_angle,
    proto_nce_without_concentration_is_normalized_softmax,
    proto_nce_of_equal_concentrations_is_a_temperature,
    proto_nce_of_one_cluster_a_sample_is_info_nce,
    logit_adjusted_of_equal_counts_is_cross_entropy,
    logit_adjusted_is_cross_entropy_with_repeated_classes,
    paco_of_classifier_only_is_logit_adjusted,
    paco_without_its_classifier_is_supcon,
    bcl_of_points_at_their_centres_is_normalized_softmax,
    bcl_does_not_see_the_size_of_a_class,
    rnc_of_equal_targets_is_a_full_softmax,
    rnc_sees_only_the_order_of_targets,
    rnc_of_views_is_that_of_repeated_targets,
    supremix_without_weight_and_mixtures_is_supcon,
    supremix_of_unique_targets_without_weight_and_mixtures_is_nt_xent,
    supremix_with_no_anchor_in_its_mixtures_counts_negatives_twice,
    supremix_mixes_a_positive_out_of_two_neighbours,
    listwise_wasserstein_is_blind_to_the_order_of_queries,
    listwise_wasserstein_of_the_levels_themselves_is_zero,
    listwise_wasserstein_of_two_columns_compares_mean_and_deviation,
    listwise_kl_is_a_part_of_listwise_wasserstein,
    listwise_kl_of_one_best_passage_is_info_nce,
    literal_nspt_with_the_student_for_a_teacher_is_ntpt,
    nspt_of_unique_labels_is_softplus_of_its_decoupled_form,
    nspt_of_unique_labels_is_info_nce_with_the_students_as_negatives,
    ntpt_of_unique_labels_is_info_nce,
    ntpt_is_one_direction_of_multimodal_supcon,
    multimodal_supcon_of_unique_labels_is_info_nce_both_ways,
]


test_identity = proof(IDENTITIES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_students_of_new_classes_are_pushed_by_nspt_alone(seed: int) -> None:
    z = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)
    old, teacher = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0]), z.detach().roll(1, 1)
    (with_student,) = torch.autograd.grad(nspt(z, torch.arange(8) % 3, teacher, old), z)
    (with_teacher,) = torch.autograd.grad(ntpt(z, torch.arange(8) % 3, teacher, old), z)
    assert (with_teacher[4:] == 0).all()
    assert (with_student[4:].norm(dim=1) > 0).all()
    nobody = torch.zeros(8, dtype=torch.long)
    assert nspt(z, nobody, teacher, nobody) == 0, "before the first replay there is nothing to hold"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_order_of_the_margins(seed: int, tau: float) -> None:
    """A margin never makes the task easier, nor focus the loss larger."""
    z = torch.randn(9, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y, w = torch.arange(9) % 3, z[:3, 0].roll(1, 1)
    bare = normalized_softmax(z, y, w, temperature=tau, reduction="none")
    for loss in (arcface, cosface):
        margins = [loss(z, y, w, temperature=tau, margin=m, reduction="none") for m in (0.1, 0.3)]
        assert (margins[0] >= bare - 1e-12).all()
        assert (margins[1] >= margins[0] - 1e-12).all()
    focused = [focal_supcon(z, y, temperature=tau, gamma=g, reduction="none") for g in (0.0, 1.0, 2.0)]
    assert (focused[0] >= focused[1]).all()
    assert (focused[1] >= focused[2]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_wasserstein_is_a_distance(seed: int) -> None:
    """Never negative, whatever the scores and the levels."""
    z = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert listwise_wasserstein(*lists(z), temperature=0.3) >= -1e-12
