"""What the layer before a head keeps: linear theory, a feature that views lose, digits behind a code, two levels."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.nn import MLP, ConvNet
from cl_explore.papers.projection_head import PAPER
from cl_explore.papers.projection_head.method import (
    BehindHead,
    Diagonal,
    FixedHead,
    Layers,
    descend,
    layer,
    learned_from,
    moments,
    ridge_accuracy,
)
from cl_explore.papers.projection_head.world import (
    BITS,
    FEATURES,
    LOST,
    PIXELS,
    LosingViews,
    SharedCode,
    coded_digits,
    features,
    superclasses,
)
from cl_explore.views import ImageViews

SHOTS, DRAWS = 16, 20
STEPS, LR = 5000, 0.01  # of the theory's two layers
KAPPAS = (1.05, 1.1, 1.3)
FEW, ALL, DIGIT, CLASS = "16 labels", "all labels", "digit", "class"
ERROR, LEARNED, GONE = "largest error of w", "share of w learned", "features gone behind the head"
TAU = 0.5
Parts = tuple[nn.Module, nn.Module]
Probe = Callable[[Tensor, Tensor, Tensor, Tensor], float]
"""probe(train_h, train_labels, test_h, test_labels) -> accuracy."""


def gap(probe: str) -> str:
    """The column of what a probe reads before the head minus what it reads behind it."""
    return f"{probe}, h - z"


def few_labels(h: Tensor, labels: Tensor, unseen_h: Tensor, unseen: Tensor) -> float:
    """The mean over DRAWS of the ridge on SHOTS labelled rows, features not standardised."""
    orders = (torch.randperm(len(h), generator=torch.Generator().manual_seed(draw))[:SHOTS] for draw in range(DRAWS))
    found = [ridge_accuracy(h[rows], labels[rows], unseen_h, unseen, standardise=False) for rows in orders]
    return sum(found) / DRAWS


PROBES: dict[str, Probe] = {
    FEW: few_labels,
    ALL: partial(ridge_accuracy, standardise=False, alpha=1e-9),
    DIGIT: partial(ridge_accuracy, standardise=True),
    CLASS: partial(ridge_accuracy, standardise=True),
}


def read(method: Method, train: Dataset, test: Dataset, *, probes: tuple[str, ...]) -> dict[str, float]:
    """What each probe reads of h, before the head, and of z, behind it; the labels, or the factor `class`."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    labels, wanted = (part.factors.get("class", part.labels) for part in (train, test))
    row: dict[str, float] = {}
    for name in probes:
        before = PROBES[name](seen.h, labels, unseen.h, wanted)
        behind = before if isinstance(method.head, nn.Identity) else PROBES[name](seen.z, labels, unseen.z, wanted)
        row |= {f"{name}, h": before, f"{name}, z": behind, gap(name): before - behind}
    return row


def gone(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """Of a diagonal network, how many features some sample has before the head, and none behind it."""
    if not isinstance(method.head, Diagonal):
        return {}
    seen = evaluate.embed(method, train)
    return {GONE: float(((seen.h != 0).any(0) & (seen.z == 0).all(0)).sum())}


def theory(seed: int) -> list[Row]:
    """Two linear layers, trained with endless data; the fifth feature is too weak to be learned in 5000 steps."""
    strength, keep = torch.tensor([[2.0, 1.0, 0.5, 0.25, 0.1], [0.2, 1.0, 0.6, 1.0, 1.0]]).double()
    known = moments(strength, keep, 0.2, signs=True)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        start = Layers(*(layer(len(known.total)).weight.detach().double() for _ in range(2)))
    first, second = descend(start, known, STEPS, LR)
    w, learned = known.singular_values(), known.shared > learned_from(STEPS, LR)
    along = {"one layer": first.norm(dim=0), "both layers": (second @ first).norm(dim=0)}
    wanted = {"one layer": w.sqrt(), "both layers": w}
    errors = {name: (along[name] / wanted[name] - 1)[learned].abs().max().item() for name in along}
    rows: list[Row] = [{"method": f"theory, {name}", ERROR: error} for name, error in errors.items()]
    return [*rows, {"method": "theory, weakest feature", LEARNED: (along["both layers"] / w)[-1].item()}]


def linear(_: Dataset) -> Parts:
    """A linear encoder and head, which start orthogonal and small."""
    return layer(FEATURES), layer(FEATURES)


def lost_feature(seed: int, samples: int, epochs: int) -> list[Row]:
    """A linear network whose views lose the labelled feature six times of seven, or nothing; and a diagonal one.

    SGD comes near the theory's flow, which keeps the layers balanced. Adam does not: it is here to be seen beside it.
    """
    clean, train, test = features(seed, samples)
    settings = {"epochs": epochs, "batch_size": min(256, samples), "lr": 2e-2}

    def entry(keep: float, networks: Callable[[Dataset], Parts] = linear, optimizer: str = "sgd") -> Entry:
        kept = [1.0] * FEATURES
        kept[LOST] = keep
        return Entry("spectral", radius="free", networks=networks, augment=LosingViews(tuple(kept)), data=clean,
                     settings={**settings, "optimizer": optimizer})  # fmt: skip

    plan = {
        **baselines(networks=linear, augment=LosingViews((1.0,) * FEATURES)),
        "feature lost": entry(0.15),
        "feature kept": entry(1.0),
        "feature lost, Adam": entry(0.15, optimizer="adam"),
        "diagonal network": entry(0.15, lambda _: (Diagonal(FEATURES), Diagonal(FEATURES))),
    }
    rows = compare(plan, train, test, (partial(read, probes=(FEW, ALL)), gone), seed=seed).rows
    named = {"raw input": "raw features", "untrained encoder": "untrained layers"}
    return [row | {"method": named.get(row["method"], row["method"])} for row in rows]


def heads(width: int, kappas: Mapping[str, float]) -> dict[str, Callable[[], nn.Module]]:
    """None, an MLP of one width, and the head without parameters with each of these kappas."""
    return {
        "no head": nn.Identity,
        "MLP head": lambda: MLP([width, width, width], batch_norm=False),
        **{name: partial(FixedHead, width, kappa) for name, kappa in kappas.items()},
    }


def coded(seed: int, samples: int, epochs: int) -> list[Row]:
    """SimCLR on digits behind a code that both views share, by head."""
    train, test = coded_digits(seed, samples)

    def entry(head: Callable[[], nn.Module], erased: float = 0.0) -> Entry:
        return Entry("nt_xent", temperature=TAU, augment=SharedCode(erased),
                     networks=lambda _: (MLP([PIXELS + BITS, 128, 64], batch_norm=False), head()),
                     settings={"epochs": epochs, "batch_size": 128, "lr": 2e-3})  # fmt: skip

    made = heads(64, {f"fixed head {kappa}": kappa for kappa in KAPPAS})
    plan = {name: entry(head) for name, head in made.items()}
    plan |= {"MLP head, half erased": entry(made["MLP head"], 0.5)}
    first = plan["no head"]
    plan = {**baselines(networks=first.networks, augment=SharedCode()), **plan}
    return compare(plan, train, test, (partial(read, probes=(DIGIT,)),), seed=seed).rows


def photographs(seed: int, name: str, each: int, epochs: int) -> list[Row]:
    """Trained on superclasses, or with no labels, and probed for the classes within: by loss and head."""
    train, test = superclasses(seed, name, each=each)
    settings = {"epochs": epochs, "batch_size": min(128, len(train)), "lr": 2e-3}
    kinds: dict[str, tuple[float, dict[str, Any]]] = {
        "SimCLR": (1.05, {"loss": "nt_xent", "temperature": TAU}),
        "SupCon": (1.5, {"loss": "supcon", "temperature": TAU}),
        "cross-entropy": (1.2, {"loss": "logit_adjusted", "strength": 0.0, "form": BehindHead,
                                "classes": torch.bincount(train.labels)}),
    }  # fmt: skip

    def entry(head: Callable[[], nn.Module], **options: Any) -> Entry:
        return Entry(augment=ImageViews.simclr(strength=0.5), networks=lambda _: (ConvNet(3), head()),
                     settings=settings, **options)  # fmt: skip

    plan = baselines(networks=lambda _: (ConvNet(3), nn.Identity()), augment=ImageViews.simclr(strength=0.5))
    for kind, (kappa, options) in kinds.items():
        made = heads(64, {"fixed head": kappa})
        places = made if kind == "SupCon" else ("MLP head", "fixed head")
        plan |= {f"{kind}, {place}": entry(made[place], **options) for place in places}
    return compare(plan, train, test, (partial(read, probes=(CLASS,)),), seed=seed).rows


def run(
    seed: int,
    *,
    photos: str | None = None,
    samples: int = 2000,
    feature_epochs: int = 214,
    digits: int = 1200,
    digit_epochs: int = 20,
    each: int = 40,
    epochs: int = 10,
) -> list[Row]:
    """Theory, a feature that views lose, digits behind a code; or photographs of a data set by name alone.

    The rate falls to 0 along a cosine, so that 20 epochs are worth 10 at its height. 214 epochs of features are 1500
    steps: with SGD at a fifth of this rate the lost feature is not learned in them, as the theory says.
    each: photographs of a class to train with.
    """
    if photos is not None:
        return photographs(seed, photos, each, epochs)
    return theory(seed) + lost_feature(seed, samples, feature_epochs) + coded(seed, digits, digit_epochs)


COLUMNS = tuple(f"{probe}, {layer}" for probe in (FEW, DIGIT, CLASS) for layer in "hz")


def draw(rows: pd.DataFrame) -> Figure:
    """What is read of both layers, by method."""
    known = [column for column in COLUMNS if column in rows]
    return dots(rows.dropna(subset=known, how="all"), known)


STUDY = Study(
    paper=PAPER,
    about="A head makes the weights of features more unequal once more, so that the layer before it keeps what the "
    "loss does not ask for: features that views lose, that are too weak or too strong, or that only the task "
    "downstream needs; a fixed reweighting in place of the head does the same. (The theory is reconstructed from the "
    "paper's model of the data; 16 features and digits with a code stand for its experiments. Behind such a code the "
    "raw digit is read better than any trained layer: a head limits the damage. SGD keeps layers balanced, as in the "
    "theory, so that the gap of the lost feature is small; Adam does not, and it is several times as large. The "
    "spectral loss of a feature is always lower with it than without, so that a trained diagonal network deletes none. "
    "Photographs to train with were within one grey level of the published ones.)",
    claims=(
        Claim("Trained end to end, features get the weights w of the theory, to 1 %.", ERROR, "theory, both layers",
              "lower", 0.01),
        Claim("The layer before the head gets their square roots, to 1 %.", ERROR, "theory, one layer", "lower", 0.01),
        Claim("A feature below the threshold of the theory is not learned yet.", LEARNED, "theory, weakest feature",
              "lower", 0.5),
        Claim("With 16 labels, a feature that views mostly lose is read better before the head.", gap(FEW),
              "feature lost", "higher", 0.0, margin=0.02),
        Claim("The gap is larger than where views keep it.", gap(FEW), "feature lost", "higher", "feature kept",
              margin=0.01),
        Claim("With all labels and no penalty, a linear head takes nothing away.", gap(ALL), "feature lost", "equal",
              0.0, margin=0.01, negative=True),
        Claim("A head with thresholds loses features entirely that the layer before it holds.", GONE,
              "diagonal network", "higher", 0.0, margin=0.5),
        Claim("Behind a code that views share, the digit is read far better before the MLP head than behind it.",
              gap(DIGIT), "MLP head", "higher", 0.0, margin=0.3),
        Claim("And better than from a network without a head.", f"{DIGIT}, h", "MLP head", "higher", "no head",
              margin=0.1),
        Claim("Also where half of the views show no digit, it is read better before the head.", gap(DIGIT),
              "MLP head, half erased", "higher", 0.0, margin=0.1),
        *(Claim(f"The fixed head's h gains as κ grows: {high:g} beats {'no head' if low == 1 else f'{low:g}'}.",
                f"{DIGIT}, h", f"fixed head {high}", "higher", "no head" if low == 1 else f"fixed head {low}")
          for low, high in zip((1, *KAPPAS), KAPPAS, strict=False)),
        Claim("At κ = 1.3 the fixed head is about as good as the MLP.", f"{DIGIT}, h", "fixed head 1.3", "equal",
              "MLP head", margin=0.05),
        Claim("A probe that standardises undoes the fixed head: behind it nothing is lost.", gap(DIGIT),
              "fixed head 1.3", "equal", 0.0, margin=0.01, negative=True),
        *(Claim(f"On superclasses, with {kind}, the classes within are read better before the MLP head.", gap(CLASS),
                f"{kind}, MLP head", "higher", 0.0, margin=0.02, preset="real")
          for kind in ("SupCon", "cross-entropy")),
        Claim("SimCLR: they are read better before the MLP head, too.", gap(CLASS), "SimCLR, MLP head", "higher", 0.0,
              margin=0.02, preset="real"),
        *(Claim(f"With {kind}, the fixed head does about as well as the MLP.", f"{CLASS}, h", f"{kind}, fixed head",
                "equal", f"{kind}, MLP head", margin=0.03, preset="real")
          for kind in ("SimCLR", "SupCon", "cross-entropy")),
        Claim("With an MLP head, SupCon's encoder keeps more of the classes than without a head.", f"{CLASS}, h",
              "SupCon, MLP head", "higher", "SupCon, no head", preset="real"),
    ),
    run=run,
    draw=draw,
    presets={
        "smoke": {"samples": 200, "feature_epochs": 2, "digits": 200, "digit_epochs": 1},
        "real": {"photos": "cifar100"},
    },
)  # fmt: skip
