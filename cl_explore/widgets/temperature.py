"""TemperaturePanel: what the temperature does to the weights that one anchor gives its negatives."""

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
    positive: float, negatives: NDArray[np.float64], temperatures: ArrayLike
) -> dict[str, NDArray[np.float64]]:
    """What a temperature makes of the similarities: arrays (T, ...) for temperatures (T,).

    `weights` (T, K): share of the repulsion each of the K negatives gets, softmax(negatives / τ); Eq. 5 of 2012.09740.
    `entropy` (T,) of these weights in nats, log K at most; it rises with τ. `largest` (T,): the largest weight.
    `q` (T,): 1 - P(positive), which multiplies the pull on the positive and all pushes alike (Eq. 4) and which DCL
    (2110.06848) removes.

    >>> at = measures(0.0, np.zeros(3), [0.1])  # four equal similarities
    >>> at["weights"].round(3).tolist(), float(at["q"][0])
    ([[0.333, 0.333, 0.333]], 0.75)
    """
    logits = negatives / np.asarray(temperatures, dtype=np.float64)[:, None]
    total = logsumexp(logits, axis=1)
    logs = logits - total[:, None]
    weights = np.exp(logs)
    q = expit(total - positive / np.asarray(temperatures))
    return {"weights": weights, "entropy": -(weights * logs).sum(1), "largest": weights.max(1), "q": q}


def temperature_scene(positive: float, negatives: NDArray[np.float64]) -> dict[str, Any]:
    """What does not change with the temperature: sorted similarities and the measures over all temperatures."""
    curves = measures(positive, negatives, CURVE)
    return {
        "title": "What the temperature does to the negatives",
        "alt": f"Bars: the softmax weight of each of {len(negatives)} negatives, hardest first. Curves: entropy of the "
        "weights, the largest weight, and q, one minus the probability of the positive, over the temperature.",
        "positive": positive,
        "similarities": np.sort(negatives)[::-1],
        "temperatures": CURVE,
        "entropy": curves["entropy"] / np.log(len(negatives)),
        "largest": curves["largest"],
        "q": curves["q"],
    }


def temperature_frame(positive: float, negatives: NDArray[np.float64], temperature: float) -> dict[str, Any]:
    """What changes with the temperature: the sorted weights, the three measures and the read-out."""
    now = {name: value[0] for name, value in measures(positive, negatives, [temperature]).items()}
    most = np.log(len(negatives))
    return {
        "temperature": temperature,
        "weights": np.sort(now["weights"])[::-1],
        "now": np.array([now["entropy"] / most, now["largest"], now["q"]]),
        "readout": [
            ["entropy", f"{now['entropy']:.2f} of {most:.2f} nats"],
            ["effective negatives", f"{np.exp(now['entropy']):.1f} of {len(negatives)}"],
            ["largest share", f"{now['largest']:.1%}"],
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

    Give the similarities of one anchor, `negatives` (K,) and the number `positive`; or embeddings `z` (B, V, D), and a
    second slider chooses the anchor. `temperature` and `anchor` are sliders: setting their `value` from code draws too.
    Raises ValueError for another shape, fewer than 2 negatives, numbers that are not finite, or a temperature
    outside 0.03 to 3.
    """

    def __init__(
        self,
        negatives: ArrayLike | Tensor | None = None,
        positive: float | None = None,
        *,
        z: Tensor | None = None,
        temperature: float = 0.5,
    ) -> None:
        if (z is None) == (negatives is None) or (negatives is None) != (positive is None):
            raise ValueError("give either negatives with their positive, or embeddings z")
        if not LOW <= temperature <= HIGH:
            raise ValueError(f"temperature must be between {LOW} and {HIGH}, got {temperature}")
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
        self.anchor = ipywidgets.IntSlider(
            max=0 if z is None else z.shape[0] * z.shape[1] - 1,
            description="anchor",
            tooltip="which point is the anchor",
        )
        super().__init__("temperature", [self.temperature] if z is None else [self.temperature, self.anchor])
        self._row = (lambda: fixed) if z is None else (lambda: similarities(z, self.anchor.value))
        self.temperature.observe(self._on_temperature, "value")
        self.anchor.observe(self._on_anchor, "value")
        self._on_anchor()

    def _on_anchor(self, _: Any = None) -> None:
        self._similarities = self._row()
        self.show(scene=temperature_scene(*self._similarities), frame=self._frame())

    def _on_temperature(self, _: Any = None) -> None:
        self.show(frame=self._frame())

    def _frame(self) -> Fields:
        return temperature_frame(*self._similarities, self.temperature.value)

    def static(self) -> HTML:
        """The panel for the anchor it shows, with a slider over 61 temperatures, as one HTML block."""
        frames: list[Fields] = [temperature_frame(*self._similarities, float(value)) for value in CURVE]
        start = int(np.abs(np.log(CURVE / self.temperature.value)).argmin())
        slider = Slider("temperature τ", [f"{value:.3f}" for value in CURVE], start)
        return block("temperature", self.scene, frames, [slider])
