"""ScatSimCLR: a scattering transform in place of the first layers, a small adapter, pretext tasks beside SimCLR."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.methods import JointEmbedding, Step
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import width
from cl_explore.nn.resnet import Residual
from cl_explore.papers.scatsimclr.world import permutations, tiles
from cl_explore.views.draw import draw_views

ADAPTERS = {
    8: (32, *[64] * 4, *[128] * 4),
    12: (256, *[128] * 4, *[64] * 4, *[128] * 4),
    16: (256, *[128] * 6, *[64] * 4, *[128] * 6),
    30: (256, *[128] * 30),
    45: (256, *[128] * 15, *[64] * 15, *[128] * 15),
}
"""By the number of residual blocks: channels of the paper's first convolution, then of each block."""
TWO_PI = 2 * 3.1415  # as kymatio has it: the low-pass of a constant is wrong by 3e-5


def wave(side: int, sigma: float, angle: Tensor, frequency: float, slant: float) -> Tensor:
    """Plane waves under a Gaussian, periodised: (L, side, side), complex128.

    angle: (L,), measured from the row axis. sigma: width along it; across it, sigma / slant.
    """
    place = torch.arange(-2 * side, 3 * side, dtype=torch.float64)
    cos, sin = (part[:, None, None] for part in (angle.cos(), angle.sin()))
    along, across = cos * place[:, None] + sin * place, cos * place - sin * place[:, None]
    found = torch.polar(torch.exp(-(along**2 + (slant * across) ** 2) / (2 * sigma**2)), frequency * along)
    return found.view(len(angle), 5, side, 5, side).sum((1, 3)) * slant / (TWO_PI * sigma**2)


def wavelets(side: int, j: int, angles: int) -> Tensor:
    """Morlet wavelets of scale j in the frequency plane: (L, side, side), float64, with zero mean."""
    angle = (int(angles - angles / 2 - 1) - torch.arange(angles, dtype=torch.float64)) * math.pi / angles
    sigma, slant = 0.8 * 2**j, 4 / angles
    waves, envelope = (wave(side, sigma, angle, frequency, slant) for frequency in (0.75 * math.pi / 2**j, 0.0))
    mean = waves.sum((1, 2), keepdim=True) / envelope.sum((1, 2), keepdim=True)
    return torch.fft.fft2(waves - mean * envelope).real


def low_pass(side: int, scales: int) -> Tensor:
    """The Gaussian that every path ends with, in the frequency plane: (1, side, side), float64."""
    return torch.fft.fft2(wave(side, 0.8 * 2 ** (scales - 1), torch.zeros(1, dtype=torch.float64), 0.0, 1.0)).real


def coarser(filters: Tensor, r: int) -> Tensor:
    """Filters (L, n, n) of the frequency plane for a signal of side n / 2^r."""
    n = filters.shape[-1]
    kept = torch.ones(n, dtype=filters.dtype)
    if r:
        kept[n >> (r + 1) : n - (n >> (r + 1))] = 0
    return _folded(filters * kept[:, None] * kept, 2**r) * 4**r


def _folded(f: Tensor, times: int) -> Tensor:
    """The mean of the tiles of (..., n, n), times by times of them; rows first, which is faster by far."""
    side = f.shape[-1] // times
    rows = f.unflatten(-2, (times, side)).mean(-3) if times > 1 else f
    return rows.unflatten(-1, (times, side)).mean(-2) if times > 1 else f


class Scattering(nn.Module):
    """Moduli of wavelets, and of wavelets of those, averaged: a fixed transform that small deformations hardly change.

    Maps pictures (N, C, size, size) to (N, C K, size / 2^J, size / 2^J), K = 1 + J L + J (J - 1) L^2 / 2: for each
    channel order 0, order 1 by scale and angle, order 2 by both of the first and both of the second wavelet.

    Source: Bruna and Mallat 2013; numbers as those of kymatio 0.3
    """

    def __init__(self, size: int, scales: int = 2, angles: int = 16) -> None:
        """size: side of the pictures. scales: J. angles: L. ValueError for a size that J scales do not fit into."""
        if scales < 1 or angles < 1:
            raise ValueError(f"scales and angles must be at least 1, got {scales} and {angles}")
        step = 2**scales
        side = ((size + step) // step + 1) * step
        if side - size >= 2 * size or size < step:
            raise ValueError(f"size must be larger than {step} for {scales} scales, got {size}")
        super().__init__()
        self.size, self.scales, self.angles = size, scales, angles
        self.before, self.after = (side - size) // 2, side - size - (side - size) // 2
        self.maps = 1 + scales * angles + scales * (scales - 1) * angles**2 // 2
        for j in range(scales):
            found = wavelets(side, j, angles)
            for r in range(j + 1):
                self.register_buffer(f"psi{j}_{r}", coarser(found, r).float(), persistent=False)
            self.register_buffer(f"phi{j}", coarser(low_pass(side, scales), j).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.size, self.size):
            raise ValueError(f"x must be (N, C, {self.size}, {self.size}), got {tuple(x.shape)}")
        padded = F.pad(x.float(), (self.before, self.after, self.before, self.after), mode="reflect")
        f = torch.fft.fft2(padded)
        found, second = [self._averaged(f, 0)[:, :, None]], []
        for j in range(self.scales):
            f1 = torch.fft.fft2(self._modulus(f[:, :, None], getattr(self, f"psi{j}_0"), 2**j))
            found.append(self._averaged(f1, j))
            pairs = [
                self._averaged(
                    torch.fft.fft2(self._modulus(f1[:, :, :, None], getattr(self, f"psi{k}_{j}"), 2 ** (k - j))), k
                )
                for k in range(j + 1, self.scales)
            ]
            if pairs:
                second.append(torch.cat(pairs, dim=3).flatten(2, 3))
        return torch.cat([*found, *second], dim=2).flatten(1, 2)

    def _modulus(self, f: Tensor, filters: Tensor, step: int) -> Tensor:
        return torch.fft.ifft2(_folded(f * filters, step)).abs()

    def _averaged(self, f: Tensor, r: int) -> Tensor:
        """The low-pass of a signal of resolution r, without its rim."""
        low = _folded(f * getattr(self, f"phi{r}"), 2 ** (self.scales - r))
        return torch.fft.ifft2(low).real[..., 1:-1, 1:-1]

    def extra_repr(self) -> str:
        return f"size={self.size}, scales={self.scales}, angles={self.angles}"


def scattering_encoder(channels: int, size: int, scales: int, angles: int, *, scatter_norm: bool = True) -> nn.Module:
    """Scattering, a norm of its maps, one convolution and a linear layer to 64.

    scatter_norm: as in the paper; the authors' code declares the norm and never applies it
    """
    scattering = Scattering(size, scales, angles)
    maps, side = channels * scattering.maps, size >> scales
    norm = [nn.BatchNorm2d(maps)] if scatter_norm else []
    return nn.Sequential(
        scattering, *norm, nn.Conv2d(maps, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * side**2, 64),
    )  # fmt: skip


class PaperEncoder(nn.Sequential):
    """The paper's network: scattering, a norm of its maps, one convolution, residual blocks, a mean to 4 x 4 places.

    Maps pictures (N, channels, size, size) to h (N, 2048); the paper's head is `MLP([2048, 2048, 128],
    batch_norm=False)`. Blocks start as their shortcuts, which the authors' do not.
    """

    out_features = 128 * 4**2

    def __init__(
        self, channels: int, size: int, scales: int, angles: int, blocks: int = 8, *, scatter_norm: bool = True
    ) -> None:
        """blocks: how many, one of `ADAPTERS`; scatter_norm: see `scattering_encoder`; ValueError for other blocks."""
        if blocks not in ADAPTERS:
            raise ValueError(f"blocks must be one of {', '.join(map(str, ADAPTERS))}, got {blocks}")
        scattering = Scattering(size, scales, angles)
        maps, (before, *stages) = channels * scattering.maps, ADAPTERS[blocks]
        norm = [nn.BatchNorm2d(maps)] if scatter_norm else []
        layers = [nn.Conv2d(maps, before, 3, padding=1, bias=False), nn.BatchNorm2d(before), nn.ReLU()]
        for after in stages:
            layers.append(Residual(before, after, 1, bottleneck=False))
            before = after
        super().__init__(scattering, *norm, *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())


def convolutional_encoder(channels: int, size: int) -> nn.Module:
    """What it is compared with: two convolutions and a linear layer to 64, all of them learned."""
    side = (size + 1) // 2
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * side**2, 64),
    )  # fmt: skip


class Pretext(JointEmbedding):
    """A contrast, and beside it h must tell what was done to pictures: one task, which a subclass says.

    The loss is the contrast plus `weight` times the mean cross-entropy of the task, which comes in after the first
    `warmup` steps: the paper waits for 40 epochs, the authors' code does not wait. Each picture's h goes through a
    layer of its own; what this makes of the `together` pictures that are judged as one goes side by side through
    another, and then to the `classes`.

    hidden: the features of both layers in the paper
    """

    together: ClassVar[int]
    classes: ClassVar[int]
    hidden: ClassVar[tuple[int, int]]
    steps: Tensor

    def __init__(
        self, *parts: Any, weight: float = 0.3, warmup: int = 0, dropout: float = 0.5,
        hidden: tuple[int, int] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        """parts, options: see `JointEmbedding`. dropout: after both layers. hidden: other features of theirs.

        Raises: ValueError if weight or warmup is below 0
        """
        if not weight >= 0 or warmup < 0:
            raise ValueError(f"weight and warmup must be at least 0, got {weight} and {warmup}")
        super().__init__(*parts, **options)
        self.weight, self.warmup = weight, warmup
        first, second = hidden or self.hidden
        self.own = nn.Sequential(nn.Linear(width(self.encoder), first), nn.ReLU(), nn.Dropout(dropout))
        self.joint = nn.Sequential(
            nn.Linear(self.together * first, second), nn.ReLU(), nn.Dropout(dropout), nn.Linear(second, self.classes)
        )
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def posed(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """G questions (b, G, together, C, H, W) about each of the pictures (b, C, H, W), and the answers (b, G)."""
        raise NotImplementedError(f"{type(self).__name__} must define posed(x, generator)")

    def compare(self, embedded: Embedded) -> Step:
        """The sum of both; metrics of the contrast, and `pretext`, the cross-entropy of the task."""
        contrast, metrics = super().compare(embedded)
        pictures, answers = self.posed(embedded.views[:, 0], embedded.generator)
        features = self.own(self(pictures.flatten(0, 2))).view(answers.numel(), -1)
        each = F.cross_entropy(self.joint(features), answers.flatten(), reduction="none")
        (joined,) = gather(each.view(answers.shape).mean(1))
        pretext = joined.mean()
        on = (self.steps >= self.warmup).to(pretext.dtype)
        return Step(contrast + self.weight * on * pretext, {**metrics, "pretext": pretext.detach()})

    def after_step(self) -> None:
        """As `JointEmbedding`, and count the steps."""
        super().after_step()
        self.steps += 1

    def extra_repr(self) -> str:
        return f"weight={self.weight}, warmup={self.warmup}, {super().extra_repr()}"


class Rotations(Pretext):
    """By how much is it turned? All four rotations of the first view are asked for.

    The authors' code turns the picture first, and draws a view of each of the four.
    """

    together, classes, hidden = 1, 4, (512, 128)

    def posed(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All four rotations, one by one."""
        turned = torch.stack([torch.rot90(x, turn, (-2, -1)) for turn in range(4)], dim=1)
        return turned[:, :, None], torch.arange(4, device=x.device).expand(len(x), -1)


class Jigsaw(Pretext):
    """In which of 35 orders are its tiles? Nine tiles of the first view, and a view of each, as the authors' code."""

    together, classes, hidden = 9, 35, (512, 4096)
    orders: Tensor

    def __init__(self, *parts: Any, **options: Any) -> None:
        """parts, options: see `Pretext`."""
        super().__init__(*parts, **options)
        self.register_buffer("orders", permutations(self.classes))

    def posed(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The tiles of each picture in an order that is drawn."""
        drawn = torch.randint(self.classes, (len(x),), generator=generator, device=generator.device).to(x.device)
        cut = tiles(x)[torch.arange(len(x), device=x.device)[:, None], self.orders[drawn]]
        views = draw_views(self.augment, cut.flatten(0, 1), generator, 1)
        return views.view(len(x), 1, *cut.shape[1:]), drawn[:, None]
