"""COMET: what is the same at each of four nested levels of a medical series is contrasted, and the terms are added.

Source: Wang et al. 2023 and the authors' code. The losses are those of the code; they stand here and not in the
catalogue because they compare codes of every step, and because as the authors have it the order of samples matters.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Batch, Dataset
from cl_explore.data.batch import Samples
from cl_explore.data.groups import ranked
from cl_explore.losses.arguments import require
from cl_explore.methods import Method, Step
from cl_explore.methods.gather import gather
from cl_explore.names import unknown
from cl_explore.takes import Amount, Number, Positive, Share, takes
from cl_explore.views import SeriesViews

LEVELS = ("patient", "trial", "sample", "observation")
QUARTERS = dict.fromkeys(LEVELS, 0.25)
IDS = {"patient": "person", "trial": "recording"}
"""The factors of the data set that say whose a sample is."""
IdFactor = Literal["apply", "authors"]


def observation_contrast(z: Tensor, hierarchical: bool = True) -> Tensor:
    """A step of a sample finds itself in the other view, among the other steps of both views; a scalar.

    z: (B, 2, T, C), codes of the steps in two views
    hierarchical: the mean over T, T/2, T/4, ... steps, each the larger of two before; a single step is not contrasted
    Source: the temporal loss of TS2Vec (2106.10466), raw dot products, no temperature
    Collapsed: log(2T - 1) where every code is 0 (not hierarchical)
    Raises: ValueError for another shape, or fewer than 2 steps with `hierarchical`
    Note: NT-Xent of each sample by itself, with T samples and `normalize=False`
    """
    return _over_time(_nt_xent, z, hierarchical)


def sample_contrast(z: Tensor, hierarchical: bool = True) -> Tensor:
    """A sample finds itself in the other view at each step, among the other samples of both views; a scalar.

    z: (B, 2, T, C), codes of the steps in two views
    hierarchical: as in `observation_contrast`
    Source: the instance-wise loss of TS2Vec, raw dot products, no temperature
    Collapsed: log(2B - 1) where every code is 0
    Raises: as `observation_contrast`
    Note: `observation_contrast` with samples and steps exchanged
    """
    return _over_time(lambda codes: _nt_xent(codes.transpose(0, 2)), z, hierarchical)


def id_contrast(z: Tensor, ids: Tensor, temperature: float = 0.1, symmetric: bool = False) -> Tensor:
    """A sample finds the other samples of its patient or trial in the other view, among all samples; a scalar.

    z: (B, 2, T, C), codes of the steps in two views; each channel is normalised over time, then all are one vector
    ids: (B,) int64, of patients or of trials
    symmetric: every sample is an anchor; as the authors have it, only the lower index of a pair is
    Source: the authors' `id_contrastive_loss`
    Collapsed: log B
    Raises: ValueError or TypeError for other shapes and types
    Note: Mean over pairs, so m samples of one id count m (m - 1) / 2 times; a sample's own second view stands in the
        denominator and is never a positive. 0, with a graph, where no two ids are equal. Since steps are not pooled,
        the same beat at another phase is something else.
    """
    require(z=(z, "B V T C"), ids=(ids, "ids B"))
    first, second = F.normalize(F.normalize(z, dim=2).flatten(2), dim=2).unbind(1)
    logits = first @ second.T / temperature
    pairs = (ids[:, None] == ids).fill_diagonal_(False)
    pairs = pairs if symmetric else pairs.triu()
    each = -(logits.log_softmax(1) + logits.T.log_softmax(1)) / 2
    return (each * pairs).sum() / pairs.sum().clamp(min=1)


def hidden_steps(count: int, steps: int, generator: torch.Generator, blocks: int = 5, share: float = 0.1) -> Tensor:
    """Which steps are hidden, (count, steps) bool: `blocks` stretches of a `share` of the steps each, anywhere."""
    length = max(int(share * steps), 1)
    starts = torch.randint(steps - length + 1, (count, blocks, 1), generator=generator, device=generator.device)
    away = torch.arange(steps, device=generator.device) - starts
    return ((away >= 0) & (away < length)).any(1)


class COMET(Method):
    """Four levels of sameness, each with views of its own: two passes through the encoder for each level in use.

    Views of patient and trial differ by the encoder's dropout alone; those of sample and observation have steps hidden
    besides. The encoder that is kept is the equal-weight average of all iterates (stochastic weight averaging), and the
    representation of a sample the largest value of each channel over time.
    """

    passed: Tensor

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        *,
        weights: Mapping[str, Amount] = QUARTERS,
        together: str = "recording",
        temperature: Positive = 0.1,
        blocks: Number = 5,
        block: Share = 0.1,
        id_factor: IdFactor = "apply",
        id_symmetric: bool = False,
        average: bool = True,
    ) -> None:
        """What is contrasted.

        encoder: from x (N, channels, T), and hidden steps (N, T) or None, to codes (N, T, C); see `nn.DilatedNet`.
        weights: of the levels; those left out are 0.
        together: the factor whose samples stay side by side when batches are drawn, so that they meet.
        temperature: of patient and trial.
        blocks, block: how many stretches are hidden from sample and observation, and each one's share of the steps.
        id_factor: "apply" multiplies patient and trial by their weights, as the formula says; "authors" counts any
            weight but 0 as 1, as their code does.
        id_symmetric: see `id_contrast`.
        average: keep the average of all iterates; otherwise the last one.

        Raises ValueError for an unknown level, weights that are all 0 and an unknown id_factor.
        """
        for level in weights:
            if level not in LEVELS:
                raise unknown("level", level, LEVELS)
        if not any(weights.values()):
            raise ValueError(f"weights must be above 0 for one level at least, got {dict(weights)}")
        super().__init__(encoder, nn.Identity(), SeriesViews(scale=0, jitter=0))
        self.weights = {level: float(weights.get(level, 0)) for level in LEVELS}
        self.together, self.temperature = together, temperature
        self.blocks, self.block, self.id_factor, self.id_symmetric = blocks, block, id_factor, id_symmetric
        self.averaged = copy.deepcopy(encoder).requires_grad_(False) if average else None
        self.register_buffer("passed", torch.zeros(()))

    def forward(self, x: Samples) -> Tensor:
        """h (N, C) of x (N, channels, T)."""
        return self.codes(x).amax(1)

    def codes(self, x: Samples, hidden: Tensor | None = None) -> Tensor:
        """The codes (N, T, C) by the encoder that is kept."""
        return (self.averaged or self.encoder)(x, hidden)

    def draw_order(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> Tensor:
        """Shuffled groups of samples, the samples of each side by side and in random order."""
        _, group = dataset.factors[self.together].cpu().unique(return_inverse=True)
        order = torch.randperm(int(group.max()) + 1, generator=generator, device="cpu")
        return ranked(order[group], generator).rows[: len(dataset) // batch_size * batch_size]

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The weighted sum of the levels, each of which is a metric."""
        x = batch.x
        assert isinstance(x, Tensor)
        used = [level for level in LEVELS if self.weights[level]]
        count, steps = len(x), x.shape[2]
        hidden = [
            torch.zeros(2 * count, steps, dtype=torch.bool, device=x.device)
            if level in IDS
            else hidden_steps(2 * count, steps, generator, self.blocks, self.block)
            for level in used
        ]
        codes = self.encoder(x.repeat(2 * len(used), 1, 1), torch.cat(hidden))
        z = codes.unflatten(0, (len(used), 2, count)).transpose(1, 2).transpose(0, 1)  # (B, levels, 2, T, C)
        z, *ids = gather(z, *(batch.factors[IDS[level]] for level in used if level in IDS))
        terms: dict[str, Tensor] = {}
        for place, level in enumerate(used):
            views = z[:, place]
            if level in IDS:
                terms[level] = id_contrast(views, ids.pop(0), self.temperature, self.id_symmetric)
            else:
                terms[level] = {"sample": sample_contrast, "observation": observation_contrast}[level](views)
        loss = torch.stack([self._weight(level) * term for level, term in terms.items()]).sum()
        return Step(loss, {level: term.detach() for level, term in terms.items()})

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the new iterate into the average."""
        self.passed += 1
        if self.averaged is not None:
            for mean, new in zip(self.averaged.parameters(), self.encoder.parameters(), strict=True):
                mean.lerp_(new, 1 / self.passed)

    def _weight(self, level: str) -> float:
        return 1.0 if level in IDS and self.id_factor == "authors" else self.weights[level]

    def extra_repr(self) -> str:
        return f"weights={self.weights}, id_factor={self.id_factor!r}"


def _over_time(contrast: Callable[[Tensor], Tensor], z: Tensor, hierarchical: bool) -> Tensor:
    require(z=(z, "B V T C"))
    if not hierarchical:
        return contrast(z)
    if z.shape[2] < 2:
        raise ValueError(f"z must have at least 2 steps to be contrasted at several scales, got {z.shape[2]}")
    terms = []
    while (steps := z.shape[2]) > 1:
        terms.append(contrast(z))
        z = z[:, :, : steps // 2 * 2].unflatten(2, (-1, 2)).max(3).values
    return torch.stack(terms).mean()


def _nt_xent(z: Tensor) -> Tensor:
    """NT-Xent of raw dot products within each of G groups, z (G, 2, M, C): the mean over all points."""
    groups, _, members, _ = z.shape
    points = z.flatten(1, 2)
    own = torch.eye(2 * members, dtype=torch.bool, device=z.device)
    logits = (points @ points.mT).masked_fill(own, -torch.inf)
    partner = torch.arange(2 * members, device=z.device).roll(members)
    return F.cross_entropy(logits.flatten(0, 1), partner.repeat(groups))
