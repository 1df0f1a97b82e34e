"""RecipePanel: what a better recipe gives CLIP, and what one more loss gives on top of it."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cl_explore.claims.bench import Entry
from cl_explore.losses import Choice
from cl_explore.methods.plain import take_step
from cl_explore.papers.vlp_baselines.study import (
    KINDS,
    PROMPTS,
    ImageViews,
    Rocket,
    TextViews,
    nearest,
    networks,
    vectors,
)
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial, stepper
from cl_explore.widgets.marks import Bars, Heat, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SAMPLES = (100, 300, 1000)
EXTRAS = ("SiamLIP", "BarLIP")
BATCH, STEPS = 100, 40


class Learned(NamedTuple):
    """What a training came to.

    chosen: (36, 36), the share of new images of each kind (row) that is nearest to each prompt (column).
    right: the share of new images nearest to their own prompt, and that of the images learned from.
    """

    chosen: NDArray[np.float32]
    right: tuple[float, float]


@cache
def learn(strength: float, samples: int, extra: str) -> Learned:
    """Forty steps of CLIP, with two augmented views where the recipe has any strength, seeded."""
    train, test, paint = vectors(0, samples)
    assert isinstance(train.x, dict)
    assert isinstance(test.x, dict)
    views = 2 if strength else 0
    method = Entry("clip", form=Rocket, networks=networks, extra=extra, settings=None, augment={
        "image": ImageViews(paint, views, 0.5 * strength), "text": TextViews(views, 0.25 * strength),
    }).build(train, 0)  # fmt: skip
    assert isinstance(method, Rocket)
    optimizer = torch.optim.AdamW(method.parameters(), 2e-3, weight_decay=0.1)
    draw, order = torch.Generator().manual_seed(0), list[torch.Tensor]()
    for _ in range(STEPS):
        order = order or list(method.draw_order(train, BATCH, draw).split(BATCH))
        take_step(method, train.batch(order.pop()), optimizer, draw)
    read = "local" if views else "clean"
    new, old = (nearest(method, part.x["image"])[read] for part in (test, train))
    counts = torch.zeros(len(PROMPTS), len(PROMPTS)).index_put_((test.labels, new), torch.ones(()), accumulate=True)
    right = [float((found == part.labels).double().mean()) for found, part in ((new, test), (old, train))]
    return Learned((counts / counts.sum(1, keepdim=True)).numpy(), (right[0], right[1]))


def both(strength: float, samples: int, extra: str) -> tuple[Learned, Learned]:
    """A training without and one with the extra loss."""
    return learn(strength, samples, ""), learn(strength, samples, extra)


def recipe_picture(state: State, made: tuple[Learned, Learned]) -> Picture:
    """What two trainings, without and with the extra loss, make of the panel."""
    names = (f"without {state['extra']}", f"with {state['extra']}")
    groups = np.array([0.0, 1.0])
    bars = Chart(
        [
            *(Bars(groups + shift, of.right, width=0.36, colour=colour, name=name)
              for shift, of, colour, name in zip((-0.2, 0.2), made, CLASS_COLOURS, names, strict=False)),
            Rule(y=1 / len(PROMPTS), dash="dashed", label="chance"),
        ],
        "Images nearest to their own prompt",
        Axis("", (-0.5, 1.5), ticks=groups, names=("new images", "images learned from")),
        Axis("share", (0, 1), grid=True),
        height=300,
    )  # fmt: skip
    middles = KINDS * np.arange(KINDS) + KINDS / 2
    shapes = [f"{shape + 1}" for shape in range(KINDS)]
    chosen = Chart(
        [Heat(made[0].chosen)],
        "Prompts that new images get, without the extra loss",
        Axis("prompt, by shape", (0, len(PROMPTS)), ticks=middles, names=shapes),
        Axis("image, by shape", (len(PROMPTS), 0), ticks=middles, names=shapes),
        equal=True, height=300,
        note="Stripes beside the diagonal: the right colour, another shape.",
    )  # fmt: skip
    without, with_extra = (of.right[0] for of in made)
    return Picture(
        "A better recipe against one more loss: "
        + (f"the recipe at {state['strength']:.0%}" if state["strength"] else "plain CLIP"),
        "Paired bars, without and with the extra loss: how often an image is nearest to its own of 36 prompts; beside "
        "them the prompts that new images get, in blocks of one shape in six colours.",
        [[bars, chosen]],
        [
            (f"new images, {names[0]}", f"{without:.1%}"),
            (names[1], f"{with_extra:.1%}"),
            ("the loss adds, in points", f"{100 * (with_extra - without):+.1f}"),
        ],
    )


class RecipePanel(KnobPanel):
    """Give CLIP a better recipe step by step, with and without one more loss: see which of the two helps.

    Two encoders are trained in the background (about a second) on pairs of a vector and a caption, of which most words
    say nothing. `strength` 0 is plain CLIP; above it two views of each side are compared by projectors of their own,
    with smoothed labels, and the strength says how much is drawn anew in a view and how many words are deleted. With
    few pairs plain CLIP knows what it has learned from better than what is new. Views that hardly differ do not mend
    that, stronger ones do, and the extra loss changes little at any strength. With many pairs nothing is left to mend.
    Raises ValueError for a strength or a number of pairs that is not among the stops.
    """

    @takes
    def __init__(self, strength: float = 0.0, samples: int = SAMPLES[0], extra: str = EXTRAS[0]) -> None:
        knobs = {
            "strength": stepper("strength", STRENGTHS, strength, "recipe strength", "0 is plain CLIP, 1 the recipe"),
            "samples": stepper("samples", SAMPLES, samples, "pairs to learn from", "the effect is one of few pairs"),
            "extra": dial(Choice("extra", EXTRAS, help="the loss without negatives that is added"), extra,
                          "extra loss"),
        }  # fmt: skip
        super().__init__(
            knobs, recipe_picture, experiment=both, decides=("strength", "samples", "extra"),
            sweeps={"strength": STRENGTHS, "extra": EXTRAS},
        )  # fmt: skip


PANEL = RecipePanel
