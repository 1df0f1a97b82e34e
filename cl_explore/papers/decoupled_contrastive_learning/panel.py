"""CouplingPanel: the factor q that NT-Xent puts before DCL's gradient, and what it does to a training."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import geometry, losses, views
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.knobs import of
from cl_explore.widgets.linear_encoder import NOISE, gaussians, linear_encoders
from cl_explore.widgets.mark import Dash, Mark
from cl_explore.widgets.marks import Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

BATCHES = (2, 4, 8, 16, 32, 64, 128, 256)
SHOTS = range(0, 81, 8)  # steps of a training that are kept
CLASSES, PER_CLASS = 8, 32  # of the samples of training, and of the 256 unseen ones
SHOWN = 64  # anchors that are drawn
MOST = 16  # batches of one size in which q is measured
LOSSES = {"NT-Xent": losses.nt_xent, "DCL": losses.dcl}
LOOKS: dict[str, tuple[str, Dash, str]] = {
    "NT-Xent": ("#0072B2", "solid", "o"),
    "DCL": ("#D55E00", "dashed", "D"),
}


class Trained(NamedTuple):
    """What a training with one of the losses does to unseen samples, at each of SHOTS.

    cosine: (S, m), of m anchors with their positives.
    q: (S, m), of these anchors in batches of the chosen size.
    apart: (S,), mean squared distance of two views.
    by_batch: (S, 8), mean q in batches of each of BATCHES.
    """

    cosine: NDArray[np.float32]
    q: NDArray[np.float32]
    apart: NDArray[np.float32]
    by_batch: NDArray[np.float32]


def coupling(z: Tensor, batch: int, temperature: float) -> Tensor:
    """q of the first views of z (n, 2, D), in batches of neighbours, of which the first 16 are enough: (m,)."""
    found = [losses.dcl.parts(rows, temperature=temperature)["coupling"] for rows in z.split(batch)[:MOST]]
    return torch.cat(found)[::2]


def trainings(batch: int, temperature: float, noise: float) -> dict[str, Trained]:
    """A linear encoder on Gaussian classes, from equal weights on equal batches with each of LOSSES: 80 steps of SGD
    at a learning rate of .01, with a momentum of .9."""
    seen, unseen = gaussians(CLASSES, PER_CLASS)
    generator = Generator().manual_seed(1)
    order = torch.randperm(len(unseen), generator=generator)  # else classes take turns
    pairs = views.VectorViews(noise=noise)(unseen.x[order], generator)
    found = {}
    for name, loss in LOSSES.items():
        learn, sgd = partial(loss, temperature=temperature), partial(torch.optim.SGD, lr=0.01, momentum=0.9)
        encoders = linear_encoders(seen.x, learn, sgd, noise=noise, shots=SHOTS, batch=batch)
        measured = []
        for z in F.normalize(pairs @ encoders[:, None], dim=3):
            in_batches = {size: coupling(z, size, temperature) for size in BATCHES}
            q, by_batch = in_batches[batch][:SHOWN], torch.stack([each.mean() for each in in_batches.values()])
            cosine = (z[:, 0] * z[:, 1]).sum(1)[: len(q)]
            measured.append((cosine, q, geometry.alignment(z), by_batch))
        found[name] = Trained(*(torch.stack(column).numpy() for column in zip(*measured, strict=True)))
    return found


def coupling_picture(state: State, made: dict[str, Trained]) -> Picture:
    """What the knobs `batch`, `temperature`, `noise` and `step` make of the trainings."""
    shot, place = SHOTS.index(state["step"]), BATCHES.index(state["batch"])
    anchors: list[Mark] = []
    sizes: list[Mark] = [Rule(x=state["batch"], drag="batch")]
    apart: list[Mark] = [Rule(x=state["step"], drag="step")]
    kept: list[Mark] = [Rule(x=state["step"], drag="step")]
    for name, trained in made.items():
        colour, dash, marker = LOOKS[name]
        fields = {"cosine": trained.cosine[shot], "q": trained.q[shot]}
        anchors.append(
            Points(*fields.values(), colour=colour, marker=marker, size=3.6, alpha=0.7, name=f"trained with {name}",
                   hover="cosine with the positive {cosine}\nq {q}", fields=fields)
        )  # fmt: skip
        for marks, x, y, now in (
            (sizes, BATCHES, trained.by_batch[shot], place),
            (apart, SHOTS, trained.apart, shot),
            (kept, SHOTS, trained.by_batch[:, place], shot),
        ):
            marks.append(Line(x, y, colour=colour, dash=dash))
            marks.append(Points([x[now]], [y[now]], colour=colour, marker=marker, size=5.5))
    share, steps = Axis("q", (0, 1.02), ticks=(0, 0.5, 1), grid=True), Axis("steps", (0, SHOTS[-1]))
    by_batch = Axis("batch size (log scale)", (BATCHES[0], BATCHES[-1]), log=True, ticks=BATCHES)
    farthest = ceiling(max(float(trained.apart.max()) for trained in made.values()))
    lowest = -1 if min(float(trained.cosine.min()) for trained in made.values()) < 0 else 0
    nt_xent, dcl = made.values()
    return Picture(
        "DCL: what NT-Xent keeps of a gradient",
        "Dots: the factor q of anchors over the cosine with their positives, after training with NT-Xent and with DCL. "
        "Curves: mean q over batch size; distance of views and mean q over the steps.",
        [[[
            Chart(anchors, "q, the share of DCL’s gradient that is kept",
                  Axis("cosine with the positive", (lowest, 1)), share, height=270),
            Chart(sizes, "Mean q if batches had another size", by_batch, share, height=110),
        ], [
            Chart(apart, "Squared distance of two views", steps, Axis(range=(0, farthest), grid=True), height=205),
            Chart(kept, "Mean q in batches of this size", steps, share, height=175),
        ]]],
        [
            ("step", str(state["step"])),
            ("views apart, NT-Xent", f"{nt_xent.apart[shot]:.3f}"),
            ("DCL", f"{dcl.apart[shot]:.3f}"),
            ("NT-Xent keeps of its gradient", f"{nt_xent.by_batch[shot, place]:.1%}"),
        ],
    )  # fmt: skip


class CouplingPanel(KnobPanel):
    """Train with NT-Xent and with DCL on small batches and large ones, and see what is left of NT-Xent's gradient.

    NT-Xent multiplies the gradient of each anchor by q = 1 - P(positive), which is small where a positive is soon found
    among few negatives; DCL (2110.06848) leaves q out. A linear encoder is trained on Gaussian classes with both, from
    equal weights on equal batches. With noisy views q stays large, and the two are nearly alike.

    batch: 2, 4, 8, ... to 256 samples.
    temperature: 0.02 to 2.
    noise: of the views, 0.15 to 1.5.
    Raises: ValueError for another number.
    """

    @takes
    def __init__(self, batch: int = 8, temperature: float = 0.1, noise: float = 0.15) -> None:
        knobs = {
            "batch": stepper("batch", BATCHES, batch, "batch size", "samples of a batch, of which one is the anchor's"),
            "temperature": dial(of(losses.dcl, "temperature"), temperature, "temperature τ", 0.1),
            "noise": dial(NOISE, noise, "noise of the views", 0.1),
            "step": stepper("step", SHOTS, SHOTS[-1], "training (steps)", "how long the encoders are trained"),
        }
        super().__init__(
            knobs, coupling_picture, experiment=trainings, decides=("batch", "temperature", "noise"),
            sweeps={"batch": BATCHES, "step": SHOTS},
        )  # fmt: skip


PANEL = CouplingPanel
