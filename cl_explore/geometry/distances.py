"""The kernel of the measures that look at all pairs: squared distances as a matrix product."""

import torch
from torch import Tensor


def distance_factors(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two matrices (N, D + 2) of points x (N, D) with left_i · right_j = -‖x_i - x_j‖²/2, for products block by block.

    The squared norms ride in the two extra columns. Points are centred first: distances stay, and rounding, which grows
    with the norms, shrinks where all points lie in a narrow cone. Multiply with `out=`: one buffer for all blocks keeps
    memory flat, and half-precision autocast leaves such products alone.
    """
    x = x - x.mean(0)
    half = x.square().sum(1, keepdim=True) / -2
    one = torch.ones_like(half)
    return torch.cat((x, half, one), 1), torch.cat((x, one, half), 1)
