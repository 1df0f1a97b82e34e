"""How many directions embeddings use, all read off singular values (no gradients)."""

import torch
from torch import Tensor

from cl_explore.geometry.inputs import points
from cl_explore.given import Array
from cl_explore.takes import takes


@torch.no_grad()
def spectrum(x: Array) -> Tensor:
    """Eigenvalues of the covariance, descending.

    x: (N, D), tensor or array
    Returns: (min(N, D),) float64, which add up to the total variance (the covariance divides by N)
    Raises: ValueError for another shape, N < 2 or numbers that are not finite; TypeError unless x is floating point
    Note: from the singular values of the centred x, which keeps twice the digits of the small ones.
    """
    x = points(x).double()
    return torch.linalg.svdvals(x - x.mean(0)).square() / len(x)


@torch.no_grad()
def effective_rank(x: Array) -> Tensor:
    """RankMe: exp of the entropy of the singular values of x, not centred, scaled to sum to 1.

    x: (N, D), tensor or array
    Returns: 0-dim float64, between 1 and min(N, D): k for k equal singular values, NaN if x is all zeros
    Source: Garrido et al. 2023 (2210.02885), who add 1e-7 to each share against log 0; here 0 log 0 = 0
    Raises: ValueError for another shape, N < 2 or numbers that are not finite; TypeError unless x is floating point

    >>> round(effective_rank(torch.eye(5)).item(), 6)
    5.0
    """
    singular = torch.linalg.svdvals(points(x).double())
    return torch.special.entr(singular / singular.sum()).sum().exp()


@torch.no_grad()
def participation_ratio(x: Array) -> Tensor:
    """The number of directions that share the variance: (Σλ)² / Σλ² over the eigenvalues of the covariance.

    x: (N, D), tensor or array
    Returns: 0-dim float64, between 1 and min(N - 1, D); NaN if all points coincide
    Raises: as `spectrum`
    """
    eigenvalues = spectrum(x)
    return eigenvalues.sum().square() / eigenvalues.square().sum()


@takes
@torch.no_grad()
def alpha_req(x: Array, first: int = 1, last: int | None = None) -> Tensor:
    """α-ReQ: exponent α of the power law λ_i ∝ i^-α fitted to the eigenvalues of the covariance, log on log.

    x: (N, D), tensor or array
    first, last: which eigenvalues, counted from 1, both included; without `last` the numerical rank of the centred x,
        at most 100
    Returns: 0-dim float64: 0 for a flat spectrum, larger the faster it decays
    Source: Agrawal et al. 2022 (NeurIPS), "α-ReQ: Assessing representation quality in self-supervised learning by
        measuring eigenspectrum decay"
    Raises: ValueError unless 1 <= first < last <= that rank, and as `spectrum`
    """
    x = points(x)
    eigenvalues = spectrum(x)
    # rounding x moves its singular values by less than eps ‖x‖; the factor 10 is room for the decomposition itself
    rounding = 10 * torch.finfo(x.dtype).eps * x.double().norm()
    rank = int((eigenvalues * len(x) > rounding**2).sum())
    last = min(rank, 100) if last is None else last
    if not 1 <= first < last <= rank:
        raise ValueError(
            f"first and last must satisfy 1 <= first < last <= {rank} (rank of the centred x), got {first} and {last}"
        )
    log_index = torch.arange(first, last + 1, dtype=torch.float64, device=x.device).log()
    log_index -= log_index.mean()
    return -(log_index @ eigenvalues[first - 1 : last].log()) / log_index.square().sum()
