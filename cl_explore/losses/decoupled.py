"""Decoupled contrastive losses: the positive leaves its own denominator."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import other_samples, row_lse


def _decoupled(z: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Positive cosines (B,), positive logits (N,) and the log-sum-exp over the other samples (N,) of z (B, 2, D)."""
    scale = 1 / temperature
    positive = (z[:, 0] * z[:, 1]).sum(-1)
    return positive, scale * positive.repeat_interleave(2), other_samples(z, scale)


@loss(
    title="DCL",
    paper="2110.06848",
    family="decoupled",
    formula=r"-s_{ip}/\tau + \log \sum_{j \notin \{i,p\}} e^{s_{ij}/\tau}",
    knobs=[TEMPERATURE],
    min_views=2,
    max_views=2,
)
def dcl(z: Tensor, *, temperature: Scalar = 0.1) -> Parts:
    """Decoupled contrastive loss: NT-Xent without the positive in the denominator.

    z: (B, 2, D); N = 2 B anchors against the N - 2 points of the other samples
    Parts: `loss` (N,), `positive` (N,) cosine with the positive, `coupling` (N,) the factor q = sigmoid(loss) = 1 -
        P(positive) by which NT-Xent shrinks this gradient
    Source: Yeh et al. 2022, equation 6, as the mean (not the sum) over both views
    Collapsed: log(N - 2)
    Note: Not a log-probability: it may be negative, and its values do not compare with NT-Xent's; softplus(dcl) =
        nt_xent for each anchor.

    >>> import torch.nn.functional as F
    >>> from cl_explore.losses import nt_xent
    >>> z = torch.randn(8, 2, 4)
    >>> each = nt_xent(z, temperature=0.1, reduction="none")
    >>> torch.allclose(F.softplus(dcl(z, reduction="none")), each, atol=1e-5)
    True
    """
    positive, pull, negatives = _decoupled(z, temperature)
    each = negatives - pull
    return {"loss": each, "positive": positive.repeat_interleave(2), "coupling": each.sigmoid()}


@loss(
    title="DCLW",
    paper="2110.06848",
    family="decoupled",
    formula=r"-w_i\, s_{ip}/\tau + \log \sum_{j \notin \{i,p\}} e^{s_{ij}/\tau}",
    knobs=[
        TEMPERATURE,
        Knob("sigma", 0.1, 2.0, log=True, help="width of the weighting: large = every positive weighs the same"),
        Choice("weight_grad", ("detach", "live"), help="whether the gradient also flows through the weights"),
    ],
    min_views=2,
    max_views=2,
)
def dclw(z: Tensor, *, temperature: Scalar = 0.1, sigma: Scalar = 0.5, weight_grad: str = "detach") -> Parts:
    """Decoupled contrastive loss whose positives are weighted: hard positives (far apart) pull more.

    z: (B, 2, D), N = 2 B anchors
    Parts: `loss` (N,), `weight` (N,)
    Source: Yeh et al. 2022, equation 7
    Collapsed: log(N - 2), as `dcl`, all weights being 1
    Perfect: log(N - 2) - B / ((B - 1) tau), views equal and samples on a simplex
    Note: Weight of sample i: 2 - B softmax_i(s_ip / sigma), of mean exactly 1, negative for an outstandingly easy
        positive. Equals `dcl` when all positives are equally similar and as sigma grows without bound.

    >>> from cl_explore.losses import dcl
    >>> z = torch.randn(8, 2, 4)
    >>> torch.allclose(dclw(z, sigma=1e6), dcl(z), atol=1e-4)
    True
    """
    positive, pull, negatives = _decoupled(z, temperature)
    weight = 2 - len(z) * (positive / sigma).softmax(0)
    weight = (weight.detach() if weight_grad == "detach" else weight).repeat_interleave(2)
    return {"loss": negatives - weight * pull, "weight": weight}


def view_energies(z: Tensor, scale: Tensor) -> Tensor:
    """log sum of exp(scale_i x_i . x_j) over the same view of the other samples, (B, V) of z (B, V, D): O(V B^2)."""
    rows = scale.expand(z.shape[:2].numel()).view(z.shape[:2])
    views = range(z.shape[1])
    return torch.stack([row_lse(z[:, v], z[:, v], rows[:, v], exclude=["self"]) for v in views], dim=1)


@loss(
    title="DHEL",
    paper="2405.18045",
    family="decoupled",
    formula=r"-s_{ip}/\tau + \sum_{v} \log \sum_{j \ne i} e^{s_{i_v j_v}/\tau}",
    knobs=[TEMPERATURE],
    min_views=2,
    max_views=2,
)
def dhel(z: Tensor, *, temperature: Scalar = 0.5) -> Parts:
    """Decoupled hyperspherical energy loss: negatives come from the own view only, so nothing couples the two views but
    the positive.

    z: (B, 2, D), N = 2 B anchors
    Parts: `loss` (N,), `alignment` (N,) s_ip / tau, `energy` (N,) the log-sum-exp of each anchor alone
    Source: Koromilas et al. 2024 and the authors' code
    Collapsed: 2 log(B - 1) + 1 / tau
    Perfect: 2 log(B - 1) - 1 / tau - 2 / ((B - 1) tau), views equal and samples on a simplex
    Note: One number of a whole sample, which both its views carry: one pull, an energy for each view.

    >>> collapsed, perfect = dhel.bounds(samples=4, temperature=0.5)
    >>> round(collapsed - perfect, 4)  # 2 (1 + 1 / 3) / 0.5
    5.3333
    """
    scale = 1 / temperature
    energy = view_energies(z, scale)
    positive = (z[:, 0] * z[:, 1]).sum(-1).repeat_interleave(2)
    pull = (scale * positive).view(-1, 2).mean(1)
    each = energy.sum(1) - pull
    return {
        "loss": each.repeat_interleave(2),
        "alignment": pull.repeat_interleave(2),
        "energy": energy.flatten(),
    }
