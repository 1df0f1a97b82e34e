"""Supervised contrastive losses: every sample of the same class is a positive."""

import torch
from torch import Tensor

from cl_explore.losses.arguments import require_anchor
from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.infonce import TEMPERATURE
from cl_explore.losses.similarity import class_sums, row_lse

A_POSITIVE = "a positive (another sample of its class, or a second view)"


@loss(
    title="SupCon (out)",
    paper="2004.11362",
    family="supervised",
    formula=r"\frac{-1}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}}",
    knobs=[TEMPERATURE],
)
def supcon(z: Tensor, labels: Tensor, *, temperature: float | Tensor = 0.1) -> Parts:
    """Supervised contrastive loss L_out: the mean log-probability of all positives, against all other points.

    z (B, V, D) or (B, D), labels (B,). Positives P(i): the other points of the class. An anchor without one does not
    count (`anchor_weight` 0). Parts: `loss` (N,), `positive` (N,) the mean cosine with the positives, `anchor_weight`
    (N,). Source: Khosla et al. 2020, equation 2; no hidden factor tau / 0.07. Collapsed: log(N - 1). The positive
    term is linear in the sum of each class, so no pair of positives is ever formed. Raises `ValueError` if no anchor
    has a positive.

    >>> z, labels = torch.eye(4)[:, None].expand(4, 2, 4), torch.tensor([0, 1, 2, 3])
    >>> from cl_explore.losses import nt_xent
    >>> torch.allclose(supcon(z, labels), nt_xent(z, temperature=0.1))
    True
    """
    x, y = z.flatten(0, 1), labels.repeat_interleave(z.shape[1])
    scale = 1 / torch.as_tensor(temperature, dtype=z.dtype, device=z.device)
    sums, counts = class_sums(x, y)
    counted = counts > 1
    require_anchor(counted, A_POSITIVE)
    positive = ((x * sums).sum(-1) - x.square().sum(-1)) / (counts - 1).clamp(min=1)
    each = row_lse(x, x, scale, exclude=["self"]) - scale * positive
    return {"loss": each * counted, "positive": positive * counted, "anchor_weight": counted.to(x.dtype)}


@loss(
    title="SupCon (in)",
    paper="2004.11362",
    family="supervised",
    formula=r"-\log \frac{1}{|P(i)|} \sum_{p \in P(i)} \frac{e^{s_{ip}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}}",
    knobs=[TEMPERATURE],
)
def supcon_in(z: Tensor, labels: Tensor, *, temperature: float | Tensor = 0.1) -> Parts:
    """Supervised contrastive loss L_in: the log of the mean probability of the positives; the nearest ones dominate.

    z (B, V, D) or (B, D), labels (B,). Never above `supcon` (Jensen), equal where each anchor has one positive. Parts:
    `loss` (N,), `anchor_weight` (N,), 0 for an anchor without a positive. Source: Khosla et al. 2020, equation 3.
    Collapsed: log(N - 1). Raises `ValueError` if no anchor has a positive.

    >>> z, labels = torch.randn(6, 2, 8), torch.tensor([0, 0, 1, 1, 2, 2])
    >>> from cl_explore.losses import supcon
    >>> bool(supcon_in(z, labels) <= supcon(z, labels))
    True
    """
    x, y = z.flatten(0, 1), labels.repeat_interleave(z.shape[1])
    scale = 1 / torch.as_tensor(temperature, dtype=z.dtype, device=z.device)
    _, counts = class_sums(x, y)
    counted = counts > 1
    require_anchor(counted, A_POSITIVE)
    positives = row_lse(x, x, scale, exclude=["self", "other"], a_ids=y, b_ids=y) - (counts - 1).clamp(min=1).log()
    everyone = row_lse(x, x, scale, exclude=["self"])
    # A lonely anchor's positives are -inf: put a finite number there before subtracting, or 0 * inf makes NaN.
    each = everyone - torch.where(counted, positives, everyone)
    return {"loss": each, "anchor_weight": counted.to(x.dtype)}
