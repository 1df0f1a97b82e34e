"""SepCLR: keep apart what is common to background and target samples and what is salient in targets alone."""

import math

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import chosen_lse


def _spread(x: Tensor) -> Tensor:
    """Mean squared distance of each view from the other views of its sample, (B, V) of x (B, V, D)."""
    return (x[:, :, None] - x[:, None]).square().sum((2, 3)) / (x.shape[1] - 1)


def _square_distances(x: Tensor) -> Tensor:
    """Squared distances within each view, (V, B, B) of x (B, V, D): exact for near points, as raw codes are."""
    rows = x.transpose(0, 1).contiguous()
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square()


def _log_mean(logits: Tensor, pairs: Tensor) -> Tensor:
    """Logarithm of the mean of exp(logits) over the allowed pairs of each view, (V,); 0 where no pair is.

    logits (V, B, B), pairs (B, B) bool.
    """
    number = pairs.to(logits.dtype).sum()
    total = chosen_lse(logits.flatten(1), pairs.expand_as(logits).flatten(1))
    return torch.where(number > 0, total - number.log(), 0)


@loss(
    title="SepCLR",
    paper="2402.11928",
    family="structure",
    formula=r"L_c + \beta_s L_s + \beta_r \frac{1}{|X|}\sum_{i \in X} \frac{\|s_i\|^2}{2\tau} + \lambda \frac1B \sum_i "
    r"\log \frac1B \sum_j e^{-(\|c_i - c_j\|^2 + \|\tilde s_i - \tilde s_j\|^2)/2\tau}",
    knobs=[
        TEMPERATURE,
        Knob("salient_weight", 0.1, 100.0, minimum=0, help="weight of the salient codes' alignment and uniformity"),
        Knob("informationless_weight", 1.0, 1000.0, minimum=0, help="pushes what is common out of the salient code"),
        Knob("joint_weight", 0.0, 30.0, minimum=0, help="weight of joint entropy: pushes what is salient out of z"),
        Choice("background_pairs", ("keep", "drop"), help="whether pairs of background samples count in uniformity"),
    ],
    min_views=2,
)
def sepclr(
    z: Tensor,
    salient: Tensor,
    labels: Tensor,
    *,
    temperature: Scalar = 0.5,
    salient_weight: Scalar = 1.0,
    informationless_weight: Scalar = 300.0,
    joint_weight: Scalar = 10.0,
    background_pairs: str = "keep",
) -> Parts:
    """Separate common from salient: z codes what all samples share, `salient` what only target samples have.

    z: (B, V, D) of unit length
    salient: (B, V, S) of any length
    labels: (B,) 0 for background X, anything else for target
    Parts: each (N,), of a mean that is the term of the formula: `loss`, their weighted sum; `common_alignment`,
        `common_uniformity`, `salient_alignment` (over targets), `salient_uniformity`, `informationless` (over
        background), `joint_entropy` (each point paired with itself too); both uniformities count twice, once for each
        of two views
    Source: Louiset et al. 2024 and the authors' code, which keeps the pairs of background samples; "drop" leaves them
        out
    Collapsed: 0, z and salient constant 0
    Note: Background samples enter the salient terms as the zero vector, without a gradient. Uniformity is the logarithm
        of a mean over pairs, joint entropy a mean of logarithms. Distances are squared and divided by 2 temperature; at
        0.5 the common terms are alignment + 2 uniformity(t=1). A term without samples (no target, no background) is 0.

    >>> z, salient = torch.randn(8, 2, 4), torch.zeros(8, 2, 3)
    >>> from cl_explore.losses import align_uniform
    >>> total = sepclr(z, salient, torch.ones(8, dtype=torch.long), joint_weight=0)
    >>> torch.allclose(total, align_uniform(z, t=1, weight=2), atol=1e-5)
    True
    """
    samples, views, _ = z.shape
    tau = temperature.expand(samples * views).view(samples, views)
    t = 1 / (2 * tau)
    target = (labels > 0)[:, None]
    shown = salient.to(z.dtype) * target[..., None]
    apart = ~torch.eye(samples, dtype=torch.bool, device=z.device)
    counted = apart & (target | target.T) if background_pairs == "drop" else apart
    logits, salient_logits = (-_square_distances(x) * t.T[..., None] for x in (z, shown))

    def of_group(each: Tensor, group: Tensor) -> Tensor:
        """Numbers (B, V) whose mean over all is the mean of `each` over the samples of the group (B, 1)."""
        return each * group * samples / group.sum().to(each.dtype).clamp(min=1)

    parts = {
        "common_alignment": _spread(z) * t,
        "common_uniformity": _log_mean(logits, apart).expand(samples, views),
        "salient_alignment": of_group(_spread(shown) * t, target),
        "salient_uniformity": _log_mean(salient_logits, counted).expand(samples, views),
        "informationless": of_group(salient.to(z.dtype).square().sum(2) * t, ~target),
        "joint_entropy": (logits + salient_logits).logsumexp(2).T - math.log(samples),
    }
    total = (
        parts["common_alignment"]
        + 2 * parts["common_uniformity"]
        + salient_weight * (parts["salient_alignment"] + 2 * parts["salient_uniformity"])
        + informationless_weight * parts["informationless"]
        + joint_weight * parts["joint_entropy"]
    )
    return {name: part.flatten() for name, part in ({"loss": total} | parts).items()}


@loss(
    title="Attribute alignment",
    paper="2402.11928",
    family="structure",
    formula=r"\frac{1}{N-1} \sum_{j \ne i} e^{-\| y_i - y_j \|^2 / 2 \tau_y} \| s_i - s_j \|^2",
    knobs=[Knob("bandwidth", 0.005, 1.0, log=True, help="how near two targets must be for their points to attract")],
    raw=True,
)
def attribute_alignment(z: Tensor, targets: Tensor, *, bandwidth: Scalar = 0.025) -> Tensor:
    """Alignment by an attribute: points attract each other the more, the nearer their targets.

    z: (B, V, D) or (B, D), not normalised (a salient code of one dimension, say)
    targets: (B,) or (B, T)
    Source: Louiset et al. 2024, the authors' code for supervised attributes
    Collapsed: 0
    Note: Its minimum is the collapse: it needs a term that spreads.

    >>> attribute_alignment(torch.tensor([[0.0], [3.0]]), torch.tensor([0.5, 0.5]))
    tensor(9.)
    """
    width = 2 * bandwidth
    x, y = z.flatten(0, 1), targets.to(z.dtype).view(len(z), -1).repeat_interleave(z.shape[1], dim=0)
    gap, distance = (_square_distances(each[:, None])[0] for each in (y, x))
    return ((-gap / width[..., None]).exp() * distance).sum(1) / (len(x) - 1)
