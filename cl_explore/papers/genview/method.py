"""GenView: how much a generator may change, and how much a pair of views counts, by what a frozen network sees in it.

The formulas are those of the authors' code.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data.batch import Samples, each
from cl_explore.methods import JointEmbedding, MomentumContrast, Predictive
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded, Step

LEVELS = 5
EPS = 1e-7


def noise_level(share: Tensor) -> Tensor:
    """The generator's noise level (N,), int64: 0, 100, ... 400, the more the larger the object is.

    share: (N,), of the picture that is foreground, in [0, 1]; a share of exactly .2 still gives 0
    Source: the authors' `map_fg_ratio_to_range`; the sixth level of its list, 500, belongs to no share
    Raises: ValueError for a share outside [0, 1]
    """
    if not ((share >= 0) & (share <= 1)).all():
        raise ValueError(f"share must be in [0, 1], got {share.min():g} to {share.max():g}")
    edges = torch.linspace(0, 1, LEVELS + 1, dtype=torch.float64)[1:-1]
    return 100 * torch.bucketize(share.double(), edges.to(share.device))


def foreground_share(maps: Tensor, share: float = 0.4) -> Tensor:
    """How much of each picture is foreground (N,), where `share` of all tokens together are.

    maps: (N, T), of each token, larger in the foreground
    Raises: ValueError for a share outside (0, 1)
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    return (maps > maps.flatten().quantile(1 - share)).to(maps.dtype).mean(1)


def foreground_direction(tokens: Tensor, border: Tensor) -> Tensor:
    """The first principal direction (K,) of tokens (N, T, K), turned so that tokens of the border fall behind on it.

    border: (T,) bool; what objects seldom reach. The authors keep one vector, and a switch for its sign.
    """
    rows = tokens.flatten(0, 1)
    _, vectors = torch.linalg.eigh((rows - rows.mean(0)).T @ (rows - rows.mean(0)))
    found = vectors[:, -1]
    inside = (tokens[:, ~border] @ found).mean() > (tokens[:, border] @ found).mean()
    return torch.where(inside, found, -found)


class Quality(NamedTuple):
    """How good a pair of views is: `score` q (B,), and the similarities it is made of, both (B,)."""

    score: Tensor
    foreground: Tensor
    background: Tensor


def attention(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the tokens (..., T) in the foreground and in the background, each summing to 1.

    maps: (..., T), scaled here to [0, 1]; where all are equal there is no foreground, and its weights are 0
    """
    low, high = maps.aminmax(dim=-1, keepdim=True)
    scaled = (maps - low) / (high - low + EPS)
    found, rest = (part / (part.sum(-1, keepdim=True) + EPS) for part in (scaled, 1 - scaled))
    return found, rest


def quality(
    tokens: Tensor,
    maps: Tensor,
    *,
    distance: Literal["cosine", "dot"] = "cosine",
    score: Literal["fg-bg", "fg"] = "fg-bg",
) -> Quality:
    """Views are good that agree in the foreground and differ in the background.

    tokens: (B, 2, T, K), of both views
    maps: (B, 2, T), larger in the foreground
    distance: how what is pooled of both views is compared
    score: what q is, the difference of both similarities or that of the foreground alone
    Raises: ValueError for another distance or score
    """
    if distance not in ("cosine", "dot"):
        raise ValueError(f"distance must be 'cosine' or 'dot', got {distance!r}")
    if score not in ("fg-bg", "fg"):
        raise ValueError(f"score must be 'fg-bg' or 'fg', got {score!r}")
    similar = []
    for weights in attention(maps):
        pooled = torch.einsum("bvt,bvtk->bvk", weights, tokens)
        pooled = F.normalize(pooled, dim=2) if distance == "cosine" else pooled
        similar.append((pooled[:, 0] * pooled[:, 1]).sum(1))
    foreground, background = similar
    return Quality(foreground - background if score == "fg-bg" else foreground, foreground, background)


def pair_weights(score: Tensor, gamma: float) -> Tensor:
    """Weights (B,) of mean 1, proportional to exp(gamma q); they carry no gradient."""
    return len(score) * (gamma * score.detach()).softmax(0)


class PairWeighted(nn.Module):
    """A loss of the catalogue whose anchors count as much as the pair they belong to: NT-Xent, SimSiam, BYOL."""

    def __init__(self, host: str | losses.Loss, **knobs: Any) -> None:
        super().__init__()
        self.host, self.knobs = losses.get(host), {**losses.get(host).defaults, **knobs}

    def forward(self, z: Tensor, weights: Tensor, prediction: Tensor | None = None) -> Tensor:
        """The mean over pairs of weight times loss, of z (B, 2, D), weights (B,) and what a predictor makes of z."""
        return self.weighed(weights, z) if prediction is None else self.weighed(weights, z, prediction)

    def weighed(self, weights: Tensor, *given: Tensor) -> Tensor:
        """The mean over anchors of weight times the host's loss."""
        found = self.host(*given, reduction="none", **self.knobs)
        return (weights.repeat_interleave(len(found) // len(weights)) * found).mean()

    def extra_repr(self) -> str:
        return f"{self.host.name}, {self.knobs}"


class QueueWeighted(PairWeighted):
    """So of MoCo v2: a query, its key of a momentum copy, and a queue."""

    def forward(self, query: Tensor, key: Tensor, queue: Tensor, weights: Tensor) -> Tensor:  # type: ignore[override]
        """query, key: (B, D). queue: (K, D), keys of earlier batches. weights: (B,)."""
        return self.weighed(weights, query, key, queue)


class PrototypeWeighted(PairWeighted):
    """So of SwAV: views and prototypes."""

    def forward(self, z: Tensor, prototypes: Tensor, weights: Tensor) -> Tensor:  # type: ignore[override]
        """z: (B, 2, D). prototypes: (C, D). weights: (B,)."""
        return self.weighed(weights, z, prototypes)


class BothWays(PairWeighted):
    """So of MoCo v3: what a predictor makes of one view against a momentum copy of the other, in both directions.

    The directions are summed, as in the authors' code.
    """

    def forward(self, z: Tensor, prediction: Tensor, weights: Tensor) -> Tensor:  # type: ignore[override]
        """z: (B, 2, D), of the copy. prediction: (B, 2, D). weights: (B,)."""
        ways = (self.weighed(weights, prediction[:, view], z[:, 1 - view]) for view in range(2))
        return torch.stack([*ways]).sum()


class _ByQuality:
    """What all forms share: weights from what a frozen network sees in the views, normalised over a process's share.

    Of views in several parts the networks that are trained see the part `seen`, the frozen one all.
    """

    reference: nn.Module

    def __init__(
        self,
        *parts: Any,
        reference: nn.Module,
        gamma: float = 1.0,
        score: Literal["fg-bg", "fg"] = "fg-bg",
        distance: Literal["cosine", "dot"] = "cosine",
        **options: Any,
    ) -> None:
        """parts, options: see the skeleton; the loss is a `PairWeighted`.

        reference: maps views (N, ...) to tokens (N, T, K) and their maps (N, T); kept as it is
        gamma: sharpness of the weights, 0 for equal ones
        score, distance: of `quality`
        Raises: ValueError if gamma is below 0
        """
        if not gamma >= 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        super().__init__(*parts, **options)
        self.reference = reference.requires_grad_(False).eval()
        self.gamma, self.score, self.distance = gamma, score, distance

    def train(self, mode: bool = True) -> Any:
        """As of any module, but the frozen network stays in evaluation mode."""
        super().train(mode)  # type: ignore[misc]
        self.reference.eval()
        return self

    def quality(self, views: Samples) -> Quality:
        """Of views (B, 2, ...), as they are after augmentation."""
        with torch.no_grad():
            tokens, maps = (part.unflatten(0, (-1, 2)) for part in self.reference(each(_flat, views)))
            return quality(tokens, maps, distance=self.distance, score=self.score)

    def embed(self, views: Samples) -> tuple[Any, Tensor]:
        """As `Method.embed`, of what is to be seen."""
        return super().embed(_seen(views))  # type: ignore[misc]

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch whose pairs have weights."""
        (weights,) = gather(pair_weights(self.quality(embedded.views).score, self.gamma))
        factors = {**embedded.factors, "weights": weights}
        return super().compare(embedded._replace(views=_seen(embedded.views), factors=factors))  # type: ignore[misc]

    def extra_repr(self) -> str:
        own = f"gamma={self.gamma}, score={self.score!r}, distance={self.distance!r}"
        return f"{super().extra_repr()}, {own}"  # type: ignore[misc]


class GenView(_ByQuality, JointEmbedding):
    """A contrast of views whose pairs count by their quality: SimCLR, SwAV."""

    serves = JointEmbedding.serves | {"weights"}


class GenViewMomentum(_ByQuality, MomentumContrast):
    """Its form with a queue, on top of MoCo v2."""

    serves = MomentumContrast.serves | {"weights"}


class GenViewPredictive(_ByQuality, Predictive):
    """Its form with a predictor, on top of SimSiam, BYOL or MoCo v3."""

    serves = Predictive.serves | {"weights"}


def _seen(views: Samples) -> Tensor:
    return views["seen"] if isinstance(views, dict) else views


def _flat(part: Tensor) -> Tensor:
    return part.flatten(0, 1)


class Told(nn.Module):
    """The frozen network where descriptors come along: the first half of them is of the object, the other of the rest.

    Its maps are given: one token of foreground, one of background.
    """

    def forward(self, views: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens (N, 2, K) of views with `tokens` (N, 2 K), and maps (N, 2)."""
        tokens = views["tokens"].unflatten(1, (2, -1))
        return tokens, tokens.new_tensor([1.0, 0.0]).expand(len(tokens), 2)


class Tokens(nn.Module):
    """A frozen network of pictures as a reference: its cells are tokens, and their places on a direction the map.

    net: maps pictures (N, C, H, W) to cells (N, K, h, w)
    example: pictures from which the mean of the tokens, taken off, and the direction of the foreground are found
    """

    mean: Tensor
    direction: Tensor

    def __init__(self, net: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.net = net.eval()
        with torch.no_grad():
            cells = net(example)
            tokens = cells.flatten(2).transpose(1, 2)
            border = F.pad(torch.zeros(cells.shape[2] - 2, cells.shape[3] - 2), (1, 1, 1, 1), value=1.0).bool()
            self.register_buffer("mean", tokens.flatten(0, 1).mean(0))
            self.register_buffer("direction", foreground_direction(tokens, border.flatten()))

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (N, h w, K) and maps (N, h w) of pictures (N, C, H, W)."""
        tokens = self.net(views).flatten(2).transpose(1, 2) - self.mean
        return tokens, tokens @ self.direction
