"""ScatSimCLR on few pictures: what first layers that nobody trains are worth, and what a pretext task adds."""

from functools import partial
from typing import Any

from torch import nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.methods.skeleton import width
from cl_explore.nn import MLP
from cl_explore.papers.scatsimclr import PAPER
from cl_explore.papers.scatsimclr.method import (
    Jigsaw,
    PaperEncoder,
    Rotations,
    Scattering,
    convolutional_encoder,
    scattering_encoder,
)
from cl_explore.papers.scatsimclr.world import few
from cl_explore.views import HardViews

LINEAR, PARAMETERS = "linear h", "thousands of trained parameters"
VIEWS = HardViews(shift=1, erased=0, intensity=0.2, noise=0.1)
BATCH = 64
Parts = tuple[nn.Module, nn.Module]


def with_head(encoder: nn.Module) -> Parts:
    """The encoder and a head of 64-64-32."""
    return encoder, MLP([width(encoder), 64, 32], batch_norm=False)


def scattering(train: Dataset, scales: int, angles: int, blocks: int | None = None, **options: Any) -> Parts:
    """The network of the paper in small, for pictures like those; in full if its residual `blocks` are given."""
    channels, size = train.x.shape[1:3]
    if blocks is None:
        return with_head(scattering_encoder(channels, size, scales, angles, **options))
    encoder = PaperEncoder(channels, size, scales, angles, blocks, **options)
    return encoder, MLP([encoder.out_features, 2048, 128], batch_norm=False)


def convolutions(train: Dataset) -> Parts:
    """What it is compared with."""
    return with_head(convolutional_encoder(*train.x.shape[1:3]))


def coefficients(train: Dataset, scales: int, angles: int) -> Parts:
    """The scattering transform alone."""
    return nn.Sequential(Scattering(train.x.shape[2], scales, angles), nn.Flatten()), nn.Identity()


def probe(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How well h tells the classes after a fit to the few training pictures, and what was trained for it."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    given = seen.h, seen.labels, unseen.h, unseen.labels
    trained = sum(weight.numel() for weight in method.encoder.parameters())
    return {
        LINEAR: evaluate.linear_accuracy(*given),
        "kNN h": evaluate.knn_accuracy(*given),
        PARAMETERS: trained / 1000,
    }


def plan(
    samples: int, epochs: int, scales: int, angles: int, blocks: int | None, *, whole: bool = False
) -> dict[str, Entry]:
    """Both networks after the baselines; with `whole` also what is changed about the first.

    A pretext task waits for the first fifth of the steps, unless it is said that it does not. The classifier of the
    jigsaw is smaller than the paper's, whose 19 million weights would outweigh all else.
    """
    settings = {"epochs": epochs, "batch_size": BATCH, "lr": 1e-3}
    entry = partial(Entry, "nt_xent", temperature=0.5, augment=VIEWS, settings=settings)
    warmup = epochs * (samples // BATCH) // 5
    own = partial(scattering, scales=scales, angles=angles, blocks=blocks)
    found = {
        **baselines(augment=VIEWS, networks=own),
        "scattering alone": entry(networks=partial(coefficients, scales=scales, angles=angles)),
        "ScatSimCLR": entry(networks=own),
        "untrained CNN": entry(networks=convolutions),
        "CNN": entry(networks=convolutions),
    }
    for name in ("scattering alone", "untrained CNN"):
        found[name].settings = None
    if whole:
        found |= {
            "ScatSimCLR J=2": entry(networks=partial(own, scales=2)),
            "without norm (code)": entry(networks=partial(own, scatter_norm=False)),
            "with rotations": entry(networks=own, form=Rotations, warmup=warmup),
            "with rotations at once (code)": entry(networks=own, form=Rotations),
            "CNN with rotations": entry(networks=convolutions, form=Rotations, warmup=warmup),
            "with jigsaw": entry(networks=own, form=Jigsaw, warmup=warmup, hidden=(64, 128)),
        }
    return found


def run(
    seed: int,
    *,
    dataset: str = "digits",
    samples: int = 100,
    more: int | None = 400,
    epochs: int = 40,
    scales: int = 1,
    angles: int = 8,
    blocks: int | None = None,
    whole: bool = True,
) -> list[Row]:
    """Both networks, and what can be changed about the first, on a hundred pictures; both once more on `more`.

    blocks: residual ones of the adapter at the size of the paper (8, 12, 16, 30 or 45), instead of the small adapter
    """
    train, test = few(seed, dataset, samples)
    entries = plan(samples, epochs, scales, angles, blocks, whole=whole)
    rows = compare(entries, train, test, (probe,), seed=seed).rows
    if more is not None:
        train, test = few(seed, dataset, more)
        entries = plan(more, epochs, scales, angles, blocks)
        larger = {f"{name}, more pictures": entries[name] for name in ("ScatSimCLR", "CNN")}
        rows += compare(larger, train, test, (probe,), seed=seed).rows
    return rows


STUDY = Study(
    paper=PAPER,
    about="Where pictures are few, first layers that are fixed, moduli of wavelets, and a small adapter learn more "
    "than a network twice as large that learns all of its layers. (A linear probe of the wavelets by themselves, "
    "without any training, is better still. The orders of the jigsaw's tiles are a reconstruction.)",
    claims=(
        Claim("On a hundred digits it beats a network with more than twice as many trained parameters.", LINEAR,
              "ScatSimCLR", "higher", "CNN", margin=0.03),
        Claim("Two scales are too many for eight pixels: detail is lost.", LINEAR, "ScatSimCLR J=2", "lower",
              "ScatSimCLR", margin=0.02),
        Claim("Without a norm of the scattering maps, as in the authors' code, it is worse.", LINEAR,
              "without norm (code)", "lower", "ScatSimCLR"),
        Claim("To tell rotations beside it changes little on digits.", LINEAR, "with rotations", "equal", "ScatSimCLR",
              margin=0.02, negative=True),
        Claim("So it does for the convolutional network.", LINEAR, "CNN with rotations", "equal", "CNN", margin=0.02,
              negative=True),
        Claim("To solve a jigsaw beside it changes as little.", LINEAR, "with jigsaw", "equal", "ScatSimCLR",
              margin=0.02, negative=True),
        Claim("Whether the pretext task waits makes no difference.", LINEAR, "with rotations at once (code)", "equal",
              "with rotations", margin=0.02),
        Claim("The trained adapter tells digits apart better than the raw input.", LINEAR, "ScatSimCLR", "higher",
              "raw input"),
        Claim("And better than the scattering transform by itself.", LINEAR, "ScatSimCLR", "higher",
              "scattering alone"),
        Claim("With four times as many pictures the convolutional network is still behind.", LINEAR,
              "ScatSimCLR, more pictures", "higher", "CNN, more pictures"),
        Claim("On 200 pictures of clothes it beats the convolutional network too.", LINEAR, "ScatSimCLR", "higher",
              "CNN", margin=0.02, preset="real"),
        Claim("There too, training beats the scattering transform by itself.", LINEAR, "ScatSimCLR", "higher",
              "scattering alone", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [LINEAR, PARAMETERS]),
    presets={
        "smoke": {"epochs": 2, "more": 128},
        "real": {
            "dataset": "fashion_mnist", "samples": 200, "more": None, "scales": 2, "angles": 4, "whole": False,
        },
    },
)  # fmt: skip
