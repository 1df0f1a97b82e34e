"""LossComparePanel: several losses on the same points: values, force laws, and what they do to one anchor."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import HTML
from torch import Generator

from cl_explore import losses
from cl_explore.losses import Choice, Knob, Loss
from cl_explore.takes import Seed, takes
from cl_explore.widgets.comparison import VIEWS, Case, compare_picture
from cl_explore.widgets.controls import controls, counter, dial, families, loss_menu
from cl_explore.widgets.descent import scatter
from cl_explore.widgets.film import stops
from cl_explore.widgets.forces import AXIS, forces, law
from cl_explore.widgets.panel import Panel, free, row
from cl_explore.widgets.picture import Picture
from cl_explore.widgets.wire import Slider, static_block

MOST_LOSSES = 4
ANCHORS = 8  # anchors shown where there is no kernel


class LossComparePanel(Panel):
    """Put two to four losses side by side on the same points, and ask what each does to one anchor.

    For each loss: its value between perfect and collapsed; the force between the anchor and its positive, and a
    negative, over their similarity, with the anchor's actual pairs as marks; and an arrow where the anchor would go.
    The points are `samples` samples with two views on the circle (`dim=2`) or the sphere (`dim=3`), in `classes`
    classes. A knob that several losses declare alike, such as the temperature, is turned for all of them at once while
    `together` is on. Losses, knobs (`panel.knobs[0]["temperature"].value = 0.1`), `anchor`, `noise` (how far views lie
    from their sample) and `surface` may be set from code. Raises ValueError for fewer than 2 or more than 4 losses, one
    that needs more than two views and labels, and numbers outside their ranges.
    """

    @takes
    def __init__(
        self,
        compare: Sequence[str | Loss] = ("nt_xent", "dcl"),
        *,
        dim: int = 2,
        samples: int = 24,
        classes: int = 3,
        noise: float = 0.25,
        seed: Seed = 0,
    ) -> None:
        chosen = [losses.get(loss) for loss in compare]
        if not 2 <= len(chosen) <= MOST_LOSSES:
            raise ValueError(f"compare must name 2 to {MOST_LOSSES} losses, got {len(chosen)}")
        self.losses = [loss_menu(VIEWS, loss, *chosen) for loss in chosen]
        if dim not in (2, 3):
            raise ValueError(f"dim must be 2 (circle) or 3 (sphere), got {dim}")
        if not 4 <= samples <= 100:
            raise ValueError(f"samples must be 4 to 100, got {samples}")
        if not 2 <= classes <= samples // 2:
            raise ValueError(f"classes must be at least 2 and at most half the samples ({samples}), got {classes}")
        self._samples, self._classes, self._seed = samples, classes, seed
        self.surface = ipywidgets.Dropdown(options={"circle": 2, "sphere": 3}, value=dim, description="on the")
        asked = Knob("anchor", 0, samples * VIEWS - 1, help="which point is asked where it would go")
        self.anchor = counter(asked, 0)
        spread = Knob("noise", 0.05, 2, log=True, help="how far views lie from their sample, in radii: far = hard")
        self.noise = dial(spread, noise, "distance of the views", 0.02)
        self.together = ipywidgets.Checkbox(
            value=True, description="turn shared knobs together", indent=False, layout={"width": "220px"}
        )
        self._silent = False  # while one knob turns others
        self.cases: list[Case] = []
        self._columns = [ipywidgets.VBox([menu]) for menu in self.losses]
        super().__init__([row(*self._columns), row(self.surface, self.anchor, self.noise, self.together)], {})
        self.canvas.families = families(self.losses[0])
        self.knobs: list[dict[str, ipywidgets.Widget]] = [{} for _ in chosen]  # type: ignore[assignment]
        for place, menu in enumerate(self.losses):
            self._take_knobs(place)
            menu.observe(lambda _, place=place: self._on_loss(place), "value")
        self.anchor.observe(lambda _: self._draw(), "value")
        for control in (self.surface, self.noise):
            control.observe(lambda _: self._on_points(), "value")
        self._on_points()

    def _take_knobs(self, place: int) -> None:
        former = self.knobs[place].values()
        self.knobs[place] = controls(self.losses[place].value)
        for knob in self.losses[place].value.knobs:
            control = self.knobs[place][knob.name]
            for twin in self._twins(place, knob)[:1]:
                _follow(control, self.knobs[twin][knob.name])
            control.observe(lambda _, knob=knob: self._on_knob(place, knob), "value")
        self._columns[place].children = (self.losses[place], *self.knobs[place].values())
        for control in former:
            free(control)

    def _twins(self, place: int, knob: Knob | Choice) -> list[int]:
        """Where other losses have the same knob, if knobs are turned together."""
        others = (other for other in range(len(self.losses)) if other != place and self.knobs[other])
        return [other for other in others if self.together.value and knob in self.losses[other].value.knobs]

    def _on_knob(self, place: int, knob: Knob | Choice) -> None:
        if self._silent:
            return
        twins = self._twins(place, knob)
        with ExitStack() as held:
            self._silent = True
            for twin in twins:
                control = self.knobs[twin][knob.name]
                held.enter_context(control.hold_sync())  # the page shall see the picture first
                _follow(control, self.knobs[place][knob.name])
            self._silent = False
            self._draw(place, *twins)

    def _on_loss(self, place: int) -> None:
        self._take_knobs(place)
        self._draw(place)

    def _on_points(self) -> None:
        generator = Generator().manual_seed(self._seed)
        self.points = scatter(
            self._samples, VIEWS, self.surface.value, self._classes, generator, noise=self.noise.value
        )
        self._draw()

    def _chosen(self, place: int) -> tuple[Loss, dict[str, Any]]:
        return self.losses[place].value, {name: knob.value for name, knob in self.knobs[place].items()}

    def _case(self, loss: Loss, knobs: dict[str, Any]) -> Case:
        bounds = loss.bounds(self._samples, VIEWS, self._classes, **knobs)
        return Case(loss, bounds, forces(self.points, loss, knobs), np.zeros((2, len(AXIS))))

    def _with_law(self, case: Case, knobs: dict[str, Any], anchor: int) -> Case:
        if case.forces.pairs is None:
            return case
        return case._replace(law=law(self.points, case.loss, knobs, anchor))

    def _draw(self, *places: int) -> None:
        """Show what the losses at these places, or all, do: at once what is quick, then the laws, which take longer."""
        anchor, cases = self.anchor.value, {**dict(enumerate(self.cases))}
        for place in places or range(len(self.losses)):
            loss, knobs = self._chosen(place)
            try:
                made = self._case(loss, knobs)
            except Exception as error:  # a loss being written may raise anything: say it where the reader looks
                if self.picture is None:
                    raise
                return self.show(replace(self.picture, status=f"{loss.title} not computed: {error}"))
            cases[place] = made._replace(law=cases[place].law) if place in cases else made
        self.cases = [cases[place] for place in sorted(cases)]
        self.show(compare_picture(self.points, anchor, self.cases))
        time.sleep(0.001)  # in which the thread that sends the picture gets its turn
        for place in places or range(len(self.losses)):
            self.cases[place] = self._with_law(cases[place], self._chosen(place)[1], anchor)
        self.show(compare_picture(self.points, anchor, self.cases))

    def static(self) -> HTML:
        """Five values of the first loss's first sliding knob, which all losses that have it share, for eight anchors,
        as one HTML block."""
        settings = [self._chosen(place) for place in range(len(self.losses))]
        sweep = next((knob for knob in settings[0][0].knobs if isinstance(knob, Knob)), None)
        values = stops(sweep, settings[0][1][sweep.name]) if sweep else [0.0]
        anchors = sorted({*range(0, self._samples * VIEWS, self._samples * VIEWS // ANCHORS), self.anchor.value})
        frames: list[Picture] = []
        for value in values:
            swept = {sweep.name: value} if sweep else {}
            turned = [(loss, knobs | swept if sweep in loss.knobs else knobs) for loss, knobs in settings]
            cases = [self._case(loss, knobs) for loss, knobs in turned]
            for anchor in anchors:
                whole = [self._with_law(case, knobs, anchor) for case, (_, knobs) in zip(cases, turned, strict=True)]
                frames.append(compare_picture(self.points, anchor, whole))
        sliders = [Slider("anchor", [str(anchor) for anchor in anchors], anchors.index(self.anchor.value))]
        if sweep:
            start = values.index(settings[0][1][sweep.name])
            sliders.insert(0, Slider(sweep.name.replace("_", " "), [f"{value:.3g}" for value in values], start))
        return static_block(frames, sliders)


def _follow(control: ipywidgets.Widget, other: ipywidgets.Widget) -> None:
    """Stand as another control of the same knob, whose slider may be wider for the default of its loss."""
    if hasattr(control, "min"):
        control.min, control.max = min(control.min, other.min), max(control.max, other.max)
    control.value = other.value
