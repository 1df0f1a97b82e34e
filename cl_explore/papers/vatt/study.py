"""VATT on clips whose captions mostly describe other clips: the sum over a bag belongs inside the logarithm."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from cl_explore import evaluate, losses
from cl_explore.claims.bench import Entry, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Augment, Method
from cl_explore.methods.skeleton import width
from cl_explore.nn import Transformer
from cl_explore.papers.vatt import PAPER
from cl_explore.papers.vatt.method import (
    VATT,
    DroppingTransformer,
    MeanCaption,
    MeanOfLogs,
    Patches,
    bag,
    fac_heads,
    joint_heads,
    one_of_bag,
)
from cl_explore.papers.vatt.world import World, feature_streams, spoken_digits
from cl_explore.views.noisy import Noisy

WIDTH, FRAMES = 64, 16
TOP, HEARD, KNN, WEIGHT = "text→video top-1", "audio→video top-1", "kNN of the video", "weight on the caption that fits"
VIEWS: dict[str, Augment] = {"video": Noisy(), "audio": Noisy(), "text": bag}
SPOKEN = "spoken digits"
Towers = tuple[dict[str, nn.Module], dict[str, nn.Module]]
"""Encoders and heads, by modality."""


def networks(train: Dataset, heads: Callable[..., dict[str, nn.Module]] = fac_heads) -> Towers:
    """The default encoders of such samples, and heads."""
    encoder = {name: kind.encoder(train.x[name]) for name, kind in train.modality.items()}
    return encoder, heads({name: width(tower) for name, tower in encoder.items()})


def transformers(train: Dataset, drop: float) -> Towers:
    """Transformers of frames or pixels and of sound, where it is one, that drop a share of their tokens."""
    encoder, _ = networks(train)
    for name, size in (("video", {"series": 1, "image": 2}), ("audio", {"waveform": 128})):
        if side := size.get(train.modality[name].name):
            patches = Patches(train.x[name][0], side, WIDTH)
            encoder[name] = DroppingTransformer(patches, patches.count, Transformer(WIDTH), drop=drop)
    return encoder, fac_heads({name: width(tower) for name, tower in encoder.items()})


def retrieval(method: Method, train: Dataset, test: Dataset, *, temperature: float) -> dict[str, float]:
    """How well caption and sound find an unseen video of what they describe, and how a bag's weight is shared out.

    A video found is right if it is of the same class for a caption, of the same action for a sound.
    """
    assert isinstance(method, VATT)
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    among_text = evaluate.embed(method.in_text_space(), test)
    text, audio = (evaluate.embed(method.tower(name), test).z for name in ("text", "audio"))
    labels, action = test.labels, test.factors["action"]
    found = {
        TOP: evaluate.recall(text, among_text.z, 1, labels, labels),
        HEARD: evaluate.recall(audio, unseen.z, 1, action, action),
        KNN: evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
    }
    z = evaluate.embed_views(method, train)
    if z.shape[1] > 4:  # more captions than one
        weight = losses.mil_nce.parts(z[:, 2], z[:, 3:], temperature=temperature)["weight"]
        found[WEIGHT] = weight.gather(1, train.factors["place"][:, None]).mean().item()
    return found


def told(train: Dataset) -> Dataset:
    """The same clips, each with the caption that fits as its whole bag."""
    fitting = train.x["text"][torch.arange(len(train)), train.factors["place"]]
    return replace(train, x={**train.x, "text": fitting[:, None]})


def plan(train: Dataset, temperature: float, **common: Any) -> dict[str, Entry]:
    """MIL-NCE, what could stand in its place, and its own switches.

    common: of each entry.
    """
    common |= {"form": VATT, "augment": VIEWS, "networks": networks}

    def mil_nce(**own: Any) -> Entry:
        return Entry("mil_nce", temperature=temperature, **{**common, **own})

    return {
        "untrained encoder": mil_nce(settings=None),
        "MIL-NCE": mil_nce(),
        "told which caption": mil_nce(data=told(train)),
        "one at random": mil_nce(augment={**VIEWS, "text": one_of_bag}),
        "mean of the logs": Entry(MeanOfLogs(temperature), **common),
        "mean caption": Entry(MeanCaption(temperature), **common),
        "one softmax (MMV)": mil_nce(direction="joint"),
        "flat heads": mil_nce(networks=partial(networks, heads=joint_heads)),
    }


def run(
    seed: int,
    *,
    world: str = "features",
    clips: int | None = 2500,
    candidates: int = 5,
    temperature: float = 0.07,
    epochs: int = 15,
    batch_size: int = 125,
    lr: float = 2e-3,
) -> list[Row]:
    """Every loss on the same bags, one caption of which fits; then a transformer with and without DropToken.

    world: "features" or "spoken digits". The transformer sees the video of the features as 16 noisier frames.
    """
    if world not in ("features", SPOKEN):
        raise ValueError(f"world must be 'features' or {SPOKEN!r}, got {world!r}")
    settings: Mapping[str, Any] = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    measures = [partial(retrieval, temperature=temperature)]

    def made(**options: Any) -> World:
        if world == SPOKEN:
            return spoken_digits(seed, clips=clips, candidates=candidates)
        return feature_streams(seed, clips=clips or 2500, candidates=candidates, **options)

    train, test = made()
    rows = compare(plan(train, temperature, settings=settings), train, test, measures, seed=seed).rows
    pixels = [part.x["video"].flatten(1) for part in (train, test)]
    rows.append({"method": "raw input", KNN: evaluate.knn_accuracy(pixels[0], train.labels, pixels[1], test.labels)})
    train, test = made(frames=FRAMES)
    drops = {
        name: Entry(
            "mil_nce", form=VATT, augment=VIEWS, networks=partial(transformers, drop=drop), settings=settings,
            temperature=temperature,
        )
        for name, drop in (("transformer", 0.0), ("transformer, half dropped", 0.5))
    }  # fmt: skip
    for row in compare(drops, train, test, measures, seed=seed).rows:
        steps = epochs * (len(train) // batch_size)
        rows.append({**row, "ms a step": 1000 * row["seconds"] / steps})
    return rows


STUDY = Study(
    paper=PAPER,
    about="Video, sound and text share two spaces, one behind the other, and a clip is compared with a bag of captions "
    "spoken near it, of which perhaps one fits: the sum over the bag inside the logarithm asks for no more.",
    claims=(
        Claim("Captions find their video far more often than with one caption of the bag at random.", TOP, "MIL-NCE",
              "higher", "one at random", margin=0.5),
        Claim("They do so also compared with the mean embedding of the bag.", TOP, "MIL-NCE", "higher",
              "mean caption", margin=0.2),
        Claim("With the sum over the bag outside the logarithm, they find it far less often.", TOP,
              "mean of the logs", "lower", "MIL-NCE", margin=0.4),
        Claim("To be told which caption fits changes little.", TOP, "MIL-NCE", "equal", "told which caption",
              margin=0.05),
        Claim("Trained, it puts more of a bag's weight on the caption that fits.", WEIGHT, "MIL-NCE", "higher",
              "untrained encoder", margin=0.5),
        Claim("The video's neighbours tell what it shows better than those of the raw input.", KNN, "MIL-NCE",
              "higher", "raw input", margin=0.05),
        Claim("One softmax for both directions, as in MMV, does as well.", TOP, "one softmax (MMV)", "equal",
              "MIL-NCE", margin=0.05),
        Claim("One space for all three modalities serves captions as well as two in a row.", TOP, "flat heads",
              "equal", "MIL-NCE", margin=0.05, negative=True),
        Claim("One space serves sounds as well, too.", HEARD, "flat heads", "equal", "MIL-NCE", margin=0.05,
              negative=True),
        Claim("Dropping half of the tokens while training costs a transformer few points.", TOP,
              "transformer, half dropped", "equal", "transformer", margin=0.05),
        Claim("Of spoken digits, captions find a picture far more often than with one caption at random.", TOP,
              "MIL-NCE", "higher", "one at random", margin=0.1, preset="real"),
        Claim("And than with the mean embedding of the bag.", TOP, "MIL-NCE", "higher", "mean caption", margin=0.05,
              preset="real"),
        Claim("And than with the sum over the bag outside the logarithm.", TOP, "MIL-NCE", "higher",
              "mean of the logs", margin=0.1, preset="real"),
        Claim("Of spoken digits, too, most of a bag's weight goes to the word that fits.", WEIGHT, "MIL-NCE", "higher",
              0.5, preset="real"),
        Claim("A recording finds pictures of its digit that no training has found.", HEARD, "MIL-NCE", "higher",
              "untrained encoder", margin=0.3, preset="real"),
        Claim("One space for all three serves captions of spoken digits as well.", TOP, "flat heads", "equal",
              "MIL-NCE", margin=0.05, preset="real", negative=True),
        Claim("Neighbours of a picture's code tell its digit better than those of its pixels.", KNN, "MIL-NCE",
              "higher", "raw input", preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [TOP, HEARD, KNN]),
    presets={
        "smoke": {"clips": 250, "epochs": 1},
        "real": {"world": SPOKEN, "clips": None, "epochs": 6},
    },
)  # fmt: skip
