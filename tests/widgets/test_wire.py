import json
import re

import numpy as np
import pytest
from static_pages import Page, resolved, unpacked

from cl_explore.widgets.marks import Images, Line, Points
from cl_explore.widgets.picture import Axis, Chart, Picture
from cl_explore.widgets.wire import Slider, renderer, static_block, to_buffer


def picture(value: float, title: str = "t") -> Picture:
    fixed = Line([0, 1, 2], [0.25, np.nan, 1], name="the same in all frames")
    moving = Points([0, 1], [value, 2 * value], hover="{who}", fields={"who": ["a", "b"], "n": [1, 300]})
    return Picture(title, "alt", [[Chart([fixed, moving], y=Axis(range=(0, 9)))]], [("value", f"{value:g}")])


def test_a_buffer_holds_the_arrays_of_a_picture() -> None:
    pixels = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    chart = Chart([Images(pixels, [0.5], [1.5]), Points([1, 2], [3, 4], group=[0, 0])], x=Axis("across", ticks=()))
    text, data = to_buffer(Picture("t", "alt", [[chart]], [("loss", "1")]))

    def find(place: list) -> np.ndarray:
        kind, start, length = place
        assert start % 4 == 0
        return np.frombuffer(data, {"f4": "<f4", "u1": "u1"}[kind], length, start)

    shown = resolved(json.loads(text), find)
    (sent,) = shown["rows"][0][0]
    assert (shown["title"], shown["readout"], sent["look"]["x"]["label"], sent["look"]["x"]["ticks"]) == (
        "t",
        [["loss", "1"]],
        "across",
        [],
    )
    images, points = sent["marks"]
    np.testing.assert_array_equal(images["pixels"], pixels.ravel())
    np.testing.assert_array_equal(points["y"], [3, 4])
    assert (points["look"]["kind"], points["look"]["colour"], images["look"]["wide"]) == ("points", ["#0072B2"], 3)


def test_a_static_block_is_one_whole_piece_of_html_without_network() -> None:
    text = static_block([picture(0.5), picture(1.5)], [Slider("value", ["0.5", "1.5"])]).data
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == 1
    assert not re.search(r"(https?:)?//[\w.]+\.\w+/|import\s*\(|fetch\(", page.script)
    assert renderer() in page.script
    assert Page(static_block([picture(1)], []).data).ids != page.ids


def test_static_frames_are_the_pictures_and_shared_parts_stand_once() -> None:
    values = np.linspace(0.1, 3, 20)
    text = static_block([picture(value) for value in values], [Slider("value", [f"{v:.3g}" for v in values])]).data
    frames, _ = unpacked(text)
    for value, frame in zip(values, frames, strict=True):
        fixed, moving = frame["rows"][0][0][0]["marks"]
        np.testing.assert_allclose(moving["y"], [value, 2 * value], rtol=1e-4)
        np.testing.assert_array_equal(moving["fields.n"], [1, 300])
        assert moving["fields.who"] == ["a", "b"]
        assert frame["readout"] == [["value", f"{value:g}"]]
    assert text.count("the same in all frames") == 1
    np.testing.assert_allclose(fixed["y"][[0, 2]], [0.25, 1], rtol=1e-4)
    assert fixed["y"][1] < -1  # the lowest number, which the page reads as none


@pytest.mark.parametrize("evil", ["</script><b>", "<!-- a comment", "<script> an element"])
def test_no_text_ends_its_script_or_hides_its_end(evil: str) -> None:
    text = static_block([picture(1, evil)], []).data
    script = text[text.index("<script>") + 8 : text.rindex("</script>")]
    assert not re.search(r"<!--|</?script", script.replace(renderer(), ""))
    assert unpacked(text)[0][0]["title"] == evil


def test_frames_are_counted() -> None:
    with pytest.raises(ValueError, match="one frame for each of the 3 combinations of stops, got 1"):
        static_block([picture(1)], [Slider("s", ["0", "1", "2"])])
