"""Understanding the behaviour of contrastive loss (Wang & Liu 2021): temperature trades uniformity for tolerance."""

from functools import partial
from itertools import pairwise
from typing import Any

from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import curves
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.papers.behaviour_of_contrastive_loss import PAPER

TEMPERATURES = (0.07, 0.2, 0.5, 1.0, 3.0)
TREND = f"NT-Xent, each step from τ={TEMPERATURES[0]:g} to {TEMPERATURES[-1]:g}"
FALL, RISE = "least fall of −uniformity", "least rise of tolerance"


def plan(epochs: int = 25) -> dict[str, Entry]:
    """NT-Xent over temperatures, the simple loss of equation 3, and both on the nearest tenth of the negatives."""
    entry = partial(Entry, settings={"epochs": epochs, "batch_size": 128})

    def at(title: str, loss: str, temperature: float, **knobs: Any) -> dict[str, Entry]:
        about = {"loss": title, "temperature": temperature}
        return {f"{title} τ={temperature:g}": entry(loss, about=about, temperature=temperature, **knobs)}

    found = baselines()
    for temperature in TEMPERATURES:
        found |= at("NT-Xent", "nt_xent", temperature)
    found |= at("hard-truncated", "hard_truncated", 1.0, alpha=0.1)
    found["simple"] = entry("simple", about={"loss": "simple"})
    found["hard-simple"] = entry("hard_simple", about={"loss": "hard-simple"}, alpha=0.1)
    return found


def run(seed: int, *, dataset: str = "digits", samples: int | None = None, epochs: int = 25) -> list[Row]:
    """The plan; the last row holds the least change between neighbouring temperatures: positive if all agree."""
    rows = compare(plan(epochs), *splits(dataset, samples), seed=seed).rows
    steps = list(pairwise(row for row in rows if row.get("loss") == "NT-Xent"))
    fall = min(before["−uniformity"] - after["−uniformity"] for before, after in steps)
    rise = min(after["tolerance"] - before["tolerance"] for before, after in steps)
    return [*rows, {"method": TREND, FALL: fall, RISE: rise}]


STUDY = Study(
    paper=PAPER,
    about="The temperature decides how much of the repulsion goes to the nearest negatives: a small one spreads the "
    "embeddings (uniformity) and tears samples of one class apart (low tolerance).",
    claims=(
        Claim("From τ = .07 over .2, .5 and 1 to 3, −uniformity falls at every step.", FALL, TREND, "higher", 0.0),
        Claim("From τ = .07 over .2, .5 and 1 to 3, tolerance rises at every step.", RISE, TREND, "higher", 0.0),
        Claim(
            "With the nearest tenth of the negatives only, τ = 1 is as uniform as τ = .07 with all of them.",
            "−uniformity", "hard-truncated τ=1", "equal", "NT-Xent τ=0.07", margin=0.05,
        ),
        Claim(
            "With all negatives, τ = 1 is far less uniform than with the nearest tenth.",
            "−uniformity", "hard-truncated τ=1", "higher", "NT-Xent τ=1", margin=0.5,
        ),
        Claim(
            "The simple loss is less uniform than its hard version, which has no temperature at all.",
            "−uniformity", "hard-simple", "higher", "simple",
        ),
        Claim(
            "The linear probe does no better at τ = .2 than at .07: the paper's optimum at moderate temperatures is "
            "not to be seen here.",
            "linear h", "NT-Xent τ=0.2", "equal", "NT-Xent τ=0.07", margin=0.01, negative=True,
        ),
    ),
    run=run,
    draw=lambda rows: curves(rows, ["−uniformity", "tolerance"], over="temperature", by="loss", log=True),
    presets={"smoke": {"epochs": 1}, "real": {"dataset": "cifar10", "epochs": 100}},
)  # fmt: skip
