"""How many directions embeddings use, all read off singular values (no gradients)."""

import torch
from torch import Tensor

from cl_explore.geometry.inputs import Array, points


@torch.no_grad()
def spectrum(x: Array) -> Tensor:
    """Eigenvalues of the covariance of x (N, D), descending, as (min(N, D),) float64.

    The covariance divides by N, so that the eigenvalues add up to the total variance. They come from the singular
    values of the centred x, which keeps twice the digits of the small ones. Raises ValueError on another shape, N < 2
    or non-finite x, TypeError unless x is floating point.
    """
    x = points(x).double()
    return torch.linalg.svdvals(x - x.mean(0)).square() / len(x)


@torch.no_grad()
def effective_rank(x: Array) -> Tensor:
    """RankMe: exp of the entropy of the singular values of x (N, D), not centred, scaled to sum to 1.

    Returns a 0-dim float64 tensor between 1 and min(N, D): k for k equal singular values, NaN if x is all zeros. The
    paper adds 1e-7 to each share against log 0; here 0 log 0 = 0, so nothing needs adding. Raises ValueError on another
    shape, N < 2 or non-finite x, TypeError unless x is floating point. Source: Garrido et al. 2023 (2210.02885).

    >>> round(effective_rank(torch.eye(5)).item(), 6)
    5.0
    """
    singular = torch.linalg.svdvals(points(x).double())
    return torch.special.entr(singular / singular.sum()).sum().exp()


@torch.no_grad()
def participation_ratio(x: Array) -> Tensor:
    """(Σλ)² / Σλ² over the eigenvalues of the covariance of x (N, D): the number of directions that share the variance.

    Returns a 0-dim float64 tensor between 1 and min(N - 1, D), NaN if all points coincide. Raises as `spectrum`.
    """
    eigenvalues = spectrum(x)
    return eigenvalues.sum().square() / eigenvalues.square().sum()


@torch.no_grad()
def alpha_req(x: Array, first: int = 1, last: int | None = None) -> Tensor:
    """α-ReQ: exponent α of the power law λ_i ∝ i^-α that fits the covariance eigenvalues of x (N, D).

    Plain least squares of log λ_i on log i over i = first ... last, counted from 1, both included; `last=None` is the
    numerical rank of the centred x, at most 100. Returns a 0-dim float64 tensor: 0 for a flat spectrum, larger the
    faster it decays. Raises ValueError unless 1 <= first < last <= that rank, and as `spectrum`. Source: Agrawal et al.
    2022 (NeurIPS), "α-ReQ: Assessing representation quality in self-supervised learning by measuring eigenspectrum
    decay".
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
