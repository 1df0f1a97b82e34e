"""TemperaturePanel: what the temperature does to the weights that one anchor gives its negatives."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cl_explore.given import numbers
from cl_explore.losses import Knob
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.mark import Dash, Mark
from cl_explore.widgets.marks import Band, Bars, Line, Points, Rule, Text
from cl_explore.widgets.panel import Panel, with_current
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling
from cl_explore.widgets.wire import Slider, static_block

LOW, HIGH = 0.03, 3.0
POSITIVE, NEGATIVE, HARD, INVERSE = "#009E73", "#0072B2", "#D55E00", "#8638D2"
CURVES: tuple[tuple[str, str, Dash, str], ...] = (
    ("entropy / its maximum", NEGATIVE, "solid", "o"),
    ("hard negatives’ share", HARD, "dashed", "D"),
    ("positive’s share of the pull", POSITIVE, "dotted", "^"),
    ("q = 1 − P(positive)", INVERSE, "dashdot", "s"),
)
HARDEST = 0.1  # share of the negatives that are called hard
COUNTS = np.geomspace(2, 10_000, 49)  # numbers of negatives at which q is drawn
CURVE = np.geomspace(LOW, HIGH, 61)  # temperatures at which the curves are drawn


def similarities(z: Tensor, anchor: int) -> tuple[float, NDArray[np.float64]]:
    """Cosines of one anchor as NT-Xent sees them: with its positive, the sample's next view, and with its negatives.

    z: (B, V, D); `anchor` counts sample-major (b * V + v). The negatives, ((B - 1) * V,), are all views of the other
    samples.
    """
    x = F.normalize(z.double(), dim=2)
    sample, view = divmod(anchor, z.shape[1])
    cosines = x @ x[sample, view]
    others = torch.cat([cosines[:sample], cosines[sample + 1 :]])
    return float(cosines[sample, (view + 1) % z.shape[1]]), others.flatten().numpy()


def measures(
    positive: float, negatives: NDArray[np.float64], temperatures: ArrayLike, hardest: float = HARDEST
) -> dict[str, NDArray[np.float64]]:
    """What a temperature makes of the similarities: arrays (T, ...) for temperatures (T,).

    `weights` (T, K): share of the repulsion each of the K negatives gets, softmax(negatives / τ); Eq. 5 of 2012.09740.
    `entropy` (T,) of these weights in nats, log K at most; it rises with τ. `largest` (T,): the largest weight.
    `hard` (T,): the share of the repulsion borne by the nearest of the negatives, a share of `hardest` of them, rounded
    up. `pull` (T,): the positive's share of the lengths of all pair forces on the anchor along the sphere,
    |∂ℓ/∂s| √(1 - s²); without the root it is one half at every τ. `q` (T,): 1 - P(positive), which multiplies the pull
    on the positive and all pushes alike (Eq. 4) and which DCL (2110.06848) removes.

    >>> at = measures(0.0, np.zeros(3), [0.1])  # four equal similarities
    >>> at["weights"].round(3).tolist(), float(at["q"][0]), float(at["pull"][0])
    ([[0.333, 0.333, 0.333]], 0.75, 0.5)
    """
    logits = negatives / np.asarray(temperatures, dtype=np.float64)[:, None]
    total = torch.from_numpy(logits).logsumexp(1).numpy()
    logs = logits - total[:, None]
    return _of_weights(positive, negatives, np.exp(logs), hardest) | {
        "entropy": -(np.exp(logs) * logs).sum(1),
        "q": torch.from_numpy(total - positive / np.asarray(temperatures)).sigmoid().numpy(),
    }


def _of_weights(
    positive: float, negatives: NDArray[np.float64], weights: NDArray[np.float64], hardest: float
) -> dict[str, NDArray[np.float64]]:
    hard = np.argsort(-negatives)[: math.ceil(hardest * len(negatives))]
    attraction, repulsion = np.sqrt(1 - np.clip(positive, -1, 1) ** 2), np.sqrt(1 - np.clip(negatives, -1, 1) ** 2)
    forces = np.maximum(attraction + weights @ repulsion, 1e-12)  # 0 only where all lie in line with the anchor
    return {
        "weights": weights,
        "largest": weights.max(1),
        "hard": weights[:, hard].sum(1),
        "pull": attraction / forces,
    }


def limits(positive: float, negatives: NDArray[np.float64], hardest: float = HARDEST) -> dict[str, NDArray[np.float64]]:
    """The numbers of `measures` in the limits τ → 0 and τ → ∞, each (2, ...).

    Cold, the nearest negatives, equals sharing, get all, and q says whether one is nearer than the positive: a triplet
    loss without margin. Hot, all negatives weigh the same and q is K / (K + 1): the simple loss (2012.09740, section
    3.3).
    """
    count, nearest = len(negatives), negatives == negatives.max()
    ties = int(nearest.sum())
    cold_q = ties / (ties + 1) if negatives.max() == positive else float(negatives.max() > positive)
    weights = np.stack([nearest / ties, np.full(count, 1 / count)])
    return _of_weights(positive, negatives, weights, hardest) | {
        "entropy": np.log([ties, count]),
        "q": np.array([cold_q, count / (count + 1)]),
    }


def decoupling(positive: float, negatives: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """q of `measures` if there were COUNTS negatives instead, their similarities distributed as these, (49,)."""
    mean = torch.from_numpy(negatives / temperature).logsumexp(0).item() - np.log(len(negatives))
    return torch.from_numpy(np.log(COUNTS) + mean - positive / temperature).sigmoid().numpy()


class Anchor(NamedTuple):
    """One anchor's similarities, negatives (K,) in falling order, and what all temperatures make of them.

    hard: how many of the negatives are called hard, of a share of `hardest`.
    curves: (4, T) at the T temperatures of CURVE, see `_shares`; ends: (4, 2), their limits.
    """

    positive: float
    negatives: NDArray[np.float64]
    hardest: float
    hard: int
    curves: NDArray[np.float64]
    ends: NDArray[np.float64]


def anchor_of(positive: float, negatives: NDArray[np.float64], hardest: float = HARDEST) -> Anchor:
    """An anchor with these similarities."""
    curves, ends = (
        _shares(of, len(negatives))
        for of in (measures(positive, negatives, CURVE, hardest), limits(positive, negatives, hardest))
    )
    return Anchor(
        positive, np.sort(negatives)[::-1], hardest, math.ceil(hardest * len(negatives)), curves, ends
    )  # fmt: skip


def _shares(of: dict[str, NDArray[np.float64]], count: int) -> NDArray[np.float64]:
    """The four numbers between 0 and 1 that are drawn as curves, (4, T)."""
    return np.stack([of["entropy"] / np.log(count), of["hard"], of["pull"], of["q"]])


def temperature_picture(anchor: Anchor, temperature: float) -> Picture:
    """The weights of the anchor's negatives at a temperature, and the same numbers over all temperatures."""
    positive, negatives, hardest, hard, curves, ends = anchor
    count = len(negatives)
    at = measures(positive, negatives, [temperature], hardest)
    now = {name: value[0] for name, value in at.items()}
    shares, weights = _shares(at, count)[:, 0], now["weights"]
    place, group = np.arange(count) + 0.5, (np.arange(count) >= hard).astype(int)
    looks: dict[str, Any] = {"colour": (HARD, NEGATIVE), "group": group}
    about: dict[str, Any] = looks | {
        "hover": f"negative {{number}} of {count}\nsimilarity {{similarity}}\nweight {{weight}}",
        "fields": {"number": np.arange(1, count + 1), "similarity": negatives, "weight": weights},
    }
    low, high = min(positive, negatives[-1]), max(positive, negatives[0])
    pad = 0.12 * (high - low) or 0.1
    cosines = Chart(
        [
            Rule(y=positive, colour=POSITIVE, dash="dashed", width=1.5, label="positive"),
            Points(place, negatives, marker=("D", "o"), size=2 if count > 80 else 3.5, **about),
        ],
        "Cosine similarity to the anchor", Axis(range=(0, count), ticks=()), Axis(range=(low - pad, high + pad)),
        height=96,
    )  # fmt: skip
    shared = Chart(
        [
            Band(x=(0, hard), colour=HARD, alpha=0.08),
            Bars(place, weights, **about),
            Rule(x=hard, colour=HARD, dash="dotted", width=1),
            Rule(y=1 / count, dash="dashed", width=1, label=f"equal shares, 1/{count}"),
        ],
        "Share of the push that each negative gets", Axis(f"{count} negatives, hardest first", (0, count), ticks=()),
        Axis(range=(0, min(1.0, ceiling(float(weights[0])))), grid=True), height=240,
        note=f"Shaded: the hardest {hard}, which get {now['hard']:.0%}.",
    )  # fmt: skip
    beyond = np.array([CURVE[0] / 1.16, CURVE[-1] * 1.16])  # where the curves go beyond the slider
    over: list[Mark] = [
        *(Band(x=(end / 1.1, end * 1.1), alpha=0.12) for end in beyond),
        *(Text([end], [0.05], [name], colour="muted", size=11) for end, name in zip(beyond, ("0", "∞"), strict=True)),
        Rule(x=temperature, drag="temperature"),
    ]
    for row, (name, colour, dash, marker) in enumerate(CURVES):
        over.append(Line(CURVE, curves[row], colour=colour, dash=dash))
        over.append(Points([temperature], shares[row : row + 1], colour=colour, marker=marker, size=5, name=name))
        over.append(Points(beyond, ends[row], colour=colour, marker=marker, size=4, alpha=0.75))
    temperatures = Chart(
        over, "The same over all temperatures",
        Axis("temperature τ (log scale)", (LOW / 1.3, 1.3 * HIGH), log=True, ticks=(0.03, 0.1, 0.3, 1, 3)),
        Axis(range=(0, 1), grid=True), height=178,
    )  # fmt: skip
    here, q = min(count, COUNTS[-1]), float(now["q"])
    batch = Chart(
        [
            Rule(y=1, dash="dashed", width=1.5, label="DCL: 1 for any batch"),
            Line(COUNTS, decoupling(positive, negatives, temperature), colour=INVERSE, dash="dashdot"),
            Line([here, here], [q, 1], colour=INVERSE, width=1),
            Points([here], [q], colour=INVERSE, marker="s", size=5),
            Text([here], [q], [f"here {q:.2f}"], anchor="left", bold=True, dx=9, dy=-8 if q < 0.25 else 10),
        ],
        "q: what NT-Xent keeps of DCL’s gradient",
        Axis("number of negatives (log scale)", (COUNTS[0], COUNTS[-1]), log=True, ticks=(2, 10, 100, 1000)),
        Axis(range=(0, 1.75), ticks=(0, 0.5, 1), grid=True), height=110,
    )  # fmt: skip
    return Picture(
        "What the temperature does to the negatives",
        f"Bars of the softmax weight of {count} negatives, hardest first; curves of entropy, the share of the hardest "
        f"{hard}, the pull and q over the temperature; q over the number of negatives, where DCL has 1.",
        [[[cosines, shared], [temperatures, batch]]],
        [
            ("entropy", f"{now['entropy']:.2f} of {np.log(count):.2f} nats"),
            ("effective negatives", f"{np.exp(now['entropy']):.1f} of {count}"),
            ("largest share", f"{now['largest']:.1%}"),
            (f"hardest {hard} get", f"{now['hard']:.1%}"),
            ("positive’s share of the pull", f"{now['pull']:.1%}"),
            ("q = 1 − P(positive)", f"{q:.3f}"),
        ],
    )


class TemperaturePanel(Panel):
    """Drag the temperature and see the softmax weights over the negatives of one anchor.

    Give the similarities of one anchor, `negatives` (K,) and the number `positive`; or embeddings `z` (B, V, D), and
    another slider chooses the anchor. `hardest` is the share of the negatives called hard, whose part is shaded.
    `temperature`, `hardest` and `anchor` are sliders: setting their `value` from code draws too. Raises ValueError for
    another shape, fewer than 2 negatives, numbers that are not finite, a temperature outside 0.03 to 3, or a share
    outside 0.01 to 1.
    """

    @takes
    def __init__(
        self,
        negatives: ArrayLike | Tensor | None = None,
        positive: float | None = None,
        *,
        z: ArrayLike | Tensor | None = None,
        temperature: float = 0.5,
        hardest: float = HARDEST,
    ) -> None:
        if (z is None) == (negatives is None) or (negatives is None) != (positive is None):
            raise ValueError("give either negatives with their positive, or embeddings z")
        if z is not None:
            z = numbers(z, "z").detach().cpu()
            if z.ndim != 3 or min(z.shape[:2]) < 2 or not z.is_floating_point():
                raise ValueError(
                    "z must be floats (B, V, D) with at least 2 samples and 2 views, "
                    f"got {z.dtype} of shape {tuple(z.shape)}"
                )
            rows = z
        else:
            assert negatives is not None
            row = numbers(negatives, "negatives").detach().cpu().double()
            if row.ndim != 1 or len(row) < 2:
                raise ValueError(f"negatives must be at least 2 similarities, (K,), got shape {tuple(row.shape)}")
            assert positive is not None
            fixed: tuple[float, NDArray[np.float64]] = positive, row.numpy()
            rows = row
        if not rows.isfinite().all():
            raise ValueError(f"{'similarities' if z is None else 'z'} must be finite, got NaN or infinity")
        self.temperature = dial(
            Knob("temperature", LOW, HIGH, log=True, help="divides the similarities: small = only the hardest count"),
            temperature, "temperature τ",
        )  # fmt: skip
        self.temperature.layout.width = "420px"
        share = Knob("hardest", 0.01, 1, help="share of the negatives whose part of the push is shaded")
        self.hardest = dial(share, hardest, "hard negatives", 0.01, readout_format=".1%")
        last = 0 if z is None else z.shape[0] * z.shape[1] - 1
        self.anchor = counter(Knob("anchor", 0, last, help="which point is the anchor"), 0)
        controls = [self.temperature, self.hardest]
        super().__init__(controls if z is None else [*controls, self.anchor], {"temperature": self.temperature})
        self._hidden = [self.anchor]  # also where it is not shown
        self._row = (lambda: fixed) if z is None else (lambda: similarities(z, self.anchor.value))
        self.temperature.observe(lambda _: self._draw(), "value")
        for control in (self.hardest, self.anchor):
            control.observe(lambda _: self._redraw(), "value")
        self._redraw()

    def _redraw(self) -> None:
        self._of = anchor_of(*self._row(), self.hardest.value)
        self._draw()

    def _draw(self) -> None:
        self.show(temperature_picture(self._of, self.temperature.value))

    def static(self) -> HTML:
        """The panel for the anchor it shows, with a slider over 61 temperatures, as one HTML block."""
        now = self.temperature.value
        values = with_current(CURVE.tolist(), now)
        frames = [temperature_picture(self._of, value) for value in values]
        stops = [f"{value:.3g}" for value in values]
        slider = Slider("temperature τ", stops, values.index(now), name="temperature", values=values)
        return static_block(frames, [slider])
