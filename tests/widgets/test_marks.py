import numpy as np
import pytest
import torch

from cl_explore.widgets.marks import Bars, Edges, Heat, Images, Line, Points, Rule, Text, circle


def test_arrays_of_any_kind_become_float32() -> None:
    mark = Points([1, 2], torch.tensor([0.5, 1.5], dtype=torch.float64), fields={"n": range(2), "who": ["a", "b"]})
    assert mark.x.dtype == mark.y.dtype == np.float32
    assert mark.fields["n"].dtype == np.float32
    assert mark.fields["who"] == ["a", "b"]
    assert mark.colour == ("#0072B2",)
    assert mark.kind == "points"


def test_an_axis_shows_whole_bars_cells_and_pictures() -> None:
    bars = Bars([0, 1], [2, -3], width=0.8)
    np.testing.assert_allclose([bars.span("x").min(), bars.span("x").max()], [-0.4, 1.4], rtol=1e-6)
    np.testing.assert_allclose(sorted(bars.span("y")), [-3, 0, 2])
    heat = Heat(np.zeros((2, 5)))
    assert (heat.span("x").tolist(), heat.span("y").tolist()) == ([0, 5], [0, 2])
    images = Images(np.zeros((1, 4, 2), np.uint8), [1], [0], side=1.0)
    assert (images.span("x").tolist(), images.span("y").tolist()) == ([0.5, 1.5], [-1, 1])


def test_a_circle_closes() -> None:
    line = circle(2.0)
    np.testing.assert_allclose(np.hypot(line.x, line.y), 2, rtol=1e-6)
    np.testing.assert_allclose([line.x[0], line.y[0]], [line.x[-1], line.y[-1]], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Points([1, 2], [1]), "points need as many of each, got .*'x': 2, 'y': 1"),
        (lambda: Points([[1]], [1]), r"points x must be a number or \(n,\), got shape \(1, 1\)"),
        (lambda: Points([1], [np.inf]), "points y must not be infinite"),
        (lambda: Points([1], [1], alpha=2), "alpha must be 0 to 1, got 2"),
        (lambda: Points([1], [1], group=[1]), r"group must be \(n,\) places in the 1 colours"),
        (lambda: Points([1], [1], colour=("#000000", "#ffffff"), marker=("o",) * 3), "marker must be one or 2"),
        (lambda: Points([1], [1], drag_y=["a", "b"]), "drag_y must name 1 knobs, got 2"),
        (lambda: Points([1], [1], fields={"a": [1, 2]}), r"fields\['a'\] must hold 1 items, got 2"),
        (lambda: Edges([0, 1], [0, 1], [[0, 2]]), "pairs must be places of the 2 nodes"),
        (lambda: Edges([0, 1], [0, 1], [[0, 1]], width=[1, 2]), "width must be one number or 1, one an edge, got 2"),
        (lambda: Heat([1, 2]), r"heat values must be \(rows, columns\), got shape \(2,\)"),
        (lambda: Heat([[1]], low=1), "low must be below high, got 1 and 1.0"),
        (lambda: Images(np.zeros((1, 2, 2)), [0], [0]), "pixels must be uint8 .* got float64"),
        (lambda: Rule(), "rule needs either x or y"),
        (lambda: Rule(x=np.nan), "rule x must be finite, got nan"),
        (lambda: Text([0, 1], [0, 1], ["one"]), "text need as many of each"),
        (lambda: Line([0], [0, 1]), "line need as many of each"),
    ],
)
def test_bad_marks_are_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
