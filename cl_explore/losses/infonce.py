"""InfoNCE, its bilinear form CPC and its two-view form NT-Xent: name the positive among the negatives."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy, pair_contrast, view_contrast
from cl_explore.losses.knob import Scalar
from cl_explore.losses.similarity import row_lse


def require_in_batch_negatives(name: str, rows: Tensor) -> None:
    """Raise `ValueError` if argument `name`, `rows` (N, ...), has one row only: the negatives are the other rows."""
    if len(rows) < 2:
        raise ValueError(f"{name} must have at least 2 rows to hold in-batch negatives, got {len(rows)}")


@loss(
    title="InfoNCE",
    paper="1807.03748",
    family="InfoNCE",
    formula=r"-\log \frac{e^{s(q_i,k_i)/\tau}}{\sum_j e^{s(q_i,k_j)/\tau}}",
    knobs=[TEMPERATURE],
)
def info_nce(query: Tensor, key: Tensor, negatives: Tensor | None = None, *, temperature: Scalar = 0.1) -> Parts:
    """InfoNCE in one direction: row i of `key` is the positive of row i of `query`.

    query: (N, D)
    key: (N, D), row i the positive of row i of `query`
    negatives: (M, D), shared by all queries, or (N, M, D), a list for each; without it the other rows of `key`
    Parts: `loss` (N,), `positive` (N,) the cosine with the positive
    Source: van den Oord et al. 2018, equation 4
    Collapsed: log N
    Perfect: log(1 + (N-1) exp(-N/((N-1) tau))), positives at cosine 1 and negatives at -1/(N-1)
    Note: log N - loss is a lower bound of the mutual information.

    >>> eye = torch.eye(4)
    >>> info_nce(eye, eye, temperature=0.1) < 1e-3
    tensor(True)
    """
    if negatives is None:
        require_in_batch_negatives("key", key)
        each, positive = pair_contrast(query, key, temperature)
        return {"loss": each, "positive": positive}
    scale = 1 / temperature
    positive = (query * key).sum(-1)
    if negatives.ndim == 2:
        total = row_lse(query, negatives, scale)
    else:
        total = (torch.einsum("nd,nmd->nm", query, negatives) * scale[..., None]).logsumexp(1)
    return {"loss": cross_entropy(scale * positive, total), "positive": positive}


@loss(
    title="CPC",
    paper="1807.03748",
    family="InfoNCE",
    formula=r"-\log \frac{e^{c_i^\top W k_i/\tau}}{\sum_j e^{c_i^\top W k_j/\tau}}",
    knobs=[TEMPERATURE],
    raw=True,
)
def cpc(context: Tensor, key: Tensor, critic: Tensor | None = None, *, temperature: Scalar = 1.0) -> Parts:
    """Contrastive predictive coding: InfoNCE whose similarity is a learned bilinear form.

    context: (N, E) what is known so far
    key: (N, D) the encoded future
    critic: W (E, D), one matrix for each step ahead; without it the plain inner product, which takes E = D
    Parts: `loss` (N,), `positive` (N,) the logit of the own key
    Source: van den Oord et al. 2018, equations 3 and 4
    Collapsed: log N
    Note: All are read raw. Only the product of context and W counts: a linear layer at the end of the context network
        does the same as W.

    >>> context, key, critic = torch.randn(5, 3), torch.randn(5, 4), torch.zeros(3, 4)
    >>> cpc(context, key, critic).exp()
    tensor(5.)
    """
    require_in_batch_negatives("key", key)
    if critic is None and context.shape[1] != key.shape[1]:
        raise ValueError(f"critic must be given where context has {context.shape[1]} and key {key.shape[1]} dimensions")
    guess = context if critic is None else context @ critic
    each, positive = pair_contrast(guess, key, temperature)
    return {"loss": each, "positive": positive / temperature}


@loss(
    title="NT-Xent (SimCLR)",
    paper="2002.05709",
    family="InfoNCE",
    formula=r"-\log \frac{e^{s_{ip}/\tau}}{\sum_{j \ne i} e^{s_{ij}/\tau}}",
    knobs=[TEMPERATURE],
    min_views=2,
)
def nt_xent(z: Tensor, *, temperature: Scalar = 0.5, normalize: bool = True) -> Parts:
    """Normalised temperature-scaled cross-entropy: find your other view among all other points of the batch.

    z: (B, V, D) with V >= 2; each of the N = B V points is an anchor against the N - 1 others
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives
    Source: Chen et al. 2020, equation 1
    Collapsed: log(N - 1)
    Perfect: log(1 + (N-2) exp(-B/((B-1) tau))) for V = 2, views equal and samples on a simplex
    Note: With more than two views the log-probabilities of the V - 1 positives are averaged.

    >>> nt_xent(torch.ones(8, 2, 3)).exp().round()
    tensor(15.)
    """
    each, positive = view_contrast(z, temperature, normalize)
    return {"loss": each, "positive": positive}
