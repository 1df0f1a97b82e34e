"""Image data sets of the Hugging Face hub, through their package `datasets`."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from cl_explore.data.arrays import numbered
from cl_explore.data.dataset import Dataset
from cl_explore.data.decoded import Open, Pictures, decoded
from cl_explore.data.pixels import opened
from cl_explore.names import unknown
from cl_explore.takes import Count, takes


@takes
def from_hugging_face(
    source: Any,
    split: str = "train",
    *,
    image: str = "image",
    label: str | None = "label",
    size: Count | None = None,
    channels: Count = 3,
    download: bool = False,
    **options: Any,
) -> Dataset:
    """Any image data set of the hub, by name, or a `datasets.Dataset` that you hold, as uint8 (N, channels, H, W).

    source: also a `datasets.DatasetDict`, of which `split` is taken.
    image, label: the columns to use; label None leaves all unlabelled (-1), as None in the column does its row.
    size, channels: as for `from_folder`.
    download: whether a set that is not in the package's cache may be fetched; options go to `datasets.load_dataset`.

    Decoded once, as `from_folder` does. Raises ImportError saying what to install if `datasets` is missing,
    FileNotFoundError if the set is not in the cache and may not be fetched, TypeError for a source without rows,
    ValueError naming the columns or splits there are.
    """
    name = source if isinstance(source, str) else "Hugging Face data"
    hub = _load(source, split, download, options) if isinstance(source, str) else source
    if isinstance(hub, Mapping):
        if split not in hub:
            raise unknown("split", split, hub)
        hub = hub[split]
    if not hasattr(hub, "__len__") or not hasattr(hub, "column_names"):
        need = "source must be a name, a datasets.Dataset or a DatasetDict"
        raise TypeError(f"{need}, whose rows can be counted (no stream), got {type(hub).__name__}")
    columns = {"image": image} if label is None else {"image": image, "label": label}
    for argument, column in columns.items():
        if column not in hub.column_names:
            raise ValueError(f"{argument} must be a column, one of {', '.join(hub.column_names)}; got {column!r}")
    version = hashlib.sha256(f"{hub._fingerprint}\0{image}".encode()).hexdigest()[:16]
    hub = _plain(hub, image)
    held = [None] * len(hub) if label is None else list(hub[label])
    if strange := [number for number in held if not isinstance(number, int | None)]:
        encode = f"; texts become numbers by source.class_encode_column({label!r})"
        raise ValueError(f"label must be a column of class numbers, but {label!r} holds {strange[0]!r}{encode}")
    names = None if label is None else getattr(hub.features[label], "names", None)
    labels, class_names = numbered(held, len(hub), names)

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Open]]:
        for row in wanted:
            yield row, partial(_image, hub, int(row.removeprefix("row ")), image)

    pictures = Pictures(name, version, version, lambda: {f"row {row}": "" for row in range(len(hub))}, read)
    x, _ = decoded(pictures, channels, size)
    return Dataset(name, x, labels, torch.arange(len(x), device="cpu"), class_names)


def _plain(hub: Any, image: str) -> Any:
    """The data set with Python's values in its columns, and its images as the bytes that they are stored as."""
    if hasattr(hub, "with_format"):
        hub = hub.with_format(None)
    feature = hub.features.get(image)
    # undecoded, since the package would open any format that the bytes are in
    return hub.cast_column(image, type(feature)(decode=False)) if getattr(feature, "decode", False) else hub


def _image(hub: Any, row: int, column: str) -> Image.Image:
    image = hub[row][column]
    if isinstance(image, dict) and image.keys() == {"bytes", "path"}:
        return opened(Path(image["path"]) if image["bytes"] is None else BytesIO(image["bytes"]))
    if not isinstance(image, Image.Image):
        raise TypeError(f"image must be a column of images, but {column!r} holds {type(image).__name__}")
    return image


def _load(name: str, split: str, download: bool, options: dict[str, Any]) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError('Hugging Face data sets need the package datasets: pip install "cl_explore[hub]"') from error
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
