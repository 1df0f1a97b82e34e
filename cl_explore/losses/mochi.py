"""MoCHi: hard negatives mixed from the nearest entries of the queue, and the loss that also sees them."""

from typing import NamedTuple

import torch
from torch import Tensor

from cl_explore.losses.arguments import require, spoiled
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.cross_entropy import cross_entropy
from cl_explore.losses.knob import Scalar
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.unit import unit
from cl_explore.takes import Count, Number, Share, takes


class Mixes(NamedTuple):
    """Which negatives are mixed with what: ranks count from the negative nearest to a query, 0, to `hardest` - 1."""

    hardest: int
    pair_ranks: Tensor  # (2, N, s) int64: the two negatives of each pair mix
    pair_shares: Tensor  # (N, s) in [0, 1): the share of the first
    query_ranks: Tensor  # (N, t) int64: the negative of each query mix
    query_shares: Tensor  # (N, t): the share of the query


@takes
def draw_mixes(
    anchors: Count,
    *,
    hardest: Count,
    pairs: Number,
    queries: Number,
    query_share: Share = 0.5,
    generator: torch.Generator,
) -> Mixes:
    """Draw for each of `anchors` queries the recipe of `pairs` mixes of two of its `hardest` negatives, and of
    `queries` mixes of one of them with the query, whose share is below `query_share`.

    Drawn uniformly on the device of `generator`; a pair may be twice the same negative. Raises `ValueError` for a
    number out of range. Source: Kalantidis et al. 2020, MoCHi(hardest, pairs, queries).
    """
    if pairs + queries == 0:
        raise ValueError("queries must be at least 0, and at least 1 when pairs is 0, got 0")
    device = generator.device
    return Mixes(
        hardest=hardest,
        pair_ranks=torch.randint(hardest, (2, anchors, pairs), generator=generator, device=device),
        pair_shares=torch.rand((anchors, pairs), generator=generator, device=device),
        query_ranks=torch.randint(hardest, (anchors, queries), generator=generator, device=device),
        query_shares=torch.rand((anchors, queries), generator=generator, device=device) * query_share,
    )


@takes
@torch.no_grad()
def mix_hard_negatives(query: Tensor, queue: Tensor, mixes: Mixes) -> Tensor:
    """Synthetic negatives of unit length, (N, s + t, D), without a gradient: the pair mixes, then the query mixes.

    query (N, D), queue (K, D), both of any length; computed in float32 or better. Source: Kalantidis et al. 2020.
    Raises `ValueError` if the queue holds fewer than `mixes.hardest` negatives or there is not one recipe per query.

    >>> query, queue = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0], [0.6, 0.8]])
    >>> none = torch.zeros(1, 0)
    >>> recipe = Mixes(2, none.long().expand(2, 1, 0), none, torch.tensor([[0]]), torch.tensor([[0.5]]))
    >>> mix_hard_negatives(query, queue, recipe)  # half way from (0.6, 0.8), the nearest, to the query
    tensor([[[0.8944, 0.4472]]])
    """
    require(query=(query, "N D"), queue=(queue, "K D"))
    if mixes.hardest > len(queue):
        raise ValueError(f"queue must hold at least hardest = {mixes.hardest} negatives, got {len(queue)}")
    if len(mixes.pair_shares) != len(query):
        raise ValueError(
            f"mixes must hold a recipe for each of the {len(query)} rows of query, got {len(mixes.pair_shares)}"
        )
    precise = torch.promote_types(query.dtype, torch.float32)
    q, negatives = unit(query.to(precise)), unit(queue.to(precise))
    nearest = (q @ negatives.T).topk(mixes.hardest, dim=1).indices

    def pick(ranks: Tensor) -> Tensor:
        return negatives[nearest.gather(1, ranks.to(q.device))]

    first, second = pick(mixes.pair_ranks[0]), pick(mixes.pair_ranks[1])
    pairs = torch.lerp(second, first, mixes.pair_shares[..., None].to(q))
    queries = torch.lerp(pick(mixes.query_ranks), q[:, None], mixes.query_shares[..., None].to(q))
    return unit(torch.cat([pairs, queries], dim=1))


@loss(
    title="MoCHi",
    paper="2010.01028",
    family="negatives",
    formula=r"-\log \frac{e^{q_i k_i/\tau}}{e^{q_i k_i/\tau} + \sum_{n \in Q} e^{q_i n/\tau} "
    r"+ \sum_{h \in H_i} e^{q_i h/\tau}}",
    knobs=[TEMPERATURE],
)
def mochi(
    query: Tensor,
    key: Tensor,
    queue: Tensor | None = None,
    synthetic: Tensor | None = None,
    *,
    temperature: Scalar = 0.2,
) -> Parts:
    """Contrast with a queue and with synthetic negatives that are harder than what the queue holds.

    query: (N, D)
    key: (N, D), row i the positive of row i of `query`
    queue: (K, D); without it the other rows of `key` are the negatives
    synthetic: (N, S, D) those of each query, see `mix_hard_negatives`; without them the loss is MoCo's
    Parts: `loss` (N,), `real` (N,) the loss before synthesis, never above it, `positive` (N,) cosine with the positive,
        `harder` (N,) the cosine of the hardest synthetic negative, where there are any
    Source: Kalantidis et al. 2020
    Collapsed: log(1 + K + S), without a queue log(N + S)

    >>> query, queue = torch.eye(4)[:2], torch.eye(4)
    >>> recipe = draw_mixes(2, hardest=3, pairs=2, queries=2, generator=torch.Generator().manual_seed(0))
    >>> parts = mochi.parts(query, query, queue, mix_hard_negatives(query, queue, recipe))
    >>> (parts["loss"] > parts["real"]).all()
    tensor(True)
    """
    if queue is None and len(key) < 2:
        raise ValueError("key must have at least 2 rows to hold in-batch negatives, got 1 (or give a queue)")
    scale = 1 / temperature
    positive = (query * key).sum(-1)
    pull = scale * positive
    negatives = row_lse(query, key, scale, exclude=["self"]) if queue is None else row_lse(query, queue, scale)
    real = cross_entropy(pull, negatives)
    if synthetic is None:
        return {"loss": real, "real": real, "positive": positive}
    cosine = torch.einsum("nd,nsd->ns", query, synthetic)
    each = cross_entropy(pull, torch.logaddexp(negatives, (cosine * scale[..., None]).logsumexp(1)))
    return {"loss": spoiled(each, cosine.sum(1)), "real": real, "positive": positive, "harder": cosine.amax(1)}
