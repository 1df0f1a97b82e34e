"""Individual temperatures (iSogCLR, Qiu et al. 2023): on a long tail, frequent classes learn larger temperatures."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from cl_explore import data, evaluate, losses
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import curves
from cl_explore.claims.measures import usual
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.sogclr_individual_temperature import PAPER

RADII = (0.2, 0.4, 0.8)
CORRELATION, PER_SAMPLE, MEAN = "Spearman of class size and τ", "Spearman over samples", "mean τ"
GAP = "largest |KL − ρ| inside the bounds"
FROZEN = "iSogCLR ρ=0.2, temperatures alone go on"


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


def plan(places: int, epochs: int = 80, radii: tuple[float, ...] = RADII) -> dict[str, Entry]:
    """SogCLR at temperature .1 and iSogCLR at several radii; both keep numbers for each of `places` samples."""
    entry = partial(Entry, settings={"epochs": epochs, "batch_size": 64})
    own = {
        f"iSogCLR ρ={rho:g}": entry(losses.ISogCLR(places, rho=rho), about={"loss": "iSogCLR", "rho": rho})
        for rho in radii
    }
    return {**baselines(), "SogCLR": entry(losses.SogCLR(places), about={"loss": "SogCLR", "rho": None}), **own}


def temperatures(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How the learned temperatures go with the size of the class, if the method learns any."""
    if not isinstance(method.loss, losses.ISogCLR):
        return {}
    from scipy.stats import spearmanr  # its import takes half a second

    counts = train.labels.bincount(minlength=train.num_classes)
    tau = method.loss.temperature.cpu()[train.index]
    means = torch.stack([tau[train.labels == c].mean() for c in range(train.num_classes)])
    return {
        CORRELATION: float(spearmanr(counts, means).statistic),
        PER_SAMPLE: float(spearmanr(counts[train.labels], tau).statistic),
        MEAN: float(tau.mean()),
    }


def run(
    seed: int, *, dataset: str = "digits", samples: int | None = None, ratio: float = 20.0, epochs: int = 80
) -> list[Row]:
    """The plan on a training set cut to a long tail, and a balanced test set.

    The last row goes on with the temperatures of rho = .2 while the embeddings stay.
    """
    whole, test = splits(dataset, samples)
    train = cut_long(whole, ratio, seed)
    entries = plan(int(whole.index.max()) + 1, epochs)
    rows, methods, _ = compare(entries, train, test, [usual, temperatures], seed=seed)
    z = evaluate.embed_views(methods["iSogCLR ρ=0.2"], train, seed)
    state = methods["iSogCLR ρ=0.2"].loss
    assert isinstance(state, losses.ISogCLR)
    return [*rows, {"method": FROZEN, GAP: settle(state.cpu(), z, train.index)}]


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
