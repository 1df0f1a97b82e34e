"""The small pictures that a panel shows under the pointer, all in one sheet that is sent once."""

import base64
from io import BytesIO
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

COLUMNS = 40
LARGEST = 32  # pixels; larger images are shrunk
PIXELS = 2_500_000  # of all; many images are shrunk further


def pixels(images: Tensor) -> NDArray[np.uint8]:
    """The images (n, C, H, W), uint8 or float in [0, 1], C = 1 or 3, shrunk to (n, h, w) or (n, h, w, 3).

    As wide to high as they were, unless that would leave less than a pixel.

    Raises: ValueError for another shape.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be (n, C, H, W) with 1 or 3 channels, got shape {tuple(images.shape)}")
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    largest = max(1, min(LARGEST, int((PIXELS / len(x)) ** 0.5)))
    if max(x.shape[2:]) > largest:
        share = largest / max(x.shape[2:])
        x = F.interpolate(x, size=[max(1, round(share * side)) for side in x.shape[2:]], mode="area")
    small = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return small[..., 0] if images.shape[1] == 1 else small


def sprite_sheet(images: NDArray[np.uint8]) -> dict[str, Any]:
    """The images (n, h, w) or (n, h, w, 3) side by side as a data URL.

    Returns: `sprite`, the picture; `tile`, [width, height] of one image in it; `columns`, images in a row.
    """
    count, height, width = images.shape[:3]
    rows = -(-count // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, *images.shape[1:]), np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(rows, COLUMNS, *images.shape[1:]).swapaxes(1, 2)
    file = BytesIO()
    whole = sheet.reshape(rows * height, COLUMNS * width, *images.shape[3:])
    Image.fromarray(whole).save(file, "WEBP", quality=75)
    data = base64.b64encode(file.getvalue()).decode()
    return {"sprite": f"data:image/webp;base64,{data}", "tile": [width, height], "columns": COLUMNS}
