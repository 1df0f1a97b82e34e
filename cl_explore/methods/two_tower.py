"""Methods with one encoder for each modality of a sample: CLIP, SigLIP, MIL-NCE, retrieval of passages, ..."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data.batch import Samples
from cl_explore.given import result_of
from cl_explore.methods.method import Augment, Embedded, Step, of_views
from cl_explore.methods.skeleton import Skeleton, title
from cl_explore.names import unknown
from cl_explore.takes import Count, takes
from cl_explore.views.draw import draw_views


@dataclass(frozen=True)
class ByName:
    """One view of each modality of a sample, by an augmentation of its own; or a bag, if that gives several."""

    augments: Mapping[str, Augment]

    def __call__(self, x: Samples, generator: torch.Generator, n_views: Count) -> dict[str, Tensor]:
        """Views (B, V, ...) by name, each as one view is asked for; ValueError unless x has all of the names."""
        if not isinstance(x, dict) or not self.augments.keys() <= x.keys():
            have = ", ".join(x) if isinstance(x, dict) else "one tensor"
            raise ValueError(f"x must have {', '.join(self.augments)}, got {have}")
        return {name: draw_views(augment, x[name], generator, 1, bag=True) for name, augment in self.augments.items()}


class TwoTower(Skeleton):
    """An encoder and a head for each modality, by its name in the data set's x; the loss compares two modalities.

    z holds what the heads make, modality after modality. Of two modalities the first is query (or context), the second
    key; a modality whose augmentation gives several views is a bag: its views are the candidates. Passages are the
    keys of the whole batch, of relevance 2 for the own one, 1 for those of the own class and 0 for others. Three or
    more modalities: the mean over `pairs`, all of them, each in the order of the names.

    >>> from cl_explore import nn as networks
    >>> towers = {"image": networks.MLP([6, 8]), "caption": networks.MLP([5, 8])}
    >>> heads = {name: torch.nn.Identity() for name in towers}
    >>> one_view = {name: lambda x, generator, n_views: x[:, None] for name in towers}
    >>> TwoTower(towers, heads, "clip", one_view).pairs
    [('image', 'caption')]
    """

    serves = Skeleton.serves | {"query", "key", "context", "candidates", "passages", "relevance"}
    expects = frozenset({"z", "query", "key", "context", "candidates"})
    encoder: nn.ModuleDict
    head: nn.ModuleDict

    @takes
    def __init__(
        self,
        encoder: Mapping[str, nn.Module],
        head: Mapping[str, nn.Module],
        loss: str | losses.Loss | nn.Module,
        augment: Mapping[str, Augment],
        **options: Any,
    ) -> None:
        """encoder, head, augment: of each modality by name; augment(x, generator, 1); loss, options: see `Skeleton`."""
        if not encoder.keys() == head.keys() == augment.keys() or len(encoder) < 2:
            raise ValueError(
                f"encoder, head and augment must name the same modalities, at least 2, got {', '.join(encoder)}; "
                f"{', '.join(head)}; {', '.join(augment)}"
            )
        if isinstance(loss, nn.Module) and any(isinstance(part, losses.Queue) for part in loss.modules()):
            raise ValueError(f"{title(loss)} queues its keys, which carry no gradient: a tower would never learn")
        super().__init__(nn.ModuleDict(encoder), nn.ModuleDict(head), loss, ByName(dict(augment)), 2, **options)
        self.pairs = list(combinations(encoder, 2))

    def forward(self, x: Samples) -> Tensor:
        """The representation h (N, H) of the first modality of x; for another, see `tower`."""
        return self.tower(next(iter(self.encoder)))(x)

    def project(self, h: Tensor) -> Tensor:
        """The embedding z (N, D) of the first modality."""
        return next(iter(self.head.values()))(h)

    @takes
    def tower(self, name: str) -> "Tower":
        """One modality's networks, to be probed like a method of its own; ValueError for an unknown name."""
        if name not in self.encoder:
            raise unknown("modality name", name, self.encoder)
        return Tower(name, self.encoder[name], self.head[name])

    def draw_views(self, x: Samples, generator: torch.Generator) -> Samples:
        """Views of each modality by name: (B, 1, ...), or (B, V, ...) of a bag."""
        return self.augment(x, generator, 1)

    def networks(self) -> list[nn.Module]:
        """Encoders and heads of all modalities."""
        return [*self.encoder.values(), *self.head.values()]

    def embed(self, views: Samples) -> tuple[dict[str, Tensor], Tensor]:
        """h (b, V, H) of each modality by name, and z (b, V, D) of all, side by side."""
        assert isinstance(views, dict)
        h, z = {}, []
        for name, part in views.items():
            rows = result_of(f"encoder[{name!r}]", self.encoder[name](part.flatten(0, 1)))
            h[name] = of_views(f"encoder[{name!r}]", rows, part.shape[:2])
            made = result_of(f"head[{name!r}]", self.head[name](rows))
            z.append(of_views(f"head[{name!r}]", made, part.shape[:2]))
        return h, torch.cat(z, dim=1)

    def compare(self, embedded: Embedded) -> Step:
        """The mean loss, and metrics, over the pairs of modalities."""
        steps = [super(TwoTower, self).compare(self.pair(embedded, *names)) for names in self.pairs]
        metrics = {name: torch.stack([step.metrics[name] for step in steps]).mean() for name in steps[0].metrics}
        return Step(torch.stack([step.loss for step in steps]).mean(), metrics)

    def pair(self, embedded: Embedded, first: str, second: str) -> Embedded:
        """The embedded batch as two modalities alone see it."""
        sizes = [part.shape[1] for part in embedded.views.values()]
        z = dict(zip(embedded.views, embedded.z.split(sizes, dim=1), strict=True))
        h, views = ({name: part[name] for name in (first, second)} for part in (embedded.h, embedded.views))
        return embedded._replace(z=torch.cat([z[first], z[second]], dim=1), h=h, views=views)

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        second = next(iter(embedded.views.values())).shape[1]  # where the second modality begins
        if need in ("query", "context"):
            return embedded.z[:, 0]
        if need == "candidates":
            return embedded.z[:, second:]
        if need == "key":
            return embedded.z[:, second]
        if need == "passages":
            return embedded.z[:, second].expand(len(embedded.z), -1, -1)
        if need == "relevance":
            labels = embedded.labels
            own = torch.eye(len(labels), dtype=torch.int64, device=labels.device)
            return own + ((labels[:, None] == labels) & (labels >= 0))
        return super().provide(need, embedded)


class Tower(nn.Module):
    """Encoder and head of one modality of samples that have several."""

    @takes
    def __init__(self, name: str, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.name, self.encoder, self.head = name, encoder, head

    def forward(self, x: Samples) -> Tensor:
        """The representation h (N, H) of this modality of x."""
        assert isinstance(x, dict)
        return self.encoder(x[self.name])

    def project(self, h: Tensor) -> Tensor:
        """The embedding z (N, D) of h (N, H)."""
        return self.head(h)
