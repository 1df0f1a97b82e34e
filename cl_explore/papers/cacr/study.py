"""Contrastive attraction and repulsion (CACR, Zheng et al. 2023): what weighing among one's own kind adds."""

from functools import partial

import torch
from torch.nn import functional as F

from cl_explore import evaluate, losses
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.papers.cacr import PAPER

NOISY = "weight of the noisy one of 4 positives"


def plan(train: Dataset, epochs: int = 15, views: int = 5) -> dict[str, Entry]:
    """CACR with both kinds of weights, with one, with none; and NT-Xent."""
    hard = train.modality.hard(train.x)
    entry = partial(Entry, settings={"epochs": epochs, "batch_size": 64}, augment=hard, n_views=views)
    return {
        **baselines(augment=hard, n_views=views),
        "CACR": entry("cacr"),
        "no weights": entry("cacr", tau_pos=0.0, tau_neg=0.0),
        "no attraction weights": entry("cacr", tau_pos=0.0),
        "no repulsion weights": entry("cacr", tau_neg=0.0),
        "NT-Xent τ=0.5": entry("nt_xent", temperature=0.5),
    }


def run(
    seed: int, *, dataset: str = "digits", samples: int | None = None, epochs: int = 15, views: int = 5
) -> list[Row]:
    """The plan; then the weight of a positive of trained CACR that is made noisier."""
    train, test = splits(dataset, samples)
    rows, methods, _ = compare(plan(train, epochs, views), train, test, seed=seed)
    z = F.normalize(evaluate.embed_views(methods["CACR"], test, seed), dim=2)
    far = z + 0.5 * torch.randn(z[:, :1].shape, generator=torch.Generator().manual_seed(seed))
    mixed = torch.cat([far[:, :1], z[:, 1:]], dim=1)
    for tau in (0.5, 2.0):
        weight = losses.cacr.parts(mixed, tau_pos=tau)["positive_weight"].view(len(z), views, views)
        rows.append({"method": f"τ_pos={tau:g}", NOISY: float(weight[:, 1:, 0].mean())})
    return rows


STUDY = Study(
    paper=PAPER,
    about="Positives are weighed among positives, the far ones more; negatives among negatives, the near ones more.",
    claims=(
        Claim("With both weights, k-NN on z is at least 8 points better than with none.", "kNN z", "CACR", "higher",
              "no weights", margin=0.08),
        Claim("On h it is at least 1 point better.", "kNN h", "CACR", "higher", "no weights", margin=0.01),
        Claim("Without the weights of repulsion, k-NN on z is worse.", "kNN z", "no repulsion weights", "lower",
              "CACR"),
        Claim(
            "Without the weights of attraction nothing is lost: the gain comes from repulsion.",
            "kNN z", "no attraction weights", "equal", "CACR", margin=0.02, negative=True,
        ),
        Claim("A positive made noisier weighs more than 1/4 of four.", NOISY, "τ_pos=0.5", "higher", 0.25),
        Claim("And more so with a larger τ_pos.", NOISY, "τ_pos=2", "higher", "τ_pos=0.5"),
    ),
    run=run,
    draw=lambda rows: dots(rows[rows["kNN z"].notna()], ["kNN z", "kNN h", "−uniformity"]),
    presets={"smoke": {"epochs": 1, "samples": 300}, "real": {"dataset": "cifar10", "epochs": 200}},
)  # fmt: skip
