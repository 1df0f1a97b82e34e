"""The house style: colours that everyone can tell apart, sizes, and pictures that carry alt text."""

import base64
import itertools
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray

from cl_explore import plots
from cl_explore.plots import style

ALT = "A rising line: the longer it trains, the higher it gets."

# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as seen with one kind of cone missing
SEEN_WITH = {
    "three cones": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def linear(colour: str) -> NDArray[np.float64]:
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Björn Ottosson's space, in which a distance of 0.02 is just noticeable."""
    cones = np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
    lab = np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]])
    return lab @ np.cbrt(cones @ rgb.clip(0, 1))


@pytest.mark.parametrize("colour", style.CLASS_COLOURS)
def test_colours_stand_out_from_white(colour: str) -> None:
    luminance = linear(colour) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3


@pytest.mark.parametrize("eye", SEEN_WITH)
def test_any_two_colours_can_be_told_apart(eye: str) -> None:
    seen = [oklab(SEEN_WITH[eye] @ linear(colour)) for colour in style.CLASS_COLOURS]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 0.05


def test_a_class_has_a_look_of_its_own() -> None:
    assert len(style.CLASS_COLOURS) == len(set(style.MARKERS)) == 10
    looks = [style.class_look(label) for label in range(40)]
    assert len(set(looks)) == 40
    assert {marker for _, marker in looks[:10]} == set(style.MARKERS)


def test_figures_have_one_width_or_half_of_it() -> None:
    assert plots.figure().get_figwidth() == 9
    assert plots.figure("half").get_figwidth() == 4.5
    assert len(plots.figure(columns=3, rows=2).axes) == 6
    assert plots.figure(height=2.5).get_figheight() == 2.5
    with pytest.raises(ValueError, match='width must be "full" or "half", got \'wide\''):
        plots.figure("wide")  # type: ignore[arg-type]


def test_the_style_is_no_side_effect() -> None:
    before = dict(mpl.rcParams)
    plots.scatter(np.random.default_rng(0).normal(size=(20, 4)))
    assert dict(mpl.rcParams) == before
    with mpl.rc_context():
        plots.use()
        assert mpl.rcParams["font.size"] == style.RC["font.size"]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    outputs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(style, "display", lambda data, raw, metadata: outputs.append((data, metadata)))
    return outputs


def test_show_displays_a_png_with_its_alt_text(shown: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    plots.show(plots.figure(height=2), ALT, dpi=100)
    ((data, metadata),) = shown
    assert data["image/png"][:8] == base64.b64decode("iVBORw0KGgo=")
    assert int.from_bytes(data["image/png"][16:20], "big") == 900  # the PNG header's width in pixels
    assert data["text/plain"] == metadata["image/png"]["alt"] == ALT


@pytest.mark.parametrize("alt", ["", "too short", "x" * 201])
def test_show_wants_alt_text_that_says_something(alt: str, shown: list[Any]) -> None:
    with pytest.raises(ValueError, match=f"alt must have 30 to 200 characters .* got {len(alt)}"):
        plots.show(plots.figure(), alt)
    assert not shown


@pytest.mark.parametrize("dpi", [79, 111])
def test_show_wants_a_legible_and_small_picture(dpi: int) -> None:
    with pytest.raises(ValueError, match=f"dpi must be between 80 and 110, got {dpi}"):
        plots.show(plots.figure(), ALT, dpi=dpi)
