"""What the reader has chosen on a map, in a chart beside it and in words: a sample's neighbours, or a selection."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cl_explore.plots.style import class_look
from cl_explore.widgets.looks import short
from cl_explore.widgets.marks import Bars, Images, Points, Text
from cl_explore.widgets.picture import Axis, Chart

FEW = 5  # classes of a selection that are shown
BARE: dict[str, Any] = {"equal": True, "bare": True}
HINTS = ("Click a point: its nearest neighbours.", "Draw round points{}: statistics", "of the selection.")


class Samples(NamedTuple):
    """What is known of n samples whatever a network makes of them.

    classes: names by label, in order of the labels.
    place: (n,) place of each sample's label among them.
    number: (n,) their numbers in the data set.
    pictures: (n, h, w) or (n, h, w, 3) uint8, or None.
    texts: n texts, or None.
    """

    classes: Mapping[int, str]
    place: NDArray[np.int64]
    number: NDArray[np.int64]
    pictures: NDArray[np.uint8] | None = None
    texts: Sequence[str] | None = None

    @property
    def names(self) -> list[str]:
        """The classes in words: "3" becomes "class 3"."""
        return [name if name.startswith(("class", "unlabelled")) else f"class {name}" for name in self.classes.values()]

    def called(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """The class of each of these samples in words."""
        names = self.names
        return [names[place] for place in self.place[rows]]


class Chosen(NamedTuple):
    """What the reader has chosen: `point` with its nearest samples `near` and their `cosines`, or the `rows` of a
    selection with its statistics `about`, as `neighbourhood.describe` gives them."""

    point: int | None = None
    near: NDArray[np.int64] = np.empty(0, np.int64)
    cosines: NDArray[np.float32] = np.empty(0, np.float32)
    rows: NDArray[np.int64] = np.empty(0, np.int64)
    about: Mapping[str, Any] = {}


def beside(samples: Samples, chosen: Chosen, turns: bool) -> Chart:
    """The neighbours of the chosen sample, the classes of the selection, or what can be chosen."""
    if chosen.point is not None:
        return _pictures(samples, chosen) if samples.pictures is not None else _lines(samples, chosen)
    if len(chosen.rows):
        return _classes(samples, chosen)
    hints = [hint.format(" with Shift" if turns else "") for hint in HINTS]
    text = Text(np.zeros(3), np.arange(3), hints, colour="muted", anchor="left")
    return Chart([text], "Nothing is chosen yet", x=Axis(range=(0, 1)), y=Axis(range=(9, -0.5)), height=240, bare=True)


def _pictures(samples: Samples, chosen: Chosen) -> Chart:
    assert samples.pictures is not None
    pictures = samples.pictures[chosen.near]
    x, y = np.arange(len(pictures)) % 3 + 0.5, 1.3 * (np.arange(len(pictures)) // 3) + 0.5
    side = 0.9 * min(1.0, pictures.shape[2] / pictures.shape[1])
    marks = [
        Images(pictures, x, y, side=side, hover="{class}\ncosine {cosine}",
               fields={"class": samples.called(chosen.near), "cosine": chosen.cosines}),
        _looks(samples, chosen, x - 0.25, y + 0.62),
        Text(x + 0.1, y + 0.62, [f"{cosine:.2f}" for cosine in chosen.cosines], size=11),
    ]  # fmt: skip
    return Chart(marks, "Nearest, by cosine", Axis(range=(0, 3)), Axis(range=(2.7, 0)), height=240, **BARE)


def _lines(samples: Samples, chosen: Chosen) -> Chart:
    y = np.arange(len(chosen.near)) + 0.5
    called = samples.called(chosen.near) if samples.texts is None else [samples.texts[row] for row in chosen.near]
    named = zip(called, chosen.cosines, strict=True)
    texts = Text(np.full(len(y), 0.1), y, [f"{short(name)}  {cosine:.2f}" for name, cosine in named], anchor="left")
    marks = [_looks(samples, chosen, np.full(len(y), 0.03), y), texts]
    return Chart(marks, "Nearest, by cosine", Axis(range=(0, 1)), Axis(range=(9, 0)), height=240, bare=True)


def _looks(samples: Samples, chosen: Chosen, x: NDArray[np.floating], y: NDArray[np.floating]) -> Points:
    """Small markers that say the classes of the chosen sample's neighbours."""
    labels = np.array(list(samples.classes))[samples.place[chosen.near]]
    colours, markers = zip(*(class_look(max(label, 0)) for label in labels.tolist()), strict=True)
    return Points(x, y, colour=colours, marker=markers, group=range(len(labels)), size=4)


def _classes(samples: Samples, chosen: Chosen) -> Chart:
    counts = chosen.about["counts"]
    first = [place for place in np.argsort(-counts, kind="stable")[:FEW] if counts[place]]
    labels = np.array(list(samples.classes))[first]
    colours = ["#9a9a9a" if label < 0 else class_look(label)[0] for label in labels.tolist()]
    place, names = np.arange(len(first)), [short(list(samples.classes.values())[at]) for at in first]
    bars = Bars(place, counts[first], colour=colours, group=place, hover="{class}: {count}",
                fields={"class": [samples.names[at] for at in first], "count": counts[first]})  # fmt: skip
    across = Axis(range=(-0.6, FEW - 0.4), ticks=place.tolist(), names=names)
    return Chart([bars], f"{chosen.about['count']} selected", across, height=240)


def sentence(samples: Samples, chosen: Chosen) -> str:
    """What was chosen, in words."""
    if chosen.point is not None:
        (name,) = samples.called([chosen.point])
        near = zip(samples.called(chosen.near), chosen.cosines.tolist(), strict=True)
        others = ", ".join(f"{other} ({_short(cosine)})" for other, cosine in near)
        said = f" “{short(samples.texts[chosen.point])}”" if samples.texts else ""
        return f"Sample {samples.number[chosen.point]}{said}, {name}: nearest in all dimensions are {others}."
    if not len(chosen.rows):
        return ""
    about = chosen.about
    most = int(np.argmax(about["counts"]))
    share = 100 * about["counts"][most] / about["count"]
    spread = f"dispersion {_short(about['dispersion'])}"
    if about["similarity"] is not None:
        spread += f", mean cosine {_short(about['similarity'])}"
    percent = f"{share:.1f}" if share < 10 else f"{share:.0f}"
    return f"{about['count']} samples selected, {percent} % of them {samples.names[most]}; {spread}."


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
