"""ScatSimCLR: a scattering transform in place of the first layers, a small adapter, a pretext task beside SimCLR."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.methods import JointEmbedding, Step
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import width

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
    return _folded(filters * kept[:, None] * kept, 2**r).sum((-4, -2))


def _folded(f: Tensor, times: int) -> Tensor:
    side = f.shape[-1] // times
    return f.unflatten(-1, (times, side)).unflatten(-3, (times, side))


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
        return torch.fft.ifft2(_folded(f * filters, step).mean((-4, -2))).abs()

    def _averaged(self, f: Tensor, r: int) -> Tensor:
        """The low-pass of a signal of resolution r, without its rim."""
        low = _folded(f * getattr(self, f"phi{r}"), 2 ** (self.scales - r)).mean((-4, -2))
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


def convolutional_encoder(channels: int, size: int) -> nn.Module:
    """What it is compared with: two convolutions and a linear layer to 64, all of them learned."""
    side = (size + 1) // 2
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * side**2, 64),
    )  # fmt: skip


def rotations(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, H, H) turned by 0, 90, 180 and 270 degrees, (4 N, C, H, H), and which it is (4 N,)."""
    turned = torch.cat([torch.rot90(x, turn, (-2, -1)) for turn in range(4)])
    return turned, torch.arange(4, device=x.device).repeat_interleave(len(x))


class Pretext(JointEmbedding):
    """A contrast, and beside it h must tell by how much a picture is turned.

    All four rotations of the first view go through the encoder. The loss is the contrast plus `weight` times the mean
    cross-entropy, which comes in after the first `warmup` steps: the paper waits for 40 epochs, the authors' code does
    not wait.
    """

    steps: Tensor

    def __init__(self, *parts: Any, weight: float = 0.3, warmup: int = 0, dropout: float = 0.5, **options: Any) -> None:
        """parts, options: see `JointEmbedding`. dropout: within the classifier of rotations."""
        if not weight >= 0 or warmup < 0:
            raise ValueError(f"weight and warmup must be at least 0, got {weight} and {warmup}")
        super().__init__(*parts, **options)
        self.weight, self.warmup = weight, warmup
        layers = [nn.Linear(width(self.encoder), 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 4)]
        self.classifier_of_turns = nn.Sequential(*layers)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def compare(self, embedded: Embedded) -> Step:
        """The sum of both; metrics of the contrast, and `turns`, the cross-entropy of rotations."""
        contrast, metrics = super().compare(embedded)
        turned, which = rotations(embedded.views[:, 0])
        each = F.cross_entropy(self.classifier_of_turns(self(turned)), which, reduction="none")
        (joined,) = gather(each.view(4, -1).T.mean(1))
        turns = joined.mean()
        on = (self.steps >= self.warmup).to(turns.dtype)
        return Step(contrast + self.weight * on * turns, {**metrics, "turns": turns.detach()})

    def after_step(self) -> None:
        """As `JointEmbedding`, and count the steps."""
        super().after_step()
        self.steps += 1

    def extra_repr(self) -> str:
        return f"weight={self.weight}, warmup={self.warmup}, {super().extra_repr()}"
