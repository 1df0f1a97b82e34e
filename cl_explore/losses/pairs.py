"""Losses of pairs without triplets: N-pair, lifted structure, multi-similarity and circle."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.arguments import require_anchor, spoiled
from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.infonce import require_in_batch_negatives
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import chosen_lse, distances, points, row_lse

BOTH_KINDS = "a positive (another point of its class) and a negative (a point of another class)"


def _pairs(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points (N, D) of z (B, V, D), and which pairs of them (N, N) share a class and which do not."""
    x, y = points(z, labels)
    same = y[:, None] == y
    return x, same & ~torch.eye(len(x), dtype=torch.bool, device=x.device), ~same


def _log1pexp(x: Tensor) -> Tensor:
    return -F.logsigmoid(-x)  # F.softplus is exactly linear from 20 on, which is 2e-9 off


@loss(
    title="N-pair",
    paper="Sohn 2016",
    family="InfoNCE",
    formula=r"-\log \frac{e^{q_i^\top k_i}}{\sum_j e^{q_i^\top k_j}} + w (\| q_i \|^2 + \| k_i \|^2)",
    knobs=[Knob("l2", 0.0, 0.1, minimum=0, help="weight of the squared lengths, which keeps raw embeddings small")],
    raw=True,
)
def n_pair(query: Tensor, key: Tensor, *, l2: Scalar = 0.02) -> Parts:
    """N-pair loss: softmax over raw inner products, one pair of each class, lengths held back by a penalty.

    query: (N, D), row i from class i
    key: (N, D), row i from class i; the other rows are of other classes
    Parts: `loss`, `positive` (the inner product with the positive) and `penalty` (the two squared lengths added), each
        (N,)
    Source: Sohn 2016, section 3; codes differ in a factor on the penalty (some halve or quarter it), here there is none
    Collapsed: log N, plus the penalty
    Note: Without penalty it is `info_nce` of raw embeddings at temperature 1: length takes the place of
        1 / temperature.

    >>> from cl_explore.losses import info_nce
    >>> q, k = torch.randn(5, 4), torch.randn(5, 4)
    >>> torch.allclose(n_pair(q, k, l2=0), info_nce(q, k, temperature=1.0, normalize=False))
    True
    """
    require_in_batch_negatives("key", key)
    positive = (query * key).sum(-1)
    penalty = query.square().sum(-1) + key.square().sum(-1)
    return {"loss": row_lse(query, key, 1.0) - positive + l2 * penalty, "positive": positive, "penalty": penalty}


@loss(
    title="Lifted structure",
    paper="1511.06452",
    family="margin",
    formula=r"\tfrac12 \Big[ D_{ip} + \log \Big( \sum_{n \in N(i)} e^{m - D_{in}} + \sum_{n \in N(p)} e^{m - D_{pn}}"
    r"\Big) \Big]_+^2",
    knobs=[
        Knob("margin", 0.0, 2.0, minimum=0, help="how far negatives should be"),
        Choice("form", ("lifted", "generalized"), help="a hinge for each positive pair, or one for each anchor"),
    ],
)
def lifted(z: Tensor, labels: Tensor, *, margin: Scalar = 1.0, form: str = "lifted") -> Parts:
    """Lifted structure: each positive pair against all negatives of both its ends.

    z: (B, V, D) or (B, D), N = B V points
    labels: (B,)
    Parts: `loss` (N,) the mean over the positives of an anchor, `negatives` (N,) log sum_n exp(m - D_in), `active` (N,)
        how many hinges are open, `anchor_weight` (N,) how much the anchor counts: its number of positives, or 1 if it
        has any
    Source: Song et al. 2016, equation 4; "generalized": Hermans et al. 1703.07737
    Collapsed: (m + log 2n)^2 / 2 for n negatives each; "generalized": [m + log n p]_+ for p positives
    Perfect: 0 only if the negatives are so far that the hinge closes
    Raises: `ValueError` if no anchor has both a positive and a negative
    Note: "lifted": mean over the positive pairs of half the squared hinge. "generalized": the mean over anchors of the
        plain hinge [log sum_p exp(D_ip) + log sum_n exp(m - D_in)]_+, in which far positives dominate as near negatives
        do.

    >>> z, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 0, 1, 1])
    >>> lifted(z, labels, margin=0.5)
    tensor(0.)
    """
    x, positive, negative = _pairs(z, labels)
    d = distances(x, squared=False)
    counted = positive.any(1) & negative.any(1)
    require_anchor(counted, BOTH_KINDS)
    far = chosen_lse(margin - d, negative)
    if form == "generalized":
        hinge = torch.where(counted, chosen_lse(d, positive) + far, 0).relu()
        weight = counted.to(x.dtype)
        each, active = hinge, (hinge > 0).to(x.dtype)
    else:
        hinge = torch.where(positive & counted[:, None], torch.logaddexp(far[:, None], far) + d, 0).relu()
        weight = positive.sum(1) * counted.to(x.dtype)
        each = hinge.square().sum(1) / 2 / weight.clamp(min=1)
        active = (hinge > 0).sum(1).to(x.dtype)
    negatives = torch.where(counted, far, 0)
    return {"loss": each, "negatives": negatives, "active": active, "anchor_weight": weight}


@loss(
    title="Multi-similarity",
    paper="1904.06627",
    family="margin",
    formula=r"\tfrac1\alpha \log\Big(1 + \sum_p e^{-\alpha (s_{ip} - \lambda)}\Big)"
    r" + \tfrac1\beta \log\Big(1 + \sum_n e^{\beta (s_{in} - \lambda)}\Big)",
    knobs=[
        Knob("alpha", 0.5, 10.0, log=True, help="sharpness on positives: large = only the farthest one counts"),
        Knob("beta", 1.0, 100.0, log=True, help="sharpness on negatives: large = only the nearest one counts"),
        Knob("base", -0.5, 1.0, help="the cosine above which a positive is near and a negative too near"),
        Knob("margin", 0.0, 0.5, minimum=0, help="slack of the mining"),
        Choice("mining", ("all", "hard"), help="all pairs, or those that rank wrongly within the slack"),
    ],
)
def multi_similarity(
    z: Tensor,
    labels: Tensor,
    *,
    alpha: Scalar = 2.0,
    beta: Scalar = 50.0,
    base: Scalar = 0.5,
    margin: Scalar = 0.1,
    mining: str = "all",
) -> Parts:
    """Multi-similarity: a soft threshold on the cosines of positives and one on those of negatives.

    z: (B, V, D) or (B, D); N = B V anchors, all of which count
    labels: (B,)
    Parts: `loss`, `pull` (positives), `push` (negatives), each (N,)
    Source: Wang et al. 2019; the authors' code mines
    Collapsed: log(1 + p exp(-alpha (1 - base))) / alpha + log(1 + n exp(beta (1 - base))) / beta for p positives and n
        negatives
    Note: "hard" keeps the negatives less than `margin` below the farthest positive and the positives less than `margin`
        above the nearest negative, and counts an anchor left without pairs as 0. A positive that coincides with its
        anchor stays a positive. As beta grows the push becomes the hinge of the nearest negative, [s - base]_+.

    >>> z, labels = torch.eye(4)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1])
    >>> multi_similarity(z, labels, mining="hard")
    tensor(0.)
    """
    if mining == "all":
        x, y = points(z, labels)
        near = row_lse(x, -x, alpha, exclude=["self", "other"], a_ids=y, b_ids=y) + alpha * base
        far = row_lse(x, x, beta, exclude=["same"], a_ids=y, b_ids=y) - beta * base
    else:
        x, positive, negative = _pairs(z, labels)
        s = x @ x.T
        hardest = torch.where(positive, s, torch.inf).amin(1, keepdim=True)
        nearest = torch.where(negative, s, -torch.inf).amax(1, keepdim=True)
        # Asked the other way round, so that NaN is never taken for an easy pair.
        near = chosen_lse(-alpha * (s - base), positive & ~(s - margin >= nearest))
        far = chosen_lse(beta * (s - base), negative & ~(s + margin <= hardest))
        far = spoiled(far, s.diagonal())
    pull, push = _log1pexp(near) / alpha, _log1pexp(far) / beta
    return {"loss": pull + push, "pull": pull, "push": push}


@loss(
    title="Circle",
    paper="2002.10857",
    family="margin",
    formula=r"\log \Big( 1 + \sum_n e^{\gamma \alpha_n (s_{in} - m)}"
    r" \sum_p e^{-\gamma \alpha_p (s_{ip} - 1 + m)} \Big)",
    knobs=[
        Knob("margin", 0.0, 0.5, minimum=0, help="positives should be above 1 - margin, negatives below margin"),
        Knob("gamma", 1.0, 256.0, log=True, help="scale of the logits: large = only the worst pair counts"),
        Choice(
            "scope", ("anchor", "batch"), help="the pairs of an anchor, or all pairs of the batch, in one logarithm"
        ),
        Choice("weight_grad", ("detach", "live"), help="whether the gradient also flows through the weights"),
    ],
)
def circle(
    z: Tensor,
    labels: Tensor,
    *,
    margin: Scalar = 0.4,
    gamma: Scalar = 80.0,
    scope: str = "anchor",
    weight_grad: str = "detach",
) -> Parts:
    """Circle loss: every pair pulls the harder the farther it is from where it should be.

    z: (B, V, D) or (B, D), N = B V anchors
    labels: (B,)
    Parts: `loss`, `pull` and `push` (the logarithms of the two sums), each (N,), and with scope "anchor"
        `anchor_weight` (N,), 0 for an anchor without both kinds of pairs
    Source: Sun et al. 2020, equation 6
    Collapsed: log(1 + p n exp(gamma (1 - 2 m^2))) for p positives and n negatives
    Raises: `ValueError` if no anchor has both a positive and a negative
    Note: Weights alpha_p = [1 + m - s_ip]_+ and alpha_n = [s_in + m]_+ are constants to the gradient. With scope
        "batch" the two sums run over all pairs i < j, and every anchor carries that one number. Of the order of gamma
        away from the optimum.

    >>> z, labels = torch.eye(4)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1])
    >>> circle(z, labels, margin=0.25) < 0.01
    tensor(True)
    """
    x, positive, negative = _pairs(z, labels)
    counted = positive.any(1) & negative.any(1)
    require_anchor(counted, BOTH_KINDS)
    s = x @ x.T
    of_positive, of_negative = (1 + margin - s).relu(), (s + margin).relu()
    if weight_grad == "detach":
        of_positive, of_negative = of_positive.detach(), of_negative.detach()
    pull = chosen_lse(-gamma * of_positive * (s - 1 + margin), positive)
    push = chosen_lse(gamma * of_negative * (s - margin), negative)
    if scope == "batch":  # each pair stands in two rows
        pull, push = ((side.logsumexp(0) - math.log(2)).expand(len(x)) for side in (pull, push))
        return {"loss": _log1pexp(pull + push), "pull": pull, "push": push}
    # An infinite side must be gone before the two are added, or the gradient of a lonely anchor is NaN.
    pull, push = (torch.where(counted, side, 0) for side in (pull, push))
    each = _log1pexp(pull + push) * counted
    return {"loss": each, "pull": pull, "push": push, "anchor_weight": counted.to(x.dtype)}
