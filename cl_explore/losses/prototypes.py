"""Losses against prototypes, one vector for each class or cluster: N x C similarities, no pair of samples."""

import math

import torch
from torch import Tensor

from cl_explore.losses.arguments import require, require_known, require_unit_length, spoiled, values_are_at_hand
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import as_products, group_sums, points, row_lse
from cl_explore.losses.unit import unit
from cl_explore.takes import Positive, takes

SHARP = Knob(
    "temperature",
    0.01,
    1.0,
    log=True,
    help="divides cosines; 1 / temperature is often called the scale",
    per_anchor=True,
)


def _sides(z: Tensor, labels: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    """Points (N, D) and the prototype of each (N,)."""
    require_known(labels, len(prototypes), "prototypes (C)")
    return points(z, labels)


def _of_angles(
    name: str, normalize: bool, z: Tensor, labels: Tensor, prototypes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_sides`, with the prototypes, all of unit length; ValueError for a loss of angles called without."""
    require_unit_length(name, normalize)
    prototypes = unit(prototypes)
    return *_sides(unit(z), labels, prototypes), prototypes


def _others(x: Tensor, y: Tensor, prototypes: Tensor, scale: Tensor) -> Tensor:
    """Log-sum-exp of each point's similarities with all prototypes but its own, (N,)."""
    classes = torch.arange(len(prototypes), device=x.device)
    return row_lse(x, prototypes, scale, exclude=["same"], a_ids=y, b_ids=classes)


def _cross_entropy(x: Tensor, y: Tensor, prototypes: Tensor, own: Tensor, temperature: Tensor) -> Tensor:
    """Cross-entropy of the similarities with all prototypes, where `own` (N,) stands for that with the own one."""
    scale = 1 / temperature
    return cross_entropy(scale * own, _others(x, y, prototypes, scale))


@loss(
    title="Proxy-NCA",
    paper="1703.07464",
    family="prototypes",
    min_samples=1,
    formula=r"\|z_i - w_{y_i}\|^2/T + \log \sum_{c \ne y_i} e^{-\|z_i - w_c\|^2/T}",
    knobs=[
        Knob("temperature", 0.04, 4.0, log=True, help="divides squared distances", per_anchor=True),
        Choice("denominator", ("others", "all"), help="whether the own prototype is part of the sum, too"),
    ],
)
def proxy_nca(
    z: Tensor, labels: Tensor, prototypes: Tensor, *, temperature: Scalar = 1.0, denominator: str = "others"
) -> Parts:
    """Neighbourhood components with one proxy for each class in place of the samples: near the own, far from others.

    z: (B, V, D) or (B, D)
    labels: (B,) in [0, C)
    prototypes: (C, D) with C >= 2
    Parts: `loss` (N,), `distance` (N,) squared, to the own prototype
    Source: Movshovitz-Attias et al. 2017
    Collapsed: log(C - 1), points and prototypes equal; with "all" log C
    Perfect: log(C - 1) - 2C/((C - 1) T), on a simplex
    Raises: `ValueError` if a label has no prototype
    Note: denominator="all" is the form most libraries have, `normalized_softmax` at half the temperature. With "others"
        the prototype is decoupled as in `dcl`: the loss may be negative, and softplus of it is the other form.

    >>> import torch.nn.functional as F
    >>> z, labels, prototypes = torch.randn(6, 8), torch.arange(6) % 3, torch.randn(3, 8)
    >>> each = proxy_nca(z, labels, prototypes, reduction="none")
    >>> torch.allclose(F.softplus(each), normalized_softmax(z, labels, prototypes, temperature=0.5, reduction="none"))
    True
    """
    if len(prototypes) < 2:
        raise ValueError(f"prototypes must have at least 2 rows to tell apart, got {len(prototypes)}")
    x, y = _sides(z, labels, prototypes)
    scale = 2 / temperature
    rows, columns = as_products(x, prototypes)
    each = _others(rows, y, columns, scale) - scale * (rows * columns[y]).sum(1)
    distance = (x - prototypes.index_select(0, y)).square().sum(1)
    each = each if denominator == "others" else cross_entropy(-each, torch.zeros_like(each))
    return {"loss": spoiled(each, distance), "distance": distance}


@loss(
    title="Normalised softmax",
    paper="1811.12649",
    family="prototypes",
    min_samples=1,
    formula=r"-\log \frac{e^{z_i \cdot w_{y_i}/\tau}}{\sum_c e^{z_i \cdot w_c/\tau}}",
    knobs=[SHARP],
)
def normalized_softmax(z: Tensor, labels: Tensor, prototypes: Tensor, *, temperature: Scalar = 0.05) -> Parts:
    """Cross-entropy of the cosines with one prototype for each class.

    z: (B, V, D) or (B, D)
    labels: (B,) in [0, C)
    prototypes: (C, D)
    Parts: `loss` (N,), `positive` (N,) the cosine with the own prototype
    Source: Zhai & Wu 2018
    Collapsed: log C, points and prototypes equal
    Perfect: log(1 + (C-1) exp(-C/((C-1) tau))), both on a simplex
    Raises: `ValueError` if a label has no prototype

    >>> normalized_softmax(torch.ones(6, 4), torch.arange(6) % 5, torch.ones(5, 4)).exp().round()
    tensor(5.)
    """
    x, y = _sides(z, labels, prototypes)
    positive = (x * prototypes.index_select(0, y)).sum(1)
    return {"loss": _cross_entropy(x, y, prototypes, positive, temperature), "positive": positive}


@loss(
    title="ArcFace",
    paper="1801.07698",
    family="prototypes",
    min_samples=1,
    formula=r"-\log \frac{e^{\cos(\theta_{y_i} + m)/\tau}}{e^{\cos(\theta_{y_i} + m)/\tau}"
    r" + \sum_{c \ne y_i} e^{\cos\theta_c/\tau}}",
    knobs=[
        SHARP,
        Knob(
            "margin",
            0.0,
            1.0,
            minimum=0,
            maximum=math.pi,
            per_anchor=True,
            help="radians added to the angle with the own prototype",
        ),
    ],
)
def arcface(
    z: Tensor,
    labels: Tensor,
    prototypes: Tensor,
    *,
    temperature: Scalar = 1 / 64,
    margin: Scalar = 0.5,
    normalize: bool = True,
) -> Parts:
    """Normalised softmax with an angular margin: a point must be nearer its prototype than the softmax asks.

    z: (B, V, D) or (B, D)
    labels: (B,) in [0, C)
    prototypes: (C, D)
    Parts: `loss` (N,), `positive` (N,) the cosine with the own prototype, `target` (N,) the cosine with the margin
    Source: Deng et al. 2019 (scale 64 = 1 / temperature)
    Collapsed: log(1 + (C-1) exp((1 - cos m)/tau))
    Perfect: log(1 + (C-1) exp((-1/(C-1) - cos m)/tau))
    Raises: `ValueError` if a label has no prototype, or for normalize=False
    Note: Margin in radians. Beyond theta = pi - m, where cos(theta + m) would rise again, the target is cos(theta) - m
        sin(m). The sine is the length of what the prototype leaves of the point, so there is no arc cosine and no
        infinite slope. Margin 0 is `normalized_softmax`.

    >>> arcface.parts(torch.eye(2), torch.arange(2), torch.eye(2), margin=torch.pi / 3)["target"]
    tensor([0.5000, 0.5000])
    """
    x, y, prototypes = _of_angles("arcface", normalize, z, labels, prototypes)
    own, m = prototypes.index_select(0, y), margin
    cosine = (x * own).sum(1)
    sine = torch.linalg.vector_norm(x - cosine[:, None] * own, dim=1)
    target = torch.where(cosine > -m.cos(), cosine * m.cos() - sine * m.sin(), cosine - m * m.sin())
    return {
        "loss": _cross_entropy(x, y, prototypes, target, temperature),
        "positive": cosine,
        "target": target,
    }


@loss(
    title="CosFace",
    paper="1801.09414",
    family="prototypes",
    min_samples=1,
    formula=r"-\log \frac{e^{(\cos\theta_{y_i} - m)/\tau}}{e^{(\cos\theta_{y_i} - m)/\tau}"
    r" + \sum_{c \ne y_i} e^{\cos\theta_c/\tau}}",
    knobs=[
        SHARP,
        Knob("margin", 0.0, 1.0, minimum=0, help="taken off the cosine with the own prototype", per_anchor=True),
    ],
)
def cosface(
    z: Tensor,
    labels: Tensor,
    prototypes: Tensor,
    *,
    temperature: Scalar = 1 / 64,
    margin: Scalar = 0.35,
    normalize: bool = True,
) -> Parts:
    """Normalised softmax with a margin on the cosine.

    z: (B, V, D) or (B, D)
    labels: (B,) in [0, C)
    prototypes: (C, D)
    Parts: `loss` (N,), `positive` (N,) the cosine with the own prototype, `target` (N,) the cosine less the margin
    Source: Wang et al. 2018 (scale 64 = 1 / temperature)
    Collapsed: log(1 + (C-1) exp(m/tau))
    Perfect: log(1 + (C-1) exp((m - C/(C-1))/tau))
    Raises: `ValueError` if a label has no prototype, or for normalize=False
    Note: Margin 0 is `normalized_softmax`.

    >>> cosface.parts(torch.eye(2), torch.arange(2), torch.eye(2), margin=0.25)["target"]
    tensor([0.7500, 0.7500])
    """
    x, y, prototypes = _of_angles("cosface", normalize, z, labels, prototypes)
    positive = (x * prototypes.index_select(0, y)).sum(1)
    target = positive - margin
    each = _cross_entropy(x, y, prototypes, target, temperature)
    return {"loss": each, "positive": positive, "target": target}


@loss(
    title="ProtoNCE (PCL)",
    paper="2005.04966",
    family="prototypes",
    min_samples=1,
    formula=r"-\log \frac{e^{z_i \cdot w_{y_i}/(\tau\phi_{y_i})}}{\sum_c e^{z_i \cdot w_c/(\tau\phi_c)}}",
    knobs=[TEMPERATURE],
)
def proto_nce(
    z: Tensor,
    labels: Tensor,
    prototypes: Tensor,
    concentration: Tensor | None = None,
    *,
    temperature: Scalar = 0.2,
) -> Parts:
    """The prototype term of prototypical contrastive learning: a loose cluster pulls less than a tight one.

    z: (B, V, D) or (B, D)
    labels: (B,) the cluster of each sample
    prototypes: (C, D) the cluster centres
    concentration: (C,) positive, of mean 1: relative spreads (`cluster_concentration`); without it all are 1
    Parts: `loss` (N,), `positive` (N,) the cosine with the own prototype
    Source: Li et al. 2021 and the authors' code, where two anchors of one cluster also repel each other's copy of its
        prototype
    Collapsed: log C with concentration 1
    Perfect: log(1 + (C-1) exp(-C/((C-1) tau))), on a simplex
    Raises: `ValueError` if a label has no prototype or a concentration is not positive
    Note: Without concentration it is `normalized_softmax`. PCL adds the mean of this loss over several clusterings to a
        momentum InfoNCE, and leaves out all but a random sample of the other prototypes: give it those it keeps.

    >>> from cl_explore.losses import info_nce
    >>> query, key = torch.randn(6, 8), torch.randn(6, 8)
    >>> torch.allclose(proto_nce(query, torch.arange(6), key), info_nce(query, key, temperature=0.2))
    True
    """
    x, y = _sides(z, labels, prototypes)
    positive = (x * prototypes.index_select(0, y)).sum(1)
    if concentration is None:
        return {"loss": _cross_entropy(x, y, prototypes, positive, temperature), "positive": positive}
    if values_are_at_hand(concentration):
        least, most = map(float, concentration.detach().aminmax())
        if not 0 < least <= most < math.inf:
            wrong = most if least > 0 else least
            raise ValueError(f"concentration must be positive and finite, got {wrong:g}")
    each = _cross_entropy(x, y, prototypes / concentration[:, None], positive / concentration[y], temperature)
    return {"loss": spoiled(each, concentration.sum()), "positive": positive}


@takes
def cluster_concentration(z: Tensor, labels: Tensor, prototypes: Tensor, *, smooth: Positive = 10.0) -> Tensor:
    """How widely the points of each cluster spread around its centre, relative to the other clusters: (C,), of mean 1.

    z (N, D) the points the clusters were made of, labels (N,), prototypes (C, D). It is the mean distance to the
    centre over log(n + smooth), n the size of the cluster; a cluster with no spread of its own (one point, or equal
    points) gets the largest one; values are clipped to the 10th and 90th percentile. All 1 where nothing spreads.
    Source: Li et al. 2021 (2005.04966) and the authors' code. Raises `ValueError` if a label has no prototype.

    >>> cluster_concentration(torch.tensor([[0.0], [1.0], [0.0], [4.0]]), torch.tensor([0, 0, 1, 1]), torch.zeros(2, 1))
    tensor([0.5200, 1.4800])
    """
    require(z=(z, "N D"), labels=(labels, "ids N"), prototypes=(prototypes, "C D"))
    require_known(labels, len(prototypes), "prototypes (C)")
    distance = torch.linalg.vector_norm(z - prototypes.index_select(0, labels), dim=1)
    count = torch.bincount(labels, minlength=len(prototypes)).to(distance.dtype)
    total = group_sums(distance, labels, len(count)) * (count > 1)
    spread = total / count.clamp(min=1) / (count + smooth).log()
    spread = torch.where(spread > 0, spread, spread.max())
    spread = spread.clamp(spread.quantile(0.1), spread.quantile(0.9))
    return torch.where(spread.mean() == 0, 1, spread / spread.mean())
