"""SHAMISA on pictures whose distortions are known: does an encoder order them by severity, also pictures unseen?"""

from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from cl_explore import evaluate
from cl_explore.claims.bench import Entry, baselines, compare
from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.nn import ConvNet, projection_head
from cl_explore.papers.shamisa import PAPER
from cl_explore.papers.shamisa.method import COEFFICIENTS, METADATA, Shamisa, Tuples, Unit
from cl_explore.papers.shamisa.world import TOP, Distorted, Instances, contents, ladders, spoiled

SEVERITY, LADDER, CONTENT, SPREAD = "SRCC", "ladder", "severity before content", "spread of z"
TUPLES = Tuples(contents=3, scales=1, compositions=4, levels=4)
CHANNELS = 12
SMALL = {"invariance": 3.0, "variance": 12.0, "covariance": 5.0, "statistics": "whole"}
"""Weights of the loss at this scale."""
GRAPHS = METADATA | {"dist_dist": 0.54}
STEPS, RUNGS = 9, 40  # levels of a ladder, and pictures that get one of each kind


def networks(train: Dataset, *, normalised: bool = False) -> tuple[nn.Module, nn.Module]:
    """Three convolutions of 12, 24 and 48 channels whose mean is brought to unit length, and a head to 32 numbers.

    normalised: with batch norm after each, as in the paper's ResNet.
    """
    encoder: nn.Module
    if normalised:
        encoder = ConvNet(train.x.shape[1], CHANNELS)
    else:
        sizes = (train.x.shape[1], CHANNELS, 2 * CHANNELS, 4 * CHANNELS)
        blocks = [nn.Sequential(nn.Conv2d(*pair, 3, 2, 1), nn.ReLU()) for pair in pairwise(sizes)]
        encoder = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(encoder, Unit(4 * CHANNELS)), projection_head(4 * CHANNELS, 64, 32)


def severity(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """How well the level of unseen pictures is read from h: rank correlation of a ridge regression; spread of their z.

    Each picture is distorted in one way. Spread: the standard deviation, mean over dimensions.
    """
    parts = [spoiled(part, seed) for seed, part in enumerate((train, test))]
    seen, unseen = (evaluate.embed(method, part) for part in parts)
    known, wanted = (part.factors["level"] for part in parts)
    found = evaluate.ridge_regression(seen.h, known, unseen.h, wanted)
    return {SEVERITY: found.spearman, SPREAD: unseen.z.std(0).mean().item()}


def ranks(values: Tensor) -> Tensor:
    """Ranks within each row (n, m), equal values sharing theirs, less their mean."""
    from scipy.stats import rankdata  # half a second, which those who only train need not wait for

    found = torch.from_numpy(rankdata(values.numpy(), axis=1))
    return found - found.mean(1, keepdim=True)


def ladder_order(z: Tensor, level: Tensor) -> float:
    """Rank correlation of the gap between two levels of a ladder with the distance of their z, mean over ladders.

    z: (P, kinds, steps, D). level: (kinds, steps). A ladder whose distances are all equal counts 0.
    """
    one, other = torch.triu_indices(level.shape[1], level.shape[1], 1)
    apart = (z[:, :, one] - z[:, :, other]).norm(dim=-1).flatten(0, 1)
    gap = (level[:, one] - level[:, other]).abs().repeat(len(z), 1)
    a, b = ranks(apart), ranks(gap)
    return ((a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt().clamp(min=1e-9)).mean().item()


def severity_first(z: Tensor, level: Tensor) -> float:
    """How often another picture at the same level is nearer than the same picture two levels or more away.

    z, level: as for `ladder_order`; the other picture is the next one.
    """
    across = (z - z.roll(1, 0)).norm(dim=-1)[..., None]
    along = (z[:, :, :, None] - z[:, :, None]).norm(dim=-1)
    far = (level[:, :, None] - level[:, None]).abs() >= TOP / 2
    return (across < along)[:, far].float().mean().item()


def geometry(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """What becomes of the ladders of unseen pictures in z."""
    x, level = ladders(test.x[:RUNGS], 0, STEPS)
    shape, number = x.shape[:3], x.shape[:3].numel()
    rows = Dataset("ladders", x.flatten(0, 2), torch.zeros(number, dtype=torch.int64), torch.arange(number), ("",))
    z = evaluate.embed(method, rows).z.unflatten(0, shape)
    return {LADDER: ladder_order(z, level), CONTENT: severity_first(z, level)}


def plan(epochs: int, *, small: bool = False) -> dict[str, Entry]:
    """All arms by name: equal encoders, equally many steps, the same kinds of distorted pictures.

    small: graded and binary relations, each encoder, and SimCLR alone.
    """
    augment = Distorted(TUPLES)
    settings = {"epochs": epochs, "batch_size": 3 * TUPLES.contents, "lr": 6e-3}
    common: dict[str, Any] = {"networks": networks, "augment": augment}

    def graph(**options: Any) -> Entry:
        given = {"coefficients": GRAPHS, "n_views": TUPLES.each, "tuples": TUPLES, **SMALL, **common, **options}
        return Entry("shamisa", form=Shamisa, settings=settings, **given)

    def contrast(**options: Any) -> Entry:
        given = {"tuples": TUPLES, "temperature": 0.2, **common, **options}
        return Entry("nt_xent", form=Instances, settings=settings, **given)

    normalised = partial(networks, normalised=True)
    others = {
        "every edge 1": graph(graded=False),
        "six graphs": graph(coefficients=COEFFICIENTS | GRAPHS, neighbours=10, anchors=16),
        "no variance, no covariance": graph(variance=0.0, covariance=0.0),
    }
    return {
        **baselines(**common),
        "graded": graph(),
        "binary": graph(rate=0.0),
        **({"SimCLR, batch norm": contrast(networks=normalised)} if small else others),
        "graded, batch norm": graph(networks=normalised),
        "binary, batch norm": graph(networks=normalised, rate=0.0),
        "SimCLR": contrast(),
    }


def run(
    seed: int, *, world: str = "leaves", pictures: int = 360, unseen: int = 300, side: int = 24, epochs: int = 3
) -> list[Row]:
    """All arms, of photographs the main ones, on pictures of a world; `unseen` others are looked at afterwards."""
    train, test = contents(world, seed, pictures, unseen, side)
    return compare(plan(epochs, small=world == "photographs"), train, test, (severity, geometry), seed=seed).rows


def claims(preset: Any, where: str) -> tuple[Claim, ...]:
    """What is expected on unseen pictures of either world."""
    return (
        Claim(f"On unseen {where}, severity is read better after graded relations than after binary ones.", SEVERITY,
              "graded", "higher", "binary", margin=0.1, preset=preset),
        Claim(f"Within the ladder of one of these {where}, larger gaps of severity are larger distances of z.", LADDER,
              "graded", "higher", "binary", margin=0.05, preset=preset),
        Claim(f"Graded relations on {where} teach more of severity than an untrained encoder knows.", SEVERITY,
              "graded", "higher", "untrained encoder", margin=0.1, preset=preset),
        Claim(f"On {where}, SimCLR with every distorted picture as its own class reads severity as well or better.",
              SEVERITY, "SimCLR", "higher", "graded", negative=True, preset=preset),
        Claim(f"SimCLR orders the ladders of {where} as well, within 0.05.", LADDER, "SimCLR", "equal", "graded",
              margin=0.05, negative=True, preset=preset),
        Claim(f"Of unseen {where}, another of the same severity is nearer than the same at two levels' distance.",
              CONTENT, "graded", "higher", 0.5, preset=preset),
    )  # fmt: skip


STUDY = Study(
    paper=PAPER,
    about="How much two distorted pictures are the same falls with the gap between their severities: relations graded "
    "by what the generator of distortions knows take the place of positives and negatives. (Four of the authors' 26 "
    "distortions, on small grey pictures, one scale; weights of the loss are those of this scale, margins are our own, "
    "set after a seed that does not count here. The small MLP that may weigh the graphs is a reconstruction. Without "
    "batch norm in the encoder, as the claims have it, half of the trainings, graded or binary, have not left their "
    "plateau after 120 steps: seeds differ by more than the arms, and on the seed that does not count, where graded "
    "relations were ahead by .29, binary ones had caught up after 360. With batch norm, which was expected to make no "
    "difference, severity is read better after graded relations by .08, and another picture of equal severity is "
    "nearer than the same picture two levels off in 93 % of cases instead of 67 %: the claims of photographs about it "
    "were fixed after that, before any run of theirs with a seed that counts. On photographs it is not so: "
    "both relations teach severity alike, .64 where the untrained encoder has .18, and without batch norm neither "
    "teaches it. The graphs of features harm at this scale; without their regulariser they harm less, on the seed that "
    "does not count.)",
    claims=(
        *claims("laptop", "leaves"),
        Claim("The ablation that gives every edge weight 1 reads severity worse, too.", SEVERITY, "every edge 1",
              "lower", "graded", margin=0.1),
        Claim("The graphs of features add something to those of the distortions.", SEVERITY, "six graphs", "higher",
              "graded"),
        Claim("Without variance and covariance all pictures end in one place.", SPREAD, "no variance, no covariance",
              "lower", "graded", margin=0.1),
        Claim("With batch norm in the encoder, binary relations leave severity to be read as well.", SEVERITY,
              "binary, batch norm", "equal", "graded, batch norm", margin=0.1, negative=True),
        Claim("With batch norm, the ladders are in order after binary relations, too.", LADDER, "binary, batch norm",
              "equal", "graded, batch norm", margin=0.05, negative=True),
        *claims("real", "photographs"),
        Claim("With batch norm in the encoder, severity of photographs is read better after graded relations, too.",
              SEVERITY, "graded, batch norm", "higher", "binary, batch norm", margin=0.02, preset="real"),
        Claim("With batch norm, graded relations order the ladders of photographs better.", LADDER,
              "graded, batch norm", "higher", "binary, batch norm", margin=0.02, preset="real"),
        Claim("With batch norm, they put the severity of photographs before their content.", CONTENT,
              "graded, batch norm", "higher", "binary, batch norm", margin=0.1, preset="real"),
        Claim("With batch norm, SimCLR reads the severity of photographs as well or better.", SEVERITY,
              "SimCLR, batch norm", "higher", "graded, batch norm", negative=True, preset="real"),
    ),
    run=run,
    draw=lambda rows: dots(rows, [SEVERITY, LADDER, CONTENT]),
    presets={
        "smoke": {"pictures": 36, "unseen": 40, "epochs": 1},
        "real": {"world": "photographs", "side": 32},
    },
)  # fmt: skip
