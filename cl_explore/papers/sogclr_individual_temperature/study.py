"""Individual temperatures (iSogCLR, Qiu et al. 2023): on a long tail, frequent classes learn larger temperatures."""

from dataclasses import replace
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from cl_explore import data, losses
from cl_explore.claims.figures import curves
from cl_explore.claims.setting import build, embed_views, measures, splits, weak_views
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Batch, Dataset
from cl_explore.methods import Method, Step
from cl_explore.papers.sogclr_individual_temperature import PAPER
from cl_explore.train import fit

RADII = (0.2, 0.4, 0.8)
CORRELATION, PER_SAMPLE, MEAN = "Spearman of class size and τ", "Spearman over samples", "mean τ"
GAP = "largest |KL − ρ| inside the bounds"
FROZEN = "iSogCLR ρ=0.2, temperatures alone go on"


class GlobalContrast(Method):
    """SimCLR's two views with a loss that keeps a number for each sample: `state` is `SogCLR` or `ISogCLR`."""

    def __init__(self, state: losses.SogCLR | losses.ISogCLR, *parts: Any) -> None:
        super().__init__(*parts)
        self.state = state

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        views = self.augment(batch.x, generator, 2)
        z = self.project(self(views.flatten(0, 1))).unflatten(0, views.shape[:2])
        return Step(self.state(z, batch.index), {})

    def extra_repr(self) -> str:
        return f"state={vars(self.state).get('knobs')}, augment={self.augment!r}"


def cut_long(dataset: Dataset, ratio: float, seed: int) -> Dataset:
    """`data.long_tail` with the classes in an order drawn by `seed`: else size and class would be one."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.randperm(dataset.num_classes, generator=generator)
    cut = data.long_tail(replace(dataset, labels=place[dataset.labels]), ratio, generator)
    return replace(cut, labels=place.argsort()[cut.labels])


def settle(state: losses.ISogCLR, z: Tensor, index: Tensor, rounds: int = 400) -> float:
    """Train the temperatures alone, on embeddings z (N, 2, D) that stay, and return how far the weights of a sample's
    negatives end from carrying rho nats, at most, among the temperatures inside their bounds."""
    state.train()
    state.knobs["gamma"] = 1.0
    for _ in range(rounds):
        state(z, index)
    tau = state.temperature[index]
    parts = losses.isogclr.parts(z, temperature=tau.repeat_interleave(2), rho=state.knobs["rho"])
    inside = (tau > state.low) & (tau < state.high)
    return float(parts["temperature_gradient"].view(-1, 2).mean(1)[inside].abs().max())


def run(
    seed: int, *, dataset: str = "digits", samples: int | None = None, ratio: float = 20.0, epochs: int = 80
) -> list[Row]:
    """SogCLR at temperature .1 and iSogCLR at several radii on a training set cut to a long tail; balanced test set.

    The last row goes on with the temperatures of rho = .2 while the embeddings stay.
    """
    whole, test = splits(dataset, samples)
    train = cut_long(whole, ratio, seed)
    size = int(whole.index.max()) + 1
    plan: list[tuple[str, float | None, losses.SogCLR | losses.ISogCLR]] = [("SogCLR", None, losses.SogCLR(size))]
    plan += [(f"iSogCLR ρ={rho:g}", rho, losses.ISogCLR(size, rho=rho)) for rho in RADII]
    rows: list[Row] = []
    for name, rho, state in plan:
        method = GlobalContrast(state, *build(train, seed), weak_views(train))
        trained = fit(method, train, epochs=epochs, batch_size=64, seed=seed, snapshots=0, progress=False)
        row = {"method": name, "loss": name.split()[0], "rho": rho, **measures(trained, train, test)}
        if isinstance(state, losses.ISogCLR):
            counts = train.labels.bincount(minlength=train.num_classes)
            tau = state.temperature.cpu()[train.index]
            means = torch.stack([tau[train.labels == c].mean() for c in range(train.num_classes)])
            row[CORRELATION] = float(spearmanr(counts, means).statistic)
            row[PER_SAMPLE] = float(spearmanr(counts[train.labels], tau).statistic)
            row[MEAN] = float(tau.mean())
        rows.append(row)
        if rho == RADII[0] and isinstance(state, losses.ISogCLR):
            z = embed_views(method, train, weak_views(train), seed=seed)
            frozen = {"method": FROZEN, GAP: settle(state.cpu(), z, train.index)}
    return [*rows, frozen]


STUDY = Study(
    paper=PAPER,
    about="Every sample learns a temperature of its own: one at which the weights of its negatives carry ρ nats. "
    "Frequent classes end with larger temperatures, rare ones with smaller.",
    claims=(
        Claim(
            "On a 20:1 long tail, class size and mean learned temperature go together: their rank correlation is "
            "above .4.",
            CORRELATION, "iSogCLR ρ=0.2", "higher", 0.4,
        ),
        Claim("They go together at ρ = .4 too.", CORRELATION, "iSogCLR ρ=0.4", "higher", 0.0),
        Claim("They go together at ρ = .8 too.", CORRELATION, "iSogCLR ρ=0.8", "higher", 0.0),
        Claim("A larger ρ means smaller temperatures: .4 against .2.", MEAN, "iSogCLR ρ=0.4", "lower", "iSogCLR ρ=0.2"),
        Claim("A larger ρ means smaller temperatures: .8 against .4.", MEAN, "iSogCLR ρ=0.8", "lower", "iSogCLR ρ=0.4"),
        Claim(
            "On embeddings that stay, every temperature inside its bounds comes to rest where the weights of its "
            "negatives carry ρ nats, to .01.",
            GAP, FROZEN, "lower", 0.01,
        ),
        Claim(
            "Individual temperatures are no more accurate than SogCLR's single one on these digits.",
            "kNN h", "iSogCLR ρ=0.2", "equal", "SogCLR", margin=0.02, negative=True,
        ),
    ),
    run=run,
    draw=lambda rows: curves(rows, [CORRELATION, MEAN], over="rho", by="loss"),
    presets={"smoke": {"epochs": 2}, "real": {"dataset": "cifar10", "ratio": 100.0, "epochs": 400}},
)  # fmt: skip
