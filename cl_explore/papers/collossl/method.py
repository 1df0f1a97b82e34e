"""ColloSSL: devices worn together are views of one movement; how far apart they measure says which is the positive.

The released code differs from the paper in the sign of the similarity, see `losses.collossl`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.arguments import require
from cl_explore.methods import JointEmbedding, Step
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded

SCALES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 100.0)
FLOOR = 1e-4
Strategy = Literal["closest", "random", "farthest", "hard_negative"]
Sampling = Literal["unsync_neg", "sync_all", "unsync_all"]
STRATEGIES, SAMPLINGS = ("closest", "random", "farthest", "hard_negative"), ("unsync_neg", "sync_all", "unsync_all")


def mmd(u: Tensor, v: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of two sets, a scalar of at least 0 but for rounding.

    u: (N, F); v: (M, F)
    Source: the authors' distances.py: a sum of twelve kernels exp(-|u - v|^2 / 2s), plain means over all pairs, a
        point with itself included
    Raises: TypeError or ValueError for other tensors
    """
    require(u=(u, "N F"), v=(v, "M F"))

    def mean(a: Tensor, b: Tensor) -> Tensor:
        # by products of matrices a point would lie 1e-3 from itself, which the narrow kernels see
        squares = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
        return sum(((-squares / (2 * s)).exp() for s in SCALES), torch.zeros_like(squares)).mean()

    return mean(u, u) + mean(v, v) - 2 * mean(u, v)


def lengths(windows: Tensor) -> Tensor:
    """The length (..., T) of the acceleration, the first three channels of windows (..., C, T)."""
    return torch.linalg.vector_norm(windows[..., :3, :], dim=-2)


def distances(measured: Tensor) -> Tensor:
    """How far each other device is from the first one: `mmd`, at least 1e-4, (D - 1,).

    measured: (B, D, T), `lengths` of what D devices measured in B windows; any rows of numbers will do
    """
    anchor, *others = measured.unbind(1)
    return torch.stack([mmd(anchor, other) for other in others]).clamp(min=FLOOR)


def as_views(x: Mapping[str, Tensor], generator: torch.Generator, n_views: int) -> Tensor:
    """Devices as views: series (B, C, T) by name become (B, D, C, T), the anchor first. Nothing is drawn."""
    return torch.stack(list(x.values()), 1)


class ColloSSL(JointEmbedding):
    """One encoder for all devices; of each batch the nearest device is the positive, and all others are negatives.

    The samples are series by the name of the device, the anchor's first; `n_views` says how many devices there are.
    Metrics: `positive`, the mean cosine with it, and `device`, which one it is, from 1 on.
    """

    fixed: Tensor

    def __init__(
        self,
        *parts: Any,
        strategy: Strategy = "closest",
        sampling: Sampling = "unsync_neg",
        shuffles: int = 1,
        weighted: bool = True,
        fixed: Tensor | None = None,
        **options: Any,
    ) -> None:
        """parts, options: see `JointEmbedding`; the loss is `collossl`.

        strategy: which device is the positive; all are negatives, the positive too, but under "hard_negative", where
            the nearest is the positive and the second and third are the negatives.
        sampling: positives at the anchor's time and negatives at others ("unsync_neg"); all at the anchor's, so that a
            positive is its own negative ("sync_all"); or all at others ("unsync_all").
        shuffles: how many windows of each negative device an anchor meets.
        weighted: whether negatives weigh 1 / distance, a positive 1; else all weigh 1.
        fixed: (D - 1,) distances for all batches, positive; None takes those of each batch.
        Raises: ValueError for another strategy, sampling or number, or if there are too few devices
        """
        for name, value, known in (("strategy", strategy, STRATEGIES), ("sampling", sampling, SAMPLINGS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if shuffles < 1:
            raise ValueError(f"shuffles must be at least 1, got {shuffles}")
        super().__init__(*parts, **options)
        if losses.collossl is not self.loss:
            raise ValueError(f"loss must be 'collossl', got {self.loss!r}")
        least = 3 if strategy == "hard_negative" else 2
        if self.n_views < least:
            raise ValueError(f"n_views must be at least {least}, the devices, got {self.n_views}")
        if fixed is not None and not (fixed.shape == (self.n_views - 1,) and (fixed > 0).all()):
            raise ValueError(f"fixed must be {self.n_views - 1} positive distances, got {fixed.tolist()}")
        self.strategy, self.sampling, self.shuffles, self.weighted = strategy, sampling, shuffles, weighted
        self.register_buffer("fixed", fixed)

    def compare(self, embedded: Embedded) -> Step:
        """The loss of the anchor's windows beside what other devices measured."""
        device, *sides = self.sides(embedded)
        parts = losses.means(losses.collossl.parts(embedded.z[:, 0], *sides, **self.knobs))
        return Step(parts["loss"], {"positive": parts["positive"].detach(), "device": device})

    def sides(self, embedded: Embedded) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The number of the positive device, and what the loss takes: candidates, negatives and their weights."""
        views, count = embedded.views, self.n_views - 1
        keys = torch.rand(len(views), count * (self.shuffles + 1), generator=embedded.generator, device=views.device)
        measured, keys = gather(lengths(views), keys)  # so that all processes choose alike
        turns = keys.argsort(0).unflatten(1, (count, self.shuffles + 1))  # (B, D - 1, shuffles + 1), each a permutation
        far = distances(measured) if self.fixed is None else self.fixed
        positive, negative = self.choose(far, keys[0, :count])
        others = embedded.z[:, 1:].transpose(0, 1)
        near, shown = others[positive], others[negative]  # (1, B, D) and (M, B, D)
        if self.sampling == "unsync_all":
            near = near[:, turns[:, 0, -1]]
        if self.sampling == "sync_all":
            met = shown.repeat_interleave(self.shuffles, 0)
        else:
            times = turns[:, negative, :-1].movedim(0, 2)  # (M, shuffles, B)
            met = torch.cat([device[time] for device, time in zip(shown, times, strict=True)])
        weights = 1 / far[negative] if self.weighted else torch.ones_like(far[negative])
        weights = weights.repeat_interleave(self.shuffles)
        return positive[0] + 1.0, near.transpose(0, 1), met.transpose(0, 1), weights

    def choose(self, far: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Which devices are the positive (1,) and the negatives (M,), of those after the anchor, from 0 on.

        far: (D - 1,), distances; drawn: (D - 1,), of which the largest names the random device
        """
        order, everyone = far.argsort(), torch.arange(len(far), device=far.device)
        if self.strategy == "hard_negative":
            return order[:1], order[1:3]
        chosen = {"closest": order[:1], "farthest": order[-1:], "random": drawn.argmax()[None]}[self.strategy]
        return chosen, everyone

    def extra_repr(self) -> str:
        own = f"strategy={self.strategy!r}, sampling={self.sampling!r}, shuffles={self.shuffles}"
        return f"{own}, weighted={self.weighted}, {super().extra_repr()}"
