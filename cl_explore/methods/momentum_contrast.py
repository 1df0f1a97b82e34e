"""Methods whose keys come from a momentum copy of the encoder, and may wait in a queue: MoCo, MoCHi, PaCo, CACR, ..."""

from typing import Any

from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data.batch import Samples, each
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Augment, Embedded, Step
from cl_explore.methods.skeleton import Skeleton, width
from cl_explore.nn import Momentum
from cl_explore.takes import Count, takes

QUEUED = frozenset({"queue", "queue_labels", "negatives"})


class MomentumContrast(Skeleton):
    """The encoder embeds all views of a sample but the last, its momentum copy the last one.

    z holds what the encoder makes (query is the first of it), key and teacher (B, D) what the copy makes. The queue,
    kept only for a loss that takes it, holds keys of earlier batches and their labels; it is `negatives`, too. Keys
    enter it, and the copy moves, after each step of the optimiser.
    """

    serves = Skeleton.serves | {"query", "key", "teacher"} | QUEUED
    expects = frozenset({"key", "teacher"}) | QUEUED
    extra_views = 1

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss | nn.Module,
        augment: Augment,
        n_views: Count = 2,
        *,
        decay: float = 0.99,
        queue: Count = 1024,
        **options: Any,
    ) -> None:
        """loss, options: see `Skeleton`; decay: of the momentum copy, see `nn.Momentum`; queue: how many keys wait."""
        super().__init__(encoder, head, loss, augment, n_views, **options)
        self.copy = Momentum(nn.Sequential(encoder, head), decay)
        self.queue = losses.Queue(queue, width(encoder, head)) if QUEUED & set(self.given) else None
        self._newest: tuple[Tensor, Tensor] | None = None

    def embed(self, views: Samples) -> tuple[Tensor, Tensor]:
        """As `Method.embed`, of all views but the last."""
        return super().embed(each(lambda part: part[:, :-1], views))

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch, whose keys are made here."""
        (key,) = gather(self.copy(each(lambda part: part[:, -1], embedded.views)))
        self._newest = key, embedded.labels
        return super().compare(embedded)

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        if need == "query":
            return embedded.z[:, 0]
        if need in ("key", "teacher") and self._newest is not None:
            return self._newest[0]
        if need in QUEUED and self.queue is not None:
            return self.queue.labels if need == "queue_labels" else self.queue.rows
        return super().provide(need, embedded)

    def after_step(self) -> None:
        """Queue the keys of the step and move the momentum copy."""
        if self.queue is not None and self._newest is not None:
            self.queue.enqueue(*self._newest)
        self.copy.update()
