"""The factor world: pictures of one coloured shape on a background, of which every factor is known.

A set of factors is a dictionary of tensors (N,). `sample` draws one, `vary` shares some of its factors with a second
view and draws the others anew, `render` paints it. The image spans [-1, 1] in x (to the right) and y (downwards).

| factor | meaning |
|---|---|
| shape | 0 to 7, an index into SHAPES |
| hue, bright | of the object, whose saturation is .9 |
| x, y, scale, rot | centre, radius and rotation (radians) of the object |
| style | 0 to 3, an index into STYLES: the texture of the background |
| bhue | hue of the background, whose saturation is .6 and value .75 |
| freq, phase, bang | frequency, phase and angle of the texture (radians) |
| bgscale | contrast of the background: multiplies it |
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.registry import dataset
from cl_explore.data.rendering import CHUNK, SHAPES, STYLES, alpha, render
from cl_explore.names import unknown
from cl_explore.takes import Count, takes

__all__ = ["PRESETS", "SHAPES", "STYLES", "alpha", "factor_world", "render", "sample", "vary"]

Factors = dict[str, Tensor]
CLASSES = {"shape": SHAPES, "style": STYLES}
PERIODS = {"hue": 1.0, "rot": 2 * math.pi, "bhue": 1.0, "phase": 2 * math.pi, "bang": math.pi}
RANGES = {
    "shape": (0, len(SHAPES)),
    "hue": (0, 1),
    "bright": (0.7, 1),
    "x": (-0.4, 0.4),
    "y": (-0.4, 0.4),
    "scale": (0.3, 0.55),
    "rot": (0, 2 * math.pi),
    "style": (0, len(STYLES)),
    "bhue": (0, 1),
    "freq": (2, 6),
    "phase": (0, 2 * math.pi),
    "bang": (0, math.pi),
    "bgscale": (1, 1),
}
CENTRED = {"x": (-0.2, 0.2), "y": (-0.2, 0.2), "rot": (-0.5, 0.5)}
# What each preset draws differently from RANGES.
PRESETS: dict[str, dict[str, tuple[float, float]]] = {
    # a dim background and large objects: instance discrimination finds the shape in seconds
    "easy": {"bgscale": (0.35, 0.35), "scale": (0.55, 0.75), **CENTRED},
    # the background alone tells the pictures apart: instance discrimination learns nothing about the shape
    "shortcut": {},
    # a flat background shows nothing about where a patch was
    "patches": {
        "bgscale": (0.35, 0.35), "style": (0, 1), "scale": (0.65, 0.85),
        "x": (-0.12, 0.12), "y": (-0.12, 0.12), "rot": (-0.5, 0.5),
    },
}  # fmt: skip


@takes
def sample(n: Count, generator: torch.Generator, preset: str = "easy", **fixed: float | Tensor) -> Factors:
    """Draw the factors of n pictures, each (n,): int64 `shape` and `style`, float32 others, on the generator's device.

    `fixed` gives factors, as one number for all or as a tensor (n,); the others are drawn as if nothing were fixed.
    Raises ValueError for an unknown preset or factor, or a fixed shape or style out of range.

    >>> f = sample(2, torch.Generator().manual_seed(0), shape=3)
    >>> f["shape"], render(f, size=16).shape
    (tensor([3, 3]), torch.Size([2, 3, 16, 16]))
    """
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    uniform = torch.rand(len(RANGES), n, generator=generator, device=generator.device)
    f = {}
    for (name, (low, high)), u in zip((RANGES | PRESETS[preset]).items(), uniform, strict=True):
        value = low + (high - low) * u
        f[name] = value.long() if name in CLASSES else value
    return fix(f, fixed, {name: len(kinds) for name, kinds in CLASSES.items()})


@takes
def vary(
    f: Factors,
    generator: torch.Generator,
    *,
    keep: Iterable[str] | None = None,
    resample: Iterable[str] | None = None,
    strength: float = 1.0,
    preset: str = "easy",
) -> Factors:
    """A second view of f: some factors are kept bit for bit, the others are drawn anew from the preset.

    Name either those to `keep` or those to `resample`. A `strength` below 1 goes only part of the way: numbers move by
    this share towards the new draw (angles and hues the shorter way round), shapes and styles change with this
    probability. Raises ValueError for unknown names, for both or neither list, or a strength outside [0, 1].

    >>> generator = torch.Generator().manual_seed(0)
    >>> f = sample(100, generator)
    >>> v = vary(f, generator, resample=["bhue", "style"])
    >>> bool((v["shape"] == f["shape"]).all()), bool((v["bhue"] == f["bhue"]).any())
    (True, False)
    """
    require_factors(f, RANGES)
    changed = to_change(RANGES, keep, resample, strength)
    n = len(f["shape"])
    ranges = RANGES | PRESETS.get(preset, {})
    fresh = sample(n, generator, preset)
    coins = dict(zip(RANGES, torch.rand(len(RANGES), n, generator=generator, device=generator.device), strict=True))
    view = {}
    for name, old in f.items():
        if name not in changed:
            view[name] = old
            continue
        new = fresh[name].to(old.device)
        if name in CLASSES:
            view[name] = torch.where(coins[name].to(old.device) < strength, new, old)
        elif name in PERIODS:
            period, low = PERIODS[name], ranges[name][0]
            way = torch.remainder(new - old + period / 2, period) - period / 2
            view[name] = low + torch.remainder(old - low + strength * way, period)
        else:
            view[name] = torch.lerp(old, new, strength)
    return view


def fix(f: Factors, given: dict[str, float | Tensor], classes: dict[str, int]) -> Factors:
    """The factors f, of either world, with some of them given; `classes` holds the sizes of those that are classes."""
    for name, value in given.items():
        if name not in f:
            raise unknown("factor", name, f)
        try:
            value = torch.as_tensor(value, device=f[name].device)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{name} must be a number or a tensor, got {type(value).__name__}") from None
        if value.shape not in ((), f[name].shape):
            raise ValueError(f"{name} must be one number or {tuple(f[name].shape)}, got shape {tuple(value.shape)}")
        if name in classes and not ((value >= 0) & (value < classes[name])).all():
            raise ValueError(f"{name} must be in [0, {classes[name]}), got {value.min()} to {value.max()}")
        if name in classes and (value.is_floating_point() and (value != value.floor()).any()):
            raise ValueError(f"{name} must be whole numbers, got {value}")
        if not value.isfinite().all():
            raise ValueError(f"{name} must be finite, got {value}")
        f[name] = value.to(f[name].dtype).expand_as(f[name]).clone()
    return f


def require_factors(f: Factors, names: Iterable[str]) -> None:
    """Raise ValueError unless f has all these factors."""
    if missing := [name for name in names if name not in f]:
        raise ValueError(f"f must hold every factor, but {', '.join(missing)} is missing")


def to_change(
    known: Iterable[str], keep: Iterable[str] | None, resample: Iterable[str] | None, strength: float
) -> set[str]:
    """The names to draw anew, from either list; checks the arguments of both worlds' `vary`."""
    known = list(known)
    if (keep is None) == (resample is None):
        raise ValueError("give either keep or resample, got " + ("neither" if keep is None else "both"))
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be in [0, 1], got {strength}")
    argument, given = ("keep", keep) if resample is None else ("resample", resample)
    try:
        named = {given} if isinstance(given, str) else set(() if given is None else given)
    except TypeError:
        raise TypeError(f"{argument} must be names of factors, got {type(given).__name__}") from None
    for name in named:
        if name not in known:
            raise unknown("factor", name, known)
    return named if resample is not None else set(known) - named


@dataset
def factor_world(
    split: str, n: int = 4000, size: int = 16, preset: str = "easy", noise: float = 0.03, seed: int = 0
) -> Dataset:
    """n pictures (3, size, size), uint8, labelled by shape, with every factor; the splits of a seed differ."""
    generator = torch.Generator().manual_seed(2 * seed + (split == "test"))
    f = sample(n, generator, preset)
    chunks = zip(*(values.split(CHUNK) for values in f.values()), strict=True)
    x = torch.empty(n, 3, size, size, dtype=torch.uint8)
    for target, chunk in zip(x.split(CHUNK), chunks, strict=True):
        picture = render(dict(zip(f, chunk, strict=True)), size, noise, generator)
        target.copy_(picture.mul_(255).round_())  # stored as bytes: a quarter of the memory
    return Dataset("factor_world", x, f["shape"], torch.arange(n), SHAPES, f)
