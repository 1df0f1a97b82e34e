"""ColloSSL's contrast of several devices: some saw the same moment, others are negatives that weigh more or less."""

import math

import torch
from torch import Tensor

from cl_explore.losses.arguments import spoiled, values_are_at_hand
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy
from cl_explore.losses.infonce import require_in_batch_negatives
from cl_explore.losses.knob import Choice, Scalar
from cl_explore.losses.similarity import row_lse


@loss(
    title="ColloSSL",
    paper="2202.00758",
    family="multi-view",
    formula=r"-\log \frac{\sum_p e^{s(q_i, k_{ip})/\tau}}{\sum_p e^{s(q_i, k_{ip})/\tau}"
    r" + \sum_m w_m e^{s(q_i, n_{im})/\tau}}",
    knobs=[
        TEMPERATURE,
        Choice("sign", ("cosine", "minus cosine"), help="what grows with similarity: the paper's, or its code's"),
    ],
)
def collossl(
    query: Tensor,
    candidates: Tensor,
    negatives: Tensor | None = None,
    negative_weights: Tensor | None = None,
    *,
    temperature: Scalar = 0.05,
    sign: str = "cosine",
) -> Parts:
    """Weighted contrast of devices: what other devices saw at the same time is near, what they saw at other times far.

    query: (N, D), windows of the anchor device
    candidates: (N, P, D), the positives: what P devices saw at the same time; each weighs 1
    negatives: (M, D), shared by all queries, or (N, M, D), a list for each; without it the candidates of other queries
    negative_weights: (M,) positive, how much each negative counts beside a positive; without it all count 1
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the own candidates
    Source: Jain et al. 2022 and the authors' code, where all weights are divided by the largest one, which changes
        nothing. The code calls a function that returns minus the cosine, and so pushes positives apart: "minus cosine"
    Collapsed: log N
    Raises: `ValueError` if a weight is not positive, or weights come without negatives
    Note: Without negatives, "cosine" is MIL-NCE in the direction "query", and with one candidate InfoNCE.

    >>> from cl_explore.losses import info_nce
    >>> q, k, far = torch.randn(6, 8), torch.randn(6, 8), torch.randn(6, 5, 8)
    >>> torch.allclose(collossl(q, k[:, None], far), info_nce(q, k, far, temperature=0.05), atol=1e-5)
    True
    """
    scale = 1 / temperature
    cosine = torch.einsum("nd,npd->np", query, candidates)
    toward = 1 if sign == "cosine" else -1
    pull = (toward * cosine * scale[..., None]).logsumexp(1)
    log_weights = _log_weights(negatives, negative_weights)
    if negatives is None:
        require_in_batch_negatives("query", query)
        own = torch.arange(len(query), device=query.device)
        of = own.repeat_interleave(candidates.shape[1])
        push = row_lse(toward * query, candidates.flatten(0, 1), scale, exclude=["same"], a_ids=own, b_ids=of)
    elif negatives.ndim == 3:
        logits = toward * torch.einsum("nd,nmd->nm", query, negatives) * scale[..., None]
        push = (logits + log_weights).logsumexp(1)
    else:  # one more coordinate adds the logarithm of its weight to each logit
        one = temperature.expand(len(query))[:, None].to(query)
        rows, columns = torch.cat([toward * query, one], 1), torch.cat([negatives, log_weights[:, None]], 1)
        push = row_lse(rows, columns, scale)
    return {"loss": spoiled(cross_entropy(pull, push), cosine.sum(1) + push), "positive": cosine.mean(1)}


def _log_weights(negatives: Tensor | None, weights: Tensor | None) -> Tensor:
    """The logarithm of each negative's weight (M,), 0 where none are given."""
    if weights is None:
        return torch.zeros(()) if negatives is None else negatives.new_zeros(negatives.shape[-2])
    if negatives is None:
        raise ValueError("negative_weights must come with negatives, got none")
    if values_are_at_hand(weights):
        least, most = map(float, weights.detach().aminmax())
        if not 0 < least <= most < math.inf:
            wrong = most if least > 0 else least
            raise ValueError(f"negative_weights must be positive and finite, got {wrong:g}")
    return weights.to(negatives.dtype).log()
