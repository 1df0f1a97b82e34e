"""Pictures of one large shape before a flat or a textured background, and which of their patches look the same."""

import torch
from torch import Tensor

from cl_explore.data import Dataset
from cl_explore.data.factor_world import SHAPES, alpha, render, sample
from cl_explore.papers.selfie.method import cut

KINDS, SIZE = 6, 24  # shapes; pixels a side


def pictures(seed: int, samples: int, unseen: int, preset: str = "patches") -> tuple[Dataset, Dataset]:
    """Pictures (3, 24, 24) to train with and unseen ones, of six shapes.

    preset: of the factor world. "patches": large shapes before a flat dim background, which shows nothing about where
        a patch was; "shortcut": smaller ones before stripes, checks and dots, which do.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for count in (samples, unseen):
        f = sample(count, generator, preset, shape=torch.randint(KINDS, (count,), generator=generator))
        x = render(f, SIZE, 0.03, generator)
        parts.append(Dataset(f"pictures, {preset}", x, f["shape"], torch.arange(count), SHAPES[:KINDS], f))
    return parts[0], parts[1]


def ceiling(part: Dataset, place: Tensor, grid: int, missing: int) -> float:
    """How often the right patch can be found on flat backgrounds, where patches without an edge are all the same.

    place: (N, grid * grid), as `Holes` draws them, the first `missing` of which are the candidates.
    """
    covered = cut(alpha(part.factors, part.x.shape[-1])[:, None], grid).flatten(2).mean(2)
    covered = covered.gather(1, place[:, :missing].to(covered.device))
    flat = (covered < 1e-3).long() + 2 * (covered > 1 - 1e-3).long()  # all background, or all shape
    alike = (flat[:, :, None] == flat[:, None]).sum(2).where(flat > 0, 1)
    return (1 / alike).mean().item()
