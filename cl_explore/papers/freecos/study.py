"""FreeCOS on vessels that nobody has marked: drawn vessels teach, and the order of intensities stands any gamma."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.freecos import PAPER
from cl_explore.papers.freecos.method import FreeCOS, Input, Projector, UNet, as_they_are
from cl_explore.papers.freecos.world import gamma, world

F1, DARK, LOST = "F1", "F1, gamma 2.2", "F1 lost by gamma 2.2"
MOVED, DARKER = "vessel pixels changed by gamma 2.2", "vessels darker than around"
NEAR, TOLD = "cosine of vessels", "cosine of vessels less that with background"
ALONE: dict[str, Any] = {"passes_real": False, "contrast": 0.0, "adversary": 0.0}
REAL: dict[str, Any] = {"contrast": 0.0, "adversary": 0.0}
SURE = 0.5
RAW, EVEN, LIOT = "raw, styled", "standardised, styled", "LIOT, styled"
FLAT, UNTRAINED = "LIOT, flat", "untrained network"
SHARED, SEPARATE = "real pass, shared statistics", "real pass, own statistics"
CONTRAST, STRONG, FULL = "CMCL 0.04", "CMCL 0.3", "CMCL 0.04, adversary"


def f1(found: Tensor, mask: Tensor) -> float:
    """F1 of found pixels, over all pictures together; 0 if there is no hit."""
    hits = (found & (mask > SURE)).sum()
    return float(2 * hits / (found.sum() + (mask > SURE).sum()).clamp(min=1))


def overlap(one: Tensor, other: Tensor) -> float:
    """Of the pixels that are vessel before or after, the share that is so only once; 0 if there is none."""
    return float((one ^ other).sum() / (one | other).sum().clamp(min=1))


def contrast_around(found: Tensor, x: Tensor) -> float:
    """How much darker found pixels are than the mean of 9 by 9 around them, in deviations of that difference."""
    away = x - F.avg_pool2d(x, 9, 1, 4, count_include_pad=False)
    return float(-away[found].mean() / away.std()) if found.any() else 0.0


def judged(before: Tensor, after: Tensor, test: Dataset) -> dict[str, float]:
    """What found pixels (N, 1, S, S), of the images and of these after a gamma, are worth; without masks no F1."""
    x, mask = test.x["real"], test.x["mask"]
    if not mask.any():
        return {MOVED: overlap(before, after), DARKER: contrast_around(before, x)}
    scores = [f1(found, mask) for found in (before, after)]
    return {F1: scores[0], DARK: scores[1], LOST: scores[0] - scores[1]}


@torch.no_grad()
def segment(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How well vessels of new images are found, and how that stands a gamma."""
    assert isinstance(method, FreeCOS)
    method.eval()
    device = next(method.parameters()).device
    x = test.x["real"]
    before, after = ((method.predict(each.to(device)) > SURE).cpu() for each in (x, gamma(x, 2.2)))
    return judged(before, after, test)


@torch.no_grad()
def alignment(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """Cosines of contrasted features, of 500 pixels each: vessels drawn and real; vessels and the other's background.

    Which pixels of real images are vessel the true masks say; without masks there is nothing to be said.
    """
    assert isinstance(method, FreeCOS)
    if not test.x["mask"].any():
        return {}
    device, generator = next(method.parameters()).device, torch.Generator().manual_seed(0)
    parts = {name: part.to(device) for name, part in train.batch(torch.arange(len(test))).x.items()}
    drawn = method.dressed(parts["drawing"], parts["real"], generator)
    sets = []
    for x, mask, real in ((drawn, parts["mask"], False), (test.x["real"].to(device), test.x["mask"], True)):
        rows = F.normalize(method.head(method.features(x, real), real), dim=1).movedim(1, -1).cpu()
        for side in (mask.cpu() > SURE, mask.cpu() <= SURE):
            own = rows[side[:, 0]]
            sets.append(own[torch.randperm(len(own), generator=generator)[:500]])
    vessel, ground, other_vessel, other_ground = sets
    near = float((vessel @ other_vessel.T).mean())
    apart = float(((vessel @ other_ground.T).mean() + (other_vessel @ ground.T).mean()) / 2)
    return {NEAR: near, TOLD: near - apart}


def darkness(train: Dataset, test: Dataset) -> Row:
    """Raw input: vessel is what is darker than a grey, the one that is best for the drawings in style."""
    x, real = train.x, test.x["real"]
    dressed = FreeCOS(UNet(1), Projector(6), **ALONE).dressed(x["drawing"], x["real"], torch.Generator().manual_seed(0))
    _, grey = max((f1(dressed < level, x["mask"]), level) for level in torch.linspace(0, 1, 52).tolist())
    return {"method": "raw input", **judged(real < grey, gamma(real, 2.2) < grey, test), "seconds": 0.0}


def form(encoder: nn.Module, head: nn.Module, loss: None, augment: object, **options: Any) -> FreeCOS:
    """FreeCOS as the bench builds it: losses and views are its own."""
    return FreeCOS(encoder, head, **options)


def entry(settings: dict[str, Any] | None, domains: int = 1, input: Input = "liot", **options: Any) -> Entry:
    """An arm: a U-Net of 8 thousand weights."""

    def networks(train: Dataset) -> tuple[nn.Module, nn.Module]:
        encoder = UNet(4 if input == "liot" else 1, domains=domains)
        return encoder, Projector(encoder.out_features, domains=domains)

    return Entry("", form=form, networks=networks, augment=as_they_are, settings=settings, input=input, **options)


def plan(settings: dict[str, Any], steps: int, *, whole: bool) -> dict[str, Entry]:
    """All arms; of images without masks those that synthetic images alone teach, and the whole method."""
    arms = {
        UNTRAINED: entry(None, **ALONE),
        RAW: entry(settings, input="raw", **ALONE),
        EVEN: entry(settings, input="standardised", **ALONE),
        LIOT: entry(settings, **ALONE),
        FULL: entry(settings, 2, steps=steps),
    }
    if not whole:
        return arms
    return arms | {
        FLAT: entry(settings, window=None, **ALONE),
        SHARED: entry(settings, **REAL),
        SEPARATE: entry(settings, 2, **REAL),
        CONTRAST: entry(settings, 2, adversary=0.0),
        STRONG: entry(settings, 2, contrast=0.3, adversary=0.0),
    }


def run(
    seed: int, *, source: str = "walks", number: int = 96, unseen: int = 40, side: int = 32, epochs: int = 8
) -> list[Row]:
    """All arms on the images of a world; `unseen` others are segmented afterwards."""
    train, test = world(source, seed, number, unseen, side)
    batch_size = 8
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": 1e-2}
    arms = plan(settings, epochs * (number // batch_size), whole=source == "walks")
    return [darkness(train, test), *compare(arms, train, test, (segment, alignment), seed=seed).rows]


STUDY = Study(
    paper=PAPER,
    about="Vessels drawn by a fractal grammar, in the style of unlabelled images, teach a network to find real ones "
    "that nobody has marked; the order of intensities takes the place of intensities. (Images are 32 pixels wide and "
    "generated: winding walks over smooth noise that drifts in brightness. The network has 8 thousand weights "
    "and 96 steps; texture and steps were chosen on a seed that does not "
    "count. Which strings the rules of the grammar are made of is a reconstruction. Without a gamma, intensities are "
    "the better input: F1 is .71 with them and .51 with their order. Real images that share statistics of batch norm "
    "were expected to cost F1 and do not. CMCL parts vessels from background, but drawn vessels and real ones are no "
    "nearer to each other for it, and F1 is not higher. A photograph of a retina is so dark that a gamma and 8 bits "
    "leave 18 of 37 greys of a crop: ties change 5 % of the comparisons, of the walks' .1 %, and without rounding "
    "none.)",
    claims=(
        Claim("A network that sees raw intensities loses vessels when a gamma of 2.2 darkens new images.", LOST, RAW,
              "higher", 0.0, margin=0.1),
        Claim("One that sees the order of intensities loses at most 0.02.", LOST, LIOT, "equal", 0.0, margin=0.02),
        Claim("Under the gamma, order finds more vessels than intensities do.", DARK, LIOT, "higher", RAW, margin=0.1),
        Claim("Intensities of mean 0 and deviation 1 in each image lose less than intensities as they are.", LOST, EVEN,
              "lower", RAW),
        Claim("Drawings in the style of the images teach more than flat ones.", F1, LIOT, "higher", FLAT, margin=0.05),
        Claim("Drawings teach more of real vessels than the best threshold of grey knows.", F1, LIOT, "higher",
              "raw input", margin=0.05),
        Claim("They teach more than an untrained network knows.", F1, LIOT, "higher", UNTRAINED, margin=0.1),
        Claim("Real images that share the statistics of batch norm cost F1, though no loss looks at them.", F1, SHARED,
              "lower", LIOT, margin=0.05, negative=True),
        Claim("CMCL at the paper's weight gives no measurable gain of F1 where statistics are separate.", F1, CONTRAST,
              "equal", SEPARATE, margin=0.05, negative=True),
        Claim("Nor does CMCL at weight 0.3.", F1, STRONG, "equal", SEPARATE, margin=0.05, negative=True),
        Claim("CMCL brings features of drawn and of real vessels together.", NEAR, CONTRAST, "higher", SEPARATE),
        Claim("It does so without bringing the background along.", TOLD, CONTRAST, "higher", SEPARATE),
        Claim("At weight 0.3 it brings them together as well.", NEAR, STRONG, "higher", SEPARATE),
        Claim("The adversary adds no measurable F1 to CMCL.", F1, FULL, "equal", CONTRAST, margin=0.05, negative=True),
        Claim("On a retina, a gamma of 2.2 changes at most a tenth of what is found from the order of intensities.",
              MOVED, LIOT, "lower", 0.1, preset="real"),
        Claim("On a retina, it changes more of what is found from raw intensities.", MOVED, RAW, "higher", LIOT,
              margin=0.1, preset="real"),
        Claim("On a retina, what is found is darker than its surroundings, as vessels are, more than before training.",
              DARKER, LIOT, "higher", UNTRAINED, margin=0.5, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [column for column in (F1, DARK, MOVED, DARKER) if column in rows]),
    presets={
        "smoke": {"number": 16, "unseen": 8, "epochs": 1},
        "real": {"source": "retina", "epochs": 8},
    },
)  # fmt: skip
