"""VATT: two common spaces one behind the other, a bag of captions for each clip, and transformers that drop tokens.

Heads, DropToken and the weights of the two losses follow the authors' code, which differs from the paper in details.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data.batch import Samples
from cl_explore.methods import TwoTower
from cl_explore.methods.method import Augment, Embedded, Step
from cl_explore.methods.skeleton import Skeleton
from cl_explore.methods.two_tower import Tower
from cl_explore.nn import AttentionPool, Transformer


def _norm_after(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after, bias=False), nn.BatchNorm1d(after))


class VideoHead(nn.Module):
    """The way of the video into the space it shares with audio, and on from there into the one it shares with text.

    fine: h (N, H) -> (N, d_va). coarse: (N, d_va) -> (N, d_vt).
    """

    def __init__(self, fine: nn.Module, coarse: nn.Module) -> None:
        super().__init__()
        self.fine, self.coarse = fine, coarse

    def forward(self, h: Tensor) -> Tensor:
        """The video among the sounds."""
        return self.fine(h)


def fac_heads(features: Mapping[str, int], fine: int = 32, coarse: int = 16) -> dict[str, nn.Module]:
    """Heads of the fine-and-coarse hierarchy: the video reaches the text through the space of video and audio.

    features: H of each encoder, by modality. fine, coarse: dimensions of the two spaces, d_va and d_vt.
    Source: Akbari et al. 2021, equation 3; layers as in the authors' `FACHead` (the paper has batch norm after every
        linear layer, their code none on the side of audio and text)
    """
    through = nn.Sequential(_norm_after(features["video"], fine), nn.ReLU(), _norm_after(fine, fine))
    video = VideoHead(through, nn.Sequential(nn.ReLU(), _norm_after(fine, coarse)))
    return {"video": video, "audio": nn.Linear(features["audio"], fine), "text": nn.Linear(features["text"], coarse)}


def joint_heads(features: Mapping[str, int], joint: int = 32) -> dict[str, nn.Module]:
    """Heads into one space for all three modalities: the flat baseline, the authors' `JointHead`."""
    heads = {name: nn.Sequential(nn.ReLU(), _norm_after(features[name], joint)) for name in ("video", "audio", "text")}
    return {**heads, "video": VideoHead(heads["video"], nn.Identity())}


class VATT(TwoTower):
    """Video against audio, and video against a bag of captions, each pair in its own space.

    Encoders, heads and views have the names video, audio and text; the loss takes query and candidates (audio is a bag
    of one). z holds video and audio in their space, then video and captions in theirs, filled with zeros to one width,
    which changes no cosine. The total is (L_va + λ L_vt) / (1 + λ), or as equation 6 has it without the division.
    """

    def __init__(
        self,
        encoder: Mapping[str, nn.Module],
        head: Mapping[str, nn.Module],
        loss: str | losses.Loss | nn.Module,
        augment: Mapping[str, Augment],
        *,
        text_weight: float = 1.0,
        weight_norm: Literal["code", "paper"] = "code",
        **options: Any,
    ) -> None:
        """What `TwoTower` does not take already.

        head: of the video a `VideoHead`. text_weight: λ. weight_norm: "code" divides the weights by their sum.
        """
        if list(encoder) != ["video", "audio", "text"]:
            raise ValueError(f"encoder must name video, audio and text, in this order, got {', '.join(encoder)}")
        if weight_norm not in ("code", "paper"):
            raise ValueError(f"weight_norm must be 'code' or 'paper', got {weight_norm!r}")
        if not text_weight >= 0:
            raise ValueError(f"text_weight must be at least 0, got {text_weight}")
        super().__init__(encoder, head, loss, augment, **options)
        self.text_weight, self.weight_norm = text_weight, weight_norm

    def in_text_space(self) -> Tower:
        """The video as the captions see it, to be probed like a method of its own."""
        return Tower("video", self.encoder["video"], nn.Sequential(self._video.fine, self._video.coarse))

    def embed(self, views: Samples) -> tuple[dict[str, Tensor], Tensor]:
        """h (b, V, H) by name, and z (b, 3 + P, D): video and audio, video and captions."""
        h = {name: self.encoder[name](part.flatten(0, 1)) for name, part in views.items()}
        fine = self._video.fine(h["video"])
        z = [fine, self.head["audio"](h["audio"]), self._video.coarse(fine), self.head["text"](h["text"])]
        width, clips = max(part.shape[1] for part in z), len(views["video"])
        padded = [F.pad(part, (0, width - part.shape[1])).unflatten(0, (clips, -1)) for part in z]
        return {name: rows.unflatten(0, (clips, -1)) for name, rows in h.items()}, torch.cat(padded, dim=1)

    def compare(self, embedded: Embedded) -> Step:
        """The weighted loss of both pairs, and the metrics of the captions with those of the sounds, named `audio_`."""
        audio, text = (Skeleton.compare(self, self.pair(embedded, "video", second)) for second in ("audio", "text"))
        loss = audio.loss + self.text_weight * text.loss
        if self.weight_norm == "code":
            loss = loss / (1 + self.text_weight)
        return Step(loss, text.metrics | {f"audio_{name}": value for name, value in audio.metrics.items()})

    def pair(self, embedded: Embedded, first: str, second: str) -> Embedded:
        """The embedded batch as video and another modality see it, in the space of both."""
        z = embedded.z[:, :2] if second == "audio" else embedded.z[:, 2:]
        h, views = ({name: part[name] for name in (first, second)} for part in (embedded.h, embedded.views))
        return embedded._replace(z=z, h=h, views=views)

    @property
    def _video(self) -> VideoHead:
        head = self.head["video"]
        assert isinstance(head, VideoHead)
        return head

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, text_weight={self.text_weight}, weight_norm={self.weight_norm!r}"


class MeanOfLogs(nn.Module):
    """MIL-NCE with the sum over a bag outside the logarithm: every caption must fit, also the wrong ones."""

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, query: Tensor, candidates: Tensor) -> Tensor:
        """The loss of query (N, D) and candidates (N, P, D)."""
        inside = losses.mil_nce(query, candidates, temperature=self.temperature, reduction="none")
        q, bags = F.normalize(query, dim=-1), F.normalize(candidates, dim=-1)
        scores = torch.einsum("nd,npd->np", q, bags) / self.temperature
        return (inside + scores.logsumexp(1) - scores.mean(1)).mean()


class MeanCaption(nn.Module):
    """CLIP with the mean of a bag of unit vectors for the caption."""

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, query: Tensor, candidates: Tensor) -> Tensor:
        """The loss of query (N, D) and candidates (N, P, D)."""
        mean = F.normalize(candidates, dim=-1).mean(1)
        return losses.clip(query, mean, temperature=self.temperature)


def bag(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    """All captions (B, P, L), as they are."""
    return x


def one_of_bag(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    """One caption (B, 1, L) of each bag (B, P, L), drawn anew every time."""
    place = torch.randint(x.shape[1], (len(x),), generator=generator, device=generator.device).to(x.device)
    return x[torch.arange(len(x), device=x.device), place][:, None]


def drop_tokens(tokens: Tensor, rate: float, per_sample: bool = False) -> Tensor:
    """DropToken: a random subset of tokens (N, T, D), a share `rate` of them left out, at least one kept.

    per_sample: another subset for each sample; as in the authors' code one for the whole batch otherwise.
    """
    samples, count, width = tokens.shape
    kept = max(1, int((1 - rate) * count + 1e-9))
    if kept == count:
        return tokens
    if not per_sample:
        return tokens[:, torch.randperm(count, device=tokens.device)[:kept]]
    rows = torch.rand(samples, count, device=tokens.device).argsort(1)[:, :kept, None]
    return tokens.gather(1, rows.expand(-1, -1, width))


class Patches(nn.Module):
    """Samples (N, C, ...) as tokens (N, T, width): patches of `size` a side, each through one linear map.

    count: T of a sample like `example` (C, ...).
    """

    def __init__(self, example: Tensor, size: int, width: int) -> None:
        super().__init__()
        features = len(example) * size ** (example.ndim - 1)
        self.size, self.count, self.project = size, example.numel() // features, nn.Linear(features, width)

    def forward(self, x: Tensor) -> Tensor:
        sides = x.ndim - 2
        for axis in range(2, x.ndim):
            x = x.unfold(axis, self.size, self.size)
        return self.project(x.movedim(1, sides + 1).flatten(1, sides).flatten(2))


class DroppingTransformer(nn.Module):
    """Tokens through a transformer trunk, read off at a token of their own, AGG; while training some are dropped.

    Encoders of several modalities may share one trunk: the modality-agnostic variant.
    """

    def __init__(
        self, tokenise: nn.Module, length: int, trunk: Transformer, *, drop: float = 0.0, per_sample: bool = False
    ) -> None:
        """tokenise: x -> (N, T, width), T up to `length`. drop: share of tokens dropped. per_sample: `drop_tokens`."""
        if not 0 <= drop < 1:
            raise ValueError(f"drop must be from 0 to below 1, got {drop}")
        super().__init__()
        self.tokenise, self.drop, self.per_sample = tokenise, drop, per_sample
        self.out_features = trunk.out_features
        self.position = nn.Parameter(0.02 * torch.randn(length, trunk.out_features))
        self.pool = AttentionPool(trunk)

    def forward(self, x: Tensor) -> Tensor:
        """The representation h (N, width) of x."""
        tokens = self.tokenise(x)
        tokens = tokens + self.position[: tokens.shape[1]]
        if self.training:
            tokens = drop_tokens(tokens, self.drop, self.per_sample)
        return self.pool(tokens)

    def extra_repr(self) -> str:
        return f"drop={self.drop}, per_sample={self.per_sample}"
