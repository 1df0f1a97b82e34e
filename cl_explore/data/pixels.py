"""An image file as bytes: which formats are read, and how any of them becomes 8 bits a channel, upright."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is opened, whatever a file is called: other formats run more than an image needs, PostScript a program."""
SUFFIXES = (
    ".apng", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
UNREAD = (".avif", ".dcm", ".heic", ".heif", ".jp2", ".jxl", ".tga")
"""Photographs that are not read: among others, they would be missing without a word."""
ORIENTATION = 0x0112
UPRIGHT = {turn: Image.Transpose(way) for turn, way in {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.items()}
"""How the picture of a camera held so is turned (EXIF, tag `ORIENTATION`)."""


def opened(file: Path | BytesIO) -> Image.Image:
    """The image in a file of one of FORMATS; UnidentifiedImageError for others."""
    return Image.open(file, formats=FORMATS)


def pixels(image: Image.Image, channels: int, size: int | None) -> np.ndarray:
    """The image, the first frame of several, as (channels, H, W), uint8, upright, without its transparency.

    size: the side to which the shorter side is resized, and of the middle square that is kept; None for all as it is.
    Raises: ValueError for a format or a range of values that is not read
    """
    if image.format not in (None, "MPO", *FORMATS):  # MPO is a JPEG with more frames
        raise ValueError(f"{image.format} is not read: convert it to PNG or JPEG")
    image.load()
    eight = _eight_bits(image).convert("RGB" if channels == 3 else "L")
    if (turn := _orientation(image)) in UPRIGHT:
        eight = eight.transpose(UPRIGHT[turn])
    if size is not None and eight.size != (size, size):
        width, height = eight.size
        scale = size / min(width, height)
        shrunk = max(size, round(width * scale)), max(size, round(height * scale))
        eight = eight.resize(shrunk, Image.Resampling.BILINEAR)
        left, top = (eight.width - size) // 2, (eight.height - size) // 2
        eight = eight.crop((left, top, left + size, top + size))
    return np.asarray(eight).reshape(eight.height, eight.width, channels).transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more bits scaled, where `convert` would clip it: 16 bits from their full range, floats from [0, 1]."""
    if image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image, np.float64)
    whole = 1 if image.mode == "F" else 65535
    # Pillow opens grey PNG and PGM of 16 bits in 32 in some versions; the range of other 32 bits is anybody's guess
    known = image.mode != "I" or image.format in ("PNG", "PPM")
    if not known or not (values.min() >= 0 and values.max() <= whole):
        raise ValueError(
            f"mode {image.mode} has values from {values.min():g} to {values.max():g}, which nothing says how to show: "
            "scale the images to [0, 1] yourself and use data.from_arrays(images, labels)"
        )
    return Image.fromarray((values * (255 / whole)).round().astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    """How the camera was held; asked once the pixels are loaded, as TIFF turns by itself and forgets it."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged notes, which can raise anything, do not make the picture worse
        return 1
