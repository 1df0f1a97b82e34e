"""SupReMix on targets that are numbers: how well they are read from an embedding, and whether it is in their order."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method, Skeleton
from cl_explore.nn import MLP, projection_head
from cl_explore.papers.supremix import PAPER
from cl_explore.papers.supremix.method import AbsoluteError, SupReMix
from cl_explore.papers.supremix.world import world
from cl_explore.views import VectorViews

MAE, ORDER = "MAE (levels)", "order of distances"
EMBEDDING, TAU = 32, 0.3
NO_MIXTURES: dict[str, Any] = {"mix_negatives": "off", "mix_positives": "off"}


def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
    """Encoder with one hidden layer of 128 to 32 numbers, and a head 32-64-32."""
    return MLP([train.x[0].numel(), 128, 32], batch_norm=False), projection_head(32, 64, EMBEDDING)


def read(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """What a ridge reads of the embedding as the loss sees it, and whether far targets are far apart in it.

    MAE: of the exact targets, in levels. order: Spearman's correlation of the distances of all pairs of test samples
    in the embedding with those of their targets.
    """
    from scipy.stats import spearmanr

    assert isinstance(method, Skeleton)
    seen, unseen = (evaluate.embed(method, part).z for part in (train, test))
    if not (method.loss.raw or isinstance(method.head, nn.Identity)):
        seen, unseen = F.normalize(seen, dim=1), F.normalize(unseen, dim=1)
    y, wanted = (part.factors["target"] for part in (train, test))
    order = spearmanr(F.pdist(unseen), F.pdist(wanted[:, None])).statistic
    return {MAE: evaluate.ridge_regression(seen, y, unseen, wanted).mae, ORDER: float(order)}


def plan(train: Dataset, epochs: int, batch_size: int, lr: float) -> dict[str, Entry]:
    """All arms; what is compared with what."""
    common: dict[str, Any] = {"networks": networks, "augment": VectorViews(noise=0.1, dropout=0.0)}
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr}

    def mixed(**knobs: Any) -> Entry:
        return Entry("supremix", form=SupReMix, settings=settings, **common, temperature=TAU, **knobs)

    return {
        **baselines(**common),
        "L1": Entry(AbsoluteError(EMBEDDING), targets="target", settings=settings, **common),
        "SupCon": Entry("supcon", temperature=TAU, settings=settings, **common),
        "distance weight": mixed(**NO_MIXTURES),
        "weight, mixed negatives": mixed(mix_positives="off"),
        "weight, mixed positives": mixed(mix_negatives="off"),
        "mixtures, no weight": mixed(distance_weight="off"),
        "SupReMix": mixed(),
        "Rank-N-Contrast": Entry("rnc", targets="target", settings=settings, **common),
    }


def run(
    seed: int,
    *,
    worlds: Sequence[str] = ("curve",),
    samples: int | None = None,
    epochs: int = 40,
    batch_size: int = 16,
    lr: float = 2e-3,
) -> list[Row]:
    """All arms on each of the worlds; rows of other worlds than the curve say which.

    samples: of the training part, at most; None takes all there are, of the curve 300.
    """
    rows: list[Row] = []
    drawn = {name: world(name, seed, samples=samples) for name in worlds}  # all at once: what is missing is said first
    for name, (train, test) in drawn.items():
        found = compare(plan(train, epochs, batch_size, lr), train, test, (read,), seed=seed).rows
        rows += [row if name == "curve" else {**row, "method": f"{row['method']}, {name}"} for row in found]
    return rows


STUDY = Study(
    paper=PAPER,
    about="A contrastive loss made for classes takes every other target for equally different; weighed by the distance "
    "of targets, and with mixtures in the gaps between samples, it lays the embedding out in their order. (The paper's "
    "text and tables were not at hand: what is here follows the authors' code, but for its two maxima within one sum. "
    "The world is ours. A ridge reads the embedding as the loss sees it: brought to unit length where the loss does "
    "so. On real data, targets are binned into 40 levels for losses that need equal ones; Rank-N-Contrast and L1 get "
    "them exact. Margins for real data, and for mixtures without weight, are our own, set after a look at seeds that "
    "do not count here. 330 people with diabetes are learned by heart: on three other seeds SupReMix's error is 4.0 "
    "levels on the training part and 6.2 on the test part; stopped after 3 epochs it is 6.1, and of raw measurements "
    "6.0.)",
    claims=(
        Claim("A ridge reads the target from SupReMix with a smaller error than from SupCon.", MAE, "SupReMix",
              "lower", "SupCon", margin=1.0),
        Claim("And than from an encoder trained by L1, by about a quarter.", MAE, "SupReMix", "lower", "L1",
              margin=1.0),
        Claim("And than from the raw input.", MAE, "SupReMix", "lower", "raw input", margin=1.0),
        Claim("Distances in SupReMix's embedding follow those of targets more than in SupCon's.", ORDER, "SupReMix",
              "higher", "SupCon", margin=0.2),
        Claim("The distance weight alone lowers the error of SupCon.", MAE, "distance weight", "lower", "SupCon",
              margin=0.5),
        Claim("The distance weight alone brings the order.", ORDER, "distance weight", "higher", "SupCon", margin=0.2),
        Claim("Mixtures without the weight bring less of the order.", ORDER, "mixtures, no weight", "lower",
              "SupReMix", margin=0.1),
        Claim("Mixtures without the weight lower the error of SupCon, too.", MAE, "mixtures, no weight", "lower",
              "SupCon", margin=0.5),
        Claim("With the weight, mixtures lower the error further.", MAE, "SupReMix", "lower", "distance weight"),
        Claim("What mixtures add to the weight is small: less than 0.4 levels.", MAE, "SupReMix", "equal",
              "distance weight", margin=0.4, negative=True),
        Claim("Both kinds of mixtures do about as well as mixed negatives alone.", MAE, "SupReMix", "equal",
              "weight, mixed negatives", margin=0.4, negative=True),
        Claim("Rank-N-Contrast has a smaller error than SupCon, too.", MAE, "Rank-N-Contrast", "lower", "SupCon",
              margin=0.5),
        Claim("SupReMix has a smaller error than Rank-N-Contrast.", MAE, "SupReMix", "lower", "Rank-N-Contrast"),
        Claim("From a transformer's loads, SupReMix reads its oil better than SupCon does.", MAE, "SupReMix, oil",
              "lower", "SupCon, oil", margin=0.1, preset="real"),
        Claim("And better than L1 does.", MAE, "SupReMix, oil", "lower", "L1, oil", preset="real"),
        Claim("And better than the raw loads do.", MAE, "SupReMix, oil", "lower", "raw input, oil", margin=1.0,
              preset="real"),
        Claim("Its distances follow the oil's more than SupCon's do.", ORDER, "SupReMix, oil", "higher",
              "SupCon, oil", margin=0.1, preset="real"),
        Claim("Of diabetes, too, SupReMix's distances follow the targets' more than SupCon's do.", ORDER,
              "SupReMix, diabetes", "higher", "SupCon, diabetes", margin=0.05, preset="real"),
        Claim("SupReMix reads how far diabetes has come better than SupCon does.", MAE, "SupReMix, diabetes",
              "lower", "SupCon, diabetes", preset="real"),
        Claim("And better than L1 does, too.", MAE, "SupReMix, diabetes", "lower", "L1, diabetes", preset="real"),
        Claim("It reads no more of it than the raw measurements tell.", MAE, "SupReMix, diabetes", "equal",
              "raw input, diabetes", margin=0.4, negative=True, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [MAE, ORDER]),
    presets={
        "smoke": {"samples": 64, "epochs": 1},
        "real": {"worlds": ("diabetes", "oil"), "samples": 600, "epochs": 20},
    },
)  # fmt: skip
