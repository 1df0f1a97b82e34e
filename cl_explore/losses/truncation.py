"""Losses on the nearest negatives only, and the simple loss that knows no near and far."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy
from cl_explore.losses.knob import Knob, Scalar
from cl_explore.losses.similarity import samples

ALPHA = Knob("alpha", 0.01, 1.0, log=True, maximum=1, help="share of the negatives that is kept, the nearest")
SIMPLE_WEIGHT = Knob("weight", 0.0, 4.0, minimum=0, help="how much repulsion counts beside attraction")


def _positive(z: Tensor) -> Tensor:
    """Cosine of each anchor with the other view of its sample, (N,) of z (B, 2, D)."""
    return (z[:, 0] * z[:, 1]).sum(-1).repeat_interleave(2)


def _shared(negatives: Tensor) -> Tensor:
    if negatives.ndim != 2:
        raise ValueError(f"negatives must have shape (M, D) here, shared by all anchors, got {tuple(negatives.shape)}")
    return negatives


def _nearest(z: Tensor, negatives: Tensor | None, alpha: float) -> Tensor:
    """Cosines of each anchor with the share `alpha` of its negatives that is nearest, at least one: (N, k)."""
    x = z.flatten(0, 1)
    if negatives is None:
        sample = samples(z)
        cosine = (x @ x.T).masked_fill(sample[:, None] == sample, -torch.inf)
        count = len(x) - z.shape[1]
    else:
        cosine, count = x @ _shared(negatives).T, len(negatives)
    return cosine.topk(max(1, round(alpha * count)), dim=1).values


@loss(
    title="Hard-truncated",
    paper="2012.09740",
    family="negatives",
    formula=r"-\log \frac{e^{s_{ip}/\tau}}{e^{s_{ip}/\tau} + \sum_{j:\, s_{ij} \ge s_i^{(\alpha)}} e^{s_{ij}/\tau}}",
    knobs=[TEMPERATURE, ALPHA],
    min_views=2,
    max_views=2,
)
def hard_truncated(
    z: Tensor, negatives: Tensor | None = None, *, temperature: Scalar = 0.5, alpha: float = 0.1
) -> Parts:
    """Hard contrastive loss: only the nearest share alpha of an anchor's negatives stays in the denominator.

    z: (B, 2, D), N = 2 B anchors
    negatives: (M, D), a memory all anchors share; without it the N - 2 points of the other samples
    Parts: `loss` (N,), `positive` (N,) cosine with the positive, `threshold` (N,) cosine from which on a negative
        counts
    Source: Wang & Liu 2021, equation 9
    Collapsed: log(1 + k) with k = alpha (N - 2) rounded, at least 1
    Note: alpha 1: NT-Xent.

    >>> from cl_explore.losses import nt_xent
    >>> z = torch.randn(8, 2, 4)
    >>> torch.allclose(hard_truncated(z, alpha=1.0), nt_xent(z), atol=1e-5)
    True
    """
    scale = 1 / temperature
    positive, near = _positive(z), _nearest(z, negatives, alpha)
    pull = scale * positive
    each = cross_entropy(pull, (near * scale[..., None]).logsumexp(1))
    return {"loss": each, "positive": positive, "threshold": near[:, -1]}


@loss(
    title="Simple",
    paper="2012.09740",
    family="negatives",
    formula=r"-s_{ip} + \frac{\lambda}{n} \sum_{j} s_{ij}",
    knobs=[SIMPLE_WEIGHT],
    min_views=2,
    max_views=2,
)
def simple(z: Tensor, negatives: Tensor | None = None, *, weight: Scalar = 1.0) -> Parts:
    """The plain loss of attraction and repulsion: all negatives push alike, near or far.

    z: (B, 2, D)
    negatives: (M, D); without it the n = N - 2 points of the other samples
    Parts: `loss` (N,), `positive` (N,), `negative` (N,) the mean cosine with the negatives
    Source: Wang & Liu 2021, equation 3, the sum written as a mean
    Collapsed: weight - 1
    Perfect: about -1 - weight / (B - 1)
    Note: What InfoNCE tends to, up to scale, as the temperature grows. It never stops to push far negatives.

    >>> simple(torch.ones(4, 2, 3), weight=1.0).abs() < 1e-6
    tensor(True)
    """
    x = z.flatten(0, 1)
    if negatives is None:
        own = z.sum(1, keepdim=True)
        mean = ((own.sum(0) - own) / (len(x) - z.shape[1])).expand_as(z).flatten(0, 1)
    else:
        mean = _shared(negatives).mean(0)
    positive, negative = _positive(z), (x * mean).sum(-1)
    return {"loss": weight * negative - positive, "positive": positive, "negative": negative}


@loss(
    title="Hard-simple",
    paper="2012.09740",
    family="negatives",
    formula=r"-s_{ip} + \frac{\lambda}{k} \sum_{j:\, s_{ij} \ge s_i^{(\alpha)}} s_{ij}",
    knobs=[SIMPLE_WEIGHT, ALPHA],
    min_views=2,
    max_views=2,
)
def hard_simple(z: Tensor, negatives: Tensor | None = None, *, weight: Scalar = 1.0, alpha: float = 0.1) -> Parts:
    """The simple loss on the nearest share alpha of the negatives: truncation does what a small temperature does.

    z: (B, 2, D)
    negatives: (M, D); without it the points of the other samples
    Parts: as `simple`, the mean being over the k negatives kept
    Source: Wang & Liu 2021, equations 3 and 9
    Collapsed: weight - 1
    Note: alpha 1: `simple`.

    >>> from cl_explore.losses import simple
    >>> z = torch.randn(8, 2, 4)
    >>> torch.allclose(hard_simple(z, alpha=1.0), simple(z), atol=1e-5)
    True
    """
    positive, negative = _positive(z), _nearest(z, negatives, alpha).mean(1)
    return {"loss": weight * negative - positive, "positive": positive, "negative": negative}
