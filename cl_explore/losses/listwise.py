"""Losses of whole lists: passages of several levels of relevance, against the model's scores as a distribution."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Knob, Scalar
from cl_explore.losses.orders import at_most

LABEL_SCALE = Knob("label_scale", 0.5, 3.0, log=True, help="multiplies the levels: large = the best document takes all")


def _log_shares(
    query: Tensor, passages: Tensor, relevance: Tensor, temperature: Tensor, label_scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Log-softmax of the scores and of the levels of every query over all passages of the batch, both (N, N K).

    The passages of the other queries have level 0, like the irrelevant ones of its own list.
    """
    n, k = relevance.shape
    scale = 1 / temperature
    scores = query @ passages.flatten(0, 1).T * scale[..., None]
    levels = torch.zeros(n, n, k, dtype=query.dtype, device=query.device)
    levels.diagonal().copy_(label_scale * relevance.T)
    return scores.log_softmax(1), levels.flatten(1).log_softmax(1)


def _nuclear_norm(x: Tensor) -> Tensor:
    """Sum of the singular values of a matrix of covariances of shares, with the shortest of its subgradients.

    Centred rows always leave one singular value 0, and equal rows all of them; there backpropagation through the
    decomposition would follow rounding errors. Shares are at most 1, so those are of the size of the unit roundoff.
    Differentiable twice: between directions i and j the slope turns with the antisymmetric part of x, over s_i + s_j.
    """
    x = at_most(2, x, "listwise_wasserstein")
    left, values, right = torch.linalg.svd(x.detach().nan_to_num())
    kept = values > len(x) * torch.finfo(x.dtype).eps
    seen = left.T @ x @ right.T
    turn = seen - seen.T
    stiffness = torch.where(kept[:, None] & kept, 4 * (values[:, None] + values), torch.inf)
    # 0 and of gradient 0 as it stands, since x is diagonal in its own directions: it holds the second derivative alone.
    bend = ((turn - turn.detach()).square() / stiffness).sum()
    return ((left * kept) @ right * x).sum() + bend


@loss(
    title="List-wise Wasserstein (SyCL)",
    paper="2503.23239",
    family="list-wise",
    formula=r"\|\mu_P - \mu_T\|^2 + \mathrm{tr}\,\Sigma_P + \mathrm{tr}\,\Sigma_T"
    r" - 2\,\mathrm{tr}\,(\Sigma_P \Sigma_T)^{1/2}",
    knobs=[TEMPERATURE, LABEL_SCALE],
)
def listwise_wasserstein(
    query: Tensor,
    passages: Tensor,
    relevance: Tensor,
    *,
    temperature: Scalar = 0.2,
    label_scale: Scalar = 1.0,
) -> Parts:
    """Squared Wasserstein distance between the scores of a batch and its levels of relevance, each seen as a Gaussian.

    query: (N, D) with N >= 2
    passages: (N, K, D) a list for each query
    relevance: (N, K) integer levels
    Parts: `loss`, `mean_term`, `spread_term`, each (N,), and `kl` (N,) the divergence of each row of P from T, for
        comparison
    Source: Esfandiarpoor et al. 2025 and the authors' code, which scores by raw dot products at temperature 1
        (`normalize=False`) and takes the root by eigenvalues + 1e-15, hence differs by about 1e-7; both in float64
    Collapsed: |mu_P - mu_T|^2 + tr Sigma_T
    Perfect: 0
    Raises: `ValueError` for fewer than 2 queries
    Note: P is the softmax of the scores of each query over all N K passages, T that of the levels (0 for foreign
        passages); a Gaussian is fitted to the N rows of each. One number of the whole batch, carried by every query.
        Exactly the same if the queries swap their rows of P, so a loss of 0 does not mean that the pairs are right.
        Can be differentiated twice.

    >>> eye = torch.eye(4)
    >>> bool(listwise_wasserstein(eye, eye[:, None], torch.ones(4, 1, dtype=torch.long), temperature=1.0) < 1e-9)
    True
    """
    if len(query) < 2:
        raise ValueError(f"query must have at least 2 rows to have a covariance, got {len(query)}")
    log_p, log_t = _log_shares(query, passages, relevance, temperature, label_scale)
    p, t = ((part if part.device.type == "mps" else part.double()).exp() for part in (log_p, log_t))
    centred_p, centred_t = ((rows - rows.mean(0)) / (len(query) - 1) ** 0.5 for rows in (p, t))
    mean_term = (p.mean(0) - t.mean(0)).square().sum()
    spread_term = centred_p.square().sum() + centred_t.square().sum() - 2 * _nuclear_norm(centred_p @ centred_t.T)
    parts = {"loss": mean_term + spread_term, "mean_term": mean_term, "spread_term": spread_term}
    kl = (log_t.exp() * (log_t - log_p)).sum(1)
    return {name: part.to(query.dtype).expand(len(query)) for name, part in parts.items()} | {"kl": kl}


@loss(
    title="List-wise KL",
    paper="2503.23239",
    family="list-wise",
    formula=r"\sum_d T_{id} \log \frac{T_{id}}{P_{id}}",
    knobs=[TEMPERATURE, LABEL_SCALE],
)
def listwise_kl(
    query: Tensor,
    passages: Tensor,
    relevance: Tensor,
    *,
    temperature: Scalar = 0.2,
    label_scale: Scalar = 1.0,
) -> Parts:
    """Divergence of each query's scores from its levels of relevance: the row by row form of `listwise_wasserstein`.

    query: (N, D)
    passages: (N, K, D) a list for each query; softmaxes run over all N K passages
    relevance: (N, K) integer levels
    Parts: `loss` (N,), `target` (N,) the share T gives to the best passage of the own list
    Source: the baseline of Esfandiarpoor et al. 2025
    Collapsed: log(N K) less the entropy of T
    Perfect: 0
    Note: As `label_scale` grows and one passage of each list is best, it becomes InfoNCE with that one as the positive.

    >>> eye, best = torch.eye(4), torch.ones(4, 1, dtype=torch.long)
    >>> listwise_kl(eye, eye[:, None], best, temperature=1.0) < 1e-6
    tensor(True)
    """
    log_p, log_t = _log_shares(query, passages, relevance, temperature, label_scale)
    return {"loss": (log_t.exp() * (log_t - log_p)).sum(1), "target": log_t.amax(1).exp()}
