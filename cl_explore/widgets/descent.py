"""Here live free points on a sphere, the pull of a loss on them and the steps they make."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from cl_explore import geometry
from cl_explore.losses import Loss

MEASURES = ("loss", "alignment", "−uniformity", "within-class spread")
LONGEST_STEP = 0.1  # radians: steep losses would otherwise throw points across the sphere


class Points(NamedTuple):
    """Where the points are: z (B, V, D) of unit length, labels (B,) int64, and how many steps they have made."""

    z: Tensor
    labels: Tensor
    step: int = 0


def scatter(samples: int, views: int, dim: int, classes: int, generator: Generator) -> Points:
    """Samples in a wide cone, as an untrained encoder leaves them, classes overlapping; `views` points around each.

    The views are free points, so that both pulls of a contrastive loss show: views meet, samples part.
    """
    labels, place = torch.arange(samples) % classes, torch.arange(classes)
    # class directions: evenly round the circle, or on the sphere along a spiral whose turns follow the golden section
    height = 1 - (2 * place + 1) / classes if dim == 3 else torch.zeros(classes)
    angle = 2 * torch.pi * (0.618 * place if dim == 3 else place / classes)
    width = (1 - height.square()).sqrt()
    centres = torch.stack([width * angle.cos(), width * angle.sin(), height], dim=1)[:, :dim]
    cone = torch.eye(dim)[1] + 0.5 * centres[labels]
    sample = F.normalize(cone + 0.5 * torch.randn(samples, dim, generator=generator), dim=1)
    z = sample[:, None] + 0.25 * torch.randn(samples, views, dim, generator=generator)
    return Points(F.normalize(z, dim=2), labels)


def pull(points: Points, loss: Loss, knobs: dict[str, Any]) -> tuple[float, Tensor]:
    """The loss and the force on every point, (B, V, D): minus the gradient, times the number of points.

    That number makes up for the mean over anchors: adding points does not slow the others. Raises ValueError if loss
    or force are not finite, and whatever the loss raises.
    """
    z = points.z.clone().requires_grad_()
    value = loss.on_views(z, points.labels, torch.arange(len(z)), **knobs)
    (gradient,) = torch.autograd.grad(value, z)
    if not (value.isfinite() and gradient.isfinite().all()):
        raise ValueError(f"{loss.name} or its gradient is not finite at step {points.step} with {knobs}")
    return value.item(), -gradient * (z.shape[0] * z.shape[1])


def descend(points: Points, loss: Loss, knobs: dict[str, Any], lr: float) -> Points:
    """One step of plain gradient descent, every point put back on the sphere; no point moves farther than 0.1."""
    step = lr * pull(points, loss, knobs)[1]
    step = step * (LONGEST_STEP / step.norm(dim=2, keepdim=True).clamp(min=LONGEST_STEP))
    return Points(F.normalize(points.z + step, dim=2), points.labels, points.step + 1)


def measure(points: Points, loss: Loss, knobs: dict[str, Any]) -> tuple[float, ...]:
    """The numbers of MEASURES: the loss, alignment of the views, −uniformity of the first views, and the mean squared
    distance of all points to their class mean."""
    z, views = points.z, points.z.shape[1]
    with torch.no_grad():
        value = loss.on_views(z, points.labels, torch.arange(len(z)), **knobs)
        spread = geometry.dispersion(z.flatten(0, 1), points.labels.repeat_interleave(views))
        measured = (value, geometry.alignment(z), -geometry.uniformity(z[:, 0]), spread.within)
    return tuple(float(number) for number in measured)
