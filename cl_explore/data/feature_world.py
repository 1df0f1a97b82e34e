"""The feature-level twin of the factor world: known factors, seen through a fixed random map instead of a painter."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.factor_world import Factors, fix, require_factors, to_change
from cl_explore.data.registry import dataset
from cl_explore.takes import Amount, Count, Seed, settle, takes

FACTORS = ("object", "pose", "background", "texture")


@dataclass(frozen=True)
class FeatureWorld:
    """Objects in front of backgrounds, observed as vectors: content and nuisance of known strength.

    An object is a class (`object`) and a `pose`, a background is a class (`background`) and a `texture`. Each class
    has a random code, pose and texture are standard normal vectors, and one sees

        tanh((code[object] + within pose) A + nuisance (code'[background] + within texture) A') + noise.

    Codes and the maps A and A' (`latent` to `features` dimensions) are fixed by `seed`. Sets of factors, `vary` and its
    arguments are as in the world of pictures. Raises ValueError for counts below 1 and negative scales.
    """

    objects: Count = 10
    backgrounds: Count = 8
    latent: Count = 12
    features: Count = 48
    within: Amount = 0.5
    nuisance: Amount = 1.3
    noise: Amount = 0.1
    seed: Seed = 0

    def __post_init__(self) -> None:
        settle(self)

    @takes
    def sample(self, n: Count, generator: torch.Generator, **fixed: float | Tensor) -> Factors:
        """Draw n sets of factors: `object`, `background` (n,) int64 and `pose`, `texture` (n, latent) float32.

        `fixed` gives factors, as one number or as a tensor; the others are drawn as if nothing were fixed.
        """
        device = generator.device
        f = {
            "object": torch.randint(self.objects, (n,), generator=generator, device=device),
            "pose": torch.randn(n, self.latent, generator=generator, device=device),
            "background": torch.randint(self.backgrounds, (n,), generator=generator, device=device),
            "texture": torch.randn(n, self.latent, generator=generator, device=device),
        }
        return fix(f, fixed, {"object": self.objects, "background": self.backgrounds})

    @takes
    def vary(
        self,
        f: Factors,
        generator: torch.Generator,
        *,
        keep: Iterable[str] | None = None,
        resample: Iterable[str] | None = None,
        strength: float = 1.0,
    ) -> Factors:
        """A second view of f that keeps some factors bit for bit and draws the others anew.

        Name either those to `keep` or those to `resample`. With a `strength` below 1 classes change with this
        probability, and vectors move to sqrt(1 - strength^2) old + strength new, which keeps their distribution.
        """
        require_factors(f, FACTORS)
        changed = to_change(FACTORS, keep, resample, strength)
        n = len(f["object"])
        fresh = self.sample(n, generator)
        coins = torch.rand(len(FACTORS), n, generator=generator, device=generator.device)
        view = {}
        for (name, old), coin in zip(f.items(), coins.to(f["object"].device), strict=True):
            new = fresh[name].to(old.device)
            if name not in changed:
                view[name] = old
            elif old.ndim == 1:
                view[name] = torch.where(coin < strength, new, old)
            else:
                view[name] = (1 - strength**2) ** 0.5 * old + strength * new
        return view

    @takes
    def observe(self, f: Factors, generator: torch.Generator) -> Tensor:
        """What is seen of f: vectors (N, features), float32; the generator draws the noise."""
        require_factors(f, FACTORS)
        fixed = torch.Generator().manual_seed(self.seed)
        parts = []
        for kind, count, free, scale in (
            ("object", self.objects, "pose", 1.0),
            ("background", self.backgrounds, "texture", self.nuisance),
        ):
            codes = torch.randn(count, self.latent, generator=fixed)
            into_features = torch.randn(self.latent, self.features, generator=fixed) / self.latent**0.5
            device = f[kind].device
            parts.append(scale * (codes.to(device)[f[kind]] + self.within * f[free]) @ into_features.to(device))
        seen = torch.tanh(parts[0] + parts[1])
        noise = torch.randn(seen.shape, generator=generator, device=generator.device)
        return seen + self.noise * noise.to(seen.device)


@dataset
def factor_world_features(split: str, n: int = 4000, seed: int = 0) -> Dataset:
    """n vectors (N, 48) of a FeatureWorld, labelled by object, with the factors `object` and `background`.

    Both splits of a seed are drawn from the same world.
    """
    world = FeatureWorld(seed=seed)
    generator = torch.Generator().manual_seed(2 * seed + (split == "test"))
    f = world.sample(n, generator)
    class_names = tuple(f"object {kind}" for kind in range(world.objects))
    factors = {name: f[name] for name in ("object", "background")}
    return Dataset(
        "factor_world_features", world.observe(f, generator), f["object"], torch.arange(n), class_names, factors
    )
