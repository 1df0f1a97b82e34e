"""VTP: a tokenizer that learns from reconstruction, from captions and from itself at once.

The authors released no training losses; self-distillation follows DINOv2's code, on which theirs is built, so that the
whole is a reconstruction. A small convolutional trunk stands for the vision transformer: the mean of its tokens is the
class token, and what is masked are squares of the picture. The second stage, which tunes the decoder adversarially, is
left out.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.losses.assignment import sinkhorn
from cl_explore.methods import Step, TwoTower
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded
from cl_explore.nn import MLP, Momentum
from cl_explore.views import ImageViews

PATCH, HIDDEN = 4, 48  # pixels of a side that become one token; channels of a token before the bottleneck
MASKED = (0.1, 0.5)  # of the patches of a masked picture
MOMENTUM = 0.9  # of the centre


def targets(scores: Tensor, temperature: float, centre: Tensor | None = None) -> Tensor:
    """A teacher's probabilities (N, K) of scores (N, K), without gradient.

    centre: (K,), subtracted before the softmax; None balances by three rounds of Sinkhorn, in which every prototype
        gets the same share of the N.
    Source: Oquab et al. 2023, the code of its losses
    """
    scores = scores.detach()
    if centre is None:
        return sinkhorn(scores, temperature, 3)
    return ((scores - centre) / temperature).softmax(-1)


def dino(near: Tensor, local: Tensor, teacher: Tensor, temperature: float = 0.1) -> tuple[Tensor, Tensor]:
    """Each crop names the prototypes that the teacher sees in the others: the share of global crops, that of local.

    near: (B, 2, K), scores of two global crops by the student; each learns from the teacher of the other one
    local: (B, L, K), of L local crops; each learns from both
    teacher: (B, 2, K), probabilities
    Source: DINOv2's code: of 2 + 2 L comparisons, cross-entropies are means over the B
    """
    scale = 2 + 2 * local.shape[1]
    swapped = -(teacher.flip(1) * (near / temperature).log_softmax(-1)).sum(-1).mean(0)
    both = -(teacher.sum(1, keepdim=True) * (local / temperature).log_softmax(-1)).sum(-1).mean(0)
    return swapped.sum() / scale, both.sum() / scale


def ibot(student: Tensor, teacher: Tensor, masks: Tensor, temperature: float = 0.1) -> Tensor:
    """Masked patches name the prototypes that the teacher sees there unmasked, a scalar; 0 if nothing is masked.

    student, teacher: (M, K), scores and probabilities of the masked patches, in the order of the masks
    masks: (I, P), true where a patch of an image is masked, M in all
    Source: DINOv2's code: the mean over the I images, also those without a mask, of the mean over an image's patches
    """
    each = -(teacher * (student / temperature).log_softmax(-1)).sum(-1)
    weight = (1 / masks.sum(1, keepdim=True).clamp(min=1).to(each)).expand(masks.shape)[masks]
    return (each * weight).sum() / len(masks)


def reconstruction(x: Tensor, made: Tensor, edges: float = 0.5) -> Tensor:
    """The error (N,) of pictures made (N, C, H, W): mean absolute difference, and `edges` times that of differences.

    Differences of neighbouring pixels stand for the perceptual term, which asks a trained network.
    """
    off = made - x
    slopes = sum(off.diff(dim=side).abs().flatten(1).mean(1) for side in (2, 3))
    return off.abs().flatten(1).mean(1) + edges * slopes


def draw_masks(images: int, patches: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Masks (I, P): of half of the images, drawn at random, a share of the patches, uniform between .1 and .5."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device).to(device)

    low, high = MASKED
    chosen = uniform(images).argsort().argsort() < images // 2
    number = ((low + (high - low) * uniform(images)) * patches).round().clamp(min=1)
    return (uniform(images, patches).argsort(1).argsort(1) < number[:, None]) & chosen[:, None]


class Tokenizer(nn.Module):
    """Pictures (N, 3, H, W) to latents of a few channels for each square of 4 pixels, (N, channels H/4 W/4).

    Latents are standardised by channel, so that none is worth more by being large.
    """

    def __init__(self, channels: int = 8, size: int = 16) -> None:
        """channels: of a latent; size: of the pictures, by which `out_features` is known."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((3, HIDDEN // 2, 2), (HIDDEN // 2, HIDDEN, 2), (HIDDEN, HIDDEN, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.trunk = nn.Sequential(*layers)
        self.bottleneck = nn.Conv2d(HIDDEN, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.channels, self.out_features = channels, channels * (size // PATCH) ** 2

    def squeeze(self, tokens: Tensor) -> Tensor:
        """Latents (N, channels, H/4, W/4) of tokens (N, 48, H/4, W/4)."""
        return self.norm(self.bottleneck(tokens))

    def forward(self, x: Tensor) -> Tensor:
        return self.squeeze(self.trunk(x)).flatten(1)


class Scores(nn.Module):
    """Scores of prototypes for pictures as a whole (N, K) and for each of their patches (N, P, K), by one head."""

    def __init__(self, tokenizer: Tokenizer, head: nn.Module, whole: bool) -> None:
        """tokenizer, head: of what is scored; whole: whether tokens are scored, or else the latents."""
        super().__init__()
        self.tokenizer, self.head, self.whole = tokenizer, head, whole

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer.trunk(x)
        patches = (tokens if self.whole else self.tokenizer.squeeze(tokens)).flatten(2).mT
        return self.head(patches.mean(1)), self.head(patches)


class PrototypeHead(nn.Module):
    """Three layers to a unit vector, whose cosines with K learned directions are the scores (..., K)."""

    def __init__(self, features: int, prototypes: int) -> None:
        super().__init__()
        self.layers = MLP([features, 64, 64, 32], batch_norm=False)
        self.prototypes = nn.Parameter(torch.randn(prototypes, 32))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.layers(x.flatten(0, -2)).unflatten(0, x.shape[:-1])
        return F.linear(F.normalize(rows, dim=-1), F.normalize(self.prototypes, dim=-1))


class VTP(TwoTower):
    """Reconstruction, contrast with captions and self-distillation share one tokenizer.

    Samples have pictures and captions by name, in this order; h are the latents. Metrics: those of the contrast, and
    `reconstruction` and `distillation`, before their weights.
    """

    centre: Tensor
    centre_patch: Tensor

    def __init__(
        self,
        *parts: Any,
        rec_weight: float = 0.1,
        clip_weight: float = 1.0,
        ssl_weight: float = 1.0,
        bottleneck_ae_only: bool = True,
        rec_share: float = 1.0,
        ssl_share: float = 1.0,
        balance: Literal["centre", "sinkhorn"] = "centre",
        prototypes: int = 64,
        locals_: int = 2,
        temperature: float = 0.07,
        decay: float = 0.992,
        **options: Any,
    ) -> None:
        """parts, options: see `TwoTower`; the picture's encoder is a `Tokenizer`.

        rec_weight, clip_weight, ssl_weight: of the three losses (equation 1); at 0 the last is not computed.
        bottleneck_ae_only: whether the tokens before the bottleneck are contrasted and distilled, as the released
            configuration has it, or the latents; the picture's head reads 48 or `channels` numbers.
        rec_share, ssl_share: of the batch, drawn anew each time, for which these two are computed; 1/8 and 1/4 there.
        balance: of the teacher's scores, by a running mean or by Sinkhorn.
        prototypes, locals_, temperature, decay: how many prototypes and local crops; of the teacher.
        Raises: ValueError for a share outside (0, 1], a negative weight or another balance
        """
        for name, share in (("rec_share", rec_share), ("ssl_share", ssl_share)):
            if not 0 < share <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {share}")
        for name, weight in (("rec_weight", rec_weight), ("clip_weight", clip_weight), ("ssl_weight", ssl_weight)):
            if not weight >= 0:
                raise ValueError(f"{name} must be at least 0, got {weight}")
        if balance not in ("centre", "sinkhorn"):
            raise ValueError(f"balance must be centre or sinkhorn, got {balance!r}")
        super().__init__(*parts, **options)
        self.rec_weight, self.clip_weight, self.ssl_weight = rec_weight, clip_weight, ssl_weight
        self.bottleneck_ae_only, self.rec_share, self.ssl_share = bottleneck_ae_only, rec_share, ssl_share
        self.balance, self.locals_, self.temperature = balance, locals_, temperature
        tokenizer = self.tokenizer
        self.decoder = nn.Sequential(
            nn.Conv2d(tokenizer.channels, HIDDEN, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(HIDDEN, 2 * HIDDEN, 1), nn.PixelShuffle(2), nn.ReLU(inplace=True),
            nn.Conv2d(HIDDEN // 2, 12, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip
        if ssl_weight:
            self.mask = nn.Parameter(torch.full((3, 1, 1), 0.5))
            self.scores = PrototypeHead(HIDDEN if bottleneck_ae_only else tokenizer.channels, prototypes)
            self.teacher = Momentum(Scores(tokenizer, self.scores, bottleneck_ae_only), decay)
            self.near, self.far = ImageViews(crop_area=0.5, flip=0.5), ImageViews(crop_area=0.2, flip=0.5)
            self.register_buffer("centre", torch.zeros(prototypes))
            self.register_buffer("centre_patch", torch.zeros(prototypes))

    @property
    def tokenizer(self) -> Tokenizer:
        """The picture's encoder."""
        found = next(iter(self.encoder.values()))
        if not isinstance(found, Tokenizer):
            raise TypeError(f"encoder must begin with a Tokenizer of pictures, got {type(found).__name__}")
        return found

    def decode(self, h: Tensor) -> Tensor:
        """Pictures (N, 3, H, W), H = W, of latents h (N, channels H/4 W/4)."""
        channels = self.tokenizer.channels
        side = round((h.shape[1] // channels) ** 0.5)
        return self.decoder(h.view(-1, channels, side, side))

    def project(self, h: Tensor) -> Tensor:
        """What the contrast compares of latents h (N, H); only where it reads latents, else their mean by channel."""
        mean = h.unflatten(1, (self.tokenizer.channels, -1)).mean(2)
        return mean if self.bottleneck_ae_only else next(iter(self.head.values()))(mean)

    def embed(self, views: Any) -> tuple[dict[str, Tensor], Tensor]:
        """Latents of pictures and vectors of captions, and z (b, 2, D), of the mean over a picture's places."""
        (image, x), (text, words) = views.items()
        tokens = self.tokenizer.trunk(x.flatten(0, 1))
        latents = self.tokenizer.squeeze(tokens)
        read = (tokens if self.bottleneck_ae_only else latents).mean((2, 3))
        said = self.encoder[text](words.flatten(0, 1))
        h = {image: latents.flatten(1)[:, None], text: said[:, None]}
        return h, torch.stack([self.head[image](read), self.head[text](said)], dim=1)

    def compare(self, embedded: Embedded) -> Step:
        """The weighted sum of the losses, each a mean over its own share of the batch."""
        step = super().compare(embedded)
        name, views = next(iter(embedded.views.items()))
        rows = self._some(len(views), self.rec_share, embedded.generator, views.device)
        x = views[rows, 0]
        (errors,) = gather(reconstruction(x, self.decode(embedded.h[name][rows, 0])))
        loss, metrics = self.rec_weight * errors.mean(), {"reconstruction": errors.mean().detach()}
        if self.clip_weight:
            loss = loss + self.clip_weight * step.loss
        if self.ssl_weight:
            rows = self._some(len(views), self.ssl_share, embedded.generator, views.device)
            own = self.distill(views[rows, 0], embedded.generator)
            loss, metrics = loss + self.ssl_weight * own, metrics | {"distillation": own.detach()}
        return Step(loss, step.metrics | metrics)

    def distill(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """DINO and iBOT on pictures x (b, 3, H, W): two global crops and the local ones, which are half as large."""
        near = self.near(x, generator, 2)
        far = F.avg_pool2d(self.far(x, generator, self.locals_).flatten(0, 1), 2)
        whole = near.flatten(0, 1)
        side = whole.shape[-1] // PATCH
        masks = draw_masks(len(whole), side * side, generator, x.device)
        hidden = masks.view(-1, 1, side, side).repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)
        student = Scores(self.tokenizer, self.scores, self.bottleneck_ae_only)
        seen, patches = student(torch.where(hidden, self.mask, whole))
        known, places = self.teacher(whole)
        crops = [part.unflatten(0, (len(x), -1)) for part in (seen, student(far)[0], known, patches, places, masks)]
        seen, local, known, patches, places, masks = gather(*crops)
        masks = masks.flatten(0, 1)
        patches, places = (part.flatten(0, 1)[masks] for part in (patches, places))
        centred = self.balance == "centre"
        target = targets(known.flatten(0, 1), self.temperature, self.centre if centred else None)
        there = targets(places, self.temperature, self.centre_patch if centred else None)
        loss = sum(dino(seen, local, target.view_as(known)), ibot(patches, there, masks))
        if centred:
            with torch.no_grad():
                self.centre.lerp_(known.mean((0, 1)), 1 - MOMENTUM)
                self.centre_patch.lerp_(places.mean(0), 1 - MOMENTUM)
        return loss

    def after_step(self) -> None:
        """Move the teacher."""
        if self.ssl_weight:
            self.teacher.update()

    @staticmethod
    def _some(count: int, share: float, generator: torch.Generator, device: torch.device) -> Tensor:
        if share == 1:
            return torch.arange(count, device=device)
        rows = torch.randperm(count, generator=generator, device=generator.device)
        return rows[: max(1, round(share * count))].to(device)
