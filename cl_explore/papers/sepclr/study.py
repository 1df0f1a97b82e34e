"""SepCLR on samples whose common and salient classes are known: what each of two codes tells of either."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.nn import MLP, ConvNet
from cl_explore.papers.sepclr import PAPER
from cl_explore.papers.sepclr.method import TwoEncoders, TwoProjectors
from cl_explore.papers.sepclr.world import world
from cl_explore.views import ImageViews, VectorViews, Views

FACTORS = ("common", "salient")
LEAKS = [f"{code}→{factor}" for code in "cs" for factor in FACTORS]
VIEWS: dict[str, Views[Any]] = {
    "templates": VectorViews(noise=0.4, dropout=0.0),
    "gratings": ImageViews(noise=0.1),
    "clothes": ImageViews(crop_area=0.5, crop_ratio=4 / 3, brightness=0.2, contrast=0.2, noise=0.05),
}
AFTER = ", projected"


def networks(train: Dataset, *, projected: bool = False) -> tuple[nn.Module, nn.Module]:
    """Encoders of 8 numbers each for vectors and small images, of 32 for images of 28 pixels.

    projected: with a head Linear-BN-ReLU-Linear of each half; without, the codes are compared themselves.
    """
    large = train.x.ndim == 4 and train.x.shape[3] > 8
    size = 32 if large else 8

    def encoder() -> nn.Module:
        if large:
            return nn.Sequential(ConvNet(1), nn.Linear(64, size))
        return MLP([train.x[0].numel(), 128, 64, size], batch_norm=False)

    both = TwoEncoders(encoder(), encoder(), size)
    return both, TwoProjectors(MLP([size, 128, size]), MLP([size, 128, size]), size) if projected else nn.Identity()


ARMS: dict[str, dict[str, Any]] = {
    "SepCLR": {},
    "no joint entropy": {"joint_weight": 0.0},
    "no informationless term": {"informationless_weight": 0.0},
    "NT-Xent on both codes": {"loss": "nt_xent", "temperature": 0.5},
}
SWITCHES: dict[str, dict[str, Any]] = {
    "β_r=1000": {"informationless_weight": 1000.0},
    "β_s=100": {"salient_weight": 100.0},
    "background pairs dropped": {"background_pairs": "drop"},
    "with projectors": {"networks": partial(networks, projected=True)},
}


def leaks(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """Accuracies of a linear probe of each code for each factor, on targets alone.

    They are read from what the encoders make, and under further names from what projectors make of it, if there are
    any. The common code is normalised. What is no pair of codes, such as the raw input, is read as a whole.
    """
    parts = [part.subset(part.labels == 1) for part in (train, test)]
    embedded = [evaluate.embed(method, part) for part in parts]
    layers = {"": [each.h for each in embedded]}
    if isinstance(method.head, TwoProjectors):
        layers[AFTER] = [each.z for each in embedded]

    def codes(h: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(method.encoder, TwoEncoders):
            return h, h
        c, s = h.chunk(2, dim=1)
        return F.normalize(c, dim=1), s

    found = {}
    for after, layer in layers.items():
        for name, *code in zip("cs", *map(codes, layer), strict=True):
            for factor in FACTORS:
                seen, unseen = (part.factors[factor] for part in parts)
                found[f"{name}→{factor}{after}"] = evaluate.linear_accuracy(code[0], seen, code[1], unseen)
    return found


def plan(name: str, train: Dataset, epochs: int, batch_size: int, lr: float) -> dict[str, Entry]:
    """All arms on a world by name, after the raw input and untrained encoders; the switches on templates alone."""
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    entries = baselines(networks=networks, augment=VIEWS[name])
    for arm, options in (ARMS | SWITCHES if name == "templates" else ARMS).items():
        own = {"loss": "sepclr", "networks": networks, **options}
        entries[arm] = Entry(settings=settings, augment=VIEWS[name], **own)
    return entries


def run(
    seed: int,
    *,
    worlds: Sequence[str] = ("templates", "gratings"),
    samples: int | None = None,
    epochs: int = 25,
    batch_size: int = 150,
    lr: float = 2e-3,
) -> list[Row]:
    """All arms on each of the worlds; rows of images say which.

    samples: of the training part, at most; None takes all there are, of templates 1200.
    """
    rows: list[Row] = []
    for name in worlds:
        train, test = world(name, seed, samples=samples)
        found = compare(plan(name, train, epochs, batch_size, lr), train, test, (leaks,), seed=seed).rows
        rows += [row if name == "templates" else {**row, "method": f"{row['method']}, {name}"} for row in found]
    return rows


STUDY = Study(
    paper=PAPER,
    about="What targets have and background lacks is kept apart from what both share, in a code of its own: background "
    "is pressed onto the salient code's origin, and the joint entropy of both codes pushes out of the common one what "
    "the salient one says already. (Codes are the encoders' own; there are no projectors but where a row says so. "
    "Probes are linear, of targets alone: for them the raw vectors are easy, and the point is what a code does not "
    "tell. Margins for gratings and clothes are our own, set after a run of templates and gratings on a seed that does "
    "not count here. How much of the salient "
    "class 25 epochs leave in the common code differs widely between seeds, for joint entropy is not done by then: "
    "trained for 60, on four other seeds, the common code tells it in .24 to .31 of the cases instead of .34 to .98, "
    "while the salient code tells more of the common class, .37 instead of .23. Digits on clothes are scikit-learn's, "
    "enlarged. 200 steps on 2,000 clothes are few: the salient code tells digits no better than an untrained one.)",
    claims=(
        Claim("Joint entropy pushes the salient class out of the common code.", "c→salient", "SepCLR", "lower",
              "no joint entropy", margin=0.4),
        Claim("What is left of it there is close to chance, a quarter.", "c→salient", "SepCLR", "equal", 0.25,
              margin=0.1),
        Claim("The common class stays in it.", "c→common", "SepCLR", "equal", "no joint entropy", margin=0.05),
        Claim("The term for background pushes the common class out of the salient code.", "s→common", "SepCLR",
              "lower", "no informationless term", margin=0.3),
        Claim("The salient class stays in it.", "s→salient", "SepCLR", "equal", "no informationless term",
              margin=0.05),
        Claim("The salient code still tells more of the common class than chance, an eighth.", "s→common", "SepCLR",
              "higher", 0.125, margin=0.1, negative=True),
        Claim("An ordinary contrastive loss on both codes leaves the salient class in the common one.", "c→salient",
              "SepCLR", "lower", "NT-Xent on both codes", margin=0.4),
        Claim("And the common class in the salient one.", "s→common", "SepCLR", "lower", "NT-Xent on both codes",
              margin=0.3),
        Claim("Too much weight on background (β_r = 1000) costs the salient code some of its class.", "s→salient",
              "β_r=1000", "lower", "SepCLR", margin=0.02, negative=True),
        Claim("Too much weight on the salient terms (β_s = 100) drags the common class into the salient code.",
              "s→common", "β_s=100", "higher", "SepCLR", margin=0.1, negative=True),
        Claim("Whether pairs of background samples count in uniformity makes no difference to the salient class.",
              "s→salient", "background pairs dropped", "equal", "SepCLR", margin=0.02),
        Claim("Before its projector, the salient code tells far more of the common class than without a projector.",
              "s→common", "with projectors", "higher", "SepCLR", margin=0.1, negative=True),
        Claim("Behind gratings, digits leave the salient code.", "s→common", "SepCLR, gratings", "lower",
              "NT-Xent on both codes, gratings", margin=0.3),
        Claim("The term for background does part of it.", "s→common", "SepCLR, gratings", "lower",
              "no informationless term, gratings", margin=0.15),
        Claim("Gratings fade from the common code.", "c→salient", "SepCLR, gratings", "lower",
              "no joint entropy, gratings", margin=0.2),
        Claim("On clothes, joint entropy pushes digits out of the common code.", "c→salient", "SepCLR, clothes",
              "lower", "no joint entropy, clothes", margin=0.1, preset="real"),
        Claim("The term for background pushes clothes out of the salient code.", "s→common", "SepCLR, clothes",
              "lower", "no informationless term, clothes", margin=0.1, preset="real"),
        Claim("Digits are read better from the salient code than from an ordinary one.", "s→salient",
              "SepCLR, clothes", "higher", "NT-Xent on both codes, clothes", margin=0.05, preset="real"),
        Claim("Clothes are read as well from the common code as from an ordinary one.", "c→common",
              "SepCLR, clothes", "equal", "NT-Xent on both codes, clothes", margin=0.05, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, LEAKS),
    presets={
        "smoke": {"samples": 200, "epochs": 1, "batch_size": 50},
        "real": {"worlds": ("clothes",), "samples": 2000, "epochs": 10, "batch_size": 100},
    },
)  # fmt: skip
