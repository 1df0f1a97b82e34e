"""Views by callables of other libraries: one image at a time, or a batch, seeded as far as they let themselves be."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cl_explore.given import floats
from cl_explore.needed import needed
from cl_explore.takes import Count, settle, takes
from cl_explore.views.base import as_numbers, require_within


@dataclass(frozen=True)
class Transform:
    """Views of images (B, C, H, W), bytes or in [0, 1], by a callable as other libraries write them.

    transform: gives an image (C, H', W') of each image, of one size for all, by chance another one each time.
    form: what it takes.
        "tensor": one image (C, H, W) in [0, 1], as torchvision's transforms do.
        "pil": one PIL image, as torchvision's do too.
        "array": `image=`, bytes (H, W, C), answered by a dictionary with "image", as albumentations does.
        "batch": all views (N, C, H, W) at once, as kornia's augmentations do.

    What it gives is read alike: tensors (C, H, W), arrays (H, W, C) or PIL images, bytes or floats. For every batch the
    global random states of torch, NumPy and Python, and a transform's own by its `set_random_seed`, are seeded from the
    generator, and the global ones put back. What keeps a random state elsewhere does not repeat.

    >>> flip = Transform(lambda image: image.flip(-1) if torch.rand(()) < 0.5 else image)
    >>> flip(torch.rand(4, 3, 8, 8), torch.Generator(), n_views=2).shape
    torch.Size([4, 2, 3, 8, 8])
    """

    transform: Callable[..., Any]
    form: Literal["tensor", "pil", "array", "batch"] = "tensor"

    def __post_init__(self) -> None:
        settle(self)
        if self.form == "pil":
            needed('views.Transform(..., "pil")', PIL="pillow")

    @takes
    def __call__(self, x: Tensor, generator: torch.Generator, n_views: Count = 2) -> Tensor:
        """Views (B, n_views, C, H', W') of the images x, on x's device; all but "tensor" and "batch" by the CPU.

        Raises TypeError or ValueError for other images, and for what the transform gives if it is none.
        """
        images = floats(as_numbers(x), "x", "B C H W")
        if len(images) == 0 or (self.form in ("pil", "array") and images.shape[1] not in (1, 3)):
            raise ValueError(f"x must be images (B, C, H, W), of 1 or 3 channels in bytes, got {tuple(images.shape)}")
        require_within(images, (0, 1))
        rows = images.repeat_interleave(n_views, dim=0)
        with _seeded(generator, images.device) as seed:
            if hasattr(self.transform, "set_random_seed"):
                self.transform.set_random_seed(seed)
            made = self._batch(rows) if self.form == "batch" else self._each(rows)
        return made.to(x.device).unflatten(0, (len(images), n_views))

    def _batch(self, x: Tensor) -> Tensor:
        made = self.transform(x)
        if not isinstance(made, Tensor) or made.ndim != 4 or made.shape[:2] != x.shape[:2]:
            got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise ValueError(f"transform must give images ({len(x)}, {x.shape[1]}, H, W) of so many, got {got}")
        return as_numbers(made)

    def _each(self, x: Tensor) -> Tensor:
        if self.form == "tensor":
            made = [self.transform(image) for image in x]
        else:
            arrays = (255 * x).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
            made = [self.transform(image=a) if self.form == "array" else self.transform(_pil(a)) for a in arrays]
        images = [_image(each, x.shape[1]) for each in made]
        if strange := [image.shape for image in images if image.shape != images[0].shape]:
            one, other = tuple(images[0].shape), tuple(strange[0])
            raise ValueError(f"transform must give images of one size, got {one} and {other}: let it end in a resize")
        return torch.stack(images)


@contextmanager
def _seeded(generator: torch.Generator, device: torch.device) -> Iterator[int]:
    """Inside, global random states, on the device too, follow from the generator, as does the number given."""
    seed = int(torch.randint(2**32 - 1, (), generator=generator, device=generator.device))
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002  # that is what others draw from
    places = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=places):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        for place in places:
            with torch.cuda.device(place):
                torch.cuda.manual_seed(seed)
        try:
            yield seed
        finally:
            random.setstate(python)
            np.random.set_state(array)  # noqa: NPY002


def _pil(image: NDArray[np.uint8]) -> Any:
    from PIL import Image

    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _image(made: Any, channels: int) -> Tensor:
    """One image (C, H, W), in floating point, of what a transform gave."""
    need = f"transform must give an image ({channels}, H, W), of bytes or floats"
    image = made.get("image") if isinstance(made, Mapping) else made
    if not isinstance(image, Tensor):
        array = np.array(image)
        if array.dtype.kind not in "uf" or array.ndim not in (2, 3):
            raise TypeError(f"{need}, got {type(image).__name__}")
        image = torch.from_numpy(array)
        image = image.movedim(2, 0) if image.ndim == 3 else image[None]
    if image.ndim != 3 or len(image) != channels or not (image.is_floating_point() or image.dtype == torch.uint8):
        raise ValueError(f"{need}, got {tuple(image.shape)} of {image.dtype}")
    return as_numbers(image)
