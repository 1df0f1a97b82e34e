"""What the four skeletons share: a loss of the catalogue, or a module with state, is given what it needs of a batch."""

import inspect
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Augment, Embedded, Method, Step
from cl_explore.takes import Count, takes

CLASSES = frozenset({"prototypes", "logits", "counts"})
"""What a loss can only be given where the number of classes, or their sizes, are known."""


class Skeleton(Method):
    """A method of any loss whose needs it can serve.

    `serves` names the arguments of losses (see `losses.arguments.ROLES`) that `provide` can give; a subclass that
    serves one more adds its name there and gives it in `provide`. Where a skeleton `expects` arguments, a loss must
    take one of them, or the skeleton would do nothing for it. Metrics are the means of the loss's parts (for NT-Xent
    `positive`, the mean cosine of positives; for VarCon also `kl`, `nll`, ...).
    """

    serves: ClassVar[frozenset[str]] = frozenset({"z", "labels", "index", "targets"})
    expects: ClassVar[frozenset[str]] = frozenset()
    extra_views: ClassVar[int] = 0  # of a sample, beside those in z
    loss: losses.Loss | nn.Module
    counts: Tensor

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss | nn.Module,
        augment: Augment,
        n_views: Count = 2,
        *,
        classes: int | Tensor | None = None,
        targets: str | None = None,
        **knobs: Any,
    ) -> None:
        """The loss, and what it is to be given.

        loss: one of the catalogue, its name, or a module that keeps state of its own, such as `losses.SogCLR`.
        classes: for a loss that takes prototypes (which are learned) or logits (of a linear classifier of h): how many
            classes or clusters there are; for one that takes their counts: the size of each (C,).
        targets: the factor of the data set that a loss of targets reads; the labels, if left out.
        knobs: those of a loss of the catalogue that do not stand at their default; a module has its own. A knob given
            as an nn.Parameter is learned, as the parameter `learned_NAME` of the method.

        ValueError says what an unfit loss needs and which skeleton serves it, and names the nearest losses for an
        unknown name; TypeError names the loss's knobs for an unknown knob.
        """
        super().__init__(encoder, head, augment, n_views)
        self.loss, self.targets = loss if isinstance(loss, nn.Module) else losses.get(loss), targets
        needs, takes = arguments(self.loss)
        served = set(self.serves)
        if classes is not None:
            served |= CLASSES - {"counts"} if isinstance(classes, int) else CLASSES
        self._require(needs, takes, served)
        self.given = tuple(name for name in takes if name in served)
        self.optional = tuple(name for name in takes if name not in served)
        self.knobs = _knobs(self.loss, knobs)
        for name, knob in self.knobs.items():
            if isinstance(knob, nn.Parameter):
                self.register_parameter(f"learned_{name}", knob)
        if isinstance(classes, Tensor):
            self.register_buffer("counts", classes.long())
        number = len(classes) if isinstance(classes, Tensor) else classes
        if number is not None and number < 1:
            raise ValueError(f"classes must be at least 1, got {number}")
        if number is not None and "prototypes" in takes:
            self.prototypes = nn.Parameter(F.normalize(torch.randn(number, width(encoder, head)), dim=1))
        if number is not None and "logits" in takes:
            self.classifier = nn.Linear(width(encoder), number)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """One forward pass of all views together, then the loss of the joined batch."""
        return self.compare(self.embed_views(batch, generator))

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch."""
        names = (*self.given, *(name for name in self.optional if name in embedded.factors))
        given: dict[str, Any] = {name: self.provide(name, embedded) for name in names}
        if isinstance(self.loss, nn.Module):
            return Step(self.loss(**given), {})
        metrics = losses.means(self.loss.parts(**given, **self.knobs))
        return Step(metrics.pop("loss"), {name: mean.detach() for name, mean in metrics.items()})

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        """What the loss is given as its argument `need`, or None: the place for a subclass to serve another one.

        An optional argument that is not served is given all the same where the data set has a factor of that name.
        """
        if need in ("z", "labels", "index"):
            return getattr(embedded, need)
        if need == "targets":
            column = embedded.labels if self.targets is None else self._factor(self.targets, embedded)
            return column if column.is_floating_point() else column.float()
        if need == "logits":
            (logits,) = gather(self.classifier(embedded.h).mean(1))  # of a sample: the mean over its views
            return logits
        if need in ("prototypes", "counts"):
            return getattr(self, need)
        return self._factor(need, embedded)

    def _factor(self, name: str, embedded: Embedded) -> Tensor:
        if name not in embedded.factors:
            have = ", ".join(embedded.factors) or "none"
            raise ValueError(f"{title(self.loss)} needs the data set's factor {name!r}; its factors: {have}")
        return embedded.factors[name]

    def _require(self, needs: tuple[str, ...], takes: tuple[str, ...], served: set[str]) -> None:
        """ValueError if the loss cannot be given what it needs, or takes nothing of what this skeleton is for."""
        name, own = title(self.loss), type(self).__name__
        missing = [need for need in needs if need not in served]
        if missing and set(missing) <= CLASSES:
            what = "the size of each class" if "counts" in missing else "how many there are"
            raise ValueError(f"{name} needs {' and '.join(missing)}: give classes, {what}")
        others = [
            one.__name__
            for one in Skeleton.__subclasses__()
            if one.__module__.startswith("cl_explore.methods.")  # rather than one of a paper or a reader
            and set(needs) <= one.serves | CLASSES
            and (not one.expects or one.expects & set(takes))
        ]
        instead = f"use {' or '.join(others)}" if others else "subclass it: add to `serves`, and give it in `provide`"
        if missing:
            raise ValueError(f"{own} cannot give {name} its {' and '.join(missing)}: {instead}")
        if self.expects and not self.expects & set(takes):
            raise ValueError(f"{own} is for losses that take {', '.join(sorted(self.expects))}, not {name}: {instead}")
        self._require_views(name, needs)

    def _require_views(self, name: str, needs: tuple[str, ...]) -> None:
        """ValueError unless there are as many views of a sample as the loss compares."""
        least, most = (self.loss.min_views, self.loss.max_views) if isinstance(self.loss, losses.Loss) else (1, None)
        least = 2 if {"key", "candidates"} & set(needs) else least + self.extra_views
        most = None if most is None else most + self.extra_views
        if self.n_views < least or (most is not None and self.n_views > most):
            bound = f"of at least {least}" + (f" and at most {most}" if most else "")
            raise ValueError(f"{name} needs n_views {bound}, got {self.n_views}")

    def extra_repr(self) -> str:
        knobs = ", ".join(f"{name}={value!r}" for name, value in self.knobs.items())
        targets = "" if self.targets is None else f", targets={self.targets!r}"
        return f"loss={title(self.loss)}({knobs}), n_views={self.n_views}{targets}, augment={self.augment!r}"


def arguments(loss: losses.Loss | nn.Module) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tensors that a loss needs, and all it takes, by name."""
    if isinstance(loss, losses.Loss):
        return loss.needs, loss.arguments
    found = [
        one for one in inspect.signature(loss.forward).parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    return tuple(one.name for one in found if one.default is one.empty), tuple(one.name for one in found)


def title(loss: losses.Loss | nn.Module) -> str:
    """The name of a loss in messages."""
    return loss.name if isinstance(loss, losses.Loss) else type(loss).__name__


def _knobs(loss: losses.Loss | nn.Module, chosen: dict[str, Any]) -> dict[str, Any]:
    """All knobs of a loss; of a module its own dictionary, so that turning one turns it there."""
    known = loss.defaults if isinstance(loss, losses.Loss) else getattr(loss, "knobs", {})
    if isinstance(loss, nn.Module) and chosen:
        raise TypeError(f"{title(loss)} was made with its knobs: give {', '.join(chosen)} there")
    if unknown := chosen.keys() - known.keys():
        raise TypeError(
            f"{title(loss)} has no knob {', '.join(sorted(unknown))}; its knobs: {', '.join(known) or 'none'}"
        )
    if isinstance(loss, nn.Module):
        return known
    for knob in loss.knobs:
        if knob.name in chosen:
            knob.check(chosen[knob.name], anchors=0)
    return {**known, **chosen}


def width(*networks: nn.Module) -> int:
    """Features that come out of networks in a row: `out_features` of the last one, or of the last layer with any."""
    for network in reversed(networks):
        for module in (network, *reversed(list(network.modules()))):
            if isinstance(size := getattr(module, "out_features", None), int):
                return size
    raise ValueError(f"{type(networks[-1]).__name__} must have an attribute out_features, the number of its features")
