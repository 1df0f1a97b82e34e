"""Contrast for continuous targets: how far apart two targets are says how far apart two points should be."""

import torch
from torch import Tensor

from cl_explore.losses.arguments import spoiled, values_are_at_hand
from cl_explore.losses.blocks import by_blocks
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.similarity import chosen_lse


@loss(
    title="Rank-N-Contrast",
    paper="2210.01189",
    family="regression",
    formula=r"\frac{1}{N-1} \sum_{j \ne i} -\log"
    r" \frac{e^{-\|z_i - z_j\|/\tau}}{\sum_{k \ne i,\; d_{ik} \ge d_{ij}} e^{-\|z_i - z_k\|/\tau}}",
    knobs=[
        Knob(
            "temperature",
            0.1,
            10.0,
            log=True,
            help="divides distances: small = only the nearest point counts",
            per_anchor=True,
        )
    ],
    raw=True,
)
def rnc(z: Tensor, targets: Tensor, *, temperature: Scalar = 2.0) -> Tensor:
    """Rank-N-Contrast: of all points whose target is at least as far from the anchor's, the nearer is the positive.

    z: (B, V, D) or (B, D), of any length; N = B V anchors, each paired with the N - 1 others
    targets: (B,) or (B, T)
    Source: Zha et al. 2023 and the authors' code
    Collapsed: the mean over j of the log number of points as far as j or farther; log(N - 1) if all targets are equal
    Perfect: the mean over j of the log number of points exactly as far as j, 0 where no two are, for points laid out
        like their targets at distances far beyond the temperature
    Note: d is the L1 distance of the targets; a second view has d = 0 and competes with everybody. Only the order of
        the d around each anchor matters. With targets sorted around each anchor the denominators are one cumulative
        log-sum-exp, equal distances sharing a value: O(N^2 log N), not O(N^3).

    >>> rnc(torch.ones(4, 2, 3), torch.zeros(4)).exp().round()
    tensor(7.)
    """
    x, y = z.flatten(0, 1), targets.view(len(z), -1).repeat_interleave(z.shape[1], 0).detach()
    scale = 1 / temperature
    # Not by a matrix product: the views of a sample are nearly equal, and their small distance would be rounding.
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    nearness, order = torch.cdist(y, y, p=1).masked_fill(own, -1).neg().sort(1)  # farthest first, the anchor last
    nearness, order = nearness[:, :-1].contiguous(), order[:, :-1]
    logits = -distance.gather(1, order) * scale[..., None]
    last_of_equals = torch.searchsorted(nearness, nearness, right=True) - 1
    each = (logits.logcumsumexp(1).gather(1, last_of_equals) - logits).mean(1)
    return spoiled(each, y.sum())


def _mixed_positives(x: Tensor, y: Tensor, similarity: Tensor, scale: Tensor, window: Tensor) -> tuple[Tensor, ...]:
    """For each anchor, over the mixtures of a lower and an upper neighbour whose mixed target is its own: the
    log-sum-exp and the sum of their logits, and their number, each (N,).

    O(N^3) time, memory kept to blocks of anchors; no mixture is formed, its similarity is the mixture of two.
    """

    def block(rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        gap = y - y[rows, None]
        lower, upper = (gap < 0) & (gap > -window), (gap > 0) & (gap < window)
        valid = lower[:, :, None] & upper[:, None]
        share = torch.where(valid, gap[:, None], 0) / torch.where(valid, gap[:, None] - gap[:, :, None], 1)
        logits = share * similarity[rows][:, :, None] + (1 - share) * similarity[rows][:, None]
        logits = logits * scale.expand(len(y))[rows, None, None]
        number = valid.sum((1, 2)).to(x.dtype)
        return chosen_lse(logits.flatten(1), valid.flatten(1)), (logits * valid).sum((1, 2)), number

    return by_blocks(block, len(y))


@loss(
    title="SupReMix",
    paper="2309.16633",
    family="regression",
    formula=r"\frac{-1}{|\tilde P(i)|} \sum_{p \in \tilde P(i)} \log \frac{e^{z_i \cdot p/\tau}}"
    r"{\sum_{q \in \tilde P(i)} e^{z_i \cdot q/\tau} + \sum_{n \in \tilde N(i)} w_{in}\, e^{z_i \cdot n/\tau}}",
    knobs=[
        TEMPERATURE,
        Knob("window", 1.0, 20.0, minimum=0, help="how far from the anchor's target mixed positives reach"),
        Knob(
            "anchor_share",
            0.0,
            0.9,
            minimum=0,
            maximum=1,
            help="share of the anchor in a mixed negative: more = harder",
        ),
        Choice("distance_weight", ("linear", "squared", "off"), help="how the distance of targets weighs a negative"),
        Choice("mix_negatives", ("on", "off"), help="whether negatives are mixed with the anchor"),
        Choice("mix_positives", ("on", "off"), help="whether a lower and an upper neighbour mix to a positive"),
        Choice("mixture_grad", ("detach", "live"), help="whether the gradient also flows into the mixtures"),
    ],
)
def supremix(
    z: Tensor,
    targets: Tensor,
    shares: Tensor | None = None,
    *,
    temperature: Scalar = 0.3,
    window: Scalar = 5.0,
    anchor_share: Scalar = 0.2,
    distance_weight: str = "linear",
    mix_negatives: str = "on",
    mix_positives: str = "on",
    mixture_grad: str = "detach",
) -> Parts:
    """Supervised contrast for regression: far targets repel more, and mixtures of points fill the gaps.

    z: (B, V, D) or (B, D), N = B V anchors
    targets: (B,)
    shares: (N, N) in [0, 1], the `anchor_share` of each pair; the paper draws `mixing.beta(N, N, a=2, b=8)`
    Parts: `loss` (N,), `mixed_positives` (N,) how many, `mixed_negatives` (N,) their share of the denominator,
        `anchor_weight` (N,)
    Source: Wu et al. 2023 and the authors' code, which subtracts another maximum from mixtures than from points; here
        one logarithm holds both
    Collapsed: log(N - 1) without weight and mixtures
    Perfect: about the log number of positives, unless neighbours in target are near
    Raises: `ValueError` if targets are not one number each, or no anchor has a positive
    Note: Positives: the other points with the anchor's target, and all mixtures of a point below and a point above it,
        both nearer than `window`, in the proportion that makes their target the anchor's. Negatives: the points with
        other targets, weighted by w = |y_i - y_k| + 1 ("squared": |y_i - y_k|^2 + 1), and each of them once more with
        `anchor_share` of the anchor mixed in, whose target moves likewise. Mixtures are not brought back to unit
        length. An anchor without a positive does not count. Without weight and mixtures it is `supcon`.

    >>> from cl_explore.losses import supcon
    >>> z, plain = torch.randn(6, 2, 8), {"distance_weight": "off", "mix_negatives": "off", "mix_positives": "off"}
    >>> labels = torch.arange(6) // 2
    >>> torch.allclose(supremix(z, labels.float(), temperature=0.1, **plain), supcon(z, labels))
    True
    """
    x, y = z.flatten(0, 1), targets.detach().flatten().repeat_interleave(z.shape[1])
    if len(y) != len(x):
        raise ValueError(f"targets must have shape (B,), one number for each sample, got {tuple(targets.shape)}")
    if shares is not None and shares.shape != (len(x), len(x)):
        raise ValueError(f"shares must have shape (N, N) with N = {len(x)}, got {tuple(shares.shape)}")
    if shares is not None and values_are_at_hand(shares) and not (shares.min() >= 0 and shares.max() <= 1):
        raise ValueError(f"shares must be between 0 and 1, got {float(shares.min()):g} to {float(shares.max()):g}")
    share = anchor_share if shares is None else shares
    scale = (1 / temperature)[..., None]
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    gap = (y[:, None] - y).abs()
    positive = (gap == 0) & ~own
    number = positive.sum(1).to(x.dtype)

    def log_weight(distance: Tensor) -> Tensor | float:
        return 0.0 if distance_weight == "off" else (distance**2 if distance_weight == "squared" else distance).log1p()

    constant = x if mixture_grad == "live" else x.detach()
    similarity = x @ constant.T
    logits = x @ x.T * scale
    blocks = [(logits + log_weight(gap)).masked_fill(own, -torch.inf)]
    if mix_negatives == "on":
        mixed = share * (x * constant).sum(1, keepdim=True) + (1 - share) * similarity
        blocks.append((mixed * scale + log_weight((1 - share) * gap)).masked_fill(gap == 0, -torch.inf))
    pull = (logits * positive).sum(1)
    mixtures = torch.zeros_like(number)
    if mix_positives == "on":
        each, total, mixtures = _mixed_positives(x, y, similarity, scale.squeeze(-1), window)
        blocks.append(each[:, None])
        pull, number = pull + total, number + mixtures
    counted = number > 0
    if values_are_at_hand(counted) and not counted.any():
        raise ValueError(
            "targets leave nothing to compare: at least one anchor needs a positive (another point with its target, "
            f"or one below and one above it within window {float(window):g}), got none in this batch"
        )
    total = torch.cat(blocks, 1).logsumexp(1)
    mixed_negatives = (blocks[1].logsumexp(1) - total).exp() if mix_negatives == "on" else torch.zeros_like(total)
    return {
        "loss": spoiled(total - pull / number.clamp(min=1), y.sum()) * counted,
        "mixed_positives": mixtures,
        "mixed_negatives": mixed_negatives,
        "anchor_weight": counted.to(x.dtype),
    }
