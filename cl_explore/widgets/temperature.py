"""TemperaturePanel: what the temperature does to the weights that one anchor gives its negatives."""

import math
from typing import Any

import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp
from torch import Tensor

from cl_explore.widgets.canvas import Fields, Panel, Slider, block
from cl_explore.widgets.controls import WIDE

LOW, HIGH = 0.03, 3.0
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
    total = logsumexp(logits, axis=1)
    logs = logits - total[:, None]
    return _of_weights(positive, negatives, np.exp(logs), hardest) | {
        "entropy": -(np.exp(logs) * logs).sum(1),
        "q": expit(total - positive / np.asarray(temperatures)),
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

    Cold, the nearest negatives, equals sharing, bear all and q says whether one is nearer than the positive: a triplet
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
    mean = logsumexp(negatives / temperature) - np.log(len(negatives))
    return expit(np.log(COUNTS) + mean - positive / temperature)


def temperature_scene(positive: float, negatives: NDArray[np.float64], hardest: float = HARDEST) -> dict[str, Any]:
    """What does not change with the temperature: sorted similarities and the measures over all temperatures."""
    curves, ends = (
        _shares(of, len(negatives))
        for of in (measures(positive, negatives, CURVE, hardest), limits(positive, negatives, hardest))
    )
    count = math.ceil(hardest * len(negatives))
    return {
        "title": "What the temperature does to the negatives",
        "alt": f"Bars: the softmax weight of each of {len(negatives)} negatives, hardest first. Curves over the "
        f"temperature: entropy of the weights, share of the hardest {count}, the positive's share of the pull, and q, "
        "one minus the probability of the positive; below, q against the number of negatives, where DCL has 1.",
        "positive": positive,
        "similarities": np.sort(negatives)[::-1],
        "hard": count,
        "temperatures": CURVE,
        "curves": curves.ravel(),
        "limits": ends.ravel(),
        "counts": COUNTS,
    }


def _shares(of: dict[str, NDArray[np.float64]], count: int) -> NDArray[np.float64]:
    """The four numbers between 0 and 1 that are drawn as curves, (4, T)."""
    return np.stack([of["entropy"] / np.log(count), of["hard"], of["pull"], of["q"]])


def temperature_frame(
    positive: float, negatives: NDArray[np.float64], temperature: float, hardest: float = HARDEST
) -> dict[str, Any]:
    """What changes with the temperature: the sorted weights, the measures and the read-out."""
    at = measures(positive, negatives, [temperature], hardest)
    now = {name: value[0] for name, value in at.items()}
    return {
        "temperature": temperature,
        "weights": np.sort(now["weights"])[::-1],
        "now": _shares(at, len(negatives)).ravel(),
        "decoupling": decoupling(positive, negatives, temperature),
        "readout": [
            ["entropy", f"{now['entropy']:.2f} of {np.log(len(negatives)):.2f} nats"],
            ["effective negatives", f"{np.exp(now['entropy']):.1f} of {len(negatives)}"],
            ["largest share", f"{now['largest']:.1%}"],
            [f"hardest {math.ceil(hardest * len(negatives))} bear", f"{now['hard']:.1%}"],
            ["positive's share of the pull", f"{now['pull']:.1%}"],
            ["q = 1 − P(positive)", f"{now['q']:.3f}"],
        ],
    }


def _vector(negatives: Any) -> NDArray[np.float64]:
    values = torch.as_tensor(negatives).detach().cpu().numpy().astype(np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"negatives must be at least 2 similarities, (K,), got shape {values.shape}")
    return values


class TemperaturePanel(Panel):
    """Drag the temperature and see the softmax weights over the negatives of one anchor.

    Give the similarities of one anchor, `negatives` (K,) and the number `positive`; or embeddings `z` (B, V, D), and
    another slider chooses the anchor. `hardest` is the share of the negatives called hard, whose part is shaded.
    `temperature`, `hardest` and `anchor` are sliders: setting their `value` from code draws too. Raises ValueError for
    another shape, fewer than 2 negatives, numbers that are not finite, a temperature outside 0.03 to 3, or a share
    outside 0.01 to 1.
    """

    def __init__(
        self,
        negatives: ArrayLike | Tensor | None = None,
        positive: float | None = None,
        *,
        z: Tensor | None = None,
        temperature: float = 0.5,
        hardest: float = HARDEST,
    ) -> None:
        if (z is None) == (negatives is None) or (negatives is None) != (positive is None):
            raise ValueError("give either negatives with their positive, or embeddings z")
        if not LOW <= temperature <= HIGH:
            raise ValueError(f"temperature must be between {LOW} and {HIGH}, got {temperature}")
        if not 0.01 <= hardest <= 1:
            raise ValueError(f"hardest must be between 0.01 and 1, got {hardest}")
        if z is not None:
            if z.ndim != 3 or z.shape[0] < 2 or z.shape[1] < 2 or not z.is_floating_point():
                raise ValueError(
                    "z must be floats (B, V, D) with at least 2 samples and 2 views, "
                    f"got {z.dtype} of shape {tuple(z.shape)}"
                )
            z = z.detach().cpu()
            rows = z
        else:
            fixed = (float(positive), _vector(negatives))  # type: ignore[arg-type]
            rows = torch.tensor([fixed[0], *fixed[1]])
        if not rows.isfinite().all():
            raise ValueError(f"{'similarities' if z is None else 'z'} must be finite, got NaN or infinity")
        self.temperature = ipywidgets.FloatLogSlider(
            value=temperature, min=np.log10(LOW), max=np.log10(HIGH), step=0.01, description="temperature τ",
            readout_format=".3f", tooltip="divides the similarities: small = only the hardest negatives count",
            style=WIDE, layout={"width": "420px"},
        )  # fmt: skip
        self.hardest = ipywidgets.FloatSlider(
            value=hardest, min=0.01, max=1, step=0.01, description="hard negatives", readout_format=".0%",
            tooltip="share of the negatives, the nearest ones, whose part of the repulsion is shaded", style=WIDE,
        )  # fmt: skip
        self.anchor = ipywidgets.IntSlider(
            max=0 if z is None else z.shape[0] * z.shape[1] - 1,
            description="anchor",
            tooltip="which point is the anchor",
        )
        controls = [self.temperature, self.hardest]
        super().__init__("temperature", controls if z is None else [*controls, self.anchor])
        self._row = (lambda: fixed) if z is None else (lambda: similarities(z, self.anchor.value))
        self.temperature.observe(lambda _: self.show(frame=self._frame(self.temperature.value)), "value")
        for control in (self.hardest, self.anchor):
            control.observe(lambda _: self._redraw(), "value")
        self._redraw()

    def _redraw(self) -> None:
        self._similarities = self._row()
        scene = temperature_scene(*self._similarities, self.hardest.value)
        self.show(scene=scene, frame=self._frame(self.temperature.value))

    def _frame(self, temperature: float) -> Fields:
        return temperature_frame(*self._similarities, temperature, self.hardest.value)

    def static(self) -> HTML:
        """The panel for the anchor it shows, with a slider over 61 temperatures, as one HTML block."""
        frames = [self._frame(float(value)) for value in CURVE]
        start = int(np.abs(np.log(CURVE / self.temperature.value)).argmin())
        slider = Slider("temperature τ", [f"{value:.3f}" for value in CURVE], start)
        return block("temperature", self.scene, frames, [slider])
