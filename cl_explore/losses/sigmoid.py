"""SigLIP: every pair of two modalities judged on its own, match or no match."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Knob, Scalar
from cl_explore.losses.similarity import row_softplus
from cl_explore.takes import Positive, takes


@loss(
    title="SigLIP",
    paper="2303.15343",
    family="InfoNCE",
    formula=r"-\log \sigma(s_{ii}/\tau + b) - \sum_{j \ne i} \log \sigma(-s_{ij}/\tau - b)",
    knobs=[TEMPERATURE, Knob("bias", -20.0, 5.0, help="added to all logits: very negative = 'no match' is assumed")],
)
def siglip(query: Tensor, key: Tensor, *, temperature: Scalar = 0.1, bias: Scalar = -10.0) -> Parts:
    """Sigmoid loss: a binary cross-entropy for each of the N^2 pairs, with no softmax over the batch.

    query: (N, D)
    key: (N, D), row i from the same pair as row i of `query`
    Parts: `loss`, `pull` (the own pair), `push` (the N - 1 others), each (N,)
    Source: Zhai et al. 2023, section 3.2
    Collapsed: softplus(-l) + (N - 1) softplus(l) with l = 1 / temperature + bias
    Note: Each anchor has the sum over its N pairs, so that the mean is the sum over all pairs divided by N. With bias
        -log(N - 1) and everything orthogonal each anchor pulls as much as it pushes. `SigLIP` is the module that learns
        temperature and bias.

    >>> round(float(siglip(torch.eye(4)[:2], torch.eye(4)[2:])), 3)  # at first the bias says 'no match' to all
    10.0
    """
    scale = 1 / temperature
    bias = bias.expand(len(query))
    pull = -F.logsigmoid((query * key).sum(1) * scale + bias)
    # The bias as one more dimension: every logit becomes a product, and the table of all need not be stored.
    rows = torch.cat([query * scale[..., None], bias[:, None]], 1)
    push = row_softplus(rows, F.pad(key, (0, 1), value=1.0))
    return {"loss": pull + push, "pull": pull, "push": push}


class SigLIP(nn.Module):
    """`siglip` with its learnable temperature, kept as `log_scale` = log(1 / temperature), and `bias`.

    >>> criterion = SigLIP()
    >>> criterion(torch.randn(4, 8), torch.randn(4, 8)).backward()
    >>> criterion.bias.grad is not None
    True
    """

    @takes
    def __init__(self, *, temperature: Positive = 0.1, bias: float = -10.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def forward(self, query: Tensor, key: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        """The loss of query (N, D) and key (N, D) at the current temperature and bias."""
        return siglip(query, key, temperature=(-self.log_scale).exp(), bias=self.bias, reduction=reduction)
