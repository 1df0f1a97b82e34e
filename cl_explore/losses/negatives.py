"""Losses that doubt or reweigh their negatives: false ones taken off or masked, hard ones made heavier."""

import math

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy, excess
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import class_members, other_samples, own_views, points, row_lse, view_agreement

TAU_PLUS = Knob("tau_plus", 0.0, 0.5, minimum=0, maximum=0.99, help="chance that a negative is of the anchor's class")


def _debias(z: Tensor, scale: Tensor, rest: Tensor, tau_plus: Tensor) -> Parts:
    """The loss whose negatives sum to exp(`rest`) (N,), false ones taken off at the rate `tau_plus`.

    In log space, and never below N times the smallest exponential there is; at that floor the gradient stops.
    """
    count = 2 * len(z) - 2
    pull = scale * (z[:, 0] * z[:, 1]).sum(-1).repeat_interleave(2)
    false = (tau_plus * count).log() + pull - rest
    possible = false < 0
    true = rest + (-torch.where(possible, false, -1).expm1()).log() - (-tau_plus).log1p()
    floor = (math.log(count) - scale).expand_as(rest)
    clamped = ~possible | (true < floor)
    negatives = torch.where(clamped, floor, true)
    return {"loss": cross_entropy(pull, negatives), "negatives": negatives, "clamped": clamped.to(z.dtype)}


@loss(
    title="Debiased",
    paper="2007.00224",
    family="negatives",
    formula=r"-\log \frac{e^{s_{ip}/\tau}}{e^{s_{ip}/\tau} + g_i},\quad g_i = \max\Big\{ \frac{1}{1-\tau^+}\Big("
    r"\sum_{j} e^{s_{ij}/\tau} - \tau^+ n\, e^{s_{ip}/\tau}\Big),\; n\, e^{-1/\tau} \Big\}",
    knobs=[TEMPERATURE, TAU_PLUS],
    min_views=2,
    max_views=2,
)
def debiased(z: Tensor, *, temperature: Scalar = 0.5, tau_plus: Scalar = 0.1) -> Parts:
    """Debiased contrastive loss: of the negatives a share tau_plus is assumed to be false and taken off again.

    z: (B, 2, D); N = 2 B anchors with n = N - 2 negatives each
    Parts: `loss` (N,), `negatives` (N,) the logarithm of g, `clamped` (N,) 1 where g is at its floor, which sends no
        gradient
    Source: Chuang et al. 2020 (the estimator with one positive) and the authors' code
    Collapsed: log(N - 1)
    Note: The positive stands for what a false negative looks like. tau_plus 0: exactly NT-Xent.

    >>> from cl_explore.losses import nt_xent
    >>> z = torch.randn(8, 2, 4)
    >>> torch.allclose(debiased(z, tau_plus=0.0), nt_xent(z), atol=1e-5)
    True
    """
    scale = 1 / temperature
    return _debias(z, scale, other_samples(z, scale), tau_plus)


@loss(
    title="Hard negatives (HCL)",
    paper="2010.04592",
    family="negatives",
    formula=r"-\log \frac{e^{s_{ip}/\tau}}{e^{s_{ip}/\tau} + g_i} \text{ with } \sum_j w_{ij} e^{s_{ij}/\tau} "
    r"\text{ in } g_i,\quad w_{ij} = \frac{n\, e^{\beta s_{ij}/\tau}}{\sum_k e^{\beta s_{ik}/\tau}}",
    knobs=[
        TEMPERATURE,
        TAU_PLUS,
        Knob("beta", 0.0, 4.0, minimum=0, help="how much nearer negatives weigh more: 0 = all the same"),
        Choice("weight_grad", ("live", "detach"), help="whether the gradient also flows through the weights"),
    ],
    min_views=2,
    max_views=2,
)
def hard(
    z: Tensor,
    *,
    temperature: Scalar = 0.5,
    tau_plus: Scalar = 0.1,
    beta: Scalar = 1.0,
    weight_grad: str = "live",
) -> Parts:
    """Contrastive loss with hard negatives: the debiased loss, each negative weighted by its own nearness.

    z: (B, 2, D); N = 2 B anchors with n = N - 2 negatives each
    Parts: as `debiased`
    Source: Robinson et al. 2021 and the authors' code, which lets the gradient through the weights
    Collapsed: log(N - 1)
    Note: The weights average to 1; they never become a table, since the weighted sum is the quotient of two sums of
        exponentials. beta 0: exactly `debiased`.

    >>> from cl_explore.losses import debiased
    >>> z = torch.randn(8, 2, 4)
    >>> torch.allclose(hard(z, beta=0.0), debiased(z), atol=1e-5)
    True
    """
    scale = 1 / temperature
    if weight_grad == "live":
        nearer, weights = other_samples(z, (1 + beta) * scale), other_samples(z, beta * scale)
    else:
        # A held weight is a constant exponent, beta s_ij / tau: it has coordinates of its own in the inner product.
        x, sample = points(z, torch.arange(len(z), device=z.device))
        fixed, exponent = x.detach(), (beta * scale).detach()
        rows, columns = torch.cat([x, (exponent / scale)[..., None] * fixed], 1), torch.cat([x, fixed], 1)
        nearer = row_lse(rows, columns, scale, exclude=["same"], a_ids=sample, b_ids=sample)
        weights = other_samples(z.detach(), exponent)
    return _debias(z, scale, nearer - weights + math.log(2 * len(z) - 2), tau_plus)


@loss(
    title="G-SimCLR (masked)",
    paper="2009.12007",
    family="negatives",
    formula=r"-\log \frac{e^{s_{ip}/\tau}}{e^{s_{ip}/\tau} + \sum_{j:\, c_j \ne c_i} e^{s_{ij}/\tau}}",
    knobs=[TEMPERATURE],
    min_views=2,
)
def g_simclr(z: Tensor, labels: Tensor, *, temperature: Scalar = 0.1) -> Parts:
    """NT-Xent that leaves the samples of the anchor's own cluster out of the denominator, as likely false negatives.

    z: (B, V, D) with V >= 2
    labels: (B,) pseudo labels: clusters found in another representation
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `masked` (N,) how many points were left out
    Source: Chakraborty et al. 2020 fill batches so that no two samples share a cluster; leaving out the pairs that do
        is the same idea in an ordinary batch
    Collapsed: log(N - 1 - m) for m points masked
    Note: The positives are the other views of the sample, whatever its cluster. Labels all different: exactly NT-Xent.
        Labels all equal, two views: 0.

    >>> float(g_simclr(torch.eye(3)[:, None].expand(3, 2, 3), torch.zeros(3, dtype=torch.long)))
    0.0
    """
    scale = 1 / temperature
    x, y = points(z, labels)
    positive, own = view_agreement(z, z), own_views(z, scale)
    others = row_lse(x, x, scale, exclude=["same"], a_ids=y, b_ids=y)
    _, members = class_members(y)
    return {
        "loss": cross_entropy(own, others) + excess(own, scale * positive),
        "positive": positive,
        "masked": (members - z.shape[1]).to(x.dtype),
    }


@loss(
    title="MCL (negatives of the group)",
    paper="2402.11816",
    family="negatives",
    formula=r"-\log \frac{e^{s_{ip}/\tau}}{\sum_{j \ne i,\, g_j = g_i} e^{s_{ij}/\tau}}",
    knobs=[TEMPERATURE],
    min_views=2,
)
def mcl(z: Tensor, labels: Tensor, *, temperature: Scalar = 0.2) -> Parts:
    """NT-Xent within a group: negatives that agree in what is learned already, so that only new features tell apart.

    z: (B, V, D) with V >= 2
    labels: (B,) groups: pseudo labels, the clusters that earlier stages of training found
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `negatives` (N,) how many points of others
        are in the group
    Source: Zhang et al. 2024; the authors fill whole batches from one group, and their code has the form of CLIP alone
    Collapsed: log(V g - 1) for g samples in the group
    Note: One group: exactly NT-Xent. A group of one sample, two views: 0.

    >>> float(mcl(torch.eye(3)[:, None].expand(3, 2, 3), torch.arange(3)))
    0.0
    """
    views, (x, y) = z.shape[1], points(z, labels)
    scale = (1 / temperature).expand(len(x)).view(-1, views)
    positive, own = view_agreement(z, z), own_views(z, 1 / temperature)
    found = [
        row_lse(z[:, view], z[:, other], scale[:, view], exclude=["self", "other"], a_ids=labels, b_ids=labels)
        for view in range(views)
        for other in range(views)
    ]
    _, members = class_members(y)
    alone = members == views  # a log-sum-exp of nothing has no gradient that is a number
    rows = torch.stack(found, dim=1).view(-1, views).masked_fill(alone[:, None], 0)
    others = rows.logsumexp(1).masked_fill(alone, -math.inf)
    return {
        "loss": cross_entropy(own, others) + excess(own, scale.flatten() * positive),
        "positive": positive,
        "negatives": (members - views).to(x.dtype),
    }


@loss(
    title="Selfie",
    paper="1906.02940",
    family="negatives",
    formula=r"-\log \frac{e^{q_i^\top k_i/\tau}}{\sum_{g_j = g_i} e^{q_i^\top k_j/\tau}}",
    knobs=[TEMPERATURE],
    raw=True,
)
def selfie(query: Tensor, key: Tensor, group: Tensor | None = None, *, temperature: Scalar = 1.0) -> Parts:
    """InfoNCE within an image: each hole is asked which of the patches that are missing from its image belongs there.

    query: (N, D) what is known of each hole: of the visible rest of its image, and where the hole is
    key: (N, D) the patches that were taken out, row i from hole i
    group: (N,) the image that each hole is in; without it all are of one
    Parts: `loss` (N,), `positive` (N,) the product with the right patch, `candidates` (N,) how many patches there are
    Source: Trinh et al. 2019 as their method is retold (no code is published, and the paper's tables were not at hand)
    Collapsed: log m for m holes in the image
    Note: Products, not cosines; both sides get gradient. One image: `info_nce` of raw products. An image with one hole
        has no choice: 0.

    >>> selfie(torch.ones(6, 3), torch.ones(6, 3), torch.arange(6) // 3).exp()
    tensor(3.)
    """
    scale, positive = 1 / temperature, (query * key).sum(-1)
    if group is None:
        group = torch.zeros(len(query), dtype=torch.int64, device=query.device)
    found = row_lse(query, key, scale, exclude=["self", "other"], a_ids=group, b_ids=group)
    _, candidates = class_members(group)
    alone = candidates == 1  # a log-sum-exp of nothing has no gradient that is a number
    others = found.masked_fill(alone, 0).masked_fill(alone, -math.inf)
    return {
        "loss": cross_entropy(scale * positive, others),
        "positive": positive,
        "candidates": candidates.to(query.dtype),
    }
