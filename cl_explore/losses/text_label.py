"""Contrast of texts with labels: raw products, a few labels that are wrong, and four ways to compare them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.infonce import require_in_batch_negatives
from cl_explore.losses.knob import Choice, Knob, Scalar

OBJECTIVES = ("ranking", "binary", "hinge", "soft margin")


@loss(
    title="Text-label NCE",
    paper="2102.12982",
    family="InfoNCE",
    formula=r"\log \Big( 1 + \sum_j e^{(q_i^\top k_j - q_i^\top k_i)/\tau} \Big)",
    knobs=[
        TEMPERATURE,
        Choice("objective", OBJECTIVES, help="a choice among labels, yes or no to each, or a margin between them"),
        Knob("margin", 0.0, 3.0, minimum=0, help="by how much a hinge wants the right label to score higher"),
    ],
    raw=True,
)
def label_nce(
    query: Tensor,
    key: Tensor,
    negatives: Tensor | None = None,
    group: Tensor | None = None,
    *,
    temperature: Scalar = 1.0,
    objective: str = "ranking",
    margin: Scalar = 1.0,
) -> Parts:
    """Which label belongs to a text, by the products of both: as one choice, label by label, or by a margin.

    query: (N, D) texts
    key: (N, D), row i the right label of text i
    negatives: (M, D), wrong labels of all texts, or (N, M, D), a list for each; without it the labels of other texts
    group: (N,) what each label says: labels of texts that say something else are negatives, beside those given, but
        equal ones are not; without it, and without negatives, all differ
    Parts: `loss` (N,), `positive` (N,) the product with the right label, `negatives` (N,) how many wrong ones there are
    Source: Rethmeier & Augenstein 2022, whose formulas are written here as the survey's families are commonly known
    Collapsed: log N
    Note: "binary" is -log sigma(s+) - sum log(1 - sigma(s-)), "hinge" sum [margin + s- - s+]+ and "soft margin" sum
        log(1 + exp(s- - s+)); all are sums over negatives. With one negative "ranking" and "soft margin" are the same.
        To correct for the noise q that negatives are drawn from, let one more number of each label be -log q (of
        "binary" -log(M q)) and of each text the temperature.

    >>> texts, labels = torch.zeros(4, 3), torch.randn(4, 3)
    >>> label_nce(texts, labels, torch.randn(7, 3)).exp()
    tensor(8.)
    """
    scale = 1 / temperature
    positive = (query * key).sum(-1)
    wrong, counted = [], []
    if negatives is not None:
        found = query @ negatives.T if negatives.ndim == 2 else torch.einsum("nd,nmd->nm", query, negatives)
        wrong.append(found)
        counted.append(torch.ones_like(found, dtype=torch.bool))
    else:
        require_in_batch_negatives("key", key)
    if negatives is None or group is not None:
        ids = torch.arange(len(key), device=key.device) if group is None else group
        wrong.append(query @ key.T)
        counted.append(ids[:, None] != ids)
    own, others, kept = scale * positive, scale[..., None] * torch.cat(wrong, 1), torch.cat(counted, 1)
    gap = others - own[:, None]
    if objective == "ranking":
        each = F.pad(gap.masked_fill(~kept, -torch.inf), (1, 0)).logsumexp(1)
    elif objective == "binary":
        each = F.softplus(-own) + (F.softplus(others) * kept).sum(1)
    else:
        terms = (gap + margin[..., None]).relu() if objective == "hinge" else F.softplus(gap)
        each = (terms * kept).sum(1)
    return {"loss": each, "positive": positive, "negatives": kept.sum(1).to(positive)}
