"""Learning by sorting (GroCo, Shvetsova et al. 2023): an order of groups, where others have a softmax over pairs."""

from functools import partial

import torch
from torch.nn import functional as F

from cl_explore import evaluate, losses
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import dots
from cl_explore.claims.measures import usual
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.losses.sorting import soft_sort
from cl_explore.methods import Method
from cl_explore.papers.groco import PAPER

TEMPERATURES = (0.1, 0.2, 0.5)
MISORDERED, NEAREST = "negatives above the positive", "gradient on the 4 nearest of 10"


def plan(epochs: int = 25) -> dict[str, Entry]:
    """GroCo against NT-Xent at several temperatures."""
    entry = partial(Entry, settings={"epochs": epochs, "batch_size": 128})
    softmax = {f"NT-Xent τ={tau:g}": entry("nt_xent", temperature=tau) for tau in TEMPERATURES}
    return {**baselines(), "GroCo": entry("groco"), **softmax}


def misordered(method: Method, train: Dataset, test: Dataset, *, seed: int) -> dict[str, float]:
    """How many of the other test samples lie nearer to one than its own second view."""
    z = F.normalize(evaluate.embed_views(method, test, seed), dim=2)
    return {MISORDERED: float(losses.groco.parts(z, hardest=len(z) - 1)["misordered"].mean())}


def focus(steepness: float) -> float:
    """Share of the gradient to ten negatives, at cosines -.5, -.35, ... .85, that goes to the four highest of them,
    when one positive at .5 must rank above all."""
    negatives = torch.linspace(-0.5, 0.85, 10, dtype=torch.float64).requires_grad_()
    _, permutation = soft_sort(torch.cat([negatives, negatives.new_tensor([0.5])]), steepness)
    right = torch.cat([permutation[:10, :10].sum(1), permutation[10:, 10]])
    (gradient,) = torch.autograd.grad(-right.log().mean(), negatives)
    return float(gradient[6:].abs().sum() / gradient.abs().sum())


def run(seed: int, *, dataset: str = "digits", samples: int | None = None, epochs: int = 25) -> list[Row]:
    """The plan; then the sorter alone, which no seed changes."""
    rows = compare(plan(epochs), *splits(dataset, samples), [partial(misordered, seed=seed), usual], seed=seed).rows
    return rows + [{"method": f"sorter β={beta}", NEAREST: focus(beta)} for beta in (1, 10, 50)]


STUDY = Study(
    paper=PAPER,
    about="The group of positives shall rank above the group of hard negatives, learned through a differentiable sort: "
    "the order near an anchor, hence k-NN, gets better than with a softmax over pairs.",
    claims=(
        Claim(
            "Fewer negatives rank above the positive than with NT-Xent at τ = .5.",
            MISORDERED, "GroCo", "lower", "NT-Xent τ=0.5",
        ),
        Claim("Fewer negatives rank above it than with NT-Xent at τ = .2.", MISORDERED,
              "GroCo", "lower", "NT-Xent τ=0.2"),
        Claim("Fewer negatives rank above it than with NT-Xent at τ = .1.", MISORDERED,
              "GroCo", "lower", "NT-Xent τ=0.1"),
        Claim(
            "Nearest neighbours on z are better than with NT-Xent at τ = .5.",
            "kNN z", "GroCo", "higher", "NT-Xent τ=0.5",
        ),
        Claim(
            "Against the best of these temperatures, .2, k-NN on z is a tie.",
            "kNN z", "GroCo", "equal", "NT-Xent τ=0.2", margin=0.015, negative=True,
        ),
        Claim(
            "The linear probe is a tie with NT-Xent at τ = .5, as in the paper.",
            "linear h", "GroCo", "equal", "NT-Xent τ=0.5", margin=0.015, negative=True,
        ),
        Claim(
            "A steeper sort looks at the neighbourhood: β = 10 puts more of the gradient on the nearest four of ten "
            "negatives than β = 1.",
            NEAREST, "sorter β=10", "higher", "sorter β=1",
        ),
        Claim("Steeper still, β = 50 puts more of it there than β = 10.", NEAREST,
              "sorter β=50", "higher", "sorter β=10"),
    ),
    run=run,
    draw=lambda rows: dots(rows[rows[MISORDERED].notna()], [MISORDERED, "kNN z", "linear h"]),
    presets={"smoke": {"epochs": 1, "samples": 160}, "real": {"dataset": "cifar10", "epochs": 200}},
)  # fmt: skip
