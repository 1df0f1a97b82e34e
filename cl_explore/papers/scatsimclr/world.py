"""Few pictures, and what a jigsaw makes of them: nine tiles, and orders of them that are far apart."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore import data
from cl_explore.data import Dataset


def few(seed: int, dataset: str, samples: int, unseen: int = 800) -> tuple[Dataset, Dataset]:
    """That many pictures of the training part, drawn by the seed, and others of it as a test."""
    whole = data.load(dataset, "train")
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
    train, test = (whole.subset(rows.sort().values) for rows in (order[-samples:], order[:unseen]))
    return train, test


def tiles(x: Tensor) -> Tensor:
    """Thirds by thirds of pictures (N, C, H, W), row by row and each enlarged to the whole: (N, 9, C, H, W).

    A side that three does not divide is cut where the authors' code cuts it: tiles may differ by a pixel, or leave one
    out between them.
    Raises: ValueError for a side below 3
    """
    if min(x.shape[-2:]) < 3:
        raise ValueError(f"x must have at least 3 rows and columns, got {tuple(x.shape)}")
    rows, columns = ([slice(-(-i * side // 3), (i + 1) * side // 3) for i in range(3)] for side in x.shape[-2:])
    cut = [x[..., row, column] for row in rows for column in columns]
    found = torch.stack([F.interpolate(tile, x.shape[-2:], mode="bilinear") for tile in cut], dim=1)
    return found.clamp(x.amin(), x.amax())  # rounding may leave the range of the pictures


def permutations(number: int) -> Tensor:
    """Orders of nine tiles (number, 9), int64, of which any two have at most one tile in the same place.

    A reconstruction of the authors' file of 35: maps p -> a p + b of the field of nine numbers r + c i modulo 3, with
    i^2 = -1 and a != 0, of which there are 72; as far apart as can be, in a fixed shuffled order.
    Raises: ValueError for a number outside 1 to 72
    """
    if not 1 <= number <= 72:
        raise ValueError(f"number must be between 1 and 72, got {number}")
    order = torch.randperm(72, generator=torch.Generator().manual_seed(0))[:number, None]
    place, a, b = torch.arange(9), order % 8 + 1, order // 8
    real = a // 3 * (place // 3) - a % 3 * (place % 3) + b // 3
    imaginary = a // 3 * (place % 3) + a % 3 * (place // 3) + b % 3
    return 3 * (real % 3) + imaginary % 3
