"""Methods with one encoder whose views are compared by a loss of the catalogue: SimCLR, SupCon, VarCon, DCL, ..."""

from typing import Any

import torch
from torch import nn

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.methods.method import Augment, Method, Step


class JointEmbedding(Method):
    """One encoder, `n_views` views of each sample, one loss.

    Every knob of the loss stands in `knobs` and may be turned between steps. Metrics are the means of the loss's
    parts (for NT-Xent `positive`, the mean cosine of positives; for VarCon also `kl`, `nll`, ...).
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss,
        augment: Augment,
        n_views: int = 2,
        **knobs: Any,
    ) -> None:
        """loss: a loss of the catalogue or its name; knobs: those of the loss that shall not stand at their default.

        ValueError names the nearest losses for an unknown name; TypeError names the loss's knobs for an unknown knob.
        """
        super().__init__(encoder, head, augment)
        self.loss, self.n_views = losses.get(loss), n_views
        if not self.loss.fits(n_views):
            needs, most = (
                ", ".join(self.loss.needs),
                f" and at most {self.loss.max_views}" if self.loss.max_views else "",
            )
            if self.loss.fits(2):
                raise ValueError(f"{self.loss.name} needs n_views of at least 2{most}, got {n_views}")
            raise ValueError(f"loss {self.loss.name} needs {needs}: more than views of each sample and its label")
        if unknown := knobs.keys() - self.loss.defaults.keys():
            have = ", ".join(self.loss.defaults) or "none"
            raise TypeError(f"{self.loss.name} has no knob {', '.join(sorted(unknown))}; its knobs: {have}")
        self.knobs = {**self.loss.defaults, **knobs}
        for knob in self.loss.knobs:
            knob.check(self.knobs[knob.name], anchors=0)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """One forward pass of all B * n_views views together, then the loss on z (B, n_views, D)."""
        views = self.augment(batch.x, generator, self.n_views)  # (B, V, ...)
        z = self.project(self(views.flatten(0, 1))).unflatten(0, views.shape[:2])  # (B, V, D)
        parts = self.loss.parts_on_views(z, batch.labels, batch.index, **self.knobs)
        metrics = losses.means(parts)
        return Step(metrics.pop("loss"), {name: mean.detach() for name, mean in metrics.items()})

    def extra_repr(self) -> str:
        knobs = ", ".join(f"{name}={value!r}" for name, value in self.knobs.items())
        return f"loss={self.loss.name}({knobs}), n_views={self.n_views}, augment={self.augment!r}"
