from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cl_explore.widgets import marks
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Line, Points
from cl_explore.widgets.picture import Axis, Chart, Picture
from cl_explore.widgets.still import add, png

DOTS = Points([1, 3], [2, 4])
TWO = [0.0, 1.0]
EVERY = {
    "Points": Points(TWO, TWO, colour=("#000000", "#D55E00"), group=[0, 1], marker=("o", "s"), name=("a", "b")),
    "Line": Line(TWO, [0, np.nan], dash="dashed", name="line"),
    "Edges": marks.Edges(TWO, TWO, [[0, 1]], curved=True),
    "Arrows": marks.Arrows(TWO, TWO, TWO, TWO),
    "Bars": marks.Bars(TWO, TWO, outline=True),
    "Heat": marks.Heat(np.eye(2), text=True),
    "Images": marks.Images(np.zeros((2, 4, 4), np.uint8), TWO, TWO, shade=[1, 0.2]),
    "Rule": marks.Rule(y=0.5, label="half"),
    "Band": marks.Band(x=(0, 1)),
    "Text": marks.Text(TWO, TWO, ["a $1", "b"]),
    "Polygon": marks.Polygon([0, 1, 1], [0, 0, 1], rim=1),
}


def test_an_axis_fits_its_marks_unless_it_has_a_range() -> None:
    x, y = Chart([DOTS, Line([0, np.nan], [2, 9])], x=Axis(log=True), y=Axis(range=(1, 0))).axes
    assert x.range == pytest.approx((3**-0.05, 3**1.05))  # 0 is nowhere on a logarithmic axis
    assert y.range == (1, 0)
    assert Chart([DOTS]).axes[1].range == pytest.approx((1.9, 4.1))
    assert Chart([]).axes[0].range == (0, 1)
    assert Chart([Points([5], [0])]).axes[0].range == pytest.approx((4.75, 5.25))


def test_charts_stand_in_rows_and_columns() -> None:
    one, two, three = (Chart([DOTS], title=title) for title in "abc")
    picture = Picture("t", "a", [[one, [two, three]], [one]])
    assert [chart.title for chart in picture.charts] == ["a", "b", "c", "a"]
    assert [[len(column) for column in row] for row in picture.columns] == [[1, 2], [1]]


def test_there_is_a_drawing_of_every_mark() -> None:
    kinds = {kind for kind in vars(marks).values() if isinstance(kind, type) and issubclass(kind, Mark)} - {Mark}
    assert {kind.__name__ for kind in kinds} == EVERY.keys()
    assert all(add.dispatch(kind) is not add.dispatch(object) for kind in kinds)


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_is_drawn_without_a_page(name: str) -> None:
    blank = Picture("a title", "alt", [[Chart([])]])
    picture = Picture("a title", "alt", [[Chart([EVERY[name]], x=Axis(range=(0, 2)), y=Axis(range=(0, 2)))]])
    shown, empty = (np.asarray(Image.open(BytesIO(png(each)))) for each in (picture, blank))
    assert shown.shape[1] == 864
    assert shown.shape != empty.shape or (shown != empty).any()


def test_the_still_shows_titles_axes_and_readout() -> None:
    chart = Chart([DOTS], "a chart", Axis("across", ticks=(1, 3), names=("one", "three")), Axis("up", (0, 5)))
    figure = Picture("a title", "alt", [[chart, [chart, chart]]], [("loss", "0.5")]).figure()
    assert len(figure.axes) == 3
    assert [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.texts] == ["a title", "loss 0.5"]
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_ylim()) == ("across", "up", (0, 5))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["one", "three"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis(range=(1, 1)), "range must be two different finite numbers"),
        (lambda: Axis(range=(0, 1), log=True), "range of a logarithmic axis must be positive"),
        (lambda: Axis(ticks=(1, 2), names=("one",)), "names must be 2, one for each tick, got 1"),
        (lambda: Chart([DOTS], width=0), "width and height must be positive"),
        (lambda: Picture("", "alt", [[Chart([])]]), "title must say something"),
        (lambda: Picture("t", "alt", []), "rows must hold at least one row"),
        (lambda: Picture("t", "alt", [[[]]]), "rows must hold at least one row"),
    ],
)
def test_bad_pictures_are_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_only_marks_are_marks() -> None:
    with pytest.raises(TypeError, match="marks must be marks such as Points"):
        Chart(["a line"])  # type: ignore[list-item]
