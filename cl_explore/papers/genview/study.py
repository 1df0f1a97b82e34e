"""GenView with a generator that now and then shows another object: what generated views and quality weights gain."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.nn import MLP, ConvNet, projection_head
from cl_explore.papers.genview import PAPER
from cl_explore.papers.genview.method import GenView, PairWeighted, Tokens, Told, pair_weights
from cl_explore.papers.genview.world import (
    FEATURES,
    OneGenerated,
    Reader,
    SceneReader,
    World,
    photographs,
    pictures,
    vectors,
)
from cl_explore.train import fit
from cl_explore.views import ImageViews, VectorViews, Views

LINEAR, RATIO, COUNTED = "linear h", "weight of a corrupted pair", "share of pairs that count"
READERS = {"scene": "a reader of objects and backgrounds", "labels": "a reader of labels alone"}
Parts = tuple[nn.Module, nn.Module]


def flat_networks(train: Dataset) -> Parts:
    """An encoder of vectors, 48-128-64, and a head."""
    return MLP([FEATURES, 128, 64]), projection_head(64, 64, 32)


def picture_networks(train: Dataset) -> Parts:
    """A small convolutional encoder of coloured pictures and a head."""
    return ConvNet(3), projection_head(64, 64, 32)


def probe(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How well h tells what is shown, by a linear probe and by neighbours."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    given = seen.h, seen.labels, unseen.h, unseen.labels
    return {LINEAR: evaluate.linear_accuracy(*given), "kNN h": evaluate.knn_accuracy(*given)}


def weighing(method: Method, train: Dataset, test: Dataset, *, pairs: Dataset) -> dict[str, float]:
    """How the weights are shared out among the pairs, if the method has any that differ.

    A corrupted pair's weight is its mean over that of good ones.
    """
    if not isinstance(method, GenView) or not method.gamma:
        return {}
    device = next(method.parameters()).device
    batch = pairs.to(device).batch(torch.arange(len(pairs)))
    views = method.augment(batch.x, torch.Generator(device).manual_seed(0), 2)
    weights, kept = pair_weights(method.quality(views).score, method.gamma), batch.factors["kept"].bool()
    ratio = weights[~kept].mean() / weights[kept].mean()
    return {RATIO: ratio.item(), COUNTED: 1 / weights.square().mean().item()}


def plan(
    world: World, arms: Mapping[str, Mapping[str, Any]], base: Views[Any], *, temperature: float, epochs: int,
    **common: Any,
) -> dict[str, Entry]:  # fmt: skip
    """Arms after the raw input and an untrained encoder.

    arms: options of `GenView`; `chance` of a generated view instead of 1, and `oracle` to drop the corrupted pairs,
        which trains for as many steps.
    """
    entries = baselines(augment=base, networks=common["networks"])
    good = world.pairs.subset(world.pairs.factors["kept"].bool())
    for name, options in arms.items():
        own = dict(options)
        chance, pairs = own.pop("chance", 1.0), good if own.pop("oracle", False) else world.pairs
        settings = {"epochs": round(epochs * len(world.pairs) / len(pairs)), "batch_size": 128, "lr": 1e-3}
        entries[name] = Entry(
            PairWeighted("nt_xent", temperature=temperature), form=GenView, settings=settings, data=pairs,
            augment=OneGenerated(base, chance), **common, **{"gamma": 0.0, **own},
        )  # fmt: skip
    return entries


def read(reader: type[Reader], seed: int, train: Dataset, epochs: int, *shape: Any) -> Tokens:
    """A frozen network that has learned to read pictures like `train`."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        made = reader(*shape)
    fit(made, train, epochs=epochs, batch_size=64, seed=seed, snapshots=0, progress=False)
    return Tokens(made.encoder.cpu(), train.batch(torch.arange(min(1000, len(train)))).x)


def on_vectors(seed: int, samples: int, epochs: int) -> list[Row]:
    """All weightings of pairs whose descriptors are known."""
    world = vectors(seed, samples=samples)
    arms: dict[str, dict[str, Any]] = {
        "no generated views": {"chance": 0.0},
        "uniform weights": {},
        **{f"quality γ={gamma}": {"gamma": float(gamma)} for gamma in (1, 3, 6)},
        "foreground alone γ=3": {"gamma": 3.0, "score": "fg"},
        "oracle, good pairs alone": {"oracle": True},
    }
    entries = plan(world, arms, VectorViews(noise=0.0, dropout=0.2), temperature=0.2, epochs=epochs,
                   networks=flat_networks, reference=Told())  # fmt: skip
    measures = (probe, partial(weighing, pairs=world.pairs))
    return compare(entries, world.train, world.test, measures, seed=seed).rows


def on_pictures(seed: int, samples: int, epochs: int) -> list[Row]:
    """Generated pictures, levels that follow the foreground and such that do not, weights by either reader."""
    world, flat = pictures(seed, samples=samples), pictures(seed, samples=samples, level=200)
    base = ImageViews.simclr(strength=0.5)
    short = 2 * epochs // 3
    readers = {
        "scene": read(SceneReader, seed, world.train, short),
        "labels": read(Reader, seed, world.train, short, 3, world.train.num_classes),
    }
    common: dict[str, Any] = {"temperature": 0.2, "networks": picture_networks}
    arms = {"no generated views": {"chance": 0.0}, "uniform weights": {}, "quality γ=1": {"gamma": 1.0}}
    entries = plan(world, arms, base, epochs=epochs, reference=readers["scene"], **common)
    constant = plan(flat, {"constant level": {}}, base, epochs=epochs, reference=readers["scene"], **common)
    entries["constant level"] = constant["constant level"]
    measures = (probe, partial(weighing, pairs=world.pairs))
    rows = compare(entries, world.train, world.test, measures, seed=seed).rows
    for name, reader in readers.items():
        weigher = plan(world, {name: {"gamma": 1.0}}, base, epochs=epochs, reference=reader, **common)[name]
        found = weighing(weigher.build(world.pairs, seed), world.train, world.test, pairs=world.pairs)
        rows.append({"method": READERS[name], **found})
    for row in rows:
        row["method"] += ", pictures"
    return rows


def on_photographs(seed: int, name: str, samples: int, epochs: int) -> list[Row]:
    """Other photographs of the class for generated ones, weights by a network that has learned the labels of others."""
    world, apart = photographs(seed, name, samples=samples)
    reader = read(Reader, seed, apart, 10, 3, apart.num_classes, (2, 2, 2))
    arms: dict[str, dict[str, Any]] = {
        "no generated views": {"chance": 0.0},
        "uniform weights": {},
        "quality γ=1": {"gamma": 1.0},
        "foreground alone γ=1": {"gamma": 1.0, "score": "fg"},
    }
    entries = plan(world, arms, ImageViews.simclr(), temperature=0.2, epochs=epochs, reference=reader,
                   networks=picture_networks)  # fmt: skip
    measures = (probe, partial(weighing, pairs=world.pairs))
    return compare(entries, world.train, world.test, measures, seed=seed).rows


def run(
    seed: int,
    *,
    photos: str | None = None,
    samples: int = 2000,
    epochs: int = 33,
    picture_samples: int = 1200,
    picture_epochs: int = 15,
) -> list[Row]:
    """Vectors, then drawn pictures; or photographs of a data set by name alone, with `samples` and `epochs`.

    Photographs have no generator here: another one of the same class stands for what it would draw.
    """
    if photos is not None:
        return on_photographs(seed, photos, samples, epochs)
    return on_vectors(seed, samples, epochs) + on_pictures(seed, picture_samples, picture_epochs)


STUDY = Study(
    paper=PAPER,
    about="A picture that a generator has drawn of the same object makes a better view than a crop, and pairs that "
    "agree in the object and differ in the background deserve more weight. (The generator is a stand-in of which all "
    "is known; how often its noise turns an object into another one is a reconstruction. Neighbours of h gain by "
    "generated views and again by weights; the linear probe, for which the raw input is easy already, sees little of "
    "it. The photographs were read after JPEG at quality 95; another one of the class stands for a generated one.)",
    claims=(
        Claim("Generated views beat hand-made augmentation alone by a wide margin.", LINEAR, "uniform weights",
              "higher", "no generated views", margin=0.05),
        Claim("With three pairs in ten corrupted, quality weights beat uniform ones.", LINEAR, "quality γ=1", "higher",
              "uniform weights"),
        Claim("They give a corrupted pair about half the weight of a good one.", RATIO, "quality γ=1", "equal", 0.5,
              margin=0.15),
        Claim("They come close to an oracle that drops the corrupted pairs.", LINEAR, "quality γ=1", "equal",
              "oracle, good pairs alone", margin=0.02),
        Claim("Too sharp weights hurt.", LINEAR, "quality γ=6", "lower", "quality γ=1"),
        Claim("For they leave fewer than half of the pairs in effect.", COUNTED, "quality γ=6", "lower", 0.5),
        Claim("The similarity of foregrounds alone is no worse a score.", LINEAR, "foreground alone γ=3", "equal",
              "quality γ=3", margin=0.03, negative=True),
        Claim("Classes are told apart better than by the raw input.", LINEAR, "quality γ=1", "higher", "raw input",
              margin=0.05),
        Claim("On pictures too, generated views beat hand-made augmentation.", LINEAR, "uniform weights, pictures",
              "higher", "no generated views, pictures", margin=0.03),
        Claim("On pictures so small, quality weights change nothing that can be seen.", LINEAR, "quality γ=1, pictures",
              "equal", "uniform weights, pictures", margin=0.03, negative=True),
        Claim("Levels of noise that follow the foreground beat one level for all.", LINEAR, "uniform weights, pictures",
              "higher", "constant level, pictures"),
        Claim("A reader of backgrounds too gives corrupted pairs less weight.", RATIO,
              f"{READERS['scene']}, pictures", "lower", 1.0, margin=0.1),
        Claim("A reader that knows labels alone gives corrupted pairs the higher weight.", RATIO,
              f"{READERS['labels']}, pictures", "higher", 1.0, negative=True),
        Claim("Another photograph of the class as a view beats hand-made augmentation, though three in ten are wrong.",
              LINEAR, "uniform weights", "higher", "no generated views", margin=0.02, preset="real"),
        Claim("Weights by a network that knows labels alone change nothing that can be seen.", LINEAR, "quality γ=1",
              "equal", "uniform weights", margin=0.02, negative=True, preset="real"),
        Claim("By the foreground alone it gives corrupted pairs less weight.", RATIO, "foreground alone γ=1", "lower",
              1.0, margin=0.1, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [LINEAR, RATIO]),
    presets={
        "smoke": {"samples": 256, "epochs": 1, "picture_samples": 256, "picture_epochs": 2},
        "real": {"photos": "cifar10", "samples": 2000, "epochs": 10},
    },
)  # fmt: skip
