"""The queue of embeddings from earlier batches, and the losses against it: MoCo and NNCLR."""

from typing import Literal

import torch
from torch import Tensor, nn

from cl_explore.given import integers
from cl_explore.losses.arguments import spoiled
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy, pair_contrast
from cl_explore.losses.knob import Scalar
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.unit import unit
from cl_explore.takes import Count, Positive, takes


@loss(
    title="MoCo",
    paper="1911.05722",
    family="InfoNCE",
    formula=r"-\log \frac{e^{s(q_i,k_i)/\tau}}{e^{s(q_i,k_i)/\tau} + \sum_j e^{s(q_i,u_j)/\tau}}",
    knobs=[TEMPERATURE],
)
def moco(query: Tensor, key: Tensor, queue: Tensor, *, temperature: Scalar = 0.07) -> Parts:
    """Momentum contrast: the own key against a queue of keys of earlier batches.

    query: (N, D) from the trained encoder
    key: (N, D) from its momentum copy; the other rows are no negatives
    queue: (K, D) earlier keys u_j
    Parts: `loss` (N,), `positive` (N,) the cosine with the own key
    Source: He et al. 2020, equation 1
    Collapsed: log(K + 1)
    Note: Neither key nor queue carries a gradient. `MoCo` is the module that keeps the queue.

    >>> moco(torch.ones(4, 3), torch.ones(4, 3), torch.ones(7, 3)).exp()
    tensor(8.0000)
    """
    key, queue = key.detach(), queue.detach()
    scale = 1 / temperature
    positive = (query * key).sum(-1)
    return {"loss": cross_entropy(scale * positive, row_lse(query, queue, scale)), "positive": positive}


@loss(
    title="NNCLR",
    paper="2104.14548",
    family="InfoNCE",
    formula=r"-\log \frac{e^{s(n_i, p_i)/\tau}}{\sum_j e^{s(n_i, p_j)/\tau}}, \quad"
    r" n_i = \arg\max_{u \in \mathrm{queue}} s(z_i, u)",
    knobs=[TEMPERATURE],
    min_views=2,
    max_views=2,
)
def nnclr(z: Tensor, prediction: Tensor, queue: Tensor, *, temperature: Scalar = 0.1) -> Parts:
    """Nearest-neighbour contrast: the positive is the nearest earlier embedding, a real image and not an augmentation.

    z: (B, 2, D) projections, N = 2 B anchors
    prediction: (B, 2, D) what the predictor makes of them
    queue: (K, D) earlier projections
    Parts: `loss`, `positive` (the cosine of neighbour and prediction) and `neighbour` (the cosine of z and its
        neighbour), each (N,)
    Source: Dwibedi et al. 2021, section 3, as the mean over both views
    Collapsed: log B
    Note: The neighbour of z in one view must be found among the B predictions of the other view. It is a constant: z
        gets no gradient here, only the prediction does. `NNCLR` is the module that keeps the queue.

    >>> z = torch.eye(4)[:, None].expand(4, 2, 4)
    >>> nnclr(z, z, torch.eye(4)) < 1e-3
    tensor(True)
    """
    similarity, nearest = (z @ queue.T).detach().max(-1)
    neighbour, other = queue.detach()[nearest], prediction.flip(1)
    tau = temperature.expand(similarity.numel()).reshape(similarity.shape) if temperature.ndim else temperature
    by_view = [pair_contrast(neighbour[:, v], other[:, v], tau[:, v] if tau.ndim else tau) for v in (0, 1)]
    each, positive = (torch.stack(part, 1).flatten() for part in zip(*by_view, strict=True))
    return {"loss": spoiled(each, similarity.flatten()), "positive": positive, "neighbour": similarity.flatten()}


NOBODY = torch.iinfo(torch.long).max
"""The label of rows that were queued without one, and of the random rows of the start: no class has it."""


class Queue(nn.Module):
    """The last `size` embeddings that were put in, first in, first out; random directions at the start.

    Buffers, all part of the state dict: `rows` (size, *shape) of unit length along the last axis, `labels` (size,)
    int64, `pointer` the place of the oldest row, which the next one overwrites. A shape of two numbers (V, D) keeps the
    views of a sample together. `generator` draws the random directions, on its device.

    >>> queue = Queue(4, 2)
    >>> queue.enqueue(torch.tensor([[3.0, 4.0]]), torch.tensor([7]))
    >>> queue.rows[0], queue.labels[0], queue.pointer
    (tensor([0.6000, 0.8000]), tensor(7), tensor(1))
    """

    rows: Tensor
    labels: Tensor
    pointer: Tensor

    @takes
    def __init__(self, size: Count, *shape: Count, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if not shape:
            raise ValueError("shape must be one number or more, got none")
        device = None if generator is None else generator.device
        start = torch.randn(size, *shape, generator=generator, device=device)
        self.register_buffer("rows", unit(start))
        self.register_buffer("labels", torch.full((size,), NOBODY, device=device))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long, device=device))

    @takes
    @torch.no_grad()
    def enqueue(self, rows: Tensor, labels: Tensor | None = None) -> None:
        """Write rows (n, *shape), any n, brought to unit length, and their labels (n,) over the oldest ones.

        It writes in place: call it after the backward pass of a loss that used `rows`, or give the loss a copy.
        Raises `ValueError` if a shape does not fit.
        """
        size, *shape = self.rows.shape
        if not rows.is_floating_point() or rows.layout != torch.strided:
            raise TypeError(f"rows must be dense and floating point, got {rows.dtype} of {rows.layout}")
        if list(rows.shape[1:]) != shape or rows.ndim == 0:
            needed = ", ".join(map(str, shape))
            raise ValueError(f"rows must have shape (n, {needed}), got {tuple(rows.shape)}")
        if labels is not None and labels.shape != rows.shape[:1]:
            raise ValueError(f"labels must have shape ({len(rows)},), one for each row, got {tuple(labels.shape)}")
        if labels is not None:
            labels = integers(labels, "labels")
        # Of more rows than places only the last `size` would survive, and no place may be written twice below.
        skipped = max(len(rows) - size, 0)
        places = (self.pointer + torch.arange(skipped, len(rows), device=self.rows.device)) % size
        self.rows[places] = unit(rows[skipped:].to(self.rows.dtype))
        self.labels[places] = NOBODY if labels is None else labels[skipped:]
        self.pointer.copy_((self.pointer + len(rows)) % size)

    def extra_repr(self) -> str:
        return f"size={len(self.rows)}, shape={tuple(self.rows.shape[1:])}"


class MoCo(nn.Module):
    """`moco` with its `queue` of `size` unit keys of dimension `dim`, random at first (drawn with `generator`).

    Each call computes the loss against the queue as it stands and only then, while training, writes the new keys over
    the oldest ones: a query never meets its own key among the negatives. A momentum encoder is to be updated before it
    makes the keys.

    >>> criterion = MoCo(size=8, dim=4)
    >>> key = unit(torch.randn(3, 4))
    >>> value = criterion(torch.randn(3, 4), key)
    >>> torch.allclose(criterion.queue.rows[:3], key), int(criterion.queue.pointer)
    (True, 3)
    """

    @takes
    def __init__(
        self,
        size: Count,
        dim: Count,
        *,
        temperature: Positive | nn.Parameter = 0.07,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.temperature, self.queue = temperature, Queue(size, dim, generator=generator)

    def forward(self, query: Tensor, key: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        """The loss of query (N, D) and key (N, D); while training the keys then enter the queue."""
        # A copy: the backward pass still needs the queue that the loss saw.
        value = moco(query, key, self.queue.rows.clone(), temperature=self.temperature, reduction=reduction)
        if self.training:
            self.queue.enqueue(key)
        return value


class NNCLR(nn.Module):
    """`nnclr` with its support set, a `queue` of `size` projections of dimension `dim`, random at first.

    Each call looks the neighbours up in the queue as it stands and only then, while training, writes the first view of
    z over the oldest rows: nobody is its own neighbour within a step.

    >>> criterion = NNCLR(size=8, dim=4)
    >>> z = unit(torch.randn(3, 2, 4))
    >>> value = criterion(z, z)
    >>> torch.allclose(criterion.queue.rows[:3], z[:, 0]), int(criterion.queue.pointer)
    (True, 3)
    """

    @takes
    def __init__(
        self,
        size: Count,
        dim: Count,
        *,
        temperature: Positive | nn.Parameter = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.temperature, self.queue = temperature, Queue(size, dim, generator=generator)

    def forward(self, z: Tensor, prediction: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        """The loss of z (B, 2, D) and prediction (B, 2, D); while training z[:, 0] then enters the queue."""
        value = nnclr(z, prediction, self.queue.rows.clone(), temperature=self.temperature, reduction=reduction)
        if self.training:
            self.queue.enqueue(z[:, 0])
        return value
