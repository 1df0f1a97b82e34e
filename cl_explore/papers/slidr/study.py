"""SLidR and PPKT on scenes at the level of features, with right and wrong pairs, and on rendered streets."""

from dataclasses import replace
from functools import partial
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
from cl_explore.nn import MLP
from cl_explore.papers.slidr import PAPER
from cl_explore.papers.slidr.method import PPKT, OnStreets, RangeNetwork, SLidR, superpixels
from cl_explore.papers.slidr.world import FEATURES, INPUTS, RARE, SKY, Scenes, own_class, scenes, streets
from cl_explore.views.noisy import Noisy

IOU, RARELY, OWN = "mIoU", "mIoU of rare classes", "negatives of the own class"
WRONG = 0.4
FITTED = 3000  # labelled points of the probe
TEST_SCENES = 20
ARMS: dict[str, tuple[type[SLidR], float, dict[str, Any]]] = {
    "SLidR": (SLidR, 0.0, {}),
    "PPKT": (PPKT, 0.0, {}),
    "SLidR, 40 % wrong": (SLidR, WRONG, {}),
    "PPKT, 40 % wrong": (PPKT, WRONG, {}),
    "SLidR of unit length, 40 % wrong": (SLidR, WRONG, {"renormalise": True}),
}
"""By name: of the method, the share of points that fall on a wrong region, and the method's options."""


STREETS: dict[str, dict[str, Any]] = {
    "streets, SLidR": {},
    "streets, PPKT": {"pairs": PPKT.PAIRS},
    "streets, SLidR, 3 columns off": {"shift": 3},
    "streets, PPKT, 3 columns off": {"pairs": PPKT.PAIRS, "shift": 3},
}
"""By name: the options of the method of range images."""


def networks(_: object) -> tuple[nn.Module, nn.Module]:
    """The network of points 24-64-64, and its linear head."""
    return MLP([INPUTS, 64, 64], batch_norm=False), nn.Linear(64, 24)


def probe(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """The mean intersection over union of all classes and of the three rare ones, of a linear probe of frozen h."""
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    iou = evaluate.linear_iou(seen.h, seen.labels, unseen.h, unseen.labels)
    return {IOU: float(iou.mean()), RARELY: float(iou[list(RARE)].mean())}


def entry(name: str, world: Scenes, settings: dict[str, Any]) -> Entry:
    """An arm on a world of its share of wrong pairs."""
    form, _, options = ARMS[name]
    make = partial(form, pixels=world.pixels, **options)
    return Entry("nt_xent", form=make, data=world.points, networks=networks, augment=Noisy(), settings=settings)


@torch.no_grad()
def scanned(method: Method, streets: Dataset) -> tuple[Tensor, Tensor]:
    """What the encoder makes of every point of the scans, (M, D), and the kinds of these, (M,)."""
    assert isinstance(streets.x, dict)
    scan, kind = streets.x["scan"], streets.x["kind"].long()
    there = scan[:, 0] > 0
    return method.cpu().encoder(scan).movedim(1, -1)[there], kind.view(there.shape)[there]


def segmented(method: Method, train: Dataset, test: Dataset) -> dict[str, float]:
    """The mean intersection over union of all kinds, of a linear probe of 3000 points."""
    (seen, kinds), (unseen, others) = scanned(method, train), scanned(method, test)
    some = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))[:FITTED]
    return {IOU: float(evaluate.linear_iou(seen[some], kinds[some], unseen, others)[:SKY].mean())}


def on_streets(seed: int, count: int, epochs: int, unseen: int) -> list[Row]:
    """The rows of rendered streets; the raw input are the four numbers of a point."""
    parts = [streets(seed, size, part) for part, size in enumerate((count, count // 2, unseen))]
    assert isinstance(parts[0].x, dict)
    cut = superpixels(parts[0].x["image"]).flatten(1)[:, None].float()
    kinds = dict.fromkeys(("pixels", "kind", "superpixel"), "series")
    train = replace(parts[0], x={**parts[0].x, "superpixel": cut}, kind=kinds)
    common: dict[str, Any] = {"form": partial(OnStreets, features=FEATURES), "augment": Noisy()}
    found = {"networks": lambda _: (RangeNetwork(), nn.Linear(RangeNetwork.out_features, 24)), **common}
    settings = {"epochs": epochs, "batch_size": 8, "lr": 2e-3}
    plan = {
        "streets, raw input": Entry("", networks=lambda _: (nn.Identity(), nn.Linear(4, 24)), settings=None, **common)
    }
    plan |= {"streets, untrained": Entry("", settings=None, **found)}
    plan |= {name: Entry("", settings=settings, **found, **options) for name, options in STREETS.items()}
    measures = (lambda method, _, test: segmented(method, parts[1], test),)
    return compare(plan, train, parts[2], measures, seed=seed).rows


def run(
    seed: int,
    *,
    count: int = 32,
    epochs: int = 28,
    test_scenes: int = TEST_SCENES,
    painted: int = 96,
    rounds: int = 20,
    unseen: int = 32,
) -> list[Row]:
    """Every arm on equal scenes; a batch of 4096 points has about 110 regions of four of them.

    painted, rounds, unseen: how many streets are rendered to train on, how often each is seen, in batches of 8, and how
    many are read by a probe of half as many others.
    """
    settings = {"epochs": epochs, "batch_size": 4096, "lr": 2e-3}
    worlds = {wrong: scenes(seed, count, wrong) for wrong in (0.0, WRONG)}
    train, test = (scenes(seed, test_scenes, part=part).points for part in (1, 2))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    plan = baselines(networks=networks, augment=Noisy())
    plan |= {name: entry(name, worlds[wrong], settings) for name, (_, wrong, _) in ARMS.items()}
    rows = compare(plan, train.subset(order[:FITTED]), test, (probe,), seed=seed).rows
    points, regions = own_class(worlds[0.0].points.labels), own_class(worlds[0.0].kinds)
    counted = [{"method": "points", OWN: points}, {"method": "regions", OWN: regions}]
    return [*rows, *counted, *on_streets(seed, painted, rounds, unseen)]


STUDY = Study(
    paper=PAPER,
    about="A network of points learns from frozen pixels better by superpixel than pair by pair, as far as pairs are "
    "wrong: a mean over a region outvotes the points that fall beside it. (Scenes are at the level of features: "
    "no lidar recordings are at hand that are free to use. Or they are streets of 24 by 40 pixels, read by four "
    "convolutions of range images, where a pilot of one seed had PPKT ahead. The noise of points is "
    "a reconstruction: here it is white, so that a linear probe of the raw input is hard to beat. Two other "
    "noises, tried on a seed that does not count, did not change that.)",
    claims=(
        Claim("With 40 % of the points on a wrong region, SLidR's frozen points are read better than PPKT's.", IOU,
              "SLidR, 40 % wrong", "higher", "PPKT, 40 % wrong", margin=0.05),
        Claim("So are the three rare classes.", RARELY, "SLidR, 40 % wrong", "higher", "PPKT, 40 % wrong", margin=0.05),
        Claim("Where all pairs are right, the two are about equal.", IOU, "SLidR", "equal", "PPKT", margin=0.03,
              negative=True),
        Claim("SLidR barely notices wrong pairs.", IOU, "SLidR, 40 % wrong", "equal", "SLidR", margin=0.03),
        Claim("PPKT loses by them.", IOU, "PPKT, 40 % wrong", "lower", "PPKT", margin=0.03),
        Claim("To bring means of regions to unit length makes no clear difference.", IOU,
              "SLidR of unit length, 40 % wrong", "equal", "SLidR, 40 % wrong", margin=0.03, negative=True),
        Claim("Fewer negatives have the anchor's own class among regions than among points.", OWN, "regions", "lower",
              "points", margin=0.1),
        Claim("With wrong pairs SLidR reads more than an untrained network.", IOU, "SLidR, 40 % wrong", "higher",
              "untrained encoder", margin=0.05),
        Claim("And more than the raw input.", IOU, "SLidR, 40 % wrong", "higher", "raw input", margin=0.05),
        Claim("On rendered streets, where all pairs are right, SLidR is behind PPKT.", IOU, "streets, SLidR", "lower",
              "streets, PPKT", margin=0.03, negative=True),
        Claim("A calibration that is three columns off costs PPKT something there.", IOU,
              "streets, PPKT, 3 columns off", "lower", "streets, PPKT", margin=0.02),
        Claim("But not SLidR.", IOU, "streets, SLidR, 3 columns off", "equal", "streets, SLidR", margin=0.03),
        Claim("SLidR's points of streets are read better than those of an untrained network.", IOU, "streets, SLidR",
              "higher", "streets, untrained", margin=0.05),
        Claim("And than the four numbers of each.", IOU, "streets, SLidR", "higher", "streets, raw input", margin=0.05),
    ),
    run=run,
    draw=lambda rows: dots(rows.dropna(subset=[IOU]), [IOU, RARELY]),
    presets={"smoke": {"count": 8, "epochs": 1, "test_scenes": 4, "painted": 16, "rounds": 1, "unseen": 8}},
)  # fmt: skip
