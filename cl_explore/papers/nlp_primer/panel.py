"""NotPanel: which words a contrast leaves out or takes out, what a "not" then moves, and how negatives weigh."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F

from cl_explore import evaluate
from cl_explore.claims.bench import Entry
from cl_explore.losses import Choice, Knob
from cl_explore.losses.text_label import OBJECTIVES
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.nlp_primer.study import TEXTS, beside_labels, networks, spoken
from cl_explore.papers.nlp_primer.world import BAD, FIRST_ADJECTIVE, GOOD, NOT, Removed, dropped, negations
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.marks import Bars, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

CONTRASTS = (TEXTS, *OBJECTIVES)
SEEN, UNSEEN, EPOCHS, BATCH, LR, TAU = 512, 200, 30, 64, 1e-2, 0.1
SHOWN, BINS = 8, 24


class Learned(NamedTuple):
    """What became of a training, on unseen texts.

    along: (U,), the side of a probe of 100 labels on which each text lies, good above 0.
    good: (U,), whether it is.
    measures: of `study.spoken`.
    scores: (64, 64), of texts (rows) with what each is contrasted with, its positive on the diagonal.
    """

    along: NDArray[np.float64]
    good: NDArray[np.bool_]
    measures: dict[str, float]
    scores: Tensor


def learn(contrast: str, drop: float) -> Learned:
    """240 steps on 512 texts, seeded: beside themselves with words left out, or beside a word of theirs."""
    world, generator = negations(0, SEEN, UNSEEN), Generator().manual_seed(0)
    label: dict[str, Any] = {"form": beside_labels, "augment": Removed(), "objective": contrast}
    how = {"augment": dropped(drop), "temperature": TAU} if contrast == TEXTS else label
    method = Entry("info_nce" if contrast == TEXTS else "label_nce", settings=None, networks=networks, **how).build(
        world.train, 0
    )
    optimizer = torch.optim.Adam(method.parameters(), LR)
    for _ in range(EPOCHS):
        take_epoch(method, world.train, BATCH, optimizer, generator)
    method.eval()
    with torch.no_grad():
        seen, unseen = (evaluate.embed(method, part).h.double() for part in (world.seen, world.unseen))
        z = method.embed(method.draw_views(world.train.x[:BATCH], generator))[1]
    few, sides = seen[:100], 2.0 * world.seen.labels[:100] - 1
    middle = few.mean(0)
    inner = (few - middle).T @ (few - middle) + 0.1 * torch.eye(few.shape[1])
    along = (unseen - middle) @ torch.linalg.solve(inner, (few - middle).T @ sides.double())
    if contrast == TEXTS:
        z = F.normalize(z, dim=2) / TAU**0.5
    scores = z[:, 0] @ z[:, 1].T
    return Learned(along.numpy(), world.unseen.labels.bool().numpy(), spoken(method, world=world), scores)


def weights(scores: Tensor, own: int, contrast: str) -> Tensor:
    """How strongly each negative of a text is pushed away, (N - 1,): the loss's slope in its score."""
    right, wrong = scores[own], torch.cat([scores[:own], scores[own + 1 :]])
    if contrast == "binary":
        return wrong.sigmoid()
    if contrast == "hinge":
        return (wrong > right - 1).double()
    if contrast == "soft margin":
        return (wrong - right).sigmoid()
    return torch.cat([right[None], wrong]).softmax(0)[1:]


def word(number: int) -> str:
    """What a token of `negations` stands for, such as "topic 3"."""
    if number == NOT:
        return "not"
    kinds = ((FIRST_ADJECTIVE, "topic"), (GOOD[0], "adjective"), (BAD[0], "good"), (BAD[-1] + 1, "bad"))
    return next((name for end, name in kinds if number < end), "filler")


def text_picture(x: Tensor, drop: float) -> Chart:
    """A text once whole, once with words left out, once with a word taken out of it as its label."""
    text = [number for number in x.tolist() if number]
    left = set(dropped(drop)(x[None], Generator().manual_seed(3), 1)[0, 0].tolist())
    out = int(Removed()(x[None], Generator().manual_seed(5), 2)[0, 1, 0])
    rows = [("the text", set(text)), (f"words left out, p = {drop:.1f}", left), ("a word taken out", set(text) - {out})]
    marks = []
    for row, (name, kept) in enumerate(rows):
        marks.append(Text([-0.6], [row], [name], anchor="right"))
        for place, number in enumerate(text):
            there = number in kept
            shown = word(number) if there else "—" if row == 1 else f"[{word(number)}]"
            colour = CLASS_COLOURS[1] if number == NOT else "ink" if there else CLASS_COLOURS[0]
            marks.append(Text([place], [row], [shown], colour=colour, bold=number == NOT, size=11.0))
    return Chart(marks, "Two kinds of positive", Axis("", (-3.4, 10.6)), Axis("", (2.5, -0.5)), bare=True, height=130)


def not_picture(state: State, made: Learned) -> Picture:
    """What a training and the knobs `text`, `drop` make of the panel."""
    edges = np.linspace(-1.8, 1.8, BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    sides = [np.histogram(np.clip(made.along[made.good == good], -1.79, 1.79), edges)[0] for good in (False, True)]
    histogram = Chart(
        [Bars(middle + 0.035 * (2 * number - 1), side, width=0.07, colour=CLASS_COLOURS[number], name=name)
         for number, (side, name) in enumerate(zip(sides, ("with not", "without"), strict=True))]
        + [Rule(x=0.0, dash="dashed")],
        "Unseen texts without verdicts, along a probe", Axis("says no | says yes", (-1.8, 1.8)),
        Axis("texts", grid=True), height=280,
    )  # fmt: skip
    own, contrast = state["text"] - 1, state["contrast"]
    scores = made.scores[own]
    wrong = torch.cat([scores[:own], scores[own + 1 :]])
    weighed = weights(scores, own, contrast)
    slopes = Chart(
        [Points(wrong.numpy(), weighed.numpy(), colour=CLASS_COLOURS[2], name="a negative"),
         Rule(x=float(scores[own]), dash="dashed", label="positive")],
        "How strongly each negative is pushed away", Axis("score", grid=True), Axis("weight", grid=True), height=280,
    )  # fmt: skip
    x = negations(0, SEEN, UNSEEN).train.x[own]
    return Picture(
        f"What becomes of a not: {contrast}",
        "A text with words left out or taken out; histograms of texts with and without not along a probe's direction; "
        "the weight of each negative against its score.",
        [[text_picture(x, state["drop"])], [histogram, slopes]],
        [(name, f"{value:.2f}") for name, value in made.measures.items()],
    )


def experiment(contrast: str, drop: float) -> Learned:
    """`learn`, where only texts beside texts are asked how many words are left out."""
    return learn(contrast, drop if contrast == TEXTS else 0.0)


class NotPanel(KnobPanel):
    """Choose what a text is contrasted with, and see whether its vector hears a "not".

    A small encoder is trained in the background (about a second). Texts beside themselves with words left out mix those
    that say no with those that say yes; beside a word that was taken out they part. The points show how much a negative
    of one text is pushed away. Raises ValueError for a share of words outside 0 to 0.6 or a text outside 1 to 8.
    """

    @takes
    def __init__(self, contrast: str = TEXTS, drop: float = 0.3, text: int = 1) -> None:
        knobs = {
            "drop": dial(Knob("drop", 0.0, 0.6, minimum=0, help="words left out of a view"), drop, "words left out, p",
                         step=0.1),
            "text": counter(Knob("text", 1, SHOWN, help="which text is shown"), text, "text"),
            "contrast": dial(Choice("contrast", CONTRASTS, help="texts, or labels and how they compare"), contrast,
                             "contrast"),
        }  # fmt: skip
        super().__init__(
            knobs, not_picture, experiment=experiment, decides=("contrast", "drop"),
            sweeps={"contrast": CONTRASTS, "text": (1, 2, 3)},
        )  # fmt: skip


PANEL = NotPanel
