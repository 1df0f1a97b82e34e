"""Losses in which all views of a sample take part at once, as one term, instead of pair by pair."""

import itertools
import math

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy
from cl_explore.losses.decoupled import view_energies
from cl_explore.losses.knob import Choice, Scalar
from cl_explore.losses.similarity import other_samples, own_views, row_lse


def _pull(z: Tensor, scale: Tensor) -> Tensor:
    """log sum of e^(s / tau) over the ordered pairs of different views of each sample, (B,)."""
    return own_views(z, scale).view(z.shape[:2]).logsumexp(1)


@loss(
    title="MV-InfoNCE",
    paper="2507.06979",
    family="multi-view",
    formula=r"-\log \sum_{v \ne u} e^{s_{i_v i_u}/\tau} + \log \sum_v \sum_{(j,u) \ne (i,v)} e^{s_{i_v j_u}/\tau}",
    knobs=[
        TEMPERATURE,
        Choice("denominator", ("all", "cross_view"), help="compare with every other point, or with other views only"),
    ],
    min_views=2,
)
def mv_infonce(z: Tensor, *, temperature: Scalar = 0.5, denominator: str = "all") -> Parts:
    """Multi-view InfoNCE: the pairs of views of a sample, all in one numerator, against everything its views see.

    z: (B, V, D) with V >= 2
    Parts: `loss` (N,), `alignment` (N,) log-sum of the positive pairs, `energy` (N,) log-sum-exp of each anchor
    Source: Koromilas et al. 2025; "all" is the authors' code, "cross_view" the formula they print, where points of the
        same view are left out
    Collapsed: log((N - 1) / (V - 1)), with "cross_view" log B
    Note: One number of a whole sample, which all its views carry. For two views not NT-Xent, which has one logarithm
        for each view.

    >>> mv_infonce(torch.ones(8, 4, 3)).exp()
    tensor(10.3333)
    """
    samples, views, _ = z.shape
    scale = 1 / temperature
    if denominator == "all":
        negatives = other_samples(z, scale)
    else:
        each_view = scale.expand(samples * views).view(samples, views)
        pairs = itertools.permutations(range(views), 2)
        sums = [row_lse(z[:, v], z[:, u], each_view[:, v], exclude=["self"]) for v, u in pairs]
        negatives = torch.stack(sums, 1).view(samples, views, -1).logsumexp(2).flatten()
    own = own_views(z, scale)
    pull = own.view(samples, views).logsumexp(1)
    each = cross_entropy(pull, negatives.view(samples, views).logsumexp(1))
    return {
        "loss": each.repeat_interleave(views),
        "alignment": pull.repeat_interleave(views),
        "energy": torch.logaddexp(negatives, own),
    }


@loss(
    title="MV-DHEL",
    paper="2507.06979",
    family="multi-view",
    formula=r"-\log \sum_{v < u} e^{s_{i_v i_u}/\tau} + \sum_v \log \sum_{j \ne i} e^{s_{i_v j_v}/\tau}",
    knobs=[TEMPERATURE],
    min_views=2,
)
def mv_dhel(z: Tensor, *, temperature: Scalar = 0.5) -> Parts:
    """Multi-view DHEL: one pull for all pairs of views of a sample, and for each view an energy of its own.

    z: (B, V, D) with V >= 2
    Parts: `loss` (N,), `alignment` (N,) log-sum of the positive pairs, `energy` (N,) log-sum-exp of each anchor
    Source: Koromilas et al. 2025 and the authors' code (an unordered pair counts once; a point is not its own
        neighbour)
    Collapsed: V log(B - 1) + (V - 1) / tau - log(V (V - 1) / 2)
    Note: One number of a whole sample, which all its views carry; it grows with V, as there are V energies to one pull,
        so learning rates do not carry over from one V to another. Two views: exactly `dhel`.

    >>> from cl_explore.losses import dhel
    >>> z = torch.randn(8, 2, 4)
    >>> torch.allclose(mv_dhel(z), dhel(z), atol=1e-5)
    True
    """
    views = z.shape[1]
    scale = 1 / temperature
    energy = view_energies(z, scale)
    pull = _pull(z, scale) - math.log(2)
    each = energy.sum(1) - pull
    return {
        "loss": each.repeat_interleave(views),
        "alignment": pull.repeat_interleave(views),
        "energy": energy.flatten(),
    }
