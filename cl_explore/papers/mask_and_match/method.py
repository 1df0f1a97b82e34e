"""Mask & Match: match the cells of two views of a picture while more and more blocks of one of them are hidden.

The paper's abstract says which parts there are: a global and a local contrast, then attention under masks that grow.
Their equations are a reconstruction, as are all numbers; the decoder that writes LaTeX at the end is left out.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.losses.unit import unit
from cl_explore.methods import Augment, Step
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import Skeleton
from cl_explore.names import unknown
from cl_explore.takes import Amount, Count, Positive, Share, takes
from cl_explore.views.base import uniform

Negatives = Literal["same_image", "batch"]
Schedule = Literal["constant", "linear", "cosine", "steps"]
Anchors = Literal["ink", "all"]
INK = 0.05
"""Mean grey of a cell, of 1, above which it holds ink."""


@takes
def local_contrast(
    cells: Tensor, weight: Tensor | None = None, *, temperature: Positive = 0.2, negatives: Negatives = "same_image"
) -> Tensor:
    """InfoNCE both ways between the cells of two views: each finds its own place among all places, a scalar.

    cells: (B, 2, P, D) of P places
    weight: (B, P), 0 or more, how much a place counts as an anchor, of either view; without it all count alike. Those
        of weight 0 are negatives all the same. If none counts, the loss is 0
    negatives: the places of the same image, or those of the whole batch ("batch")
    Source: a reconstruction; the abstract speaks of a local contrastive loss
    Collapsed: log P, or log(B P) for those of the batch
    Raises: ValueError for shapes that do not fit

    >>> local_contrast(torch.ones(3, 2, 8, 4)).exp().round()
    tensor(8.)
    """
    if cells.ndim != 4 or cells.shape[1] != 2:
        raise ValueError(f"cells must have shape (B, 2, P, D), got {tuple(cells.shape)}")
    samples, _, places, _ = cells.shape
    weight = cells.new_ones(samples, places) if weight is None else weight
    if weight.shape != (samples, places):
        raise ValueError(f"weight must have shape ({samples}, {places}), got {tuple(weight.shape)}")
    u, v = unit(cells).unbind(1)
    if negatives == "batch":
        u, v, weight = (one.flatten(0, 1)[None] for one in (u, v, weight))
    similarity = u @ v.mT / temperature
    there, back = (similarity.log_softmax(side).diagonal(dim1=1, dim2=2) for side in (2, 1))
    return -(weight * (there + back)).sum() / (2 * weight.sum()).clamp(min=torch.finfo(cells.dtype).tiny)


@takes
def mask_ratio(progress: Tensor, schedule: Schedule = "linear", first: Share = 0.0, last: Share = 0.6) -> Tensor:
    """How much of a picture is hidden where a training stands at `progress`, of no dimension and in [0, 1].

    schedule: from `first` to `last` in a straight line, along half a cosine, or in four steps; or always `last`

    >>> [round(mask_ratio(torch.tensor(0.5), way).item(), 2) for way in ("constant", "linear", "cosine", "steps")]
    [0.6, 0.3, 0.3, 0.4]
    """
    way = {
        "constant": torch.ones_like,
        "linear": lambda t: t,
        "cosine": lambda t: (1 - (math.pi * t).cos()) / 2,
        "steps": lambda t: (4 * t).floor().clamp(max=3) / 3,
    }
    if schedule not in way:
        raise unknown("schedule", schedule, way)
    return first + (last - first) * way[schedule](progress.clamp(0, 1))


@takes
def hide_blocks(
    x: Tensor, ratio: Share | Tensor, generator: torch.Generator, block: Count = 4
) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, H, W) in which square blocks are 0, each with probability `ratio`, and where: (N, H, W), bool.

    Where the background is 0, too, a block without ink changes nothing: less than `ratio` of the ink is hidden then.
    block: side in pixels; those at the right and at the lower edge may be cut

    >>> hide_blocks(torch.ones(1, 1, 8, 8), 1.0, torch.Generator())[0].sum()
    tensor(0.)
    """
    height, width = x.shape[-2:]
    drawn = uniform(generator, x, len(x), -(-height // block), -(-width // block)) < ratio
    hidden = drawn.repeat_interleave(block, 1).repeat_interleave(block, 2)[:, :height, :width]
    return x.masked_fill(hidden[:, None], 0), hidden


class AttentionPool(nn.Module):
    """The mean over the cells of a grid with learned weights, a = softmax(w . tanh(W F)); maps (N, F, h, w) to (N, F).

    w starts as 0, where all cells have the same weight. Source: a reconstruction.
    """

    @takes
    def __init__(self, features: Count, hidden: Count = 32) -> None:
        """features: F; hidden: rows of W."""
        super().__init__()
        self.inner, self.outer = nn.Linear(features, hidden), nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.outer.weight)

    def logits(self, grid: Tensor) -> Tensor:
        """w . tanh(W F) of each cell: (N, P) of a grid (N, F, h, w), P = h w."""
        return self.outer(self.inner(grid.flatten(2).mT).tanh()).squeeze(2)

    def forward(self, grid: Tensor) -> Tensor:
        return (grid.flatten(2) * self.logits(grid).softmax(1)[:, None]).sum(2)


class GridEncoder(nn.Module):
    """An encoder that keeps places: `grid` maps pictures to cells (N, F, h, w), `pool` these to h (N, F)."""

    def __init__(self, grid: nn.Module, pool: nn.Module, out_features: int) -> None:
        super().__init__()
        self.grid, self.pool, self.out_features = grid, pool, out_features

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.grid(x))


class MaskAndMatch(Skeleton):
    """A contrast of whole pictures and of their cells, in which more and more blocks of the first view are hidden.

    With a grid whose weights are frozen, a pool that attends and local_weight 0 it is the paper's second stage. Views
    must keep places. Where several processes train together, the loss of whole pictures is of the joined batch, that of
    cells of each process's share. Its state is the number of steps done, by which the masks grow.
    """

    done: Tensor

    @takes
    def __init__(
        self,
        encoder: GridEncoder,
        head: nn.Module,
        loss: str | losses.Loss | nn.Module,
        augment: Augment,
        *,
        steps: Count,
        local_weight: Amount = 1.0,
        local_temperature: Positive = 0.2,
        negatives: Negatives = "same_image",
        anchors: Anchors = "ink",
        schedule: Schedule = "linear",
        first: Share = 0.0,
        last: Share = 0.6,
        block: Count = 4,
        entropy_weight: Amount = 0.01,
        local_features: Count = 32,
        **options: Any,
    ) -> None:
        """loss, options: see `Skeleton`; the loss is that of whole pictures, such as "nt_xent".

        steps: of the whole training, after which `last` of a picture is hidden
        local_weight, local_temperature, negatives: of `local_contrast`
        anchors: the cells that count in it, of those that are not hidden: only where there is ink, or all of them
        schedule, first, last, block: see `mask_ratio` and `hide_blocks`
        entropy_weight: of the entropy of the attention, in nats, if the encoder's pool has any
        local_features: of the linear map of each cell that is compared
        """
        super().__init__(encoder, head, loss, augment, 2, **options)
        self.local = nn.Linear(encoder.out_features, local_features)
        self.steps, self.local_weight, self.local_temperature = steps, local_weight, local_temperature
        self.negatives, self.anchors, self.entropy_weight = negatives, anchors, entropy_weight
        self.schedule, self.first, self.last, self.block = schedule, first, last, block
        self.register_buffer("done", torch.zeros(()))

    def ratio(self) -> Tensor:
        """How much is hidden at this step."""
        return mask_ratio(self.done / self.steps, self.schedule, self.first, self.last)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Its metrics are those of the loss of whole pictures, `local`, and of attention its `entropy` in nats."""
        assert isinstance(self.encoder, GridEncoder)
        views = self.draw_views(batch.x, generator)
        assert isinstance(views, Tensor)
        hidden = torch.zeros_like(views[:, 0, 0], dtype=torch.bool)
        if self.first or self.last:
            masked, hidden = hide_blocks(views[:, 0], self.ratio(), generator, self.block)
            views = torch.stack([masked, views[:, 1]], 1)
        grid = self.encoder.grid(views.flatten(0, 1))
        h = self.encoder.pool(grid)
        z, labels, index = gather(self.project(h).unflatten(0, (-1, 2)), batch.labels, batch.index)
        found = self.compare(Embedded(z, labels, index, {}, h.unflatten(0, (-1, 2)), views, generator))
        loss, metrics = found
        if self.local_weight:
            cells = self.local(grid.flatten(2).mT).unflatten(0, (-1, 2))
            weight = self.weight(batch.x, hidden, grid.shape[-2:])
            local = local_contrast(cells, weight, temperature=self.local_temperature, negatives=self.negatives)
            loss, metrics = loss + self.local_weight * local, metrics | {"local": local.detach()}
        if isinstance(self.encoder.pool, AttentionPool):
            logits = self.encoder.pool.logits(grid)
            entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
            loss, metrics = loss + self.entropy_weight * entropy, metrics | {"entropy": entropy.detach()}
        return Step(loss, metrics)

    def weight(self, x: Tensor, hidden: Tensor, shape: tuple[int, int] | torch.Size) -> Tensor:
        """1 for cells that count as anchors, else 0: (B, P), of pictures x (B, C, H, W) and pixels hidden (B, H, W)."""
        seen = F.adaptive_max_pool2d(hidden[:, None].to(x.dtype), (shape[0], shape[1])) == 0
        if self.anchors == "ink":
            seen = seen & inked(x, shape)[:, None]
        return seen.flatten(1).to(x.dtype)

    def after_step(self) -> None:
        self.done += 1

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, steps={self.steps}, local_weight={self.local_weight}, anchors={self.anchors!r}, "
            f"schedule={self.schedule!r}, first={self.first}, last={self.last}, block={self.block}"
        )


def inked(x: Tensor, shape: tuple[int, int] | torch.Size) -> Tensor:
    """Which cells of pictures (N, C, H, W), as many as `shape` says, hold ink: (N, h, w), bool."""
    return F.adaptive_avg_pool2d(x.mean(1, keepdim=True), (shape[0], shape[1]))[:, 0] > INK
