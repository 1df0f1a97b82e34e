"""An image file as bytes: scaled and upright, and of named formats only."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from cl_explore.data import from_folder
from cl_explore.data.pixels import FORMATS, opened, pixels

RAMP = np.arange(256).reshape(16, 16)


def through(file: str, image: Image.Image, **options: object) -> Image.Image:
    content = BytesIO()
    image.save(content, file, **options)
    return opened(content)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("PNG", (RAMP * 257).astype(np.uint16)),
        ("TIFF", (RAMP * 257).astype(np.uint16)),
        ("TIFF", (RAMP * 257).astype(">u2")),
        ("PPM", (RAMP * 257).astype(np.uint16)),
        ("TIFF", (RAMP / 255).astype(np.float32)),
        ("PPM", (RAMP / 255).astype(np.float32)),
        ("PNG", RAMP.astype(np.uint8)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_more_bits_are_scaled_not_clipped(kind: str, values: np.ndarray, channels: int) -> None:
    got = pixels(through(kind, Image.fromarray(values)), channels, None)
    assert (got.dtype, got.shape) == (np.uint8, (channels, 16, 16))
    assert (got == RAMP).all()


@pytest.mark.parametrize(
    "values",
    [RAMP.astype(np.int32), *((RAMP + add).astype(np.float32) for add in (0, -0.5, float("nan")))],
    ids=["32 bits", "floats to 255", "negative floats", "NaN"],
)
def test_a_range_that_nothing_tells_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"mode [IF] has values from .*scale the images to \[0, 1\].*data.from_arrays"):
        pixels(through("TIFF", Image.fromarray(values)), 1, None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_images_are_turned_upright(kind: str, turn: int) -> None:
    upright = np.zeros((32, 48), np.uint8)
    upright[:16, :16] = 250  # above, on the left: no two turns look alike
    upright[:16, 32:] = 120
    flat = upright if turn in (1, 2, 3, 4) else upright.T
    stored = {1: flat, 2: flat[:, ::-1], 3: flat[::-1, ::-1], 4: flat[::-1]}.get(turn)
    if stored is None:
        stored = {5: flat, 6: flat[::-1], 7: flat[::-1, ::-1], 8: flat[:, ::-1]}[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    image = through(kind, Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert np.abs(pixels(image, 1, None)[0].astype(int) - upright).max() < 40


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_note_on_the_camera_does_no_harm() -> None:
    image = through("JPEG", Image.fromarray(RAMP.astype(np.uint8)), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert pixels(image, 1, None).shape == (1, 16, 16)


@pytest.mark.parametrize("kind", ["EPS", "TGA", "PCX", "ICO", "SGI", "PDF"])
def test_other_formats_are_refused_under_any_name(
    kind: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch, picture: Callable[..., bytes]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was asked")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", never)
    (nowhere / "a").mkdir()
    Image.new("RGB", (16, 16)).save(nowhere / "a/0.png", kind)
    with pytest.raises(ValueError, match=r"0.png cannot be read \(cannot identify image"):
        from_folder(nowhere / "a")
    assert "EPS" not in FORMATS


def test_an_image_opened_elsewhere_is_held_to_the_same_formats() -> None:
    content = BytesIO()
    Image.new("RGB", (8, 8)).save(content, "EPS")
    with pytest.raises(ValueError, match="EPS is not read"):
        pixels(Image.open(content), 3, None)


def test_a_bomb_is_refused(nowhere: Path, monkeypatch: pytest.MonkeyPatch, picture: Callable[..., bytes]) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    (nowhere / "a").mkdir()
    (nowhere / "a/0.png").write_bytes(picture(0))
    with pytest.raises(ValueError, match=r"0.png cannot be read \(Image size \(64 pixels\) exceeds limit"):
        from_folder(nowhere / "a")
