"""SCGC: an encoder without a graph, trained so that nodes which influence each other share a direction."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data import Batch, Dataset
from cl_explore.methods import Augment, JointEmbedding, Step
from cl_explore.methods.autoencoder import restored
from cl_explore.methods.method import Embedded
from cl_explore.nn import MLP

DIMENSIONS = 10
"""Of the embedding."""


def influence(edges: Tensor, nodes: int, order: int, *, cumulative: bool = True) -> Tensor:
    """How much node j influences node i over a graph, as weights (N, N) in float64.

    edges: (2, E), of either direction; each node is joined with itself too
    order: R, the longest walk that counts
    cumulative: A + A^2 + ... + A^R, whose rows sum to R (SCGC*); if False A^R alone, whose rows sum to 1 (SCGC)
    Source: the authors' code, A the symmetric adjacency with self-loops, divided by its row sums
    Raises: ValueError if order is below 1
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}")
    own = torch.arange(nodes, device=edges.device).expand(2, -1)
    ends = torch.cat([edges, edges.flip(0), own], dim=1)
    ends = ends.unique(dim=1)
    chance = 1 / torch.bincount(ends[0])[ends[0]].double()
    step = torch.sparse_coo_tensor(ends, chance, (nodes, nodes), check_invariants=True)
    power = step.to_dense()
    total = power.clone()
    for _ in range(order - 1):
        power = step @ power
        total += power
    return total if cumulative else power


def soft_clusters(z: Tensor, centres: Tensor, freedom: float = 1.0) -> Tensor:
    """Shares q (N, K) of clusters in each point, by Student's t-distribution about their centres.

    z: (N, D); centres: (K, D)
    freedom: degrees of freedom v, q proportional to (1 + |z - mu|^2 / v)^(-(v + 1) / 2)
    """
    distance = (z[:, None] - centres).square().sum(2)
    return (-(freedom + 1) / 2 * (distance / freedom).log1p()).softmax(1)


def target(q: Tensor) -> Tensor:
    """What sharpens shares q (N, K): q^2 over the size of the cluster, rows summing to 1; carries no gradient."""
    squared = q.detach().square() / q.detach().sum(0)
    return squared / squared.sum(1, keepdim=True)


def cluster_divergence(q: Tensor) -> Tensor:
    """KL(p || q) from shares q (N, K) to their target p: summed over clusters, mean over points, a scalar."""
    return F.kl_div(q.log(), target(q), reduction="batchmean")


class SCGC(JointEmbedding):
    """Contrast with the weights of a graph, and clusters that sharpen themselves; a decoder may hold the features.

    The loss is alpha times that of the graph, beta times the divergence of clusters from their target, and the error
    of the decoder if there is one. The graph is needed in training only: its nodes are found by their `index`. The
    batch may be the whole graph, or some of its nodes, between which the weights are cut.
    """

    serves = JointEmbedding.serves | {"weights"}
    edges: Tensor
    weights: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss,
        augment: Augment,
        *,
        graph: Dataset,
        centres: Tensor,
        order: int,
        cumulative: bool = True,
        alpha: float = 4.0,
        beta: float = 0.1,
        decoder: nn.Module | None = None,
        **knobs: Any,
    ) -> None:
        """What SCGC has beside a loss.

        graph: whose edges are meant, and whose rows count as the index.
        centres: (K, D), where the clusters start.
        order, cumulative: of `influence`.
        decoder: maps h to x; None for the form with half the parameters (TRIM).
        """
        super().__init__(encoder, head, loss, augment, n_views=1, **knobs)
        self.order, self.cumulative, self.alpha, self.beta, self.decoder = order, cumulative, alpha, beta, decoder
        self.centres = nn.Parameter(centres.clone())
        edges = torch.empty(2, 0, dtype=torch.int64) if graph.edges is None else graph.edges
        weights = influence(edges, len(graph), order, cumulative=cumulative)
        self.register_buffer("edges", edges)
        self.register_buffer("weights", weights.float(), persistent=False)  # edges and order say all of it

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The three terms, each of the joined batch; `contrast`, `clusters` and `restored` are metrics."""
        embedded = self.embed_views(batch, generator)
        contrast, metrics = self.compare(embedded)
        clusters = cluster_divergence(self.shares(embedded.z[:, 0]))
        terms = {"contrast": (self.alpha, contrast), "clusters": (self.beta, clusters)}
        if self.decoder is not None:
            terms["restored"] = (1.0, restored(self.decoder, embedded.h, batch.x))
        total = torch.stack([weight * term for weight, term in terms.values()]).sum()
        return Step(total, metrics | {name: term.detach() for name, (_, term) in terms.items()})

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        if need == "weights":
            return self.weights[embedded.index][:, embedded.index]
        return super().provide(need, embedded)

    def shares(self, z: Tensor) -> Tensor:
        """The clusters' shares (N, K) in z (N, D); the largest is the method's own answer."""
        return soft_clusters(z, self.centres)

    def extra_repr(self) -> str:
        own = f"order={self.order}, cumulative={self.cumulative}, alpha={self.alpha}, beta={self.beta}"
        return f"{super().extra_repr()}, {own}"


def networks(graph: Dataset, width: int) -> tuple[MLP, MLP]:
    """Encoder and decoder of the authors' shape, F-w-w-4w-10 and back; theirs has w = 500."""
    sizes = [graph.x.shape[1], width, width, 4 * width, DIMENSIONS]
    return MLP(sizes, batch_norm=False), MLP(sizes[::-1], batch_norm=False)


def start(z: Tensor, clusters: int) -> Tensor:
    """Centres (K, D) of the best of 20 runs of k-means on z (N, D)."""
    from sklearn.cluster import KMeans  # takes a second, which those who only look need not wait

    return torch.from_numpy(KMeans(clusters, n_init=20, random_state=0).fit(z.numpy()).cluster_centers_).float()
