"""The losses of CLIP-rocket, and those without negatives that it is compared with; each of these is added to it.

Images and texts come as one clean pair, z (B, D), and A augmented views of each, h (A, B, D), by projectors of their
own. All are read as unit vectors, but for the v of `barlip`.

Source: Fini et al. 2305.08675, their code `losses.py`.
"""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_explore.losses import sinkhorn


def _same(**pairs: tuple[Tensor, Tensor]) -> None:
    """ValueError unless image and text have equal shapes, at least of a batch of vectors."""
    for name, (image, text) in pairs.items():
        if image.shape != text.shape or image.ndim < 2 or image.shape[-2:].numel() == 0:
            shapes = f"{tuple(image.shape)} and {tuple(text.shape)}"
            raise ValueError(f"{name} must have one shape (..., B, D) for image and text, got {shapes}")


def _both(scores: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy (2,) of scores (B, B), images among texts and texts among images; the own partner is right."""
    own = torch.arange(len(scores), device=scores.device)
    ways = (F.cross_entropy(side, own, label_smoothing=smoothing) for side in (scores, scores.T))
    return torch.stack(list(ways))


def rocket(
    z_image: Tensor,
    z_text: Tensor,
    h_image: Tensor,
    h_text: Tensor,
    *,
    scale: float | Tensor = 1 / 0.07,
    h_scale: float | Tensor = 10.0,
    smoothing: float = 0.1,
    total: bool = True,
) -> Tensor:
    """CLIP-rocket (`CL2L`): CLIP of the clean pair, and of every augmented image with every augmented text.

    z_image, z_text: (B, D)
    h_image, h_text: (A, B, D'); with A = 0 the loss is CLIP's (twice, if `total`)
    scale, h_scale: what cosines of z and of h are multiplied with
    smoothing: share of the label that all B partners divide evenly, of augmented pairs only
    total: the sum of both directions, as in the recipes, instead of their mean
    Returns: a scalar; clean and augmented pairs weigh 1 : A
    Raises: ValueError for unequal shapes, or smoothing outside 0 to 1
    """
    _same(z=(z_image, z_text), h=(h_image, h_text))
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing must be from 0 to 1, got {smoothing}")
    zi, zt, hi, ht = (F.normalize(part, dim=-1) for part in (z_image, z_text, h_image, h_text))
    views = len(hi)
    each = _both(scale * zi @ zt.T)
    if views:
        local = torch.stack([_both(h_scale * image @ text.T, smoothing) for image, text in product(hi, ht)])
        each = (each + views * local.mean(0)) / (1 + views)
    return each.sum() if total else each.mean()


def barlip(v_image: Tensor, v_text: Tensor, *, redundancy: float = 0.005, weight: float = 0.025) -> Tensor:
    """BarLIP: the cross-correlation of two modalities should be the identity.

    v_image, v_text: (..., B, D), standardised over the batch by the projector's last batch norm, not here
    redundancy: weight of the correlations between different dimensions
    weight: of the whole
    Returns: (...), 0 where the correlation is the identity
    Raises: ValueError for unequal shapes
    """
    _same(v=(v_image, v_text))
    correlation = v_image.mT @ v_text / v_image.shape[-2]
    diagonal = correlation.diagonal(dim1=-2, dim2=-1)
    off = correlation.square().sum((-2, -1)) - diagonal.square().sum(-1)
    return weight * ((diagonal - 1).square().sum(-1) + redundancy * off)


def siamlip(p_image: Tensor, p_text: Tensor, v_image: Tensor, v_text: Tensor) -> Tensor:
    """SiamLIP: predict the other modality's projection, which carries no gradient.

    p_image, p_text: (..., B, D), what the predictors make of v
    v_image, v_text: (..., B, D), targets; with those of a momentum copy (0.99) this is BYOLIP
    Returns: (...), the mean of both directions of 2 - 2 cos, from 0 to 4
    Raises: ValueError for unequal shapes
    """
    _same(p=(p_image, p_text), v=(v_image, v_text))
    ways = [F.cosine_similarity(p, v.detach(), dim=-1) for p, v in ((p_image, v_text), (p_text, v_image))]
    return 2 - (ways[0] + ways[1]).mean(-1)


def exchanged(scores: Tensor, other: Tensor, scale: float | Tensor, *, epsilon: float = 0.05) -> Tensor:
    """Cross-entropy of scaled scores (N, K) against the balanced assignment of other scores (N, K), after 3 rounds."""
    return F.cross_entropy(scale * scores, sinkhorn(other.detach(), epsilon, 3))


def swalip(h_image: Tensor, h_text: Tensor, *, h_scale: float | Tensor = 10.0) -> Tensor:
    """SwALIP without prototypes: what one pair of views scores is to be the balanced assignment of the other pair.

    h_image, h_text: (2, B, D), as two views are exchanged with each other
    Returns: a scalar, the mean over four pairs of views and both directions; the authors add 0.2 of it
    Raises: ValueError for other shapes
    """
    _same(h=(h_image, h_text))
    if h_image.ndim != 3 or len(h_image) != 2:
        raise ValueError(f"h must be two views (2, B, D), got {tuple(h_image.shape)}")
    hi, ht = F.normalize(h_image, dim=-1), F.normalize(h_text, dim=-1)
    each = []
    for a, b in product(range(2), repeat=2):
        scores, other = hi[a] @ ht[b].T, hi[1 - a] @ ht[1 - b].T
        each += [exchanged(scores, other, h_scale), exchanged(scores.T, other.T, h_scale)]
    return torch.stack(each).mean()


def swalip_prototypes(p_image: Tensor, p_text: Tensor, *, h_scale: float | Tensor = 10.0) -> Tensor:
    """SwALIP's first form: predict from one modality which prototypes the other one is assigned to.

    p_image, p_text: (B, K), scores of K shared prototypes
    Returns: a scalar, the mean of both directions; the authors add 0.2 of it to plain CLIP
    Raises: ValueError for unequal shapes
    """
    _same(p=(p_image, p_text))
    return (exchanged(p_image, p_text, h_scale) + exchanged(p_text, p_image, h_scale)) / 2


def over_pairs(image: tuple[Tensor, Tensor], text: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """All 1 + A² pairs of views (1 + A², B, D) of a clean (B, D) and augmented (A, B, D) image and text.

    An extra loss is the mean over them.
    """
    pairs = [(image[0], text[0]), *product(image[1], text[1])]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])
