"""PromptPanel: prompts that follow a picture, how far its views move them, and what is gained by that or lost."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from cl_explore.data.factor_world import SHAPES
from cl_explore.losses import Knob
from cl_explore.methods.plain import take_epoch
from cl_explore.papers.gopro.method import Conditioning, GOPro, Prompts, drift
from cl_explore.papers.gopro.study import BASE, NEW, generalise, networks
from cl_explore.papers.gopro.world import CHANNELS, KNOWN, PromptViews, World, shapes
from cl_explore.plots.style import CLASS_COLOURS
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, stepper
from cl_explore.widgets.marks import Bars, Images, Line, Points, Rule, Text
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

WEIGHTS, STRENGTHS = (0.0, 1.0, 100.0, 1000.0, 10000.0), (0.25, 0.5, 1.0)
PICTURES, VIEWS, EPOCHS = 6, 8, 40
NAMED = 0.05  # where names stand, in the order of their prompts, on the plane right of all of them


class Learned(NamedTuple):
    """Prompts trained with a weight, on the pictures that the panel shows.

    accuracy: (2,), among known and among new classes.
    texts: (S, P, 1 + V, 8, 2), for each strength, picture and view, the picture itself first, the prompts of the
        classes on the plane.
    drift: (S, P), the mean squared difference of prompts between picture and views.
    """

    accuracy: NDArray[np.float32]
    texts: NDArray[np.float32]
    drift: NDArray[np.float32]


class Shown(NamedTuple):
    """What no weight changes.

    world: a small one. views: (S, P, 1 + V, 3, 16, 16). accuracy: (2, 2), zero-shot and of fixed prompts, among known
    and new classes. centre, plane: (48,) and (48, 2), where prompts that were not learned differ most.
    """

    world: World
    views: Tensor
    accuracy: NDArray[np.float32]
    centre: Tensor
    plane: Tensor


@cache
def shown() -> Shown:
    """The small world: a model of 2,000 pairs, 32 pictures to learn from, 6 to look at."""
    world = shapes(0, unseen=300)
    x = torch.stack([world.unseen.batch(torch.tensor([row])).x[0] for row in range(PICTURES)])
    views = []
    for strength in STRENGTHS:
        generator, augment = Generator().manual_seed(0), PromptViews(strength)
        drawn = torch.cat([augment(x, generator)[:, 1:] for _ in range(VIEWS // 2)], 1)
        views.append(torch.cat([x[:, None], drawn], 1))
    fixed = [trained(world, 0, "none", epochs=epochs) for epochs in (0, EPOCHS)]
    with torch.no_grad():
        text = fixed[0].texts(world.clip(x[:1]), torch.arange(len(SHAPES)))[0]
    plane = torch.linalg.svd(text - text.mean(0)).Vh[:2].T
    return Shown(world, torch.stack(views), np.stack([accuracy(model, world) for model in fixed]), text.mean(0), plane)


def trained(
    world: World, seed: int, conditioning: Conditioning = "both", *, epochs: int, drift_weight: float = 0.0
) -> GOPro:
    """GOPro without its contrast, which reaches no prompt, after so many epochs on the few pictures of a world."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        clip, projector = networks(world.few, clip=world.clip)
        assert isinstance(clip, type(world.clip))
        prompts = Prompts(world.context, CHANNELS, conditioning)
        model = GOPro(clip, projector, "nt_xent", PromptViews(), prompts=prompts, names=world.names, known=KNOWN,
                      temperature=0.1, drift_weight=drift_weight, contrast_weight=0.0)  # fmt: skip
    optimizer = torch.optim.Adam([leaf for leaf in model.parameters() if leaf.requires_grad], 2e-3)
    generator = Generator().manual_seed(seed)
    for _ in range(epochs):
        take_epoch(model, world.few, 16, optimizer, generator)
    return model


def accuracy(model: GOPro, world: World) -> NDArray[np.float32]:
    """Among known and among new classes, (2,)."""
    found = generalise(model, world.few, world.unseen)
    return np.array([found[BASE], found[NEW]], np.float32)


def learn(weight: float) -> Learned:
    """Prompts of 80 steps on 32 pictures, seeded."""
    still = shown()
    model = trained(still.world, 0, epochs=EPOCHS, drift_weight=weight)
    right = accuracy(model, still.world)
    with torch.no_grad():
        texts = model.texts(model(still.views.flatten(0, 2)), torch.arange(len(SHAPES))).unflatten(
            0, still.views.shape[:3]
        )
        apart = [[drift(text[None]) / VIEWS for text in row] for row in texts]
    return Learned(right, ((texts - still.centre) @ still.plane).numpy(), np.array(apart, np.float32))


def prompt_picture(state: State, learned: Learned) -> Picture:
    """What trained prompts and the knobs `strength`, `picture` make of the panel."""
    still = shown()
    strength, place = STRENGTHS.index(state["strength"]), state["picture"] - 1
    views = (still.views[strength, place] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    number = np.arange(len(views))
    label = SHAPES[int(still.world.unseen.labels[place])]
    pictures = Chart(
        [Images(views, number % 3, -(number // 3), side=0.94)],
        f"A {label}, first, and {VIEWS} views of it", bare=True, equal=True, height=330,
    )  # fmt: skip
    texts = learned.texts[strength, place]
    beside = np.linspace(-0.8, 0.8, len(SHAPES))[texts[0, :, 1].argsort().argsort()]
    marks = [
        mark
        for kind, name in enumerate(SHAPES)
        for mark in (
            Points(*texts[1:, kind].T, colour=CLASS_COLOURS[kind % KNOWN], size=3.0, hollow=kind >= KNOWN),
            Points(*texts[:1, kind].T, colour=CLASS_COLOURS[kind % KNOWN], size=6.5, marker="s"),
            Line([texts[0, kind, 0], NAMED], [texts[0, kind, 1], beside[kind]], colour="muted", width=0.7, alpha=0.6),
            Text([NAMED], beside[kind : kind + 1], [name], dx=4.0, anchor="left", bold=name == label),
        )
    ]
    plane = Chart(
        marks, "Its prompts of the eight classes", Axis("", (-1.2, 0.6)), Axis("", (-0.9, 0.9)), equal=True,
        height=330, note="Squares: of the picture. Dots: of its views; rings are new classes.",
    )  # fmt: skip
    right = np.vstack([still.accuracy, learned.accuracy])
    both = 2 * right.prod(1) / right.sum(1)
    bars = np.column_stack([right, both])
    at = np.arange(3.0)
    looks = (("zero-shot", "#B7B2C0"), ("fixed prompts", "#797186"), ("prompts that follow", CLASS_COLOURS[0]))
    accuracies = Chart(
        [
            *(Bars(at + 0.27 * (row - 1), bars[row], width=0.25, colour=colour, name=name)
              for row, (name, colour) in enumerate(looks)),
            Rule(y=0.25, dash="dashed", label="chance"),
        ],
        "Accuracy on unseen pictures", Axis("", (-0.5, 2.5), ticks=at, names=["known", "new", "H"]),
        Axis("", (0, 1), grid=True), height=330,
    )  # fmt: skip
    return Picture(
        f"Prompts that follow the picture, weight on consistency {state['weight']:g}",
        "A picture and eight views; on a plane the prompts of eight classes for each of them; bars of accuracy on "
        "known and new classes, zero-shot, fixed and following.",
        [[pictures, plane, accuracies]],
        [
            ("drift of its prompts", f"{learned.drift[strength, place]:.1e}"),
            ("known classes", f"{right[2, 0]:.1%} (fixed {right[1, 0]:.1%})"),
            ("new classes", f"{right[2, 1]:.1%} (fixed {right[1, 1]:.1%})"),
        ],
    )


class PromptPanel(KnobPanel):
    """Ask prompts to be the same for all views of a picture, and see their clouds shrink and what it costs.

    A frozen model and prompts on 32 pictures are trained when the panel is made (a few seconds), and prompts anew for
    each `weight`; `strength` makes views milder, `picture` shows another one. H is the harmonic mean of the accuracies
    on known and on new classes. Raises ValueError for a picture outside 1 to 6, or a weight or strength without a stop.
    """

    @takes
    def __init__(self, weight: float = 0.0, strength: float = 1.0, picture: int = 1) -> None:
        knobs = {
            "weight": stepper("weight", WEIGHTS, weight, "consistency w_sem", "weight on equal prompts for all views"),
            "strength": stepper("strength", STRENGTHS, strength, "view strength", "how much views change a picture"),
            "picture": counter(Knob("picture", 1, PICTURES, help="which unseen picture"), picture),
        }
        super().__init__(
            knobs, prompt_picture, experiment=learn, decides=("weight",),
            sweeps={"weight": WEIGHTS, "picture": [1, 2, 3]},
        )  # fmt: skip


PANEL = PromptPanel
