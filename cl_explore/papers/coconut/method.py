"""COCONUT: task after task with a small buffer of old samples, and the network of the task before as their teacher.

The losses are `losses.nspt`, `losses.ntpt` and `losses.multimodal_supcon`. What of the paper was at hand does not say
how its three terms are weighed, in which proportion old and new samples meet, or what the buffer's samples are chosen
by: that is a reconstruction, and a linear classifier stands for the recogniser that spells out a command.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate, geometry, losses
from cl_explore.data import Dataset
from cl_explore.methods import Augment, Step, TwoTower, gather
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import width
from cl_explore.papers.coconut.world import World

NEW, REPLAYED = 32, 24
"""Samples of a batch: new ones, and at most so many from the buffer."""
Distil = Literal["nspt", "ntpt"]


class Frozen(nn.Module):
    """A copy of a network as it is now: it takes no gradient, and stays in evaluation mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.copy = copy.deepcopy(network).requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """What the copy gives, without a graph."""
        with torch.no_grad():
            return self.copy(x)

    def train(self, mode: bool = True) -> "Frozen":
        """Whatever is asked for, the copy stays in evaluation mode."""
        return super().train(False)


class Coconut(TwoTower):
    """Audio and its text, a classifier of the audio, and from the second task on a teacher for replayed samples.

    The loss is L_CE + λ_MM L_MM + λ_D old / (old + new) L_D, where L_MM is the loss that is given, of audio against
    text over the whole batch, and L_D holds replayed samples (whose factor `rehearsal` is 1) to the teacher; `old` and
    `new` count classes. In the first task there is no teacher, and no L_D. `after` gives the method of the next task.
    Metrics: `classes`, `multimodal` and `distilled`, the terms without their weights, unless these are 0.
    """

    teacher: Frozen | None
    classifier: nn.Linear

    def __init__(
        self,
        encoder: Mapping[str, nn.Module],
        head: Mapping[str, nn.Module],
        loss: str | losses.Loss | nn.Module,
        augment: Mapping[str, Augment],
        *,
        classes: int,
        distil: Distil = "nspt",
        denominator: str = "clean",
        distil_weight: float = 1.0,
        multimodal_weight: float = 0.1,
        own_teacher: bool = False,
        **options: Any,
    ) -> None:
        """What `TwoTower` does not take already; encoder, head and augment name audio and text, in this order.

        classes: of all tasks together.
        distil: positives from the teacher, negatives from the student (NSPT), or both from the teacher (NTPT).
        denominator: of `losses.nspt`.
        distil_weight, multimodal_weight: λ_D and λ_MM.
        own_teacher: the student itself is the teacher, without gradient: no memory of where old samples were.
        """
        if list(encoder) != ["audio", "text"]:
            raise ValueError(f"encoder must name audio and text, in this order, got {', '.join(encoder)}")
        if distil not in ("nspt", "ntpt"):
            raise ValueError(f"distil must be 'nspt' or 'ntpt', got {distil!r}")
        for name, weight in {"distil_weight": distil_weight, "multimodal_weight": multimodal_weight}.items():
            if not weight >= 0:
                raise ValueError(f"{name} must be at least 0, got {weight}")
        super().__init__(encoder, head, loss, augment, **options)
        self.classifier = nn.Linear(width(encoder["audio"]), classes)
        self.distil, self.denominator, self.own_teacher = distil, denominator, own_teacher
        self.distil_weight, self.multimodal_weight = distil_weight, multimodal_weight
        self.teacher, self.share = None, 0.0  # old / (old + new)

    def after(self, old: int, new: int) -> "Coconut":
        """The method of the next task, which brings `new` classes to `old` ones: it goes on from these weights."""
        found = copy.deepcopy(self)
        found.teacher = Frozen(nn.Sequential(self.encoder["audio"], self.head["audio"]))
        found.share = old / (old + new)
        return found

    def means_from(self, seen: evaluate.Embedding) -> Tensor:
        """Where class means are read: z if it contrasts anything, else h, since its head then learns nothing."""
        return seen.z if self.distil_weight > 0 or self.multimodal_weight > 0 else seen.h

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """Batches of new samples, each once, with as many from the buffer as are left of the batch.

        Those of the buffer are drawn anew for each batch, without replacement: twins would be each other's negatives.
        At most REPLAYED are taken, and a buffer that holds fewer is taken whole.
        """
        replayed = dataset.factors["rehearsal"].cpu() > 0
        old, new = replayed.nonzero()[:, 0], (~replayed).nonzero()[:, 0]
        taken = min(len(old), REPLAYED)
        fresh = new[torch.randperm(len(new), generator=generator)]
        batches = fresh[: len(fresh) // (batch_size - taken) * (batch_size - taken)].view(-1, batch_size - taken)
        drawn = [old[torch.randperm(len(old), generator=generator)[:taken]] for _ in batches]
        return torch.cat([batches, torch.stack(drawn)], dim=1).flatten()

    def compare(self, embedded: Embedded) -> Step:
        """The weighted sum of the terms."""
        (logits,) = gather(self.classifier(embedded.h["audio"][:, 0]))
        terms = {"classes": (1.0, F.cross_entropy(logits, embedded.labels))}
        if self.multimodal_weight:
            terms["multimodal"] = self.multimodal_weight, super().compare(embedded).loss
        if self.teacher is not None and self.distil_weight:
            terms["distilled"] = self.distil_weight * self.share, self._distilled(embedded)
        loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        return Step(loss, {name: term.detach() for name, (_, term) in terms.items()})

    def _distilled(self, embedded: Embedded) -> Tensor:
        held = audio = embedded.z[:, :1]
        if not self.own_teacher:
            assert self.teacher is not None
            (held,) = gather(self.teacher(embedded.views["audio"][:, 0])[:, None])
        given = (audio, embedded.labels, held, embedded.factors["rehearsal"])
        if self.distil == "ntpt":
            return losses.ntpt(*given, **self.knobs)
        return losses.nspt(*given, **self.knobs, denominator=self.denominator)


Trained = Callable[[Coconut | None, Dataset, int], Coconut]
"""trained(last, seen, batch_size): a method after one more task; last: as the task before left it, ready for this one.
"""


def learn_tasks(world: World, trained: Trained, *, replay: bool = True) -> list[Coconut]:
    """The method after each task.

    replay: whether batches hold samples of the buffer; without them there is nothing for a teacher to hold.
    """
    found: list[Coconut] = []
    for task, classes in enumerate(world.tasks):
        seen = world.seen(task, replay=replay)
        last = found[-1].after(len(world.known(task)), len(classes)) if found else None
        found.append(trained(last, seen, NEW + min(REPLAYED, int(seen.factors["rehearsal"].sum()))))
    return found


def means(x: Tensor, labels: Tensor) -> Tensor:
    """Means (C, D) of the unit vectors of x (N, D) of each class, themselves of unit length."""
    return F.normalize(geometry.class_means(F.normalize(x, dim=1), labels), dim=1)


def by_means(x: Tensor, labels: Tensor, unseen: Tensor, wanted: Tensor) -> float:
    """How many unseen samples (M, D) lie nearest, by cosine, to the mean of their own class of x (N, D)."""
    return evaluate.knn_accuracy(means(x, labels), labels.unique(), unseen, wanted, k=1)
