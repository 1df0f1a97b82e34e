"""DevicesPanel: which device is the positive, how far it measures, and which moments an encoder then tells apart."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cl_explore import evaluate, losses
from cl_explore.data import Dataset
from cl_explore.losses import Choice, Knob
from cl_explore.nn import SeriesNet
from cl_explore.papers.collossl.method import distances, lengths
from cl_explore.papers.collossl.world import ACTIVITIES, CLOSENESS, simulator
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial
from cl_explore.widgets.marks import Edges, Heat, Points, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

DEVICES = tuple(f"device {number}" for number in range(2, len(CLOSENESS) + 1))
SIGNS = ("cosine", "minus cosine")
SEED, EACH, BATCH, STEPS, SHUFFLES, LR = 4, 90, 48, 60, 4, 3e-3
SHOWN = 5  # windows of each activity in the matrix
SPREAD = (150, 45, -40, -140)  # degrees, at which devices stand round the anchor


class Learned(NamedTuple):
    """What became of a training.

    cosine: (n, n), of the anchor's windows and the positive device's, of a stranger, activity by activity.
    far: (4,), how far each device measures from the anchor.
    f1: of a linear probe of 40 labels for the activity, on strangers.
    alike: the mean cosine at the same moment, at others of the same activity, and at those of other activities.
    """

    cosine: NDArray[np.float32]
    far: NDArray[np.float64]
    f1: float
    alike: tuple[float, float, float]


@cache
def world() -> tuple[Dataset, Dataset, Tensor]:
    """360 windows to learn from, 180 of strangers, and how far each device is from the anchor."""
    train, test = simulator(SEED, EACH)
    assert isinstance(train.x, dict)
    return train, test, distances(lengths(torch.stack(list(train.x.values()), 1)))


def learn(positive: str, sign: str, temperature: float) -> Learned:
    """Sixty steps of ColloSSL with this device as the positive and all devices as negatives, seeded."""
    train, test, far = world()
    assert isinstance(train.x, dict)
    assert isinstance(test.x, dict)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = SeriesNet(3, [16, 32, 48], [9, 7, 5], [2, 2, 1])
    generator, windows = torch.Generator().manual_seed(0), torch.stack(list(train.x.values()), 1)
    optimizer = torch.optim.Adam(encoder.parameters(), LR)
    place = 1 + DEVICES.index(positive)
    for _ in range(STEPS):
        rows = torch.randperm(len(train), generator=generator)[:BATCH]
        z = encoder(windows[rows].flatten(0, 1)).unflatten(0, (BATCH, len(CLOSENESS)))
        times = torch.rand(BATCH, len(DEVICES) * SHUFFLES, generator=generator).argsort(0)
        devices = torch.arange(1, len(CLOSENESS)).repeat_interleave(SHUFFLES)
        loss = losses.collossl(z[:, 0], z[:, place, None], z[times, devices], (1 / far).repeat_interleave(SHUFFLES),
                               sign=sign, temperature=temperature)  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        seen, unseen, device = (encoder(part.x[name]) for part, name in (
            (train, "device 1"), (test, "device 1"), (test, positive)))  # fmt: skip
    few = torch.arange(40)
    f1 = evaluate.linear_f1(seen[few], train.labels[few], unseen, test.labels, C=0.1)
    order = test.labels[:EACH].argsort(stable=True)
    order = order.view(ACTIVITIES, -1)[:, :SHOWN].flatten()  # each is met equally often
    cosine = F.normalize(unseen[order], dim=1) @ F.normalize(device[order], dim=1).T
    now = torch.eye(len(order), dtype=torch.bool)
    same = test.labels[order][:, None] == test.labels[order]
    at_once, later, apart = (float(cosine[cells].mean()) for cells in (now, same & ~now, ~same))
    return Learned(cosine.numpy(), far.numpy(), f1, (at_once, later, apart))


def device_picture(state: State, made: Learned) -> Picture:
    """What the knob `positive` and a training make of the panel."""
    chosen, far = DEVICES.index(state["positive"]), made.far
    angle, radius = np.radians(SPREAD), 0.45 + 0.55 * far / far.max()
    x, y = np.append(0, radius * np.cos(angle)), np.append(0, radius * np.sin(angle))
    others = [number for number in range(len(DEVICES)) if number != chosen]
    plan = Chart(
        [
            Edges(x, y, [(0, 1 + number) for number in others], width=1.0),
            Edges(x, y, [(0, 1 + chosen)], colour="#D55E00", width=4.0, name="the positive"),
            Points(x[1:], y[1:], colour="#0072B2", size=9, name="another device"),
            Points(x[:1], y[:1], colour="#009E73", size=11, name="the anchor, device 1"),
            Text(x[1:], y[1:], [f"{name}: MMD² {value:.2f}" for name, value in zip(DEVICES, far, strict=True)], dy=22),
        ],
        "How far devices measure from the anchor", Axis("", (-1.3, 1.3)), Axis("", (-1.3, 1.3)),
        bare=True, equal=True, height=340,
    )  # fmt: skip
    count = len(made.cosine)
    kinds = np.arange(0, count, SHOWN)
    names = [f"{number + 1}" for number in range(len(kinds))]
    matrix = Chart(
        [Heat(made.cosine, low=min(0.0, float(made.cosine.min())))],
        "Cosine of the anchor's moments and the device's",
        Axis(f"moments of {state['positive']}, by activity", (0, count), ticks=kinds + SHOWN / 2, names=names),
        Axis("moments of the anchor", (count, 0), ticks=kinds + SHOWN / 2, names=names),
        equal=True, height=340,
        note="Bright blocks: the same activity. A bright diagonal: the same moment.",
    )  # fmt: skip
    return Picture(
        "ColloSSL: which device is the positive?",
        "Four devices round the anchor, the farther the more differently they measure, one of them the positive; "
        "beside them the cosines of its moments and the anchor's, in blocks of activities.",
        [[plan, matrix]],
        [
            ("movement that the positive sees", f"{CLOSENESS[1 + chosen]:.0%}"),
            ("cosine at the same moment", f"{made.alike[0]:.2f}"),
            ("at others of the activity", f"{made.alike[1]:.2f}"),
            ("of other activities", f"{made.alike[2]:.2f}"),
            ("macro-F1 of a linear probe, 40 labels", f"{made.f1:.2f}"),
        ],
    )


class DevicesPanel(KnobPanel):
    """Choose which of four devices is the positive of ColloSSL, and with which sign similarity is compared.

    A small encoder is trained in the background (about a second) on five devices of four people; the map shows how far
    each measures from the anchor, and the matrix which moments of a stranger the encoder finds alike. Near devices make
    blocks, one for each activity, and a bright diagonal; a device that sees another movement blurs them. The sign of
    the released code turns it round: what belongs together is dark.
    Raises ValueError for a temperature outside 0.05 to 1.
    """

    @takes
    def __init__(self, positive: str = DEVICES[0], sign: str = SIGNS[0], temperature: float = 0.1) -> None:
        knobs = {
            "positive": dial(Choice("positive", DEVICES, help="the device whose moments are pulled near"), positive,
                             "positive"),
            "sign": dial(Choice("sign", SIGNS, help="the paper's, or that of the released code"), sign, "similarity"),
            "temperature": dial(Knob("temperature", 0.05, 1.0, log=True, help="divides similarities"), temperature,
                                "temperature τ", step=0.1),
        }  # fmt: skip
        super().__init__(
            knobs, device_picture, experiment=learn, decides=("positive", "sign", "temperature"),
            sweeps={"positive": DEVICES, "sign": SIGNS},
        )  # fmt: skip


PANEL = DevicesPanel
