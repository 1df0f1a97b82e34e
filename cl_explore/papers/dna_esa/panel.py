"""ReadsPanel: a read looks for its place in a genome by a vector, and what of it is then aligned."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore.losses import Choice, Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.dna_esa import world
from cl_explore.papers.dna_esa.method import KmerCounts, Placed, align, embedder
from cl_explore.papers.dna_esa.study import PCA, TRAINED, UNTRAINED, WORDS, Embed, plain
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial, stepper
from cl_explore.widgets.marks import Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

ERRORS = (0.0, 0.04, 0.08, 0.16, 0.3)
READS, SHOWN, MOST, WORD = 200, 12, 20, 6
KINDS = (TRAINED, PCA, UNTRAINED, WORDS)


class Found(NamedTuple):
    """What reads with one share of errors find.

    made: the reads, the fragments, and which holds which.
    cosine: by kind of vector (N, M), of each read and fragment.
    recall: by kind of vector (20,), at 1 to 20 fragments.
    """

    made: world.Trial
    cosine: dict[str, Tensor]
    recall: dict[str, NDArray[np.float64]]


@cache
def trained(width: int = 16) -> nn.Module:
    """A linear map of words to 16 numbers after 150 steps on the genome of lambda, seeded."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        words = KmerCounts()
        encoder = nn.Sequential(words, nn.Linear(words.out_features, width))
        method = embedder(encoder, world.FragmentAndRead())
        seen, optimizer = world.windows(world.lambda_phage(), 9600, 400), torch.optim.Adam(encoder.parameters(), 3e-3)
        take_epoch(method, seen, 64, optimizer, Generator().manual_seed(0))
    return encoder.eval()


@cache
def searched() -> dict[str, tuple[Embed, Tensor]]:
    """For each kind of vector what makes it, and the unit vectors (M, D) of all fragments."""
    fragments = world.trial(world.lambda_phage(), 1, Generator()).fragments
    kinds = plain(fragments, 16, seed=0) | {TRAINED: trained()}
    with torch.no_grad():
        return {kind: (embed, F.normalize(embed(fragments), dim=1)) for kind, embed in kinds.items()}


@cache
def find(error: float) -> Found:
    """Search for 200 reads of which a share `error` of the bases is wrong, five eighths of it by substitutions."""
    made = world.trial(
        world.lambda_phage(), READS, Generator().manual_seed(1), substitutions=error * 5 / 8, indels=error * 3 / 8
    )
    cosine, recall = {}, {}
    for kind, (embed, fragments) in searched().items():
        with torch.no_grad():
            cosine[kind] = F.normalize(embed(made.reads), dim=1) @ fragments.T
        held = made.holds.T.gather(1, cosine[kind].topk(MOST).indices)
        recall[kind] = (held.cumsum(1) > 0).double().mean(0).numpy()
    return Found(made, cosine, recall)


@cache
def place(error: float, kind: str, read: int, k: int) -> Placed:
    """Where a read (from 0 on) is put among its k nearest fragments."""
    made, cosine, _ = find(error)
    return align(made.reads[read, None], made.fragments, made.starts, cosine[kind][read, None].topk(k).indices)


def shared(read: Tensor, fragment: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where a word of six bases is in both: places in the fragment, and in the read."""
    ours, theirs = read[read > 0].unfold(0, WORD, 1), fragment.unfold(0, WORD, 1)
    where = (ours[:, None] == theirs).all(2).nonzero().numpy()
    return where[:, 1], where[:, 0]


def reads_picture(state: State) -> Picture:
    """What the knobs `vector`, `error`, `read` and `k` make of the panel."""
    kind, error, k, read = state["vector"], state["error"], state["k"], state["read"] - 1
    made, cosine, recall = find(error)
    own = cosine[kind][read]
    near = own.topk(k).indices
    middle = (made.starts + made.fragments.shape[1] / 2) / 1000
    held = made.holds[:, read]
    true = int(made.places[read])
    rank = int((own > own[held].max()).sum()) + 1
    placed = place(error, kind, read, k)
    row, found = int(placed.row[0]), int(placed.place[0])
    right, wrong = near[held[near]], near[~held[near]]
    along = Chart(
        [
            Line(middle.numpy(), own.numpy(), colour="muted", width=1.0, name="each fragment"),
            Points(middle[wrong].numpy(), own[wrong].numpy(), colour=CLASS_COLOURS[1], size=5, name="retrieved, wrong"),
            Points(middle[right].numpy(), own[right].numpy(), colour=CLASS_COLOURS[2], size=6, name="retrieved, right"),
            Rule(x=true / 1000, dash="dashed", label="true place"),
        ],
        f"Cosine of read {read + 1} with all fragments of the genome",
        Axis("place in the genome of lambda (thousand bases)", (0, 48.6)), Axis("cosine", grid=True), height=230,
    )  # fmt: skip
    curves = Chart(
        [Line(np.arange(1, MOST + 1), recall[name], colour=CLASS_COLOURS[number], width=3.5 if name == kind else 1.5,
              name=name) for number, name in enumerate(KINDS)] + [Rule(x=k, dash="dotted")],
        f"Recall of {READS} such reads", Axis("fragments retrieved, K", (1, MOST), ticks=[1, 5, 10, 15, 20]),
        Axis("share found", (0, 1), grid=True), height=260,
    )  # fmt: skip
    x, y = shared(made.reads[read], made.fragments[row])
    start = int(made.starts[row])
    dots = Chart(
        [
            Points(start + x, y, colour=CLASS_COLOURS[0], size=2.5, name=f"{WORD} bases that both have"),
            Rule(x=found, colour=CLASS_COLOURS[1], label="placed here"),
        ],
        "The read against the fragment that aligns best",
        Axis("place in the genome (bases)", (start, start + made.fragments.shape[1])),
        Axis("place in the read", (made.reads.shape[1], 0)), height=260,
        note="A diagonal is a match; its gaps are substitutions, its steps lost or inserted bases.",
    )  # fmt: skip
    return Picture(
        f"A read looks for its place by its vector: {kind}",
        "Cosine of a read with all fragments along the genome, the K nearest marked; recall of four kinds of vector "
        "over K; a dot plot of the read and the fragment that aligns best.",
        [[along], [curves, dots]],
        [
            ("true place", f"{true:,}"),
            ("placed at", f"{found:,}"),
            ("score", f"{float(placed.score[0]):.1f} of 200"),
            ("rank of the first right fragment", f"{rank} of {len(own)}"),
            (f"recall@{k}", f"{recall[kind][k - 1]:.1%}"),
        ],
    )


class ReadsPanel(KnobPanel):
    """Give a read a vector, retrieve K fragments of the genome of lambda, and see whether its place is among them.

    Vectors are all counts of words of five bases, or 16 numbers of them: trained contrastively (at once, in about a
    second), the first principal components, or untrained. Raises ValueError for a read outside 1 to 12, K outside 1 to
    20, or a share of errors that is no stop of its slider.
    """

    @takes
    def __init__(self, vector: str = TRAINED, k: int = 5, error: float = 0.08, read: int = 1) -> None:
        knobs = {
            "k": counter(Knob("k", 1, MOST, help="how many fragments are aligned"), k, "K, fragments"),
            "error": stepper("error", ERRORS, error, "read errors", "share of wrong, lost or inserted bases"),
            "read": counter(Knob("read", 1, SHOWN, help="which read"), read, "read number"),
            "vector": dial(Choice("vector", KINDS, help="what is compared"), vector, "vector"),
        }
        super().__init__(knobs, reads_picture, sweeps={"k": (1, 5, 20), "error": (0.0, 0.08, 0.3), "vector": KINDS})


PANEL = ReadsPanel
