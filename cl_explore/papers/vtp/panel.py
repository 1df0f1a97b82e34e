"""TokenizerPanel: what latents come to mean as captions weigh more, and what it costs the pictures drawn from them."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cl_explore import evaluate, losses
from cl_explore.data import Dataset
from cl_explore.losses import Choice, Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.nn import BagOfTokens
from cl_explore.papers.vtp.method import HIDDEN, VTP, Tokenizer
from cl_explore.papers.vtp.world import shapes
from cl_explore.takes import takes
from cl_explore.views.noisy import Noisy
from cl_explore.widgets.controls import dial
from cl_explore.widgets.marks import Arrows, Images, Points, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

READ = ("the latents", "tokens before the bottleneck")
CHANNELS, SHOWN, EPOCHS, BATCH = 8, 6, 8, 50


class Learned(NamedTuple):
    """What became of a training: `pixels` (3, 6, 16, 16, 3) of given, restored and drawn pictures, `psnr`, `probe`."""

    pixels: NDArray[np.uint8]
    psnr: float
    probe: float


@cache
def world() -> tuple[Dataset, Dataset]:
    """600 pictures to learn from and 200 others."""
    return shapes(0, 600, 200)


@cache
def learn(captions: float, read: str, distilled: str) -> Learned:
    """Eight epochs with captions of this weight, reconstruction's being 1, seeded; 0 is reconstruction alone."""
    train, test = world()
    assert isinstance(test.x, dict)
    whole = read == READ[1]
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = {"image": Tokenizer(CHANNELS), "text": BagOfTokens(80, 64)}
        head = {"image": nn.Linear(HIDDEN if whole else CHANNELS, 32), "text": nn.Linear(64, 32)}
        method = VTP(encoder, head, losses.CLIP(), {"image": Noisy(), "text": Noisy()}, rec_weight=1.0,
                     clip_weight=captions, ssl_weight=0.1 if distilled == "on" else 0.0, ssl_share=0.25,
                     bottleneck_ae_only=whole)  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(method.parameters(), 5e-3)
    for _ in range(EPOCHS):
        take_epoch(method, train, BATCH, optimizer, generator)
    seen, unseen = evaluate.embed(method, train), evaluate.embed(method, test)
    factor = torch.linalg.cholesky(torch.cov(seen.h.T) + 1e-3 * torch.eye(seen.h.shape[1]))
    drawn = seen.h.mean(0) + torch.randn(SHOWN, seen.h.shape[1], generator=generator) @ factor.T
    with torch.no_grad():
        made, fresh = method.eval().decode(unseen.h).clamp(0, 1), method.decode(drawn).clamp(0, 1)
    x = test.x["image"]
    pixels = torch.stack([x[:SHOWN], made[:SHOWN], fresh]).permute(0, 1, 3, 4, 2)

    def mean(h: Tensor) -> Tensor:
        return h.unflatten(1, (CHANNELS, -1)).mean(2)

    return Learned(
        (255 * pixels).round().to(torch.uint8).numpy(),
        float(-10 * (made - x).square().mean().log10()),
        evaluate.linear_accuracy(mean(seen.h), seen.labels, mean(unseen.h), unseen.labels),
    )


def experiment(captions: float, read: str, distilled: str) -> tuple[Learned, Learned]:
    """Reconstruction alone, and what the knobs say."""
    return learn(0.0, READ[0], "off"), learn(captions, read, distilled)


def tokenizer_picture(state: State, made: tuple[Learned, Learned]) -> Picture:
    """What two trainings make of the panel."""
    alone, now = made
    place = np.arange(SHOWN, dtype=float)
    names = ("given", "restored", "drawn anew")
    rows = Chart(
        [
            *(Images(now.pixels[row], place, np.full(SHOWN, 2.0 - row), side=0.92) for row in range(3)),
            Text(np.full(3, -0.7), 2.0 - np.arange(3), list(names), anchor="right"),
        ],
        "Pictures from latents of 16 squares, 8 numbers each", Axis("", (-2.7, SHOWN - 0.4)), Axis("", (-0.6, 2.6)),
        bare=True, equal=True, width=1.4, height=300,
    )  # fmt: skip
    x, y = np.array([alone.psnr, now.psnr]), np.array([alone.probe, now.probe])
    trade = Chart(
        [
            Arrows(x[:1], y[:1], x[1:] - x[:1], y[1:] - y[:1]),
            Points(x[:1], y[:1], colour="#0072B2", size=8, name="reconstruction alone"),
            Points(x[1:], y[1:], colour="#D55E00", size=9, name="as set"),
        ],
        "What it costs and what it buys",
        Axis("PSNR of unseen pictures (dB)", (min(x.min(), 15.0) - 0.5, max(x.max(), 24.0) + 0.5)),
        Axis("shape told by mean latents", (0.0, 1.0), grid=True),
        height=300, note="A linear probe; chance is .17.",
    )  # fmt: skip
    return Picture(
        "VTP: how much meaning for how many decibels?",
        "Three rows of pictures: given, restored, drawn anew; beside them how well they are restored against how well "
        "latents tell shapes, with an arrow from reconstruction alone.",
        [[rows, trade]],
        [
            ("PSNR", f"{now.psnr:.1f} dB"),
            ("reconstruction alone", f"{alone.psnr:.1f} dB"),
            ("shape told", f"{now.probe:.2f}"),
            ("by reconstruction alone", f"{alone.probe:.2f}"),
        ],
    )


class TokenizerPanel(KnobPanel):
    """Weigh captions against reconstruction in a small tokenizer, and say where their contrast reads.

    It is trained in the background (about a second) on 600 pictures of shapes. Upper row: pictures it has not seen;
    below, what the decoder restores from their latents, and what it makes of latents drawn from a Gaussian.
    Raises ValueError for a weight outside 0.01 to 10.
    """

    @takes
    def __init__(self, captions: float = 0.3, read: str = READ[0], distilled: str = "off") -> None:
        knobs = {
            "captions": dial(Knob("captions", 0.01, 10.0, log=True, help="against 1 of reconstruction"), captions,
                             "weight of captions", step=0.25),
            "read": dial(Choice("read", READ, help="what the contrast with captions sees"), read, "contrast reads"),
            "distilled": dial(Choice("distilled", ("off", "on"), help="DINO and iBOT, weight 0.1"), distilled,
                              "self-distillation"),
        }  # fmt: skip
        super().__init__(
            knobs, tokenizer_picture, experiment=experiment, decides=("captions", "read", "distilled"),
            sweeps={"captions": (0.01, 0.3, 10.0)},
        )  # fmt: skip


PANEL = TokenizerPanel
