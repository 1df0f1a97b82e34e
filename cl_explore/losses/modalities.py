"""Losses between two modalities that share a space: CLIP and MIL-NCE."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import both_ways, cross_entropy
from cl_explore.losses.infonce import require_in_batch_negatives
from cl_explore.losses.knob import Choice, Scalar
from cl_explore.losses.similarity import row_lse
from cl_explore.takes import Positive, takes

ABSENT = -1e18
"""A similarity so far below all others that its exponential is 0."""


@loss(
    title="CLIP",
    paper="2103.00020",
    family="InfoNCE",
    formula=r"-\tfrac12 \log \frac{e^{s_{ii}/\tau}}{\sum_j e^{s_{ij}/\tau}}"
    r" - \tfrac12 \log \frac{e^{s_{ii}/\tau}}{\sum_j e^{s_{ji}/\tau}}",
    knobs=[TEMPERATURE],
)
def clip(query: Tensor, key: Tensor, *, temperature: Scalar = 0.07, normalize: bool = True) -> Parts:
    """CLIP: InfoNCE in both directions, each image among the texts and each text among the images.

    query: (N, D)
    key: (N, D), row i from the same pair as row i of `query`
    Parts: `loss`, `query_to_key`, `key_to_query` (the loss is their mean) and `positive` (the cosine of the pair), each
        (N,)
    Source: Radford et al. 2021, figure 3
    Collapsed: log N
    Perfect: as `info_nce`
    Note: `CLIP` is the module that learns the temperature.

    >>> from cl_explore.losses import info_nce
    >>> q, k = torch.randn(6, 4), torch.randn(6, 4)
    >>> torch.allclose(clip(q, k), (info_nce(q, k, temperature=0.07) + info_nce(k, q, temperature=0.07)) / 2)
    True
    """
    require_in_batch_negatives("key", key)
    each, positive = both_ways(query, key, temperature, normalize)
    there, back = each
    return {"loss": each.mean(0), "query_to_key": there, "key_to_query": back, "positive": positive}


class CLIP(nn.Module):
    """`clip` with its learnable temperature, kept as `log_scale` = log(1 / temperature).

    Each call first brings `log_scale` back to at most log(`max_scale`), then computes the loss: the limit holds a
    step that the optimiser took, and does not block the gradient of the next one.

    >>> criterion = CLIP(temperature=0.07)
    >>> criterion(torch.randn(4, 8), torch.randn(4, 8)).backward()
    >>> criterion.log_scale.grad is not None
    True
    """

    @takes
    def __init__(self, *, temperature: Positive = 0.07, max_scale: Positive = 100.0) -> None:
        super().__init__()
        self.max_scale = max_scale
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, query: Tensor, key: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        """The loss of query (N, D) and key (N, D) at the current temperature."""
        # Through .data: autograd would take the write for a change of what an earlier graph still needs.
        self.log_scale.data.clamp_(max=math.log(self.max_scale))
        return clip(query, key, temperature=(-self.log_scale).exp(), reduction=reduction)


@loss(
    title="MIL-NCE",
    paper="1912.06430",
    family="InfoNCE",
    formula=r"-\log \frac{\sum_p e^{s(q_i, k_{ip})/\tau}}{\sum_j \sum_p e^{s(q_i, k_{jp})/\tau}}",
    knobs=[
        TEMPERATURE,
        Choice(
            "direction",
            ("both", "query", "joint"),
            help="queries and bags both look for their partner; only queries do; or both within one softmax",
        ),
    ],
)
def mil_nce(
    query: Tensor,
    candidates: Tensor,
    present: Tensor | None = None,
    *,
    temperature: Scalar = 0.07,
    direction: str = "both",
) -> Parts:
    """Multiple-instance InfoNCE: at least one of P candidates fits the query, nobody knows which.

    query: (N, D)
    candidates: (N, P, D), the bag of each query
    present: (N,) 0 for a query whose bag is empty, whatever its candidates hold, else 1; without it all are
    Parts: `loss` (N,), `weight` (N, P) the share of each candidate in its own bag, `anchor_weight` (N,) `present`, if
        given
    Source: Miech et al. 2020; Akbari et al. 2104.11178, equation 5 ("query") and their code ("both", summed there)
    Collapsed: log N; "joint": log 2N
    Note: The sum over a bag stands inside the logarithm, so the best candidate takes the gradient. "query": each query
        among all N P candidates. "both": the mean of that and of the other direction, in which each bag looks for its
        query, -log(sum_p e^s(q_i,k_ip) / sum_j,p e^s(q_j,k_ip)). "joint": one softmax over the negatives of both kinds,
        as in the code of MMV, where the own bag stands in the denominator twice and the loss never falls below log 2.
        With P = 1, "both" is `clip` and "query" `info_nce`. A query without a bag has a loss of 0 and does not count in
        the mean, but is a negative for other bags; where no query has one, the loss is 0.

    >>> q, k = torch.eye(4), torch.eye(4)[:, None].expand(4, 3, 4)
    >>> mil_nce(q, k) < 1e-3
    tensor(True)
    """
    require_in_batch_negatives("query", query)
    scale = 1 / temperature
    bag = torch.einsum("nd,npd->np", query, candidates) * scale[..., None]
    own = bag.logsumexp(1)
    rows, columns, size = query, candidates.flatten(0, 1), candidates.shape[1]
    own_query = torch.arange(len(query), device=query.device)
    own_bag = own_query.repeat_interleave(size)
    if present is not None:  # one more coordinate takes the candidates that are not there out of every sum
        absent = ABSENT * (present == 0).to(columns).repeat_interleave(size)
        rows, columns = F.pad(rows, (0, 1), value=1.0), torch.cat([columns, absent[:, None]], 1)
    in_bags = row_lse(rows, columns, scale, exclude=["same"], a_ids=own_query, b_ids=own_bag)
    if direction == "query":
        each = cross_entropy(own, in_bags)
    else:
        of_candidate = scale.repeat_interleave(size) if scale.ndim else scale
        others = row_lse(
            candidates.flatten(0, 1), query, of_candidate, exclude=["same"], a_ids=own_bag, b_ids=own_query
        )
        queries = others.view(-1, size).logsumexp(1)
        if direction == "both":
            each = (cross_entropy(own, in_bags) + cross_entropy(own, queries)) / 2
        else:  # the own bag stands in the sum twice
            each = cross_entropy(own + math.log(2), torch.logaddexp(in_bags, queries)) + math.log(2)
    parts = {"loss": each, "weight": bag.softmax(1)}
    if present is None:
        return parts
    return parts | {"loss": each.masked_fill(present == 0, 0), "anchor_weight": (present > 0).to(each)}
