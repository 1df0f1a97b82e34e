"""Losses that act on pull and push directly: alignment of positives, uniformity and KoLeo on the hypersphere."""

import math

import torch
from torch import Tensor

from cl_explore.losses.catalogue import Parts, loss
from cl_explore.losses.knob import Knob, Scalar
from cl_explore.losses.similarity import as_products, other_views, row_lse
from cl_explore.losses.unit import unit

ALPHA = Knob("alpha", 1.0, 4.0, minimum=1, help="exponent of the distance between positives")
KERNEL = Knob("t", 0.5, 8.0, log=True, help="sharpness of the kernel: large = only near neighbours repel")


def _alignment(z: Tensor, alpha: Tensor) -> Tensor:
    # Without a view's distance from itself, which has no derivative.
    distance = torch.linalg.vector_norm(z[:, :, None] - other_views(z), dim=-1)
    return (distance**alpha).mean(2).flatten()


def _uniformity(z: Tensor, t: Tensor, normalize: bool) -> Parts:
    samples, views, _ = z.shape
    if normalize:  # -t |x - y|^2 = 2t x.y - 2t
        sums = [row_lse(x, x, 2 * t, exclude=["self"]) - 2 * t for x in z.unbind(1)]
    else:
        around = (z - z.detach().mean(0)).unbind(1)  # distances stay, and their rounding shrinks
        sums = [row_lse(*as_products(x, x), 2 * t, exclude=["self"]) - t * x.square().sum(1) for x in around]
    potential = torch.stack(sums, dim=1) - math.log(samples - 1)
    of_view = potential.logsumexp(0) - math.log(samples)
    return {"loss": of_view.expand(samples, views).flatten(), "potential": potential.flatten()}


@loss(
    title="Alignment",
    paper="2005.10242",
    family="hypersphere",
    min_samples=1,
    formula=r"\| z_i - z_p \|_2^{\alpha}",
    knobs=[ALPHA],
    min_views=2,
)
def alignment(z: Tensor, *, alpha: Scalar = 2.0) -> Tensor:
    """Alignment: how far apart the views of a sample are.

    z: (B, V, D) with V >= 2; for each anchor the mean over its other views
    Source: Wang & Isola 2020, section 4.1.1
    Collapsed: 0, which is why it needs uniformity beside it
    Perfect: 0
    Note: Random directions, alpha 2: 2 on average.

    >>> alignment(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]] * 2))
    tensor(2.0000)
    """
    return _alignment(z, alpha)


@loss(
    title="Uniformity",
    paper="2005.10242",
    family="hypersphere",
    formula=r"\log \frac{1}{B(B-1)} \sum_{i \ne j} e^{-t \| z_i - z_j \|_2^2}",
    knobs=[KERNEL],
)
def uniformity(z: Tensor, *, t: Scalar = 2.0, normalize: bool = True) -> Parts:
    """Uniformity: the logarithm of the mean Gaussian potential between samples, for each view on its own.

    z: (B, V, D) or (B, D)
    Parts: `loss` (N,), `potential` (N,) the log mean potential an anchor feels
    Source: Wang & Isola 2020, equation 2
    Collapsed: 0, its maximum
    Perfect: about -2t in high dimensions, never below -4t
    Note: One number of a whole view, which every anchor of the view carries; the mean is the mean over views. No
        table of distances is formed.

    >>> round(float(uniformity(torch.eye(5))), 4)
    -4.0
    """
    return _uniformity(unit(z) if normalize else z, t, normalize)


@loss(
    title="Alignment + uniformity",
    paper="2005.10242",
    family="hypersphere",
    formula=r"\| z_i - z_p \|_2^{\alpha} + w \log \frac{1}{B(B-1)} \sum_{i \ne j} e^{-t \| z_i - z_j \|_2^2}",
    knobs=[Knob("weight", 0.0, 4.0, minimum=0, help="how much uniformity counts"), ALPHA, KERNEL],
    min_views=2,
)
def align_uniform(
    z: Tensor, *, alpha: Scalar = 2.0, t: Scalar = 2.0, weight: Scalar = 1.0, normalize: bool = True
) -> Parts:
    """Pull and push added: alignment of the views plus `weight` times uniformity.

    z: (B, V, D) with V >= 2
    Parts: `loss`, `alignment`, `uniformity`, each (N,)
    Source: Wang & Isola 2020, section 5 and the authors' code
    Collapsed: 0
    Perfect: about -2 t weight

    >>> round(float(align_uniform(torch.ones(4, 2, 3))), 4) + 0.0
    0.0
    """
    z = unit(z) if normalize else z
    pull, spread = _alignment(z, alpha), _uniformity(z, t, normalize)["loss"]
    return {"loss": pull + weight * spread, "alignment": pull, "uniformity": spread}


@loss(
    title="KoLeo",
    paper="1806.03198",
    family="hypersphere",
    formula=r"-\log \big( \min_{j \ne i} \| z_i - z_j \| + \varepsilon \big)",
    knobs=[Knob("eps", 1e-8, 1.0, log=True, help="distance below which neighbours repel no harder")],
)
def koleo(z: Tensor, *, eps: Scalar = 1e-8) -> Parts:
    """Kozachenko-Leonenko entropy: every point keeps away from its nearest neighbour, view by view.

    z: (B, V, D) or (B, D); N = B V anchors, each with its nearest other sample of the same view
    Parts: `loss` (N,), `distance` (N,) to the neighbour
    Source: Sablayrolles et al. 2019, and DINOv2's code, which adds it with weight 0.1 (and 1e-8 to each coordinate of
        the difference, left out here: it turns with the axes)
    Collapsed: -log eps, about 18.4, with no gradient as no direction leads away
    Perfect: -log of the nearest distance of the best packing, -log sqrt(2 B / (B - 1)) where the simplex fits
    Note: Both ends of the pair feel the push.

    >>> round(float(koleo(torch.eye(5))), 4)
    -0.3466
    """
    samples, views, _ = z.shape
    own = torch.eye(samples, dtype=torch.bool, device=z.device)
    with torch.no_grad():
        around = (z - z.mean(0)).transpose(0, 1)
        nearness = around @ around.mT - around.square().sum(2)[:, None] / 2  # minus half the squared distance, by row
        nearest = nearness.masked_fill(own, -torch.inf).argmax(-1).T
    neighbour = z[nearest, torch.arange(views, device=z.device)]
    distance = torch.linalg.vector_norm(z - neighbour, dim=-1).flatten()
    return {"loss": -(distance + eps).log(), "distance": distance}
