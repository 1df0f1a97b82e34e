"""CACR: far positives attract more and near negatives repel more, each weighed among its own kind."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import distances


def _weights(logits: Tensor, weight_grad: str) -> Tensor:
    weight = logits.softmax(-1)
    return weight if weight_grad == "live" else weight.detach()


@loss(
    title="CACR",
    paper="2105.03746",
    family="attraction",
    formula=r"\alpha \sum_p \pi^+_{ip} \|z_i - z_p\|^2 - \beta \sum_j \pi^-_{ij} \|z_i - z_j\|^2,\quad "
    r"\pi^+_{ip} \propto e^{\tau^+ \|z_i - z_p\|^2},\; \pi^-_{ij} \propto e^{-\tau^- \|z_i - z_j\|^2}",
    knobs=[
        Knob("tau_pos", 0.0, 5.0, minimum=0, help="how much more a far positive attracts: 0 = all the same"),
        Knob("tau_neg", 0.0, 10.0, minimum=0, help="how much more a near negative repels: 0 = all the same"),
        Knob("alpha", 0.0, 4.0, minimum=0, help="weight of attraction"),
        Knob("beta", 0.0, 4.0, minimum=0, help="weight of repulsion"),
        Knob("tau_plus", 0.0, 0.5, minimum=0, maximum=0.99, help="assumed share of false negatives"),
        Choice("pairs", ("ordered", "all"), help="whether a view repels later views only, or all others"),
        Choice("weight_grad", ("live", "detach"), help="whether the gradient also flows through the weights"),
    ],
    min_views=2,
)
def cacr(
    z: Tensor,
    *,
    tau_pos: Scalar = 1.0,
    tau_neg: Scalar = 1.0,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    tau_plus: Scalar = 0.0,
    pairs: str = "ordered",
    weight_grad: str = "live",
) -> Parts:
    """Contrastive attraction and repulsion: positives are weighed among positives, negatives among negatives.

    z: (B, V, D) with V >= 2, N = B V anchors
    Parts: `loss`, `attraction`, `repulsion` (negative), each (N,); `positive_cost` and `positive_weight` (N, V) by
        view, 0 at the own one; `negative_cost` and `negative_weight` (N, V, B) by view and sample, the weights of each
        view compared with summing to 1, else 0
    Source: Zheng et al. 2023 and the authors' small-scale code, whose weights are live and which has tau_plus
    Collapsed: 0
    Perfect: -2 beta B / (B - 1)
    Note: The V - 1 positives of an anchor are the other views of its sample; its negatives are the other samples as
        seen in another view: in each later view ("ordered") or each other one, whose means are averaged. No temperature
        divides the distances: tau_pos and tau_neg only shape the weights. With live weights a negative farther than the
        weighted mean by more than 1 / tau_neg is attracted; "detach" never does that. tau_plus repels the positive.

    >>> z = torch.randn(6, 2, 4)
    >>> from cl_explore.losses import alignment
    >>> torch.allclose(cacr.parts(z)["attraction"], alignment(z, reduction="none"))  # one positive: nothing to weigh
    True
    """
    samples, views, _ = z.shape
    x = z.flatten(0, 1)
    cost = distances(x, squared=True).view(samples, views, samples, views).transpose(2, 3)
    own_view = torch.eye(views, dtype=torch.bool, device=z.device)
    own_sample = torch.eye(samples, dtype=torch.bool, device=z.device)[:, None, None]
    far, near = (tau.expand(len(x)).view(samples, views, 1) for tau in (tau_pos, tau_neg))

    to_positive = cost.diagonal(dim1=0, dim2=3).permute(2, 0, 1)  # (B, V, V): sample, own view, other view
    positive_weight = _weights((far * to_positive).masked_fill(own_view, -torch.inf), weight_grad)
    attraction = alpha * (positive_weight * to_positive).sum(2)
    logits = (-near[..., None] * cost).masked_fill(own_sample, -torch.inf)
    negative_weight = _weights(logits, weight_grad)  # (B, V, V, B): sample, own view, other view, other sample
    push = (tau_plus * to_positive + beta * (negative_weight * cost).sum(3)) / (1 - tau_plus)
    compared = own_view.logical_not() if pairs == "all" else own_view.new_ones(views, views).triu(1)
    share = compared.to(z.dtype) * views / compared.sum()  # an average over the pairs of views, shared by anchors
    repulsion = -(share * push).sum(2)
    return {
        "loss": (attraction + repulsion).flatten(),
        "attraction": attraction.flatten(),
        "repulsion": repulsion.flatten(),
        "positive_cost": to_positive.flatten(0, 1),
        "positive_weight": positive_weight.flatten(0, 1),
        "negative_cost": cost.flatten(0, 1),
        "negative_weight": (negative_weight * compared[..., None]).flatten(0, 1),
    }


@loss(
    title="CACR (momentum)",
    paper="2105.03746",
    family="attraction",
    formula=r"\sum_v p_v\, 2T\, \mathrm{CE}_i(q_v K^\top / T),\quad p_v \propto e^{\|q_v - k_i\|^2 / T}",
    knobs=[
        TEMPERATURE,
        Choice("cost", ("rbf", "euclidean"), help="kernel cost, which makes it InfoNCE, or half the squared distance"),
    ],
)
def cacr_momentum(z: Tensor, key: Tensor, *, temperature: Scalar = 1.0, cost: str = "rbf") -> Parts:
    """CACR as trained at scale: V queries of each sample against the keys of a momentum encoder, weights held.

    z: (B, V, D) queries (after a predictor), or (B, D) for one
    key: (B, D) from the slowly moving encoder: row b is the positive of the queries of sample b, the others are
        negatives
    Parts: `loss` (N,), `weight` (N,) the share of the query, summing to 1 in each sample
    Source: Zheng et al. 2023 and the authors' ImageNet code, with the Euclidean form averaged, not summed, over the
        batch
    Collapsed: rbf 2 temperature log B, euclidean 0
    Raises: `ValueError` unless z and key hold equally many samples
    Note: A query far from its key weighs more among the V. One query: rbf is 2 temperature times InfoNCE.

    >>> from cl_explore.losses import info_nce
    >>> query, key = torch.randn(6, 4), torch.randn(6, 4)
    >>> torch.allclose(cacr_momentum(query, key, temperature=0.2), 0.4 * info_nce(query, key, temperature=0.2))
    True
    """
    samples, views, _ = z.shape
    if len(key) != samples:
        raise ValueError(f"key must have one row for each of the {samples} samples of z, got {len(key)}")
    tau = temperature.expand(samples * views).view(samples, views, 1)
    similarity = z @ key.T  # (B, V, B)
    distance = (z - key[:, None]).square().sum(-1).detach()
    share = (distance / tau.detach()[..., 0]).softmax(1)
    if cost == "rbf":
        partner = torch.arange(samples, device=z.device).repeat_interleave(views)
        each = F.cross_entropy((similarity / tau).flatten(0, 1), partner, reduction="none").view(samples, views)
        each = 2 * tau[..., 0] * each
    else:
        own = torch.eye(samples, dtype=torch.bool, device=z.device)[:, None]
        half = (z.square().sum(-1, keepdim=True) + key.square().sum(-1)) / 2 - similarity
        weight = (-half / tau).masked_fill(own, -torch.inf).softmax(2).detach()
        each = half.diagonal(dim1=0, dim2=2).T - (weight * half).sum(2)
    return {"loss": (views * share * each).flatten(), "weight": share.flatten()}
