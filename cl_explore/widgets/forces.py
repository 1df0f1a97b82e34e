"""What a loss does to pairs: the force between two points, read off the gradient of any loss."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore.losses import Loss
from cl_explore.widgets.descent import Points, pull

LIFT = 1e-6  # squared length that a point is given along an axis of its own
AXIS = np.cos(np.linspace(0.06, np.pi - 0.06, 13))  # similarities at which the law is drawn, closer where it is steep
TURN = 0.5  # radians between the views of a probe


class Forces(NamedTuple):
    """What a loss does to points: its value, the force on every point (B, V, D), along the sphere, and the force
    between every two points (N, N), N = B V, sample-major, with 0 for a point and itself; None for a loss that sees
    dimensions and not pairs. Row i acts on point i; column i differs where a loss stops gradients."""

    value: float
    force: Tensor
    pairs: NDArray[np.float64] | None


def forces(points: Points, loss: Loss, knobs: dict[str, Any]) -> Forces:
    """Value and forces of any loss at points, by autograd: a positive number attracts.

    The force between points i and j is minus the derivative with respect to their similarity s_ij, all others held,
    times the number of points, as in `pull`. A loss is a function of points and not of similarities; so each point is
    given a tiny component along an axis of its own. There only s_ij ties the gradient of point i to the axis of point
    j. This reads similarities off any loss that depends on nothing else, which is tested by turning all points.
    Raises as `pull` does.
    """
    points = points._replace(z=points.z.double())
    z = points.z
    count, dim = z[..., 0].numel(), z.shape[2]
    own = torch.eye(count, dtype=z.dtype).view(*z.shape[:2], count)
    lifted = points._replace(z=torch.cat([(1 - LIFT) ** 0.5 * z, LIFT**0.5 * own], dim=2))
    value, force = pull(lifted, loss, knobs)
    turned = loss.on_views(lifted.z @ _rotation(dim + count), points.labels, torch.arange(len(z)), **knobs).item()
    if abs(turned - value) > 1e-6 * (1 + abs(value)):
        value, force = pull(points, loss, knobs)
        return Forces(value, _along(z, force), None)
    pairs = force[..., dim:].reshape(count, count).numpy() / LIFT**0.5
    np.fill_diagonal(pairs, 0)
    return Forces(value, _along(z, force[..., :dim]), pairs)


def _along(z: Tensor, force: Tensor) -> Tensor:
    return force - (force * z).sum(-1, keepdim=True) * z


@cache
def _rotation(dim: int) -> Tensor:
    return torch.linalg.qr(torch.randn(dim, dim, generator=Generator().manual_seed(0), dtype=torch.float64))[0]


def law(points: Points, loss: Loss, knobs: dict[str, Any], anchor: int) -> NDArray[np.float64]:
    """The force between an anchor and its positive, and a negative, if their similarity were AXIS: (2, 13).

    The positive is the next view of the anchor's sample; the negative a view of the sample of another class that is
    farthest from the anchor, whose views move together: of the same view as the anchor, or the others if these feel
    more. The one is put at each similarity in turn, towards a direction of its own, and all other points stay. `anchor`
    counts sample-major. Raises ValueError if a force is not finite, and whatever the loss raises.
    """
    sample, view = divmod(anchor, points.z.shape[1])
    partner = (view + 1) % points.z.shape[1]
    z = F.pad(points.z.double(), (0, 2))  # two more dimensions, for the probe alone
    here = z[sample, view].clone()
    similar = (z @ here)[:, partner].masked_fill(points.labels == points.labels[sample], 2)
    other = int(similar.argmin())
    first, second = torch.eye(z.shape[2], dtype=z.dtype)[-2:]
    beside = np.cos(TURN) * first + np.sin(TURN) * second
    index = torch.arange(len(z))

    def felt(probe: Tensor) -> list[float]:
        """What the anchor feels towards the two added dimensions."""
        (gradient,) = torch.autograd.grad(loss.on_views(probe.requires_grad_(), points.labels, index, **knobs), probe)
        return (-gradient[sample, view, -2:] * z[..., 0].numel()).tolist()

    found = np.empty((3, len(AXIS)))
    for place, s in enumerate(AXIS.tolist()):
        root = (1 - s * s) ** 0.5
        probe = z.clone()
        probe[sample, partner] = s * here + root * first
        found[0, place] = felt(probe)[0] / root
        probe = z.clone()
        probe[other] = s * here + root * beside
        probe[other, view] = s * here + root * first
        along, across = felt(probe)  # of the same view, and of the others, which stand between the two directions
        found[1:, place] = (along - across / np.tan(TURN)) / root, across / np.sin(TURN) / root
    if not np.isfinite(found).all():
        raise ValueError(f"a force of {loss.name} is not finite with {knobs}")
    return found[[0, 1 + np.abs(found[1:]).sum(1).argmax()]]
