"""Losses for classes of very unequal size, where rare classes would drown in the denominators."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.losses.arguments import require_known, values_are_at_hand
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy, excess
from cl_explore.losses.knob import Knob, Scalar
from cl_explore.losses.queued import Queue
from cl_explore.losses.similarity import class_sums, points, row_lse
from cl_explore.takes import Count, Positive, takes


def _log_prior(counts: Tensor, x: Tensor) -> Tensor:
    """Log share of each class, (C,) in the dtype of `x`, of how often it occurs in the training set."""
    if values_are_at_hand(counts) and counts.min() < 1:
        raise ValueError(f"counts must be 1 or larger, got {int(counts.min())}")
    return counts.to(x.dtype).log() - counts.sum().to(x.dtype).log()


@loss(
    title="Logit-adjusted cross-entropy",
    paper="2007.07314",
    family="long tail",
    formula=r"-\log \frac{e^{f_{y_i} + \kappa \log \pi_{y_i}}}{\sum_c e^{f_c + \kappa \log \pi_c}}",
    knobs=[Knob("strength", 0.0, 2.0, minimum=0, help="how much the class frequencies count: 0 = cross-entropy")],
)
def logit_adjusted(logits: Tensor, labels: Tensor, counts: Tensor, *, strength: Scalar = 1.0) -> Parts:
    """Cross-entropy of logits to which the log frequency of each class is added while training, and not later.

    logits: (B, C)
    labels: (B,) in [0, C)
    counts: (C,) integers: the size of each class in the training set
    Parts: `loss` (B,), `confidence` (B,) the bare softmax at the own class
    Source: Menon et al. 2021; with strength 1 also known as balanced softmax (2007.10740)
    Collapsed: minus the log frequency of the own class, with equal logits and strength 1
    Perfect: 0
    Raises: `ValueError` if a count is 0 or a label has no logit
    Note: The classifier need not learn the frequencies, so its bare logits treat rare and frequent classes alike. Equal
        counts: cross-entropy.

    >>> logit_adjusted(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([90, 10]), reduction="none").neg().exp()
    tensor([0.9000, 0.1000])
    """
    require_known(labels, logits.shape[1], "logits (C)")
    adjusted = logits + strength * _log_prior(counts, logits)
    each = F.cross_entropy(adjusted, labels, reduction="none")
    return {"loss": each, "confidence": (-F.cross_entropy(logits, labels, reduction="none")).exp()}


@loss(
    title="BCL",
    paper="2207.09052",
    family="long tail",
    min_samples=1,
    formula=r"\frac{-1}{|P(i)|} \sum_{p \in P(i)} \log"
    r" \frac{e^{s_{ip}/\tau}}{\sum_{k \ne i} e^{s_{ik}/\tau} / (n_{y_k} - [y_k = y_i])}",
    knobs=[TEMPERATURE],
)
def bcl(z: Tensor, labels: Tensor, prototypes: Tensor, *, temperature: Scalar = 0.1) -> Parts:
    """Balanced contrastive loss: SupCon in which every class weighs the same in the denominator and is always there.

    z: (B, V, D) or (B, D); N = B V anchors against the other points and all centres
    labels: (B,) in [0, C)
    prototypes: (C, D) learned centres
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives
    Source: Zhu et al. 2022 and the authors' code
    Collapsed: log C, points and centres equal
    Perfect: log(1 + (C-1) exp(-C/((C-1) tau))), all on a simplex, whatever the class sizes: that is the point
    Raises: `ValueError` if a label has no centre
    Note: n_c counts the points and the centre of class c, so no class is ever empty. Positives P(i) are the other
        points of the class and its centre.

    >>> bcl(torch.ones(6, 2, 4), torch.tensor([0, 0, 0, 0, 0, 1]), torch.ones(5, 4)).exp().round()
    tensor(5.)
    """
    require_known(labels, len(prototypes), "prototypes (C)")
    x, y = points(z, labels)
    scale, columns = 1 / temperature, torch.cat([x, prototypes])
    classes = torch.cat([y, torch.arange(len(prototypes), device=y.device)])
    sums, number = class_sums(columns, classes)
    sums, counts = sums[: len(x)], number[: len(x)]
    # One more coordinate, tau on the left and -log n on the right, takes log n off every logit.
    rows = torch.cat([x, temperature.expand(len(x))[:, None]], 1)
    averaged = torch.cat([columns, -number.log()[:, None]], 1)
    others = row_lse(rows, averaged, scale, exclude=["same"], a_ids=y, b_ids=classes)
    own = row_lse(x, columns, scale, exclude=["self", "other"], a_ids=y, b_ids=classes) - (counts - 1).log()
    positive = ((x * sums).sum(1) - x.square().sum(1)) / (counts - 1)
    return {"loss": cross_entropy(own, others) + excess(own, scale * positive), "positive": positive}


@loss(
    title="PaCo",
    paper="2107.12028",
    family="long tail",
    min_samples=1,
    formula=r"-\frac{\beta\,\ell_{i,y_i} + \alpha \sum_{p \in P(i)} \ell_{ip}}{\beta + \alpha |P(i)|},\quad"
    r" \ell = x - \log\big( \sum_c e^{x_{ic}} + \gamma \sum_{j \ne i} e^{s_{ij}/\tau} \big)",
    knobs=[
        TEMPERATURE,
        Knob("alpha", 0.0, 1.0, minimum=0, help="weight of each positive sample"),
        Knob("beta", 0.1, 2.0, log=True, help="weight of the own class's logit"),
        Knob("gamma", 0.0, 2.0, minimum=0, help="weight of the samples in the denominator"),
    ],
    max_views=1,
)
def paco(
    z: Tensor,
    labels: Tensor,
    logits: Tensor,
    teacher: Tensor | None = None,
    queue: Tensor | None = None,
    queue_labels: Tensor | None = None,
    counts: Tensor | None = None,
    *,
    temperature: Scalar = 0.05,
    alpha: Scalar = 0.05,
    beta: Scalar = 1.0,
    gamma: Scalar = 1.0,
) -> Parts:
    """Parametric contrastive loss: classifier and contrast share one softmax, so that rare classes have a column, too.

    z: (B, D) anchors
    labels: (B,) in [0, C)
    logits: (B, C) of a classifier
    teacher: (B, D) the same samples through the momentum encoder, a constant
    queue: (K, D) earlier embeddings, constants
    queue_labels: (K,) their labels
    counts: (C,) the size of each class in the training set, whose log frequency is added to the logits
    Parts: `loss` (B,), `positives` (B,) how many, `centre` (B,) the share of the logits in the denominator
    Source: Cui et al. 2021 and the authors' code
    Collapsed: log(C + M exp(1/tau)) - alpha M/(tau (beta + alpha M)) for no counts, logits 0, one class and M other
        columns
    Perfect: 0 with alpha 0, as the logits of the own class grow without bound
    Raises: `ValueError` if a label has no logit or only one of queue and queue_labels is given
    Note: Columns are the logits x (no temperature) and the cosines with z, teacher and queue. Positives P(i) are the
        columns of the own class but i itself. alpha = gamma = 0 is `logit_adjusted`.

    >>> labels, logits, counts = torch.arange(6) % 3, torch.randn(6, 3), torch.tensor([50, 20, 2])
    >>> each = paco(torch.randn(6, 8), labels, logits, counts=counts, alpha=0, gamma=0)
    >>> torch.allclose(each, logit_adjusted(logits, labels, counts))
    True
    """
    require_known(labels, logits.shape[1], "logits (C)")
    if (queue is None) != (queue_labels is None):
        raise ValueError("queue and queue_labels must be given together, got one of them")
    x = z.flatten(0, 1)
    scale = 1 / temperature
    if counts is not None:
        logits = logits + _log_prior(counts, logits)
    columns, classes = [x], [labels]
    if teacher is not None:
        columns.append(teacher.flatten(0, -2).detach())
        classes.append(labels)
    if queue is not None and queue_labels is not None:
        columns.append(queue.detach())
        classes.append(queue_labels)
    samples = torch.cat(columns)
    sums, counts_of = (part[: len(x)] for part in class_sums(samples, torch.cat(classes)))
    positives = counts_of - 1
    centres = logits.logsumexp(1)
    total = torch.logaddexp(centres, row_lse(x, samples, scale, exclude=["self"]) + gamma.log())
    pull = beta * logits.gather(1, labels[:, None])[:, 0] + alpha * scale * ((x * sums).sum(1) - x.square().sum(1))
    each = total - pull / (beta + alpha * positives)
    return {"loss": each, "positives": positives, "centre": (centres - total).exp()}


class PaCo(nn.Module):
    """`paco` with its `queue` of `size` unit embeddings of dimension `dim` and the label of each.

    Each call computes the loss against the queue as it stands and only then, while training, writes the teacher's
    embeddings and their labels over the oldest ones. The random directions of the start bear a label nobody has, so
    they are never positives.

    >>> criterion = PaCo(size=8, dim=4)
    >>> labels = torch.tensor([2, 0, 2])
    >>> value = criterion(torch.randn(3, 4), labels, torch.randn(3, 3), torch.randn(3, 4))
    >>> criterion.queue.labels[:3], int(criterion.queue.pointer)
    (tensor([2, 0, 2]), 3)
    """

    @takes
    def __init__(
        self,
        size: Count,
        dim: Count,
        *,
        temperature: Positive | nn.Parameter = 0.05,
        alpha: float = 0.05,
        beta: float = 1.0,
        gamma: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.knobs: dict[str, Any] = {"temperature": temperature, "alpha": alpha, "beta": beta, "gamma": gamma}
        self.queue = Queue(size, dim, generator=generator)

    def forward(
        self,
        z: Tensor,
        labels: Tensor,
        logits: Tensor,
        teacher: Tensor,
        counts: Tensor | None = None,
        *,
        reduction: Literal["mean", "none"] = "mean",
    ) -> Tensor:
        """The loss of z (B, D), labels (B,), logits (B, C), teacher (B, D) and counts (C,); see `paco`."""
        past, owners = self.queue.rows, self.queue.labels
        value = paco(z, labels, logits, teacher, past, owners, counts, reduction=reduction, **self.knobs)
        if self.training:
            self.queue.enqueue(teacher, labels)
        return value
