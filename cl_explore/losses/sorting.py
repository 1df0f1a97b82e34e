"""GroCo: sort positives and hard negatives through a differentiable network, and ask for the two groups in order."""

import math

import torch
from torch import Tensor

from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.takes import Positive, takes

Layers = list[tuple[Tensor, Tensor]]


def _exchange(wires: Tensor, layer: int, keep: Tensor, swap: Tensor) -> Tensor:
    """One layer, (..., n) to (..., n): neighbours on the last axis, from wire 0 or 1 on, become mixes of both."""
    first, last = layer % 2, layer % 2 + 2 * keep.shape[-1]
    low, high = wires[..., first:last].unflatten(-1, (keep.shape[-1], 2)).unbind(-1)
    mixed = torch.stack([keep * low + swap * high, swap * low + keep * high], dim=-1).flatten(-2)
    return torch.cat([wires[..., :first], mixed, wires[..., last:]], dim=-1)


def _network(x: Tensor, steepness: Tensor) -> tuple[Tensor, Layers]:
    """x (..., n) softly sorted, ascending, and the shares (keep, swap) of each of the n layers, (..., pairs)."""
    n, layers = x.shape[-1], []
    for layer in range(n):
        first, pairs = layer % 2, (n - layer % 2) // 2
        low, high = x[..., first : first + 2 * pairs].unflatten(-1, (pairs, 2)).unbind(-1)
        step = steepness[..., None] * (high - low)
        # keep = 1/2 + arctan(step) / pi and swap = 1 - keep, both exact however small they are.
        one = torch.ones_like(step)
        keep, swap = torch.atan2(one, -step) / math.pi, torch.atan2(one, step) / math.pi
        x = _exchange(x, layer, keep, swap)
        layers.append((keep, swap))
    return x, layers


@takes
def soft_sort(x: Tensor, steepness: Positive = 1.0) -> tuple[Tensor, Tensor]:
    """Sort softly: the sorted numbers (..., n), ascending, and the soft permutation (..., n, n).

    x (..., n), n >= 2. Entry (i, j) of the permutation is the share of input i at rank j; rows and columns sum to 1,
    and sorted = x @ permutation. An odd-even transposition network of n layers compares neighbours a < b, whose values
    x_a, x_b keep their places to the share 1/2 + arctan(steepness (x_b - x_a)) / pi. Source: Petersen et al. 2022 (the
    Cauchy relaxation). Raises `ValueError` for fewer than two numbers or a steepness that is not positive.

    >>> numbers, permutation = soft_sort(torch.tensor([3.0, 1.0, 2.0]), steepness=1e6)
    >>> numbers.round(), permutation.round()[0]
    (tensor([1., 2., 3.]), tensor([0., 0., 1.]))
    """
    if not x.is_floating_point():
        raise TypeError(f"x must be floating point, got {x.dtype}")
    if x.layout != torch.strided:
        raise TypeError(f"x must be dense, got {x.layout}")
    if x.ndim < 1 or x.shape[-1] < 2:
        raise ValueError(f"x must hold at least 2 numbers along its last axis, got shape {tuple(x.shape)}")
    numbers, layers = _network(x, x.new_tensor(steepness))
    permutation = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand(*x.shape, -1)
    for layer, (keep, swap) in enumerate(layers):
        permutation = _exchange(permutation, layer, keep[..., None, :], swap[..., None, :])
    return numbers, permutation


def _disorder(negatives: Tensor, positives: Tensor, steepness: Tensor) -> Parts:
    """The parts of `groco` (...) for ascending negatives (..., k) and positives (..., M)."""
    k, x = negatives.shape[-1], torch.cat([negatives, positives], dim=-1)
    _, layers = _network(x, steepness)
    # The chance to end among the ranks of a group is permutation @ (indicator of the group). The layers are symmetric,
    # so this is the indicator sent through them backwards: O(n^2), and no permutation is formed.
    group = torch.arange(x.shape[-1], device=x.device) >= k
    chance = torch.stack([~group, group]).to(x.dtype).expand(*x.shape[:-1], 2, -1)
    for layer, (keep, swap) in reversed(list(enumerate(layers))):
        chance = _exchange(chance, layer, keep[..., None, :], swap[..., None, :])
    right = torch.where(group, chance[..., 1, :], chance[..., 0, :])
    each = -right.log().mean(-1)
    above = (negatives[..., None, :] > positives[..., None]).to(x.dtype)
    return {"loss": each, "misplaced": chance[..., 1, :k].sum(-1), "misordered": above.sum(-1).mean(-1)}


@loss(
    title="GroCo",
    paper="2301.02009",
    family="sorting",
    formula=r"-\frac{1}{k+M} \Big( \sum_{i \in P} \log \hat p_i + \sum_{i \in N} \log (1 - \hat p_i) \Big),\quad "
    r"\hat p_i = \sum_{j > k} P_{ij}",
    knobs=[
        Knob("hardest", 1, 32, minimum=1, help="how many negatives of an anchor are sorted, the nearest"),
        Knob("steepness", 0.5, 50.0, log=True, help="how sharp the sort is: small = far neighbours mix too"),
        Choice("positives", ("all", "first_two"), help="which views give positives: first_two when others are crops"),
        Choice("key_grad", ("detach", "live"), help="whether the gradient also flows to what anchors meet"),
    ],
    min_views=2,
)
def groco(
    z: Tensor,
    *,
    hardest: int = 10,
    steepness: Scalar = 1.0,
    positives: str = "all",
    key_grad: str = "detach",
) -> Parts:
    """Group ordering constraints: all positives of an anchor should rank above all its hard negatives.

    z: (B, V, D) with V >= 2
    Parts: each (N,): `loss`, `misplaced` the expected number of negatives among the positives' ranks, `misordered` how
        many negatives exceed a positive, the mean over positives
    Source: Shvetsova et al. 2023 and the authors' code, its logarithms not clamped
    Collapsed: a number of the network alone (k = 10, M = 1: 0.202)
    Perfect: small, yet not 0 unless steepness is large; for k = M = 1 it is -log(1/2 + arctan(steepness (s_p - s_n)) /
        pi)
    Note: An anchor is compared with the M other views of its sample and with the `hardest` nearest (k, a whole number,
        at most B - 1) other samples of its own view. The cosines are sorted softly (see `soft_sort`); the loss is the
        cross-entropy of each one's chance p to land among the M highest ranks.

    >>> float(groco(torch.ones(2, 2, 3)))  # one negative, one positive, equal: log 2
    0.6931471824645996
    """
    samples, views, _ = z.shape
    givers = views if positives == "all" else 2
    steep = steepness.expand(samples * views).view(samples, views)
    keys = z.detach() if key_grad == "detach" else z
    own_sample = torch.eye(samples, dtype=torch.bool, device=z.device)[:, None]
    cosine = torch.einsum("bvd,cvd->bvc", z, keys).masked_fill(own_sample, -torch.inf)
    negatives = cosine.topk(min(hardest, samples - 1), dim=2).values.flip(2)
    to_givers = z @ keys[:, :givers].mT  # (B, V, givers)
    own_view = torch.eye(givers, dtype=torch.bool, device=z.device)
    others = to_givers[:, :givers].masked_fill(own_view, -torch.inf).sort(2).values[..., 1:]
    parts = [_disorder(negatives[:, :givers], others, steep[:, :givers])]
    if givers < views:
        every = to_givers[:, givers:].sort(2).values
        parts.append(_disorder(negatives[:, givers:], every, steep[:, givers:]))
    return {name: torch.cat([part[name] for part in parts], dim=1).flatten() for name in parts[0]}
