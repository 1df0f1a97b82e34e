"""Methods with one encoder whose views are compared by a loss of the catalogue: SimCLR, SupCon, VarCon, DCL, ..."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.methods.gather import gather
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
        chunk: int | None = None,
        **knobs: Any,
    ) -> None:
        """loss: a loss of the catalogue or its name; knobs: those of the loss that shall not stand at their default.

        chunk: embed so many views at a time, forget what the network computed on the way and compute it again when the
        gradient comes (GradCache, Gao et al. 2021, 2101.06983): a large batch then costs the memory of a small one and
        a third more time. Dropout and autocast are replayed; batch norm sees chunks, and counts each twice in its
        running statistics.

        ValueError names the nearest losses for an unknown name; TypeError names the loss's knobs for an unknown knob.
        """
        super().__init__(encoder, head, augment)
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}")
        self.loss, self.n_views, self.chunk = losses.get(loss), n_views, chunk
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
        """One forward pass of all B * n_views views together, then the loss on z (B, n_views, D).

        Where several processes train together, each embeds its own part and the loss is that of the joined batch.
        """
        views = self.augment(batch.x, generator, self.n_views)  # (B, V, ...)
        z = self._embed(views.flatten(0, 1)).unflatten(0, views.shape[:2])  # (B, V, D)
        parts = self.loss.parts_on_views(*gather(z, batch.labels, batch.index), **self.knobs)
        metrics = losses.means(parts)
        return Step(metrics.pop("loss"), {name: mean.detach() for name, mean in metrics.items()})

    def _embed(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of views x (N, ...): at once, or in chunks that are computed again for the gradient."""
        if self.chunk is None:
            return self.project(self(x))
        again = [
            checkpoint(lambda part: self.project(self(part)), part, use_reentrant=False) for part in x.split(self.chunk)
        ]
        return torch.cat(again)

    def extra_repr(self) -> str:
        knobs = ", ".join(f"{name}={value!r}" for name, value in self.knobs.items())
        return f"loss={self.loss.name}({knobs}), n_views={self.n_views}, chunk={self.chunk}, augment={self.augment!r}"
