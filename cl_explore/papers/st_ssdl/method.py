"""ST-SSDL: a forecaster that reads how far the present is from the past, through prototypes."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from cl_explore.data import Batch
from cl_explore.data.batch import Samples
from cl_explore.losses.deviation import terms
from cl_explore.methods import Augment, Skeleton, Step
from cl_explore.nn import MLP
from cl_explore.takes import Count, Positive, takes

Read = Literal["window", "history", "prototypes"]
"""What a forecast is made of: the window alone, the window and its anchor, or both and their prototypes."""
HIDDEN, TIME = 24, 4


def chebyshev(graph: Tensor, order: int) -> list[Tensor]:
    """The polynomials of order 1 to `order` - 1 of graphs (..., S, S); the one of order 0 is the identity."""
    found = [torch.eye(graph.shape[-1], dtype=graph.dtype, device=graph.device).expand_as(graph), graph]
    while len(found) < order:
        found.append(2 * graph @ found[-1] - found[-2])
    return found[1:order]


def normalised(graph: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of weights (S, S) between sensors; a sensor without any keeps none."""
    scale = graph.sum(1).clamp(min=1e-12).rsqrt()
    return scale[:, None] * graph * scale


class GraphCell(nn.Module):
    """One step of a GRU whose linear maps read each sensor and, through `hops`, its neighbours."""

    @takes
    def __init__(self, inputs: Count, hidden: Count, order: Count) -> None:
        """order: of the Chebyshev polynomials; 1 reads no neighbour."""
        super().__init__()
        self.gates = nn.Linear((inputs + hidden) * order, 2 * hidden)
        self.candidate = nn.Linear((inputs + hidden) * order, hidden)

    def forward(self, x: Tensor, h: Tensor, hops: Sequence[Tensor]) -> Tensor:
        """The next h (B, S, hidden) of x (B, S, inputs); hops: `order` - 1 matrices (S, S) or (B, S, S)."""

        def spread(*parts: Tensor) -> Tensor:
            joined = torch.cat(parts, -1)
            return torch.cat([joined, *(hop @ joined for hop in hops)], -1)

        keep, reset = self.gates(spread(x, h)).sigmoid().chunk(2, -1)
        return keep * h + (1 - keep) * self.candidate(spread(x, reset * h)).tanh()


class SensorEncoder(nn.Module):
    """A GRU that all sensors share; none sees another."""

    @takes
    def __init__(self, hidden: Count = HIDDEN) -> None:
        super().__init__()
        self.gru, self.out_features = nn.GRU(1, hidden, batch_first=True), hidden

    def forward(self, x: Tensor) -> Tensor:
        """The last state (B, S, hidden) of windows (B, S, T)."""
        _, last = self.gru(x.flatten(0, 1)[..., None])
        return last[0].unflatten(0, x.shape[:2])


class GraphEncoder(nn.Module):
    """A graph-GRU on a fixed graph, as in the paper."""

    graph: Tensor

    @takes
    def __init__(self, graph: Tensor, hidden: Count = HIDDEN, order: Count = 3) -> None:
        """graph: weights (S, S) between sensors, which are normalised here."""
        super().__init__()
        self.register_buffer("graph", normalised(graph))
        self.cell, self.order, self.out_features = GraphCell(1, hidden, order), order, hidden

    def forward(self, x: Tensor) -> Tensor:
        """The last state (B, S, hidden) of windows (B, S, T)."""
        h = x.new_zeros(*x.shape[:2], self.out_features)
        hops = chebyshev(self.graph, self.order)
        for step in x.unbind(2):
            h = self.cell(step[..., None], h, hops)
        return h


class SensorDecoder(nn.Module):
    """All steps at once by an MLP, each sensor for itself."""

    def __init__(self, features: int, start: int, horizon: int) -> None:
        super().__init__()
        self.layers, self.horizon = MLP([features + TIME, 64, horizon], batch_norm=False), horizon

    def forward(self, state: Tensor, time: Tensor, future: Tensor | None, generator: Generator | None) -> Tensor:
        """The forecast (B, S, horizon) of state (B, S, features) and time (B, 4); future and generator go unused."""
        joined = torch.cat([state, time[:, None].expand(-1, state.shape[1], -1)], -1)
        return self.layers(joined.flatten(0, 1)).unflatten(0, state.shape[:2])


class GraphDecoder(nn.Module):
    """A graph-GRU that goes on from the first `start` features, on a graph made of each batch, as in the paper.

    While it trains, the whole batch is now and then given the true last value instead of its own (scheduled sampling).
    """

    steps: Tensor

    @takes
    def __init__(self, features: Count, start: Count, horizon: Count, *, order: Count = 3, size: Count = 8,
                 decay: Positive = 2000.0) -> None:  # fmt: skip
        """size: of the embedding of a sensor that the graph is made of; decay: steps over which true values fade."""
        super().__init__()
        self.embed = nn.Linear(features, size)
        self.cell, self.value = GraphCell(1 + TIME, start, order), nn.Linear(start, 1)
        self.start, self.horizon, self.order, self.decay = start, horizon, order, decay
        self.register_buffer("steps", torch.zeros(()))

    def graph(self, state: Tensor) -> Tensor:
        """softmax(relu(E Eᵀ)) (B, S, S) of state (B, S, features)."""
        e = self.embed(state)
        return (e @ e.mT).relu().softmax(-1)

    def share(self) -> Tensor:
        """How often a true value is given at present: an inverse sigmoid of the steps taken."""
        return 1 / (1 + (self.steps / self.decay).exp() / self.decay)

    def forward(self, state: Tensor, time: Tensor, future: Tensor | None, generator: Generator | None) -> Tensor:
        """The forecast (B, S, horizon) of state (B, S, features), time (B, 4), and in training the future as well."""
        hops, h = chebyshev(self.graph(state), self.order), state[..., : self.start]
        value, found = torch.zeros_like(h[..., :1]), []
        clock = time[:, None].expand(-1, state.shape[1], -1)
        for step in range(self.horizon):
            h = self.cell(torch.cat([value, clock], -1), h, hops)
            found.append(value := self.value(h))
            if future is not None:
                true = torch.rand((), generator=generator, device=state.device) < self.share()
                value = torch.where(true, future[..., step, None], value)
        if future is not None:
            self.steps += 1
        return torch.cat(found, -1)


class Quantiser(nn.Module):
    """Queries of states, and the mixture of prototypes that attention makes of them."""

    @takes
    def __init__(self, hidden: Count, prototypes: Count = 20, size: Count = 16, *, scaled: bool = False) -> None:
        """scaled: divide products by the root of `size`, as the text is said to do and the authors' code does not."""
        super().__init__()
        self.query = nn.Linear(hidden, size, bias=False)
        self.prototypes = nn.Parameter(nn.init.xavier_normal_(torch.empty(prototypes, size)))
        self.scale = size**-0.5 if scaled else 1.0

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and values (..., size) of states (..., hidden)."""
        q = self.query(h)
        return q, (self.scale * q @ self.prototypes.mT).softmax(-1) @ self.prototypes


class Forecast(NamedTuple):
    """future: (B, S, horizon). queries: (B, S, 2, size), of windows and of their anchors, if there are prototypes."""

    future: Tensor
    queries: Tensor | None


class Forecaster(nn.Module):
    """From windows and anchors to what comes next."""

    def __init__(self, encoder: SensorEncoder | GraphEncoder, decoder: type[SensorDecoder | GraphDecoder], horizon: int,
                 *, read: Read = "prototypes", **quantiser: Any) -> None:  # fmt: skip
        """encoder: of windows and of anchors alike; decoder: made here; quantiser: of `Quantiser`."""
        super().__init__()
        hidden = encoder.out_features
        self.encoder, self.read = encoder, read
        self.quantiser = Quantiser(hidden, **quantiser) if read == "prototypes" else None
        start = hidden + (self.quantiser.query.out_features if self.quantiser else 0)
        self.decoder = decoder(start * (1 if read == "window" else 2), start, horizon)

    def forward(self, x: dict[str, Tensor], generator: Generator | None = None) -> Forecast:
        """The forecast of a batch (see `world.Parts`); a generator is given in training alone."""
        future = None if generator is None else x["future"]
        if self.read == "window":
            return Forecast(self.decoder(self.encoder(x["window"]), x["time"], future, generator), None)
        both = self.encoder(torch.cat([x["window"], x["anchor"]]))
        queries = None
        if self.quantiser is not None:
            q, v = self.quantiser(both)
            both, queries = torch.cat([both, v], -1), torch.stack(q.chunk(2), 2)
        state = torch.cat(both.chunk(2), -1)
        return Forecast(self.decoder(state, x["time"], future, generator), queries)


def masked_mae(forecast: Tensor, future: Tensor, known: Tensor) -> Tensor:
    """The mean absolute error where the future is known (1, else 0), all of one shape; 0 where nothing is."""
    return ((forecast - future).abs() * known).sum() / known.sum().clamp(min=1)


class DeviationLearning(Skeleton):
    """A forecaster trained by its absolute error, and its prototypes by `losses.deviation` besides."""

    serves = Skeleton.serves | {"prototypes"}
    encoder: Forecaster

    @takes
    def __init__(
        self, encoder: Forecaster, head: nn.Module, loss: str, augment: Augment, *, stop_gradient: bool = True,
        **knobs: Any,
    ) -> None:  # fmt: skip
        """What it knows.

        head, augment: unused, as there are no views.
        loss: "deviation", which counts where the forecaster has prototypes.
        stop_gradient: False lets both terms move the queries, too, which then fall together.
        knobs: of `losses.deviation`.
        """
        if loss != "deviation":
            raise ValueError(f"loss must be 'deviation', got {loss!r}")
        super().__init__(encoder, head, loss, augment, **knobs)
        self.stop_gradient = stop_gradient

    def forward(self, x: Samples) -> Tensor:
        """The forecast (B, S horizon) of a batch."""
        return self.encoder(x).future.flatten(1)

    def step(self, batch: Batch, generator: Generator) -> Step:
        """The error, and `contrast` and `gap` of the prototypes; all three are metrics."""
        x = batch.x
        assert isinstance(x, dict)
        found = self.encoder(x, generator)
        error = masked_mae(found.future, x["future"], x["known"])
        metrics = {"error": error.detach()}
        if found.queries is None or self.encoder.quantiser is None:
            return Step(error, metrics)
        z, knobs = found.queries.flatten(0, 1), self.knobs
        z = z.detach() if self.stop_gradient else z
        contrast, gap = (
            each.mean() for each in terms(z, self.encoder.quantiser.prototypes, knobs["margin"], knobs["distance"])
        )
        metrics |= {"contrast": contrast.detach(), "gap": gap.detach()}
        return Step(error + knobs["contrast_weight"] * contrast + knobs["deviation_weight"] * gap, metrics)


def no_views(x: Any, generator: Generator, n_views: int) -> Any:
    """The samples as they come."""
    return x
