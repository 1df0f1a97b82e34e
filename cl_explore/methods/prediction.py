"""Methods that predict what a target network makes of a view: BYOL, SimSiam, NNCLR; or stay near an old network."""

from typing import Any

from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data.batch import each
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Augment, Embedded, Step
from cl_explore.methods.skeleton import Skeleton, title, width
from cl_explore.nn import Momentum
from cl_explore.takes import Count, takes


class Predictive(Skeleton):
    """The encoder and a target network, its momentum copy, embed all views; a predictor sits on the encoder's side.

    A loss that takes `prediction` gets the predictor's output as such and the targets as z; one that takes `teacher`
    gets the targets as such and the encoder's embeddings as z. A queue, kept only for a loss that takes it, holds the
    targets of the first views of earlier batches. It fills, and the copy moves, after each step of the optimiser.
    """

    serves = Skeleton.serves | {"prediction", "teacher", "queue", "queue_labels"}
    expects = frozenset({"prediction", "teacher"})

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss | nn.Module,
        augment: Augment,
        n_views: Count = 2,
        *,
        decay: float,
        predictor: nn.Module | None = None,
        queue: Count = 1024,
        **options: Any,
    ) -> None:
        """The target network, and what is made of it.

        loss, options: see `Skeleton`.
        decay: 0 has no copy, the targets are the encoder's own embeddings without gradient (SimSiam, NNCLR); near 1
            they come from a slow copy (BYOL); 1 from the network as it is now, for ever (a teacher to stay near).
        predictor: maps z (N, D) to predictions (N, D); needed by a loss that takes them, refused by others.
        queue: how many targets wait.
        """
        super().__init__(encoder, head, loss, augment, n_views, **options)
        if ("prediction" in self.given) == (predictor is None):
            raise ValueError(f"predictor must {'not ' * (predictor is not None)}be given for {title(self.loss)}")
        self.predictor = predictor
        self.copy = Momentum(nn.Sequential(encoder, head), decay) if decay else None
        self.queue = losses.Queue(queue, width(encoder, head)) if "queue" in self.given else None
        self._newest: tuple[Tensor, Tensor] | None = None

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch, whose targets are made here."""
        target = embedded.z.detach()
        if self.copy is not None:
            rows = self.copy(each(lambda part: part.flatten(0, 1), embedded.views))
            (target,) = gather(rows.unflatten(0, (-1, self.n_views)))
        self._newest = target, embedded.labels
        return super().compare(embedded)

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        if self._newest is not None and (need == "teacher" or (need == "z" and "prediction" in self.given)):
            return self._newest[0]
        if need == "prediction" and self.predictor is not None:
            return self.predictor(embedded.z.flatten(0, 1)).unflatten(0, embedded.z.shape[:2])
        if need in ("queue", "queue_labels") and self.queue is not None:
            return self.queue.rows if need == "queue" else self.queue.labels
        return super().provide(need, embedded)

    def after_step(self) -> None:
        """Queue the targets of the first views and move the target network."""
        if self.queue is not None and self._newest is not None:
            target, labels = self._newest
            self.queue.enqueue(target[:, 0], labels)
        if self.copy is not None:
            self.copy.update()
