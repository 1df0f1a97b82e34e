"""Selfie on pictures of shapes: is a network that can put missing patches back one that knows the shape?"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare, splits
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.evaluate.embedding import batches, device_of, frozen
from cl_explore.methods import Method
from cl_explore.nn import AttentionPool, Transformer
from cl_explore.papers.selfie import PAPER
from cl_explore.papers.selfie.method import Holes, MeanPool, PatchNetwork, Selfie, on_whole_images
from cl_explore.papers.selfie.world import ceiling, pictures

PRETEXT, FEW, MORE = "right patch", "accuracy, 10 labels a class", "accuracy, 50 labels a class"
WIDTH = 48


def attention() -> nn.Module:
    """The paper's pooling: a learned token in a transformer."""
    return AttentionPool(Transformer(WIDTH, depth=2, heads=4))


def networks(train: Dataset, pool: Callable[[], nn.Module] = attention) -> tuple[PatchNetwork, nn.Module]:
    """A patch network, and what pools the visible patches."""
    return PatchNetwork(3, WIDTH), pool()


def placing(method: Selfie, test: Dataset) -> dict[str, float]:
    """How often an unseen picture's holes get the right patch; where background and shape are flat, how often can be.

    The holes are the same for all methods.
    """
    generator, right, places = torch.Generator(device_of(method)).manual_seed(0), [], []
    with frozen(method):
        for batch in batches(test, device_of(method)):
            views = method.draw_views(batch.x, generator)
            chosen = method.scores(method.embed(views)[1]).argmax(2)
            right.append(chosen == torch.arange(chosen.shape[1], device=chosen.device))
            places.append(views["place"])
    found = {PRETEXT: torch.cat(right).float().mean().item()}
    if test.name == "pictures, patches":
        holes = method.augment
        found["ceiling"] = ceiling(test, torch.cat(places), holes.grid, holes.masked)
    return found


def probe(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How well a logistic regression with few labels tells the classes, from the patch network on whole pictures."""
    read = on_whole_images(method, train) if isinstance(method, Selfie) else method
    seen, unseen = (evaluate.embed(read, part) for part in (train, test))
    parts = seen.h, seen.labels, unseen.h, unseen.labels
    few, more = (evaluate.few_label_accuracy(*parts, shots, draws).logistic for shots, draws in ((10, 3), (50, 1)))
    found = {FEW: few, MORE: more}
    return found | (placing(method, test) if isinstance(method, Selfie) else {})


def plan(epochs: int, batch_size: int = 50, grid: int = 4, masked: int = 4) -> dict[str, Entry]:
    """All arms by name, after the raw input and an untrained encoder."""
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": 2e-3}
    common: dict[str, Any] = {"form": Selfie, "networks": networks, "augment": Holes(grid, masked)}
    arm = partial(Entry, "selfie", **common)
    return {
        "raw input": baselines(augment=common["augment"])["raw input"],
        UNTRAINED: arm(settings=None),
        SELFIE: arm(settings=settings),
        MEAN: arm(settings=settings, networks=partial(networks, pool=MeanPool)),
        BATCH: arm(settings=settings, distractors="batch"),
        LEAK: arm(settings=settings, placed="both"),
    }


def run(
    seed: int,
    *,
    world: str = "pictures",
    samples: int = 800,
    unseen: int = 500,
    epochs: int = 10,
    batch_size: int = 50,
    grid: int = 4,
    masked: int = 4,
) -> list[Row]:
    """All arms on the same pictures; where these are drawn, Selfie on textured backgrounds as well.

    world: "pictures" of the factor world, or the name of a data set.
    """
    arms = plan(epochs, batch_size, grid, masked)
    if world != "pictures":
        train, test = splits(world, samples)
        return compare(arms, train, test.subset(torch.arange(unseen)), (probe,), seed=seed).rows
    rows = compare(arms, *pictures(seed, samples, unseen), (probe,), seed=seed).rows
    textured = {f"{name}, textures": arms[name] for name in ("raw input", UNTRAINED, SELFIE)}
    return rows + compare(textured, *pictures(seed, samples, unseen, "shortcut"), (probe,), seed=seed).rows


UNTRAINED, SELFIE, MEAN = "untrained encoder", "Selfie", "mean pooling"
BATCH, LEAK = "distractors of the batch", "places on candidates too"
STUDY = Study(
    paper=PAPER,
    about="To say which of the patches taken out of a picture belongs into a hole, a network has to know what "
    "is shown. (No code of the authors is published and their tables were not at hand: the equations are followed as "
    "they are retold; how much is taken out, the layers and the width are chosen here. The pilot, with a network four "
    "times as slow, had the mean ahead of attention on each of three seeds, and .58 right patches before textures. "
    "Here attention finds more of the right patches, shapes are told equally well, and there are .40. Pixels with "
    "fifty labels are ahead of all networks: .88 beside .85. Trained among patches of a whole batch, the network tells "
    "shapes worse than before training, with ten labels .53 beside .57. "
    "The photographs are those of CIFAR-10, recorded from a JPEG copy that is 2.7 grey levels off on the mean.)",
    claims=(
        Claim("It puts the right one of four missing patches into a hole far more often than by chance.", PRETEXT,
              SELFIE, "higher", 0.25, margin=0.4),
        Claim("With ten labels a class its patch network tells classes better than before training.", FEW, SELFIE,
              "higher", UNTRAINED, margin=0.1),
        Claim("With fifty labels a class, too.", MORE, SELFIE, "higher", UNTRAINED, margin=0.05),
        Claim("And, with ten, better than the raw pixels do.", FEW, SELFIE, "higher", "raw input"),
        Claim("The paper's attention pooling does worse than the mean of the visible patches.", FEW, SELFIE, "lower",
              MEAN, negative=True),
        Claim("Both poolings find the right patch equally often.", PRETEXT, SELFIE, "equal", MEAN, margin=0.05),
        Claim("With places added to the candidates as well the task is trivial.", PRETEXT, LEAK, "higher", 0.99),
        Claim("And less is learned from it.", FEW, LEAK, "lower", SELFIE),
        Claim("Among the patches of a whole batch, most of them easy, it learns less well to place a picture's own.",
              PRETEXT, BATCH, "lower", SELFIE),
        Claim("Before textured backgrounds, too, it finds the right patch more often than by chance.", PRETEXT,
              f"{SELFIE}, textures", "higher", 0.25, margin=0.2),
        Claim("But there it tells shapes no better than before training: stripes are enough to place a patch.", FEW,
              f"{SELFIE}, textures", "equal", f"{UNTRAINED}, textures", margin=0.05, negative=True),
        Claim("On photographs, too, it finds the right patch more often than by chance.", PRETEXT, SELFIE, "higher",
              0.25, margin=0.1, preset="real"),
        Claim("With ten labels a class its patch network tells photographs better than before training.", FEW, SELFIE,
              "higher", UNTRAINED, preset="real"),
        Claim("With fifty labels a class it tells photographs better than before training, too.", MORE, SELFIE,
              "higher", UNTRAINED, preset="real"),
        Claim("And better than the raw pixels do.", MORE, SELFIE, "higher", "raw input", preset="real"),
        Claim("With places added to the candidates less is learned of photographs.", MORE, LEAK, "lower", SELFIE,
              preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [PRETEXT, FEW, MORE]),
    presets={
        "smoke": {"samples": 480, "unseen": 100, "epochs": 1},
        "real": {"world": "cifar10", "samples": 2000, "unseen": 1000},
    },
)  # fmt: skip
