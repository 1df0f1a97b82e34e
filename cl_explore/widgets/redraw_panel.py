"""RedrawPanel: tick what the views of a picture vary, and see what an encoder trained on them can tell."""

from dataclasses import dataclass
from functools import cache

import ipywidgets
import numpy as np
import torch
from IPython.display import HTML
from numpy.typing import NDArray
from torch import Tensor

from cl_explore import data, evaluate, methods, nn, train
from cl_explore.data import Dataset, FactorViews, factor_rows
from cl_explore.losses import Knob
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter
from cl_explore.widgets.marks import Bars, Images, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture
from cl_explore.widgets.wire import Slider, static_block

VARIED = {
    "pose": ("x", "y", "scale", "rot"),
    "background": ("style", "bhue", "freq", "phase", "bang"),
    "hue": ("hue", "bright"),
    "shape": ("shape",),
}
"""What can be ticked, and the factors that are drawn anew for it."""
READ = {"shape": "shape", "hue": "hue", "bhue": "background"}
"""What is read off: the shape of the object, its hue, the hue of the background."""
RECIPES = (("pose",), ("background",), ("background", "pose"), ("background", "hue", "pose"))
TRAIN, TEST, HUES = 2000, 1000, 8
QUERIES, NEAREST, PAIRS = 3, 5, 6


@dataclass(frozen=True)
class Read:
    """What can be read off representations h of the test pictures.

    accuracy: of the vote of the nearest training pictures, by factor.
    unit: (TEST, H) the representations at unit length.
    """

    accuracy: dict[str, float]
    unit: Tensor

    def nearest(self, query: int) -> NDArray[np.int64]:
        """Test picture number `query` and those nearest to it by cosine, (1 + NEAREST,) row numbers."""
        others = (self.unit @ self.unit[query]).index_fill(0, torch.tensor(query), -torch.inf)
        return np.array([query, *others.topk(NEAREST).indices.tolist()])


@cache
def world() -> tuple[Dataset, Dataset]:
    """The pictures to train on and those to test on."""
    return data.load("factor_world", n=TRAIN), data.load("factor_world", "test", n=TEST)


def labels(part: Dataset, factor: str) -> Tensor:
    """The classes (N,) of a factor: hues in HUES equal parts of the circle."""
    values = part.factors[factor]
    return values if factor == "shape" else (values * HUES).long()


def read(seen: Tensor, unseen: Tensor) -> Read:
    """What the representations seen (TRAIN, H) and unseen (TEST, H) tell."""
    first, second = world()
    accuracy = {
        factor: evaluate.knn_accuracy(seen, labels(first, factor), unseen, labels(second, factor)) for factor in READ
    }
    return Read(accuracy, torch.nn.functional.normalize(unseen, dim=1))


@cache
def pixels() -> Read:
    """What the pictures tell as they are."""
    return read(*(part.x.flatten(1) / 255 for part in world()))


def untrained(resample: tuple[str, ...] = ()) -> methods.JointEmbedding:
    """The network before training, always the same, and the factors that its views will vary."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = nn.ConvNet(3, width=16)
        head = nn.projection_head(encoder.out_features, encoder.out_features, 32)
    return methods.JointEmbedding(encoder, head, "nt_xent", FactorViews(resample), temperature=0.2)


def embedded(method: methods.JointEmbedding) -> Read:
    """What a method's representations tell."""
    return read(*(evaluate.embed(method, part).h for part in world()))


@cache
def before() -> Read:
    """What the untrained encoder tells."""
    return embedded(untrained())


def learned(**ticked: bool) -> Read:
    """What is learned in two seconds from views that vary what is ticked."""
    method = untrained(varied(ticked))
    train.fit(method, factor_rows(world()[0]), epochs=8, batch_size=125, lr=3e-3, snapshots=0, progress=False)
    return embedded(method)


def varied(ticked: State) -> tuple[str, ...]:
    """The factors that are drawn anew."""
    return tuple(factor for name, factors in VARIED.items() if ticked[name] for factor in factors)


def redraw_picture(state: State, made: Read) -> Picture:
    """What the ticks and the reading of the trained encoder show."""
    first, second = world()
    views = FactorViews(varied(state))(factor_rows(first).x[:PAIRS], torch.Generator().manual_seed(1))
    shown = views.mul(255).byte().permute(1, 0, 3, 4, 2).reshape(2 * PAIRS, 16, 16, 3).numpy()
    pairs = Chart(
        [Images(shown, np.tile(np.arange(PAIRS), 2), np.repeat([1.0, 0.0], PAIRS))],
        "Two views of six pictures, one below the other", bare=True, equal=True, height=150, width=0.8,
    )  # fmt: skip
    place = np.arange(float(len(READ)))
    bars = [
        Bars(place + shift, [found.accuracy[factor] for factor in READ], width=0.25, colour=colour, name=name)
        for shift, found, colour, name in (
            (-0.27, pixels(), "#999999", "raw pixels"),
            (0.0, before(), "#56B4E9", "untrained encoder"),
            (0.27, made, "#D55E00", "trained on these views"),
        )
    ]
    told = Chart(
        [*bars, Rule(y=1 / HUES, label="chance")], "What the nearest neighbours know",
        Axis(ticks=place, names=list(READ.values()), range=(-0.5, 2.5)), Axis("accuracy of kNN", (0, 1), grid=True),
        height=430,
    )  # fmt: skip
    neighbours = [
        _neighbours(second, found, state["first"], title)
        for found, title in ((pixels(), "Nearest by pixels"), (made, "Nearest by the encoder"))
    ]
    ticked = [name for name in VARIED if state[name]]
    return Picture(
        "What do the views vary, and what is learned?",
        "Pairs of views, the nearest neighbours of three pictures by pixels and by the encoder, and bars of how "
        "often neighbours tell the shape, the hue and the background.",
        [[[pairs, *neighbours], told]],
        [("the views vary", " and ".join(ticked) or "nothing but noise")]
        + [(READ[factor], f"{value:.0%}") for factor, value in made.accuracy.items()],
    )


def _neighbours(part: Dataset, found: Read, first: int, title: str) -> Chart:
    """Pictures first, first + 1, ..., each with its nearest to the right of it."""
    rows = np.concatenate([found.nearest(first + query) for query in range(QUERIES)])
    place = np.arange(NEAREST + 1)
    x, y = np.tile(place + 0.4 * (place > 0), QUERIES), np.repeat(np.arange(QUERIES)[::-1], NEAREST + 1)
    return Chart([Images(part.x[rows].permute(0, 2, 3, 1).numpy(), x, y)], title, bare=True, equal=True, height=150)


class RedrawPanel(KnobPanel):
    """Tick what the two views of a picture vary, and see what can be read off an encoder that was trained on them.

    Pictures of the factor world, NT-Xent, a small convolutional network. Each choice is trained in the background, for
    two or three seconds, and kept in the run store.

    pose, background, hue, shape: whether the views vary it.
    first: the first of the three pictures whose neighbours are shown.
    Raises: ValueError for a picture that is not there.
    """

    @takes
    def __init__(
        self, pose: bool = True, background: bool = False, hue: bool = False, shape: bool = False, first: int = 0
    ) -> None:
        start = {"pose": pose, "background": background, "hue": hue, "shape": shape}
        ticks = {
            name: ipywidgets.Checkbox(value=value, description=f"vary the {name}", indent=False)
            for name, value in start.items()
        }
        shown = counter(Knob("first", 0, 60, help="whose neighbours are shown"), first, "pictures from", step=QUERIES)
        super().__init__(
            {**ticks, "first": shown}, redraw_picture, sweeps={}, experiment=learned, decides=tuple(VARIED)
        )
        for tick in ticks.values():
            tick.layout.width = "170px"

    def static(self) -> HTML:
        """The panel with a menu of what the views vary and a slider over pictures, as one HTML block."""
        state = self.state()
        now = tuple(name for name in sorted(VARIED) if state[name])
        recipes = [*dict.fromkeys([*RECIPES, now])]
        firsts = sorted({0, 2 * QUERIES, 4 * QUERIES, state["first"]})
        states = [
            {name: name in recipe for name in VARIED} | {"first": first} for recipe in recipes for first in firsts
        ]
        stops = [" and ".join(recipe) or "nothing" for recipe in recipes]
        menu = Slider("the views vary", stops, recipes.index(now), menu=True, name="varied", values=[])
        slider = Slider(
            "pictures from", [str(first) for first in firsts], firsts.index(state["first"]),
            name="first", values=[float(first) for first in firsts],
        )  # fmt: skip
        return static_block([self._picture(state, self._made(state)) for state in states], [menu, slider])
