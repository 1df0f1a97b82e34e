"""SPACE-2: how much the trees of two dialogs have in common, and a contrast that pulls them together by that much.

Source: the authors' code (space/utils/scores.py, space/utils/criterions.py, space/modules/subspace.py). Not here: their
masked language model, an auxiliary of weight .1, since bags of words have no masks to fill; their Transformer.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Dataset
from cl_explore.methods import JointEmbedding
from cl_explore.methods.method import Embedded, Step

LEVELS = "DISV"
VIEWS = ("D", "I", "S", "V", "DI", "IS", "SV", "DIS", "ISV", "DISV")
"""Of a tree: its domains, intents, slots and values, and what connects them."""
PLACEHOLDERS = {"default_domain", "default_intent"}
Path = tuple[str, ...]
Frame = Mapping[str, Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]]]
"""The tree of a dialog: {domain: {intent: {slot: [{"value": ...}, ...]}}}; a branch may stop early, at an empty one."""


class Scores(NamedTuple):
    """How alike trees are, from 0 to 1, float64.

    each: (N, M, 10), the Jaccard index of each of VIEWS; 0 where neither tree has an element.
    combined: (N, M), the mean over the views where either has one.
    """

    each: Tensor
    combined: Tensor


def branches(frame: Frame) -> Iterator[Path]:
    """The paths from the root to the ends of a tree, in small letters without spaces at their ends."""

    def clean(*names: object) -> Path:
        return tuple(str(name).lower().strip() for name in names)

    for domain, intents in frame.items():
        if not intents:
            yield clean(domain)
        for intent, slots in intents.items():
            if not slots:
                yield clean(domain, intent)
            for slot, values in slots.items():
                if not values:
                    yield clean(domain, intent, slot)
                for value in values:
                    yield clean(domain, intent, slot, value["value"])


def elements(frame: Frame, view: str) -> set[Path]:
    """What a tree shows in one of VIEWS: parts of the branches that reach so far, without placeholders."""
    first, last = LEVELS.index(view[0]), LEVELS.index(view[-1]) + 1
    parts = {path[first:last] for path in branches(frame) if len(path) >= last}
    return {part for part in parts if PLACEHOLDERS.isdisjoint(part)}


def tree_scores(frames: Sequence[Frame], others: Sequence[Frame] | None = None) -> Scores:
    """How alike the trees of N dialogs are to those of M others, or to each other.

    To each other, as in training: each has 1 with itself in every view, also an empty one, which has 0 with all others.
    """
    each, known = [], []
    for view in VIEWS:
        rows, columns = _incidence(
            *([elements(frame, view) for frame in side] for side in (frames, frames if others is None else others))
        )
        shared = rows @ columns.T
        union = rows.sum(1, keepdim=True) + columns.sum(1) - shared
        each.append(shared / union.clamp(min=1))
        known.append(union > 0)
    found, counted = torch.stack(each, 2), torch.stack(known, 2)
    combined = (found * counted).sum(2) / counted.sum(2).clamp(min=1)
    if others is None:
        found[range(len(frames)), range(len(frames))] = 1
        combined.fill_diagonal_(1)
    return Scores(found, combined)


def _incidence(sets: list[set[Path]], others: list[set[Path]]) -> tuple[Tensor, Tensor]:
    """Which of all elements each of the sets holds, 0 or 1, float64: (N, E), and likewise of the others (M, E)."""
    place = {element: number for number, element in enumerate(sorted(set().union(*sets, *others)))}
    held = torch.zeros(len(sets) + len(others), len(place), dtype=torch.float64)
    for row, one in enumerate(sets + others):
        held[row, [place[element] for element in one]] = 1
    return held[: len(sets)], held[len(sets) :]


class SubSpaces(nn.Module):
    """A head of one linear layer and tanh onto several spaces, each of unit length.

    What it gives, (N, spaces * size), has as its cosine the mean of the cosines in the spaces.
    """

    def __init__(self, features: int, size: int, spaces: int = len(VIEWS)) -> None:
        super().__init__()
        self.layer, self.spaces = nn.Linear(features, spaces * size), spaces
        self.out_features = spaces * size

    def forward(self, h: Tensor) -> Tensor:
        """H (N, features) -> z (N, spaces * size)."""
        return F.normalize(self.layer(h).tanh().unflatten(1, (self.spaces, -1)), dim=2).flatten(1)


class TreeContrast(JointEmbedding):
    """A loss of weighted positives in each of several spaces, which all have a table of weights of their own."""

    serves = JointEmbedding.serves | {"weights"}
    expects = frozenset({"weights"})
    scores: Tensor

    def __init__(self, *parts: Any, scores: Tensor, **options: Any) -> None:
        """parts, options: see `JointEmbedding`; the loss must take weights, as `soft_supcon` does.

        scores: (N, N, S) between the samples by their index, with 1 between a sample and itself: `Scores.each`, or some
            of its views, for as many spaces as the head has; `Scores.combined[..., None]` for a single one.
        Raises: ValueError unless the head has S spaces, as `SubSpaces`; another one has a single one
        """
        super().__init__(*parts, **options)
        if scores.ndim != 3 or scores.shape[0] != scores.shape[1]:
            raise ValueError(f"scores must have shape (N, N, S), got {tuple(scores.shape)}")
        spaces = getattr(self.head, "spaces", 1)
        if scores.shape[2] != spaces:
            raise ValueError(f"scores must be of {spaces} spaces as the head has, got {scores.shape[2]}")
        self.register_buffer("scores", scores)

    def compare(self, embedded: Embedded) -> Step:
        """The mean loss of the spaces."""
        index, contrast = embedded.index, super().compare
        tables = self.scores[index[:, None], index].unbind(2)
        spaces = embedded.z.chunk(len(tables), 2)
        steps = [
            contrast(embedded._replace(z=z, factors={"weights": table}))
            for z, table in zip(spaces, tables, strict=True)
        ]
        return Step(torch.stack([step.loss for step in steps]).mean(), mean_metrics(steps))


class SemiSupervised(TreeContrast):
    """Half of each batch is labelled, half is not: two losses, added, and no sample is a negative of the other half.

    An unlabelled sample (label -1) has an empty tree, hence is its own positive alone.
    """

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """An epoch is as long as the larger part, but for an incomplete last batch; the smaller part comes again.

        Raises: ValueError for an odd batch size, and for a part that is missing
        """
        if batch_size % 2:
            raise ValueError(f"batch_size must be even, half of it labelled, got {batch_size}")
        labelled = (dataset.labels >= 0).cpu()
        parts = [kind.nonzero()[:, 0] for kind in (labelled, ~labelled)]
        if not all(map(len, parts)):
            raise ValueError(
                f"dataset must hold labelled and unlabelled samples, got {len(parts[0])} and {len(parts[1])}"
            )
        count = max(max(map(len, parts)) * 2 // batch_size, 1) * batch_size // 2

        def drawn(rows: Tensor) -> Tensor:
            rounds = range(-(-count // len(rows)))
            again = [rows[torch.randperm(len(rows), generator=generator, device="cpu")] for _ in rounds]
            return torch.cat(again)[:count]

        return torch.stack([drawn(rows) for rows in parts], 1).flatten()

    def compare(self, embedded: Embedded) -> Step:
        """The losses of both halves, added."""
        order = (embedded.labels < 0).long().argsort(stable=True)  # halves that no device has to count
        contrast = super().compare
        halves = [
            contrast(embedded._replace(z=embedded.z[rows], index=embedded.index[rows])) for rows in order.chunk(2)
        ]
        return Step(halves[0].loss + halves[1].loss, mean_metrics(halves))


def mean_metrics(steps: Sequence[Step]) -> dict[str, Tensor]:
    """The means of what several losses say of themselves."""
    return {name: torch.stack([step.metrics[name] for step in steps]).mean() for name in steps[0].metrics}
