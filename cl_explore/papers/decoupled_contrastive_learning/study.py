"""Decoupled contrastive learning (Yeh et al. 2022): without the positive in the denominator small batches learn."""

from copy import deepcopy
from functools import partial
from itertools import pairwise

import torch

from cl_explore import evaluate, geometry, losses
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import curves
from cl_explore.claims.measures import usual
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.decoupled_contrastive_learning import PAPER

TITLES = {"nt_xent": "NT-Xent", "dcl": "DCL", "dclw": "DCLW"}
SETTINGS = (  # batch size, learning rate, epochs, losses: about as many steps for each batch size
    (8, 0.001, 2, ("nt_xent", "dcl", "dclw")),
    (16, 0.003, 4, ("nt_xent", "dcl")),
    (256, 0.006, 40, ("nt_xent", "dcl")),
    (4, 0.01, 1, ("nt_xent", "dcl")),  # a learning rate that is too large where nothing slows DCL down
)
TEMPERATURE = 0.1
TREND, SHRINK = "DCL over NT-Xent, each step from batch 8 to 256", "least shrinking of the gain in alignment"


def plan(scale: int = 1, linear_lr: float | None = None) -> dict[str, Entry]:
    """NT-Xent, DCL and DCLW over batch sizes, with SGD.

    scale: how many times the epochs of `SETTINGS`.
    linear_lr: if given, the learning rate is linear_lr * batch / 256 instead of theirs.
    """
    found = baselines()
    for batch, planned, epochs, names in SETTINGS:
        lr = planned if linear_lr is None else linear_lr * batch / 256
        settings = {"epochs": scale * epochs, "batch_size": batch, "lr": lr, "optimizer": "sgd"}
        for name in names:
            found[f"{TITLES[name]}, batch {batch}"] = Entry(
                name, settings=settings, about={"loss": TITLES[name], "batch": batch}, temperature=TEMPERATURE
            )
    return found


def alignment(method: Method, train: Dataset, test: Dataset, *, seed: int) -> dict[str, float]:
    """That of two views of the test samples."""
    return {"alignment": geometry.alignment(evaluate.embed_views(method, test, seed)).item()}


def run(
    seed: int, *, dataset: str = "digits", samples: int | None = None, scale: int = 1, linear_lr: float | None = None
) -> list[Row]:
    """The plan; the last row compares neighbouring batch sizes: positive if the gain of DCL shrinks at every step."""
    train, test = splits(dataset, samples)
    entries = plan(scale, linear_lr)
    rows, methods, _ = compare(entries, train, test, [partial(alignment, seed=seed), usual], seed=seed)
    for row in rows:
        if batch := row.get("batch"):
            before, after = entries[row["method"]].build(train, seed), methods[row["method"]]
            row |= {"q before": coupling(before, train, batch, seed), "q after": coupling(after, train, batch, seed)}
    aligned = {row["method"]: row["alignment"] for row in rows}
    gains = [aligned[f"NT-Xent, batch {batch}"] - aligned[f"DCL, batch {batch}"] for batch in (8, 16, 256)]
    return [*rows, {"method": TREND, SHRINK: min(small - large for small, large in pairwise(gains))}]


@torch.no_grad()
def coupling(method: Method, dataset: Dataset, batch_size: int, seed: int, batches: int = 20) -> float:
    """Mean of q = 1 - P(positive), by which NT-Xent shrinks DCL's gradient, over batches as training sees them."""
    method = deepcopy(method).train()  # a copy, since batch norm counts what it sees
    device = next(method.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    found = []
    for rows in order.split(batch_size)[: min(batches, len(dataset) // batch_size)]:
        z = method.embed_views(dataset.batch(rows).each(lambda column: column.to(device)), generator).z
        found.append(losses.dcl.parts(z, temperature=TEMPERATURE)["coupling"].mean())
    return torch.stack(found).mean().item()


STUDY = Study(
    paper=PAPER,
    about="NT-Xent multiplies every gradient by q, the probability that it does not pick the positive, which is small "
    "in small batches; DCL takes the positive out of the denominator and with it q.",
    claims=(
        Claim(
            "What DCL gains over NT-Xent in alignment shrinks at every step from batch 8 over 16 to 256.",
            SHRINK, TREND, "higher", 0.0,
        ),
        Claim(
            "At batch 8, DCL brings the views of a sample closer than NT-Xent in as many steps.",
            "alignment", "DCL, batch 8", "lower", "NT-Xent, batch 8", margin=0.05,
        ),
        Claim(
            "At batch 256, DCL and NT-Xent align alike.",
            "alignment", "DCL, batch 256", "equal", "NT-Xent, batch 256", margin=0.02,
        ),
        Claim(
            "Before training, q is far larger at batch 256 than at batch 8.",
            "q before", "NT-Xent, batch 256", "higher", "NT-Xent, batch 8", margin=0.2,
        ),
        Claim("After training at batch 8, NT-Xent's q is below .1.", "q after", "NT-Xent, batch 8", "lower", 0.1),
        Claim(
            "The linear probe gains less than 2 points at batch 8: of the paper's 6 points on ImageNet little is to be "
            "seen here.",
            "linear h", "DCL, batch 8", "equal", "NT-Xent, batch 8", margin=0.02, negative=True,
        ),
        Claim(
            "DCLW's weights of the positives add nothing to the linear probe at batch 8.",
            "linear h", "DCLW, batch 8", "equal", "DCL, batch 8", margin=0.01, negative=True,
        ),
        Claim(
            "At batch 4 and a learning rate of .01 DCL is the worse of the two: without q nothing slows it down.",
            "kNN z", "DCL, batch 4", "lower", "NT-Xent, batch 4", negative=True,
        ),
    ),
    run=run,
    draw=lambda rows: curves(rows[rows["batch"] != 4], ["alignment", "q after"], over="batch", by="loss", log=True),
    presets={"smoke": {"samples": 256}, "real": {"dataset": "cifar10", "scale": 4, "linear_lr": 0.03}},
)  # fmt: skip
