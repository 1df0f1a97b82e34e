"""Graphs of how much two pictures are the same, by how they were distorted and by what their features say."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.losses.similarity import distances
from cl_explore.methods import Augment, JointEmbedding, Step
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import width
from cl_explore.nn import MLP

METADATA = {"ref_ref": 0.58, "ref_dist": 0.80, "dist_dist": 0.18}
"""The graphs in which severities grade the edges, with the authors' coefficients."""
COEFFICIENTS = {"structural": 0.60, **METADATA, "knn": 0.21, "transport": 0.37}
"""All six graphs: the paper's figure shows five, without the structural one, which is in the authors' code."""
Curve = Literal["exponential", "reciprocal"]
Weighing = Literal["fixed", "mlp_detached", "mlp"]


class Tuples(NamedTuple):
    """How the pictures of a batch belong together: all contents of a tuple are distorted by the same compositions.

    contents: pictures of a tuple, which stand one after another in the batch.
    scales: views of a content, 2 for full and half resolution.
    compositions: chains of distortions.
    levels: severities of the one distortion of a chain that varies.
    """

    contents: int = 3
    scales: int = 2
    compositions: int = 4
    levels: int = 5

    @property
    def each(self) -> int:
        """Nodes of a content: of each scale the reference and all its distorted versions."""
        return self.scales * (1 + self.compositions * self.levels)


class Nodes(NamedTuple):
    """What is known of N pictures, each (N,): whether two have it in common decides on their edges.

    view: contents and scales of a tuple, the scale its parity. composition, step: -1 for a reference, which has none.
    level: severity of the distortion that varies, from 0 to 4.
    """

    tuple: Tensor
    view: Tensor
    composition: Tensor
    step: Tensor
    level: Tensor


def nodes(tuples: Tuples, level: Tensor) -> Nodes:
    """The nodes of a batch of contents by their levels (B, tuples.each), in the order of the batch.

    Raises: ValueError for levels of another number, or contents that fill no tuple
    """
    contents, scales, compositions, levels = tuples
    if level.ndim != 2 or level.shape[1] != tuples.each or len(level) % contents:
        need = f"(B, {tuples.each}) with B a multiple of {contents}"
        raise ValueError(f"level must have shape {need}, got {tuple(level.shape)}")
    row = torch.arange(len(level), device=level.device)[:, None, None]
    scale = torch.arange(scales, device=level.device)[:, None]
    place = torch.arange(-1, compositions * levels, device=level.device)
    of_reference = place < 0
    shape = (len(level), scales, len(place))
    return Nodes(
        (row // contents).expand(shape).flatten(),
        (row % contents * scales + scale).expand(shape).flatten(),
        (place // levels).masked_fill(of_reference, -1).expand(shape).flatten(),
        (place % levels).masked_fill(of_reference, -1).expand(shape).flatten(),
        level.flatten(),
    )


def closeness(gap: Tensor, rate: float = 3.0, curve: Curve = "exponential") -> Tensor:
    """How much two severities are the same, in (0, 1], by the gap between them, from 0 to 4.

    curve: exp(-rate gap / 4), for which rate 0 is binary; or 1 / (1 + gap / 4), which has no rate.
    Raises: ValueError for a rate below 0 or another curve
    """
    if not rate >= 0:
        raise ValueError(f"rate must be at least 0, got {rate}")
    if curve not in get_args(Curve):
        raise ValueError(f"curve must be 'exponential' or 'reciprocal', got {curve!r}")
    return (-rate * gap / 4).exp() if curve == "exponential" else 1 / (1 + gap / 4)


def by_metadata(of: Nodes, rate: float = 3.0, curve: Curve = "exponential") -> dict[str, Tensor]:
    """The four graphs (N, N) of what the generator of distortions knows, by name; none has a gradient.

    ref_ref: 1 between all references.
    ref_dist: a reference and its own distorted versions, by their level.
    dist_dist: same tuple and composition, any two views and levels, by the gap of these.
    structural: same tuple, composition and step, other views of the same parity (the same scale), 1; none for two.
    """

    def same(column: Tensor) -> Tensor:
        return column[:, None] == column

    graded = closeness((of.level[:, None] - of.level).abs(), rate, curve)
    clean = of.composition < 0
    chain = ~clean & ~clean[:, None] & same(of.tuple) & same(of.composition)
    edges = {
        "ref_ref": clean & clean[:, None],
        "ref_dist": (clean ^ clean[:, None]) & same(of.tuple) & same(of.view),
        "dist_dist": chain,
        "structural": chain & same(of.step) & same(of.view % 2) & ~same(of.view),
    }
    return {name: graded * edge if "dist" in name else edge.to(graded.dtype) for name, edge in edges.items()}


def strongest(graph: Tensor, number: int) -> Tensor:
    """The graph with its largest `number` entries, of equal ones any; the rest are 0."""
    flat = graph.flatten()
    kept = flat.topk(min(number, len(flat))).indices
    return torch.zeros_like(flat).scatter(0, kept, flat[kept]).view_as(graph)


def by_neighbours(h: Tensor, k: int = 31) -> Tensor:
    """The graph (N, N) of the k nearest of h (N, H): 1 / (1 + distance), twice for mutual neighbours. With gradient."""
    apart = distances(h, squared=False)
    own = torch.eye(len(h), dtype=torch.bool, device=h.device)
    near = apart.detach().masked_fill(own, torch.inf).topk(min(k, len(h) - 1), largest=False).indices
    found = torch.zeros_like(apart).scatter(1, near, 1.0) / (1 + apart)
    return found + found.T


class Transport(NamedTuple):
    """Soft places of N nodes among A anchors. graph: (N, N). log_p: (N, A), with gradient. codes: (N, A), without."""

    graph: Tensor
    log_p: Tensor
    codes: Tensor

    def loss(self, structural: Tensor) -> Tensor:
        """What trains the anchors, before its weight: codes q predicted by p of the node itself, and of its pairs.

        structural: (N, N), 1 for the ordered pairs; where there are none their mean is 0
        Returns: -(mean of q_i log p_i + mean of q_i log p_j) / 2, a scalar, over all entries (nodes x anchors)
        """
        own = (self.codes * self.log_p).mean()
        pairs = (structural * (self.codes @ self.log_p.T)).sum()
        return -(own + pairs / (structural.sum().clamp(min=1) * self.codes.shape[1])) / 2


def by_transport(
    h: Tensor, anchors: Tensor, *, kept: int, temperature: float = 0.1, epsilon: float = 0.05, rounds: int = 6
) -> Transport:
    """The graph of nodes that lie alike among anchors, from h (N, H) and anchors (A, H).

    Scores s_ij = mean over anchors of p_ja log p_ia are scaled to [0, 1] over the whole matrix, and the largest `kept`
    remain; s is not symmetric. Codes are those of `losses.sinkhorn`, of logits that are not divided by the temperature.
    """
    logits = F.normalize(h, dim=1) @ anchors.T
    log_p = (logits / temperature).log_softmax(1)
    score = log_p @ log_p.exp().T / len(anchors)
    low, high = score.aminmax()
    codes = losses.sinkhorn(logits.detach(), epsilon, rounds)
    return Transport(strongest((score - low) / (high - low), kept), log_p, codes)


class Weigher(nn.Module):
    """Weights of S graphs that sum to 1, from the number and the sum of the edges of each: a small MLP and a softmax.

    The size of the MLP, and that it sees logarithms, are a reconstruction.
    """

    def __init__(self, graphs: int) -> None:
        super().__init__()
        self.layers = MLP([2 * graphs, 32, graphs], batch_norm=False)

    def forward(self, graphs: Tensor) -> Tensor:
        """(S,) of graphs (S, N, N)."""
        seen = torch.stack([(graphs > 0).to(graphs.dtype).sum((1, 2)), graphs.sum((1, 2))])
        return self.layers(seen.log1p().view(1, -1))[0].softmax(0)


def fused(graphs: Mapping[str, Tensor], coefficients: Mapping[str, float], weights: Tensor | None = None) -> Tensor:
    """The one graph (N, N), symmetric, without edges to oneself: sum of w_s c_s G_s, its upper half mirrored.

    Of a graph that is not symmetric, the lower half plays no part.
    """
    weighed = [coefficient * graphs[name] for name, coefficient in coefficients.items()]
    if weights is not None:
        weighed = [weight * graph for weight, graph in zip(weights, weighed, strict=True)]
    upper = torch.stack(weighed).sum(0).triu(1)
    return upper + upper.T


class Shamisa(JointEmbedding):
    """`losses.shamisa` of a batch's tuples of distorted pictures, whose graph is fused from up to six.

    Its views are the pictures with their levels, as `world.Distorted` makes them; the batch size is a multiple of the
    contents of a tuple. The halves of the loss's statistics are those of the batch. Metrics: the loss's parts and
    `transport`.
    Source: Naseri and Wang 2026, the authors' code
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str | losses.Loss,
        augment: Augment,
        n_views: int,
        *,
        tuples: Tuples,
        coefficients: Mapping[str, float] = COEFFICIENTS,
        rate: float = 3.0,
        curve: Curve = "exponential",
        graded: bool = True,
        kept: int | None = 4096,
        neighbours: int = 31,
        anchors: int = 32,
        transport_weight: float = 0.49,
        weighing: Weighing = "fixed",
        **knobs: Any,
    ) -> None:
        """What decides the graph.

        encoder: to h of unit length, as in the paper. loss: "shamisa"; knobs: its own.
        coefficients: of the graphs that are used, of those of COEFFICIENTS.
        rate, curve: of `closeness`.
        graded: False gives every edge of the fused graph weight 1, even one of hardly any (the ablation A1).
        kept: edges of dist_dist that are kept, the strongest of the whole batch; None for all.
        neighbours, anchors: of the graphs of features, the second of which keeps 8 N edges.
        weighing: "mlp_detached" is the authors' setting, in which no gradient reaches the MLP, which so stays random.
        Raises: ValueError for an unknown graph, curve or weighing, or a rate below 0
        """
        super().__init__(encoder, head, loss, augment, n_views, **knobs)
        if unknown := sorted(coefficients.keys() - COEFFICIENTS.keys()):
            raise ValueError(f"coefficients must be of {', '.join(COEFFICIENTS)}, got {', '.join(unknown)}")
        if weighing not in get_args(Weighing):
            raise ValueError(f"weighing must be one of {', '.join(get_args(Weighing))}, got {weighing!r}")
        closeness(torch.zeros(1), rate, curve)
        self.tuples, self.coefficients, self.rate, self.curve = tuples, dict(coefficients), rate, curve
        self.graded, self.kept, self.neighbours, self.transport_weight = graded, kept, neighbours, transport_weight
        self.weighing = weighing
        if weighing != "fixed":
            self.weigher = Weigher(len(coefficients))
        if "transport" in coefficients:
            self.directions = nn.Parameter(torch.randn(anchors, width(encoder)))
            self.lengths = nn.Parameter(torch.ones(anchors, 1))

    serves = JointEmbedding.serves | {"weights"}

    def embed(self, views: Any) -> tuple[Any, Tensor]:
        """As `Method.embed`, of the pictures."""
        return super().embed(views["picture"])

    def relate(self, h: Tensor, of: Nodes) -> tuple[Tensor, Tensor]:
        """The graph (N, N) of nodes with features h (N, H), and the loss of its anchors, a scalar."""
        graphs = by_metadata(of, self.rate, self.curve)
        anchored = h.new_zeros(())
        if self.kept is not None:
            graphs["dist_dist"] = strongest(graphs["dist_dist"], self.kept)
        if "knn" in self.coefficients:
            graphs["knn"] = by_neighbours(h, self.neighbours)
        if "transport" in self.coefficients:
            anchors = self.lengths * F.normalize(self.directions, dim=1)
            found = by_transport(h, anchors, kept=8 * len(h))
            graphs["transport"], anchored = found.graph, self.transport_weight * found.loss(graphs["structural"])
        weights = None
        if self.weighing != "fixed":
            weights = self.weigher(torch.stack([graphs[name] for name in self.coefficients]))
            weights = weights.detach() if self.weighing == "mlp_detached" else weights
        graph = fused(graphs, self.coefficients, weights)
        return graph if self.graded else (graph > 0).to(graph.dtype), anchored

    def compare(self, embedded: Embedded) -> Step:
        """The loss of an embedded batch, with twice that of the anchors under the weight of the invariance."""
        h, level = gather(embedded.h, embedded.views["level"])
        graph, anchored = self.relate(h.flatten(0, 1), nodes(self.tuples, level))
        metrics = losses.means(losses.shamisa.parts(embedded.z.flatten(0, 1), graph, **self.knobs))
        loss = metrics.pop("loss") + 2 * self.knobs["invariance"] * anchored
        return Step(loss, {name: mean.detach() for name, mean in {**metrics, "transport": anchored}.items()})


class Unit(nn.Module):
    """Features (N, H) at unit length, with which the paper's encoder ends."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out_features = features

    def forward(self, h: Tensor) -> Tensor:
        return F.normalize(h, dim=1)
