"""Multi-view contrastive learning (Koromilas et al. 2025): more views fill more directions, if they are not pairs."""

from functools import partial
from itertools import combinations
from typing import Any

import torch

from cl_explore import losses
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import curves
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Embedded, JointEmbedding, Step
from cl_explore.papers.mv_infonce_dhel import PAPER

TEMPERATURE = 0.5
VIEWS = (2, 4, 6, 8)
RANK, GROWTH = "effective rank", "growth of effective rank"


class Pairwise(JointEmbedding):
    """The usual practice with more than two views: NT-Xent of each pair of views by itself, and the mean of these."""

    def compare(self, embedded: Embedded) -> Step:
        """The mean over the pairs of views of an embedded batch."""
        pairs = combinations(range(self.n_views), 2)
        return Step(torch.stack([losses.nt_xent(embedded.z[:, pair], **self.knobs) for pair in pairs]).mean(), {})


METHODS = {"pairwise NT-Xent": partial(Entry, "nt_xent", form=Pairwise), "MV-InfoNCE": partial(Entry, "mv_infonce"),
           "MV-DHEL": partial(Entry, "mv_dhel")}  # fmt: skip


def plan(train: Dataset, epochs: int = 20, temperature: float = TEMPERATURE) -> dict[str, Entry]:
    """Pairwise NT-Xent, MV-InfoNCE and MV-DHEL over numbers of weak views; two of them with two hard views as well."""
    common: dict[str, Any] = {"settings": {"epochs": epochs, "batch_size": 128}, "temperature": temperature}
    found = baselines()
    for count in VIEWS:
        for name, entry in METHODS.items():
            about = {"loss": name, "views": count}
            found[f"{name}, {count} weak views"] = entry(about=about, n_views=count, **common)
    for name in ("pairwise NT-Xent", "MV-DHEL"):
        about = {"loss": name, "views": None}
        found[f"{name}, 2 hard views"] = METHODS[name](about=about, augment=train.modality.hard(train.x), **common)
    return found


def run(seed: int, *, dataset: str = "digits", samples: int | None = None, epochs: int = 20) -> list[Row]:
    """The plan; the last rows hold how much the effective rank grows from 2 to 6 views."""
    train, test = splits(dataset, samples)
    rows = compare(plan(train, epochs), train, test, seed=seed).rows
    rank = {row["method"]: row[RANK] for row in rows}
    growth = {name: rank[f"{name}, 6 weak views"] - rank[f"{name}, 2 weak views"] for name in METHODS}
    return [*rows, *({"method": f"{name}, from 2 to 6 views", GROWTH: more} for name, more in growth.items())]


STUDY = Study(
    paper=PAPER,
    about="With more than two views, one term for all views of a sample (MV-InfoNCE), and negatives from the same view "
    "only (MV-DHEL), use more of the embedding space than the mean of pairwise losses.",
    claims=(
        Claim(
            "From 2 to 6 views the effective rank grows by more than 1 more for MV-DHEL than for pairwise NT-Xent.",
            GROWTH, "MV-DHEL, from 2 to 6 views", "higher", "pairwise NT-Xent, from 2 to 6 views", margin=1.0,
        ),
        Claim(
            "From 2 to 6 views the effective rank of pairwise NT-Xent stays flat.",
            GROWTH, "pairwise NT-Xent, from 2 to 6 views", "equal", 0.0, margin=1.0,
        ),
        Claim(
            "With two views already, MV-DHEL has the higher effective rank by more than 1.5 of 32 dimensions.",
            RANK, "MV-DHEL, 2 weak views", "higher", "pairwise NT-Xent, 2 weak views", margin=1.5,
        ),
        Claim(
            "With six views, MV-DHEL has the higher effective rank by more than 3 of 32 dimensions.",
            RANK, "MV-DHEL, 6 weak views", "higher", "pairwise NT-Xent, 6 weak views", margin=3.0,
        ),
        Claim(
            "With six views, MV-DHEL is the more uniform.",
            "−uniformity", "MV-DHEL, 6 weak views", "higher", "pairwise NT-Xent, 6 weak views", margin=0.1,
        ),
        Claim(
            "With two hard views, nearest neighbours of z are better for MV-DHEL than for NT-Xent.",
            "kNN z", "MV-DHEL, 2 hard views", "higher", "pairwise NT-Xent, 2 hard views", margin=0.02,
        ),
        Claim(
            "MV-InfoNCE has no higher effective rank than pairwise NT-Xent, with six views.",
            RANK, "MV-InfoNCE, 6 weak views", "equal", "pairwise NT-Xent, 6 weak views", margin=1.0, negative=True,
        ),
        Claim(
            "With six weak views, nearest neighbours of h are no better for MV-DHEL: no gain in accuracy here.",
            "kNN h", "MV-DHEL, 6 weak views", "equal", "pairwise NT-Xent, 6 weak views", margin=0.01, negative=True,
        ),
    ),
    run=run,
    draw=lambda rows: curves(rows, [RANK, "−uniformity"], over="views", by="loss"),
    presets={"smoke": {"epochs": 1, "samples": 300}, "real": {"dataset": "cifar10", "epochs": 100}},
)  # fmt: skip
