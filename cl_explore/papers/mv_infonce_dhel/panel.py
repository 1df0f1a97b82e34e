"""ViewsPanel: what more views of a sample do to the gradient and to the embedding, and the views themselves."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore import data, geometry, losses
from cl_explore.losses import Knob, Loss
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.views import ImageViews
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.knobs import of
from cl_explore.widgets.mark import Dash, Mark
from cl_explore.widgets.marks import Images, Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture, ceiling

COUNTS = (2, 4, 6, 8)  # numbers of views that are tried
SHOWN = 5  # images whose views are shown
BATCH, DIM, STEPS, LR = 48, 16, 40, 1e-2
DRAWS = 12  # gradients whose scatter is the noise


def compared() -> list[Loss]:
    """NT-Xent, which takes views in pairs, and all losses of the catalogue that take them all at once, as equals."""
    others = (loss for loss in losses.catalogue.values() if loss.family == "multi-view" and loss.needs == ("z",))
    return [losses.get("nt_xent"), *others]


@cache
def digits() -> Tensor:
    """192 digits (192, 1, 8, 8) in [0, 1]: loading them takes longer than drawing the panel."""
    return data.load("digits").x[:192]


def make_views(images: Tensor, strength: float, count: int) -> Tensor:
    """Always the same draws of `count` views (n, count, 1, H, W) of images (n, 1, H, W), at a strength."""
    return ImageViews.weak(strength)(images, Generator().manual_seed(0), count)


class Effect(NamedTuple):
    """For each loss and number of views: gradient noise and effective rank (L, K), singular values (L, K, DIM)."""

    noise: NDArray[np.float64]
    rank: NDArray[np.float64]
    spectrum: NDArray[np.float64]


class Encoder:
    """A small network 64-64-16 without biases, its weights drawn from the generator."""

    def __init__(self, generator: Generator) -> None:
        sizes = ((64, 64), (64, DIM))
        self.weights = [(torch.randn(*size, generator=generator) / 8).requires_grad_() for size in sizes]

    def __call__(self, x: Tensor) -> Tensor:
        """Embeddings (..., DIM) of images (..., 1, 8, 8)."""
        first, second = self.weights
        return (x.flatten(-3) @ first).relu() @ second


def gradient_noise(loss: Loss, views: int, images: Tensor, augment: ImageViews, temperature: float) -> float:
    """Standard deviation of an untrained encoder's gradient over redrawn views, relative to the mean gradient's length.

    images (B, 1, 8, 8); the deviation is the root of the summed variances of all weights.
    """
    generator = Generator().manual_seed(0)
    encoder = Encoder(generator)
    draws = []
    for _ in range(DRAWS):
        value = loss(encoder(augment(images, generator, views)), temperature=temperature)
        draws.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, encoder.weights)]))
    gradients = torch.stack(draws)
    return float(gradients.var(0).sum().sqrt() / gradients.mean(0).norm())


def embed_after(loss: Loss, views: int, images: Tensor, augment: ImageViews, temperature: float) -> Tensor:
    """Unit embeddings (n, DIM) of the images (n, 1, 8, 8) after 40 steps of training on random batches of 48."""
    generator = Generator().manual_seed(0)
    encoder = Encoder(generator)
    optimizer = torch.optim.Adam(encoder.weights, LR)
    for _ in range(STEPS):
        rows = torch.randperm(len(images), generator=generator)[:BATCH]
        optimizer.zero_grad()
        loss(encoder(augment(images[rows], generator, views)), temperature=temperature).backward()
        optimizer.step()
    with torch.no_grad():
        return F.normalize(encoder(images), dim=1)


def effect(strength: float, temperature: float) -> Effect:
    """Train a small encoder on 192 digits with each loss and number of views, and measure it: one seed, two seconds.

    `rank` is the effective rank of the unit embeddings of the unchanged images, `spectrum` their singular values,
    scaled to sum to 1.
    """
    images, augment = digits(), ImageViews.weak(strength)
    noise, rank, spectrum = [], [], []
    for loss in compared():
        for count in COUNTS:
            z = embed_after(loss, count, images, augment, temperature)
            singular = torch.linalg.svdvals(z.double())
            noise.append(gradient_noise(loss, count, images[:BATCH], augment, temperature))
            rank.append(float(geometry.effective_rank(z)))
            spectrum.append((singular / singular.sum()).numpy())
    shape = (len(compared()), len(COUNTS))
    return Effect(np.reshape(noise, shape), np.reshape(rank, shape), np.reshape(spectrum, (*shape, DIM)))


def views_picture(state: State, made: Effect) -> Picture:
    """What the knobs `views`, `strength` and `temperature` make of the effect."""
    images, views = digits()[:SHOWN], state["views"]
    grid = torch.cat([images[:, None], make_views(images, state["strength"], COUNTS[-1])], dim=1)
    place, titles = COUNTS.index(views), [loss.title for loss in compared()]
    row, column = (part.ravel() for part in np.indices(grid.shape[:2]))
    dashes: tuple[Dash, ...] = ("solid", "dashed", "dotted", "dashdot")

    def courses(x: Sequence[float], values: NDArray[np.float64]) -> list[Mark]:
        """A line with markers for each loss; values (L, len(x))."""
        lines: list[Mark] = []
        for each, name in enumerate(titles):
            colour = CLASS_COLOURS[each]
            lines.append(Line(x, values[each], colour=colour, dash=dashes[each % 4]))
            lines.append(Points(x, values[each], colour=colour, marker="os^D"[each % 4], size=4, name=name))
        return lines

    shown = Chart(
        [Images((255 * grid).round().to(torch.uint8).flatten(0, 1)[:, 0].numpy(), column + 0.3 * (column > 0), row,
                shade=np.where(column > views, 0.12, 1.0))],  # views not used stay as ghosts
        f"Five digits, and {views} views of each", Axis(range=(-0.5, COUNTS[-1] + 0.8)),
        Axis(range=(SHOWN - 0.5, -0.5)), equal=True, bare=True, height=250,
    )  # fmt: skip
    spectrum = Chart(
        courses(range(1, DIM + 1), made.spectrum[:, place]),
        f"Singular values of the embedding, {views} views",
        Axis("direction, strongest first", (1, DIM), ticks=(1, 4, 8, 12, 16)),
        Axis("share", (0, ceiling(float(made.spectrum.max()))), grid=True), height=150,
    )  # fmt: skip
    by_count = Axis("views of a sample, V", (1.5, 8.5), ticks=COUNTS)
    rank = Chart(
        [Rule(x=views), *courses(COUNTS, made.rank)], f"Effective rank of the embedding, of {DIM}", by_count,
        Axis(range=(np.floor(made.rank.min()), min(DIM, np.ceil(made.rank.max() + 0.2))), grid=True), height=160,
    )  # fmt: skip
    noise = Chart(
        [Rule(x=views), *courses(COUNTS, made.noise)], "Noise of the gradient / its length", by_count,
        Axis(range=(0, ceiling(float(made.noise.max()))), grid=True), height=160,
    )  # fmt: skip
    return Picture(
        "Views: how many, how strong, and what a loss makes of them",
        "Five digits and their views. Curves over the number of views: the effective rank of the embedding and the "
        "noise of the gradient for each loss; and the singular values of the embedding.",
        [[[shown, spectrum], [rank, noise]]],
        [
            ("views", str(views)),
            *((f"effective rank, {n}", f"{made.rank[i, place]:.1f} of {DIM}") for i, n in enumerate(titles)),
            *((f"gradient noise, {n}", f"{made.noise[i, place]:.1%}") for i, n in enumerate(titles)),
        ],
    )


class ViewsPanel(KnobPanel):
    """Look at the views, and see what their number does to gradient and embedding.

    A small encoder is trained on digits in the background, for two seconds, with NT-Xent and with every multi-view loss
    of the catalogue; one seed, so that small differences mean nothing.

    views: 2, 4, 6 or 8.
    strength: of the views, 0.5 to 5.
    temperature: 0.1 to 1.
    Raises: ValueError for a number out of range.
    """

    @takes
    def __init__(self, views: int = 4, strength: float = 3.0, temperature: float = 0.5) -> None:
        strong = Knob("strength", 0.5, 5.0, help="× intensity ±10 % and noise 0.1")
        tau = of(losses.mv_dhel, "temperature", low=0.1, high=1.0)
        knobs = {
            "views": stepper("views", COUNTS, views, "views of a sample, V", "how many views are made of a digit"),
            "strength": dial(strong, strength, "strength of the views", step=0.5),
            "temperature": dial(tau, temperature, "temperature τ", step=0.1),
        }
        super().__init__(
            knobs, views_picture, experiment=effect, decides=("strength", "temperature"),
            sweeps={"views": COUNTS, "strength": [1.0, 2.0, 3.0, 4.0]},
        )  # fmt: skip


PANEL = ViewsPanel
