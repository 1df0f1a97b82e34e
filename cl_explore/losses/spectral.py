"""The spectral contrastive loss: attraction of pairs against squared similarity of strangers."""

import torch
from torch import Tensor

from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.infonce import require_in_batch_negatives
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.unit import unit


def _within(limit: Tensor, x: Tensor) -> Tensor:
    """The rows of x (N, D), longer ones brought back to the length `limit`."""
    return torch.where(torch.linalg.vector_norm(x, dim=1, keepdim=True) > limit, limit * unit(x), x)


@loss(
    title="Spectral",
    paper="2106.04156",
    family="spectral",
    formula=r"\tfrac1\mu \Big( -2\, q_i^\top k_i + \tfrac{1}{N-1} \sum_{j \ne i} (q_i^\top k_j)^2 \Big)",
    knobs=[
        Knob("mu", 0.3, 10.0, log=True, help="square of the radius beyond which embeddings are projected back"),
        Choice("radius", ("limited", "free"), help="whether embeddings stay within that radius"),
    ],
    raw=True,
)
def spectral(query: Tensor, key: Tensor, *, mu: Scalar = 1.0, radius: str = "limited") -> Parts:
    """Spectral contrastive loss: its minimum factorises the augmentation graph, as spectral clustering does.

    query: (N, D), read raw
    key: (N, D), read raw, row i from the same sample as row i of `query`; the other keys are the negatives
    Parts: `loss`, `pull` (-2 q_i.k_i) and `push` (the mean squared inner product with strangers), each (N,), before the
        division
    Source: HaoChen et al. 2021, section 3
    Collapsed: -1 on unit vectors
    Perfect: -2, orthogonal
    Note: "limited": embeddings longer than sqrt(mu) are brought back to that length and the value is divided by mu, so
        that mu weighs the push against the pull; "free": the bare formula. The push is a quadratic form of the second
        moment of the keys: O(N D^2), no pair is ever formed.

    >>> spectral(torch.eye(4), torch.eye(4)), spectral(torch.ones(4, 1), torch.ones(4, 1))
    (tensor(-2.), tensor(-1.))
    """
    require_in_batch_negatives("key", key)
    if radius == "limited":
        limit = mu.sqrt()
        query, key = (_within(limit, x) for x in (query, key))
    positive = (query * key).sum(1)
    everyone = (query @ (key.T @ key) * query).sum(1)
    pull, push = -2 * positive, (everyone - positive.square()) / (len(key) - 1)
    return {"loss": (pull + push) / (mu if radius == "limited" else 1), "pull": pull, "push": push}
