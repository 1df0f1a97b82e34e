"""The painter of the factor world: factors in, pictures out."""

import math

import torch
from torch import Tensor

SHAPES = ("disc", "square", "triangle", "ring", "cross", "bar", "star", "half-disc")
STYLES = ("flat", "gradient", "stripes", "checker")
CHUNK = 512  # pictures painted at a time: what is being worked on stays in the cache


def render(
    f: dict[str, Tensor], size: int = 16, noise: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """Paint the factors f, each (N,), as float32 images (N, 3, size, size) in [0, 1] on the factors' device.

    `noise` is the standard deviation of Gaussian pixel noise, drawn from the generator. The pictures depend on the
    factors alone, not on what else is painted with them.
    Raises ValueError for a size below 4, a negative noise, or noise without a generator.
    """
    _check(size)
    if noise < 0:
        raise ValueError(f"noise must be at least 0, got {noise}")
    if noise > 0 and generator is None:
        raise ValueError(f"generator must be given to draw the noise of {noise}, got None")
    x = torch.empty(len(f["shape"]), 3, size, size, device=f["shape"].device)
    for start in range(0, len(x), CHUNK):
        rows = {name: values[start : start + CHUNK] for name, values in f.items()}
        part = x[start : start + CHUNK]
        cover = alpha(rows, size)
        ground = _pattern(rows, size).mul_(0.55).add_(0.45).mul_(_column(rows["bgscale"])).mul_(1 - cover)
        object_colour = _hsv_to_rgb(rows["hue"], 0.9, rows["bright"])
        ground_colour = _hsv_to_rgb(rows["bhue"], 0.6, torch.full_like(rows["bright"], 0.75))
        for channel in range(3):
            torch.mul(ground, _column(ground_colour[:, channel]), out=part[:, channel])
            part[:, channel].addcmul_(cover, _column(object_colour[:, channel]))
        if noise > 0 and generator is not None:
            drawn = torch.randn(part.shape, generator=generator, device=generator.device)
            part.add_(drawn.to(part.device), alpha=noise).clamp_(0, 1)
    return x


def alpha(f: dict[str, Tensor], size: int = 16) -> Tensor:
    """How much of each pixel the object covers: (N, size, size) in [0, 1], with an edge about one pixel wide."""
    _check(size)
    scale = f["scale"]
    u, v = (axis.div_(_column(scale)) for axis in _rotated(f["x"], f["y"], f["rot"], size))
    d = torch.empty_like(u)
    for kind, rows in _groups(f["shape"], len(SHAPES)):
        d[rows] = _implicit(kind, u[rows], v[rows])
    # sigmoid(-.7 size scale d) by way of tanh: torch's sigmoid rounds differently at the end of a tensor
    return d.mul_(_column(-0.35 * size * scale)).tanh_().mul_(0.5).add_(0.5)


def _implicit(kind: int, u: Tensor, v: Tensor) -> Tensor:
    """A function of object coordinates, negative inside the shape and about the distance to its edge."""
    name = SHAPES[kind]
    if name == "square":
        return torch.maximum(u.abs(), v.abs()) - 0.85
    if name == "triangle":
        return torch.maximum(v, 0.866 * u.abs() - 0.5 * v) - 0.6
    if name == "cross":
        u, v = u.abs(), v.abs()
        return torch.minimum(torch.maximum(u - 1, v - 0.33), torch.maximum(v - 1, u - 0.33))
    if name == "bar":
        return torch.maximum(u.abs() - 1.1, v.abs() - 0.4)
    r = torch.hypot(u, v)
    if name == "ring":
        return (r - 0.75).abs() - 0.25
    if name == "star":
        c = u / r.clamp(min=1e-9)  # the cosine of the angle t; cos 5t is a polynomial of it, quicker than atan2
        return r - 0.7 - 0.3 * c * (5 + c * c * (16 * c * c - 20))
    return r - 1 if name == "disc" else torch.maximum(r - 1, v)


def _pattern(f: dict[str, Tensor], size: int) -> Tensor:
    """The texture of the background, (N, size, size) in [0, 1]."""
    origin = torch.zeros_like(f["bang"])
    t, across = _rotated(origin, origin, f["bang"], size)
    for kind, rows in _groups(f["style"], len(STYLES)):
        if STYLES[kind] == "flat":
            t[rows] = 0
            continue
        if STYLES[kind] == "gradient":
            t[rows] = t[rows].clamp_(-1, 1)
            continue
        frequency, phase = _column(math.pi * f["freq"][rows]), _column(f["phase"][rows])
        wave = t[rows].mul_(frequency).add_(phase).sin_()
        if STYLES[kind] == "checker":
            wave.mul_(across[rows].mul_(frequency).add_(phase).sin_()).sign_()
        t[rows] = wave
    return t.mul_(0.5).add_(0.5)


def _rotated(x: Tensor, y: Tensor, angle: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Coordinates of the pixel centres seen from (x, y) in axes turned by the angle: two tensors (N, size, size)."""
    centres = (torch.arange(size, device=x.device) * 2 + 1) / size - 1
    dx, dy = centres - x[:, None], centres - y[:, None]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return (cos * dx)[:, None, :] + (sin * dy)[:, :, None], (cos * dy)[:, :, None] - (sin * dx)[:, None, :]


def _hsv_to_rgb(hue: Tensor, saturation: float, value: Tensor) -> Tensor:
    """Colours (N, 3) in [0, 1] of hues (N,), in turns, and values (N,)."""
    # each channel is a trapezium over the hue circle: the same one, shifted by a third of it
    k = torch.remainder(6 * hue[:, None] + torch.tensor([5.0, 3.0, 1.0], device=hue.device), 6)
    return value[:, None] * (1 - saturation * torch.minimum(k, 4 - k).clamp(0, 1))


def _groups(kinds: Tensor, count: int) -> list[tuple[int, Tensor]]:
    """The kinds that occur, each with the numbers of its rows."""
    return [(kind, rows) for kind in range(count) if len(rows := (kinds == kind).nonzero().squeeze(1))]


def _column(values: Tensor) -> Tensor:
    """One number per picture, (N,), shaped to multiply (N, size, size)."""
    return values[:, None, None]


def _check(size: int) -> None:
    if size < 4:
        raise ValueError(f"size must be at least 4 pixels, got {size}")
