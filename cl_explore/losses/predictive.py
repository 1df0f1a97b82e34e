"""Losses without negatives: predict one view from another, whose side carries no gradient."""

from torch import Tensor

from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.similarity import other_views, view_agreement


@loss(
    title="BYOL",
    paper="2006.07733",
    family="predictive",
    formula=r"\| p_i - \mathrm{sg}(z_j) \|_2^2",
    knobs=[],
    min_samples=1,
    min_views=2,
)
def byol(z: Tensor, prediction: Tensor) -> Parts:
    """BYOL: predict the other view as a slowly moving copy of the encoder sees it.

    z: (B, V, D) targets from the momentum encoder, V >= 2, without gradient
    prediction: (B, V, D) from the trained encoder and its predictor, each against the other views of its sample
    Parts: `loss` (N,), `positive` (N,) the mean cosine with the targets
    Source: Grill et al. 2020, equation 2, as the mean (not the sum) over both directions
    Collapsed: 0
    Perfect: 0
    Note: What keeps it from collapsing is the predictor and the moving target, not the loss.

    >>> import torch
    >>> byol(torch.eye(4).view(2, 2, 4), torch.eye(4).view(2, 2, 4))
    tensor(2.)
    """
    target = z.detach()
    square = (prediction[:, :, None] - other_views(target)).square().sum(-1).mean(2).flatten()
    return {"loss": square, "positive": view_agreement(prediction, target)}


@loss(
    title="SimSiam",
    paper="2011.10566",
    family="predictive",
    formula=r"-p_i^\top \mathrm{sg}(z_j)",
    knobs=[],
    min_samples=1,
    min_views=2,
)
def simsiam(z: Tensor, prediction: Tensor) -> Tensor:
    """SimSiam: predict the other view as the same encoder sees it, with a stop-gradient on that side.

    z: (B, V, D) projections, V >= 2, without gradient
    prediction: (B, V, D) what the predictor makes of them, each against the other views of its sample
    Source: Chen & He 2021, equation 4
    Collapsed: -1
    Perfect: -1
    Note: Watch the spread of z. The same gradient as `byol`, halved: byol = 2 + 2 simsiam.

    >>> import torch
    >>> z = torch.eye(2)[:, None].expand(2, 2, 2)
    >>> simsiam(z, z)
    tensor(-1.)
    """
    return -view_agreement(prediction, z.detach())
