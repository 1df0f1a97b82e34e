"""Views of the factor world: some factors of a picture are drawn anew, and it is painted again."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cl_explore.data.dataset import Dataset
from cl_explore.data.factor_world import CLASSES, RANGES, Factors, render, to_change, vary
from cl_explore.takes import Amount, Count, settle, takes


@takes
def factor_rows(dataset: Dataset) -> Dataset:
    """The data set with its factors for samples, x (N, 13) float32: what `FactorViews` paints.

    dataset: of the factor world
    Raises: ValueError for another data set
    """
    if missing := RANGES.keys() - dataset.factors.keys():
        raise ValueError(
            f"dataset must be of the factor world, got {dataset.name} without {', '.join(sorted(missing))}"
        )
    x = torch.stack([dataset.factors[name].float() for name in RANGES], dim=1)
    return replace(dataset, name=f"{dataset.name} (factors)", x=x, kind=None)


@dataclass(frozen=True)
class FactorViews:
    """Pictures (B, V, 3, size, size) from rows of factors (B, 13): the first as it is, the others with factors anew.

    resample: the factors that differ between the views of a sample; all others they share
    size: pixels of a side
    noise: standard deviation of the noise, drawn for each view by itself
    preset: from which factors are drawn
    Raises: ValueError for unknown names

    >>> from cl_explore import data
    >>> world = factor_rows(data.load("factor_world", n=4))
    >>> FactorViews(resample=("style", "bhue"))(world.x, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 3, 16, 16])
    """

    resample: tuple[str, ...]
    size: Count = 16
    noise: Amount = 0.03
    preset: str = "easy"

    def __post_init__(self) -> None:
        settle(self)
        to_change(RANGES, None, self.resample, 1.0)

    @takes
    def __call__(self, x: Tensor, generator: torch.Generator, n_views: Count = 2) -> Tensor:
        """Views of the rows x (B, 13), which `factor_rows` makes, on x's device and in [0, 1]."""
        if (
            x.ndim != 2
            or len(x) == 0
            or x.shape[1] != len(RANGES)
            or not x.is_floating_point()
            or x.layout != torch.strided
        ):
            need = f"x must be dense rows of factors (B, {len(RANGES)}), floating point, as factor_rows gives"
            raise ValueError(f"{need}, got {x.dtype} of shape {tuple(x.shape)}")
        f: Factors = {
            name: column.long() if name in CLASSES else column for name, column in zip(RANGES, x.T, strict=True)
        }
        others = (vary(f, generator, resample=self.resample, preset=self.preset) for _ in range(n_views - 1))
        return torch.stack([render(each, self.size, self.noise, generator) for each in (f, *others)], dim=1)

    @takes
    def plain(self, x: Tensor) -> Tensor:
        """The pictures (B, 3, size, size) of rows x (B, 13), with equal noise at every call; pictures as they are."""
        return x if x.ndim == 4 else self(x, torch.Generator().manual_seed(0), 1)[:, 0]
