"""Image data sets of the Hugging Face hub, through their package `datasets`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from PIL import Image

from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import Open, Pictures, decoded


def from_hugging_face(
    source: Any,
    split: str = "train",
    *,
    image: str = "image",
    label: str | None = "label",
    size: int | None = None,
    channels: int = 3,
    download: bool = False,
    **options: Any,
) -> Dataset:
    """Any image data set of the hub, by name, or a `datasets.Dataset` that you hold, as uint8 (N, channels, H, W).

    image, label: the columns to use; label None leaves all unlabelled (-1). size, channels: as for `from_folder`.
    download: whether a set that is not in the package's cache may be fetched; options go to `datasets.load_dataset`.

    Decoded once, as `from_folder` does. Raises ImportError saying what to install if `datasets` is missing,
    FileNotFoundError if the set is not in the cache and may not be fetched, ValueError naming the columns there are.
    """
    hub = _load(source, split, download, options) if isinstance(source, str) else source
    columns = {"image": image} if label is None else {"image": image, "label": label}
    for argument, column in columns.items():
        if column not in hub.column_names:
            raise ValueError(f"{argument} must be a column, one of {', '.join(hub.column_names)}; got {column!r}")
    labels = [-1] * len(hub)
    class_names: list[str] = []
    if label is not None:
        labels = list(hub[label])
        if not all(isinstance(number, int) for number in labels):
            raise ValueError(f"label must be a column of class numbers, but {label!r} holds {labels[0]!r}")
        class_names = getattr(hub.features[label], "names", None) or [str(c) for c in range(max(labels) + 1)]
    name = source if isinstance(source, str) else "Hugging Face data"

    def read(wanted: list[str]) -> Iterator[tuple[int, Open]]:
        for row in range(len(wanted)):
            yield row, partial(_opened, hub, row, image)

    fingerprint = f"hub-{hub._fingerprint}-{image}"
    pictures = Pictures(name, fingerprint, lambda: [f"row {row}" for row in range(len(hub))], read)
    x, _ = decoded(pictures, channels, size)
    return Dataset(name, x, torch.tensor(labels), torch.arange(len(x)), tuple(class_names))


def _opened(hub: Any, row: int, column: str) -> Image.Image:
    image = hub[row][column]
    if not isinstance(image, Image.Image):
        raise TypeError(f"image must be a column of images, but {column!r} holds {type(image).__name__}")
    return image


def _load(name: str, split: str, download: bool, options: dict[str, Any]) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            "Hugging Face data sets need the package datasets: pip install -c constraints.txt -e '.[hub]' in the clone"
        ) from error
    try:
        with nullcontext() if download else _offline():
            return datasets.load_dataset(name, split=split, **options)
    except (FileNotFoundError, ConnectionError) as error:
        raise FileNotFoundError(
            f"{name} ({split}) is not in the cache of Hugging Face's datasets, or does not exist ({error}); "
            f"to fetch it: from_hugging_face({name!r}, {split!r}, download=True)"
        ) from error


@contextmanager
def _offline() -> Iterator[None]:
    """Let the packages of Hugging Face look into their cache only, as HF_HUB_OFFLINE does if set before import."""
    import datasets
    import huggingface_hub

    switches = (datasets.config, huggingface_hub.constants)
    before = [module.HF_HUB_OFFLINE for module in switches]
    for module in switches:
        module.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for module, value in zip(switches, before, strict=True):
            module.HF_HUB_OFFLINE = value
