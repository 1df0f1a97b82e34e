"""Supervised contrastive losses: samples of the same class are positives, or all, by how much they have in common."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.arguments import require_anchor
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import contrast, cross_entropy, excess
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import as_products, class_members, point_weights, points, row_lse

A_POSITIVE = "a positive (another sample of its class, or a second view)"


@loss(
    title="SupCon (out)",
    paper="2004.11362",
    family="supervised",
    formula=r"\frac{-1}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}}",
    knobs=[TEMPERATURE],
)
def supcon(z: Tensor, labels: Tensor, *, temperature: Scalar = 0.1, normalize: bool = True) -> Parts:
    """Supervised contrastive loss L_out: the mean log-probability of all positives, against all other points.

    z: (B, V, D) or (B, D)
    labels: (B,)
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `anchor_weight` (N,)
    Source: Khosla et al. 2020, equation 2; no hidden factor tau / 0.07
    Collapsed: log(N - 1)
    Perfect: log(n - 1 + (N - n) exp(-C / ((C - 1) tau))), C classes of n points collapsed on a simplex
    Raises: `ValueError` if no anchor has a positive
    Note: Positives are the other points of the class; an anchor without one does not count. The positive term is linear
        in the sum of each class, so no pair of positives is ever formed.

    >>> z, labels = torch.eye(4)[:, None].expand(4, 2, 4), torch.tensor([0, 1, 2, 3])
    >>> from cl_explore.losses import nt_xent
    >>> torch.allclose(supcon(z, labels), nt_xent(z, temperature=0.1))
    True
    """
    y = labels.repeat_interleave(z.shape[1])
    each, positive, number = contrast(z, y, temperature, normalize)
    require_anchor(number, A_POSITIVE)
    return {"loss": each, "positive": positive, "anchor_weight": number.clamp(max=1)}


@loss(
    title="SupCon (in)",
    paper="2004.11362",
    family="supervised",
    formula=r"-\log \frac{1}{|P(i)|} \sum_{p \in P(i)} \frac{e^{s_{ip}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}}",
    knobs=[TEMPERATURE],
)
def supcon_in(z: Tensor, labels: Tensor, *, temperature: Scalar = 0.1) -> Parts:
    """Supervised contrastive loss L_in: the log of the mean probability of the positives; the nearest ones dominate.

    z: (B, V, D) or (B, D)
    labels: (B,)
    Parts: `loss` (N,), `anchor_weight` (N,), 0 for an anchor without a positive
    Source: Khosla et al. 2020, equation 3
    Collapsed: log(N - 1)
    Perfect: as `supcon`
    Raises: `ValueError` if no anchor has a positive
    Note: Positives are the other points of the class; an anchor without one does not count. Never above `supcon`
        (Jensen), equal where each anchor has one positive.

    >>> z, labels = torch.randn(6, 2, 8), torch.tensor([0, 0, 1, 1, 2, 2])
    >>> from cl_explore.losses import supcon
    >>> bool(supcon_in(z, labels) <= supcon(z, labels))
    True
    """
    x, y = points(z, labels)
    outside, mean, number = contrast(x, y, temperature)
    counted = number > 0
    require_anchor(counted, A_POSITIVE)
    scale = 1 / temperature
    positives = row_lse(x, x, scale, exclude=["self", "other"], a_ids=y, b_ids=y) - number.log()
    # By what the logarithm of the mean exceeds the mean of the logarithms. That of no positive is infinite, that of one
    # is nothing but rounding.
    gap = excess(torch.where(number > 1, positives, scale * mean), scale * mean)
    return {"loss": outside - gap, "anchor_weight": counted.to(x.dtype)}


@loss(
    title="Soft nearest neighbour",
    paper="1902.01889",
    family="supervised",
    formula=r"-\log \frac{\sum_{p \in P(i)} e^{-\|z_i - z_p\|^2/T}}{\sum_{a \ne i} e^{-\|z_i - z_a\|^2/T}}",
    knobs=[
        Knob(
            "temperature",
            0.04,
            4.0,
            log=True,
            help="divides squared distances: small = only near neighbours count",
            per_anchor=True,
        )
    ],
)
def soft_nn(z: Tensor, labels: Tensor, *, temperature: Scalar = 0.2) -> Parts:
    """Soft nearest neighbour loss: a neighbour drawn at random, near ones more often, should be of the own class.

    z: (B, V, D) or (B, D)
    labels: (B,)
    Parts: `loss` (N,), `positive` (N,) the probability of such a neighbour, `anchor_weight` (N,)
    Source: Frosst et al. 2019, without the 1e-5 inside the logarithm of the reference code
    Collapsed: log((N - 1) / |P|)
    Perfect: about 0 once T is small against the distance of the classes
    Raises: `ValueError` if no anchor has a positive
    Note: Positives are the other points of the class; an anchor without one does not count. The paper leaves points as
        long as they are: `normalize=False`; on unit vectors squared distances are 2 - 2 cosines, so temperature T does
        what T / 2 does in `supcon_in`. Maximised instead of minimised, it entangles the classes.

    >>> z, labels = torch.randn(6, 2, 8), torch.arange(6) // 2
    >>> (supcon_in(z, labels, temperature=0.2) - soft_nn(z, labels, temperature=0.4)).exp().round()
    tensor(3.)
    """
    x, y = points(z, labels)
    scale = 2 / temperature
    _, counts = class_members(y)
    counted = counts > 1
    require_anchor(counted, A_POSITIVE)
    rows, columns = as_products(x, x)
    negatives = row_lse(rows, columns, scale, exclude=["same"], a_ids=y, b_ids=y)
    positives = row_lse(rows, columns, scale, exclude=["self", "other"], a_ids=y, b_ids=y)
    # A lonely anchor's positives are -inf: a finite number stands there first, or 0 * inf makes NaN.
    each = cross_entropy(torch.where(counted, positives, 0), negatives) * counted
    return {"loss": each, "positive": (-each).exp() * counted, "anchor_weight": counted.to(x.dtype)}


@loss(
    title="Focal SupCon (Core-tuning)",
    paper="2102.06605",
    family="supervised",
    formula=r"\frac{-1}{|P(i)|} \sum_{p \in P(i)} (1 - q_{ip})^{\gamma} \log q_{ip},\quad"
    r" q_{ip} = \frac{e^{s_{ip}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}}",
    knobs=[
        TEMPERATURE,
        Knob("gamma", 0.0, 2.0, minimum=0, help="how strongly easy positives are played down; 0 = SupCon"),
        Choice("divide", ("positives", "all"), help="what an anchor's sum is divided by: its positives, or all points"),
    ],
)
def focal_supcon(
    z: Tensor,
    labels: Tensor,
    positives: Tensor | None = None,
    negatives: Tensor | None = None,
    *,
    temperature: Scalar = 0.07,
    gamma: Scalar = 1.0,
    divide: str = "positives",
) -> Parts:
    """Supervised contrastive loss that plays down the pairs it has already won, and may be fed with harder pairs.

    z: (B, V, D) or (B, D), N = B V anchors
    labels: (B,)
    positives: (B, V, D) or (B, D): one more positive for each anchor or sample, such as its hard mixture (see
        `mixing.hard_pairs`), a negative for all others
    negatives: (M, D), or (N, M, D) for each anchor its own: negatives only
    Parts: `loss` (N,), `focus` (N,) the mean weight (1 - q)^gamma of the positives, `anchor_weight` (N,)
    Source: Zhang et al. 2021; the gradient flows through the weight
    Collapsed: (1 - 1/(N-1)) log(N - 1) for gamma 1
    Perfect: (1 - 1/|P|) log |P| for gamma 1 as tau goes to 0
    Raises: `ValueError` if no anchor has a positive
    Note: An anchor without a positive does not count. The authors' code divides by the number of all points
        (divide="all"), which shrinks the loss about as many times as there are classes. Needs a table of N x N
        probabilities.

    >>> z, labels = torch.randn(6, 2, 8), torch.arange(6) // 2
    >>> torch.allclose(focal_supcon(z, labels, gamma=0, temperature=0.1), supcon(z, labels))
    True
    """
    x, y = points(z, labels)
    scale = 1 / temperature
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    columns, match = [x @ x.T], [(y[:, None] == y) & ~own]
    if positives is not None:
        columns.append(x @ positives.reshape(len(z), -1, z.shape[2]).expand_as(z).flatten(0, 1).T)
        match.append(own)
    if negatives is not None:
        columns.append(x @ negatives.T if negatives.ndim == 2 else torch.einsum("nd,nmd->nm", x, negatives))
        match.append(torch.zeros_like(columns[-1], dtype=torch.bool))
    positive = torch.cat(match, 1)
    number = positive.sum(1)
    require_anchor(number > 0, A_POSITIVE)
    logits = torch.cat(columns, 1) * scale[..., None]
    log_q = logits.masked_fill(F.pad(own, (0, positive.shape[1] - len(x))), -torch.inf).log_softmax(1)
    log_q = torch.where(positive, log_q, 0)
    miss = -torch.expm1(log_q)
    # The power's derivative may be infinite at 0, where the pair is won and its weight plays no part.
    won = miss <= 0
    focus = torch.where(won, 1, miss) ** gamma[..., None] * ~won
    total = -(focus * log_q).sum(1)
    return {
        "loss": total / (number.clamp(min=1) if divide == "positives" else positive.shape[1]),
        "focus": focus.sum(1) / number.clamp(min=1),
        "anchor_weight": (number > 0).to(x.dtype),
    }


@loss(
    title="Soft SupCon (SPACE-2)",
    paper="2209.06638",
    family="supervised",
    formula=r"-\sum_{j \ne i} \frac{f_{ij}}{\sum_{k \ne i} f_{ik}}"
    r" \log \frac{e^{s_{ij}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}}",
    knobs=[TEMPERATURE],
)
def soft_supcon(z: Tensor, weights: Tensor | None = None, *, temperature: Scalar = 0.07) -> Parts:
    """Supervised contrastive loss with degrees: each sample is a positive by its weight, against all other points.

    z: (B, V, D) or (B, D)
    weights: (B, B), at least 0, how much sample j is a positive of sample i, the diagonal for the other views of a
        sample; without them only each sample of itself
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `entropy` (N,) of their shares, below which
        no embedding brings the loss, `anchor_weight` (N,) 0 for one without a positive
    Source: He et al. 2022, the authors' code; no hidden factor tau / 0.07
    Collapsed: log(N - 1)
    Perfect: `entropy`, where cosines are tau log f_ij but for a constant of each anchor
    Raises: `ValueError` if a weight is negative or no anchor has a positive
    Note: The weights of an anchor are made to sum to 1, so one with weak kin alone counts in full. It is the
        cross-entropy to these shares: linear in them, hence not in the weights.

    >>> z, labels = torch.randn(6, 2, 8), torch.tensor([0, 0, 1, 1, 2, 2])
    >>> same = (labels[:, None] == labels).float()
    >>> torch.allclose(soft_supcon(z, same), supcon(z, labels, temperature=0.07), atol=1e-5)
    True
    """
    x = z.flatten(0, 1)
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    f = point_weights(z, weights).masked_fill(own, 0)
    total = f.sum(1)
    counts = total > 0
    require_anchor(counts, "a positive", "weights")
    share = f / torch.where(counts, total, 1)[:, None]
    cosine = x @ x.T
    log_p = (cosine / temperature[..., None]).masked_fill(own, -torch.inf).log_softmax(1).masked_fill(own, 0)
    return {
        "loss": -(share * log_p).sum(1),
        "positive": (share * cosine).sum(1),
        "entropy": torch.special.entr(share.detach()).sum(1),
        "anchor_weight": counts.to(x.dtype),
    }
