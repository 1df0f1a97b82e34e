"""FalseNegativesPanel: whom a batch of clusters holds, and how many of its pairs are of one class."""

from functools import cache

import numpy as np
import torch
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.losses import Choice, Knob
from cl_explore.papers.g_simclr.method import false_negatives, rank_batches
from cl_explore.papers.g_simclr.world import shuffled
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.marks import Images, Line, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

SAMPLES = 1200
PARTS = 20  # of an epoch, in which its batches are averaged
SOURCES = ("clusters (G-SimCLR)", "random (SimCLR)", "true classes")
LOOKS = (("#0072B2", "solid"), ("#797186", "dashed"), ("#009E73", "solid"))
FRAME = (213, 94, 0)


@cache
def digits() -> Dataset:
    """1,200 digits in a seeded order."""
    return shuffled(0, "digits", SAMPLES)[0]


@cache
def clusters(k: int) -> Tensor:
    """The cluster (1200,) of each digit, by k-means on its pixels."""
    return evaluate.kmeans(digits().batch(torch.arange(SAMPLES)).x.flatten(1), k, normalize=False)


def epoch(source: str, found: Tensor, batch_size: int) -> Tensor:
    """An epoch's rows (n, batch_size), in the order in which batches are cut; a single cluster gives random ones."""
    labels = digits().labels
    groups = {SOURCES[0]: found, SOURCES[1]: torch.zeros_like(labels), SOURCES[2]: labels}[source]
    return rank_batches(groups, batch_size).view(-1, batch_size)


def rates(rows: Tensor) -> Tensor:
    """False negatives in 100 pairs of each batch (n,)."""
    return 100 * false_negatives(digits().labels[rows.flatten()], rows.shape[1])


def course(rows: Tensor) -> tuple[NDArray[np.float64], list[float]]:
    """Where the parts of an epoch lie, in percent of it, and the mean rate in each."""
    found = rates(rows)
    parts = min(PARTS, len(found))
    return 100 * (np.arange(parts) + 0.5) / parts, [float(part.mean()) for part in found.tensor_split(parts)]


def coloured(batch: Dataset) -> NDArray[np.uint8]:
    """Digits (B, 10, 10, 3) in the colours of their classes, with a frame where another one is of the class."""
    x, labels = batch.x[:, 0, :, :, None].numpy(), batch.labels
    ink = np.array([to_rgb(CLASS_COLOURS[label]) for label in labels.tolist()])[:, None, None]
    alike = ((labels[:, None] == labels).sum(1) > 1).numpy()
    found = np.where(alike[:, None, None, None], FRAME, 232) * np.ones((len(batch), 10, 10, 3))
    found[:, 1:-1, 1:-1] = 255 * (1 - x * (1 - ink))
    return found.round().astype(np.uint8)


def grid(rows: Tensor, place: int) -> Chart:
    """One batch, row by row."""
    side = int(np.ceil(np.sqrt(rows.shape[1])))
    number = np.arange(rows.shape[1])
    return Chart(
        [Images(coloured(digits().subset(rows[place])), number % side, -(number // side), side=0.92)],
        f"Batch {place + 1} of {len(rows)}, framed: class met twice",
        Axis("", (-0.6, side - 0.4)), Axis("", (0.6 - side, 0.6)), bare=True, equal=True, height=330,
    )  # fmt: skip


def false_negatives_picture(state: State, found: Tensor) -> Picture:
    """What the clusters found and the knobs `batch_size`, `source` and `place` make of the panel."""
    source, place = state["source"], state["place"]
    epochs = {name: epoch(name, found, state["batch_size"]) for name in SOURCES}
    rows, means = epochs[source], {name: float(rates(each).mean()) for name, each in epochs.items()}
    number = min(place * len(rows) // 100, len(rows) - 1)
    lines = [Line(*course(epochs[name]), colour=colour, dash=dash, name=name)  # type: ignore[arg-type]
             for name, (colour, dash) in zip(SOURCES, LOOKS, strict=True)]  # fmt: skip
    top = ceiling(max(20.0, *(float(np.max(line.y)) for line in lines)))
    along = Chart(
        [*lines, Rule(x=place, drag="place", label="shown")],
        "False negatives along an epoch", Axis("how much of the epoch is over (%)", (0, 100)),
        Axis("of 100 pairs in a batch", (0, top), grid=True), height=330,
    )  # fmt: skip
    sizes = found.bincount()
    return Picture(
        "G-SimCLR: one of every cluster in a batch, until clusters run out",
        "A batch of digits in the colours of their classes, framed where two share one, and the false negatives along "
        "an epoch: few at first in batches of clusters, many at its end; one in ten in random ones.",
        [[grid(rows, number), along]],
        [
            ("in this batch", f"{float(rates(rows)[number]):.0f} of 100 pairs"),
            *((name, f"{mean:.1f} on average") for name, mean in means.items()),
            ("sizes of clusters", f"{int(sizes.min())} to {int(sizes.max())}"),
        ],
    )


class FalseNegativesPanel(KnobPanel):
    """G-SimCLR fills batches from clusters: choose how many clusters there are and how large a batch is.

    A batch of digits, those of one class framed, and along the epoch how many pairs of a batch are of one class: false
    negatives. Drag the line to other batches. With few clusters batches are nearly random; with many, clusters split
    classes; small clusters run out, and the last batches hold what is left of large ones. True classes leave none
    while the batch is no larger than their number. Clusters are those of pixels, found in the background.
    Raises ValueError for k outside 2 to 64, a batch size outside 4 to 64, or a place outside 0 to 100.
    """

    @takes
    def __init__(self, k: int = 8, batch_size: int = 8, place: int = 90) -> None:
        knobs = {
            "k": counter(Knob("k", 2, 64, help="clusters"), k, "clusters k"),
            "batch_size": counter(Knob("batch_size", 4, 64, help="samples of a batch"), batch_size, "batch size B"),
            "source": dial(Choice("source", SOURCES, help="what batches are filled from"), SOURCES[0], "batches of"),
            "place": counter(Knob("place", 0, 100, help="which batch is shown; or drag the line"), place, "place (%)"),
        }  # fmt: skip
        super().__init__(
            knobs, false_negatives_picture, experiment=clusters, decides=("k",),
            sweeps={"k": (2, 8, 16, 64), "batch_size": (8, 16, 64), "place": (10, 90)},
        )  # fmt: skip


PANEL = FalseNegativesPanel
