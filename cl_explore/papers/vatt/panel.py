"""BagPanel: clips that learn from bags of captions, most of them wrong, and what four losses make of it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore import evaluate, losses
from cl_explore.losses import Knob
from cl_explore.papers.vatt.method import MeanCaption, MeanOfLogs, drop_tokens, one_of_bag
from cl_explore.papers.vatt.world import ACTIONS as ACTIONS_SAID
from cl_explore.papers.vatt.world import FEATURES, FIRST, VOCABULARY, feature_streams
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.marks import Bars, Heat, Line, Mark, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

TAU, LR, WIDTH = 0.1, 0.05, 16
BATCH, CLIPS, UNSEEN, ACTIONS, COLOURS = 50, 300, 120, 4, 3
SHOTS = range(0, 81, 10)  # steps of the training that are kept
SHOWN = 8  # clips
LOSSES = ("MIL-NCE", "random one", "mean of logs", "mean caption")
OWN, FITS = "#D55E00", "#009E73"
PATCHES = 6  # of a side of a frame


class Course(NamedTuple):
    """Trainings of linear encoders with each of LOSSES, at each of SHOTS.

    top1: (S, 4) share of unseen captions whose nearest video shows what they say.
    cosines: (S, n, n P) of the first n clips with the captions of all of them; weight: (S, n, P) inside their own bags;
        both of MIL-NCE.
    fits: (n, P) whether a caption describes its clip.
    on_fitting: (S,) weight of MIL-NCE on captions that fit, a mean over all clips.
    """

    top1: NDArray[np.float32]
    cosines: NDArray[np.float32]
    weight: NDArray[np.float32]
    fits: NDArray[np.bool_]
    on_fitting: NDArray[np.float32]


def learn(captions: int, wrong: float) -> Course:
    """80 steps of each loss on 300 clips of 4 actions in 3 colours, seeded; `wrong` of a bag is of other clips."""
    fitting = round((1 - wrong) * captions)
    train, test = feature_streams(
        0, clips=CLIPS, unseen=UNSEEN, candidates=captions, fitting=fitting, actions=ACTIONS, colours=COLOURS
    )
    truth = torch.stack([FIRST + train.factors["action"], FIRST + ACTIONS_SAID + train.factors["colour"]], dim=1)
    fits = (train.x["text"][..., :2] == truth[:, None]).all(2)
    top1 = np.zeros((len(SHOTS), len(LOSSES)), np.float32)
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    mil_nce = partial(losses.mil_nce, temperature=TAU)
    objectives: Sequence[Callable[..., Tensor]] = (mil_nce, mil_nce, MeanOfLogs(TAU), MeanCaption(TAU))
    for column, objective in enumerate(objectives):
        generator = Generator().manual_seed(0)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            video, text = nn.Linear(FEATURES, WIDTH), nn.EmbeddingBag(VOCABULARY, WIDTH)
        optimizer = torch.optim.Adam([*video.parameters(), *text.parameters()], LR)
        for step in range(SHOTS[-1] + 1):
            if step in SHOTS:
                with torch.no_grad():
                    shot, classes = SHOTS.index(step), test.labels
                    top1[shot, column] = evaluate.recall(
                        text(test.x["text"]), video(test.x["video"]), 1, classes, classes
                    )
                    if column == 0:
                        q = F.normalize(video(train.x["video"]), dim=1)
                        k = F.normalize(text(train.x["text"].flatten(0, 1)), dim=1).unflatten(0, (CLIPS, captions))
                        weight = losses.mil_nce.parts(q, k, temperature=TAU)["weight"]
                        near = q[:SHOWN] @ k[:SHOWN].flatten(0, 1).T
                        kept.append((near, weight[:SHOWN], (weight * fits).sum(1).mean()))
            rows = torch.randperm(CLIPS, generator=generator)[:BATCH]
            bags = train.x["text"][rows]
            bags = one_of_bag(bags, generator, 1) if LOSSES[column] == "random one" else bags
            loss = objective(video(train.x["video"][rows]), text(bags.flatten(0, 1)).unflatten(0, bags.shape[:2]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    cosines, weights, on_fitting = (torch.stack(column).numpy() for column in zip(*kept, strict=True))
    return Course(top1, cosines, weights, fits[:SHOWN].numpy(), on_fitting)


def frames(cells: NDArray[np.intp], width: int, colour: str) -> Line:
    """Frames around cells (n, 2), row and first column, each `width` columns wide."""
    corners = np.array([[0, 0], [width, 0], [width, 1], [0, 1], [0, 0], [np.nan, np.nan]])
    around = (cells[:, None, ::-1] + corners).reshape(-1, 2)
    return Line(around[:, 0], around[:, 1], colour=colour, width=2.2)


def bag_picture(state: State, course: Course) -> Picture:
    """What a training and the knobs `step` and `drop` make of the panel."""
    shot, size = SHOTS.index(state["step"]), course.fits.shape[1]
    clips = np.arange(SHOWN)
    down = Axis(range=(SHOWN, 0), ticks=clips + 0.5, names=[f"clip {clip + 1}" for clip in clips])
    scores = Chart(
        [
            Heat(course.cosines[shot], low=-1),
            frames(np.stack([clips, clips * size], axis=1), size, OWN),
        ],
        "Cosine of video and caption, own ones framed", Axis("captions", (0, SHOWN * size),
        ticks=clips * size + size / 2, names=[f"of {clip + 1}" for clip in clips]), down, width=1.5, height=250,
    )  # fmt: skip
    inside: list[Mark] = [Heat(course.weight[shot], text=size <= 5)]
    if course.fits.any():
        inside.append(frames(np.argwhere(course.fits), 1, FITS))
    weights = Chart(
        inside, "Weight in the own bag; framed: it fits", Axis("caption", (0, size), ticks=np.arange(size) + 0.5,
        names=[str(place + 1) for place in range(size)]), down, height=250,
    )  # fmt: skip
    places, top1 = np.arange(len(LOSSES)), course.top1[shot]
    retrieval = Chart(
        [
            Bars(places, top1, colour=(OWN, "muted"), group=(places > 0).astype(int),
                 hover="{loss}: {share}", fields={"loss": LOSSES, "share": top1}),
            Rule(y=1 / (ACTIONS * COLOURS), dash="dashed", label="chance"),
        ],
        "Unseen captions that find a fitting video", Axis(ticks=places.tolist(), names=LOSSES),
        Axis(range=(0, 1), grid=True), width=1.5, height=190,
    )  # fmt: skip
    seen = kept_patches(state["drop"])
    left = seen.mean()
    dropped = Chart(
        [Heat(seen)], "Patches of a frame that are kept", Axis(ticks=()), Axis(ticks=()), equal=True, height=150,
        note=f"DropToken: {left:.0%} of the tokens, {left**2:.0%} of the pairs that attend.",
    )  # fmt: skip
    fitting = course.fits.sum() / SHOWN
    return Picture(
        "VATT: at least one caption of the bag fits",
        "The cosines of eight videos with their captions; the weight of each caption inside its own bag, those that "
        "fit framed; how often captions find videos with four losses; a frame without some patches.",
        [[scores, weights], [retrieval, dropped]],
        [
            ("step", str(state["step"])),
            ("captions that fit in a bag", f"{fitting:.1f} of {size}"),
            ("weight on captions that fit", f"{course.on_fitting[shot]:.2f}"),
            ("MIL-NCE finds", f"{top1[0]:.0%}"),
            ("one at random finds", f"{top1[1]:.0%}"),
        ],
    )


def kept_patches(rate: float) -> NDArray[np.float32]:
    """Which patches of a frame DropToken keeps, 1 or 0, as (PATCHES, PATCHES)."""
    everyone = torch.arange(PATCHES**2)[None, :, None]
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        kept = drop_tokens(everyone, rate)
    return torch.zeros(PATCHES**2).index_fill(0, kept.flatten(), 1).view(PATCHES, PATCHES).numpy()


class BagPanel(KnobPanel):
    """Turn the captions in a bag and the share of wrong ones, and see which loss still learns what fits.

    Linear encoders are trained with four losses in the background (a second or two); `step` moves through the training:
    the weights of MIL-NCE gather on the caption that fits. `drop` is DropToken's rate on a frame of 36 patches, beside
    it. Raises ValueError for captions outside 1 to 9, a wrong share outside 0 to 1 or a drop rate outside 0 to .9.
    """

    @takes
    def __init__(self, captions: int = 5, wrong: float = 0.8, drop: float = 0.5) -> None:
        knobs = {
            "captions": counter(Knob("captions", 1, 9, help="how many stand near a clip"), captions,
                                "captions in the bag P"),
            "wrong": dial(Knob("wrong", 0, 1, help="of a bag, describe another clip"), wrong,
                          "share of wrong captions", 0.1),
            "step": stepper("step", SHOTS, SHOTS[-1], "training (steps)", "how far the encoders are trained"),
            "drop": dial(Knob("drop", 0, 0.9, help="share of tokens left out while training"), drop, "drop rate", 0.1),
        }  # fmt: skip
        super().__init__(
            knobs, bag_picture, experiment=learn, decides=("captions", "wrong"),
            sweeps={"wrong": [0.0, 0.4, 0.6, 0.8], "step": SHOTS[::3]},
        )  # fmt: skip


PANEL = BagPanel
