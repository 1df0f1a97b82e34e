"""Free points on a sphere, the pull of a loss on them and the steps they make."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from cl_explore import geometry
from cl_explore.losses import Loss

MEASURES = ("loss", "alignment", "−uniformity", "tolerance", "within-class dispersion", "effective rank")
SLOW = 0.02  # seconds from which on a step is too slow to be watched
FIRST_BATCH, SMALLEST_BATCH = 250, 64
LONGEST_STEP = 0.1  # radians: steep losses would otherwise throw points across the sphere


class Points(NamedTuple):
    """Where the points are: z (B, V, D) of unit length, labels (B,) int64, and how many steps they have made.

    `origin` (B,) int64 names, for a sample that is an exact copy, the sample it copies, and for others themselves.
    """

    z: Tensor
    labels: Tensor
    origin: Tensor
    step: int = 0


def class_sizes(samples: int, classes: int, imbalance: float) -> list[int]:
    """Sizes of the classes, adding up to `samples`: exponential from the largest to the smallest, as `data.long_tail`.

    `imbalance` is their ratio, as far as whole numbers allow; no class is empty.

    >>> class_sizes(96, 4, 1), class_sizes(96, 4, 10)
    ([24, 24, 24, 24], [53, 25, 12, 6])
    """
    share = imbalance ** (-torch.arange(classes, dtype=torch.float64) / max(classes - 1, 1))
    ends = (share.cumsum(0) / share.sum() * (samples - classes)).round().long()
    return (1 + ends.diff(prepend=ends.new_zeros(1))).tolist()


def scatter(
    samples: int,
    views: int,
    dim: int,
    classes: int,
    generator: Generator,
    *,
    imbalance: float = 1.0,
    duplicates: float = 0.0,
    noise: float = 0.25,
) -> Points:
    """Samples in a wide cone, as an untrained encoder leaves them, classes overlapping; `views` points around each.

    The views, at a distance of about `noise`, are free points, so that both pulls of a contrastive loss show: views
    meet, samples part. Of each class a share of `duplicates`, rounded down, are exact copies of its other samples. An
    encoder sends copies to one place whatever it learns: they stay together.
    """
    labels = torch.arange(classes).repeat_interleave(torch.tensor(class_sizes(samples, classes, imbalance)))
    place = torch.arange(classes)
    # class directions: evenly round the circle, or on the sphere along a spiral whose turns follow the golden section
    height = 1 - (2 * place + 1) / classes if dim == 3 else torch.zeros(classes)
    angle = 2 * torch.pi * (0.618 * place if dim == 3 else place / classes)
    width = (1 - height.square()).sqrt()
    centres = torch.stack([width * angle.cos(), width * angle.sin(), height], dim=1)[:, :dim]
    cone = torch.eye(dim)[1] + 0.5 * centres[labels]
    sample = F.normalize(cone + 0.5 * torch.randn(samples, dim, generator=generator), dim=1)
    z = F.normalize(sample[:, None] + noise * torch.randn(samples, views, dim, generator=generator), dim=2)
    origin = torch.arange(samples)
    for members in origin.clone().split(labels.bincount().tolist()):
        kept = len(members) - min(int(duplicates * len(members)), len(members) - 1)
        origin[members[kept:]] = members[torch.randint(kept, (len(members) - kept,), generator=generator)]
    return Points(z[origin], labels, origin)


def pull(points: Points, loss: Loss, knobs: dict[str, Any], rows: Tensor | None = None) -> tuple[float, Tensor]:
    """The loss and the force on every point, (B, V, D): minus the gradient, times the number of points.

    That number makes up for the mean over anchors: adding points does not slow the others. With `rows` (n,) the loss
    sees these samples only, a batch, and others feel nothing. Copies share the mean of their forces. Raises ValueError
    if loss or force are not finite, and whatever the loss raises.
    """
    rows = torch.arange(len(points.z)) if rows is None else rows
    z = points.z[rows].requires_grad_()
    value = loss.on_views(z, points.labels[rows], rows, **knobs)
    (gradient,) = torch.autograd.grad(value, z)
    if not (value.isfinite() and gradient.isfinite().all()):
        raise ValueError(f"{loss.name} or its gradient is not finite at step {points.step} with {knobs}")
    origin = points.origin[rows]
    force = torch.zeros_like(points.z).index_add(0, origin, -gradient * z[..., 0].numel())
    return value.item(), (force / origin.bincount(minlength=len(force)).clamp(min=1)[:, None, None])[points.origin]


def move(points: Points, force: Tensor, lr: float) -> Points:
    """One step of plain gradient descent, every point put back on the sphere; no point moves farther than 0.1."""
    step = lr * force
    step = step * (LONGEST_STEP / step.norm(dim=2, keepdim=True).clamp(min=LONGEST_STEP))
    return points._replace(z=F.normalize(points.z + step, dim=2), step=points.step + 1)


def measure(points: Points, value: float) -> tuple[float, ...]:
    """The numbers of MEASURES: `value` of the loss, alignment of the views, −uniformity and tolerance of the first
    views, and of all points the mean squared distance to their class mean and the effective rank."""
    z, labels = points.z, points.labels
    spread = geometry.dispersion(z.flatten(0, 1), labels.repeat_interleave(z.shape[1]))
    measured = (
        geometry.alignment(z),
        -geometry.uniformity(z[:, 0]),
        geometry.tolerance(z[:, 0], labels),
        spread.within,
        geometry.effective_rank(z.flatten(0, 1)),
    )
    return value, *(float(number) for number in measured)


class Batches:
    """Which samples a step sees: all of them, unless that takes too long to be watched, as `took` is told.

    The first batch has at most 250 samples. After a quick step it doubles; after three slow ones it halves, down to
    64, and no longer grows, as the value of many losses depends on it. Batches are drawn without replacement, in an
    order that the generator decides.
    """

    def __init__(self, samples: int, generator: Generator) -> None:
        self._samples, self.size = samples, min(samples, FIRST_BATCH)
        self._generator = generator
        self._waiting = torch.empty(0, dtype=torch.int64)
        self._slow, self._grows = 0, True

    def draw(self) -> Tensor | None:
        """The samples of the next step, (size,), or None for all."""
        if self.size == self._samples:
            return None
        if len(self._waiting) < self.size:
            self._waiting = torch.randperm(self._samples, generator=self._generator)
        rows, self._waiting = self._waiting[: self.size], self._waiting[self.size :]
        return rows

    def took(self, seconds: float) -> None:
        """Choose the size of the next batch after a step of this length."""
        self._slow = self._slow + 1 if seconds > SLOW else 0
        if self._slow == 3:
            self.size, self._slow, self._grows = max(self.size // 2, min(self.size, SMALLEST_BATCH)), 0, False
        elif self._grows and seconds < SLOW / 4:  # most losses take time in the square of the batch
            self.size = min(2 * self.size, self._samples)
