"""Here live the small pictures that a panel shows under the pointer, all in one sheet that is sent once."""

import base64
from io import BytesIO
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

COLUMNS = 40
LARGEST = 32  # pixels; larger images are shrunk
PIXELS = 2_500_000  # of the whole sheet; many images are shrunk further


def sprite_sheet(images: Tensor) -> dict[str, Any]:
    """The images (n, C, H, W), uint8 or float in [0, 1], C = 1 or 3, side by side as a data URL.

    Returns `sprite`, the picture, `tile`, [width, height] of one image in it, and `columns`, images in a row. Raises
    ValueError for another shape.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be (n, C, H, W) with 1 or 3 channels, got shape {tuple(images.shape)}")
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    largest = min(LARGEST, int((PIXELS / len(x)) ** 0.5))
    if max(x.shape[2:]) > largest:
        scale = largest / max(x.shape[2:])
        x = F.interpolate(x, scale_factor=scale, mode="area")
    count, channels, height, width = x.shape
    rows = -(-count // COLUMNS)
    x = torch.cat([x, x.new_zeros(rows * COLUMNS - count, channels, height, width)])
    sheet = x.view(rows, COLUMNS, channels, height, width).permute(0, 3, 1, 4, 2)
    pixels = (sheet * 255).round().to(torch.uint8).reshape(rows * height, COLUMNS * width, channels).numpy()
    file = BytesIO()
    Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels).save(file, "WEBP", quality=75)
    data = base64.b64encode(file.getvalue()).decode()
    return {"sprite": f"data:image/webp;base64,{data}", "tile": [width, height], "columns": COLUMNS}
